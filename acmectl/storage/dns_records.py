"""TXT records that are somewhere out there: ``<work>/dns-records/``, written before a record is added.

A run that died before it took its records away leaves its file here, and the next run takes them away.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from acmectl.plugin.api import RecordNote
from acmectl.storage.atomic import Permissions, is_temporary, make_dir, read_file, telling, write_file

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from acmectl.storage.layout import Layout

_FORMAT = 1
_SECRET = Permissions(mode=0o600)


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """What one authenticator of a run that is over has left. ``options`` make it again, as in a renewal file.

    A file that cannot be used has no authenticator and no records.
    """

    path: Path
    authenticator: str
    options: Mapping[str, object] = field(repr=False)
    records: tuple[RecordNote, ...]


class DnsRecordStore:
    """The journals of all authenticators."""

    def __init__(self, layout: Layout) -> None:
        self._folder = layout.dns_records

    def journal(self, authenticator: str, options: Mapping[str, object]) -> DnsRecordJournal:
        """A journal for one authenticator of this run; it has a file as long as there are records."""
        path = self._folder / f"{authenticator}-{os.getpid()}-{os.urandom(6).hex()}.json"
        return DnsRecordJournal(path, authenticator, options)

    def left(self) -> list[Left]:
        """What earlier runs have left. Raises: StorageError."""
        with telling(f"list {self._folder}"):
            try:
                names = sorted(os.listdir(self._folder))
            except (FileNotFoundError, NotADirectoryError):
                return []
        return [_load(self._folder / name) for name in names if name.endswith(".json") and not is_temporary(name)]

    def drop(self, left: Left) -> None:
        """Forget what was left. Raises: StorageError."""
        with telling(f"remove {left.path}"):
            left.path.unlink(missing_ok=True)


class DnsRecordJournal:
    """The records of one authenticator. Implements plugin.api.RecordJournal."""

    def __init__(self, path: Path, authenticator: str, options: Mapping[str, object]) -> None:
        self._path = path
        self._authenticator = authenticator
        self._options = options
        self._records: dict[tuple[str, str], RecordNote] = {}

    def note(self, records: Sequence[RecordNote]) -> None:
        """These are about to be added; on disk when this returns. Raises: StorageError."""
        if records:
            self._records.update({(one.name, one.value): one for one in records})
            self._write()

    def forget(self, records: Sequence[RecordNote]) -> None:
        """These are gone. Raises: StorageError."""
        if not records:
            return
        for one in records:
            self._records.pop((one.name, one.value), None)
        if self._records:
            self._write()
        else:
            with telling(f"remove {self._path}"):
                self._path.unlink(missing_ok=True)

    def _write(self) -> None:
        import json

        content = {
            "format": _FORMAT,
            "authenticator": self._authenticator,
            "options": dict(self._options),
            "records": [{"name": o.name, "value": o.value, "zone": o.zone} for o in self._records.values()],
        }
        with telling(f"write {self._path}"):
            make_dir(self._path.parent, 0o700, exact=True)
            write_file(self._path, (json.dumps(content, indent=1) + "\n").encode("ascii"), permissions=_SECRET)


def _load(path: Path) -> Left:
    import json

    unusable = Left(path=path, authenticator="", options={}, records=())
    try:
        content = json.loads(read_file(path))
        if content["format"] != _FORMAT:
            return unusable
        return Left(
            path=path,
            authenticator=str(content["authenticator"]),
            options={str(key): value for key, value in content["options"].items()},
            records=tuple(
                RecordNote(name=str(one["name"]), value=str(one["value"]), zone=str(one["zone"]))
                for one in content["records"]
            ),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return unusable
