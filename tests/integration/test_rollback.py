"""rollback: an earlier version goes live, stays live, is deployed, and gives way to the next renewal."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.integration.cli import KINDS, Acmectl
from tests.integration.hosts import noted, notes, script
from tests.integration.servers.pebble import Pebble, PebbleConfig, Profile
from tests.integration.servers.process import wait_until

NAME = "a.example"


@pytest.fixture
def renewed(acmectl: Acmectl) -> Acmectl:
    """Three versions, the last one live; their deploy hook notes what it was given."""
    hook = script(acmectl.folder / "hook", noted(acmectl.folder / "log", "RENEWED_LINEAGE", "RENEWED_DOMAINS"))
    acmectl.certonly(NAME, options=("--standalone", "--deploy-hook", hook))
    for _ in range(2):
        acmectl.run("renew", "--force-renewal").ok()
    (acmectl.folder / "log").unlink()
    return acmectl


def rollback(acmectl: Acmectl, *options: str) -> object:
    return acmectl.run("rollback", "--cert-name", NAME, "--json", *options, server=False).ok().json


def pinned(acmectl: Acmectl) -> str | None:
    own = acmectl.renewal(NAME).get("acmectl", {})
    return own.get("pinned")


def test_the_version_before_goes_live_is_pinned_and_deployed(renewed: Acmectl) -> None:
    done = renewed.run("rollback", "--cert-name", NAME, server=False).ok()
    assert f"Version 2 of the certificate {NAME} is live instead of version 3." in done.out
    assert (renewed.version(NAME), pinned(renewed)) == (2, "2")
    live = str(renewed.config / "live" / NAME)
    assert notes(renewed.folder / "log") == [{"RENEWED_LINEAGE": live, "RENEWED_DOMAINS": NAME}]
    assert "deploy" not in renewed.renewal(NAME)["acmectl"]
    assert "Pinned Version: 2" in renewed.run("certificates", server=False).ok().out


def test_healing_and_a_renew_with_nothing_due_leave_it_live(renewed: Acmectl) -> None:
    rollback(renewed)
    renewed.run("renew", server=False).ok()
    assert renewed.version(NAME) == 2
    for kind in KINDS:
        link = renewed.live(NAME, kind)
        link.unlink()
        link.symlink_to(f"../../archive/{NAME}/{kind}3.pem")
    renewed.run("renew", server=False).ok()
    assert renewed.version(NAME) == 2


def test_the_next_renewal_ends_the_pin(renewed: Acmectl) -> None:
    rollback(renewed, "--to-version", "1")
    assert renewed.version(NAME) == 1
    renewed.run("renew", "--force-renewal").ok()
    assert (renewed.version(NAME), pinned(renewed)) == (4, None)


def test_going_on_to_the_newest_version_needs_no_pin(renewed: Acmectl) -> None:
    rollback(renewed)
    rollback(renewed, "--to-version", "3")
    assert (renewed.version(NAME), pinned(renewed)) == (3, None)
    assert len(notes(renewed.folder / "log")) == 2


def test_what_is_live_already_is_no_reason_to_deploy(renewed: Acmectl) -> None:
    rollback(renewed)
    done = renewed.run("rollback", "--cert-name", NAME, "--to-version", "2", server=False).ok()
    assert "is live already; nothing was changed" in done.out
    assert len(notes(renewed.folder / "log")) == 1


def test_a_deploy_hook_that_fails_is_owed_for_that_version(renewed: Acmectl) -> None:
    hook = renewed.folder / "hook"
    good = hook.read_text()
    hook.write_text("#!/bin/sh\nexit 3\n")
    failed = renewed.run("rollback", "--cert-name", NAME, server=False).failed()
    assert "failed with exit status 3" in failed.err
    assert (renewed.version(NAME), pinned(renewed)) == (2, "2")
    hook.write_text(good)
    renewed.run("renew", "--retry-deploy", server=False).ok()
    assert len(notes(renewed.folder / "log")) == 1
    assert renewed.version(NAME) == 2


def test_a_run_killed_before_the_switch_is_finished_by_the_next(renewed: Acmectl) -> None:
    """The pin is written first: a version that is pinned and not live goes live, and its hook is owed."""
    path = renewed.renewal_path(NAME)
    hook = renewed.folder / "hook"
    owed = f'{{"backoff": {{"failures": 0, "reason": ""}}, "owed": ["{hook}"], "version": 2}}'
    path.write_text(f"{path.read_text()}[acmectl]\npinned = 2\ndeploy = '{owed}'\n")
    renewed.run("renew", server=False).ok()
    assert renewed.version(NAME) == 2
    assert len(notes(renewed.folder / "log")) == 1


def test_a_run_killed_in_its_deploy_hook_owes_it(renewed: Acmectl) -> None:
    hook, pid = renewed.folder / "hook", renewed.folder / "pid"
    good = hook.read_text()
    hook.write_text(f'#!/bin/sh\nuntil [ -s {pid} ]; do sleep 0.05; done\nkill -9 "$(cat {pid})"\n')
    run = renewed.start("rollback", "--cert-name", NAME, server=False)
    (renewed.folder / "written").write_text(str(run.pid))
    (renewed.folder / "written").rename(pid)
    assert run.wait().code == -9
    hook.write_text(good)
    renewed.run("renew", server=False).ok()
    assert (renewed.version(NAME), pinned(renewed)) == (2, "2")
    assert len(notes(renewed.folder / "log")) == 1


def test_what_is_not_whole_is_refused(renewed: Acmectl) -> None:
    archive = renewed.config / "archive" / NAME
    shutil.copy(archive / "privkey1.pem", archive / "privkey2.pem")
    failed = renewed.run("rollback", "--cert-name", NAME, server=False).failed()
    assert (
        "Version 2 of the certificate a.example cannot be used: privkey.pem does not belong to cert.pem." in failed.err
    )
    (archive / "chain2.pem").unlink()
    failed = renewed.run("rollback", "--cert-name", NAME, "--to-version", "2", server=False).failed()
    assert "Whole versions that are kept: 1, 3." in failed.err
    assert (renewed.version(NAME), pinned(renewed)) == (3, None)
    rollback(renewed)
    assert renewed.version(NAME) == 1
    failed = renewed.run("rollback", "--cert-name", NAME, server=False).failed()
    assert "there is no way back" in failed.err


def test_a_lineage_whose_live_version_is_gone_is_brought_back(renewed: Acmectl) -> None:
    (renewed.config / "archive" / NAME / "privkey3.pem").unlink()
    renewed.run("renew", server=False).failed()
    rollback(renewed, "--to-version", "2")
    assert renewed.version(NAME) == 2
    assert len(notes(renewed.folder / "log")) == 1


def test_an_expired_version_is_refused_unless_that_is_wanted(tmp_path: Path) -> None:
    profiles = {"default": Profile(), "brief": Profile(validity=3)}
    with Pebble(PebbleConfig(profiles=profiles)) as pebble, Acmectl(pebble, tmp_path) as program:
        program.certonly(NAME, options=("--standalone", "--required-profile", "brief"))
        old = program.certificate(NAME)
        program.run("renew", "--force-renewal", "--required-profile", "default").ok()

        def expired() -> bool:
            return datetime.now(UTC) > old.not_valid_after_utc

        wait_until(expired, "the first version expires")
        failed = program.run("rollback", "--cert-name", NAME, server=False).failed()
        assert "Version 1 of the certificate a.example expired on " in failed.err
        assert "--allow-expired" in failed.err
        assert program.version(NAME) == 2
        done = program.run("rollback", "--cert-name", NAME, "--allow-expired", server=False).ok()
        assert "it goes live all the same" in done.err
        assert program.version(NAME) == 1


def test_names_that_the_earlier_version_lacks_are_told(acmectl: Acmectl) -> None:
    acmectl.certonly(NAME)
    acmectl.certonly(NAME, "b.example", options=("--standalone", "--cert-name", NAME, "--renew-with-new-domains"))
    done = acmectl.run("rollback", "--cert-name", NAME, server=False).ok()
    assert f"Warning: Version 1 of the certificate {NAME} is not valid for b.example." in done.err


def test_without_a_name_it_says_what_certbots_rollback_was(acmectl: Acmectl) -> None:
    failed = acmectl.run("rollback", "--checkpoints", "2").failed()
    assert failed.errors == [
        "certbot's rollback took back its changes to web server configurations; acmectl makes none."
    ]
    assert "rollback --cert-name NAME" in failed.err
    assert "no certificate named" in acmectl.run("rollback", "--cert-name", "gone").failed().err
