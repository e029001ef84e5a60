"""acmectl as people run it: the console program in a process of its own, with directories of its own."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sysconfig
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import pexpect
from configobj import ConfigObj
from cryptography import x509

from tests.integration.servers.acme2certifier import Acme2certifier
from tests.integration.servers.pebble import Pebble

PROGRAM = str(Path(sysconfig.get_path("scripts")) / "acmectl")
KINDS = ("cert", "chain", "fullchain", "privkey")
# A bound against a hanging run, not a measure of anything.
PATIENCE = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How one run ended. ``code`` is negative when a signal ended it."""

    argv: tuple[str, ...]
    code: int
    out: str
    err: str

    def __str__(self) -> str:
        return f"$ acmectl {' '.join(self.argv)}\n=> {self.code}\n--- out\n{self.out}\n--- err\n{self.err}"

    def ok(self) -> Self:
        """Itself, if it succeeded."""
        assert self.code == 0, str(self)
        return self

    def failed(self, code: int = 1) -> Self:
        """Itself, if it ended with ``code`` and without a traceback."""
        assert self.code == code, str(self)
        assert "Traceback" not in self.err, str(self)
        assert "Internal error" not in self.err, str(self)
        return self

    @property
    def json(self) -> dict[str, Any]:
        """The one object on standard output."""
        try:
            content = json.loads(self.out)
        except ValueError as error:
            raise AssertionError(f"standard output is not one JSON value: {error}\n{self}") from error
        assert isinstance(content, dict), str(self)
        return content

    @property
    def errors(self) -> list[str]:
        """The lines on standard error that are errors, without their mark."""
        return [line.removeprefix("Error: ") for line in self.err.splitlines() if line.startswith("Error: ")]


class Run:
    """A run under way."""

    def __init__(self, argv: Sequence[str], command: Sequence[str], *, env: Mapping[str, str], cwd: Path) -> None:
        self.argv = tuple(argv)
        self._process = subprocess.Popen(
            command,
            env=env,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it has not ended yet."""
        return self._process.poll() is None

    def send(self, signum: int) -> None:
        """Send a signal to the program alone."""
        self._process.send_signal(signum)

    def told(self, fifo: Path) -> str:
        """What a hook of the run writes to ``fifo``: waits for it while the run is going on."""
        reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
        try:
            text = b""
            while not text:
                if not self.running:
                    raise AssertionError(f"the run ended before it wrote to {fifo.name}:\n{self.wait()}")
                if select.select([reader], [], [], 0.1)[0]:
                    text = os.read(reader, 4096)
            return text.decode()
        finally:
            os.close(reader)

    def wait(self) -> Outcome:
        """Wait for its end."""
        try:
            out, err = self._process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            self.kill()
            out, err = self._process.communicate()
            raise AssertionError(
                f"still running after {PATIENCE:.0f} s: {self.argv}\n{out.decode()}\n{err.decode()}"
            ) from None
        return Outcome(argv=self.argv, code=self._process.returncode, out=out.decode(), err=err.decode())

    def kill(self) -> None:
        """End it and what it started, at once."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.poll()


class Acmectl:
    """Runs acmectl below ``folder``: ``config``, ``work``, ``logs``, ``home``, and ``cwd`` to run in.

    Every run is told the directories; those with ``server`` (all unless said otherwise) also Pebble's directory URL
    (unless there is a ``--server`` among the arguments), CA bundle and the port that it validates http-01 at.
    ``prefix`` comes before the command line.
    """

    def __init__(self, pebble: Pebble | Acme2certifier | None, folder: Path, *, prefix: Sequence[str] = ()) -> None:
        self.pebble = pebble
        self._command = (*prefix, PROGRAM)
        self.folder = folder
        self.config, self.work, self.logs = folder / "config", folder / "work", folder / "logs"
        self.home, self.cwd = folder / "home", folder / "cwd"
        self.home.mkdir(exist_ok=True)
        self.cwd.mkdir(exist_ok=True)
        self._runs: list[Run] = []
        self._terminals: list[pexpect.spawn[str]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        for run in self._runs:
            if run.running:
                run.kill()
        for terminal in self._terminals:
            terminal.close(force=True)

    @property
    def directories(self) -> tuple[str, ...]:
        """The flags for the three directories."""
        return (
            *("--config-dir", str(self.config)),
            *("--work-dir", str(self.work)),
            *("--logs-dir", str(self.logs)),
        )

    @property
    def ca(self) -> tuple[str, ...]:
        """The flags for Pebble."""
        if self.pebble is None:
            return ()
        return (
            *("--server", self.pebble.directory_url),
            *("--ca-bundle", str(self.pebble.ca_bundle)),
            *("--http-01-port", str(self.pebble.http_port)),
        )

    def _ca(self, args: Sequence[str]) -> tuple[str, ...]:
        """The flags for Pebble; without its URL where ``args`` name another CA, which would be the second of two."""
        return self.ca[2:] if "--server" in args else self.ca

    def environ(self, env: Mapping[str, str | None] | None = None) -> dict[str, str]:
        """The environment of a run: that of the tests with its own home, and ``env``, where None takes away."""
        merged: dict[str, str | None] = {**os.environ, "HOME": str(self.home), "NO_COLOR": "1", **(env or {})}
        return {name: value for name, value in merged.items() if value is not None}

    def start(
        self,
        *args: str,
        server: bool = True,
        directories: bool = True,
        env: Mapping[str, str | None] | None = None,
    ) -> Run:
        """Start a run and come back at once."""
        argv = [*(self.directories if directories else ()), *(self._ca(args) if server else ()), *args]
        run = Run(argv, [*self._command, *argv], env=self.environ(env), cwd=self.cwd)
        self._runs.append(run)
        return run

    def run(
        self,
        *args: str,
        server: bool = True,
        directories: bool = True,
        env: Mapping[str, str | None] | None = None,
    ) -> Outcome:
        """Run to the end, with no standard input."""
        return self.start(*args, server=server, directories=directories, env=env).wait()

    def certonly(self, *names: str, options: Sequence[str] = ("--standalone",), code: int = 0) -> Outcome:
        """``certonly -n --agree-tos OPTIONS -d NAME -d NAME...``, which must end with ``code``."""
        flags = [part for name in names for part in ("-d", name)]
        done = self.run("certonly", "-n", "--agree-tos", *options, *flags)
        return done.ok() if code == 0 else done.failed(code)

    def terminal(self, *args: str, server: bool = True) -> pexpect.spawn[str]:
        """Start a run at a pseudo-terminal of 80 columns."""
        argv = [*self.directories, *(self._ca(args) if server else ()), *args]
        terminal = pexpect.spawn(
            self._command[0],
            [*self._command[1:], *argv],
            env=self.environ({"TERM": "xterm"}),
            cwd=str(self.cwd),
            dimensions=(24, 80),
            encoding="utf-8",
            echo=False,
            use_poll=True,
            timeout=PATIENCE,
        )
        self._terminals.append(terminal)
        return terminal

    @contextlib.contextmanager
    def holding_locks(self) -> Iterator[Run]:
        """A run that waits for ever in a pre hook, with all locks held; it is killed at the end."""
        ready, wait = self.folder / "ready", self.folder / "go-on"
        os.mkfifo(ready)
        os.mkfifo(wait)
        options = ("--pre-hook", f"echo > {ready}; cat {wait}")
        run = self.start("certonly", "-n", "--agree-tos", "--standalone", "-d", "holder.example", *options)
        run.told(ready)
        try:
            yield run
        finally:
            run.kill()
            # The hook has a session of its own: it ends when its input does.
            os.close(os.open(wait, os.O_WRONLY))
            ready.unlink()
            wait.unlink()

    # What lies on disk afterwards.

    def live(self, name: str, kind: str = "cert") -> Path:
        """``live/NAME/KIND.pem``."""
        return self.config / "live" / name / f"{kind}.pem"

    def certificate(self, name: str) -> x509.Certificate:
        """The live certificate of a lineage."""
        return x509.load_pem_x509_certificate(self.live(name).read_bytes())

    def names(self, name: str) -> list[str]:
        """The names in it, sorted: DNS names, then IP addresses."""
        names = self.certificate(name).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        return sorted(names.get_values_for_type(x509.DNSName)) + [
            str(address) for address in names.get_values_for_type(x509.IPAddress)
        ]

    def renewal_path(self, name: str) -> Path:
        """``renewal/NAME.conf``."""
        return self.config / "renewal" / f"{name}.conf"

    def renewal(self, name: str) -> dict[str, Any]:
        """The renewal file as certbot's parser reads it."""
        conf = ConfigObj(str(self.renewal_path(name)), encoding="utf-8", interpolation=False)
        return dict(conf.dict())

    def params(self, name: str) -> dict[str, Any]:
        """Its section ``[renewalparams]``."""
        params: dict[str, Any] = self.renewal(name)["renewalparams"]
        return params

    def version(self, name: str) -> int:
        """The number of the live version, the same for all four links."""
        targets = {os.readlink(self.live(name, kind)) for kind in KINDS}
        numbers = {Path(target).stem.lstrip("abcdefghijklmnopqrstuvwxyz") for target in targets}
        assert len(numbers) == 1, targets
        return int(numbers.pop())

    def lineages(self) -> list[str]:
        """Names of the renewal files, sorted."""
        return sorted(path.stem for path in (self.config / "renewal").glob("*.conf"))

    def account_dirs(self) -> list[Path]:
        """The account directories of all CAs."""
        return sorted(path.parent for path in (self.config / "accounts").rglob("regr.json"))

    def log(self) -> str:
        """The newest log."""
        return (self.logs / "acmectl.log").read_text()

    def locks(self) -> list[Path]:
        """Lock files that are still there."""
        return sorted(self.folder.rglob(".certbot.lock"))


def picture(folder: Path) -> dict[str, tuple[str, int, bytes]]:
    """Everything below ``folder``: by relative path the kind, the mode, and the content or link target."""
    found: dict[str, tuple[str, int, bytes]] = {}
    for path in sorted(folder.rglob("*")):
        status = path.lstat()
        if path.is_symlink():
            row = ("link", 0, os.readlink(path).encode())
        elif path.is_dir():
            row = ("directory", status.st_mode, b"")
        else:
            row = ("file", status.st_mode, path.read_bytes())
        found[str(path.relative_to(folder))] = row
    return found
