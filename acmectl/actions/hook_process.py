"""One hook, from start to end: streamed, bounded in time, and without a way to leak its environment."""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import subprocess
import threading
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

from acmectl.errors import HookFailed, Interrupted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from acmectl.clock import Clock
    from acmectl.events import Observer
    from acmectl.interrupts import Interrupts

EXTRA_PATH = ("/usr/sbin", "/usr/local/bin", "/usr/local/sbin")
DEFAULT_TIMEOUT = 600.0
_GRACE = 5.0  # seconds between SIGTERM and SIGKILL for a hook that ran too long
_DRAIN = 0.5  # seconds to read what is left in the pipes when a child of the hook keeps them open
_LOOK_UP = 0.2
_LIMIT = 1 << 20  # characters of output kept for the caller; all of it is streamed


def search_path(environ: Mapping[str, str]) -> str:
    """PATH with the administrator's directories appended where they are missing (certbot does the same)."""
    parts = [part for part in environ.get("PATH", "/usr/bin:/bin").split(os.pathsep) if part]
    return os.pathsep.join(parts + [extra for extra in EXTRA_PATH if extra not in parts])


@dataclass(frozen=True, slots=True, kw_only=True)
class HookResult:
    """How a hook ended. ``status`` is negative when a signal ended it; ``output`` is its standard output."""

    status: int
    output: str
    timed_out: bool = False


@dataclass(frozen=True, slots=True)
class _Line:
    stream: str
    text: str


class HookRunner:
    """Runs hooks one after the other. ``timeout`` in seconds; ``attended`` leaves standard input to the hook."""

    def __init__(
        self,
        *,
        clock: Clock,
        interrupts: Interrupts,
        observe: Observer,
        environ: Mapping[str, str],
        attended: bool = False,
        timeout: float = DEFAULT_TIMEOUT,
    ) -> None:
        self._clock = clock
        self._interrupts = interrupts
        self._observe = observe
        self._environ = dict(environ)
        self._attended = attended
        self._timeout = timeout

    def __call__(self, command: str, *, name: str, env: Mapping[str, str]) -> str:
        """Run ``command`` by /bin/sh and give its standard output, stripped. Raises: HookFailed."""
        result = self.run(command, name=name, env=env)
        _raise_if_failed(result, name, command, self._timeout)
        return result.output.strip()

    def run_checked(self, command: str, *, name: str, env: Mapping[str, str], timeout: float | None = None) -> None:
        """Run ``command`` by /bin/sh; ``timeout`` in seconds, the runner's own if None. Raises: HookFailed."""
        timeout = self._timeout if timeout is None else timeout
        result = self._run(["/bin/sh", "-c", command], command, name, env, timeout)
        _raise_if_failed(result, name, command, timeout)

    def run_file(self, path: Path, *, name: str, env: Mapping[str, str], timeout: float | None = None) -> None:
        """Run an executable file of a hook directory, else like ``run_checked``. Raises: HookFailed."""
        timeout = self._timeout if timeout is None else timeout
        # Through the shell, so that a script without a first line '#!' runs as it does under certbot.
        result = self._run(["/bin/sh", "-c", '"$0"', str(path)], str(path), name, env, timeout)
        _raise_if_failed(result, name, str(path), timeout)

    def run(self, command: str, *, name: str, env: Mapping[str, str]) -> HookResult:
        """Run ``command`` by /bin/sh and say how it ended. Raises: HookFailed when it cannot be started."""
        return self._run(["/bin/sh", "-c", command], command, name, env, self._timeout)

    def _run(self, argv: Sequence[str], command: str, name: str, env: Mapping[str, str], timeout: float) -> HookResult:
        self._interrupts.check()
        environment = {**self._environ, **env, "PATH": search_path(self._environ)}
        try:
            process = subprocess.Popen(
                argv,
                env=environment,
                stdin=None if self._attended else subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                # A group of its own can be ended whole; at a terminal it would lose the right to read from it.
                start_new_session=not self._attended,
            )
        except (OSError, ValueError) as error:
            raise HookFailed(f"The {name} could not be started: {error}.") from error
        messages: queue.SimpleQueue[_Line | int | None] = queue.SimpleQueue()
        for stream_name, stream in (("stdout", process.stdout), ("stderr", process.stderr)):
            _thread(_read, stream, stream_name, messages)
        _thread(lambda: messages.put(process.wait()))
        try:
            result = self._follow(process, messages, name, timeout)
        except Interrupted:
            with self._interrupts.shielded():
                self._end(process)
            raise
        from acmectl.events import HookEnded

        self._observe(HookEnded(hook=name, command=command, status=result.status))
        return result

    def _follow(
        self,
        process: subprocess.Popen[bytes],
        messages: queue.SimpleQueue[_Line | int | None],
        name: str,
        timeout: float,
    ) -> HookResult:
        from acmectl.events import HookOutput

        deadline = self._clock.monotonic() + timeout
        output: list[str] = []
        status: int | None = None
        timed_out = False
        open_pipes = 2
        while status is None or open_pipes:
            try:
                message = self._next(messages, deadline)
            except queue.Empty:
                if status is not None:
                    break
                timed_out = True
                self._end(process)
                deadline = self._clock.monotonic() + _GRACE
                continue
            if message is None:
                open_pipes -= 1
            elif isinstance(message, _Line):
                self._observe(HookOutput(hook=name, stream=message.stream, line=message.text))
                if message.stream == "stdout" and sum(map(len, output)) < _LIMIT:
                    output.append(message.text)
            else:
                status = message
                deadline = self._clock.monotonic() + _DRAIN
        return HookResult(
            status=status if status is not None else -signal.SIGKILL, output="\n".join(output), timed_out=timed_out
        )

    def _next(self, messages: queue.SimpleQueue[_Line | int | None], deadline: float) -> _Line | int | None:
        """The next message. Raises: queue.Empty at the deadline, Interrupted."""
        # No signal reaches other threads, and one that came just before a wait does not end it: look up now and then.
        while True:
            self._interrupts.check()
            left = deadline - self._clock.monotonic()
            try:
                with self._interrupts.interruptible():
                    return messages.get(timeout=max(0.0, min(left, _LOOK_UP)))
            except queue.Empty:
                if left <= _LOOK_UP:
                    raise

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        _signal(process, signal.SIGTERM, group=not self._attended)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=_GRACE)
        # The shell may be gone while its children live on: the whole group is ended either way.
        _signal(process, signal.SIGKILL, group=not self._attended)


def _signal(process: subprocess.Popen[bytes], signum: signal.Signals, *, group: bool) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if group:
            os.killpg(process.pid, signum)
        else:
            process.send_signal(signum)


def _read(stream: IO[bytes] | None, name: str, messages: queue.SimpleQueue[_Line | int | None]) -> None:
    if stream is not None:
        for line in stream:
            messages.put(_Line(name, line.decode("utf-8", "replace").rstrip("\r\n")))
    messages.put(None)


def _thread(target: object, *args: object) -> None:
    threading.Thread(target=target, args=args, daemon=True).start()  # type: ignore[arg-type]


def _raise_if_failed(result: HookResult, name: str, command: str, timeout: float) -> None:
    if result.timed_out:
        raise HookFailed(
            f"The {name} ran longer than {timeout:g} seconds and was ended: {command}",
            hint="Give it more time with --hook-timeout SECONDS.",
        )
    if result.status < 0:
        raise HookFailed(f"The {name} was ended by signal {-result.status}: {command}")
    if result.status:
        raise HookFailed(f"The {name} failed with exit status {result.status}: {command}")
