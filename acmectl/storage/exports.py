"""Files beside the tree that hold a key: written anew in place of the old one, in one step, for whom it was asked.

The folder may belong to somebody else than the one who runs this, so each step of the way there is looked at as it is
taken: a symbolic link counts only where root or who runs this has made it, and the file itself must be none.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from acmectl.errors import StorageError
from acmectl.storage.atomic import Permissions, read_open, stage_file, sync
from acmectl.storage.layout import TEMPORARY_PREFIX

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_FOLDER = os.O_DIRECTORY | os.O_CLOEXEC
_STEP = getattr(os, "O_PATH", os.O_RDONLY) | os.O_NOFOLLOW | _FOLDER
_MOST_LINKS = 40
_MOST_BYTES = 4 << 20
_HINTS = {
    errno.ENOSPC: "Free some space on that file system.",
    errno.EDQUOT: "Free some space on that file system.",
    errno.EROFS: "Where only the timer's service may not write: acmectl enable-timer opens the directory.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """Owner, group and mode of a file. None: whoever runs this, the group that the system chooses, the mode it has.

    A new file gets 0600 where ``mode`` is None.
    """

    uid: int | None = None
    gid: int | None = None
    mode: int | None = None

    def fits(self, status: os.stat_result) -> bool:
        """Whether a file has what is asked for here."""
        uid = self.uid if self.uid is not None else status.st_uid
        gid = self.gid if self.gid is not None else status.st_gid
        mode = self.mode if self.mode is not None else status.st_mode & 0o7777
        return (status.st_uid, status.st_gid, status.st_mode & 0o7777) == (uid, gid, mode)


def check_place(path: Path, marks: tuple[bytes, ...]) -> None:
    """Make sure that ``path`` can be written, as far as that can be told before.

    A file that is there must begin with one of ``marks``, after what may stand before a PEM block, or be empty.

    Raises: StorageError saying what stands in the way.
    """
    with _folder_of(path) as folder:
        if not os.access(".", os.W_OK | os.X_OK, dir_fd=folder):
            raise StorageError(f"{path} cannot be written: {path.parent} is not a directory that you may write to.")
        if _status(path, folder) is None:
            return
        try:
            content, _ = _read(path, folder)
        except OSError as error:
            raise StorageError(f"{path} is there and cannot be read: {error.strerror}.") from error
    if content and not any(content.startswith(mark) or (mark.startswith(b"-") and mark in content) for mark in marks):
        raise StorageError(
            f"{path} is there and holds something else.", hint="Move it away; acmectl writes over files of this kind."
        )


def write(path: Path, data: bytes, access: Access) -> None:
    """Replace the file at ``path`` by ``data`` in one step, durably, with its owner and mode before it has its name.

    Raises: StorageError; the old file is still there then.
    """
    mode = access.mode if access.mode is not None else 0o600
    permissions = Permissions(mode=mode, uid=access.uid, gid=access.gid, strict=True)
    # Always the same name for one file: what a killed run left goes with the next one.
    temporary = f"{TEMPORARY_PREFIX}-{hashlib.sha256(os.fsencode(path.name)).hexdigest()[:12]}.tmp"
    with _folder_of(path) as folder:
        _status(path, folder)
        try:
            stage_file(path.name, data, permissions=permissions, temporary=temporary, folder=folder)
            try:
                os.rename(temporary, path.name, src_dir_fd=folder, dst_dir_fd=folder)
            except OSError:
                with suppress(OSError):
                    os.unlink(temporary, dir_fd=folder)
                raise
            sync(folder)
        except OSError as error:
            raise _cannot(path, error) from error


def read_output(path: Path) -> tuple[bytes, os.stat_result] | None:
    """What an earlier ``write`` has left at ``path``; None when there is no file that can be read."""
    try:
        with _folder_of(path) as folder:
            return _read(path, folder)
    except (OSError, StorageError):
        return None


def give(path: str, access: Access) -> None:
    """Give the file that ``path`` leads to an owner, a group and a mode. Raises: StorageError."""
    try:
        descriptor = os.open(os.path.realpath(path), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise OSError(errno.EINVAL, "It is no file")
            if access.fits(status):
                return
            mode = access.mode if access.mode is not None else status.st_mode & 0o777
            # Never more, in between, than the old mode or the new one gives.
            os.fchmod(descriptor, status.st_mode & mode)
            uid, gid = (-1 if one is None else one for one in (access.uid, access.gid))
            os.fchown(descriptor, uid, gid)
            os.fchmod(descriptor, mode)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise StorageError(f"{path} cannot be given its owner and mode: {error.strerror}.") from error


@contextmanager
def _folder_of(path: Path) -> Iterator[int]:
    """A descriptor of the directory of ``path``. Raises: StorageError."""
    try:
        step = _walk(path)
        try:
            folder = os.open(".", os.O_RDONLY | _FOLDER, dir_fd=step)
        finally:
            os.close(step)
    except FileNotFoundError:
        raise StorageError(
            f"{path} cannot be written: the directory {path.parent} does not exist.", hint="Make it first."
        ) from None
    except OSError as error:
        raise _cannot(path, error) from error
    try:
        yield folder
    finally:
        os.close(folder)


def _read(path: Path, folder: int) -> tuple[bytes, os.stat_result]:
    """The bytes of the file in the open ``folder``, however it is exchanged meanwhile. Raises: OSError."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    descriptor = os.open(path.name, flags, dir_fd=folder)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "It is no file")
        return read_open(descriptor, _MOST_BYTES), status
    finally:
        os.close(descriptor)


def _walk(path: Path) -> int:
    """Open the directory of ``path``, one name after the other. Raises: OSError, StorageError for a foreign link."""
    left = [*reversed(path.parent.parts[1:])]
    here = os.open("/", _STEP)
    links = 0
    try:
        while left:
            name = left.pop()
            target = None
            try:
                there = os.open(name, _STEP, dir_fd=here)
            except OSError as error:
                if error.errno not in {errno.ELOOP, errno.ENOTDIR}:
                    raise
                target = _trusted_target(path, name, here)
                links += 1
                if links > _MOST_LINKS:
                    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP)) from None
                left += [part for part in reversed(target.split("/")) if part not in {"", "."}]
                if not target.startswith("/"):
                    continue
                there = os.open("/", _STEP)
            os.close(here)
            here = there
    except BaseException:
        os.close(here)
        raise
    return here


def _trusted_target(path: Path, name: str, here: int) -> str:
    """Where the link ``name`` leads. Raises: OSError when it is none, StorageError when somebody else has made it."""
    if not hasattr(os, "O_PATH"):
        return _target_for_us(path, name, os.stat(name, dir_fd=here, follow_symlinks=False), here, name)
    # The link that is looked at is the one that is read, whatever takes its name in between.
    link = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=here)
    try:
        return _target_for_us(path, name, os.fstat(link), link, "")
    finally:
        os.close(link)


def _target_for_us(path: Path, name: str, status: os.stat_result, start: int, rest: str) -> str:
    if not stat.S_ISLNK(status.st_mode):
        raise OSError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
    if status.st_uid not in {0, os.geteuid()}:
        raise StorageError(
            f"{path} cannot be written: {name} on the way there is a symbolic link that somebody else has made.",
            hint="Give the path that it leads to.",
        )
    return os.readlink(rest, dir_fd=start)


def _status(path: Path, folder: int) -> os.stat_result | None:
    """The status of what lies at ``path`` now; None for nothing. Raises: StorageError for what is no file."""
    try:
        status = os.stat(path.name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _cannot(path, error) from error
    if stat.S_ISLNK(status.st_mode):
        raise StorageError(
            f"{path} is a symbolic link, which acmectl neither follows nor replaces.",
            hint="Give the path that it leads to, or remove it.",
        )
    if not stat.S_ISREG(status.st_mode):
        raise StorageError(f"{path} cannot be written: it is there and is no file.")
    return status


def _cannot(path: Path, error: OSError) -> StorageError:
    reason = error.strerror or type(error).__name__
    return StorageError(f"{path} cannot be written: {reason}.", hint=_HINTS.get(error.errno or 0))
