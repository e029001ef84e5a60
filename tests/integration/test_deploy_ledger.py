"""Deploy hooks that fail, hang, die or leave something running: what is owed, and when it is settled."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.cli import Acmectl, Outcome
from tests.integration.fleet import versions
from tests.integration.servers.pebble import Pebble
from tests.integration.servers.static import static_server

NAME = "ledger.example"


@pytest.fixture
def issued(acmectl: Acmectl, pebble: Pebble, public_folder: Path) -> Iterator[Acmectl]:
    with static_server(public_folder, pebble.http_port):
        acmectl.certonly(NAME, options=("--webroot", "-w", str(public_folder)))
        yield acmectl


def script(folder: Path, text: str) -> Path:
    path = folder / "hook"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def lineage(done: Outcome) -> dict[str, object]:
    (one,) = done.json["lineages"]
    return dict(one)


def count(folder: Path) -> int:
    path = folder / "count"
    return len(path.read_text().split()) if path.exists() else 0


def test_a_hook_that_fails_twice_runs_until_it_succeeds_and_never_after(issued: Acmectl, tmp_path: Path) -> None:
    hook = script(tmp_path, f"echo x >> {tmp_path}/count; [ $(wc -l < {tmp_path}/count) -ge 3 ]")
    first = issued.run("renew", "--force-renewal", "--json", "--deploy-hook", str(hook), server=False).failed()
    assert lineage(first)["outcome"] == "success"
    assert versions(issued, NAME) == {"2"}
    shown = issued.run("certificates", server=False).ok()
    assert f"Deploy Hooks Owed: {hook}" in shown.out
    waits = issued.run("renew", "--json", server=False).failed()
    assert (lineage(waits)["deploy_owed"], count(tmp_path)) == ([str(hook)], 1)
    assert lineage(waits)["deploy_owed_until"] is not None
    issued.run("renew", "--retry-deploy", server=False).failed()
    assert count(tmp_path) == 2
    settled = issued.run("renew", "--json", "--retry-deploy", server=False).ok()
    assert (lineage(settled)["deploy_owed"], count(tmp_path)) == ([], 3)
    issued.run("renew", "--retry-deploy", server=False).ok()
    assert count(tmp_path) == 3
    assert versions(issued, NAME) == {"2"}
    assert "deploy" not in (issued.config / "renewal" / f"{NAME}.conf").read_text().split("[acmectl]")[-1]


def test_of_several_hooks_only_those_that_failed_run_again(issued: Acmectl, tmp_path: Path) -> None:
    folder = issued.config / "renewal-hooks" / "deploy"
    for name, status in (("a", 0), ("b", 1), ("c", 0)):
        path = folder / name
        path.write_text(f"#!/bin/sh\necho {name} >> {tmp_path}/order\nexit {status}\n")
        path.chmod(0o755)
    issued.run("renew", "--force-renewal", server=False).failed()
    (folder / "b").write_text(f"#!/bin/sh\necho again >> {tmp_path}/order\n")
    issued.run("renew", "--retry-deploy", server=False).ok()
    assert (tmp_path / "order").read_text().split() == ["a", "b", "c", "again"]


def test_what_is_owed_can_be_forgotten(issued: Acmectl) -> None:
    issued.run("renew", "--force-renewal", "--deploy-hook", "false", server=False).failed()
    issued.run("renew", "--forget-deploy", server=False).ok()
    issued.run("renew", server=False).ok()


def test_a_hook_that_is_no_longer_configured_is_owed_no_longer(issued: Acmectl) -> None:
    path = issued.config / "renewal-hooks" / "deploy" / "x"
    path.write_text("#!/bin/sh\nexit 1\n")
    path.chmod(0o755)
    issued.run("renew", "--force-renewal", server=False).failed()
    path.unlink()
    done = issued.run("renew", "--retry-deploy", server=False).ok()
    assert "no longer there" in done.out


def test_a_hook_that_hangs_is_ended_with_its_children_and_owed(issued: Acmectl, tmp_path: Path) -> None:
    hook = script(tmp_path, f"sleep 600 & echo $! > {tmp_path}/pid; wait")
    options = ("--deploy-hook", str(hook), "--hook-timeout", "1")
    done = issued.run("renew", "--force-renewal", "--json", *options, server=False).failed()
    assert lineage(done)["deploy_owed"] == [str(hook)]
    assert "longer than 1 seconds" in str(lineage(done)["hook_failures"])
    assert not Path(f"/proc/{(tmp_path / 'pid').read_text().strip()}/cmdline").exists() or not _runs(tmp_path)
    # The limit is remembered with the lineage.
    again = issued.run("renew", "--retry-deploy", server=False).failed()
    assert "longer than 1 seconds" in again.err


def _runs(folder: Path) -> bool:
    state = Path(f"/proc/{(folder / 'pid').read_text().strip()}/stat").read_text()
    return state.rsplit(")", 1)[1].split()[0] != "Z"


def test_a_hook_that_starts_a_daemon_is_over_when_it_ends_itself(issued: Acmectl, tmp_path: Path) -> None:
    hook = script(tmp_path, f"sleep 600 & echo $! > {tmp_path}/pid; echo done")
    try:
        done = issued.run("renew", "--force-renewal", "--deploy-hook", str(hook), server=False).ok()
        assert "done" in done.out
        assert _runs(tmp_path)
    finally:
        os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)


@pytest.mark.parametrize("signum", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_run_that_dies_in_its_deploy_hook_owes_it(issued: Acmectl, tmp_path: Path, signum: signal.Signals) -> None:
    ready = tmp_path / "ready"
    os.mkfifo(ready)
    hook = script(
        tmp_path,
        f"echo x >> {tmp_path}/count\n[ $(wc -l < {tmp_path}/count) -gt 1 ] || {{ echo > {ready}; exec sleep 600; }}",
    )
    run = issued.start("renew", "--force-renewal", "--deploy-hook", str(hook), server=False)
    ready.read_text()
    run.send(signum)
    assert run.wait().code == (1 if signum == signal.SIGINT else -signum)
    assert versions(issued, NAME) == {"2"}
    done = issued.run("renew", "--json", server=False).ok()
    assert (lineage(done)["outcome"], lineage(done)["deploy_owed"]) == ("skipped", [])
    assert count(tmp_path) == 2
    issued.run("renew", server=False).ok()
    assert count(tmp_path) == 2


def test_certonly_keeps_the_certificate_and_fails_when_its_hook_does(issued: Acmectl) -> None:
    done = issued.run("certonly", "-n", "--force-renewal", "-d", NAME, "--deploy-hook", "sh -c 'exit 4'")
    assert done.code == 1
    assert "exit status 4" in done.err
    assert versions(issued, NAME) == {"2"}
    kept = issued.run("certonly", "-n", "--keep", "-d", NAME)
    assert kept.code == 1
    assert "have not succeeded yet" in kept.err
