"""Retry-After and polling."""

from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from acmectl.acme.retry import RetryPolicy, parse_retry_after, poll
from acmectl.errors import PollTimeout
from tests.unit.acme.fakes import FakeClock

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("5", 5.0),
        (" 120 ", 120.0),
        ("0", 0.0),
        ("90000", 86_400.0),
        ("9" * 5000, 86_400.0),
        ("Thu, 01 Jan 2026 00:01:30 GMT", 90.0),
        ("Thursday, 01-Jan-26 00:01:30 GMT", 90.0),
        ("Wed, 31 Dec 2025 23:00:00 GMT", 0.0),
        ("Fri, 01 Jan 2100 00:00:00 GMT", 86_400.0),
        (None, None),
        ("", None),
        ("-5", None),
        ("1.5", None),
        ("nan", None),
        ("inf", None),
        ("1e9", None),
        ("soon", None),
        ("\u0665", None),
        ("Thu, 99 Jan 2026 00:00:00 GMT", None),
        ("Mon, 01 Jan 0001 00:00:00 +2359", 0.0),
        ("x" * 10_000, None),
    ],
)
def test_retry_after_is_read_as_seconds_or_as_a_date_and_clamped(header, seconds):
    assert parse_retry_after(header, NOW) == seconds


@dataclass
class Answer:
    ready: bool
    retry_after: float | None = None


def run_poll(answers, **policy):
    clock = FakeClock()
    todo = iter(answers)
    poll(lambda: next(todo), lambda answer: answer.ready, RetryPolicy(**policy), clock)
    return clock.slept


def test_polls_without_a_retry_after_come_quickly_at_first_and_then_every_second():
    assert run_poll([Answer(False)] * 6 + [Answer(True)]) == [0.05, 0.1, 0.25, 0.5, 1.0, 1.0, 1.0]


def test_a_retry_after_is_obeyed_exactly_and_zero_counts_as_none():
    assert run_poll([Answer(False, 3.0), Answer(False, 0.0), Answer(False, 7.0), Answer(True)]) == [
        0.05,
        3.0,
        0.25,
        7.0,
    ]


def test_a_retry_after_beyond_the_deadline_ends_the_poll_at_once():
    clock = FakeClock()
    with pytest.raises(PollTimeout) as caught:
        poll(lambda: Answer(False, 3600.0), lambda a: a.ready, RetryPolicy(deadline=180), clock, what="The order")
    assert clock.slept == [0.05]
    assert caught.value.retry_at is not None
    assert (caught.value.retry_at - NOW).total_seconds() == pytest.approx(3600.05)
    assert "2026-01-01 01:00:00 UTC" in str(caught.value)


def test_a_poll_never_runs_past_its_deadline():
    clock = FakeClock()
    with pytest.raises(PollTimeout, match="within 10 seconds"):
        poll(lambda: Answer(False), lambda a: a.ready, RetryPolicy(deadline=10), clock)
    assert clock.elapsed <= 10


def test_whoever_waits_is_told_how_long_already():
    told: list[float] = []
    clock = FakeClock()
    todo = iter([Answer(False), Answer(False), Answer(True)])
    poll(lambda: next(todo), lambda a: a.ready, RetryPolicy(), clock, on_wait=told.append)
    assert told == [pytest.approx(0.05), pytest.approx(0.15)]
