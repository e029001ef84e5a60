"""Starting, watching and always ending the processes of test servers; ports for them."""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import os
import random
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, ClassVar

START_SECONDS = 30.0
STOP_SECONDS = 5.0

# Below the range from which the system takes ports for outgoing connections.
PORTS = range(12000, 32000)


class ServerError(Exception):
    """A test server did not start; the message carries the end of its log."""


class _Guard:
    """A shell that outlives this process and ends what it left running, even after SIGKILL.

    It reads ``+PGID`` and ``-PGID`` lines; at end of file, when this process is gone, it kills every group left.
    (PR_SET_PDEATHSIG would tie a server to the thread that started it.)
    """

    SCRIPT = """
    groups=" "
    while read -r line; do
        group=${line#?}
        case $line in
            +*) groups="$groups$group " ;;
            -*) groups=$(printf %s "$groups" | sed "s/ $group / /") ;;
        esac
    done
    for group in $groups; do kill -9 "-$group" 2>/dev/null; done
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pid = 0
        self._shell: subprocess.Popen[bytes] | None = None

    def tell(self, line: str) -> None:
        with self._lock:
            if self._shell is None or self._pid != os.getpid():
                self._pid = os.getpid()
                self._shell = subprocess.Popen(
                    ["sh", "-c", self.SCRIPT],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    start_new_session=True,
                )
                # At a normal end nothing is left to kill; this only closes the pipe before Python complains of it.
                atexit.register(self._close, self._shell)
            assert self._shell.stdin is not None
            self._shell.stdin.write(f"{line}\n".encode())
            self._shell.stdin.flush()

    @staticmethod
    def _close(shell: subprocess.Popen[bytes]) -> None:
        if shell.stdin is not None:
            shell.stdin.close()
        shell.wait()


_guard = _Guard()
_reserved: dict[int, IO[str]] = {}


def free_port() -> int:
    """A port on 127.0.0.1 that no one listens on, kept from every other test process until this one ends."""
    folder = Path(tempfile.gettempdir()) / f"acmectl-test-ports-{os.getuid()}"
    folder.mkdir(exist_ok=True)
    for port in random.sample(PORTS, 500):
        if port in _reserved:
            continue
        lock = (folder / str(port)).open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                with socket.socket(socket.AF_INET, kind) as probe:
                    probe.bind(("127.0.0.1", port))
        except OSError:
            lock.close()
            continue
        _reserved[port] = lock
        return port
    raise ServerError("no free port found")


def wait_until(ready: Callable[[], bool], what: str, *, seconds: float = START_SECONDS) -> None:
    """Ask ``ready`` again and again until it says yes. Raises: ServerError after ``seconds``."""
    deadline = time.monotonic() + seconds
    pause = 0.005
    while not ready():
        if time.monotonic() > deadline:
            raise ServerError(f"{what} did not happen within {seconds:.0f} s")
        time.sleep(pause)
        pause = min(pause * 1.5, 0.2)


def accepts(port: int, host: str = "127.0.0.1") -> bool:
    """Whether something takes TCP connections at ``host``:``port``."""
    try:
        with socket.create_connection((host, port), timeout=2):
            return True
    except OSError:
        return False


class ServerProcess:
    """One program in a process group of its own, its output in a file."""

    alive: ClassVar[set[ServerProcess]] = set()
    """Every process that runs now."""
    _ended: ClassVar[dict[str, str]] = {}

    def __init__(
        self, name: str, command: Sequence[str], *, log: Path, environ: Mapping[str, str] | None = None
    ) -> None:
        self.name = name
        self.log = log
        self._command = list(command)
        self._environ = dict(environ) if environ is not None else None
        self._process: subprocess.Popen[bytes] | None = None
        self._told = 0

    @classmethod
    def forget_logs(cls) -> None:
        """Forget what servers have said so far."""
        cls._ended.clear()
        for server in cls.alive:
            server._told = len(server.log_text())

    @classmethod
    def log_texts(cls) -> dict[str, str]:
        """What each server has said since ``forget_logs``, by name; those that were silent are left out."""
        alive = {server.name: server.log_text()[server._told :] for server in cls.alive}
        return {name: text for name, text in (cls._ended | alive).items() if text}

    @property
    def pid(self) -> int:
        """Of the running process."""
        if self._process is None:
            raise ServerError(f"{self.name} does not run")
        return self._process.pid

    def start(self, ready: Callable[[], bool]) -> None:
        """Start it and wait until ``ready``. Raises: ServerError with the end of the log."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self._environ,
                start_new_session=True,
            )
        _guard.tell(f"+{self._process.pid}")
        ServerProcess.alive.add(self)
        process = self._process

        def is_ready() -> bool:
            if process.poll() is not None:
                raise ServerError(f"{self.name} ended at once with status {process.returncode}")
            return ready()

        try:
            wait_until(is_ready, f"{self.name}: start")
        except BaseException as error:
            self.stop()
            if isinstance(error, ServerError):
                raise ServerError(f"{error}; its log ends with:\n{self.tail()}") from None
            raise

    def send(self, signum: int) -> None:
        """Send a signal to the whole group."""
        os.killpg(self.pid, signum)

    def pause(self) -> None:
        """Freeze it: connections are accepted by the system and never answered."""
        self.send(signal.SIGSTOP)
        wait_until(self._is_stopped, "the server stops")

    def _is_stopped(self) -> bool:
        """Whether every thread of it stands still: a signal takes its time on a busy machine."""
        tasks = Path(f"/proc/{self.pid}/task")
        return all((task / "stat").read_text().rsplit(")", 1)[1].split()[0] == "T" for task in tasks.iterdir())

    def resume(self) -> None:
        """Undo ``pause``."""
        self.send(signal.SIGCONT)

    def stop(self) -> None:
        """End the whole group: by SIGTERM, then by SIGKILL. Harmless when it does not run."""
        process, self._process = self._process, None
        if process is None:
            return
        try:
            self._signal_group(process.pid, signal.SIGTERM)
            self._signal_group(process.pid, signal.SIGCONT)  # a frozen process cannot hear SIGTERM
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(STOP_SECONDS)
        finally:
            self._signal_group(process.pid, signal.SIGKILL)
            process.wait()
            _guard.tell(f"-{process.pid}")
            ServerProcess.alive.discard(self)
            ServerProcess._ended[self.name] = self.log_text()  # its folder may be gone when a failure is reported

    @staticmethod
    def _signal_group(group: int, signum: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(group, signum)

    def log_text(self) -> str:
        """All that it has said since it was first started."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def tail(self, lines: int = 40) -> str:
        """The last lines of that."""
        return "\n".join(self.log_text().splitlines()[-lines:])


@atexit.register
def _stop_all() -> None:
    for server in list(ServerProcess.alive):
        server.stop()
