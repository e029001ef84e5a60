"""Renewal information between runs, and a simulated year of it."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import pytest

from acmectl.acme.resources import RenewalInfo
from acmectl.actions.ari import DEFAULT_PAUSE, AriState, certbot_stamp, from_certbot_stamp

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def info(start: datetime, end: datetime, retry_after: float | None = 21600.0) -> RenewalInfo:
    return RenewalInfo(start=start, end=end, retry_after=retry_after, explanation_url="https://ca.example/why")


def test_the_instant_is_kept_until_the_window_changes() -> None:
    fresh = AriState(cert_id="a.b")
    first = fresh.answered(info(NOW, NOW + DAY), NOW, lambda: 0.25)
    assert first.instant == NOW + 6 * HOUR
    again = first.answered(info(NOW, NOW + DAY), NOW + HOUR, lambda: 0.75)
    assert again.instant == first.instant
    moved = again.answered(info(NOW, NOW + 2 * DAY), NOW + HOUR, lambda: 0.75)
    assert moved.instant == NOW + 36 * HOUR


def test_the_next_question_waits_for_retry_after_or_six_hours() -> None:
    state = AriState(cert_id="a.b")
    assert state.shall_ask(NOW)
    told = state.answered(info(NOW, NOW + DAY, 3600.0), NOW, lambda: 0.0)
    assert not told.shall_ask(NOW + HOUR - timedelta(seconds=1))
    assert told.shall_ask(NOW + HOUR)
    untold = state.answered(info(NOW, NOW + DAY, None), NOW, lambda: 0.0)
    assert untold.ask_at == NOW + DEFAULT_PAUSE


def test_temporary_failures_back_off_and_lasting_ones_wait_six_hours() -> None:
    state = AriState(cert_id="a.b")
    pauses = []
    for _ in range(12):
        state = state.unanswered(NOW, temporary=True)
        assert state.ask_at is not None
        pauses.append((state.ask_at - NOW) / timedelta(minutes=1))
    assert pauses == [1, 2, 4, 8, 16, 32, 64, 128, 256, 360, 360, 360]
    assert AriState(cert_id="a.b").unanswered(NOW, temporary=False).ask_at == NOW + DEFAULT_PAUSE


def test_a_failure_does_not_forget_the_window_and_an_answer_forgets_the_failures() -> None:
    known = AriState(cert_id="a.b").answered(info(NOW, NOW + DAY), NOW, lambda: 0.5)
    failed = known.unanswered(NOW + DAY, temporary=True)
    assert (failed.instant, failed.start, failed.failures) == (known.instant, known.start, 1)
    assert failed.answered(info(NOW, NOW + DAY), NOW, lambda: 0.0).failures == 0


def test_the_state_survives_being_written_and_belongs_to_one_certificate() -> None:
    state = AriState(cert_id="a.b").answered(info(NOW, NOW + DAY), NOW, lambda: 0.5).unanswered(NOW, temporary=True)
    assert AriState.from_json(state.to_json(), "a.b") == state
    assert AriState.from_json(state.to_json(), "a.c") == AriState(cert_id="a.c")


@pytest.mark.parametrize(
    "damage",
    [
        None,
        "x",
        3,
        {"cert_id": "a.b", "ask_at": "yesterday"},
        {"cert_id": "a.b", "start": "2026-01-01"},
        {"cert_id": "a.b", "start": "0001-01-01T00:00:00+14:00"},
        {"cert_id": "a.b", "failures": -(10**400)},
        {"cert_id": "a.b", "start": NOW.isoformat(), "end": 7, "instant": NOW.isoformat()},
    ],
)
def test_a_damaged_state_is_a_fresh_one(damage: object) -> None:
    assert AriState.from_json(damage, "a.b") == AriState(cert_id="a.b")


def test_certbots_stamp_is_local_time_without_zone() -> None:
    assert from_certbot_stamp(certbot_stamp(NOW)) == NOW
    assert "+" not in certbot_stamp(NOW)
    assert from_certbot_stamp("soon") is None
    assert from_certbot_stamp("0001-01-01T00:00:00+14:00") is None
    assert from_certbot_stamp(None) is None


def due(now: datetime, wake: datetime, *, instant: datetime, start: datetime, end: datetime) -> bool:
    return AriState(cert_id="x", instant=instant, start=start, end=end).is_due(now, wake)


def test_when_a_certificate_is_due_by_its_instant() -> None:
    start, instant, end = NOW + 10 * HOUR, NOW + 12 * HOUR, NOW + 20 * HOUR
    window = {"start": start, "end": end, "instant": instant}
    assert due(instant, instant + HOUR, **window)
    assert due(NOW + 50 * DAY, NOW + 51 * DAY, **window)
    # inside the window and the next run would be too late for the instant
    assert due(start + HOUR, start + 3 * HOUR, **window)
    assert not due(start + HOUR, instant, **window)
    # before the window: the next run still falls inside it
    assert not due(start - HOUR, instant + HOUR, **window)
    # before the window, and the next run would come when it is over
    assert due(start - HOUR, end, **window)
    assert not AriState(cert_id="x").is_due(NOW, NOW + DAY)


def simulate(
    lifetime: timedelta, every: timedelta, jitter: timedelta, days: int, rng: random.Random
) -> tuple[int, int]:
    """Renewals inside the window and in all, by Boulder's rule for windows, waking up ``every`` with ``jitter``."""
    inside = total = 0
    now = NOW
    issued = now
    state = AriState(cert_id="0")
    while now < NOW + timedelta(days=days):
        if state.shall_ask(now):
            share = 2 if lifetime < 10 * DAY else 3
            ideal = issued + lifetime - lifetime / share
            window = info(ideal - lifetime / 100, ideal + lifetime / 100, 21600 * rng.uniform(0.8, 1.2))
            state = state.answered(window, now, rng.random)
        if state.is_due(now, now + every):
            assert state.start is not None
            assert state.end is not None
            inside += state.start <= now < state.end
            total += 1
            issued = now
            state = AriState(cert_id=str(total))
        now += every + jitter * rng.uniform(-0.5, 0.5)
    return inside, total


@pytest.mark.parametrize(
    ("lifetime", "every", "jitter"),
    [
        (90 * DAY, 12 * HOUR, HOUR),
        (45 * DAY, 12 * HOUR, HOUR),
        (160 * HOUR, HOUR, timedelta(minutes=10)),
    ],
)
def test_in_a_simulated_year_99_of_100_renewals_fall_into_the_window(
    lifetime: timedelta, every: timedelta, jitter: timedelta
) -> None:
    rng = random.Random(20261121)
    inside = total = 0
    for _ in range(100):
        good, all_ = simulate(lifetime, every, jitter, 365, rng)
        inside += good
        total += all_
    assert total >= 100 * int(365 * DAY / lifetime)
    assert inside >= 0.99 * total, (inside, total)
