"""renew over many lineages, against a real Pebble and a real web server."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.cli import Acmectl
from tests.integration.fleet import DAY, plant, versions
from tests.integration.servers.gate import Gate
from tests.integration.servers.pebble import Pebble, PebbleConfig
from tests.integration.servers.static import static_server


@pytest.fixture
def webroot(pebble: Pebble, public_folder: Path) -> Iterator[Path]:
    with static_server(public_folder, pebble.http_port):
        yield public_folder


def registered(acmectl: Acmectl) -> Acmectl:
    acmectl.run("register", "-n", "--agree-tos").ok()
    return acmectl


def endings(done: dict[str, object]) -> dict[str, str]:
    lineages = done["lineages"]
    assert isinstance(lineages, list)
    return {one["name"]: one["outcome"] for one in lineages}


def test_200_lineages_that_are_due_are_renewed_in_one_run(acmectl: Acmectl, webroot: Path) -> None:
    registered(acmectl)
    names = [f"h{number}.example" for number in range(200)]
    for name in names:
        plant(acmectl, name, webroot=webroot)
    done = acmectl.run("renew", "--json", server=False).ok().json
    assert endings(done) == dict.fromkeys(names, "success")
    assert all(versions(acmectl, name) == {"2"} for name in names)
    assert not list(webroot.rglob("*"))
    assert not list(acmectl.work.glob("pending/*"))
    again = acmectl.run("renew", "--json", server=False).ok().json
    assert set(endings(again).values()) == {"skipped"}


def test_half_of_all_nonces_refused_costs_no_lineage(tmp_path: Path, public_folder: Path) -> None:
    with (
        Pebble(PebbleConfig(nonce_reject=50)) as pebble,
        static_server(public_folder, pebble.http_port),
        Acmectl(pebble, tmp_path) as acmectl,
    ):
        registered(acmectl)
        names = [f"n{number}.example" for number in range(200)]
        for name in names:
            plant(acmectl, name, webroot=public_folder)
        done = acmectl.run("renew", "--json", server=False).ok().json
        assert endings(done) == dict.fromkeys(names, "success")


def _lost_conf_section(acmectl: Acmectl, name: str) -> None:
    path = acmectl.config / "renewal" / f"{name}.conf"
    path.write_text(path.read_text().split("[renewalparams]")[0])


def _empty_conf(acmectl: Acmectl, name: str) -> None:
    (acmectl.config / "renewal" / f"{name}.conf").write_text("")


def _binary_conf(acmectl: Acmectl, name: str) -> None:
    (acmectl.config / "renewal" / f"{name}.conf").write_bytes(b"\xff\xfe\x00" * 50)


def _dangling_link(acmectl: Acmectl, name: str) -> None:
    (acmectl.config / "archive" / name / "cert1.pem").unlink()


def _no_live_directory(acmectl: Acmectl, name: str) -> None:
    shutil.rmtree(acmectl.config / "live" / name)


def _file_instead_of_link(acmectl: Acmectl, name: str) -> None:
    link = acmectl.config / "live" / name / "cert.pem"
    link.unlink()
    link.write_text("not a link")


def _garbage_certificate(acmectl: Acmectl, name: str) -> None:
    (acmectl.config / "archive" / name / "cert1.pem").write_text("garbage")


def _replace_in_conf(acmectl: Acmectl, name: str, old: str, new: str) -> None:
    path = acmectl.config / "renewal" / f"{name}.conf"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))


def _unknown_authenticator(acmectl: Acmectl, name: str) -> None:
    _replace_in_conf(acmectl, name, "authenticator = webroot", "authenticator = no-such-plugin")


def _missing_webroot(acmectl: Acmectl, name: str) -> None:
    path = acmectl.config / "renewal" / f"{name}.conf"
    head = path.read_text().split("[[webroot_map]]")[0]
    path.write_text("\n".join(line for line in head.splitlines() if not line.startswith("webroot_path")) + "\n")


def _bad_number(acmectl: Acmectl, name: str) -> None:
    path = acmectl.config / "renewal" / f"{name}.conf"
    path.write_text(path.read_text().replace("[renewalparams]", "[renewalparams]\nrsa_key_size = huge"))


BREAKAGES = {
    _lost_conf_section: "parsefail",
    _empty_conf: "parsefail",
    _binary_conf: "parsefail",
    _dangling_link: "parsefail",
    _no_live_directory: None,  # healed: the archive has it all
    _file_instead_of_link: "parsefail",
    _garbage_certificate: "parsefail",
    _unknown_authenticator: "failure",
    _missing_webroot: "failure",
    _bad_number: "parsefail",
}


def test_one_lineage_in_ten_broken_in_ten_ways_does_not_stop_the_others(acmectl: Acmectl, webroot: Path) -> None:
    registered(acmectl)
    names = [f"w{number:03}.example" for number in range(200)]
    for name in names:
        plant(acmectl, name, webroot=webroot)
    broken = dict(zip(names[::10], [*BREAKAGES, *BREAKAGES], strict=True))
    for name, break_it in broken.items():
        break_it(acmectl, name)
    done = acmectl.run("renew", "--json", server=False)
    assert done.code == 1, done
    assert "Traceback" not in done.err
    ends = endings(done.json)
    assert {ends[name] for name in names if name not in broken} == {"success"}
    for name, break_it in broken.items():
        expected = BREAKAGES[break_it]
        assert ends[name] == (expected or ends[name]), (break_it.__name__, ends[name])
        if expected is not None:
            why = next(one["why"] for one in done.json["lineages"] if one["name"] == name)
            assert why
            assert "\n" not in why


def test_a_ca_that_stops_in_mid_run_fails_the_rest_and_the_next_run_catches_up(
    acmectl: Acmectl, webroot: Path, pebble: Pebble, tmp_path: Path
) -> None:
    with Gate(pebble.port) as gate:
        server = f"https://127.0.0.1:{gate.port}/dir"
        acmectl.run("register", "-n", "--agree-tos", "--server", server).ok()
        names = [f"s{number:02}.example" for number in range(30)]
        for name in names:
            plant(acmectl, name, webroot=webroot, params={"server": server})
        ready, go_on = tmp_path / "ready", tmp_path / "go-on"
        os.mkfifo(ready)
        os.mkfifo(go_on)
        # The third deploy hook waits while the CA is stopped: by then some are done and some are under way.
        hook = tmp_path / "hook"
        hook.write_text(
            f"#!/bin/sh\necho x >> {tmp_path}/count\n"
            f"[ $(wc -l < {tmp_path}/count) -ne 3 ] || {{ echo > {ready}; cat {go_on}; }}\n"
        )
        hook.chmod(0o755)
        run = acmectl.start("renew", "--json", "--deploy-hook", str(hook), server=False)
        ready.read_text()
        gate.close()
        go_on.write_text("")
        first = run.wait().failed()
        ends = endings(first.json)
        assert set(ends.values()) == {"success", "failure"}
        assert all(len(versions(acmectl, name)) == 1 for name in names)
        gate.open()
        left = [name for name, end in ends.items() if end == "failure"]
        second = acmectl.run("renew", "--json", server=False)
        assert second.code == 1  # they are due, and wait a minute after their failure
        assert {one["name"] for one in second.json["lineages"] if one["failing"]} <= set(left)
        for name in left:
            acmectl.run("renew", "--cert-name", name, server=False).ok()
        acmectl.run("renew", server=False).ok()
        assert all(versions(acmectl, name) == {"2"} for name in names)
        assert not list(acmectl.work.glob("pending/*"))


def test_two_runs_at_once_take_turns_and_both_succeed(acmectl: Acmectl, webroot: Path) -> None:
    registered(acmectl)
    names = [f"t{number}.example" for number in range(20)]
    for name in names:
        plant(acmectl, name, webroot=webroot)
    runs = [acmectl.start("renew", "--json", server=False) for _ in range(2)]
    outcomes = [run.wait().ok().json for run in runs]
    ends = [set(endings(outcome).values()) for outcome in outcomes]
    assert sorted(ends, key=str) == [{"skipped"}, {"success"}]
    assert all(versions(acmectl, name) == {"2"} for name in names)


def test_failures_back_off_and_are_told_until_they_are_over(acmectl: Acmectl, webroot: Path) -> None:
    registered(acmectl)
    plant(acmectl, "ok.example", webroot=webroot)
    missing = webroot / "gone"
    plant(acmectl, "bad.example", webroot=missing)
    first = acmectl.run("renew", "--json", server=False).failed()
    assert endings(first.json) == {"ok.example": "success", "bad.example": "failure"}
    second = acmectl.run("renew", "--json", server=False).failed()
    put_off = next(one for one in second.json["lineages"] if one["name"] == "bad.example")
    assert (put_off["outcome"], put_off["failing"]) == ("skipped", True)
    assert put_off["next_attempt"] is not None
    assert "has failed 1 time" in put_off["why"]
    third = acmectl.run("renew", "--json", "--cert-name", "bad.example", server=False).failed()
    assert endings(third.json) == {"bad.example": "failure"}
    missing.symlink_to(webroot)
    acmectl.run("renew", "--cert-name", "bad.example", server=False).ok()
    assert acmectl.run("renew", "--json", server=False).ok().json["lineages"]
    assert "backoff" not in (acmectl.config / "renewal" / "bad.example.conf").read_text()


def test_a_dry_run_of_many_changes_nothing_below_the_config_directory_but_accounts(
    acmectl: Acmectl, webroot: Path
) -> None:
    registered(acmectl)
    for number in range(5):
        plant(acmectl, f"d{number}.example", webroot=webroot, left=80 * DAY)
    plant(acmectl, "owed.example", webroot=webroot, left=80 * DAY, own={"deploy": {"version": 1, "owed": ["false"]}})
    plant(acmectl, "broken.example", webroot=webroot)
    _dangling_link(acmectl, "broken.example")
    before = snapshot(acmectl.config)
    done = acmectl.run("renew", "--dry-run", "--json")
    assert {end for name, end in endings(done.json).items() if name != "broken.example"} == {"success"}
    assert snapshot(acmectl.config) == before


def snapshot(folder: Path) -> dict[str, tuple[int, int, bytes | str]]:
    found: dict[str, tuple[int, int, bytes | str]] = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if name.startswith("accounts"):
            continue
        status = path.lstat()
        content: bytes | str = ""
        if path.is_symlink():
            content = str(path.readlink())
        elif path.is_file():
            content = path.read_bytes()
        found[name] = (status.st_mode, status.st_mtime_ns if not path.is_dir() else 0, content)
    return found


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_in_mid_run_leaves_whole_lineages_no_locks_and_no_answers(
    acmectl: Acmectl, webroot: Path, signum: signal.Signals, tmp_path: Path
) -> None:
    registered(acmectl)
    names = [f"i{number}.example" for number in range(24)]
    for name in names:
        plant(acmectl, name, webroot=webroot)
    ready = tmp_path / "ready"
    os.mkfifo(ready)
    # The fourth deploy hook tells that it runs and then stays: the other lineages are somewhere in their orders.
    hook = tmp_path / "hook"
    hook.write_text(
        f"#!/bin/sh\necho x >> {tmp_path}/count\n"
        f"[ $(wc -l < {tmp_path}/count) -ne 4 ] || {{ echo > {ready}; exec sleep 600; }}\n"
    )
    hook.chmod(0o755)
    options = ("--deploy-hook", str(hook), "--post-hook", f"echo post >> {tmp_path}/post")
    run = acmectl.start("renew", *options, server=False)
    ready.read_text()
    run.send(signum)
    done = run.wait()
    assert done.code == (1 if signum == signal.SIGINT else -signum), done
    assert "Traceback" not in done.err
    assert all(len(versions(acmectl, name)) == 1 for name in names)
    assert not [path for path in webroot.rglob("*") if path.is_file()]
    assert not list(acmectl.folder.rglob(".certbot.lock"))
    assert (tmp_path / "post").read_text() == "post\n"
    again = acmectl.run("renew", "--json", "--retry-deploy", "--deploy-hook", str(hook), server=False)
    assert again.code == 0, again
    assert all(versions(acmectl, name) == {"2"} for name in names)
    # Every version was deployed once; only the hook that was ended had to run again.
    assert len((tmp_path / "count").read_text().split()) == len(names) + 1
    assert not list(acmectl.work.glob("pending/*"))
