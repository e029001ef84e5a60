"""Run a function over many items at once, in threads that never keep the process from ending."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from typing import TYPE_CHECKING, TypeVar

from acmectl.errors import Interrupted
from acmectl.interrupts import LOOK_UP

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from acmectl.interrupts import Interrupts

T = TypeVar("T")
R = TypeVar("R")


def run_each(
    function: Callable[[T], R],
    items: Sequence[T],
    *,
    workers: int,
    interrupts: Interrupts | None = None,
    finish: float = 0.0,
) -> list[R | BaseException]:
    """Call ``function`` once per item, at most ``workers`` at a time, and give results or exceptions in item order.

    A single item, or ``workers=1``, runs in the calling thread. Threads are daemons: when a signal arrives while the
    main thread waits here (with ``interrupts``), Interrupted is raised; calls under way get ``finish`` seconds to
    come to their own end (they see the signal too) before they are abandoned.
    """
    if len(items) <= 1 or workers <= 1:
        return [_outcome(function, item) for item in items]
    todo: queue.SimpleQueue[tuple[int, T]] = queue.SimpleQueue()
    for numbered in enumerate(items):
        todo.put(numbered)
    done: queue.SimpleQueue[tuple[int, R | BaseException]] = queue.SimpleQueue()
    stop = threading.Event()

    def work() -> None:
        while not stop.is_set():
            try:
                index, item = todo.get_nowait()
            except queue.Empty:
                return
            done.put((index, _outcome(function, item)))

    threads = [threading.Thread(target=work, daemon=True) for _ in range(min(workers, len(items)))]
    for thread in threads:
        thread.start()
    results: dict[int, R | BaseException] = {}
    try:
        while len(results) < len(items):
            if interrupts is None:
                index, outcome = done.get()
            else:
                index, outcome = _next(done, interrupts)
            results[index] = outcome
    except Interrupted:
        stop.set()
        deadline = time.monotonic() + finish
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        raise
    finally:
        stop.set()
    return [results[index] for index in range(len(items))]


def _next(done: queue.SimpleQueue[T], interrupts: Interrupts) -> T:
    """The next item. A signal that came just before the wait does not end it, so the wait is a short one each time."""
    while True:
        with contextlib.suppress(queue.Empty), interrupts.interruptible():
            return done.get(timeout=LOOK_UP)


def _outcome(function: Callable[[T], R], item: T) -> R | BaseException:
    try:
        return function(item)
    except Exception as error:  # noqa: BLE001 - handed to the caller, who raises or reports it
        return error


def first_error(outcomes: Sequence[R | BaseException]) -> list[R]:
    """The outcomes as results; raises the first exception among them."""
    results: list[R] = []
    for outcome in outcomes:
        if isinstance(outcome, BaseException):
            raise outcome
        results.append(outcome)
    return results
