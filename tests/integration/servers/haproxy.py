"""HAProxy in master-worker mode with a configuration of the test's own."""

from __future__ import annotations

import os
import signal
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Self

from tests.integration.servers.process import ServerProcess, accepts, wait_until
from tests.integration.servers.requirements import find_program, require

GLOBAL = """\
global
    maxconn 100
defaults
    timeout connect 5s
    timeout client 30s
    timeout server 30s
"""


class HAProxy:
    """A real HAProxy. ``lines`` are its frontends and backends; ``port`` is where it must answer."""

    def __init__(self, port: int, lines: str) -> None:
        require("haproxy")
        self.port = port
        self.lines = lines
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self.folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="acmectl-haproxy-")))
            self._write()
            program = find_program("haproxy")
            assert program is not None
            command = [program, "-W", "-f", str(self.folder / "haproxy.cfg")]
            self.process = ServerProcess("haproxy", command, log=self.folder / "haproxy.log")
            self.process.start(lambda: accepts(self.port))
            stack.callback(self.process.stop)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._stack.close()

    def _write(self) -> None:
        (self.folder / "haproxy.cfg").write_text(GLOBAL + self.lines)

    def reload(self) -> None:
        """Have it read its configuration and certificates again; back when new workers serve."""
        self._write()
        before = self.generations()
        os.kill(self.process.pid, signal.SIGUSR2)
        wait_until(lambda: self.generations() > before, "haproxy: reload")

    def generations(self) -> int:
        """How often workers have been started; a reload asked for while another goes on is lost."""
        return self.process.log_text().count("Loading success")
