"""Files beside the live links: written when a version goes live, kept on renewal, owed while they cannot be written."""

from __future__ import annotations

import contextlib
import grp
import json
import os
import pwd
import signal
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509

from tests.integration.cli import Acmectl, Outcome
from tests.integration.fleet import versions
from tests.integration.hosts import noted, notes, script
from tests.integration.servers.haproxy import HAProxy
from tests.integration.servers.pebble import Pebble, PebbleConfig
from tests.integration.servers.process import free_port
from tests.integration.tls import served_certificate, wait_until_served

NAME = "out.example"
PASSWORD = "canary of a password"


@pytest.fixture(scope="module")
def ca() -> Iterator[Pebble]:
    """A CA that is content with every challenge: no solver is under test here."""
    with Pebble(PebbleConfig(always_valid=True)) as pebble:
        yield pebble


@pytest.fixture
def program(ca: Pebble, tmp_path: Path) -> Iterator[Acmectl]:
    (tmp_path / "www").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "password").write_text(PASSWORD + "\n")
    with Acmectl(ca, tmp_path) as acmectl:
        yield acmectl


def issue(acmectl: Acmectl, *options: str, name: str = NAME, code: int = 0) -> Outcome:
    www = str(acmectl.folder / "www")
    return acmectl.certonly(name, options=("--webroot", "-w", www, "--no-preflight", *options), code=code)


def renew(acmectl: Acmectl, *options: str) -> Outcome:
    return acmectl.run("renew", "--force-renewal", "--no-preflight", *options)


def whole(acmectl: Acmectl, name: str = NAME) -> bytes:
    """Key, leaf and chain of the live version."""
    return b"".join(acmectl.live(name, kind).read_bytes() for kind in ("privkey", "cert", "chain"))


def access(path: Path) -> tuple[str, str, int]:
    status = path.lstat()
    return pwd.getpwuid(status.st_uid).pw_name, grp.getgrgid(status.st_gid).gr_name, stat.S_IMODE(status.st_mode)


def opened(path: Path, password: str) -> str:
    """What openssl makes of a PKCS#12 file: the key and the certificates as PEM, with their attributes."""
    command = ["openssl", "pkcs12", "-in", str(path), "-passin", f"pass:{password}", "-nodes"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def holds_live(acmectl: Acmectl, text: str) -> bool:
    """Whether PEM text has the live key, certificate and chain."""
    parts = [acmectl.live(NAME, kind).read_text().strip() for kind in ("privkey", "cert", "chain")]
    return all(part in text for part in parts)


def fill(path: Path) -> None:
    """Write to a file until the disk is full."""
    with path.open("wb", buffering=0) as ballast, contextlib.suppress(OSError):
        while ballast.write(bytes(512)):
            pass


def own(acmectl: Acmectl) -> dict[str, object]:
    """The section of the renewal file, whose values are JSON."""
    return {key: json.loads(value) for key, value in acmectl.renewal(NAME).get("acmectl", {}).items()}


@pytest.mark.usefixtures("root")
def test_haproxy_serves_the_file_and_a_renewal_replaces_both(program: Acmectl, ca: Pebble, tmp_path: Path) -> None:
    pem, p12 = tmp_path / "out" / "site.pem", tmp_path / "out" / "site.p12"
    access_options = ("--owner", "nobody", "--group", "nogroup", "--mode", "640")
    password = ("--pkcs12-password", f"file:{tmp_path}/password")
    first = issue(program, "--pem-out", str(pem), "--pkcs12-out", str(p12), *password, *access_options)
    assert access(pem) == access(p12) == ("nobody", "nogroup", 0o640)
    assert pem.read_bytes() == whole(program)
    text = opened(p12, PASSWORD)
    assert holds_live(program, text)
    assert f"friendlyName: {NAME}" in text
    roots = tmp_path / "roots.pem"
    roots.write_bytes(b"".join(ca.roots()))
    chain = program.live(NAME, "chain")
    subprocess.run(["openssl", "verify", "-CAfile", str(roots), "-untrusted", str(chain), str(pem)], check=True)
    port = free_port()
    lines = f"frontend f\n    mode http\n    bind 127.0.0.1:{port} ssl crt {pem}\n    http-request deny\n"
    with HAProxy(port, lines) as haproxy:
        assert served_certificate(port, NAME) == program.certificate(NAME)
        inode = pem.stat().st_ino
        told = noted(tmp_path / "told", "ACMECTL_PEM", "ACMECTL_PKCS12", "RENEWED_LINEAGE")
        hook = script(tmp_path / "hook", f"{told}\nkill -USR2 {haproxy.process.pid}")
        second = renew(program, "--deploy-hook", hook).ok()
        wait_until_served(port, NAME, program.certificate(NAME))
    assert pem.stat().st_ino != inode
    assert pem.read_bytes() == whole(program)
    assert holds_live(program, opened(p12, PASSWORD))
    assert access(pem) == access(p12) == ("nobody", "nogroup", 0o640)
    assert notes(tmp_path / "told") == [
        {"ACMECTL_PEM": str(pem), "ACMECTL_PKCS12": str(p12), "RENEWED_LINEAGE": str(program.live(NAME).parent)}
    ]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["site.p12", "site.pem"]
    logs = "".join(path.read_text() for path in program.logs.rglob("*") if path.is_file())
    conf = program.renewal_path(NAME).read_text()
    for said in (first.out, first.err, second.out, second.err, logs, conf):
        assert PASSWORD not in said
    assert own(program)["pkcs12_password"] == f"file:{tmp_path}/password"


def test_without_a_password_there_is_one_warning_and_the_mode_protects(program: Acmectl, tmp_path: Path) -> None:
    p12 = tmp_path / "out" / "site.p12"
    done = issue(program, "--pkcs12-out", str(p12))
    assert done.err.count("empty password") == 1
    assert stat.S_IMODE(p12.stat().st_mode) == 0o600
    assert holds_live(program, opened(p12, ""))
    assert "empty password" not in renew(program).ok().err
    assert holds_live(program, opened(p12, ""))


def test_an_output_that_cannot_be_written_is_owed_and_the_hook_waits_for_it(program: Acmectl, tmp_path: Path) -> None:
    folder, away = tmp_path / "out", tmp_path / "away"
    hook = script(tmp_path / "hook", f"echo x >> {tmp_path}/ran")
    issue(program, "--pem-out", str(folder / "site.pem"), "--deploy-hook", hook)
    folder.rename(away)
    failed = renew(program, "--json").failed()
    (one,) = failed.json["lineages"]
    assert (one["outcome"], one["deploy_owed"]) == ("success", ["--pem-out", hook])
    assert f"the directory {folder} does not exist" in str(one["hook_failures"])
    assert versions(program, NAME) == {"2"}
    assert (tmp_path / "ran").read_text() == "x\n"
    # certonly finds the certificate good and tries again; so does renew, and with the file comes the hook.
    assert "--pem-out" in issue(program, "--keep", code=1).err
    away.rename(folder)
    program.run("renew", "--retry-deploy").ok()
    assert (folder / "site.pem").read_bytes() == whole(program)
    assert (tmp_path / "ran").read_text() == "x\nx\n"
    assert "deploy" not in own(program)


@pytest.mark.usefixtures("root")
def test_a_full_disk_leaves_the_old_file_and_is_owed(program: Acmectl, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=32k", "none", str(folder)], check=True)
    try:
        pem = folder / "site.pem"
        issue(program, "--pem-out", str(pem))
        before = pem.read_bytes()
        fill(folder / "ballast")
        failed = renew(program).failed()
        assert f"{pem} cannot be written: No space left on device" in failed.err
        assert versions(program, NAME) == {"2"}
        assert pem.read_bytes() == before
        assert sorted(path.name for path in folder.iterdir()) == ["ballast", "site.pem"]
        (folder / "ballast").unlink()
        program.run("renew", "--retry-deploy").ok()
        assert pem.read_bytes() == whole(program)
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_run_that_is_killed_between_live_and_the_file_owes_it(program: Acmectl, tmp_path: Path) -> None:
    p12, ready = tmp_path / "out" / "site.p12", tmp_path / "ready"
    os.mkfifo(ready)
    asks = script(
        tmp_path / "asks",
        f"if [ -e {tmp_path}/hang ]; then rm {tmp_path}/hang; echo > {ready}; exec sleep 600; fi; echo '{PASSWORD}'",
    )
    issue(program, "--pkcs12-out", str(p12), "--pkcs12-password", f"cmd:{asks}")
    (tmp_path / "hang").touch()
    run = program.start("renew", "--force-renewal", "--no-preflight")
    run.told(ready)
    run.kill()
    assert run.wait().code == -signal.SIGKILL
    assert versions(program, NAME) == {"2"}
    assert not holds_live(program, opened(p12, PASSWORD))
    program.run("renew").ok()
    assert versions(program, NAME) == {"2"}
    assert holds_live(program, opened(p12, PASSWORD))
    assert "deploy" not in own(program)


def test_an_output_for_a_certificate_that_is_there_already(program: Acmectl, tmp_path: Path) -> None:
    """Given to certonly that keeps the certificate, lost, listed, rolled back, taken away, and left by delete."""
    pem, p12 = tmp_path / "out" / "site.pem", tmp_path / "out" / "site.p12"
    issue(program)
    program.run("certonly", "-n", "--keep", "-d", NAME, "--pem-out", "../out/site.pem").ok()
    assert (own(program)["pem_out"], pem.read_bytes()) == (str(pem), whole(program))
    assert program.version(NAME) == 1
    for again in (("certonly", "-n", "--keep", "-d", NAME), ("renew",)):
        pem.unlink()
        program.run(*again).ok()
        assert pem.read_bytes() == whole(program)
    listed = program.run("certificates", server=False).ok().out
    assert f"    PEM File: {pem}\n" in listed
    (one,) = program.run("certificates", "--json", server=False).ok().json["certificates"]
    assert one["outputs"] == {"pem": str(pem)}
    renew(program).ok()
    second = pem.read_bytes()
    program.run("rollback", "--cert-name", NAME, server=False).ok()
    assert pem.read_bytes() == whole(program) != second
    before = pem.stat().st_mtime_ns
    trial = ("reconfigure", "--cert-name", NAME, "-n", "--no-preflight", "--pem-out", "", "--pkcs12-out", str(p12))
    program.run(*trial, "--dry-run", server=True).ok()
    assert (own(program)["pem_out"], p12.exists(), pem.stat().st_mtime_ns) == (str(pem), False, before)
    done = program.run(*trial).ok()
    assert f"{pem} stays as it is" in done.out
    assert ("pem_out" in own(program), own(program)["pkcs12_out"]) == (False, str(p12))
    assert holds_live(program, opened(p12, ""))
    gone = program.run("revoke", "-n", "--cert-name", NAME, "--delete-after-revoke").ok()
    assert f"{p12} is left" in gone.out
    assert p12.exists()


@pytest.mark.usefixtures("root")
def test_without_files_owner_and_mode_are_those_of_the_live_key(program: Acmectl) -> None:
    key = program.live(NAME, "privkey")
    issue(program, "--owner", "nobody", "--group", "nogroup", "--mode", "640")
    assert access(key.resolve()) == ("nobody", "nogroup", 0o640)
    renew(program).ok()
    assert key.resolve().name == "privkey2.pem"
    assert access(key.resolve()) == ("nobody", "nogroup", 0o640)


def test_of_two_certificates_the_second_is_written_beside_the_first(program: Acmectl, tmp_path: Path) -> None:
    pem = tmp_path / "out" / "site.pem"
    issue(program, "--key-type", "rsa,ecdsa", "--pem-out", str(pem), "--pkcs12-out", str(tmp_path / "out" / "site.p12"))
    (second,) = (path for path in (tmp_path / "out").glob("site-*.pem"))
    key_type = second.stem.removeprefix("site-")
    parts = [program.live(NAME, f"{kind}-{key_type}").read_bytes() for kind in ("privkey", "cert", "chain")]
    assert second.read_bytes() == b"".join(parts) != pem.read_bytes() == whole(program)
    names = {"site.pem", f"site-{key_type}.pem", "site.p12", f"site-{key_type}.p12"}
    assert {path.name for path in (tmp_path / "out").iterdir()} == names
    assert parts[1].decode() in opened(tmp_path / "out" / f"site-{key_type}.p12", "")
    before = second.read_bytes()
    renew(program).ok()
    assert second.read_bytes() != before
    before = second.read_bytes()
    second.unlink()
    program.run("renew", "--no-preflight").ok()
    assert second.read_bytes() == before
    assert " holds version " not in program.run("renew", "--no-preflight").ok().out
    kinds = [
        line for line in program.run("delete", "-n", "--cert-name", NAME).ok().out.splitlines() if " is left" in line
    ]
    assert len(kinds) == len(names)


@pytest.mark.usefixtures("root")
def test_a_second_certificate_takes_no_file_that_is_anothers(program: Acmectl, ca: Pebble, tmp_path: Path) -> None:
    out = tmp_path / "out"
    issue(program, "--pem-out", str(out / "site.pem"))
    issue(program, "--pem-out", str(out / "site-rsa.pem"), name="taken.example")
    before = (out / "site-rsa.pem").read_bytes()
    two = ("--cert-name", NAME, "--key-type", "ecdsa,rsa")
    assert "is written for the certificate taken.example" in issue(program, *two, code=1).err
    assert (out / "site-rsa.pem").read_bytes() == before
    program.run("delete", "-n", "--cert-name", "taken.example").ok()
    (out / "site-rsa.pem").write_text("something of somebody's\n")
    assert "holds something else" in issue(program, *two, code=1).err
    (out / "site-rsa.pem").unlink()
    issue(program, *two)

    # What was taken away no longer counts: the files are the program's again at once.
    program.run(
        "reconfigure", "-n", "--cert-name", NAME, "--owner", "nobody", "--group", "nogroup", "--mode", "640"
    ).ok()
    assert access(out / "site.pem") == access(out / "site-rsa.pem") == ("nobody", "nogroup", 0o640)
    program.run("reconfigure", "-n", "--cert-name", NAME, "--owner", "").ok()
    assert access(out / "site.pem") == access(out / "site-rsa.pem") == ("root", "nogroup", 0o640)
    done = program.run("reconfigure", "-n", "--cert-name", NAME, "--group", "").ok()
    assert "is not written any more" not in done.out
    ours = ("root", grp.getgrgid(os.getegid()).gr_name, 0o640)
    assert access(out / "site.pem") == access(out / "site-rsa.pem") == ours
    done = program.run("reconfigure", "-n", "--cert-name", NAME, "--key-type", "ecdsa").ok()
    assert f"{out}/site-rsa.pem stays as it is; it is not written any more." in done.out


REFUSED = {
    "no such user": (("--pem-out", "{out}/x", "--owner", "nobody-at-all"), 1, "there is no user 'nobody-at-all'"),
    "no such group": (("--pem-out", "{out}/x", "--group", "none-at-all"), 1, "there is no group 'none-at-all'"),
    "no folder": (("--pem-out", "{out}/a/b/x.pem"), 1, "/out/a/b does not exist"),
    "a folder": (("--pem-out", "{out}"), 1, "is no file"),
    "a link": (("--pem-out", "{out}/link"), 1, "is a symbolic link"),
    "a foreign link": (("--pem-out", "{out}/foreign/x"), 1, "foreign on the way there is a symbolic link"),
    "something else": (("--pem-out", "{out}/other"), 1, "holds something else"),
    "the tree": (("--pem-out", "{tree}/live/x.pem"), 1, "acmectl's own"),
    "the tree by a link": (("--pem-out", "{out}/tree/live/x.pem"), 1, "acmectl's own"),
    "one file twice": (("--pem-out", "{out}/x", "--pkcs12-out", "{out}/x"), 1, "are the same file"),
    "another's": (("--pem-out", "{out}/taken.pem"), 1, "is written for the certificate taken.example"),
    "a password": (("--pkcs12-out", "{out}/x", "--pkcs12-password", PASSWORD), 2, "a password itself is not taken"),
    "no password": (("--pkcs12-out", "{out}/x", "--pkcs12-password", "env:NOWHERE"), 1, "NOWHERE is not set"),
    "nothing as password": (("--pkcs12-out", "{out}/x", "--pkcs12-password", "env:EMPTY"), 1, "is empty"),
    "no mode": (("--pem-out", "{out}/x", "--mode", "rw"), 2, "'rw' is no mode"),
    "a mode for all": (("--pem-out", "{out}/x", "--mode", "0666"), 2, "everybody could write"),
    "standard output": (("--pem-out", "-"), 2, "standard output"),
}


@pytest.mark.usefixtures("root")
def test_what_cannot_be_is_refused_before_the_order(
    program: Acmectl, ca: Pebble, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    issue(program, "--pem-out", str(out / "taken.pem"), name="taken.example")
    (out / "link").symlink_to(out / "elsewhere")
    (out / "foreign").symlink_to(tmp_path)
    os.lchown(out / "foreign", 65534, 65534)
    (out / "other").write_text("root:x:0:0\n")
    (out / "tree").symlink_to(program.config)
    monkeypatch.setenv("EMPTY", "")
    before = sorted(path.name for path in out.iterdir())
    orders = [request for request in ca.requests() if "order-plz" in request]
    for why, (options, code, said) in REFUSED.items():
        given = [option.format(out=out, tree=program.config) for option in options]
        done = issue(program, *given, code=code)
        assert said in done.err, f"{why}: {done}"
        assert len(done.errors) == 1, f"{why}: {done}"
        assert PASSWORD not in done.out + done.err + program.log(), why
    assert [request for request in ca.requests() if "order-plz" in request] == orders
    assert sorted(path.name for path in out.iterdir()) == before
    assert program.lineages() == ["taken.example"]
    many = program.run("renew", "--pem-out", str(out / "x")).failed()
    assert "needs --cert-name" in many.err


def test_a_dry_run_writes_nothing_and_tells_what_would_fail(program: Acmectl, tmp_path: Path) -> None:
    pem = tmp_path / "out" / "site.pem"
    issue(program, "--pem-out", str(pem), "--dry-run")
    assert not pem.exists()
    issue(program, "--pem-out", str(pem))
    before = pem.stat().st_ino
    program.run("renew", "--dry-run", "--no-preflight").ok()
    assert pem.stat().st_ino == before
    pem.rename(tmp_path / "kept")
    pem.parent.rmdir()
    assert "does not exist" in program.run("renew", "--dry-run", "--no-preflight").failed().err


def test_a_key_that_is_elsewhere_is_in_no_file(program: Acmectl, tmp_path: Path) -> None:
    pem, csr = tmp_path / "out" / "site.pem", tmp_path / "csr.pem"
    command = ["openssl", "req", "-new", "-newkey", "rsa:2048", "-nodes", "-keyout", str(tmp_path / "k.pem")]
    options = ["-out", str(csr), "-subj", "/", "-addext", f"subjectAltName=DNS:{NAME}"]
    subprocess.run([*command, *options], check=True, capture_output=True)
    www = ("--webroot", "-w", str(tmp_path / "www"), "--no-preflight")
    base = ("certonly", "-n", "--agree-tos", *www, "--csr", str(csr))
    named = (*base, "--cert-name", NAME)
    refused = program.run(*named, "--pkcs12-out", str(tmp_path / "out" / "x.p12")).failed()
    assert "PKCS#12 needs it" in refused.err
    token = ("--key", "pkcs11:token=none;object=none?module-path=/none.so")
    assert "PKCS#12 needs it" in issue(program, *token, "--pkcs12-out", str(tmp_path / "out" / "x.p12"), code=1).err
    done = program.run(*named, "--pem-out", str(pem)).ok()
    assert "gets no private key" in done.err
    assert pem.read_bytes() == program.live(NAME, "fullchain").read_bytes()
    assert len(x509.load_pem_x509_certificates(pem.read_bytes())) >= 2
    assert "without --cert-name" in program.run(*base, "--pem-out", str(pem)).failed().err
