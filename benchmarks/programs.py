"""The two programs that are compared: each in a clean virtual environment of its own, run the same way."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
TOOLS = CHECKOUT / ".tools"
CERTBOT_VERSION = "5.8.0"
RUN_SECONDS = 900


class BenchmarkError(Exception):
    """A benchmark that cannot be run; the message says why in one line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run of a program. ``peak_bytes`` is its largest resident set."""

    seconds: float
    cpu_seconds: float
    peak_bytes: int
    status: int
    output: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """A program to measure: its console script, which names the interpreter of its own environment."""

    name: str
    script: Path
    version: str

    def run(self, *arguments: str, scratch: Path, environ: Mapping[str, str] | None = None, check: bool = True) -> Run:
        """Run it once, nothing on its standard input. Raises: BenchmarkError when it fails, unless not ``check``."""
        result, output = scratch / "result.json", scratch / "output"
        stopwatch = [sys.executable, "-I", "-S", str(Path(__file__).with_name("stopwatch.py"))]
        command = [*stopwatch, str(result), str(output), str(self.script), *arguments]
        plain = {"PATH": os.defpath + ":/usr/sbin:/sbin", "HOME": str(scratch), "LANG": "C.UTF-8"}
        subprocess.run(command, env={**plain, **(environ or {})}, cwd=scratch, check=True, timeout=RUN_SECONDS)
        text = output.read_text(encoding="utf-8", errors="replace")
        done = Run(**json.loads(result.read_text()), output=text)
        if check and done.status != 0:
            shown = " ".join(arguments)
            raise BenchmarkError(f"{self.name} {shown} ended with status {done.status}:\n{text[-2000:]}")
        return done


def programs() -> tuple[Program, Program]:
    """acmectl of this checkout and certbot, installed now if they are not yet. Raises: BenchmarkError."""
    acmectl = environment("bench-acmectl-venv", ["--editable", str(CHECKOUT)], CHECKOUT / "pyproject.toml")
    return _program("acmectl", acmectl), certbot()


def certbot() -> Program:
    """certbot from PyPI, installed now if it is not yet. Raises: BenchmarkError."""
    return _program("certbot", environment("certbot-venv", [f"certbot=={CERTBOT_VERSION}"], None))


def _program(name: str, environment: Path) -> Program:
    script = environment / "bin" / name
    said = subprocess.run([str(script), "--version"], capture_output=True, text=True, check=True).stdout
    return Program(name=name, script=script, version=said.split()[-1])


def environment(name: str, requirements: list[str], source: Path | None) -> Path:
    """A virtual environment with nothing but ``requirements``, made once; again when ``source`` changed."""
    folder = TOOLS / name
    stamp = folder / "installed"
    wanted = "\n".join([*requirements, sys.version, source.read_text() if source is not None else ""])
    if stamp.is_file() and stamp.read_text() == wanted:
        return folder
    print(f"Installing {requirements[-1]} into {folder.relative_to(CHECKOUT)} (once) ...", file=sys.stderr, flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    TOOLS.mkdir(exist_ok=True)
    for command in (
        [sys.executable, "-m", "venv", str(folder)],
        [str(folder / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "install", "-q", *requirements],
    ):
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if done.returncode:
            raise BenchmarkError(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
    stamp.write_text(wanted)
    return folder
