"""What a CA says when it has had enough: rate limits and paused names. Scripted, for no CA here has such limits."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.cli import Acmectl
from tests.integration.fleet import plant
from tests.integration.servers.hostile import HostileServer, answer
from tests.integration.servers.pebble import Pebble

UNPAUSE = "https://portal.ca.example/unpause?jwt=abc.def.ghi"
PAUSED = {
    "type": "urn:ietf:params:acme:error:rateLimited",
    "detail": f"Your account is temporarily prevented from requesting certificates for limit.example. Visit {UNPAUSE}",
    "status": 429,
}
LIMITED = {
    "type": "urn:ietf:params:acme:error:rateLimited",
    "detail": "too many certificates (5) already issued for this exact set of identifiers in the last 168h0m0s",
    "status": 429,
}
NONCE = {"Replay-Nonce": "bm9uY2Utbm9uY2Utbm9uY2U"}


@pytest.fixture
def limiting() -> Iterator[HostileServer]:
    """A CA that registers accounts and answers each new order with what the test puts at /order."""
    with HostileServer() as server:
        names = {name: f"{server.url}/{name}" for name in ("newNonce", "newAccount", "newOrder", "revokeCert")}
        server.routes["/dir"] = answer(names)
        server.routes["/newNonce"] = answer(headers=NONCE)
        account = {**NONCE, "Location": f"{server.url}/account/1"}
        server.routes["/newAccount"] = answer({"status": "valid"}, status=201, headers=account)
        yield server


def orders(server: HostileServer) -> int:
    return server.requests.count("POST /newOrder")


def due(acmectl: Acmectl, server: HostileServer) -> tuple[str, ...]:
    """A lineage of that CA which is due, and the flags to reach the CA."""
    flags = ("--server", f"{server.url}/dir", "--ca-bundle", str(server.ca_bundle))
    acmectl.run("register", "-n", "--agree-tos", *flags, server=False).ok()
    plant(acmectl, "limit.example", params={"server": f"{server.url}/dir"})
    return flags


def renewed(acmectl: Acmectl, *options: str) -> dict[str, object]:
    (one,) = acmectl.run("renew", "--json", *options, server=False).failed().json["lineages"]
    return dict(one)


def test_a_rate_limit_is_shown_with_its_help_kept_and_obeyed(
    limiting: HostileServer, pebble: Pebble, tmp_path: Path
) -> None:
    with Acmectl(pebble, tmp_path) as acmectl:
        due(acmectl, limiting)
        headers = {**NONCE, "Retry-After": "122400", "Link": '<https://ca.example/docs/rate-limits>;rel="help"'}
        limiting.routes["/newOrder"] = answer(LIMITED, status=429, headers=headers)
        first = renewed(acmectl)
        assert first["outcome"] == "failure"
        assert "exact set" in str(first["why"])
        assert "https://ca.example/docs/rate-limits" in f"{first['why']} {first['hint']}"
        assert orders(limiting) == 1
        second = renewed(acmectl)
        assert (second["outcome"], second["failing"], orders(limiting)) == ("skipped", True, 1)
        left = datetime.datetime.fromisoformat(str(second["next_attempt"])) - datetime.datetime.now(datetime.UTC)
        assert datetime.timedelta(hours=33) < left <= datetime.timedelta(hours=34)
        renewed(acmectl, "--cert-name", "limit.example")
        assert orders(limiting) == 2


def test_a_paused_name_shows_the_link_once_and_is_left_alone(
    limiting: HostileServer, pebble: Pebble, tmp_path: Path
) -> None:
    with Acmectl(pebble, tmp_path) as acmectl:
        due(acmectl, limiting)
        limiting.routes["/newOrder"] = answer(PAUSED, status=429, headers=NONCE)
        assert UNPAUSE in str(renewed(acmectl)["why"])
        asked = orders(limiting)
        second = renewed(acmectl)
        assert (second["outcome"], second["failing"], orders(limiting)) == ("skipped", True, asked)
        assert "paused" in str(second["why"])
        assert "--cert-name limit.example" in str(second["hint"])
        # The link lets anybody unpause, so it lies in no file that others may read.
        assert "jwt=" not in (acmectl.config / "renewal" / "limit.example.conf").read_text()
        assert UNPAUSE in str(renewed(acmectl, "--cert-name", "limit.example")["why"])
