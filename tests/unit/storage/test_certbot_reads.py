"""The real certbot on a tree that the store has written: it lists, deletes and locks it like one of its own."""

from __future__ import annotations

import subprocess

import pytest

from acmectl.storage.layout import Layout
from acmectl.storage.lineages import LineageStore
from acmectl.storage.locks import StoreLocks
from tests.integration.servers import certbots
from tests.integration.servers.requirements import find_program
from tests.unit.storage.material import PARAMS, issue
from tests.unit.storage.test_locks import FakeClock


@pytest.fixture(scope="session")
def certbot_program() -> str:
    found = find_program("certbot")
    if found is not None:
        return found
    return str(certbots.script(certbots.NEWEST))


class Certbot:
    def __init__(self, program: str, layout: Layout) -> None:
        self._command = [program]
        for option, directory in (
            ("--config-dir", layout.config_dir),
            ("--work-dir", layout.work_dir),
            ("--logs-dir", layout.logs_dir),
        ):
            self._command += [option, str(directory)]

    def __call__(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*self._command, *arguments], capture_output=True, text=True, check=False)


@pytest.fixture
def certbot(certbot_program: str, layout: Layout) -> Certbot:
    return Certbot(certbot_program, layout)


def test_certbot_lists_what_the_store_wrote(certbot: Certbot, store: LineageStore, layout: Layout) -> None:
    issue(store, "a.test", "a.test", "b.test", versions=3)
    odd = {
        **PARAMS,
        "pre_hook": "echo %(interpolated)s 'x' \"y\"",
        "post_hook": "line one\nline two",
        "renew_hook": "systemctl reload nginx, please # now",
        "manual_auth_hook": "",
    }
    issue(store, "odd", "c.test", params=odd)
    store.update_own("odd", {"deploy_owed": 1, "note": "100% 'so' \"called\""})
    ended = certbot("certificates")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "Certificate Name: a.test" in ended.stdout
    assert "Certificate Name: odd" in ended.stdout
    assert "a.test b.test" in ended.stdout
    assert f"{layout.live('a.test')}/fullchain.pem" in ended.stdout
    assert ended.stdout.count("VALID") == 2
    assert "INVALID" not in ended.stdout
    assert "invalid" not in ended.stdout + ended.stderr


def test_certbot_is_not_confused_by_what_a_killed_run_of_ours_leaves(
    certbot: Certbot, store: LineageStore, layout: Layout
) -> None:
    issue(store, "a.test")
    (layout.live_root / ".acmectl.a.test").mkdir()
    (layout.live("a.test") / ".acmectl-0123456789ab.tmp").symlink_to("nowhere")
    (layout.archive("a.test") / ".acmectl-0123456789ab.tmp").write_bytes(b"half a key")
    (layout.archive("a.test") / ".acmectl-unfinished").touch()
    (layout.renewal_root / "a.test.conf.new").write_bytes(b"half a file")
    ended = certbot("certificates")
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.count("Certificate Name:") == 1
    assert "invalid" not in ended.stdout + ended.stderr


def test_certbot_deletes_a_lineage_of_the_store(certbot: Certbot, store: LineageStore, layout: Layout) -> None:
    issue(store, "a.test", versions=2)
    issue(store, "b.test")
    ended = certbot("delete", "--cert-name", "a.test", "-n")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert store.names() == ["b.test"]
    assert not layout.live("a.test").exists()
    assert not layout.archive("a.test").exists()


def test_certbot_keeps_out_while_the_store_is_locked(certbot: Certbot, layout: Layout) -> None:
    with StoreLocks(layout, timeout=0, clock=FakeClock()):
        assert certbot("certificates").returncode == 1
    assert certbot("certificates").returncode == 0
