import http.client
import json
import os
import signal
import socket
import subprocess
import sys
from dataclasses import replace

import pytest

from acmectl.errors import AuthorizationFailed, Interrupted, PluginError
from acmectl.plugin.testing import RecordedTerminal, make_context, make_task
from acmectl_plugins.manual import Manual

HTTP = make_task("a.example", "http-01")
DNS = make_task("*.a.example", "dns-01")
DNS_BASE = make_task("a.example", "dns-01")
OTHER = make_task("b.example", "dns-01")
PRINT_ENV = (
    f"{sys.executable} -c 'import json, os; print(json.dumps({{k: v for k, v in os.environ.items()"
    """ if k.startswith("CERTBOT_")}))'"""
)


def with_hooks(auth, cleanup=None, **context):
    options = {"manual_auth_hook": auth, "manual_cleanup_hook": cleanup}
    return Manual(options, replace(make_context(), **context))


def interactive(**options):
    terminal = RecordedTerminal(interactive=True)
    return Manual(options, make_context(terminal=terminal)), terminal


def test_http_hooks_see_certbots_variables(tmp_path):
    auth, cleanup = tmp_path / "auth", tmp_path / "cleanup"
    one = with_hooks(f"{PRINT_ENV} >> {auth}; echo '  said this  '; echo no >&2", f"{PRINT_ENV} >> {cleanup}")
    other = make_task("2001:db8::1", "http-01")
    one.present([HTTP, other])
    one.clean_up([HTTP, other])
    first, second = map(json.loads, auth.read_text().splitlines())
    assert first == {
        "CERTBOT_DOMAIN": "a.example",
        "CERTBOT_IDENTIFIER": "a.example",
        "CERTBOT_VALIDATION": HTTP.key_authorization,
        "CERTBOT_TOKEN": HTTP.token,
        "CERTBOT_ALL_DOMAINS": "a.example,2001:db8::1",
        "CERTBOT_ALL_IDENTIFIERS": "a.example,2001:db8::1",
        "CERTBOT_REMAINING_CHALLENGES": "1",
    }
    assert second["CERTBOT_REMAINING_CHALLENGES"] == "0"
    assert second["CERTBOT_DOMAIN"] == "2001:db8::1"
    cleaned = [json.loads(line) for line in cleanup.read_text().splitlines()]
    assert cleaned == [{**env, "CERTBOT_AUTH_OUTPUT": "said this"} for env in (first, second)]


def test_dns_hooks_get_the_digest_and_the_name_without_its_star(tmp_path):
    seen = tmp_path / "seen"
    one = with_hooks(f"{PRINT_ENV} >> {seen}")
    one.present([DNS, DNS_BASE])
    first, second = map(json.loads, seen.read_text().splitlines())
    assert first["CERTBOT_DOMAIN"] == first["CERTBOT_IDENTIFIER"] == "a.example"
    assert first["CERTBOT_VALIDATION"] == DNS.record_value
    assert second["CERTBOT_VALIDATION"] == DNS_BASE.record_value
    assert first["CERTBOT_ALL_DOMAINS"] == "a.example,a.example"
    assert "CERTBOT_TOKEN" not in first


def test_a_failing_auth_hook_fails_its_name_and_the_others_go_on(tmp_path):
    log = tmp_path / "log"
    one = with_hooks(
        f'echo auth $CERTBOT_DOMAIN >> {log}; test "$CERTBOT_DOMAIN" != a.example',
        f'echo cleanup $CERTBOT_DOMAIN "[$CERTBOT_AUTH_OUTPUT]" >> {log}',
    )
    with pytest.raises(AuthorizationFailed) as caught:
        one.present([HTTP, OTHER])
    (failure,) = caught.value.failures
    assert failure.identifier == HTTP.identifier
    assert "exit status 1" in failure.reason
    assert failure.authenticator == "manual"
    one.clean_up([HTTP, OTHER])
    one.clean_up([HTTP, OTHER])
    assert log.read_text().splitlines() == [
        "auth a.example",
        "auth b.example",
        "cleanup a.example []",
        "cleanup b.example []",
    ]


def test_a_hook_that_does_not_exist_fails_the_name():
    with pytest.raises(AuthorizationFailed) as caught:
        with_hooks("/no/such/hook 2>/dev/null").present([HTTP])
    assert "127" in caught.value.failures[0].reason


def test_only_what_was_begun_is_cleaned_up(tmp_path):
    log = tmp_path / "log"

    def interrupted(command, *, name, env):
        if env["CERTBOT_DOMAIN"] == "b.example" and "auth" in name:
            raise Interrupted(signal.SIGINT)
        return make_context().run_hook(command, name=name, env=env)

    one = with_hooks("true", f"echo $CERTBOT_DOMAIN >> {log}", run_hook=interrupted)
    third = make_task("c.example", "dns-01")
    with pytest.raises(Interrupted):
        one.present([HTTP, OTHER, third])
    one.clean_up([HTTP, OTHER, third])
    assert log.read_text().split() == ["a.example", "b.example"]


def test_every_clean_up_is_attempted_even_when_one_fails(tmp_path):
    log = tmp_path / "log"
    one = with_hooks("true", f"echo $CERTBOT_DOMAIN >> {log}; test $CERTBOT_DOMAIN != a.example")
    one.present([HTTP, OTHER])
    with pytest.raises(PluginError, match=r"--manual-cleanup-hook for a\.example failed with exit status 1"):
        one.clean_up([HTTP, OTHER])
    assert log.read_text().split() == ["a.example", "b.example"]


def test_an_auth_hook_that_says_very_much_does_not_break_the_clean_up(tmp_path):
    log = tmp_path / "log"
    one = with_hooks("head -c 300000 /dev/zero | tr '\\0' x", f'printf %s "$CERTBOT_AUTH_OUTPUT" | wc -c > {log}')
    one.present([HTTP])
    one.clean_up([HTTP])
    assert int(log.read_text()) == 120_000


def test_hooks_get_the_hooks_names():
    names = []

    def recorded(command, *, name, env):
        names.append((command, name))
        return ""

    one = with_hooks("A", "C", run_hook=recorded)
    one.present([DNS])
    one.clean_up([DNS])
    assert names == [("A", "--manual-auth-hook for *.a.example"), ("C", "--manual-cleanup-hook for *.a.example")]


def test_nobody_at_the_terminal_and_no_hook_is_refused():
    one = Manual({}, make_context())
    for step in (lambda: one.check([HTTP.identifier]), lambda: one.present([HTTP])):
        with pytest.raises(PluginError, match="neither") as caught:
            step()
        assert "--manual-auth-hook" in caught.value.hint
    one.clean_up([HTTP])


def test_a_hook_needs_nobody_at_the_terminal():
    with_hooks("true").check([HTTP.identifier])


def test_http_instructions_stand_alone_on_their_lines():
    one, terminal = interactive()
    one.check([HTTP.identifier])
    one.present([HTTP])
    for value in (HTTP.http_url, HTTP.key_authorization, HTTP.http_path[1:]):
        assert value in terminal.lines
    assert len(terminal.pauses) == 1


def test_the_copy_paste_command_serves_every_file(tmp_path, monkeypatch):
    second = make_task("b.example", "http-01")
    one, terminal = interactive()
    one.present([HTTP, second])
    (command,) = [line for line in terminal.lines if "http.server" in line]
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    command = command.replace("python3 -m http.server 80", f"exec {sys.executable} -u -m http.server {port}")
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(
        ["/bin/sh", "-c", command], env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as server:
        try:
            server.stdout.readline()
            for task in (HTTP, second):
                connection = http.client.HTTPConnection("localhost", port, timeout=20)
                connection.request("GET", task.http_path)
                assert connection.getresponse().read() == task.http_body
                connection.close()
        finally:
            server.terminate()


def test_dns_instructions_stand_alone_on_their_lines_and_say_that_both_must_stay():
    one, terminal = interactive()
    one.present([DNS, DNS_BASE, OTHER])
    for task in (DNS, DNS_BASE, OTHER):
        assert task.record_name in terminal.lines
        assert task.record_value in terminal.lines
        assert f"dig +short TXT {task.record_name}" in terminal.lines
    assert sum("keep both" in line for line in terminal.lines) == 2
    assert not any("http.server" in line for line in terminal.lines)
    assert [line for line in terminal.lines if line.startswith("Challenge ")] == [
        "Challenge 1 of 3: *.a.example (dns-01)",
        "Challenge 2 of 3: a.example (dns-01)",
        "Challenge 3 of 3: b.example (dns-01)",
    ]
    assert terminal.pauses == ["Press Enter when all 3 of the above are in place; the CA will look at once."]


def test_everything_is_said_before_the_pause_and_the_answer_is_expected_after_it():
    one, terminal = interactive()
    said = []
    terminal.on_pause = lambda: said.extend(terminal.lines)
    one.present([DNS])
    assert DNS.record_value in said
    assert terminal.lines == said


def test_what_can_be_removed_is_said_once():
    one, terminal = interactive()
    one.present([DNS, HTTP])
    terminal.lines.clear()
    one.clean_up([DNS, HTTP])
    assert f"TXT {DNS.record_name} {DNS.record_value}" in terminal.lines
    assert HTTP.http_url in terminal.lines
    terminal.lines.clear()
    one.clean_up([DNS, HTTP])
    assert terminal.lines == []


def test_a_cleanup_hook_serves_interactive_runs_too(tmp_path):
    log = tmp_path / "log"
    one, _terminal = interactive(manual_cleanup_hook=f"{PRINT_ENV} > {log}")
    one.present([DNS])
    one.clean_up([DNS])
    seen = json.loads(log.read_text())
    assert seen["CERTBOT_VALIDATION"] == DNS.record_value
    assert "CERTBOT_AUTH_OUTPUT" not in seen


def test_hints_tell_how_to_look():
    one, _ = interactive()
    assert f"dig +short TXT {DNS.record_name}" in one.failure_hint(DNS)
    assert HTTP.http_url in one.failure_hint(HTTP)
    assert "auth hook" in with_hooks("true").failure_hint(HTTP)


def test_the_repr_of_a_started_challenge_hides_its_answer():
    one = with_hooks("true")
    one.present([HTTP])
    assert HTTP.key_authorization not in repr(one._started)
