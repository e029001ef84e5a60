"""A signal while the CA validates, while a hook runs, while a person is awaited: everything is put back in order."""

import os
import signal
from pathlib import Path

import pexpect
import pytest

from tests.integration.cli import Acmectl
from tests.integration.hosts import file_hooks, notes, script
from tests.integration.servers.pebble import Pebble, PebbleConfig
from tests.integration.servers.process import accepts, wait_until
from tests.integration.servers.static import static_server

SIGNALS = pytest.mark.parametrize(
    ("signum", "code"), [(signal.SIGINT, 1), (signal.SIGTERM, -signal.SIGTERM)], ids=["SIGINT", "SIGTERM"]
)

AGES = 200_000


@pytest.fixture(scope="module")
def slow_pebble():
    """It takes its time before it validates: a day or two, for it draws the seconds by lot."""
    with Pebble(PebbleConfig(va_nosleep=False, va_sleep_seconds=AGES)) as server:
        yield server


@pytest.fixture
def slow(slow_pebble, tmp_path):
    with Acmectl(slow_pebble, tmp_path) as program:
        yield program


def being_validated(pebble, before):
    """True once the CA has been told to validate and asked how the order is doing."""
    new = pebble.requests()[before:]
    answered = [index for index, line in enumerate(new) if "/chalZ/" in line]
    return bool(answered) and any("/my-order/" in line for line in new[answered[-1] :])


def is_tidy(acmectl, done, code):
    assert done.code == code, str(done)
    assert "Traceback" not in done.err
    assert "Interrupted" in done.err
    assert acmectl.locks() == []
    assert acmectl.lineages() == []


def has_ended(pid):
    """A process that nobody has waited for stays in the table as a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


@SIGNALS
def test_a_signal_while_the_ca_validates_takes_the_token_files_away(slow_pebble, slow, public_folder, signum, code):
    log = slow.folder / "log"
    before = len(slow_pebble.requests())
    run = slow.start(
        *("certonly", "-n", "--agree-tos", "--webroot", "-w", str(public_folder), "-d", "a.example", "-d", "b.example"),
        *("--pre-hook", f"echo pre >> {log}", "--post-hook", f"echo post $FAILED_DOMAINS >> {log}"),
    )
    wait_until(lambda: being_validated(slow_pebble, before), "the validation")
    assert len(list((public_folder / ".well-known" / "acme-challenge").iterdir())) == 2
    run.send(signum)
    is_tidy(slow, run.wait(), code)
    assert list(public_folder.iterdir()) == []
    assert log.read_text().splitlines()[:1] == ["pre"]
    assert log.read_text().splitlines()[1].startswith("post")


@SIGNALS
def test_a_signal_while_the_ca_validates_lets_the_port_of_standalone_go(slow_pebble, slow, signum, code):
    before = len(slow_pebble.requests())
    run = slow.start("certonly", "-n", "--agree-tos", "--standalone", "-d", "a.example")
    wait_until(lambda: being_validated(slow_pebble, before), "the validation")
    assert accepts(slow_pebble.http_port)
    run.send(signum)
    is_tidy(slow, run.wait(), code)
    assert not accepts(slow_pebble.http_port)


@SIGNALS
def test_a_signal_while_the_ca_validates_runs_the_cleanup_hooks(slow_pebble, slow, public_folder, signum, code):
    before = len(slow_pebble.requests())
    flags = file_hooks(slow.folder, public_folder)
    run = slow.start("certonly", "-n", "--agree-tos", *flags, "-d", "a.example", "-d", "b.example")
    wait_until(lambda: being_validated(slow_pebble, before), "the validation")
    run.send(signum)
    is_tidy(slow, run.wait(), code)
    cleaned = notes(slow.folder / "cleanup")
    assert {row["CERTBOT_DOMAIN"] for row in cleaned} == {"a.example", "b.example"}
    assert not [path for path in public_folder.rglob("*") if path.is_file()]


@SIGNALS
def test_a_signal_while_an_auth_hook_runs_ends_the_hook_and_cleans_up_after_it(pebble, acmectl, signum, code):
    ready, cleaned = acmectl.folder / "ready", acmectl.folder / "cleaned"
    os.mkfifo(ready)
    auth = script(acmectl.folder / "auth", f"echo $$ > {ready}\nexec sleep 600")
    cleanup = script(acmectl.folder / "clean", f"echo $CERTBOT_DOMAIN >> {cleaned}")
    run = acmectl.start(
        *("certonly", "-n", "--agree-tos", "--manual", "--preferred-challenges", "http", "-d", "a.example"),
        *("--manual-auth-hook", auth, "--manual-cleanup-hook", cleanup),
    )
    hook = int(run.told(ready))
    run.send(signum)
    is_tidy(acmectl, run.wait(), code)
    assert cleaned.read_text() == "a.example\n"
    wait_until(lambda: has_ended(hook), "the end of the hook")


@SIGNALS
def test_a_signal_while_a_pre_hook_runs_still_runs_the_post_hook(pebble, acmectl, signum, code):
    ready, log = acmectl.folder / "ready", acmectl.folder / "log"
    os.mkfifo(ready)
    pre = script(acmectl.folder / "pre", f"echo $$ > {ready}\nexec sleep 600")
    before = len(pebble.requests())
    run = acmectl.start(
        *("certonly", "-n", "--agree-tos", "--standalone", "-d", "a.example"),
        *("--pre-hook", pre, "--post-hook", f"echo post >> {log}"),
    )
    run.told(ready)
    run.send(signum)
    is_tidy(acmectl, run.wait(), code)
    assert log.read_text() == "post\n"
    assert not [line for line in pebble.requests()[before:] if line.endswith("/order-plz")]


def test_a_signal_stops_renew_between_lineages_and_its_post_hook_runs(pebble, acmectl):
    for name in ("a.example", "b.example"):
        acmectl.certonly(name)
    ready, log = acmectl.folder / "ready", acmectl.folder / "log"
    os.mkfifo(ready)
    deploy = script(acmectl.folder / "deploy", f"echo $$ > {ready}\nexec sleep 600")
    run = acmectl.start("renew", "--force-renewal", "--deploy-hook", deploy, "--post-hook", f"echo post >> {log}")
    run.told(ready)
    run.send(signal.SIGTERM)
    done = run.wait()
    assert done.code == -signal.SIGTERM, str(done)
    assert log.read_text() == "post\n"
    assert acmectl.locks() == []
    # What was renewed is whole, what was not is as it was, and the next run goes on.
    for name in ("a.example", "b.example"):
        assert acmectl.version(name) in (1, 2)
    acmectl.run("renew", "--force-renewal", "--cert-name", "b.example", "--deploy-hook", "true").ok()


@SIGNALS
def test_a_signal_while_a_person_is_awaited_shows_what_may_be_removed(pebble, acmectl, signum, code):
    terminal = acmectl.terminal(
        *("certonly", "--agree-tos", "--register-unsafely-without-email", "--manual", "-d", "a.example")
    )
    terminal.expect_exact("Press Enter when")
    terminal.kill(signum)
    terminal.expect(pexpect.EOF)
    terminal.close()
    if code > 0:
        assert (terminal.exitstatus, terminal.signalstatus) == (code, None)
    else:
        assert terminal.signalstatus == -code
    assert "Interrupted" in terminal.before
    assert "Traceback" not in terminal.before
    assert acmectl.locks() == []
    assert acmectl.lineages() == []
    acmectl.certonly("a.example")


def test_control_c_at_a_question_ends_the_run(acmectl):
    terminal = acmectl.terminal("certonly", "--standalone")
    terminal.expect_exact("c to cancel")
    terminal.sendintr()
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == 1
    assert "Traceback" not in terminal.before
    assert acmectl.locks() == []


@SIGNALS
def test_a_signal_while_the_ca_says_nothing_ends_the_run_at_once(tmp_path, public_folder, signum, code):
    with Pebble(PebbleConfig(va_nosleep=False, va_sleep_seconds=AGES)) as pebble, Acmectl(pebble, tmp_path) as acmectl:
        before = len(pebble.requests())
        run = acmectl.start(
            *("certonly", "-n", "--agree-tos", "--webroot", "-w", str(public_folder), "-d", "a.example")
        )
        wait_until(lambda: being_validated(pebble, before), "the validation")
        pebble.pause()
        run.send(signum)
        is_tidy(acmectl, run.wait(), code)
        pebble.resume()
    assert list(public_folder.iterdir()) == []


def test_after_an_interrupted_run_the_next_one_succeeds(pebble, acmectl, public_folder):
    ready = acmectl.folder / "ready"
    os.mkfifo(ready)
    auth = script(acmectl.folder / "auth", f"echo $$ > {ready}\nexec sleep 600")
    run = acmectl.start("certonly", "-n", "--agree-tos", "--manual", "--manual-auth-hook", auth, "-d", "a.example")
    run.told(ready)
    run.send(signal.SIGTERM)
    run.wait()
    with static_server(public_folder, pebble.http_port):
        acmectl.certonly("a.example", options=("--webroot", "-w", str(public_folder)))
    assert acmectl.version("a.example") == 1
    assert not list(acmectl.work.rglob("key.pem"))


def test_signals_without_patience_do_not_tear_the_clean_up(slow_pebble, slow, public_folder):
    before = len(slow_pebble.requests())
    run = slow.start("certonly", "-n", "--agree-tos", "--webroot", "-w", str(public_folder), "-d", "a.example")
    wait_until(lambda: being_validated(slow_pebble, before), "the validation")
    for signum in (signal.SIGINT, signal.SIGINT, signal.SIGTERM):
        run.send(signum)
    done = run.wait()
    assert done.code in (1, -signal.SIGTERM), str(done)
    assert list(public_folder.iterdir()) == []
    assert slow.locks() == []


def test_an_issuance_that_takes_too_long_ends_in_one_line_and_cleans_up(slow, public_folder):
    options = ("--webroot", "-w", str(public_folder), "--issuance-timeout", "1")
    done = slow.certonly("a.example", options=options, code=1)
    assert done.errors == ["The validation was not ready within 1 seconds."]
    assert "--issuance-timeout" in done.err
    assert list(public_folder.iterdir()) == []


def test_a_terminal_that_goes_away_ends_the_run_tidily(acmectl):
    acmectl.certonly("a.example")
    terminal = acmectl.terminal("certonly", "--standalone", "-d", "a.example")
    terminal.expect_exact("What now?")
    terminal.kill(signal.SIGHUP)
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.signalstatus == signal.SIGHUP
    assert acmectl.locks() == []
    assert acmectl.version("a.example") == 1
