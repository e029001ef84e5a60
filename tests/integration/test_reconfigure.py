"""reconfigure: the change is tried first, saved only when it works, and touches nothing but the renewal file."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.cli import Acmectl, picture
from tests.integration.hosts import script
from tests.integration.servers.pebble import Pebble
from tests.integration.servers.static import static_server

NAME = "a.example"


@pytest.fixture
def issued(acmectl: Acmectl) -> Acmectl:
    acmectl.certonly(NAME, "b.example")
    return acmectl


@pytest.fixture
def webroot(issued: Acmectl, pebble: Pebble, public_folder: Path) -> Iterator[Path]:
    """A folder that the CA sees."""
    with static_server(public_folder, pebble.http_port):
        yield public_folder


def change(acmectl: Acmectl, *options: str, name: str = NAME) -> object:
    return acmectl.run("reconfigure", "-n", "--json", "--cert-name", name, *options, server=False).ok().json


def changes(acmectl: Acmectl, *options: str) -> dict[str, tuple[str | None, str | None]]:
    found = acmectl.run("reconfigure", "-n", "--json", "--cert-name", NAME, *options, server=False).ok().json
    return {one["key"]: (one["old"], one["new"]) for one in found["changes"]}


def certificates(acmectl: Acmectl) -> dict[str, tuple[str, int, bytes]]:
    tree = picture(acmectl.config)
    return {path: row for path, row in tree.items() if path.startswith(("live", "archive"))}


def test_another_authenticator_is_tried_and_saved_without_touching_the_certificate(
    issued: Acmectl, webroot: Path
) -> None:
    before = certificates(issued)
    done = issued.run("reconfigure", "-n", "--cert-name", NAME, "--webroot", "-w", str(webroot), server=False).ok()
    assert "authenticator: standalone -> webroot" in done.out
    assert f"webroot_map[b.example]: (not set) -> {webroot}" in done.out
    assert certificates(issued) == before
    params = issued.params(NAME)
    assert params["authenticator"] == "webroot"
    assert params["webroot_map"] == {NAME: str(webroot), "b.example": str(webroot)}
    assert issued.run("renew", "--force-renewal", server=False).ok()
    assert issued.version(NAME) == 2


def test_what_does_not_work_is_not_saved(issued: Acmectl, tmp_path: Path) -> None:
    (tmp_path / "www").mkdir()
    before = picture(issued.config)
    failed = issued.run(
        "reconfigure", "-n", "--cert-name", NAME, "--webroot", "-w", str(tmp_path / "www"), server=False
    ).failed()
    assert "Some challenges have failed" in failed.err
    assert f"The trial failed; {issued.renewal_path(NAME)} is left as it is." in failed.err
    assert picture(issued.config) == before


def test_a_deploy_hook_that_fails_in_the_trial_is_not_saved(issued: Acmectl) -> None:
    before = issued.renewal_path(NAME).read_bytes()
    options = ("--deploy-hook", "false", "--run-deploy-hooks")
    failed = issued.run("reconfigure", "-n", "--cert-name", NAME, *options, server=False).failed()
    assert any("nothing was changed" in line for line in failed.errors)
    assert issued.renewal_path(NAME).read_bytes() == before


def test_deploy_hooks_run_in_the_trial_only_when_asked_for(issued: Acmectl) -> None:
    ran = issued.folder / "ran"
    hook = script(issued.folder / "hook", f'echo "$RENEWED_LINEAGE" >> {ran}')
    assert changes(issued, "--deploy-hook", hook) == {"renew_hook": (None, hook)}
    assert not ran.exists()
    assert changes(issued, "--run-deploy-hooks") == {}
    assert ran.read_text().split() == [str(issued.config / "live" / NAME)]
    assert changes(issued, "--deploy-hook", "") == {"renew_hook": (hook, None)}
    assert "renew_hook" not in issued.params(NAME)


def test_when_nothing_changes_it_says_so_and_the_file_stays(issued: Acmectl) -> None:
    before = issued.renewal_path(NAME).stat()
    done = issued.run("reconfigure", "-n", "--cert-name", NAME).ok()
    assert "nothing was changed" in done.out
    after = issued.renewal_path(NAME).stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_a_dry_run_says_what_would_change_and_saves_nothing(issued: Acmectl) -> None:
    before = issued.renewal_path(NAME).read_bytes()
    done = issued.run("reconfigure", "-n", "--dry-run", "--cert-name", NAME, "--key-type", "rsa", server=False).ok()
    assert "key_type: ecdsa -> rsa" in done.out
    assert issued.renewal_path(NAME).read_bytes() == before


def test_a_file_that_lost_its_web_roots_is_mended(issued: Acmectl, webroot: Path) -> None:
    change(issued, "--webroot", "-w", str(webroot))
    path = issued.renewal_path(NAME)
    kept = re.sub(r"(?m)^webroot_path.*\n", "", path.read_text())
    path.write_text(re.sub(r"(?ms)^\[\[webroot_map\]\].*?(?=^\[[^\[]|\Z)", "", kept))
    assert "webroot" not in path.read_text().replace("authenticator = webroot", "")
    assert issued.run("renew", "--force-renewal", server=False).failed()
    assert set(changes(issued, "--webroot", "-w", str(webroot))) == {
        "webroot_path",
        f"webroot_map[{NAME}]",
        "webroot_map[b.example]",
    }
    assert issued.run("renew", "--force-renewal", server=False).ok()


def test_a_file_that_lost_its_authenticator_and_account_is_mended(issued: Acmectl) -> None:
    path = issued.renewal_path(NAME)
    account = issued.params(NAME)["account"]
    path.write_text(re.sub(r"(?m)^(authenticator|account) = .*\n", "", path.read_text()))
    assert issued.run("renew", "--force-renewal", server=False).failed()
    assert changes(issued, "--standalone") == {"authenticator": (None, "standalone"), "account": (None, account)}
    assert issued.run("renew", "--force-renewal", server=False).ok()


def test_entries_of_names_that_are_gone_leave_the_webroot_map(issued: Acmectl, webroot: Path) -> None:
    change(issued, "--webroot", "-w", str(webroot))
    path = issued.renewal_path(NAME)
    path.write_text(path.read_text().replace("[[webroot_map]]\n", "[[webroot_map]]\ngone.example = /srv/gone\n"))
    assert changes(issued) == {"webroot_map[gone.example]": ("/srv/gone", None)}
    assert "gone.example" not in path.read_text()


def test_a_webroot_map_speaks_of_its_own_names_only(issued: Acmectl, webroot: Path) -> None:
    change(issued, "--webroot", "-w", str(webroot))
    other = webroot / "other"
    other.mkdir()
    (other / ".well-known").mkdir()
    (webroot / ".well-known").rmdir() if (webroot / ".well-known").exists() else None
    (webroot / ".well-known").symlink_to("other/.well-known")
    found = changes(issued, "--webroot-map", f'{{"b.example": "{other}"}}')
    assert found == {"webroot_map[b.example]": (str(webroot), str(other))}
    # b.example keeps its own directory, though another one is the last of webroot_path.
    found = changes(issued, "--webroot-map", f'{{"{NAME}": "{other}"}}')
    assert found == {f"webroot_map[{NAME}]": (str(webroot), str(other))}


def test_ca_account_and_names_cannot_be_changed(issued: Acmectl) -> None:
    before = issued.renewal_path(NAME).read_bytes()
    for options, what in (
        (("--server", "https://other.example/dir"), "does not change the CA"),
        (("--staging",), "does not change the CA"),
        (("--account", "0" * 32), "does not change the account"),
        (("-d", "c.example"), "takes the names from the certificate itself"),
    ):
        failed = issued.run("reconfigure", "-n", "--cert-name", NAME, *options, server=False).failed()
        assert what in failed.err, failed
    assert issued.renewal_path(NAME).read_bytes() == before


def test_own_keys_are_changed_and_notes_about_the_certificate_stay(issued: Acmectl) -> None:
    path = issued.renewal_path(NAME)
    path.write_text(
        "# of mine\nrenew_before_expiry = 20 days\n" + path.read_text() + "[acmectl]\npinned = 1\n[mine]\na = b\n"
    )
    assert changes(issued, "--hook-timeout", "77", "--no-autorenew") == {
        "hook_timeout": (None, "77"),
        "autorenew": (None, "False"),
    }
    conf = issued.renewal(NAME)
    assert (conf["acmectl"], conf["mine"]) == ({"pinned": "1", "hook_timeout": "77"}, {"a": "b"})
    assert conf["renew_before_expiry"] == "20 days"
    assert path.read_text().startswith("# of mine\n")


def test_it_needs_a_name_when_nobody_can_be_asked(issued: Acmectl) -> None:
    assert "--cert-name" in issued.run("reconfigure", "-n", server=False).failed().err
    assert "no certificate named" in issued.run("reconfigure", "-n", "--cert-name", "gone", server=False).failed().err


def test_at_a_terminal_the_certificate_is_picked_and_deploy_hooks_are_asked_about(issued: Acmectl) -> None:
    issued.certonly("other.example")
    ran = issued.folder / "ran"
    terminal = issued.terminal("reconfigure", "--deploy-hook", f"touch {ran}", server=False)
    terminal.expect("1: a.example")
    terminal.expect("2: other.example")
    terminal.sendline("2")
    terminal.expect("Should the trial run the deploy hooks too")
    terminal.sendline("y")
    terminal.expect("renew_hook: ")
    terminal.wait()
    assert terminal.exitstatus == 0
    assert ran.exists()
    assert "renew_hook" in issued.params("other.example")
    assert "renew_hook" not in issued.params(NAME)
