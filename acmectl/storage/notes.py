"""Notes in the renewal files of many lineages at once, such as what the CA suggested for each.

To lose a note does no harm, to tear a renewal file does. So all files are written beside the old ones, then made
durable in one go, and only then renamed. The names themselves are not synced: after a loss of power each file is the
old one or the new one.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from acmectl.errors import LineageNotFound
from acmectl.storage.atomic import read_open, telling
from acmectl.storage.renewal_conf import with_notes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from acmectl.storage.layout import Layout
    from acmectl.storage.renewal_conf import JsonValue

_LIMIT = 1 << 20
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_FEW = 8  # files; syncing so many one by one is quicker than a file system that others write to as well


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """Keys of ``[acmectl]`` of one renewal file (None removes), and certbot's note of when ARI may be asked again."""

    name: str
    own: Mapping[str, JsonValue] = field(repr=False)
    ari_retry_after: str | None = None


def write_notes(layout: Layout, notes: Sequence[Note]) -> list[Note]:
    """Write ``notes``; those whose files are not plain enough for it are handed back.

    Called with the store locked. Raises: LineageNotFound, StorageError; each file is then the old one or the new one.
    """
    others: list[Note] = []
    staged: list[tuple[str, str]] = []
    directory = str(layout.renewal_root)
    try:
        for note in notes:
            path = f"{directory}/{note.name}.conf"
            with telling(f"write {path}"):
                pair = _stage(path, note)
            if pair is None:
                others.append(note)
            elif pair[0]:
                staged.append(pair)
        with telling(f"write to {directory}"):
            _make_durable([temporary for temporary, _ in staged], directory)
        for temporary, path in staged:
            with telling(f"write {path}"):
                os.rename(temporary, path)
    except BaseException:
        for temporary, _ in staged:
            with suppress(OSError):
                os.unlink(temporary)
        raise
    return others


def _stage(path: str, note: Note) -> tuple[str, str] | None:
    """The new content under certbot's temporary name, and ``path``; an empty name if nothing changes."""
    try:
        source = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        raise LineageNotFound(f"There is no certificate named {note.name}.") from None
    try:
        mode = os.fstat(source).st_mode & 0o7777
        existing = read_open(source, _LIMIT)
    finally:
        os.close(source)
    data = with_notes(existing, note.own, ari_retry_after=note.ari_retry_after)
    if data is None or data == existing:
        return None if data is None else ("", path)
    temporary = f"{path}.new"
    try:
        descriptor = os.open(temporary, _NEW_FILE, 0o600)
    except FileExistsError:
        os.unlink(temporary)  # of a killed run
        descriptor = os.open(temporary, _NEW_FILE, 0o600)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view) :]
        os.fchmod(descriptor, mode)
    except BaseException:
        os.unlink(temporary)
        raise
    finally:
        os.close(descriptor)
    return temporary, path


def _make_durable(paths: Sequence[str], directory: str) -> None:
    """Make the content of ``paths`` durable, which lie on the file system of ``directory``. Raises: OSError."""
    if len(paths) > _FEW and _sync_file_system(directory):
        return
    for path in paths:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _sync_file_system(directory: str) -> bool:
    """syncfs(2); False where it cannot be had or fails: syncing file by file says what is wrong."""
    if not sys.platform.startswith("linux"):
        return False
    import ctypes

    call = getattr(ctypes.CDLL(None, use_errno=True), "syncfs", None)
    if call is None:
        return False
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        return bool(call(descriptor) == 0)
    finally:
        os.close(descriptor)
