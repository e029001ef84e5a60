"""The next key of a lineage: ``next-key.pem`` in its archive directory, and ``next-key.json`` with what is known of it.

Neither name is a version's, for certbot or for us. The key is there before its note; a note that is another key's, or
that cannot be read, counts as none, so a crash between the two costs the time that was waited, never the key.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from acmectl.errors import ConfigError, LineageDamaged
from acmectl.storage.atomic import Permissions, fsync_dir, read_file, storage_error, telling, write_file

if TYPE_CHECKING:
    from pathlib import Path

STAGES = "stage_next_key"
"""Key of ``[acmectl]`` in a renewal file: true for a lineage that stages its next key."""

_KEY = "next-key.pem"
_NOTE = "next-key.json"
FILES = (_KEY, _NOTE)
"""Names of the files in an archive directory."""

_SECRET = Permissions(mode=0o600)
_FORMAT = 1
_LIMIT = 1 << 16
_LONGEST_TTL = (1 << 31) - 1  # RFC 2181 section 8


@dataclass(frozen=True, slots=True, kw_only=True)
class NextKey:
    """A staged key. ``digest`` is the SHA-256 of its public key (SubjectPublicKeyInfo DER) in hex.

    ``seen`` is since when every name server has shown its TLSA record (aware UTC); None: not yet. ``ttl`` (seconds) is
    the largest that was seen since the key was ``staged``.
    """

    key_pem: bytes = field(repr=False)
    digest: str
    staged: datetime
    seen: datetime | None = None
    ttl: int = 0


def load(archive_dir: Path) -> NextKey | None:
    """The next key in ``archive_dir``; None when there is none.

    Raises: LineageDamaged when it is no private key, StorageError when the system refuses to read it.
    """
    from acmectl.pki.keys import public_bytes_of
    from acmectl.pki.tlsa import fingerprint

    path = archive_dir / _KEY
    try:
        key_pem = read_file(path, _LIMIT)
        staged = datetime.fromtimestamp(os.stat(path).st_mtime, UTC)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise storage_error(f"read {path}", error) from error
    try:
        digest = fingerprint(public_bytes_of(key_pem))
    except ConfigError as error:
        raise LineageDamaged(f"The next key {path} cannot be used: {error.message}") from error
    found = NextKey(key_pem=key_pem, digest=digest, staged=staged)
    return _with_note(found, archive_dir / _NOTE)


def save(archive_dir: Path, key: NextKey) -> None:
    """Write the key, replacing another, and its note; durable on return. Raises: StorageError."""
    with telling(f"save the next key in {archive_dir}"):
        write_file(archive_dir / _KEY, key.key_pem, permissions=_SECRET)
    save_note(archive_dir, key)


def save_note(archive_dir: Path, key: NextKey) -> None:
    """Write what is known of a key that is there already. Raises: StorageError."""
    import json

    content = {
        "format": _FORMAT,
        "spki_sha256": key.digest,
        "staged": key.staged.astimezone(UTC).isoformat(),
        "seen": key.seen.astimezone(UTC).isoformat() if key.seen is not None else None,
        "ttl": key.ttl,
    }
    path = archive_dir / _NOTE
    with telling(f"write {path}"):
        write_file(path, (json.dumps(content, indent=1) + "\n").encode("ascii"), permissions=_SECRET)


def drop(archive_dir: str | Path) -> bool:
    """Remove the key and its note; True if there was a key. Raises: StorageError."""
    found = False
    with telling(f"remove the next key in {archive_dir}"):
        for name in FILES:
            with suppress(FileNotFoundError, NotADirectoryError):
                os.unlink(f"{archive_dir}/{name}")
                found = found or name == _KEY
        if found:
            fsync_dir(archive_dir)
    return found


def _with_note(key: NextKey, path: Path) -> NextKey:
    import json

    try:
        content = json.loads(read_file(path, _LIMIT))
        if content["format"] != _FORMAT or content["spki_sha256"] != key.digest:
            return key
        seen = None if content["seen"] is None else _moment(content["seen"])
        return replace(key, staged=_moment(content["staged"]), seen=seen, ttl=_ttl(content["ttl"]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        return key


def _ttl(value: object) -> int:
    if not isinstance(value, int) or not 0 <= value <= _LONGEST_TTL:
        raise ValueError("no time to live")
    return value


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("a time without a zone")
    return moment.astimezone(UTC)
