"""Apache httpd with its own configuration and pid file, on high ports, as any user."""

from __future__ import annotations

import os
import signal
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Self

from tests.integration.servers.process import ServerProcess, accepts, free_port, wait_until
from tests.integration.servers.requirements import find_program, require

MODULES = (
    *("mpm_event", "unixd", "authn_core", "authz_core", "log_config", "alias", "mime", "dir", "setenvif", "headers"),
    *("socache_shmcb", "ssl", "proxy", "proxy_http", "rewrite"),
)
MODULE_FOLDERS = ("/usr/lib/apache2/modules", "/usr/lib64/httpd/modules", "/usr/lib/httpd/modules")

CONFIG = """\
ServerRoot {folder}
DefaultRuntimeDir {folder}
PidFile {folder}/apache.pid
ServerName localhost
{modules}
{user}
ErrorLog /dev/stderr
LogLevel notice
StartServers 1
ServerLimit 2
ThreadsPerChild 8
MaxRequestWorkers 16
MinSpareThreads 1
MaxSpareThreads 16
Mutex file:{folder}
TypesConfig /dev/null
Listen {address}:{port}
<Directory {root}>
    Require all granted
</Directory>
{server_lines}
<VirtualHost {address}:{port}>
    DocumentRoot {root}
    {host_lines}
</VirtualHost>
"""


class Apache:
    """A real Apache httpd that serves the folder ``root`` for every name.

    ``host_lines`` go into the virtual host, ``server_lines`` before it; both may be changed before ``reload``. As root
    its children run as ``nobody``: ``root`` must be readable for everyone.
    """

    def __init__(
        self,
        root: Path,
        port: int | None = None,
        *,
        address: str = "127.0.0.1",
        host_lines: str = "",
        server_lines: str = "",
    ) -> None:
        require("apache2")
        self.root = root
        self.port = port or free_port()
        self.address = address
        self.host_lines = host_lines
        self.server_lines = server_lines
        self._stack = ExitStack()

    @property
    def url(self) -> str:
        """``http://ADDRESS:PORT``."""
        return f"http://{self.address}:{self.port}"

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self.folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="acmectl-apache-")))
            self.folder.chmod(0o755)
            self.config = self.folder / "apache.conf"
            self.write_config()
            program = find_program("apache2")
            assert program is not None
            command = [program, "-d", str(self.folder), "-f", str(self.config), "-DFOREGROUND"]
            self.process = ServerProcess("apache", command, log=self.folder / "apache.log")
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
        user = "User nobody\nGroup nogroup" if os.geteuid() == 0 else ""
        text = CONFIG.format(
            folder=self.folder,
            root=self.root,
            port=self.port,
            address=self.address,
            modules="\n".join(_loaded()),
            user=user,
            host_lines=self.host_lines,
            server_lines=self.server_lines,
        )
        self.config.write_text(text)

    def reload(self) -> None:
        """Have it read its configuration and certificates again; back when it has."""
        self.write_config()
        before = self._generations()
        os.kill(self.process.pid, signal.SIGUSR1)
        wait_until(lambda: self._generations() > before, "apache: reload")

    def _generations(self) -> int:
        return self.process.log_text().count("resuming normal operations")


def _loaded() -> list[str]:
    folder = next((Path(name) for name in MODULE_FOLDERS if Path(name).is_dir()), Path())
    return [
        f"<IfModule !{name}_module>\nLoadModule {name}_module {path}\n</IfModule>"
        for name in MODULES
        if (path := folder / f"mod_{name}.so").exists()
    ]
