"""A signal that was noted while nothing woke the main thread still ends every wait."""

import os
import signal
import threading

import pytest

from acmectl.actions.hook_process import HookRunner
from acmectl.clock import SystemClock
from acmectl.errors import Interrupted
from acmectl.interrupts import Interrupts
from acmectl.workers import run_each

# A bound for the case that nothing ends the wait.
FAR = 8
# Time for the main thread to begin its wait; a machine on which it is too short makes the tests weaker, never fail.
MEANWHILE = 0.5


def test_a_wait_for_workers_ends_although_no_worker_does():
    interrupts, release, ended = Interrupts(), threading.Event(), []

    def work(item):
        release.wait(MEANWHILE)
        interrupts.request(signal.SIGTERM)
        if not release.wait(FAR):
            ended.append(item)
        return item

    try:
        with pytest.raises(Interrupted):
            run_each(work, [1, 2], workers=2, interrupts=interrupts)
        assert ended == []
    finally:
        release.set()


def test_a_wait_for_a_hook_ends_and_ends_the_hook(tmp_path):
    interrupts, ready = Interrupts(), tmp_path / "ready"
    os.mkfifo(ready)

    def note():
        ready.read_text()
        threading.Event().wait(MEANWHILE)
        interrupts.request(signal.SIGTERM)

    threading.Thread(target=note, daemon=True).start()
    runner = HookRunner(
        clock=SystemClock(interrupts), interrupts=interrupts, observe=lambda _event: None, environ=dict(os.environ)
    )
    with pytest.raises(Interrupted):
        runner.run(f"echo go > {ready}; sleep {FAR}; touch {tmp_path}/ended", name="hook", env={})
    assert not (tmp_path / "ended").exists()
