"""What is written down about TXT records, so that they can be taken away after a crash."""

from __future__ import annotations

from pathlib import Path

import pytest

from acmectl.plugin.api import RecordNote
from acmectl.storage.dns_records import DnsRecordStore
from acmectl.storage.layout import Layout

A = RecordNote(name="_acme-challenge.a.example", value="v1", zone="a.example")
B = RecordNote(name="_acme-challenge.a.example", value="v2", zone="a.example")
OPTIONS = {"credentials": "/etc/dns.ini", "propagation_seconds": None}


@pytest.fixture
def store(tmp_path: Path) -> DnsRecordStore:
    return DnsRecordStore(Layout(config_dir=tmp_path / "c", work_dir=tmp_path / "w", logs_dir=tmp_path / "l"))


def files(store: DnsRecordStore, tmp_path: Path) -> list[Path]:
    return sorted((tmp_path / "w" / "dns-records").glob("*"))


def test_records_are_left_until_they_are_forgotten(store: DnsRecordStore, tmp_path: Path) -> None:
    assert store.left() == []
    journal = store.journal("dns-x", OPTIONS)
    assert files(store, tmp_path) == []
    journal.note([A])
    journal.note([B])
    (left,) = store.left()
    assert (left.authenticator, dict(left.options), left.records) == ("dns-x", OPTIONS, (A, B))
    assert files(store, tmp_path)[0].stat().st_mode & 0o777 == 0o600
    journal.forget([A])
    assert store.left()[0].records == (B,)
    journal.forget([B])
    assert files(store, tmp_path) == []


def test_two_authenticators_have_a_file_each(store: DnsRecordStore) -> None:
    store.journal("dns-x", {}).note([A])
    store.journal("dns-x", {}).note([B])
    assert {left.records for left in store.left()} == {(A,), (B,)}
    store.drop(store.left()[0])
    assert len(store.left()) == 1


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"format": 9}', '{"format": 1, "authenticator": "x"}', "\xff"])
def test_a_file_that_cannot_be_used_is_left_with_nothing_in_it(
    store: DnsRecordStore, tmp_path: Path, content: str
) -> None:
    store.journal("dns-x", {}).note([A])
    files(store, tmp_path)[0].write_text(content, encoding="latin-1")
    (left,) = store.left()
    assert (left.authenticator, left.records) == ("", ())


def test_nothing_is_written_for_nothing(store: DnsRecordStore, tmp_path: Path) -> None:
    journal = store.journal("dns-x", OPTIONS)
    journal.note([])
    journal.forget([])
    assert not (tmp_path / "w").exists()
