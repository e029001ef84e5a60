"""The store is killed, or refused by the disk, at every single system call of a job; then the next run looks at it.

The process is killed from outside (strace), not by a switch in the program.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import pytest

from acmectl.errors import LineageNotFound
from acmectl.storage.accounts import AccountStore
from acmectl.storage.archive import VersionFiles
from acmectl.storage.layout import KINDS, Layout
from acmectl.storage.lineage import Lineage
from acmectl.storage.lineages import LineageStore
from acmectl.storage.pending import PendingRecord, PendingStore
from acmectl.storage.renewal_conf import RenewalConf
from tests.integration.servers.requirements import not_run, require
from tests.unit.storage import crash_driver
from tests.unit.storage.crash_driver import MANY, NAME, ORDER, PARAMS
from tests.unit.storage.material import issue, layout_in, version_files

CALLS = (
    *("openat", "write", "fsync", "rename", "renameat", "renameat2", "symlink", "symlinkat", "mkdir", "mkdirat"),
    *("link", "linkat", "unlink", "unlinkat", "rmdir", "chmod", "fchmod", "fchmodat", "chown", "fchown", "lchown"),
    *("fchownat", "setxattr", "syncfs"),
)
READING = ("getdents64", "readlink", "read")
ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def strace() -> None:
    require("strace")


class Ended(NamedTuple):
    """How a job ended: exit status (negative: by that signal), what it said, and the calls that were traced."""

    status: int
    error: str
    trace: str


class Crashing:
    """One job on one prepared installation, run again and again with another call made to fail."""

    def __init__(self, tmp_path: Path, job: str, prepare: Callable[[Layout], None]) -> None:
        self._template = tmp_path / "template"
        self._root = tmp_path / "run"
        self._trace = tmp_path / "trace"
        self._job = job
        layout = layout_in(self._template)
        for kind in KINDS:
            (self._template / f"new-{kind}").write_bytes(NEW.of(kind))
        prepare(layout)
        self._server = subprocess.Popen(
            # The real interpreter: what is called python may be a script that starts it.
            [sys._base_executable, crash_driver.__file__, str(tmp_path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={
                "PATH": os.environ["PATH"],
                "PYTHONPATH": os.pathsep.join([str(ROOT), *(p for p in sys.path if p.endswith("site-packages"))]),
            },
        )

    def __enter__(self) -> Crashing:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.communicate()

    def run(self, *expressions: str) -> Ended:
        """Restore the installation and run the job on it under strace with these ``-e`` expressions."""
        shutil.rmtree(self._root, ignore_errors=True)
        shutil.copytree(self._template, self._root, symlinks=True)
        # The installation is copied to another place: its renewal file has to name the new one.
        for conf in self._root.glob("config/renewal/*.conf"):
            conf.write_text(conf.read_text().replace(str(self._template), str(self._root)))
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        self._server.stdin.write(f"{self._job}\t{self._root}\n")
        self._server.stdin.flush()
        pid = int(self._server.stdout.readline())
        options = [word for expression in expressions for word in ("-e", expression)]
        command = ["strace", "-o", str(self._trace), *options, "-p", str(pid)]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as strace:
            assert strace.stderr is not None
            said = strace.stderr.readline()
            if "attached" not in said:
                os.kill(pid, signal.SIGKILL)
                not_run(f"a process may not be traced here: {said.strip()}")
            os.kill(pid, signal.SIGCONT)
            status, error = json.loads(self._server.stdout.readline())
            strace.communicate()
        return Ended(status, error, self._trace.read_text())

    def points(self, calls: Iterable[str]) -> list[tuple[str, int]]:
        """Every call of the job, as its name and the how-manieth of its name it is."""
        ended = self.run(f"trace={','.join('?' + call for call in calls)}")
        assert ended.status == 0, ended.error
        counts: dict[str, int] = {}
        found = []
        for call in re.findall(r"^(\w+)\(", ended.trace, re.MULTILINE):
            counts[call] = counts.get(call, 0) + 1
            found.append((call, counts[call]))
        assert found, "the job makes no calls: what is tested?"
        return found

    def killed_everywhere(self) -> Iterator[tuple[Layout, str]]:
        """The installation as it is after the job was killed, for every call of the job."""
        for call, number in self.points(CALLS):
            ended = self.run(f"trace={call}", f"inject={call}:signal=SIGKILL:when={number}")
            point = f"killed at {call} number {number}"
            assert ended.status == -signal.SIGKILL, (point, ended)
            yield self.layout, point

    def refused_everywhere(self, error: str) -> Iterator[tuple[Layout, str, Ended]]:
        """The installation as it is after one call failed with ``error``, for every call of the job."""
        for call, number in self.points((*CALLS, *READING)):
            ended = self.run(f"trace={call}", f"inject={call}:error={error}:when={number}")
            point = f"{error} at {call} number {number}"
            assert "(INJECTED)" in ended.trace, point
            yield self.layout, point, ended

    @property
    def layout(self) -> Layout:
        return Layout(config_dir=self._root / "config", work_dir=self._root / "work", logs_dir=self._root / "logs")


Factory = Callable[[str, Callable[[Layout], None]], Crashing]
NEW = version_files(NAME, serial=2)
OLD = version_files(NAME, serial=1)


@pytest.fixture
def crashing(tmp_path: Path) -> Iterator[Factory]:
    with ExitStack() as stack:
        yield lambda job, prepare: stack.enter_context(Crashing(tmp_path, job, prepare))


def one_version(layout: Layout) -> Lineage:
    store = LineageStore(layout)
    store.heal(NAME)
    return store.get(NAME)


def remains(layout: Layout) -> list[Path]:
    return [p for p in layout.config_dir.parent.rglob("*") if p.name.startswith(".acmectl") or p.name.endswith(".new")]


def is_whole(lineage: Lineage, *candidates: VersionFiles) -> bool:
    return not lineage.is_switching and lineage.read_all() in candidates


@pytest.mark.parametrize("job", ["renew", "renew-by-links"])
def test_a_renewal_killed_anywhere_ends_with_one_whole_version(crashing: Factory, job: str) -> None:
    def prepare(layout: Layout) -> None:
        issue(LineageStore(layout), NAME)
        (layout.live(NAME) / "theirs").write_text("theirs")

    seen = set()
    for layout, point in crashing(job, prepare).killed_everywhere():
        if job == "renew":
            # One step: whoever looks, even before anything is healed, sees all old or all new.
            assert is_whole(LineageStore(layout).get(NAME), OLD, NEW), point
        lineage = one_version(layout)
        assert is_whole(lineage, OLD, NEW), point
        assert remains(layout) == [], point
        assert (layout.live(NAME) / "theirs").read_text() == "theirs", point
        saved = (layout.archive(NAME) / "fullchain2.pem").exists()
        assert lineage.read_all() == (NEW if saved else OLD), f"{point}: a saved version has to go live"
        seen.add(lineage.version)
        # And the program goes on: the next version can be stored.
        store = LineageStore(layout)
        number = store.save(NAME, version_files(NAME, serial=3))
        store.activate(NAME, number)
        assert is_whole(store.get(NAME), version_files(NAME, serial=3)), point
    assert seen == {1, 2}


def test_a_first_issuance_killed_anywhere_can_be_finished_or_repeated(crashing: Factory) -> None:
    adopted = set()
    for layout, point in crashing("first", lambda _: None).killed_everywhere():
        store = LineageStore(layout)
        conf = RenewalConf(params=PARAMS)
        store.heal(NAME)
        number = store.adopt_saved(NAME, NEW.privkey, conf, version=1)
        adopted.add(number)
        if number is None:
            if not store.exists(NAME):
                store.check_free(NAME)
            number = store.save(NAME, NEW)
            store.write_conf(NAME, conf)
            store.activate(NAME, number)
        lineage = store.open(NAME).lineage
        assert isinstance(lineage, Lineage), point
        assert is_whole(lineage, NEW), point
        assert lineage.conf.params == PARAMS, point
        assert remains(layout) == [], point
        assert store.open(NAME).healed == (), point
    assert adopted == {1, None}


def test_a_first_issuance_killed_anywhere_can_be_deleted(crashing: Factory) -> None:
    deleted = 0
    for layout, point in crashing("first", lambda _: None).killed_everywhere():
        store = LineageStore(layout)
        try:
            store.delete(NAME)
            deleted += 1
        except LineageNotFound:
            # Killed before there was anything to own: the name has to be free.
            store.check_free(NAME)
        assert not store.exists(NAME), point
        assert not layout.live(NAME).exists(), point
        store.check_free(NAME)
    assert deleted


def test_a_healing_killed_anywhere_can_be_repeated(crashing: Factory) -> None:
    def prepare(layout: Layout) -> None:
        store = LineageStore(layout)
        issue(store, NAME)
        store.save(NAME, NEW)
        for kind in KINDS:
            (layout.live(NAME) / f"previous_{kind}.pem").symlink_to(f"../../archive/{NAME}/{kind}1.pem")
        (layout.live(NAME) / "cert.pem").unlink()
        (layout.live_root / f".acmectl.{NAME}").mkdir()
        (layout.renewal_root / f"{NAME}.conf.new").touch()

    for layout, point in crashing("heal", prepare).killed_everywhere():
        assert is_whole(one_version(layout), NEW), point
        assert remains(layout) == [], point


def test_a_deletion_killed_anywhere_can_be_repeated(crashing: Factory) -> None:
    for layout, point in crashing("delete", lambda layout: issue(LineageStore(layout), NAME)).killed_everywhere():
        store = LineageStore(layout)
        if store.exists(NAME):
            store.delete(NAME)
        left = {str(p.relative_to(layout.config_dir)) for p in layout.config_dir.rglob("*")}
        assert left == {"renewal", "live", "live/README", "archive"}, point


@pytest.mark.parametrize("again", [False, True])
def test_a_pending_order_killed_anywhere_is_whole_or_not_there(crashing: Factory, again: bool) -> None:
    earlier = PendingRecord(order=ORDER, key_pem=OLD.privkey)

    def prepare(layout: Layout) -> None:
        if again:
            PendingStore(layout).save(NAME, earlier)

    for layout, point in crashing("pending", prepare).killed_everywhere():
        record = PendingStore(layout).load(NAME).record
        assert record is None or record == earlier or record.key_pem == NEW.privkey, point
        fresh = PendingRecord(order=ORDER, key_pem=NEW.privkey)
        PendingStore(layout).save(NAME, fresh)
        assert PendingStore(layout).load(NAME).record == fresh, point
        assert remains(layout) == [], point


def test_dropping_a_pending_order_killed_anywhere_can_be_repeated(crashing: Factory) -> None:
    def prepare(layout: Layout) -> None:
        PendingStore(layout).save(NAME, PendingRecord(order=ORDER, key_pem=NEW.privkey))

    for layout, point in crashing("drop", prepare).killed_everywhere():
        PendingStore(layout).load(NAME)
        PendingStore(layout).drop(NAME)
        assert not layout.pending(NAME).exists(), point


def test_an_account_killed_anywhere_is_whole_or_not_there(crashing: Factory) -> None:
    counts = set()
    for layout, point in crashing("account", lambda _: None).killed_everywhere():
        listing = AccountStore(layout).list("https://ca.test/dir")
        assert listing.skipped == (), point
        counts.add(len(listing.accounts))
    assert counts == {0, 1}


@pytest.mark.parametrize(("job", "error"), [("renew", "ENOSPC"), ("renew-by-links", "EIO")])
def test_a_disk_that_refuses_anything_costs_one_clear_line_and_nothing_else(
    crashing: Factory, job: str, error: str
) -> None:
    def prepare(layout: Layout) -> None:
        issue(LineageStore(layout), NAME)

    for layout, point, ended in crashing(job, prepare).refused_everywhere(error):
        assert ended.status in (0, 1), (point, ended.error)
        if ended.status == 1:
            assert re.fullmatch(r"[^\n]+\.\n", ended.error), (point, ended.error)
            assert "Traceback" not in ended.error, point
        else:
            assert ended.error == "", point
        if job == "renew":
            assert is_whole(LineageStore(layout).get(NAME), OLD, NEW), point
        # What stays after a success is what could not be removed in that very call; the next run removes it.
        assert remains(layout) == [] or ended.status == 0 or "unlink" in point or "rmdir" in point, point
        lineage = one_version(layout)
        assert is_whole(lineage, OLD, NEW), point
        assert ended.status == 1 or lineage.version == 2, point


def test_a_first_issuance_that_the_disk_refuses_leaves_a_free_name_or_a_finished_one(crashing: Factory) -> None:
    for layout, point, ended in crashing("first", lambda _: None).refused_everywhere("ENOSPC"):
        assert ended.status in (0, 1), (point, ended.error)
        store = LineageStore(layout)
        if ended.status == 1:
            assert re.fullmatch(r"[^\n]+\.\n", ended.error), (point, ended.error)
            if not store.exists(NAME):
                store.check_free(NAME)
        store.heal(NAME)
        if store.exists(NAME):
            assert is_whole(store.get(NAME), NEW), point


def many(layout: Layout) -> None:
    for name in MANY:
        issue(LineageStore(layout), name)
        LineageStore(layout).update_own(name, {"seen": 1})


def seen(layout: Layout) -> list[object]:
    """What the note in each renewal file says, none of which may be torn."""
    store = LineageStore(layout)
    confs = [store.renewal_conf(name) for name in MANY]
    assert all((conf.params, set(conf.own)) == (confs[0].params, {"seen"}) for conf in confs)
    return [conf.own["seen"] for conf in confs]


def test_notes_killed_anywhere_leave_whole_renewal_files(crashing: Factory) -> None:
    counts = set()
    for layout, point in crashing("notes", many).killed_everywhere():
        noted = seen(layout)
        assert set(noted) <= {1, 2}, point
        counts.add(noted.count(2))
        for name in MANY:
            LineageStore(layout).heal(name)
        assert remains(layout) == [], point
    assert counts >= {0, 1, len(MANY) - 1}


def test_notes_that_the_disk_refuses_leave_whole_renewal_files_and_nothing_else(crashing: Factory) -> None:
    for layout, point, ended in crashing("notes", many).refused_everywhere("ENOSPC"):
        assert ended.status in (0, 1), (point, ended.error)
        assert set(seen(layout)) <= {1, 2}, point
        if ended.status == 1:
            assert re.fullmatch(r"[^\n]+\.\n", ended.error), (point, ended.error)
            assert remains(layout) == [], point
        else:
            assert set(seen(layout)) == {2}, point


def test_notes_are_on_disk_before_a_name_stands_for_them(crashing: Factory) -> None:
    ended = crashing("notes", many).run("trace=openat,write,fsync,syncfs,rename")
    assert ended.status == 0, ended.error
    steps = [
        "write" if call == "openat" else call
        for call, rest in re.findall(r"^(\w+)\((.*)", ended.trace, re.MULTILINE)
        if call != "openat" or "O_CREAT" in rest
    ]
    assert "fsync" not in steps
    assert steps.count("syncfs") == 1
    before, after = steps[: steps.index("syncfs")], steps[steps.index("syncfs") + 1 :]
    assert set(before) == {"write"}
    assert after == ["rename"] * len(MANY)


def test_a_renewal_that_nothing_happens_to_ends_with_the_new_version(crashing: Factory) -> None:
    renewing = crashing("renew", lambda layout: issue(LineageStore(layout), NAME))
    assert renewing.run("trace=none").status == 0
    assert is_whole(LineageStore(renewing.layout).get(NAME), NEW)


@pytest.mark.parametrize("job", ["renew", "renew-by-links", "first", "pending", "account"])
def test_bytes_are_on_disk_before_a_name_stands_for_them_and_names_before_the_job_ends(
    crashing: Factory, job: str
) -> None:
    def prepare(layout: Layout) -> None:
        if job.startswith("renew"):
            issue(LineageStore(layout), NAME)

    ended = crashing(job, prepare).run("trace=openat,write,fsync,rename,renameat2,symlink,mkdir")
    assert ended.status == 0, ended.error
    opened: dict[str, str] = {}
    unsynced_files: set[str] = set()
    unsynced_names: set[str] = set()
    renames = 0
    for line in ended.trace.splitlines():
        call, _, arguments = line.partition("(")
        paths = re.findall(r'"([^"]*)"', arguments)
        if call == "openat" and " = -1 " not in line:
            opened[line.rpartition(" = ")[2]] = paths[0]
            if "O_CREAT" in line and not paths[0].endswith("-unfinished"):
                unsynced_files.add(paths[0])
        elif call == "fsync":
            path = opened[arguments.partition(")")[0]]
            unsynced_files.discard(path)
            unsynced_names = {name for name in unsynced_names if os.path.dirname(name) != path}
        elif call in {"rename", "renameat2"}:
            renames += 1
            assert paths[0] not in unsynced_files, line
            # What a directory holds goes with it, so its entries have to be durable before.
            assert paths[0] not in {os.path.dirname(name) for name in unsynced_names}, line
            unsynced_names.add(paths[1])
        elif call in {"symlink", "mkdir"} and " = -1 " not in line:
            unsynced_names.add(paths[-1])
    assert renames
    assert unsynced_files == set()
    # A name that is gone again, because it was renamed or given up, need not be durable.
    assert {name for name in unsynced_names if os.path.lexists(name)} == set()
