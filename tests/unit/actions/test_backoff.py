"""Waiting longer after each failure, and no longer than the certificate can afford."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from acmectl.actions.backoff import Backoff

NOW = datetime(2026, 11, 21, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)


def test_attempts_follow_after_1_10_and_100_minutes_and_then_daily() -> None:
    state = Backoff()
    waits = []
    for _ in range(5):
        state = state.failed(NOW, "no", expires=NOW + 30 * DAY)
        assert state.not_before is not None
        waits.append((state.not_before - NOW) / MINUTE)
    assert waits == [1, 10, 100, 1440, 1440]
    assert state.failures == 5


def test_the_wait_is_at_most_a_tenth_of_the_lifetime_left_but_a_minute_at_least() -> None:
    many = Backoff(failures=9)
    assert many.failed(NOW, "no", expires=NOW + 5 * DAY).not_before == NOW + DAY / 2
    assert many.failed(NOW, "no", expires=NOW - DAY).not_before == NOW + MINUTE


def test_a_rate_limits_word_is_obeyed_even_when_it_is_longer() -> None:
    later = NOW + 34 * 60 * MINUTE
    assert Backoff().failed(NOW, "limit", expires=NOW + DAY, retry_at=later).not_before == later
    assert Backoff().failed(NOW, "limit", retry_at=NOW - DAY).not_before == NOW + MINUTE


def test_it_holds_until_the_time_has_come_and_for_ever_while_paused() -> None:
    state = Backoff().failed(NOW, "no")
    assert state.holds(NOW)
    assert not state.holds(NOW + MINUTE)
    assert not Backoff().holds(NOW)
    assert Backoff().failed(NOW, "paused", paused=True).holds(NOW + 1000 * DAY)


def test_it_survives_being_written_and_damage_means_nothing_is_known() -> None:
    state = Backoff().failed(NOW, "100% no %(x)s").failed(NOW, "again", paused=True)
    assert Backoff.from_json(state.to_json()) == state
    assert Backoff.from_json(None) == Backoff()
    assert Backoff.from_json({"failures": "many", "not_before": "later"}) == Backoff()
    assert Backoff.from_json({"failures": 1, "not_before": "0001-01-01T00:00:00+14:00"}) == Backoff()
    assert Backoff.from_json({"failures": -9}).failed(NOW, "no").not_before == NOW + MINUTE
