"""Two programs, a tree each: the same command lines, one program after the other, at the same CA."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pexpect

from tests.integration.cli import PATIENCE
from tests.integration.differential.compare import Said
from tests.integration.servers.pebble import Pebble
from tests.integration.servers.static import static_server

FOLDERS = ("config", "work", "logs", "home", "cwd", "webroot", "out")
MADE_BY_PROGRAMS = ("config", "work", "logs")
END_OF_INPUT = "\x04" * 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """One program's folders. ``out`` is for what hooks write, ``webroot`` is what a web server shows."""

    root: Path

    @property
    def config(self) -> Path:
        """What ``--config-dir`` says."""
        return self.root / "config"

    @property
    def out(self) -> Path:
        """For hooks."""
        return self.root / "out"

    @property
    def cwd(self) -> Path:
        """Where the program runs."""
        return self.root / "cwd"

    @property
    def webroot(self) -> Path:
        """What is served."""
        return self.root / "webroot"

    def live(self, name: str) -> Path:
        """``live/NAME``."""
        return self.config / "live" / name

    def renewal(self, name: str) -> Path:
        """``renewal/NAME.conf``."""
        return self.config / "renewal" / f"{name}.conf"

    @property
    def directories(self) -> tuple[str, ...]:
        """The flags for the three directories."""
        return tuple(part for name in ("config", "work", "logs") for part in (f"--{name}-dir", str(self.root / name)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One command line: ``text`` without the program's word, as a shell would read it, with placeholders.

    ``server`` and ``directories`` say whether ``--server`` and the directory flags are put behind it. ``typed`` is what
    a person types ahead at a terminal; None means no terminal and no input. ``environ`` None means that of the tests.
    ``web`` says whether a web server shows the webroot meanwhile. A ``shell`` line is for /bin/sh and names no program.
    """

    text: str
    server: bool = True
    directories: bool = True
    typed: str | None = None
    environ: Mapping[str, str] | None = None
    umask: int = 0o022
    web: bool = False
    shell: bool = False


def new_tree(root: Path) -> Tree:
    """An empty one."""
    for name in FOLDERS:
        if name not in MADE_BY_PROGRAMS:
            (root / name).mkdir(parents=True)
    return Tree(root=root)


def copied_tree(template: Tree, root: Path) -> Tree:
    """The same tree elsewhere: what the renewal files say of places follows."""
    shutil.copytree(template.root, root, symlinks=True)
    tree = Tree(root=root)
    for path in (tree.config / "renewal").glob("*.conf"):
        path.write_text(path.read_text().replace(str(template.root), str(root)))
    return tree


def expanded(text: str, tree: Tree, pebble: Pebble) -> str:
    """``text`` with every placeholder filled in for ``tree``."""
    places = {
        "{standalone}": f"--standalone --http-01-port {pebble.http_port}",
        "{port}": str(pebble.http_port),
        "{server}": pebble.directory_url,
        "{root}": str(tree.root),
        **{f"{{{name}}}": str(tree.root / name) for name in FOLDERS},
        "{live}": str(tree.config / "live"),
        "{hooks}": str(tree.config / "renewal-hooks"),
    }
    for place, filling in places.items():
        text = text.replace(place, filling)
    return text


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """``certbot`` or ``acmectl``."""

    script: str

    def run(self, line: Line, tree: Tree, pebble: Pebble) -> Said:
        """Run one command line to its end."""
        argv = [self.script, *shlex.split(expanded(line.text, tree, pebble))]
        argv += tree.directories if line.directories else ()
        argv += ["--server", pebble.directory_url] if line.server else []
        if line.shell:
            argv = ["/bin/sh", "-c", expanded(line.text, tree, pebble)]
        environ = dict(os.environ if line.environ is None else line.environ)
        environ |= {"REQUESTS_CA_BUNDLE": str(pebble.ca_bundle), "HOME": str(tree.root / "home")}
        environ |= {"TMPDIR": str(tree.root / "home"), "PYTHONWARNINGS": "ignore"}
        with self._served(line, tree, pebble):
            if line.typed is not None:
                return self._at_terminal(argv, line, tree, environ)
            done = subprocess.run(
                argv,
                env=environ,
                cwd=tree.cwd,
                umask=line.umask,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=PATIENCE,
            )
        return Said(code=done.returncode, out=done.stdout, err=done.stderr)

    @staticmethod
    @contextlib.contextmanager
    def _served(line: Line, tree: Tree, pebble: Pebble) -> Iterator[None]:
        if not line.web:
            yield
            return
        with static_server(tree.webroot, pebble.http_port):
            yield

    @staticmethod
    def _at_terminal(argv: Sequence[str], line: Line, tree: Tree, environ: Mapping[str, str]) -> Said:
        """A terminal has one stream: all is told as standard output."""
        terminal: pexpect.spawn[str] = pexpect.spawn(
            argv[0],
            list(argv[1:]),
            env={**environ, "TERM": "xterm", "NO_COLOR": "1"},
            cwd=str(tree.cwd),
            dimensions=(24, 200),
            encoding="utf-8",
            echo=False,
            use_poll=True,
            timeout=PATIENCE,
        )
        try:
            for answer in f"{line.typed}{END_OF_INPUT}":
                terminal.send(answer)
            terminal.expect(pexpect.EOF)
            said = terminal.before or ""
        finally:
            terminal.close()
        return Said(code=terminal.exitstatus if terminal.exitstatus is not None else -1, out=said, err="")
