"""Runs writing jobs of the store, each in a child that waits to be traced, for test_crash to kill it or let it fail.

A line ``JOB<tab>ROOT`` on standard input forks a child that stops itself; its pid is the answer. Once it was continued
and has ended, a line of JSON follows with its exit status (negative: killed by that signal) and what it wrote to
standard error. Everything is imported before, so the calls of the child are the job's own.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import signal
import sys
import traceback
from datetime import UTC, datetime
from pathlib import Path

import acmectl.pki.chain
import acmectl.storage.deleting
import acmectl.storage.healing
import acmectl.storage.notes
import acmectl.storage.saving
import acmectl.storage.switch
from acmectl.errors import StorageError
from acmectl.identifiers import Identifier
from acmectl.storage.accounts import AccountStore
from acmectl.storage.archive import CertificateFiles, VersionFiles
from acmectl.storage.layout import KINDS, Layout
from acmectl.storage.lineage import SECOND_KEY
from acmectl.storage.lineages import LineageStore
from acmectl.storage.notes import Note
from acmectl.storage.pending import PendingOrder, PendingRecord, PendingStore
from acmectl.storage.renewal_conf import RenewalConf, render

NAME = "a.test"
MANY = [NAME, *(f"{number}.test" for number in range(10))]
PARAMS = {"authenticator": "webroot", "account": "x", "webroot_path": ["/w"], "renew_hook": "new hook, with a comma"}
ORDER = PendingOrder(
    order_url="https://ca.test/order/2",
    server="https://ca.test/dir",
    account_url="https://ca.test/account/1",
    identifiers=(Identifier.dns(NAME),),
    profile=None,
    key_request="ecdsa",
    csr_der=b"\x30\x00",
    created=datetime(2026, 11, 21, tzinfo=UTC),
)


def material(root: Path) -> VersionFiles:
    files = {kind: (root / f"new-{kind}").read_bytes() for kind in KINDS}
    if not (root / "new-privkey-ecdsa").exists():
        return VersionFiles(**files, second=None, second_type=None)
    second = CertificateFiles(**{kind: (root / f"new-{kind}-ecdsa").read_bytes() for kind in KINDS})
    return VersionFiles(**files, second=second, second_type="ecdsa")


def no_exchange(_first: str, _second: str) -> None:
    raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))


def run(job: str, root: Path) -> None:
    layout = Layout(config_dir=root / "config", work_dir=root / "work", logs_dir=root / "logs")
    store = LineageStore(layout)
    files = material(root)
    if job == "renew-by-links":
        acmectl.storage.switch.exchange = no_exchange
    stop_until_traced()
    if job in {"renew", "renew-by-links", "first"}:
        number = store.save(NAME, files)
        store.write_conf(NAME, RenewalConf(params=PARAMS, own={SECOND_KEY: "ecdsa"} if files.second else {}))
        store.activate(NAME, number)
        store.prune(NAME, number)
    elif job == "notes":
        store.write_notes([Note(name=name, own={"seen": 2}, ari_retry_after="2026-11-22T07:00:00") for name in MANY])
    elif job == "heal":
        store.heal(NAME)
    elif job == "delete":
        store.delete(NAME)
    elif job == "pending":
        pending = PendingStore(layout)
        record = PendingRecord(order=ORDER, key_pem=files.privkey)
        pending.save(NAME, record)
        pending.mark_finalized(NAME, record)
    elif job == "drop":
        PendingStore(layout).drop(NAME)
    elif job == "account":
        AccountStore(layout).save(
            "https://ca.test/dir",
            key_jwk_json="{}",
            public_pem=b"public",
            uri="https://ca.test/account/1",
            creation_dt=ORDER.created,
            creation_host="host.test",
        )
    else:
        raise SystemExit(f"no such job: {job}")


def stop_until_traced() -> None:
    """Allow any process to trace this one, then stop until somebody sends SIGCONT."""
    set_ptracer, anyone = 0x59616D61, -1
    ctypes.CDLL(None).prctl(set_ptracer, ctypes.c_ulong(anyone), 0, 0, 0)
    os.kill(os.getpid(), signal.SIGSTOP)


def child(job: str, root: str, error_pipe: int) -> int:
    os.dup2(error_pipe, 2)
    try:
        run(job, Path(root))
    except StorageError as error:
        os.write(2, f"{error.message}\n".encode())
        return 1
    except BaseException:  # what must never reach a person is shown as it is
        os.write(2, traceback.format_exc().encode())
        return 3
    return 0


def serve(root: Path) -> None:
    # Has the system call looked up and ConfigObj imported before the first child.
    for name in ("x", "y"):
        (root / name).mkdir()
    acmectl.storage.switch.exchange(str(root / "x"), str(root / "y"))
    render(RenewalConf(params=PARAMS))
    for line in sys.stdin:
        job, directory = line.rstrip("\n").split("\t")
        reading, writing = os.pipe()
        pid = os.fork()
        if pid == 0:
            os._exit(child(job, directory, writing))
        os.close(writing)
        os.waitpid(pid, os.WUNTRACED)
        print(pid, flush=True)
        with open(reading, "rb") as pipe:
            said = pipe.read().decode()
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        print(json.dumps([status, said]), flush=True)


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
