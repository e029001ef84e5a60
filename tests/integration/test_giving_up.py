"""After a failed order: what is pending of it at the CA is given up, unless a later run goes on with that order."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator

import pytest

from acmectl.acme.base64url import unb64url
from acmectl.acme.client import AcmeClient
from acmectl.acme.jws import AccountKey
from tests.integration.cli import Acmectl, Outcome
from tests.integration.servers.between import Answer, Between
from tests.integration.servers.pebble import Pebble, PebbleConfig
from tests.integration.test_protocol_pebble import CLOCK, transport_for

NAMES = ("a.example", "b.example", "c.example")
REFUSAL = Answer(
    status=400,
    headers={"Content-Type": "application/problem+json"},
    body=json.dumps({"type": "urn:ietf:params:acme:error:serverInternal", "detail": "not today"}).encode(),
)


@pytest.fixture(scope="module")
def server() -> Iterator[Pebble]:
    """A CA that uses valid authorizations again."""
    with Pebble(PebbleConfig(orders_per_page=100, authz_reuse=100)) as running:
        yield running


class Noting(Between):
    """Notes the authorizations of each order that it sees: Pebble does not list orders that have failed."""

    def __init__(self, pebble: Pebble) -> None:
        super().__init__(pebble)
        self.orders: dict[str, list[str]] = {}
        self.after = self._note

    def _note(self, _method: str, path: str, answer: Answer) -> Answer:
        if path.startswith(("/order-plz", "/my-order/")) and answer.status < 300:
            content = json.loads(answer.body)
            self.orders[content["finalize"]] = content["authorizations"]
        return answer


@pytest.fixture
def between(server: Pebble) -> Iterator[Noting]:
    with Noting(server) as running:
        yield running


@pytest.fixture
def program(between: Noting, server: Pebble, tmp_path) -> Iterator[Acmectl]:
    """With an account at the CA, which it reaches through ``between``."""
    with Acmectl(server, tmp_path) as acmectl:
        flags = ("--server", between.directory_url, "--ca-bundle", str(server.ca_bundle))
        acmectl.run("register", "-n", "--agree-tos", "--register-unsafely-without-email", *flags, server=False).ok()
        yield acmectl


def issue(program: Acmectl, between: Noting, *names: str, options: tuple[str, ...] = ("--standalone",)) -> Outcome:
    return program.run(*command(program, between, *names, options=options), server=False)


def command(program: Acmectl, between: Noting, *names: str, options: tuple[str, ...]) -> tuple[str, ...]:
    assert program.pebble is not None
    return (
        *("certonly", "-n", "--agree-tos", "--server", between.directory_url, *options),
        *("--ca-bundle", str(program.pebble.ca_bundle), "--http-01-port", str(program.pebble.http_port)),
        *(part for name in names for part in ("-d", name)),
    )


def no_challenge(_method: str, path: str) -> Answer | None:
    return REFUSAL if path.startswith("/chalZ/") else None


def states(acmectl: Acmectl, between: Noting) -> list[list[str]]:
    """Of the authorizations of each order, as the CA has them."""
    between.before = lambda _method, _path: None
    (folder,) = acmectl.account_dirs()
    key = AccountKey.from_jwk_json((folder / "private_key.json").read_text())
    client = AcmeClient(transport_for(between.pebble), between.directory_url, key, clock=CLOCK)
    orders = between.orders.values()
    return sorted(sorted(str(client.authorization(url).status) for url in urls) for urls in orders)


def test_a_failed_order_leaves_nothing_pending(program, between):
    between.before = no_challenge
    done = issue(program, between, *NAMES).failed()
    assert "not today" in done.errors[0]
    assert states(program, between) == [["deactivated"] * 3]
    assert list((program.work / "pending").iterdir()) == []
    issue(program, between, *NAMES).ok()


def test_nor_does_a_trial(program, between):
    between.before = no_challenge
    issue(program, between, *NAMES, options=("--standalone", "--dry-run")).failed()
    assert states(program, between) == [["deactivated"] * 3]


def test_what_was_proved_stays_valid(program, between):
    issue(program, between, "proved.example").ok()
    between.before = no_challenge
    issue(program, between, "proved.example", "other.example", options=("--standalone", "--expand")).failed()
    assert states(program, between) == [["deactivated", "valid"], ["valid"]]


def test_a_refusal_to_give_up_changes_nothing_about_the_failure(program, between):
    refused = []

    def refuse(method: str, path: str) -> Answer | None:
        if path.startswith("/authZ/") and b"deactivated" in unb64url(json.loads(between.bodies[-1])["payload"]):
            refused.append(path)
            return REFUSAL
        return no_challenge(method, path)

    between.before = refuse
    done = issue(program, between, *NAMES).failed()
    assert refused
    assert len(done.errors) == 1
    assert "not given up" in program.log()
    assert states(program, between) == [["pending"] * 3]


def test_after_a_time_out_the_order_is_gone_on_with(program, between):
    def later(_method: str, path: str) -> Answer | None:
        if not path.startswith("/chalZ/"):
            return None
        url = f"https://127.0.0.1:{between.port}{path}"
        return Answer(status=200, body=json.dumps({"type": "http-01", "url": url, "status": "processing"}).encode())

    between.before = later
    done = issue(program, between, "slow.example", options=("--standalone", "--issuance-timeout", "1")).failed()
    assert "--issuance-timeout" in done.err
    assert states(program, between) == [["pending"]]
    issue(program, between, "slow.example").ok()
    assert states(program, between) == [["valid"]]


def test_after_a_signal_the_order_is_gone_on_with(program, between, tmp_path):
    ready, wait, hook = tmp_path / "ready", tmp_path / "go-on", tmp_path / "hook"
    hook.write_text(f"#!/bin/sh\necho here > {ready}\ncat {wait}\n")
    hook.chmod(0o755)
    os.mkfifo(ready)
    os.mkfifo(wait)
    flags = ("--manual", "--manual-auth-hook", str(hook))
    run = program.start(*command(program, between, "stopped.example", options=flags), server=False)
    run.told(ready)
    run.send(signal.SIGINT)
    assert run.wait().code == 1
    assert states(program, between) == [["pending"]]
    issue(program, between, "stopped.example").ok()
    assert states(program, between) == [["valid"]]
