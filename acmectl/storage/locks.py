"""The store's locks: certbot's, so that neither program runs into the other."""

from __future__ import annotations

import errno
import fcntl
import os
import struct
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from acmectl.errors import LockHeld
from acmectl.storage.atomic import storage_error
from acmectl.storage.layout import LOCK_FILE

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from acmectl.clock import Clock
    from acmectl.storage.layout import Layout

_DELAYS = (0.02, 0.05, 0.1, 0.25, 0.5)
_LONGEST_DELAY = 1.0
_PATIENT = 3  # attempts before a wait is worth a word
_FLOCK = "hhqqi"  # l_type, l_whence, l_start, l_len, l_pid: struct flock of Linux with 64-bit offsets
_LOCK_MODE = 0o600


class StoreLocks:
    """Holds the locks of logs, config and work directory, taken in this order, from ``acquire`` to ``release``.

    The three directories must exist. ``timeout`` is in seconds and covers all three; 0 tries once. Usable as a context
    manager. One instance per process: POSIX locks do not exclude the process that holds them.
    """

    def __init__(
        self, layout: Layout, *, timeout: float, clock: Clock, on_wait: Callable[[Path, int], None] | None = None
    ) -> None:
        """``on_wait`` is told once which lock another process holds, and its pid (0 where the system does not tell)."""
        self._on_wait = on_wait
        self._directories = (layout.logs_dir, layout.config_dir, layout.work_dir)
        self._timeout = timeout
        self._clock = clock
        self._held: list[tuple[int, Path]] = []

    def acquire(self) -> None:
        """Take the locks, waiting for another process to let go.

        Raises: LockHeld when it does not in time; StorageError when a lock file cannot be made; Interrupted.
        """
        deadline = self._clock.monotonic() + self._timeout
        try:
            for directory in self._directories:
                self._acquire_one(directory / LOCK_FILE, deadline)
        except BaseException:
            self.release()
            raise

    def release(self) -> None:
        """Let go of the locks and remove their files. Never raises; may be called again."""
        while self._held:
            descriptor, path = self._held.pop()
            # Unlinked while still held: a waiter then finds that its file is no longer the one on disk and tries again.
            with suppress(OSError):
                os.unlink(path)
            with suppress(OSError):
                os.close(descriptor)

    def __enter__(self) -> StoreLocks:
        self.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.release()

    def _acquire_one(self, path: Path, deadline: float) -> None:
        attempt = 0
        while True:
            holder = self._try(path)
            if holder is None:
                return
            remaining = deadline - self._clock.monotonic()
            if remaining <= 0:
                raise _held_error(path, holder)
            if attempt == _PATIENT and self._on_wait is not None:
                self._on_wait(path, holder)
            delay = _DELAYS[attempt] if attempt < len(_DELAYS) else _LONGEST_DELAY
            self._clock.sleep(min(delay, remaining))
            attempt += 1

    def _try(self, path: Path) -> int | None:
        """None once the lock is ours, else the pid of who holds it, 0 where the system does not tell."""
        while True:
            descriptor = _open(path)
            try:
                status = os.fstat(descriptor)
                if any(os.path.samestat(status, os.fstat(held)) for held, _ in self._held):
                    # Two of the directories are one and the same; closing this would drop the lock, so it is kept too.
                    self._held.append((descriptor, path))
                    return None
                fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                holder = _holder(descriptor)
                os.close(descriptor)
                if error.errno in {errno.EAGAIN, errno.EACCES}:
                    return holder
                raise storage_error(f"lock {path}", error) from error
            if _is_on_disk(status, path):
                self._held.append((descriptor, path))
                return None
            os.close(descriptor)


def lock_holders(layout: Layout) -> list[tuple[Path, int]]:
    """The lock files that another process holds now, and its pid, 0 where the system does not tell. Changes nothing.

    Never called by a process that holds the locks itself: closing a file would drop them.
    """
    found = []
    for directory in (layout.logs_dir, layout.config_dir, layout.work_dir):
        path = directory / LOCK_FILE
        with suppress(OSError):
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
            try:
                if _is_locked(descriptor):
                    found.append((path, _holder(descriptor)))
            finally:
                os.close(descriptor)
    return found


def _is_locked(descriptor: int) -> bool:
    question = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
    try:
        answer = struct.unpack(_FLOCK, fcntl.fcntl(descriptor, fcntl.F_GETLK, question))
    except (OSError, struct.error):
        return False
    return bool(answer[0] != fcntl.F_UNLCK)


def _open(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, _LOCK_MODE)
    except OSError as error:
        raise storage_error(f"make the lock file {path}", error) from error


def _is_on_disk(status: os.stat_result, path: Path) -> bool:
    try:
        return os.path.samestat(status, os.lstat(path))
    except OSError:
        return False


def _holder(descriptor: int) -> int:
    if not sys.platform.startswith("linux"):
        return 0
    question = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
    try:
        answer = struct.unpack(_FLOCK, fcntl.fcntl(descriptor, fcntl.F_GETLK, question))
    except (OSError, struct.error):
        return 0
    kind, pid = answer[0], answer[4]
    # Negative or 0: the holder lives in another pid namespace or on another machine.
    return pid if kind != fcntl.F_UNLCK and pid > 0 else 0


def _held_error(path: Path, pid: int) -> LockHeld:
    who = f"process {pid}" if pid else "another process"
    return LockHeld(
        f"Another instance is running: {who} holds the lock {path}.",
        path=path,
        pid=pid or None,
        hint="Wait until it ends, or wait longer with --lock-timeout SECONDS.",
    )
