"""What CAs were asked for and what came of it: ``<work>/order-ledger.jsonl``, a line of JSON each.

Lines are added and never changed; what is too old to count is left out when the file is written anew. Losing lines
makes a count too low and nothing else, so that no line waits for the disk.
"""

from __future__ import annotations

import json
import os
import threading
from datetime import timedelta
from typing import TYPE_CHECKING

from acmectl.storage.atomic import Permissions, read_file, storage_error, telling, write_file

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from acmectl.storage.layout import Layout
    from acmectl.storage.order_entries import Entry

_FORMAT = 1
_HEADER = json.dumps({"format": _FORMAT}).encode() + b"\n"
_LIMIT = 1 << 26
_SECRET = Permissions(mode=0o600)
_APPEND = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_LEAD = timedelta(hours=1)  # a clock may be put back by this much before what it has dated counts for nothing


class OrderLedger:
    """The ledger of one work directory, read when it is first needed. Safe for use from several threads."""

    def __init__(self, layout: Layout) -> None:
        self.path = layout.work_dir / "order-ledger.jsonl"
        self._lock = threading.Lock()
        self._known: list[Entry] | None = None
        self._spoiled = False
        self._torn = False
        self._settled = False
        self._quiet = False

    def shall_tell(self) -> bool:
        """True for the first who asks: trouble with the ledger is told once in a run."""
        with self._lock:
            quiet, self._quiet = self._quiet, True
            return not quiet

    def entries(self) -> tuple[Entry, ...]:
        """Everything that can be read, in the order in which it was written. Raises: StorageError."""
        with self._lock:
            return tuple(self._loaded())

    def settle(self, now: datetime, *, oldest: datetime) -> str | None:
        """Make the file fit to be added to, and forget what is older than ``oldest`` or has a date that cannot be.

        What to tell when it was damaged: it is kept beside, and what can be read of it still counts. Only the first
        call does anything. Called with the store locked. Raises: StorageError.
        """
        from acmectl.storage.order_entries import line_of

        with self._lock:
            if self._settled:
                return None
            known = self._loaded()
            kept = [one for one in known if oldest <= one.at <= now + _LEAD]
            said = None
            if self._spoiled:
                aside = f"{self.path}.damaged"
                with telling(f"move {self.path} to {aside}"):
                    os.rename(self.path, aside)
                said = f"{self.path} was damaged: it lies in {aside} now, and what can be read of it goes on to count."
            if self._spoiled or self._torn or len(kept) * 2 < len(known):
                data = _HEADER + b"".join(line_of(one) for one in kept)
                with telling(f"write {self.path}"):
                    write_file(self.path, data, permissions=_SECRET)
                self._spoiled = self._torn = False
            self._known, self._settled = kept, True
            return said

    def add(self, entries: Iterable[Entry]) -> None:
        """Take note of ``entries``, after ``settle``. Called with the store locked. Raises: StorageError."""
        from acmectl.storage.order_entries import line_of

        added = tuple(entries)
        with self._lock, telling(f"write {self.path}"):
            known = self._loaded()
            descriptor = os.open(self.path, _APPEND, 0o600)
            try:
                data = b"".join(line_of(one) for one in added)
                if os.fstat(descriptor).st_size == 0:
                    data = _HEADER + data
                while data:
                    data = data[os.write(descriptor, data) :]
            finally:
                os.close(descriptor)
            known.extend(added)

    def _loaded(self) -> list[Entry]:
        if self._known is None:
            try:
                data = read_file(self.path, _LIMIT)
            except FileNotFoundError:
                data = b""
            except OSError as error:
                raise storage_error(f"read {self.path}", error) from error
            self._known = self._parsed(data)
        return self._known

    def _parsed(self, data: bytes) -> list[Entry]:
        """The entries in ``data``. The last line may have been cut off by a crash; any other that is none is damage."""
        from acmectl.storage.order_entries import entry_of

        lines = data.split(b"\n")
        self._torn = bool(lines.pop())
        if lines and lines.pop(0) != _HEADER.rstrip():
            self._spoiled = True
        known: list[Entry] = []
        for line in lines:
            entry = entry_of(line)
            if entry is None:
                self._spoiled = True
            else:
                known.append(entry)
        return known
