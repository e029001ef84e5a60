"""Changes of account keys under way: ``accounts/.acmectl-rollover-<account id>.json``, gone once one key has won.

The new key lies here before the CA hears of it, so that whichever key the CA has in the end is on this disk.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

from acmectl.storage.atomic import (
    Permissions,
    fsync_dir,
    is_temporary,
    make_dir,
    read_file,
    storage_error,
    telling,
    write_file,
)
from acmectl.storage.layout import TEMPORARY_PREFIX

if TYPE_CHECKING:
    from pathlib import Path

    from acmectl.storage.layout import Layout

_FORMAT = 1
_LIMIT = 1 << 20
_SECRET = Permissions(mode=0o600)
_PREFIX, _SUFFIX = f"{TEMPORARY_PREFIX}-rollover-", ".json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollover:
    """A key change that was begun: the account at ``server`` (directory URL), its id before and after, the new key."""

    server: str
    old_id: str
    new_id: str
    account_url: str
    new_key_jwk_json: str = field(repr=False)


class RolloverStore:
    """The key changes under way below one configuration directory. What writes is called with the store locked."""

    def __init__(self, layout: Layout) -> None:
        self._root = layout.accounts_root

    def pending(self, server: str | None = None) -> list[Rollover]:
        """The key changes of the accounts at ``server`` (all if None); a damaged file is none.

        Raises: StorageError when the system refuses to read one.
        """
        try:
            names = sorted(os.listdir(self._root))
        except OSError:
            return []
        found = [self._load(self._root / name) for name in names if name.startswith(_PREFIX) and name.endswith(_SUFFIX)]
        return [one for one in found if one is not None and server in (None, one.server)]

    def concerns(self, account_id: str) -> bool:
        """Whether the key of the account is being changed."""
        return os.path.lexists(self._path(account_id))

    def write(self, rollover: Rollover) -> None:
        """Note what is about to happen; durable on return. Raises: StorageError."""
        path = self._path(rollover.old_id)
        with telling(f"write {path}"):
            make_dir(self._root, 0o700)
            for name in os.listdir(self._root):
                if is_temporary(name):  # a key that a killed run never sent
                    (self._root / name).unlink(missing_ok=True)
            content = {"format": _FORMAT, **asdict(rollover)}
            write_file(path, (json.dumps(content) + "\n").encode("ascii"), permissions=_SECRET)

    def drop(self, rollover: Rollover) -> None:
        """Forget it, durably. Raises: StorageError."""
        path = self._path(rollover.old_id)
        with telling(f"remove {path}"):
            path.unlink(missing_ok=True)
            fsync_dir(self._root)

    def _path(self, account_id: str) -> Path:
        return self._root / f"{_PREFIX}{account_id}{_SUFFIX}"

    @staticmethod
    def _load(path: Path) -> Rollover | None:
        try:
            content = json.loads(read_file(path, _LIMIT))
        except FileNotFoundError:
            return None
        except OSError as error:
            raise storage_error(f"read {path}", error) from error
        except (ValueError, RecursionError):
            return None
        if not isinstance(content, dict) or content.pop("format", None) != _FORMAT:
            return None
        if not all(isinstance(value, str) for value in content.values()):
            return None
        try:
            return Rollover(**content)
        except TypeError:
            return None
