"""Trees as certbot leaves them: made by a real certbot of some version, and what can be said of a tree from outside."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.integration.cli import KINDS, Acmectl, Outcome, Run
from tests.integration.hosts import file_hooks, noted, notes, script
from tests.integration.servers import certbots
from tests.integration.servers.pebble import Pebble
from tests.integration.servers.static import static_server


class Certbot:
    """A certbot of some version on the directories of ``acmectl``, told of its Pebble's CA bundle and never asked."""

    def __init__(self, version: str, acmectl: Acmectl, env: Mapping[str, str] | None = None) -> None:
        self.version = version
        self._acmectl = acmectl
        self._env = dict(env or {})
        self._script = certbots.script(version)

    @property
    def numbers(self) -> tuple[int, ...]:
        """The version, to compare."""
        return tuple(int(part) for part in self.version.split("."))

    @property
    def ca(self) -> tuple[str, ...]:
        """The flag for Pebble."""
        assert self._acmectl.pebble is not None
        return ("--server", self._acmectl.pebble.directory_url)

    @property
    def standalone(self) -> tuple[str, ...]:
        """The flags for standalone where Pebble looks for it, beside web servers at other addresses."""
        assert self._acmectl.pebble is not None
        port = str(self._acmectl.pebble.http_port)
        return ("--standalone", "--http-01-port", port, "--http-01-address", "127.0.0.1")

    def start(self, *args: str) -> Run:
        """Start a run and come back at once."""
        assert self._acmectl.pebble is not None
        env = {"REQUESTS_CA_BUNDLE": str(self._acmectl.pebble.ca_bundle), "PYTHONWARNINGS": "ignore", **self._env}
        argv = [*args, *self._acmectl.directories, "--non-interactive"]
        shown = [f"(this is certbot {self.version})", *argv]
        return Run(shown, [str(self._script), *argv], env=self._acmectl.environ(env), cwd=self._acmectl.cwd)

    def run(self, *args: str) -> Outcome:
        """Run to the end, with no standard input."""
        return self.start(*args).wait()

    def certonly(self, *names: str, options: tuple[str, ...]) -> Outcome:
        """``certonly`` at Pebble, which must end well."""
        flags = [part for name in names for part in ("-d", name)]
        return self.run("certonly", *self.ca, *options, *flags).ok()

    def renew(self, *args: str) -> Outcome:
        """``renew --force-renewal`` without the pause of minutes, which must end well."""
        return self.run("renew", "--force-renewal", "--no-random-sleep-on-renew", *args).ok()

    def listing(self) -> dict[str, dict[str, str]]:
        """What its ``certificates`` says, which must have nothing to complain of."""
        done = self.run("certificates").ok()
        assert "invalid" not in done.out, str(done)
        return listing(done.out)


_NEW_NAMES = {"Domains": "Identifiers"}


def listing(text: str) -> dict[str, dict[str, str]]:
    """Certificate name -> label -> value, from the output of ``certificates``; old labels under their new names."""
    found: dict[str, dict[str, str]] = {}
    current: dict[str, str] = {}
    for line in text.splitlines():
        label, colon, value = line.strip().partition(": ")
        if colon and line.startswith("  Certificate Name:"):
            current = found[value] = {}
        elif colon and line.startswith("    "):
            current[_NEW_NAMES.get(label, label)] = value
    return found


SERVERS = {
    "127.0.0.2": ("webroot.example", "www.webroot.example", "manual.example"),
    "127.0.0.3": ("other.webroot.example",),
}
"""The names that web servers answer for; standalone answers for the others."""
LINEAGES = ("alone.example-0001", "alone.example", "manual.example", "rsa.example", "webroot.example")
"""What ``grow`` makes, in certbot's order."""


@contextmanager
def web_servers(pebble: Pebble, folder: Path) -> Iterator[tuple[Path, Path]]:
    """Web servers for ``SERVERS``, which Pebble finds; their webroots below ``folder``."""
    roots = (folder / "first", folder / "second")
    with ExitStack() as stack:
        for (address, names), root in zip(SERVERS.items(), roots, strict=True):
            root.mkdir()
            stack.enter_context(static_server(root, pebble.http_port, address=address))
            for name in names:
                pebble.dns.add_a(name, address)
                stack.callback(pebble.dns.clear_a, name)
        yield roots


def grow(certbot: Certbot, acmectl: Acmectl, roots: tuple[Path, Path]) -> None:
    """Let ``certbot`` make an account and ``LINEAGES``, with hooks of every kind."""
    old = certbot.numbers < (2,)
    certbot.run("register", "--agree-tos", "-m", "a@example.com", "--no-eff-email", *certbot.ca).ok()
    first, second = roots
    two_roots = ("-w", str(first), "-d", "webroot.example", "-d", "www.webroot.example", "-w", str(second))
    certbot.certonly("other.webroot.example", options=("--webroot", *two_roots))
    logging = ("--manual-public-ip-logging-ok",) if old else ()
    certbot.certonly("manual.example", options=(*file_hooks(acmectl.folder, first), *logging))
    hooks = [f"--{kind}-hook={_hook(acmectl.folder / f'{kind}.sh', acmectl)}" for kind in ("pre", "deploy", "post")]
    certbot.certonly("alone.example", options=(*certbot.standalone, *hooks))
    certbot.certonly("alone.example", options=(*certbot.standalone, "--duplicate", "--reuse-key"))
    key = ("--rsa-key-size", "3072", *(() if old else ("--key-type", "rsa")))
    certbot.certonly("rsa.example", options=(*certbot.standalone, "--must-staple", *key))
    for kind in ("pre", "deploy", "post"):
        _hook(acmectl.config / "renewal-hooks" / kind / f"directory-{kind}", acmectl)
    hooks_run(acmectl)


def _hook(path: Path, acmectl: Acmectl) -> str:
    return script(path, f"RAN={path.stem}\n{noted(acmectl.folder / 'hooks', 'RAN', 'RENEWED_LINEAGE')}")


def hooks_run(acmectl: Acmectl) -> list[str]:
    """The hooks of ``grow`` that have run since this was asked last, as ``pre`` or ``directory-deploy NAME``."""
    log = acmectl.folder / "hooks"
    rows = notes(log)
    log.unlink(missing_ok=True)
    return [
        f"{row['RAN']} {Path(row['RENEWED_LINEAGE']).name}" if "deploy" in row["RAN"] else row["RAN"] for row in rows
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """A tree without what a renewal has to change: numbers in names of files are ``N``.

    ``entries`` has kind, mode, owner, group and, of a link, the target; ``params`` the sections of each renewal file.
    """

    entries: dict[str, tuple[str, int, int, int, str]]
    params: dict[str, dict[str, Any]]


def shape(acmectl: Acmectl) -> Shape:
    """The shape of the whole config directory; locks and acmectl's own files are left out."""
    entries = {}
    for path in sorted(acmectl.config.rglob("*")):
        name = str(path.relative_to(acmectl.config))
        if path.name == ".certbot.lock" or path.name.startswith("acmectl-"):
            continue
        status = path.lstat()
        kind = "link" if path.is_symlink() else "directory" if path.is_dir() else "file"
        target = _numberless(os.readlink(path)) if kind == "link" else ""
        mode = 0 if kind == "link" else status.st_mode & 0o7777
        entries[_numberless(name)] = (kind, mode, status.st_uid, status.st_gid, target)
    return Shape(entries=entries, params={name: acmectl.renewal(name) for name in acmectl.lineages()})


def _numberless(name: str) -> str:
    return re.sub(rf"({'|'.join(KINDS)})\d+\.pem$", r"\1N.pem", name)
