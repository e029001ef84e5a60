"""Keys that must not be used again: ``<config>/compromised-keys.json``, for all lineages of the tree.

They are named by the SHA-256 of their public half (SubjectPublicKeyInfo), so the file holds no secret.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from acmectl.errors import StorageError
from acmectl.storage.atomic import Permissions, make_dir, read_file, storage_error, telling, write_file

if TYPE_CHECKING:
    from acmectl.storage.layout import Layout

_FORMAT = 1
_LIMIT = 1 << 24
_SECRET = Permissions(mode=0o600)


@dataclass(frozen=True, slots=True, kw_only=True)
class CompromisedKey:
    """Of which certificate the key was: its lineage (empty: none of this tree) and serial. ``noted`` is aware UTC."""

    lineage: str
    serial: int
    noted: datetime


class CompromisedKeys:
    """The list of one tree. What writes is called with the store locked."""

    def __init__(self, layout: Layout) -> None:
        self._path = layout.config_dir / "compromised-keys.json"

    def find(self, spki: bytes) -> CompromisedKey | None:
        """What is noted of the key whose public half is ``spki`` (SubjectPublicKeyInfo DER). Raises: StorageError."""
        return self._load().get(hashlib.sha256(spki).hexdigest())

    def __bool__(self) -> bool:
        """Whether any key is noted. Raises: StorageError."""
        return bool(self._load())

    def add(self, spki: bytes, key: CompromisedKey) -> None:
        """Note a key, durably; one that is there stays as it is. Raises: StorageError."""
        known = self._load()
        if known.setdefault(hashlib.sha256(spki).hexdigest(), key) is not key:
            return
        content = {
            "format": _FORMAT,
            "keys": {
                digest: {"lineage": one.lineage, "serial": f"{one.serial:x}", "noted": one.noted.isoformat()}
                for digest, one in known.items()
            },
        }
        with telling(f"write {self._path}"):
            make_dir(self._path.parent, 0o755)
            write_file(self._path, (json.dumps(content, indent=1) + "\n").encode("ascii"), permissions=_SECRET)

    def _load(self) -> dict[str, CompromisedKey]:
        try:
            data = read_file(self._path, _LIMIT)
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise storage_error(f"read {self._path}", error) from error
        try:
            content = json.loads(data)
            if content["format"] != _FORMAT:
                raise ValueError
            return {str(digest): _read(one) for digest, one in content["keys"].items()}
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise StorageError(
                f"The list of compromised keys {self._path} cannot be understood.",
                hint="Bring it back from a backup; without it a key that others have could be used again.",
            ) from None


def _read(one: dict[str, str]) -> CompromisedKey:
    noted = datetime.fromisoformat(one["noted"])
    return CompromisedKey(
        lineage=str(one["lineage"]),
        serial=int(one["serial"], 16),
        noted=noted if noted.tzinfo is not None else noted.replace(tzinfo=UTC),
    )
