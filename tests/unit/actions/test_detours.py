"""Which of several CAs is asked when: the cool-down, by a clock that stands still until it is moved."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from acmectl.acme.problem import Problem
from acmectl.actions.detours import COOL_DOWN, PAUSES, Detours, out_of_order, read_pauses
from acmectl.actions.hooks import HookCommands
from acmectl.actions.requests import AccountRequest, AuthenticatorRequest, CertificateRequest, KeyRequest
from acmectl.errors import AuthorizationFailed, ConfigError, RateLimited, ServerProblem, TransportError
from acmectl.pki.keys import KeySpec

A, B, C = (f"https://{letter}.example/dir" for letter in "abc")
NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)
PROBLEM = Problem(type="urn:ietf:params:acme:error:rateLimited", detail="no")


@dataclass
class World:
    """CAs that fail with what ``broken`` says; ``asked`` are those that were gone to."""

    time: datetime = NOON
    broken: dict[str, Exception] = field(default_factory=dict)
    looked: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def now(self):
        return self.time

    def look(self, server):
        self.looked.append(server)

    def issue(self, request, _account):
        self.asked.append(request.account.server)
        if request.account.server in self.broken:
            raise self.broken[request.account.server]
        return request

    def detours(self):
        return Detours(SimpleNamespace(clock=self, network=self, observe=lambda _event: None))

    def go(self, request, detours=None):
        self.asked.clear()
        return (detours or self.detours()).go(request, lambda account: account, self.issue)


@pytest.fixture
def world():
    return World()


def wanted(*servers, own=None):
    return CertificateRequest(
        account=AccountRequest(server=servers[0], account_id="0123"),
        authenticator=AuthenticatorRequest(name="standalone", options={}),
        key=KeyRequest(spec=KeySpec.ecdsa()),
        hooks=HookCommands(),
        params={"server": servers[0], "account": "0123"},
        own=own or {},
        servers=servers,
    )


def test_the_first_is_asked_again_once_the_cool_down_is_over_and_not_before(world):
    world.broken[A] = TransportError("gone")
    made = world.go(wanted(A, B))
    assert world.asked == [A, B]
    assert (made.account.server, made.account.account_id, made.params["server"]) == (B, None, B)
    assert made.own[PAUSES] == {A: (NOON + COOL_DOWN).isoformat()}
    del world.broken[A]
    world.time = NOON + COOL_DOWN - timedelta(seconds=1)
    again = world.go(wanted(A, B, own=made.own))
    assert world.asked == [B]
    assert again.own[PAUSES] == made.own[PAUSES]
    world.time = NOON + COOL_DOWN
    back = world.go(wanted(A, B, own=again.own))
    assert world.asked == [A]
    assert PAUSES not in back.own
    assert back.account.account_id == "0123"


def test_a_later_time_that_the_ca_names_counts_and_none_beyond_a_year(world):
    for asked, kept in ((timedelta(hours=1), COOL_DOWN), (timedelta(days=3), timedelta(days=3))):
        world.broken[A] = RateLimited("no", problem=PROBLEM, retry_at=NOON + asked)
        assert read_pauses(world.go(wanted(A, B)).own) == {A: NOON + kept}
    world.broken[A] = RateLimited("no", problem=PROBLEM, retry_at=NOON + timedelta(days=9999))
    assert read_pauses(world.go(wanted(A, B)).own)[A] < NOON + timedelta(days=367)


def test_where_all_rest_they_are_asked_in_their_order(world):
    own = {PAUSES: {A: (NOON + COOL_DOWN).isoformat(), B: (NOON + COOL_DOWN).isoformat()}}
    assert PAUSES in world.go(wanted(A, B, own=own)).own
    assert world.asked == [A]


def test_one_that_is_down_is_gone_to_once_in_a_run_and_one_that_limits_every_time(world):
    detours = world.detours()
    world.broken = {A: TransportError("gone"), B: RateLimited("no", problem=PROBLEM, status=429)}
    world.go(wanted(A, B, C), detours)
    assert world.asked == [A, B, C]
    made = world.go(wanted(A, B, C), detours)
    assert world.asked == [B, C]
    assert set(made.own[PAUSES]) == {A, B}


def test_a_failed_validation_ends_it_wherever_it_happens(world):
    world.broken = {A: TransportError("gone"), B: AuthorizationFailed(())}
    with pytest.raises(AuthorizationFailed):
        world.go(wanted(A, B, C))
    assert world.asked == [A, B]


def test_what_is_wrong_with_the_request_ends_it_at_the_first_and_not_at_the_next(world):
    world.broken = {A: ConfigError("no such profile")}
    with pytest.raises(ConfigError):
        world.go(wanted(A, B))
    assert world.asked == [A]
    world.broken = {A: TransportError("gone"), B: ConfigError("no such profile")}
    assert world.go(wanted(A, B, C)).account.server == C
    # What is told at the end is what a later run may find better.
    with pytest.raises(TransportError):
        world.go(wanted(A, B))


def test_one_ca_and_a_dry_run_know_no_detour(world):
    world.broken[A] = TransportError("gone")
    for request in (wanted(A), replace(wanted(A, B), dry_run=True)):
        with pytest.raises(TransportError):
            world.go(request)
        assert world.asked == [A]
    assert world.looked == []


@pytest.mark.parametrize(
    ("status", "out"), [(400, False), (403, False), (404, False), (500, True), (502, True), (503, True)]
)
def test_a_refusal_is_the_ca_s_word_and_a_failure_is_not(status, out):
    assert out_of_order(ServerProblem("no", problem=PROBLEM, status=status)) is out


@pytest.mark.parametrize("stored", [None, "x", [], {A: 1}, {A: "yesterday"}, {A: None}])
def test_what_cannot_be_read_counts_as_no_pause(world, stored):
    assert read_pauses({PAUSES: stored}) == {}
