from __future__ import annotations

import json
import stat
from datetime import UTC, datetime

import pytest

from acmectl.errors import StorageError
from acmectl.storage.compromised import CompromisedKey, CompromisedKeys
from acmectl.storage.layout import Layout
from acmectl.storage.reissues import Reissue, ReissueStore

WHEN = datetime(2026, 11, 21, 7, 19, 35, tzinfo=UTC)
KEY = CompromisedKey(lineage="a.test", serial=0xABC, noted=WHEN)
WORK = Reissue(
    certificates=("-----BEGIN CERTIFICATE-----\n",),
    server="https://ca.test/dir",
    reason=1,
    account_id="0123",
    account_key=None,
    began=WHEN,
)


def test_a_key_is_known_by_its_public_half_ever_after(layout: Layout) -> None:
    keys = CompromisedKeys(layout)
    assert not keys
    keys.add(b"public half", KEY)
    keys.add(b"another one", CompromisedKey(lineage="", serial=1, noted=WHEN))
    again = CompromisedKeys(layout)
    assert again
    assert again.find(b"public half") == KEY
    assert again.find(b"public") is None


def test_a_key_that_is_noted_twice_stays_as_it_was_noted_first(layout: Layout) -> None:
    keys = CompromisedKeys(layout)
    keys.add(b"x", KEY)
    keys.add(b"x", CompromisedKey(lineage="b.test", serial=2, noted=WHEN))
    assert keys.find(b"x") == KEY


def test_the_list_is_for_its_owner_and_has_no_key_in_it(layout: Layout) -> None:
    CompromisedKeys(layout).add(b"public half", KEY)
    path = layout.config_dir / "compromised-keys.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert b"public half" not in path.read_bytes()


@pytest.mark.parametrize(
    "damage", ["", "[]", "{}", '{"format": 2, "keys": {}}', '{"format": 1, "keys": {"x": {}}}', "[" * 100_000]
)
def test_a_damaged_list_is_an_error_and_not_an_empty_one(layout: Layout, damage: str) -> None:
    (layout.config_dir / "compromised-keys.json").write_text(damage)
    with pytest.raises(StorageError) as caught:
        CompromisedKeys(layout).find(b"x")
    assert "\n" not in caught.value.message
    with pytest.raises(StorageError):
        CompromisedKeys(layout).add(b"x", KEY)
    assert (layout.config_dir / "compromised-keys.json").read_text() == damage


def test_work_that_was_begun_comes_back_and_goes(layout: Layout) -> None:
    store = ReissueStore(layout)
    assert store.names() == []
    assert store.load("a.test") is None
    store.save("a.test", WORK)
    assert ReissueStore(layout).load("a.test") == WORK
    assert store.names() == ["a.test"]
    path = layout.work_dir / "reissues" / "a.test.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert store.drop("a.test")
    assert not store.drop("a.test")
    assert store.names() == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"certificates": []},
        {"certificates": "PEM"},
        {"certificates": ["\u00e9"]},
        {"server": 5},
        {"reason": "x"},
        {"reason": True},
        {"reason": 11},
        {"account_id": 7},
        {"account_key": 9},
        {"account_key": "a\0b"},
        {"began": 1},
        {"began": "0001-01-01T00:00:00+14:00"},
    ],
)
def test_work_with_a_value_that_cannot_be_is_damaged(layout: Layout, wrong: dict[str, object]) -> None:
    store = ReissueStore(layout)
    store.save("a.test", WORK)
    path = layout.work_dir / "reissues" / "a.test.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | wrong))
    with pytest.raises(StorageError):
        store.load("a.test")


@pytest.mark.parametrize("damage", ["", "[]", "{}", '{"format": 1}', '{"format": 1, "began": "x", "certificates": []}'])
def test_damaged_work_is_an_error_that_says_what_to_do(layout: Layout, damage: str) -> None:
    (layout.work_dir / "reissues").mkdir(parents=True)
    (layout.work_dir / "reissues" / "a.test.json").write_text(damage)
    with pytest.raises(StorageError) as caught:
        ReissueStore(layout).load("a.test")
    assert caught.value.hint is not None
    assert "revoke --cert-path" in caught.value.hint
