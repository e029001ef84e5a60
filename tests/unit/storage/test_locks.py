from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from acmectl.errors import Interrupted, LockHeld, StorageError
from acmectl.storage.layout import Layout
from acmectl.storage.locks import StoreLocks

# Another program that takes the lock as certbot does, in the process that it is run in.
HOLDER = """
import fcntl, os, sys
descriptor = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT, 0o600)
fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
print("held", flush=True)
sys.stdin.readline()
if "unlink" in sys.argv:
    os.unlink(sys.argv[1])
os.close(descriptor)
print("released", flush=True)
sys.stdin.readline()
"""


class Holder:
    def __init__(self, path: Path, *words: str) -> None:
        self.process = subprocess.Popen(
            [sys._base_executable, "-c", HOLDER, str(path), *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "held\n"

    def let_go(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "released\n"


@contextmanager
def holding(path: Path, *words: str) -> Iterator[Holder]:
    holder = Holder(path, *words)
    try:
        yield holder
    finally:
        holder.process.kill()
        holder.process.communicate()


class FakeClock:
    """Time passes only by sleeping; ``on_sleep`` is run at the n-th sleep."""

    def __init__(self) -> None:
        self.time = 0.0
        self.sleeps: list[float] = []
        self.on_sleep: dict[int, object] = {}

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.time, UTC)

    def monotonic(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        self.time += seconds
        action = self.on_sleep.get(len(self.sleeps))
        if callable(action):
            action()


def lock_files(layout: Layout) -> list[Path]:
    return [d / ".certbot.lock" for d in (layout.logs_dir, layout.config_dir, layout.work_dir)]


def is_free(path: Path) -> bool:
    """Whether another process gets the lock. The file is not opened here: closing it would drop this process's lock."""
    ended = subprocess.run(
        [sys._base_executable, "-c", HOLDER, str(path)], input="\n\n", capture_output=True, text=True
    )
    return ended.stdout.startswith("held")


def test_all_three_locks_are_held_and_go_away_at_the_end(layout: Layout) -> None:
    with StoreLocks(layout, timeout=0, clock=FakeClock()):
        assert [path.stat().st_mode & 0o777 for path in lock_files(layout)] == [0o600] * 3
        assert [is_free(path) for path in lock_files(layout)] == [False] * 3
    assert not any(path.exists() for path in lock_files(layout))


@pytest.mark.parametrize("held", [0, 1, 2])
def test_a_lock_that_stays_held_is_reported_with_its_pid_and_nothing_is_kept(layout: Layout, held: int) -> None:
    path = lock_files(layout)[held]
    clock = FakeClock()
    with holding(path) as holder:
        with pytest.raises(LockHeld) as caught:
            StoreLocks(layout, timeout=7, clock=clock).acquire()
        assert caught.value.pid == holder.process.pid
        assert caught.value.path == path
        assert str(holder.process.pid) in caught.value.message
        assert str(path) in caught.value.message
        assert "--lock-timeout" in str(caught.value.hint)
    assert clock.time == pytest.approx(7)
    assert [p for p in lock_files(layout) if p.exists()] == [path]


def test_a_timeout_of_zero_does_not_wait(layout: Layout) -> None:
    clock = FakeClock()
    with holding(lock_files(layout)[1]), pytest.raises(LockHeld):
        StoreLocks(layout, timeout=0, clock=clock).acquire()
    assert clock.sleeps == []


@pytest.mark.parametrize("words", [(), ("unlink",)])
def test_a_lock_that_is_let_go_in_time_is_taken(layout: Layout, words: tuple[str, ...]) -> None:
    clock = FakeClock()
    with holding(lock_files(layout)[0], *words) as holder:
        clock.on_sleep[3] = holder.let_go
        with StoreLocks(layout, timeout=60, clock=clock):
            assert len(clock.sleeps) == 3
            assert not is_free(lock_files(layout)[0])


def test_a_lock_on_a_file_that_was_unlinked_meanwhile_does_not_count(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = lock_files(layout)[0]
    real_fstat = os.fstat
    unlinked = []

    def unlink_once(descriptor: int) -> os.stat_result:
        if not unlinked:
            unlinked.append(path)
            path.unlink()
        return real_fstat(descriptor)

    monkeypatch.setattr(os, "fstat", unlink_once)
    locks = StoreLocks(layout, timeout=0, clock=FakeClock())
    locks.acquire()
    assert path.exists()
    assert not is_free(path)
    locks.release()


def test_a_file_that_a_killed_run_left_is_no_lock(layout: Layout) -> None:
    for path in lock_files(layout):
        path.touch()
    with StoreLocks(layout, timeout=0, clock=FakeClock()):
        pass


def test_one_directory_for_everything_is_locked_once(tmp_path: Path) -> None:
    layout = Layout(config_dir=tmp_path, work_dir=tmp_path, logs_dir=tmp_path)
    with StoreLocks(layout, timeout=0, clock=FakeClock()):
        assert not is_free(tmp_path / ".certbot.lock")
    assert not (tmp_path / ".certbot.lock").exists()


def test_an_interruption_while_waiting_lets_everything_go(layout: Layout) -> None:
    clock = FakeClock()

    def interrupt() -> None:
        raise Interrupted(2)

    clock.on_sleep[2] = interrupt
    with holding(lock_files(layout)[2]), pytest.raises(Interrupted):
        StoreLocks(layout, timeout=60, clock=clock).acquire()
    assert [p.exists() for p in lock_files(layout)] == [False, False, True]


def test_a_missing_directory_is_a_clear_error(tmp_path: Path) -> None:
    layout = Layout(config_dir=tmp_path / "c", work_dir=tmp_path / "w", logs_dir=tmp_path / "l")
    with pytest.raises(StorageError, match=r"Cannot make the lock file .*/l/\.certbot\.lock: No such file"):
        StoreLocks(layout, timeout=0, clock=FakeClock()).acquire()


def test_a_link_in_the_place_of_the_lock_file_is_refused(layout: Layout, tmp_path: Path) -> None:
    lock_files(layout)[0].symlink_to(tmp_path / "target")
    with pytest.raises(StorageError):
        StoreLocks(layout, timeout=0, clock=FakeClock()).acquire()
    assert not (tmp_path / "target").exists()
