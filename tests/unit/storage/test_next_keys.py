"""The files of a staged key."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from acmectl.errors import LineageDamaged
from acmectl.pki.keys import KeySpec, generate_key, public_bytes_of
from acmectl.pki.tlsa import fingerprint
from acmectl.storage import archive, next_keys
from acmectl.storage.next_keys import NextKey

MOMENT = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)


def made() -> NextKey:
    key_pem = generate_key(KeySpec.ecdsa())
    return NextKey(key_pem=key_pem, digest=fingerprint(public_bytes_of(key_pem)), staged=MOMENT, seen=MOMENT, ttl=60)


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    assert next_keys.load(tmp_path) is None
    key = made()
    next_keys.save(tmp_path, key)
    assert next_keys.load(tmp_path) == key
    next_keys.save_note(tmp_path, replace(key, seen=None))
    assert next_keys.load(tmp_path) == replace(key, seen=None)
    assert next_keys.drop(tmp_path)
    assert not next_keys.drop(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "note",
    [
        "",
        "[]",
        '{"format": 1}',
        '{"format": 1, "spki_sha256": "DIGEST", "staged": "2026-06-01T12:00:00", "seen": null, "ttl": 1}',
        '{"format": 1, "spki_sha256": "DIGEST", "staged": "x", "seen": null, "ttl": 1}',
        '{"format": 1, "spki_sha256": "DIGEST", "staged": "2026-06-01T12:00:00Z", "seen": null, "ttl": 2147483648}',
        '{"format": 1, "spki_sha256": "DIGEST", "staged": "2026-06-01T12:00:00Z", "seen": null, "ttl": 1e300}',
        "[" * 60_000,
        '{"format": 2, "spki_sha256": "DIGEST", "staged": "2026-06-01T12:00:00Z", "seen": null, "ttl": 1}',
    ],
)
def test_a_note_that_cannot_be_read_is_none(tmp_path: Path, note: str) -> None:
    key = made()
    next_keys.save(tmp_path, key)
    (tmp_path / "next-key.json").write_text(note.replace("DIGEST", key.digest))
    found = next_keys.load(tmp_path)
    assert found is not None
    assert (found.key_pem, found.seen, found.ttl) == (key.key_pem, None, 0)


def test_a_note_of_another_key_is_none(tmp_path: Path) -> None:
    next_keys.save(tmp_path, made())
    other = made()
    (tmp_path / "next-key.pem").write_bytes(other.key_pem)  # a run was killed before it wrote the note
    found = next_keys.load(tmp_path)
    assert found is not None
    assert (found.digest, found.seen) == (other.digest, None)


def test_a_key_that_is_none_is_damage(tmp_path: Path) -> None:
    (tmp_path / "next-key.pem").write_text("no key")
    with pytest.raises(LineageDamaged, match=r"next-key\.pem"):
        next_keys.load(tmp_path)


def test_no_version_is_made_of_it(tmp_path: Path) -> None:
    next_keys.save(tmp_path, made())
    assert archive.scan(str(tmp_path)).next_version == 1
    assert all(archive.parse_version_file(name) is None for name in next_keys.FILES)
