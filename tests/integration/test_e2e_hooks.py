"""Hooks of certonly: order, environment, directory hooks, what is told of them."""

import os

import pytest

from tests.integration.hosts import noted, notes, script

VARIABLES = ("KIND", "RENEWED_LINEAGE", "RENEWED_DOMAINS", "FAILED_DOMAINS")


@pytest.fixture
def log(acmectl):
    return acmectl.folder / "hooks.log"


def hook(folder, log, kind, text="", name=None):
    return script(folder / (name or f"{kind}.sh"), f"KIND={kind}\n{noted(log, *VARIABLES)}\n{text}")


def flags(acmectl, log, **texts):
    return [
        part
        for kind in ("pre", "deploy", "post")
        for part in (f"--{kind}-hook", hook(acmectl.folder, log, kind, texts.get(kind, "")))
    ]


def test_hooks_run_in_their_order_with_their_variables_and_nothing_leaks(acmectl, log):
    acmectl.certonly("a.example", "b.example", options=("--standalone", *flags(acmectl, log)))
    live = str(acmectl.config / "live" / "a.example")
    assert notes(log) == [
        {"KIND": "pre"},
        {"KIND": "deploy", "RENEWED_LINEAGE": live, "RENEWED_DOMAINS": "a.example b.example"},
        {"KIND": "post", "RENEWED_DOMAINS": "a.example b.example", "FAILED_DOMAINS": ""},
    ]
    log.unlink()
    # A certificate that is kept runs none, and one that is renewed runs the stored ones.
    acmectl.certonly("a.example", "b.example")
    assert notes(log) == []
    acmectl.certonly("a.example", "b.example", options=("--standalone", "--force-renewal"))
    assert [row["KIND"] for row in notes(log)] == ["pre", "deploy", "post"]
    assert notes(log)[2]["RENEWED_DOMAINS"] == "a.example b.example"


def test_the_deploy_hook_sees_the_new_files_in_place(acmectl, log):
    copy = acmectl.folder / "deployed.pem"
    deploy = script(acmectl.folder / "deploy", f'cd "$RENEWED_LINEAGE" && cat fullchain.pem privkey.pem > {copy}')
    acmectl.certonly("a.example", options=("--standalone", "--deploy-hook", deploy))
    expected = acmectl.live("a.example", "fullchain").read_bytes() + acmectl.live("a.example", "privkey").read_bytes()
    assert copy.read_bytes() == expected


def test_directory_hooks_run_first_sorted_and_never_twice(acmectl, log):
    acmectl.run("register", "-n", "--agree-tos").ok()
    hooks = acmectl.config / "renewal-hooks"
    for kind in ("pre", "deploy", "post"):
        hook(hooks / kind, log, f"{kind}-2", name="20-second")
        hook(hooks / kind, log, f"{kind}-1", name="10-first")
        hook(hooks / kind, log, f"{kind}-backup", name="30-backup~")
        (hooks / kind / "40-not-executable").write_text("#!/bin/sh\nexit 1\n")
        (hooks / kind / "50-directory").mkdir()
    again = ("--deploy-hook", str(hooks / "deploy" / "10-first"))
    acmectl.certonly("a.example", options=("--standalone", *again, "--post-hook", hook(acmectl.folder, log, "post-3")))
    assert [row["KIND"] for row in notes(log)] == [
        *("pre-1", "pre-2", "deploy-1", "deploy-2", "post-1", "post-2", "post-3"),
    ]
    log.unlink()
    acmectl.certonly("b.example", options=("--standalone", "--no-directory-hooks"))
    assert notes(log) == []


def test_post_hooks_run_although_the_attempt_failed(acmectl, log):
    done = acmectl.certonly(
        "a.example", options=("--standalone", "--http-01-address", "127.0.0.77", *flags(acmectl, log)), code=1
    )
    assert done.errors
    assert notes(log) == [
        {"KIND": "pre"},
        {"KIND": "post", "RENEWED_DOMAINS": "", "FAILED_DOMAINS": "a.example"},
    ]


def test_a_pre_hook_that_fails_ends_the_attempt_before_an_order(pebble, acmectl, log):
    before = len(pebble.requests())
    done = acmectl.certonly("a.example", options=("--standalone", *flags(acmectl, log, pre="exit 9")), code=1)
    assert "exit status 9" in done.err
    assert not [line for line in pebble.requests()[before:] if line.endswith("/order-plz")]
    assert [row["KIND"] for row in notes(log)] == ["pre", "post"]


def test_a_deploy_hook_that_fails_is_exit_1_and_the_certificate_stays(acmectl, log):
    done = acmectl.certonly("a.example", options=("--standalone", *flags(acmectl, log, deploy="exit 4")), code=1)
    assert "exit status 4" in done.err
    assert "Certificate is saved at:" in done.out
    assert acmectl.names("a.example") == ["a.example"]
    assert [row["KIND"] for row in notes(log)] == ["pre", "deploy", "post"]


def test_what_hooks_say_is_shown_under_their_names(acmectl, log):
    texts = {"pre": "echo said by pre; echo woe >&2"}
    done = acmectl.certonly("a.example", options=("--standalone", *flags(acmectl, log, **texts)))
    assert "Hook pre-hook printed:\n said by pre\n" in done.out
    assert "Hook pre-hook printed on standard error:" in done.err
    assert " woe\n" in done.err
    quiet = acmectl.certonly("a.example", options=("--standalone", "--force-renewal", "-q"))
    assert (quiet.out, quiet.err) == ("", "")
    as_json = acmectl.certonly("a.example", options=("--standalone", "--force-renewal", "--json"))
    assert as_json.json["outcome"] == "renewed"


@pytest.mark.parametrize("option", ["--pre-hook", "--deploy-hook", "--post-hook"])
def test_a_hook_that_does_not_exist_is_refused_at_the_door(pebble, acmectl, option):
    before = len(pebble.requests())
    done = acmectl.certonly("a.example", options=("--standalone", option, "no-such-program --now"), code=1)
    assert len(done.errors) == 1
    assert option in done.errors[0]
    assert "no-such-program" in done.errors[0]
    assert pebble.requests()[before:] == []


def test_a_hook_that_runs_too_long_is_ended(acmectl):
    fifo_that_nobody_writes = acmectl.folder / "fifo"
    os.mkfifo(fifo_that_nobody_writes)
    options = ("--standalone", "--pre-hook", f"cat {fifo_that_nobody_writes}", "--hook-timeout", "1")
    done = acmectl.certonly("a.example", options=options, code=1)
    assert "--hook-timeout" in done.err


def test_a_directory_hook_named_by_way_of_a_link_runs_once_too(acmectl, log, tmp_path):
    folder = acmectl.config / "renewal-hooks" / "deploy"
    folder.mkdir(parents=True)
    hook = folder / "reload.sh"
    hook.write_text(f"#!/bin/sh\necho ran >> {log}\n")
    hook.chmod(0o755)
    other = tmp_path / "etc"
    other.symlink_to(acmectl.config)
    command = str(other / "renewal-hooks" / "deploy" / "reload.sh")
    acmectl.certonly("once.example", options=("--standalone", "--deploy-hook", command))
    assert log.read_text().splitlines() == ["ran"]
    acmectl.run("renew", "--force-renewal", "--deploy-hook", f"{command} again").ok()
    assert log.read_text().splitlines() == ["ran"] * 3
