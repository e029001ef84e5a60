"""The order ledger's file: what is written is read again, and nothing in it stops a run."""

from __future__ import annotations

import json
import os
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from acmectl.errors import StorageError
from acmectl.storage.layout import Layout
from acmectl.storage.order_entries import Entry, Kind
from acmectl.storage.order_ledger import OrderLedger

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
DAY = timedelta(days=1)
HEADER = '{"format": 1}'
SOUND = {
    "at": "2026-11-21T12:00:00+00:00",
    "kind": "order",
    "server": "https://ca.example/dir",
    "account": "https://ca.example/account/1",
    "names": ["a.example"],
    "order": "https://ca.example/order/1",
    "exempt": False,
    "renewal": False,
}


def entry(number: int = 0, *, at: datetime = NOW, kind: Kind = Kind.ORDER) -> Entry:
    return Entry(
        at=at,
        kind=kind,
        server="https://ca.example/dir",
        account="https://ca.example/account/1",
        names=("*.example.org", f"n{number}.example.org"),
        order=f"https://ca.example/order/{number}",
        exempt=number % 2 == 1,
        renewal=number % 3 == 1,
    )


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(config_dir=tmp_path / "config", work_dir=tmp_path, logs_dir=tmp_path / "logs")


@pytest.fixture
def path(layout: Layout) -> Path:
    return OrderLedger(layout).path


def settled(layout: Layout, now: datetime = NOW) -> tuple[OrderLedger, str | None]:
    ledger = OrderLedger(layout)
    return ledger, ledger.settle(now, oldest=now - 14 * DAY)


def test_what_is_added_is_read_again_and_only_its_owner_may(layout: Layout, path: Path) -> None:
    old = os.umask(0)
    try:
        ledger, said = settled(layout)
        assert said is None
        assert not path.exists()
        entries = [entry(number, kind=kind) for number, kind in enumerate(Kind)]
        ledger.add(entries[:1])
        ledger.add(entries[1:])
    finally:
        os.umask(old)
    assert ledger.entries() == tuple(entries)
    assert OrderLedger(layout).entries() == tuple(entries)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.read_text().splitlines()[0] == HEADER


def test_a_line_that_a_crash_cut_off_is_left_out_without_a_word(layout: Layout, path: Path) -> None:
    ledger, _ = settled(layout)
    ledger.add([entry(1), entry(2)])
    whole = path.read_bytes()
    for length in range(0, len(whole), 7):
        path.write_bytes(whole[:length])
        again, said = settled(layout)
        assert said is None, length
        again.add([entry(3)])
        lines = whole[:length].count(b"\n")
        kept = [entry(1), entry(2)][: max(lines - 1, 0)]
        assert OrderLedger(layout).entries() == (*kept, entry(3)), length
        assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(
    "line",
    [
        "rubbish",
        "",
        "[]",
        "7",
        "[" * 100_000,
        HEADER,
        *(
            json.dumps({**SOUND, **bad})
            for bad in (
                {"at": 7},
                {"at": "soon"},
                {"at": "0001-01-01T00:00:00+23:00"},
                {"kind": "party"},
                {"server": None},
                {"names": "n"},
                {"names": [7]},
                {"names": None},
                {"exempt": "no"},
                {"renewal": 1},
            )
        ),
    ],
)
def test_damage_is_told_once_and_kept_beside(layout: Layout, path: Path, line: str) -> None:
    ledger, _ = settled(layout)
    ledger.add([entry(1), entry(2)])
    header, first, second = path.read_text().splitlines()
    damaged = "\n".join([header, first, line, second, ""])
    path.write_text(damaged)
    assert OrderLedger(layout).entries() == (entry(1), entry(2))  # and whoever only reads leaves it as it is
    assert path.read_text() == damaged
    again, said = settled(layout)
    assert said is not None
    assert str(path) in said
    assert again.settle(NOW, oldest=NOW - DAY) is None
    assert settled(layout)[1] is None
    assert OrderLedger(layout).entries() == (entry(1), entry(2))
    assert path.with_name(f"{path.name}.damaged").read_text() == damaged


def test_a_file_of_another_format_is_damage(layout: Layout, path: Path) -> None:
    path.write_text('{"format": 2}\n')
    assert settled(layout)[1] is not None
    assert path.read_text() == f"{HEADER}\n"


def test_what_is_too_old_or_from_the_future_is_forgotten(layout: Layout, path: Path) -> None:
    ledger, _ = settled(layout)
    good = [entry(1, at=NOW - 13 * DAY), entry(2, at=NOW + timedelta(minutes=10))]
    ledger.add([entry(3, at=NOW - 15 * DAY), *good])
    assert settled(layout)[0].entries() == tuple(good)
    assert len(path.read_text().splitlines()) == 4  # one of three is no reason to write it anew
    ledger.add([entry(4, at=NOW - 15 * DAY), entry(5, at=NOW + 400 * DAY)])
    assert settled(layout)[0].entries() == tuple(good)
    assert len(path.read_text().splitlines()) == 3


def test_what_the_system_refuses_is_a_storage_error(layout: Layout, path: Path) -> None:
    path.mkdir()
    ledger = OrderLedger(layout)
    with pytest.raises(StorageError, match="Cannot read"):
        ledger.entries()
    with pytest.raises(StorageError):
        ledger.add([entry()])
    assert [ledger.shall_tell(), ledger.shall_tell()] == [True, False]


def test_a_link_in_its_place_is_not_followed(layout: Layout, path: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    path.symlink_to(other)
    ledger, _ = settled(layout)
    with pytest.raises(StorageError, match="Cannot write"):
        ledger.add([entry()])
    assert not other.exists()


def test_threads_add_whole_lines(layout: Layout) -> None:
    ledger, _ = settled(layout)
    threads = [
        threading.Thread(target=lambda n=n: [ledger.add([entry(n * 100 + i)]) for i in range(50)]) for n in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    read = OrderLedger(layout).entries()
    assert len(read) == 200
    assert set(read) == set(ledger.entries())
