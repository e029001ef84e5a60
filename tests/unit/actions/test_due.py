"""When a certificate is due, rule by rule."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from acmectl.actions.due import Rule, parse_before_expiry, renewal_due

START = datetime(2026, 1, 1, tzinfo=UTC)


def verdict(lifetime: timedelta, age: timedelta, **switches: object) -> tuple[bool, Rule]:
    due = renewal_due(not_before=START, not_after=START + lifetime, now=START + age, **switches)  # type: ignore[arg-type]
    return due.due, due.rule


HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


@pytest.mark.parametrize(
    ("lifetime", "due_at"),
    [
        (90 * DAY, 60 * DAY),
        (64 * DAY, 64 * DAY * 2 / 3),
        (45 * DAY, 30 * DAY),
        (160 * HOUR, 80 * HOUR),
        (10 * DAY, 10 * DAY * 2 / 3),
    ],
)
def test_a_third_of_the_lifetime_or_half_of_a_short_one_decides(lifetime: timedelta, due_at: timedelta) -> None:
    assert verdict(lifetime, due_at - timedelta(seconds=1)) == (False, Rule.LIFETIME)
    assert verdict(lifetime, due_at) == (True, Rule.LIFETIME)


def test_rules_apply_in_their_order() -> None:
    day = 90 * DAY
    assert verdict(day, DAY, forced=True, autorenew=False) == (True, Rule.FORCED)
    assert verdict(day, DAY, dry_run=True, autorenew=False) == (True, Rule.DRY_RUN)
    assert verdict(day, 100 * DAY, autorenew=False) == (False, Rule.AUTORENEW_OFF)
    assert verdict(day, 90 * DAY) == (True, Rule.EXPIRED)
    assert verdict(day, 31 * DAY, before_expiry=60 * DAY) == (True, Rule.RENEW_BEFORE_EXPIRY)
    assert verdict(day, 29 * DAY, before_expiry=60 * DAY) == (False, Rule.LIFETIME)


def test_the_instant_is_told_for_what_is_not_due_yet() -> None:
    due = renewal_due(not_before=START, not_after=START + 90 * DAY, now=START)
    assert due.at == START + 60 * DAY
    early = renewal_due(not_before=START, not_after=START + 90 * DAY, now=START, before_expiry=60 * DAY)
    assert early.at == START + 30 * DAY


@pytest.mark.parametrize(
    ("text", "interval"),
    [
        ("30", 30 * DAY),
        ("3 weeks", 21 * DAY),
        ("200d", 200 * DAY),
        ("12 hours", 12 * HOUR),
        ("soon", None),
        ("", None),
        ("-3", None),
    ],
)
def test_renew_before_expiry_is_read_as_days_or_an_interval(text: str, interval: timedelta | None) -> None:
    assert parse_before_expiry(text) == interval
