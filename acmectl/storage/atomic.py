"""Writes that are either whole or not there: temporary file, fsync, rename, fsync of the directory."""

from __future__ import annotations

import errno
import os
import stat
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from acmectl.errors import StorageError
from acmectl.storage.layout import TEMPORARY_PREFIX

if TYPE_CHECKING:
    from collections.abc import Iterator

PathLike = str | os.PathLike[str]

_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_USUAL = 1 << 13  # octets: more than nearly every file here has; a larger buffer costs more than a second read
_SECRET = 0o600

_HINTS = {
    errno.ENOSPC: "Free some space on that file system and run the command again.",
    errno.EDQUOT: "The disk quota is used up; free some space and run the command again.",
    errno.EROFS: "The file system is mounted read-only.",
    errno.EACCES: "Run as root, or set --config-dir, --work-dir and --logs-dir to directories that you may write to.",
    errno.EPERM: "Run as root, or set --config-dir, --work-dir and --logs-dir to directories that you may write to.",
    errno.EIO: "The disk reports an error; look into the system's log.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Permissions:
    """Exact mode of a new file, whatever the umask; ``gid`` None leaves the group as the system chose it, ``uid`` the
    owner. ``strict``: an owner or group that cannot be given is an error, and the directory's list gives nobody access.
    """

    mode: int
    gid: int | None = None
    uid: int | None = None
    strict: bool = False


@contextmanager
def telling(what: str) -> Iterator[None]:
    """Turn an OSError into a StorageError of one line that starts with ``Cannot <what>``."""
    try:
        yield
    except OSError as error:
        raise storage_error(what, error) from error


def storage_error(what: str, error: OSError) -> StorageError:
    """The StorageError for an OSError: ``Cannot <what>: <the system's words>``, with a hint where there is one."""
    reason = error.strerror or str(error) or type(error).__name__
    return StorageError(f"Cannot {what}: {reason}.", hint=_HINTS.get(error.errno or 0))


def write_file(path: PathLike, data: bytes, *, mode: int = 0o644, permissions: Permissions | None = None) -> None:
    """Replace the file ``path`` by ``data`` in one step, durably.

    ``mode`` is subject to the umask, as for any new file; ``permissions`` is exact and wins. A reader sees the old file
    or the new one. The caller's OSError is the system's; wrap it with ``telling``.
    """
    temporary = stage_file(path, data, mode=mode, permissions=permissions)
    try:
        os.rename(temporary, path)
    except OSError:
        with suppress(OSError):
            os.unlink(temporary)
        raise
    fsync_dir(os.path.dirname(path))


def stage_file(
    path: PathLike,
    data: bytes,
    *,
    mode: int = 0o644,
    permissions: Permissions | None = None,
    temporary: PathLike | None = None,
    folder: int | None = None,
) -> str:
    """Write ``data``, fsynced, to a temporary file beside ``path`` and return that file's name; the caller renames it.

    Nothing is left behind when it fails. ``temporary`` fixes the name, removing what a killed run left under it.
    ``folder`` is a descriptor of the directory that the names start from.
    """
    if temporary is None:
        name = os.path.join(os.path.dirname(path), temporary_name())
    else:
        name = os.fspath(temporary)
        with suppress(FileNotFoundError):
            os.unlink(name, dir_fd=folder)
    # Permissions wider than the owner's are given once the bytes are there, so a key is 0600 from its first byte.
    descriptor = os.open(name, _NEW_FILE, _SECRET if permissions else mode, dir_fd=folder)
    try:
        try:
            _write_all(descriptor, data)
            if permissions:
                _apply(descriptor, permissions)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except BaseException:
        with suppress(OSError):
            os.unlink(name, dir_fd=folder)
        raise
    return name


def temporary_name() -> str:
    """A fresh file name that the next locked run recognises as left over."""
    return f"{TEMPORARY_PREFIX}-{os.urandom(6).hex()}.tmp"


def is_temporary(name: str) -> bool:
    """Whether a file name was made by ``temporary_name``."""
    return name.startswith(f"{TEMPORARY_PREFIX}-") and name.endswith(".tmp")


def fsync_dir(path: PathLike) -> None:
    """Make the entries of a directory durable."""
    descriptor = os.open(path or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        sync(descriptor)
    finally:
        os.close(descriptor)


def sync(directory: int) -> None:
    """Make the entries of an open directory durable. Raises: OSError."""
    try:
        os.fsync(directory)
    except OSError as error:
        # Some network and FUSE file systems cannot sync a directory; there is nothing more to be had from them.
        if error.errno not in {errno.EINVAL, errno.ENOTSUP, errno.ENOSYS}:
            raise


def make_dir(path: PathLike, mode: int, *, exact: bool = False) -> bool:
    """Create the directory ``path`` and its missing parents; True if it was not there.

    ``mode`` is subject to the umask unless ``exact``. Parents get 0755 less the umask. New entries are made durable.
    """
    try:
        try:
            os.mkdir(path, mode)
        except FileNotFoundError:
            parent = os.path.dirname(path)
            if not parent or parent == os.fspath(path):
                raise
            make_dir(parent, 0o755)
            os.mkdir(path, mode)  # no third time: there are places where nothing can be made, such as /proc
    except FileExistsError:
        if not os.path.isdir(path):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), os.fspath(path)) from None
        return False
    if exact:
        os.chmod(path, mode)
    fsync_dir(os.path.dirname(path))
    return True


def replace_symlink(path: PathLike, target: str) -> None:
    """Make ``path`` a symbolic link to ``target`` in one step; the caller makes the directory durable."""
    temporary = os.path.join(os.path.dirname(path), temporary_name())
    os.symlink(target, temporary)
    try:
        os.rename(temporary, path)
    except OSError:
        with suppress(OSError):
            os.unlink(temporary)
        raise


def remove_tree(path: PathLike) -> None:
    """Remove a directory and what is in it, never following a symbolic link; silent where there is none."""
    if os.path.islink(path):
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), os.fspath(path))
    try:
        with os.scandir(path) as entries:
            found = list(entries)
    except FileNotFoundError:
        return
    for entry in found:
        if entry.is_dir(follow_symlinks=False):
            remove_tree(entry.path)
        else:
            with suppress(FileNotFoundError):
                os.unlink(entry.path)
    os.rmdir(path)


def is_real_dir(path: PathLike) -> bool:
    """Whether ``path`` is a directory and not a symbolic link to one."""
    try:
        return stat.S_ISDIR(os.lstat(path).st_mode)
    except OSError:
        return False


def read_file(path: PathLike, limit: int = 4 << 20) -> bytes:
    """The bytes of a regular file of at most ``limit`` bytes. Raises: OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        return read_open(descriptor, limit)
    finally:
        os.close(descriptor)


def read_open(descriptor: int, limit: int) -> bytes:
    """The bytes of an open file, from where it stands, at most ``limit`` of them. Raises: OSError."""
    data = os.read(descriptor, _USUAL)
    if len(data) == _USUAL:
        data += _read_rest(descriptor, limit - len(data))
    return data


def _read_rest(descriptor: int, limit: int) -> bytes:
    parts = []
    while part := os.read(descriptor, 1 << 20):
        parts.append(part)
        limit -= len(part)
        if limit < 0:
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
    return b"".join(parts)


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _without_list(descriptor: int) -> None:
    """Take an access control list away that the directory has given a new file: with it the mode says not all."""
    if not hasattr(os, "removexattr"):
        return
    try:
        os.removexattr(descriptor, "system.posix_acl_access")
    except OSError as error:
        if error.errno not in {errno.ENODATA, errno.ENOTSUP, errno.ENOSYS}:  # none there, or none possible
            raise


def _apply(descriptor: int, permissions: Permissions) -> None:
    mode = permissions.mode
    gid = permissions.gid
    if permissions.strict:
        _without_list(descriptor)
        os.fchown(descriptor, *(-1 if one is None else one for one in (permissions.uid, gid)))
    elif gid is not None and os.fstat(descriptor).st_gid != gid:
        try:
            os.fchown(descriptor, -1, gid)
        except PermissionError:
            # Bits meant for one group must not be given to another.
            mode &= ~stat.S_IRWXG
    if mode != _SECRET:
        os.fchmod(descriptor, mode)
