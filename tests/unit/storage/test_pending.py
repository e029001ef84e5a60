from __future__ import annotations

import json
import stat
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from acmectl.errors import StorageError
from acmectl.identifiers import Identifier
from acmectl.storage.layout import Layout
from acmectl.storage.pending import PendingFound, PendingOrder, PendingRecord, PendingStore

NAME = "a.test"
ORDER = PendingOrder(
    order_url="https://ca.test/order/1",
    server="https://ca.test/dir",
    account_url="https://ca.test/account/1",
    identifiers=(Identifier.dns("a.test"), Identifier.dns("*.b.test"), Identifier.ip("::1")),
    profile="short",
    key_request="ecdsa secp256r1",
    csr_der=b"\x30\x82\x00\xff",
    created=datetime(2026, 11, 21, 7, 19, 35, tzinfo=UTC),
    version=3,
)
RECORD = PendingRecord(order=ORDER, key_pem=b"-----BEGIN PRIVATE KEY-----\nsecret\n-----END PRIVATE KEY-----\n")


@pytest.fixture
def pending(layout: Layout) -> PendingStore:
    return PendingStore(layout)


def test_an_order_comes_back_as_it_was_saved(pending: PendingStore) -> None:
    pending.save(NAME, RECORD)
    assert pending.load(NAME) == PendingFound(record=RECORD)
    assert pending.names() == [NAME]


def test_nobody_else_can_read_it(pending: PendingStore, layout: Layout) -> None:
    pending.save(NAME, RECORD)
    directory = layout.pending(NAME)
    assert {p.name: stat.S_IMODE(p.stat().st_mode) for p in directory.iterdir()} == {
        "key.pem": 0o600,
        "order.json": 0o600,
    }
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert stat.S_IMODE(layout.pending_root.stat().st_mode) == 0o700


def test_it_lies_outside_the_configuration_directory(pending: PendingStore, layout: Layout) -> None:
    pending.save(NAME, RECORD)
    assert list(layout.config_dir.iterdir()) == []


def test_the_key_is_not_shown(pending: PendingStore) -> None:
    pending.save(NAME, RECORD)
    assert "secret" not in repr(pending.load(NAME))


def test_there_is_none_before_the_first(pending: PendingStore) -> None:
    assert pending.load(NAME) == PendingFound()
    assert pending.names() == []
    assert not pending.drop(NAME)


def test_finalizing_is_noted(pending: PendingStore) -> None:
    pending.save(NAME, RECORD)
    marked = pending.mark_finalized(NAME, RECORD)
    assert marked.order.finalized
    assert pending.load(NAME).record == marked


def test_a_dropped_order_leaves_nothing(pending: PendingStore, layout: Layout) -> None:
    pending.save(NAME, RECORD)
    assert pending.drop(NAME)
    assert pending.load(NAME) == PendingFound()
    assert list(layout.pending_root.iterdir()) == []


def test_a_new_order_replaces_the_old_one_and_sweeps_what_a_killed_run_left(
    pending: PendingStore, layout: Layout
) -> None:
    pending.save(NAME, RECORD)
    (layout.pending(NAME) / ".acmectl-0123456789ab.tmp").write_bytes(b"half a key")
    other = PendingRecord(order=replace(ORDER, order_url="https://ca.test/order/2"), key_pem=b"another key")
    pending.save(NAME, other)
    assert pending.load(NAME).record == other
    assert len(list(layout.pending(NAME).iterdir())) == 2


def test_a_key_of_the_order_before_is_not_taken_for_this_ones(pending: PendingStore, layout: Layout) -> None:
    pending.save(NAME, RECORD)
    (layout.pending(NAME) / "key.pem").write_bytes(b"a newer key, whose order was never written")
    found = pending.load(NAME)
    assert found.record is None
    assert "another order's" in str(found.reason)


@pytest.mark.parametrize("missing", ["key.pem", "order.json"])
def test_half_a_record_is_none_and_says_why(pending: PendingStore, layout: Layout, missing: str) -> None:
    pending.save(NAME, RECORD)
    (layout.pending(NAME) / missing).unlink()
    found = pending.load(NAME)
    assert found.record is None
    assert "incomplete" in str(found.reason)


def changed(**values: object) -> bytes:
    content = {
        "format": 1,
        "order_url": "u",
        "server": "s",
        "account_url": "a",
        "identifiers": [{"type": "dns", "value": "a.test"}],
        "profile": None,
        "key_request": "k",
        "csr": "",
        "created": "2026-11-21T00:00:00+00:00",
        "finalized": False,
        "version": 1,
        "key_sha256": "x",
    }
    return json.dumps({**content, **values}).encode()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{torn",
        b"[]",
        b"null",
        b"\xff\xfe",
        b"{}",
        changed(format=2),
        changed(order_url=5),
        changed(identifiers=None),
        changed(identifiers=[{"type": "mail", "value": "x"}]),
        changed(csr="!"),
        changed(created="yesterday"),
        changed(created="2026-11-21T00:00:00"),
        changed(version="x"),
        changed(version=float("inf")),
        changed(created="0001-01-01T00:00:00+14:00"),
        b"[" * 60_000,
        changed(profile=5),
    ],
)
def test_a_torn_or_foreign_record_is_none_and_says_why_in_one_line(
    pending: PendingStore, layout: Layout, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    from acmectl.storage import pending as module

    pending.save(NAME, RECORD)
    (layout.pending(NAME) / "order.json").write_bytes(content)
    monkeypatch.setattr(module, "_digest", lambda _: "x")
    found = pending.load(NAME)
    assert found.record is None
    assert found.reason
    assert found.reason.isprintable()


def test_an_order_is_resumed_for_the_same_request_only() -> None:
    same = {
        "server": ORDER.server,
        "account_url": ORDER.account_url,
        "identifiers": tuple(reversed(ORDER.identifiers)),
        "profile": ORDER.profile,
        "key_request": ORDER.key_request,
    }
    assert ORDER.matches(**same)  # type: ignore[arg-type]
    for key, other in {
        "server": "https://other.test/dir",
        "account_url": "https://ca.test/account/2",
        "identifiers": ORDER.identifiers[:2],
        "profile": None,
        "key_request": "rsa 2048",
    }.items():
        assert not ORDER.matches(**{**same, key: other}), key  # type: ignore[arg-type]


def test_a_full_disk_is_a_clear_error(pending: PendingStore, monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    def full(*_: object) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match=r"Cannot save the pending order in .*a\.test: No space left on device\."):
        pending.save(NAME, RECORD)
