"""nginx with its own configuration, pid file and temporary folders, on a high port, as any user."""

from __future__ import annotations

import os
import re
import signal
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Self

from tests.integration.servers.process import ServerProcess, accepts, free_port, wait_until
from tests.integration.servers.requirements import find_program, require

CONFIG = """\
daemon off;
master_process on;
worker_processes 1;
pid {folder}/nginx.pid;
error_log stderr notice;
{user}
events {{ worker_connections 256; }}
http {{
    access_log {folder}/access.log;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    types {{ text/html html; text/plain txt; }}
    default_type application/octet-stream;
    server {{
        listen {address}:{port};
        server_name _;
        root {root};
        {server_lines}
    }}
    {http_lines}
}}
"""


class Nginx:
    """A real nginx that serves the folder ``root`` for every name.

    ``server_lines`` go into the server block, ``http_lines`` beside it; ``server_lines`` and ``http_lines`` may be
    changed before ``reload``. As root the workers run as ``nobody``: ``root`` must be readable for everyone.
    """

    def __init__(
        self,
        root: Path,
        port: int | None = None,
        *,
        address: str = "127.0.0.1",
        server_lines: str = "",
        http_lines: str = "",
        user: str = "nobody",
    ) -> None:
        require("nginx")
        self.root = root
        self.port = port or free_port()
        self.address = address
        self.server_lines = server_lines
        self.http_lines = http_lines
        self._user = user
        self._stack = ExitStack()

    @property
    def url(self) -> str:
        """``http://ADDRESS:PORT``."""
        return f"http://{self.address}:{self.port}"

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self.folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="acmectl-nginx-")))
            self.folder.chmod(0o755)
            self.write_config()
            program = find_program("nginx")
            assert program is not None
            config = str(self.folder / "nginx.conf")
            # -e keeps the first lines out of /var/log, which only root can write.
            command = [program, "-p", str(self.folder), "-e", "stderr", "-c", config]
            self.process = ServerProcess("nginx", command, log=self.folder / "nginx.log")
            self.process.start(self._answers)
            stack.callback(self.process.stop)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._stack.close()

    def _answers(self) -> bool:
        return self._generations() > 0 and accepts(self.port, self.address)

    def write_config(self) -> None:
        """Write the configuration file as the attributes say."""
        user = f"user {self._user} {self._group()};" if os.geteuid() == 0 else ""
        text = CONFIG.format(
            folder=self.folder,
            root=self.root,
            port=self.port,
            address=self.address,
            user=user,
            server_lines=self.server_lines,
            http_lines=self.http_lines,
        )
        (self.folder / "nginx.conf").write_text(text)

    def _group(self) -> str:
        return "nogroup" if self._user == "nobody" and "nogroup:" in Path("/etc/group").read_text() else self._user

    def reload(self) -> None:
        """Have it read its configuration and certificates again; back when new workers serve, and they alone."""
        self.write_config()
        before, left = self._generations(), self._retired()
        os.kill(self.process.pid, signal.SIGHUP)
        wait_until(lambda: self._generations() > before and self._retired() > left, "nginx: reload")

    def _generations(self) -> int:
        return len(re.findall(r"start worker process \d+$", self.process.log_text(), re.MULTILINE))

    def _retired(self) -> int:
        return self.process.log_text().count("gracefully shutting down")

    def access_log(self) -> list[str]:
        """The requests so far, one line each."""
        path = self.folder / "access.log"
        return path.read_text().splitlines() if path.exists() else []
