"""dns-exec from end to end: a program written for lego's exec changes BIND's zone, and Pebble validates that."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.cli import Acmectl
from tests.integration.servers.dns_lab import PRIMARY, DnsLab, secret
from tests.integration.servers.pebble import Pebble
from tests.integration.servers.process import wait_until
from tests.integration.servers.requirements import require

KEY = f"hmac-sha256:acmectl-key:{secret('acmectl-key')}"

PROGRAM = """\
#!/bin/sh
set -eu
printf '%s ' "$@" >>"$0.calls"; echo >>"$0.calls"
echo "working on $2"
case $1 in
    present) change="update add $2 60 TXT $3" ;;
    cleanup) change="update delete $2 TXT $3" ;;
esac
printf 'server PRIMARY\\n%s\\nsend\\n' "$change" | nsupdate -y KEY
"""
RAW_PROGRAM = """\
#!/bin/sh
set -eu
printf '%s ' "$1" "$2" "$3" >>"$0.calls"; echo >>"$0.calls"
value=$(printf %s "$5" | openssl dgst -sha256 -binary | openssl base64 | tr '+/' '-_' | tr -d =)
case $1 in
    present) change="update add _acme-challenge.$3. 60 TXT $value" ;;
    cleanup) change="update delete _acme-challenge.$3. TXT $value" ;;
esac
printf 'server PRIMARY\\n%s\\nsend\\n' "$change" | nsupdate -y KEY
"""


@pytest.fixture
def acmectl(dns_lab, dns_pebble, tmp_path) -> Iterator[Acmectl]:
    with dns_lab.acmectl(dns_pebble, tmp_path) as program:
        yield program


def script(path: Path, text: str) -> Path:
    require("nsupdate", "openssl")
    path.write_text(text.replace("PRIMARY", PRIMARY).replace("KEY", KEY))
    path.chmod(0o755)
    return path


def calls(program: Path) -> list[str]:
    return [line.strip() for line in Path(f"{program}.calls").read_text().splitlines()]


def by_program(path: Path, *more: str) -> tuple[str, ...]:
    return ("-a", "dns-exec", "--dns-exec-program", str(path), *more)


def test_a_program_for_lego_s_exec_works_unchanged(
    acmectl: Acmectl, dns_lab: DnsLab, dns_pebble: Pebble, tmp_path: Path
) -> None:
    program = script(tmp_path / "update-dns.sh", PROGRAM)
    done = acmectl.certonly("exec.example.test", "*.exec.example.test", options=by_program(program))
    assert acmectl.names("exec.example.test") == ["*.exec.example.test", "exec.example.test"]
    said_by_it = [line.split() for line in calls(program)]
    assert [line[0] for line in said_by_it] == ["present", "present", "cleanup", "cleanup"]
    assert {line[1] for line in said_by_it} == {"_acme-challenge.exec.example.test."}
    assert {len(line[2]) for line in said_by_it} == {43}
    assert len({line[2] for line in said_by_it}) == 2
    assert "working on _acme-challenge.exec.example.test." in done.out
    assert dns_lab.txt("_acme-challenge.exec.example.test") == set()
    assert acmectl.params("exec.example.test")["dns_exec_program"] == str(program)

    def renew() -> None:
        Path(f"{program}.calls").write_text("")
        acmectl.run("renew", "--force-renewal").ok()

    dns_pebble.authorized_anew(renew, 2)
    assert acmectl.version("exec.example.test") >= 2
    assert len(calls(program)) == 4


def test_the_program_is_told_where_an_alias_leads(acmectl: Acmectl, dns_lab: DnsLab, tmp_path: Path) -> None:
    program = script(tmp_path / "update-dns.sh", PROGRAM)
    change = "update add _acme-challenge.execalias.example.test 60 CNAME target.exec.second.test"
    dns_lab.run("nsupdate", "-y", KEY, text=f"server {PRIMARY}\n{change}\nsend\n")
    environment = {"EXEC_PATH": str(program)}
    flags = ("certonly", "-n", "--agree-tos", "-a", "dns-exec", "-d", "execalias.example.test")
    acmectl.run(*flags, env=environment).ok()
    assert {line.split()[1] for line in calls(program)} == {"target.exec.second.test."}


def test_a_program_for_the_raw_mode_gets_domain_token_and_key_authorization(
    acmectl: Acmectl, dns_lab: DnsLab, tmp_path: Path
) -> None:
    program = script(tmp_path / "raw.sh", RAW_PROGRAM)
    done = acmectl.certonly("*.raw.example.test", options=(*by_program(program, "--dns-exec-mode", "RAW"), "-vvv"))
    assert calls(program) == ["present -- raw.example.test", "cleanup -- raw.example.test"]
    assert dns_lab.txt("_acme-challenge.raw.example.test") == set()
    assert done.code == 0


@pytest.mark.parametrize(
    ("text", "mode", "wrong"),
    [
        (None, 0o755, "is not there"),
        ("#!/bin/sh\n", 0o644, "cannot be executed"),
    ],
)
def test_a_program_that_cannot_be_run_is_known_before_the_order(
    acmectl: Acmectl, tmp_path: Path, text: str | None, mode: int, wrong: str
) -> None:
    program = tmp_path / "program"
    if text is not None:
        program.write_text(text)
        program.chmod(mode)
    assert acmectl.pebble is not None
    before = acmectl.pebble.requests().count("POST /order-plz")
    done = acmectl.certonly("www.example.test", options=by_program(program), code=1)
    assert f"The program {program} of dns-exec {wrong}." in done.err
    assert acmectl.pebble.requests().count("POST /order-plz") == before


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("#!/bin/sh\nexit 3\n", "with exit status 3."),
        ("#!/bin/sh\nkill -9 $$\n", "was ended by signal 9"),
        ("no first line\n", "could not be started for dns-exec present"),
        ("#!/bin/nothing\n", "could not be started for dns-exec present"),
    ],
)
def test_a_program_that_fails_is_one_clear_line(acmectl: Acmectl, tmp_path: Path, text: str, wrong: str) -> None:
    program = tmp_path / "program"
    program.write_text(text)
    program.chmod(0o755)
    done = acmectl.certonly("www.example.test", options=by_program(program), code=1)
    (line,) = [line for line in done.err.splitlines() if str(program) in line and "present of" in line]
    assert wrong in line
    assert "Traceback" not in done.err + done.out


HANGS = """\
#!/bin/sh
[ "$1" = present ] || exit 0
sleep 1000 &
echo $! >"$0.child"
echo started >"$0.fifo"
wait
"""


def hanging(folder: Path) -> Path:
    program = folder / "hangs"
    program.write_text(HANGS)
    program.chmod(0o755)
    return program


def is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except FileNotFoundError:
        return True


def test_a_program_that_hangs_is_ended_with_all_that_it_started(acmectl: Acmectl, tmp_path: Path) -> None:
    program = hanging(tmp_path)
    done = acmectl.certonly("www.example.test", options=by_program(program, "--dns-exec-timeout", "1"), code=1)
    assert f"{program} ran longer than 1 seconds for dns-exec present" in done.err
    child = int(Path(f"{program}.child").read_text())
    wait_until(lambda: is_gone(child), "the program's child ends")


def test_ctrl_c_ends_the_program_and_cleans_up(acmectl: Acmectl, tmp_path: Path) -> None:
    program = hanging(tmp_path)
    fifo = Path(f"{program}.fifo")
    os.mkfifo(fifo)
    run = acmectl.start("certonly", "-n", "--agree-tos", *by_program(program), "-d", "www.example.test")
    run.told(fifo)
    run.send(signal.SIGINT)
    assert run.wait().code != 0
    child = int(Path(f"{program}.child").read_text())
    wait_until(lambda: is_gone(child), "the program's child ends")
    assert not list((acmectl.work / "dns-records").glob("*"))


WAITS = """\
#!/bin/sh
echo "$@" >>"$0.calls"
[ "$1" = present ] || exit 0
echo $$ >"$0.child"
echo started >"$0.fifo"
exec sleep 1000
"""


@pytest.mark.parametrize("mode", ["", "RAW"])
def test_after_a_kill_the_next_run_asks_for_the_removal(acmectl: Acmectl, tmp_path: Path, mode: str) -> None:
    program = tmp_path / "waits"
    program.write_text(WAITS)
    program.chmod(0o755)
    fifo = Path(f"{program}.fifo")
    os.mkfifo(fifo)
    options = by_program(program, *(("--dns-exec-mode", mode) if mode else ()))
    run = acmectl.start("certonly", "-n", "--agree-tos", *options, "-d", "killed.example.test")
    run.told(fifo)
    run.kill()
    os.kill(int(Path(f"{program}.child").read_text()), signal.SIGKILL)
    (present,) = calls(program)

    done = acmectl.run("renew").ok()
    left = list((acmectl.work / "dns-records").iterdir())
    if mode == "RAW":
        assert calls(program) == [present]
        assert "remove the TXT record _acme-challenge.killed.example.test by hand" in done.err
        assert len(left) == 1
    else:
        assert calls(program) == [present, present.replace("present", "cleanup", 1)]
        assert left == []
