"""Statuses of ACME objects."""

import pytest

from acmectl.acme.status import AccountStatus, AuthorizationStatus, ChallengeStatus, OrderStatus

ALL = (AccountStatus, AuthorizationStatus, ChallengeStatus, OrderStatus)


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize("word", ["paused", "", "VALID", None, 7, [], {}])
def test_a_status_that_is_not_known_is_read_as_unknown(kind, word):
    assert kind.parse(word) is kind.UNKNOWN


@pytest.mark.parametrize("kind", ALL)
def test_every_known_status_is_read_as_itself(kind):
    assert [kind.parse(str(member)) for member in kind] == list(kind)


def test_waiting_ends_at_the_statuses_that_never_change_to_what_we_wait_for():
    assert {s for s in OrderStatus if s.is_terminal} == {"valid", "invalid"}
    assert {s for s in ChallengeStatus if s.is_terminal} == {"valid", "invalid"}
    assert not AuthorizationStatus.PENDING.is_terminal
    assert not AuthorizationStatus.UNKNOWN.is_terminal
