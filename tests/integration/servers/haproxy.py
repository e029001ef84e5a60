"""HAProxy in master-worker mode with a configuration of the test's own."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Self

from tests.integration.servers.process import ServerProcess, accepts
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
    """A real HAProxy. ``lines`` are its frontends and backends; ``port`` is where it must answer.

    SIGUSR2 has it read its files again; one that comes while it does is lost.
    """

    def __init__(self, port: int, lines: str) -> None:
        require("haproxy")
        self.port = port
        self.lines = lines
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self.folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="acmectl-haproxy-")))
            (self.folder / "haproxy.cfg").write_text(GLOBAL + self.lines)
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
