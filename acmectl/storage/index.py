"""A cache of what the lineages say, so that a run with nothing to do need not read them all again.

An entry counts only while inode, size and modification time (nanoseconds) of everything that it was made from are the
same. Losing the file costs time and nothing else.
"""

from __future__ import annotations

import json
import os
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from acmectl.errors import StorageError
from acmectl.storage.atomic import Permissions, read_file, write_file

if TYPE_CHECKING:
    from collections.abc import Mapping

    from acmectl.storage.layout import Layout

_FORMAT = 1
_LIMIT = 1 << 28
_TICK = 20_000_000  # nanoseconds; the kernel's clock for files moves every 10 ms at the slowest
_SECRET = Permissions(mode=0o600)

Stamp = list[int]
Entry = dict[str, object]


class LineageIndex:
    """The cache of one configuration directory. ``entry`` and ``put`` are keyed by lineage name."""

    def __init__(self, layout: Layout) -> None:
        self._path = layout.work_dir / "lineage-index.json"
        self._tree = str(layout.config_dir)
        self._entries: dict[str, Entry] = self._load()
        self._seen: dict[str, Entry] = {}
        self._changed = False

    def _load(self) -> dict[str, Entry]:
        try:
            content = json.loads(read_file(self._path, _LIMIT))
        except (OSError, ValueError, RecursionError):
            return {}
        if not isinstance(content, dict) or content.get("format") != _FORMAT or content.get("tree") != self._tree:
            return {}
        entries = content.get("entries")
        return entries if isinstance(entries, dict) else {}

    def entry(self, name: str) -> Entry | None:
        """The facts kept for ``name`` if all that they were made from is unchanged."""
        entry = self._entries.get(name)
        if not isinstance(entry, dict):
            return None
        paths, stamp = entry.get("paths"), entry.get("stamp")
        if not isinstance(paths, list) or not isinstance(stamp, list) or stamp != stamp_of(paths):
            return None
        facts = entry.get("facts")
        if not isinstance(facts, dict):
            return None
        self._seen[name] = entry
        return facts

    def before(self, name: str) -> tuple[list[str], Stamp, Entry] | None:
        """Paths, stamp and facts as they were kept for ``name``, however things are now; None if there is nothing."""
        entry = self._entries.get(name)
        if not isinstance(entry, dict):
            return None
        paths, stamp, facts = entry.get("paths"), entry.get("stamp"), entry.get("facts")
        if isinstance(paths, list) and isinstance(stamp, list) and isinstance(facts, dict):
            return paths, stamp, facts
        return None

    def put(self, name: str, paths: list[str], stamp: Stamp | None, facts: Mapping[str, object]) -> None:
        """Keep ``facts``, which were read after ``stamp`` was taken of ``paths``.

        Not so what changed a moment ago: it can change again without another time to show for it.
        """
        if stamp is not None and not any(0 <= time.time_ns() - changed < _TICK for changed in stamp[2::3]):
            self._seen[name] = {"paths": paths, "stamp": stamp, "facts": dict(facts)}
            self._changed = True

    def save(self) -> None:
        """Write the cache if it has changed. Never raises: a run does not fail for want of a cache."""
        if not self._changed and self._seen.keys() == self._entries.keys():
            return
        content = {"format": _FORMAT, "tree": self._tree, "entries": self._seen}
        with suppress(OSError, StorageError):
            write_file(self._path, json.dumps(content, separators=(",", ":")).encode("utf-8"), permissions=_SECRET)


def stamp_of(paths: list[str]) -> Stamp | None:
    """Inode, size and modification time of each path, links followed; None when one cannot be looked at."""
    stamp: Stamp = []
    try:
        for path in paths:
            status = os.stat(path)
            stamp += (status.st_ino, status.st_size, status.st_mtime_ns)
    except (OSError, TypeError, ValueError, OverflowError):
        return None
    return stamp
