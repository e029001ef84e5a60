"""Files that a plugin keeps for itself, with secrets in them: for their owner alone, and whole or not there at all."""

from __future__ import annotations

import errno
import fcntl
import os
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from acmectl.errors import PluginError
from acmectl.plugin.credentials import refusal

if TYPE_CHECKING:
    from collections.abc import Iterator

_MOST_BYTES = 4 << 20
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def read_private(path: str | Path, what: str) -> bytes | None:
    """The bytes of a private file; None where there is none. ``what`` is how messages call it.

    Raises: PluginError when it cannot be read, has more than 4 MiB, or can be used by others than its owner.
    """
    why = refusal(path)
    if why is not None:
        if not os.path.lexists(path) and Path(path).parent.is_dir():
            return None
        hint = f"chmod 600 {path}" if why.startswith("has mode") else None
        raise PluginError(f"{what} {path} {why}.", hint=hint)
    try:
        with open(path, "rb") as file:
            data = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise PluginError(f"{what} {path} cannot be read: {error.strerror}.") from error
    if len(data) > _MOST_BYTES:
        raise PluginError(f"{what} {path} is larger than {_MOST_BYTES} octets.")
    return data


def write_private(path: str | Path, data: bytes, what: str) -> None:
    """Replace a file durably in one step; a link is followed. Its mode is 0600 from its first byte.

    A reader sees the old content or the new one. ``what`` is how messages call the file. Raises: PluginError.
    """
    target = Path(os.path.realpath(path))
    temporary = target.parent / f".{target.name}.{os.urandom(6).hex()}.tmp"
    try:
        try:
            descriptor = os.open(temporary, _NEW_FILE, 0o600)
            try:
                view = memoryview(data)
                while view:
                    view = view[os.write(descriptor, view) :]
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            temporary.rename(target)
        except BaseException:
            with suppress(OSError):
                temporary.unlink()
            raise
        _make_durable(target.parent)
    except OSError as error:
        raise PluginError(f"{what} {path} cannot be written: {error.strerror}.") from error


@contextmanager
def changing(path: str | Path, what: str) -> Iterator[None]:
    """While a file is read, changed and written: no other thread or process that asks does the same.

    The lock is on the folder, so that nothing is left behind. Raises: PluginError.
    """
    folder = Path(os.path.realpath(path)).parent
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise PluginError(f"{what} {path} cannot be written: {error.strerror}.") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _make_durable(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Some network file systems cannot sync a directory; there is nothing more to be had from them.
        if error.errno not in {errno.EINVAL, errno.ENOTSUP, errno.ENOSYS}:
            raise
    finally:
        os.close(descriptor)
