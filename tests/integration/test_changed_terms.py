"""Terms of service that have changed (RFC 8555 section 7.3.3).

Pebble never changes its terms and hears of no agreement after the registration: the refusal and the answer to the
agreement are scripted, by a server between it and acmectl.
"""

from __future__ import annotations

import base64
import json

import pytest

from tests.integration.servers.between import Answer, Between

TERMS = "https://ca.example/terms-of-2027"
PAGE = "https://ca.example/agree?account=1"


@pytest.fixture
def changed(pebble):
    """A CA whose terms have changed since the account agreed to them."""
    with Between(pebble) as server:
        server.agreed = False

        def before(method, path):
            if method != "POST":
                return None
            if path.startswith("/my-account/") and sent(server) == {"termsOfServiceAgreed": True}:
                server.agreed = True
                return answer(200, {"status": "valid", "termsOfServiceAgreed": True})
            if path == "/order-plz" and not server.agreed:
                problem = {"type": "urn:ietf:params:acme:error:userActionRequired", "detail": "Terms have changed"}
                return answer(403, {**problem, "instance": PAGE}, Link=f'<{TERMS}>;rel="terms-of-service"')
            return None

        def after(_method, path, received):
            if path != "/dir":
                return received
            directory = json.loads(received.body)
            directory["meta"]["termsOfService"] = TERMS
            return answer(200, directory)

        server.before, server.after = before, after
        yield server


def answer(status, content, **headers):
    return Answer(status=status, headers={"Replay-Nonce": "bm9uY2U", **headers}, body=json.dumps(content).encode())


def sent(server):
    """The payload of the newest request, where it has one."""
    try:
        payload = json.loads(server.bodies[-1])["payload"]
        return json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (ValueError, KeyError):
        return None


def test_the_page_is_shown_and_agreeing_lets_the_next_run_go_on(pebble, changed, acmectl):
    server = ("--server", changed.directory_url)
    acmectl.run("register", "-n", "--agree-tos", *server).ok()
    certonly = ("certonly", "-n", "--standalone", "-d", "a.example", *server)
    stopped = acmectl.run(*certonly).failed()
    assert len(stopped.errors) == 1
    assert "userActionRequired, HTTP 403" in stopped.errors[0]
    assert f"Visit {PAGE}" in stopped.err
    assert "acmectl account agree" in stopped.err
    as_json = acmectl.run(*certonly, "--json").failed().json
    assert as_json["url"] == PAGE
    assert as_json["problem"]["status"] == 403
    # Nobody agrees but the person.
    silent = acmectl.run("account", "agree", "-n", *server).failed()
    assert TERMS in silent.errors[0]
    assert "--agree-tos" in silent.err
    assert not changed.agreed
    acmectl.run(*certonly).failed()
    done = acmectl.run("account", "agree", "-n", "--agree-tos", *server).ok()
    assert f"  Terms of service: {TERMS}\n" in done.out
    assert "  Account status: valid\n" in done.out
    assert changed.agreed
    acmectl.run(*certonly).ok()
    assert acmectl.lineages() == ["a.example"]
    assert len(acmectl.account_dirs()) == 1


def test_a_person_is_shown_the_terms_and_may_decline(changed, acmectl):
    server = ("--server", changed.directory_url)
    acmectl.run("register", "-n", "--agree-tos", *server).ok()
    for answer, agreed in (("n", False), ("y", True)):
        terminal = acmectl.terminal("account", "agree", *server)
        terminal.expect_exact(TERMS)
        terminal.expect("Do you agree")
        terminal.sendline(answer)
        terminal.expect("status: valid" if agreed else "not agreed to")
        terminal.wait()
        assert (terminal.exitstatus == 0) is agreed
        assert changed.agreed is agreed


def test_a_ca_that_wants_no_agreement_is_quoted_and_explained(acmectl):
    acmectl.run("register", "-n", "--agree-tos").ok()
    done = acmectl.run("account", "agree", "-n", "--agree-tos").failed()
    assert len(done.errors) == 1
    assert "only where one has refused a request for its terms" in done.err


def test_without_an_account_there_is_nothing_to_agree_with(pebble, acmectl):
    done = acmectl.run("account", "agree", "-n", "--agree-tos").failed()
    assert "no account" in done.errors[0]
