"""Signals that ask us to stop, turned into an exception at safe places only.

A handler that raised wherever it struck could tear a half-made switch or skip a clean-up. So the handler only takes a
note and wakes sleepers; ``Interrupted`` is raised where the program waits: in ``Clock.sleep`` and inside
``interruptible()``. Clean-up runs ``shielded()``, where nothing is raised.
"""

from __future__ import annotations

import os
import select
import signal
import threading
import time
import weakref
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from acmectl.errors import Interrupted

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

LOOK_UP = 0.5
"""Seconds between two looks whether a signal came.

Python runs a handler between two steps of its own: a signal that comes just before a wait begins does not end it.
"""
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


class Interrupts:
    """Keeps the note of a signal that asked the program to stop. One instance per process; safe in any thread."""

    def __init__(self) -> None:
        self._signum: int | None = None
        self._raise_depth = 0
        self._local = threading.local()
        # A pipe instead of a threading.Event: setting an Event from a handler can deadlock with its own wait().
        self._read_end, self._write_end = os.pipe()
        os.set_blocking(self._write_end, False)
        weakref.finalize(self, _close, self._read_end, self._write_end)

    def install(self) -> None:
        """Take over SIGINT, SIGTERM, SIGHUP and SIGQUIT. A signal that the parent ignores (nohup) stays so."""
        for signum in SIGNALS:
            if signal.getsignal(signum) is not signal.SIG_IGN:
                signal.signal(signum, self._handle)

    def _handle(self, signum: int, _frame: FrameType | None) -> None:
        self.request(signum)
        if self._raise_depth and not self._shield_depth:
            raise Interrupted(signum)

    def request(self, signum: int) -> None:
        """Ask the program to stop, as if the signal ``signum`` had come."""
        if self._signum is None:
            self._signum = signum
        with suppress(BlockingIOError):  # the pipe is full, so every sleeper is awake already
            os.write(self._write_end, b"!")

    @property
    def signum(self) -> int | None:
        """The signal that came, or None."""
        return self._signum

    @property
    def _shield_depth(self) -> int:
        depth: int = getattr(self._local, "shield", 0)
        return depth

    def check(self) -> None:
        """Raise ``Interrupted`` if a signal came and this thread is not shielded."""
        if self._signum is not None and not self._shield_depth:
            raise Interrupted(self._signum)

    def wait(self, seconds: float) -> None:
        """Sleep for ``seconds``. Raises: Interrupted as soon as a signal comes, unless this thread is shielded."""
        self.check()
        if self._shield_depth:
            time.sleep(max(0.0, seconds))
            return
        watch = select.poll()  # select() knows no descriptor above 1023
        watch.register(self._read_end, select.POLLIN)
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            watch.poll(min(left, LOOK_UP) * 1000)
            self.check()

    def wait_readable(self, descriptor: int, seconds: float | None) -> bool:
        """Wait until ``descriptor`` can be read; False when ``seconds`` are over first.

        Works in any thread, which ``interruptible`` does not. Raises: Interrupted as soon as a signal comes, unless
        this thread is shielded.
        """
        self.check()
        watch = select.poll()
        watch.register(descriptor, select.POLLIN)
        if not self._shield_depth:
            watch.register(self._read_end, select.POLLIN)
        until = None if seconds is None else time.monotonic() + seconds
        while True:
            left = LOOK_UP if until is None else max(0.0, until - time.monotonic())
            found = watch.poll(min(left, LOOK_UP) * 1000)
            self.check()
            if found or (until is not None and time.monotonic() >= until):
                return bool(found)

    @contextmanager
    def interruptible(self) -> Iterator[None]:
        """Around a blocking call in the main thread (prompt, process, network): a signal raises at once."""
        if threading.current_thread() is not threading.main_thread() or self._shield_depth:
            yield
            return
        self._raise_depth += 1
        try:
            self.check()
            yield
        finally:
            self._raise_depth -= 1

    @contextmanager
    def shielded(self) -> Iterator[None]:
        """Around a clean-up: signals are noted and raise nothing in this thread."""
        self._local.shield = self._shield_depth + 1
        try:
            yield
        finally:
            self._local.shield -= 1


def _close(*descriptors: int) -> None:
    for descriptor in descriptors:
        os.close(descriptor)
