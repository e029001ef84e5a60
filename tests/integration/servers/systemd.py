"""A machine with a real systemd as its first process: this one's files under a layer that is thrown away at the end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

from tests.integration.servers.process import ServerProcess
from tests.integration.servers.requirements import not_run, require, require_root

CHECKOUT = Path(__file__).resolve().parents[3]
PYTHON = "/opt/acmectl-tests"
SOURCE = "/opt/acmectl-source"
"""Where the machine has the tests' virtual environment and the checkout. Units have a /tmp of their own, so neither
may be there, wherever they are on this one."""

# The mounts are in a name space of their own, so that nothing is left of them when the process is gone.
_SCRIPT = """
set -e
mount -t tmpfs -o mode=755 tmpfs "$0"
mkdir "$0/upper" "$0/work" "$0/tree"
mount -t overlay -o "lowerdir=/,upperdir=$0/upper,workdir=$0/work" overlay "$0/tree"
rm -rf "$0"/tree/etc/systemd/system/*.wants "$0"/tree/var/lib/systemd/timers
rm -f "$0"/tree/etc/systemd/system/acmectl*
mkdir -p "$0/tree$2" "$0/tree$5" "$0/tree/etc/systemd/system.conf.d"
printf '[Manager]\\nDefaultEnvironment=PYTHONPATH=%s:%s/plugins\\n' "$5" "$5" \\
    > "$0/tree/etc/systemd/system.conf.d/tests.conf"
exec systemd-nspawn --quiet --directory="$0/tree" --machine="$1" --boot --register=no --keep-unit --console=passive \
    --bind-ro="$3:$2" --bind-ro="$4:$5" -- systemd.unit=basic.target
"""
_PROGRAM = f"""#!/bin/sh
export PYTHONPATH={SOURCE}:{SOURCE}/plugins PYTHONDONTWRITEBYTECODE=1
exec {PYTHON}/bin/python -m acmectl "$@"
"""


class Systemd:
    """The machine. It shares this one's network, so servers of the tests are at the same addresses there.

    Nothing of this machine runs there but what is started; what it changes below / is gone at its end.
    """

    PROGRAM = "/usr/local/bin/acmectl"
    """acmectl on the machine."""

    def __init__(self) -> None:
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        require_root()
        require("systemd-nspawn", "systemctl", "nsenter", "unshare", "mount")
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="acmectl-systemd-", dir="/var/tmp")))
            try:
                self._probe(folder)
            except subprocess.CalledProcessError as error:
                not_run(f"this machine cannot lay one file system over another ({error.stderr.decode().strip()})")
            (folder / "machine").mkdir()
            self._process = ServerProcess(
                "systemd",
                [
                    *("unshare", "--mount", "--propagation", "private", "sh", "-c", _SCRIPT, str(folder / "machine")),
                    *(f"acmectl-test-{os.getpid()}", PYTHON, sys.prefix, str(CHECKOUT), SOURCE),
                ],
                log=folder / "systemd.log",
            )
            self._process.start(self._is_up)
            stack.callback(self._process.stop)
            program = self.path(self.PROGRAM)
            program.write_text(_PROGRAM)
            program.chmod(0o755)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._stack.close()

    @staticmethod
    def _probe(folder: Path) -> None:
        script = (
            'mount -t tmpfs tmpfs "$0" && mkdir "$0/u" "$0/w" "$0/r" && '
            'mount -t overlay -o "lowerdir=/,upperdir=$0/u,workdir=$0/w" overlay "$0/r"'
        )
        command = ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, str(folder)]
        subprocess.run(command, check=True, capture_output=True)

    @property
    def pid(self) -> int:
        """Of its systemd, as seen from here. Raises: OSError, ValueError while there is none."""
        nspawn = self._process.pid
        return int(Path(f"/proc/{nspawn}/task/{nspawn}/children").read_text().split()[0])

    def path(self, path: str | Path) -> Path:
        """A file of the machine, given by its absolute path there, as a path here."""
        return Path(f"/proc/{self.pid}/root{path}")

    def run(self, *command: str, check: bool = True, text: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run a command there as root and wait for its end. ``check``: it has to succeed."""
        enter = ["nsenter", "-t", str(self.pid), "-m", "-u", "-i", "-n", "-p", "-C"]
        done = subprocess.run([*enter, *command], input=text or "", capture_output=True, text=True, timeout=120)
        assert not check or done.returncode == 0, f"{command} => {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def acmectl(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run acmectl there."""
        return self.run(self.PROGRAM, *arguments, check=check)

    def show(self, unit: str, *properties: str) -> dict[str, str]:
        """Properties of a unit."""
        lines = self.run("systemctl", "show", unit, *(f"--property={name}" for name in properties)).stdout.splitlines()
        return dict(line.split("=", 1) for line in lines)

    def journal(self, unit: str) -> list[str]:
        """What a unit has said so far."""
        lines = self.run("journalctl", "--unit", unit, "--output", "json", "--no-pager").stdout.splitlines()
        entries: Sequence[dict[str, Any]] = [json.loads(line) for line in lines]
        return [str(entry.get("MESSAGE", "")) for entry in entries]

    def _is_up(self) -> bool:
        try:
            state = self.run("systemctl", "is-system-running", check=False).stdout.strip()
        except (OSError, ValueError, IndexError):
            return False
        return state in ("running", "degraded")
