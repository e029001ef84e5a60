from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from acmectl.actions.lifetime import parse_not_after
from acmectl.errors import ConfigError

NOW = datetime(2026, 6, 1, 12, 0, 0, 500, tzinfo=UTC)


def parsed(text):
    return parse_not_after(text, "--not-after", now=NOW)


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("90s", timedelta(seconds=90)),
        ("30m", timedelta(minutes=30)),
        ("36h", timedelta(hours=36)),
        ("20d", timedelta(days=20)),
        ("2W", timedelta(weeks=2)),
        (" 20 d ", timedelta(days=20)),
    ],
)
def test_a_duration_counts_from_the_order_in_whole_seconds(text, length):
    wanted = parsed(text)
    assert (wanted.duration, wanted.moment) == (length, None)
    assert wanted.at(NOW) == NOW.replace(microsecond=0) + length
    assert str(wanted) == str(parsed(f"{int(length.total_seconds())}s"))


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-06-02", datetime(2026, 6, 2, tzinfo=UTC)),
        ("2026-06-01T12:00:01", datetime(2026, 6, 1, 12, 0, 1, tzinfo=UTC)),
        ("2026-06-01 14:30+02:00", datetime(2026, 6, 1, 12, 30, tzinfo=UTC)),
        ("2026-06-01T12:00:01.9Z", datetime(2026, 6, 1, 12, 0, 1, tzinfo=UTC)),
    ],
)
def test_a_moment_is_utc_unless_it_names_a_zone(text, moment):
    wanted = parsed(text)
    assert (wanted.duration, wanted.moment) == (None, moment)
    assert wanted.at(NOW.astimezone(timezone(timedelta(hours=5)))) == moment
    assert wanted.at(NOW).tzinfo is UTC


@pytest.mark.parametrize(
    "text",
    [
        "",
        "20",
        "d",
        "0h",
        "-3d",
        "1y",
        "999999999w",
        "2026-06-01T12:00:00.000500Z",
        "2026-06-01",
        "2026-13-01",
        "٣d",
        "1.5d",
        "\x1b[31m",
    ],
)
def test_what_is_no_end_to_come_is_refused_in_one_printable_line(text):
    with pytest.raises(ConfigError) as caught:
        parsed(text)
    assert caught.value.message.startswith("--not-after: ")
    assert caught.value.message.isprintable()
