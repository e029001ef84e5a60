"""Two CAs by different people, one in the place of the other: they neither know, want nor send the same."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.cli import Acmectl, Outcome
from tests.integration.servers.acme2certifier import Acme2certifier, Config
from tests.integration.servers.pebble import Pebble, PebbleConfig
from tests.integration.test_several_cas import limiting, stopped

SECRET = "ZndUSkZvVldvMEFiRzQ5VWNCdERtNkNBNnBTcTl4czNKVEVxdUZiaEdpZXZNUVJBVmRuSFREcDJYX2s3X0NxTA"
EAB = ("--eab-kid", "kid-1", "--eab-hmac-key", SECRET)
NAME = "several.example.com"


@pytest.fixture(scope="module")
def other() -> Iterator[Acme2certifier]:
    """The one that wants accounts to be bound."""
    with Acme2certifier(Config(eab_keys={"kid-1": SECRET})) as running:
        yield running


@pytest.fixture(scope="module")
def pebble_there(other: Acme2certifier) -> Iterator[Pebble]:
    """A Pebble in the same network."""
    with other.inside(), Pebble(PebbleConfig(http_port=80, tls_port=443)) as running:
        yield running


@pytest.fixture
def program(other: Acme2certifier, tmp_path: Path) -> Iterator[Acmectl]:
    with other.acmectl(tmp_path) as acmectl:
        yield acmectl


def trusting(acmectl: Acmectl, *bundles: Path) -> tuple[str, ...]:
    path = acmectl.folder / "roots.pem"
    path.write_bytes(b"".join(one.read_bytes() for one in bundles))
    return ("--ca-bundle", str(path))


def obtain(acmectl: Acmectl, *servers: str, trust: tuple[str, ...], options: tuple[str, ...] = EAB) -> Outcome:
    several = [part for server in servers for part in ("--server", server)]
    who = ("-n", "--agree-tos", "-m", "me@example.com", *options)
    return acmectl.run("certonly", *who, "--standalone", "-d", NAME, *several, *trust, server=False)


def issued_by(acmectl: Acmectl) -> str:
    """The CA that issued what is live, which certificate, renewal file and the listing have to agree about."""
    (one,) = acmectl.run("certificates", "--json", server=False).ok().json["certificates"]
    params = acmectl.params(NAME)
    assert one["server"] == params["server"]
    (account,) = [folder for folder in acmectl.account_dirs() if folder.name == params["account"]]
    regr = json.loads((account / "regr.json").read_text())
    assert regr["uri"].startswith(params["server"].rpartition("/")[0])
    issuer = acmectl.certificate(NAME).issuer.rfc4514_string()
    assert ("Pebble" in issuer) is params["server"].endswith("/dir")
    return str(params["server"])


def rest_is_over(acmectl: Acmectl, server: str) -> None:
    """What is stored is all that the program goes by, so it is told that the time has come."""
    until = json.loads(acmectl.renewal(NAME)["acmectl"]["server_pauses"])[server]
    path = acmectl.renewal_path(NAME)
    assert path.read_text().count(until) == 1
    path.write_text(path.read_text().replace(until, "2026-01-01T00:00:00+00:00"))


@pytest.mark.parametrize("trouble", [stopped, limiting])
def test_the_second_server_issues_when_the_first_ca_is_out_of_order(
    program: Acmectl, other: Acme2certifier, trouble
) -> None:
    with other.inside(), trouble() as (url, roots):
        trust = trusting(program, other.ca_bundle, *roots)
        done = obtain(program, url, other.directory_url, trust=trust).ok()
    assert f"Warning: The CA at {url} is passed over: " in done.err
    assert issued_by(program) == other.directory_url


def test_one_takes_the_place_of_the_other_until_it_has_rested(
    program: Acmectl, other: Acme2certifier, pebble_there: Pebble
) -> None:
    trust = trusting(program, other.ca_bundle, pebble_there.ca_bundle)
    both = (other.directory_url, pebble_there.directory_url)
    obtain(program, *both, trust=trust).ok()
    assert issued_by(program) == other.directory_url
    (first,) = program.account_dirs()
    renew = ("renew", "--force-renewal", "--agree-tos", *trust)

    other.stop()
    try:
        program.run(*renew, server=False).ok()
        assert issued_by(program) == pebble_there.directory_url
    finally:
        other.start()
    program.run(*renew, server=False).ok()
    assert issued_by(program) == pebble_there.directory_url

    rest_is_over(program, other.directory_url)
    program.run(*renew, server=False).ok()
    assert issued_by(program) == other.directory_url
    # Of the account that it had.
    assert program.params(NAME)["account"] == first.name
    assert len(program.account_dirs()) == 2
    assert program.version(NAME) == 4
    # The chain of one has the root and that of the other has not: each is whole.
    assert len(program.live(NAME, "chain").read_bytes().split(b"BEGIN CERTIFICATE")) == 3


def test_a_failed_validation_at_the_second_server_is_not_taken_elsewhere(
    program: Acmectl, other: Acme2certifier, pebble_there: Pebble
) -> None:
    trust = trusting(program, other.ca_bundle, pebble_there.ca_bundle)
    asked = len(pebble_there.requests())
    # Nothing of ours listens where the CA asks.
    elsewhere = (*EAB, "--http-01-address", "127.0.0.9", "--no-preflight")
    done = obtain(program, other.directory_url, pebble_there.directory_url, trust=trust, options=elsewhere).failed()
    assert "passed over" not in done.err
    assert pebble_there.requests()[asked:] == []
    assert program.lineages() == []


def test_the_second_server_is_passed_over_for_want_of_a_binding(
    program: Acmectl, other: Acme2certifier, pebble_there: Pebble
) -> None:
    trust = trusting(program, other.ca_bundle, pebble_there.ca_bundle)
    done = obtain(program, other.directory_url, pebble_there.directory_url, trust=trust, options=()).ok()
    assert "--eab-kid and --eab-hmac-key" in done.err
    assert issued_by(program) == pebble_there.directory_url
    assert "server_pauses" not in program.renewal(NAME)["acmectl"]
