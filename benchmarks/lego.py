"""lego, the widest used client in Go: built from its own sources, and driven one certificate at a time as it works."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from benchmarks.bench import Authority, Bench, can_be_replaced
from benchmarks.programs import CHECKOUT, TOOLS, BenchmarkError, Program, Run
from tools.get_pebble import go_of_the_machine

MODULE = "github.com/go-acme/lego/v4"
VERSION = "v4.35.2"
BUILD_SECONDS = 1800
_AT_ONCE = 8


def lego() -> Program:
    """The program, built now if it is not yet. Raises: BenchmarkError, in a few words, where that cannot be done."""
    program = TOOLS / f"bench-lego-{VERSION}"
    if not program.is_file():
        go = go_of_the_machine()
        if go is None:
            raise BenchmarkError("no Go here")
        print(f"Building lego {VERSION} into {program.relative_to(CHECKOUT)} (once) ...", file=sys.stderr, flush=True)
        _build(go, program)
    return Program(name="lego", script=program, version=VERSION.removeprefix("v"))


def _build(go: Path, program: Path) -> None:
    # Not by "go install": that wants the list of all versions from the proxy as well, which not every one has.
    environ = {**os.environ, "CGO_ENABLED": "0"}
    environ.pop("GOFLAGS", None)
    unfinished = program.with_suffix(".new")
    try:
        found = subprocess.run(
            [str(go), "mod", "download", "-json", f"{MODULE}@{VERSION}"],
            env=environ,
            cwd=TOOLS,
            capture_output=True,
            text=True,
            check=True,
            timeout=BUILD_SECONDS,
        )
        folder = json.loads(found.stdout)["Dir"]
        build = [str(go), "build", "-C", folder, "-buildvcs=false", "-o", str(unfinished), "./cmd/lego"]
        subprocess.run(build, env=environ, capture_output=True, text=True, check=True, timeout=BUILD_SECONDS)
    except subprocess.CalledProcessError as error:
        print(error.stderr[-2000:], file=sys.stderr)
        raise BenchmarkError("Go could not build it") from error
    except (OSError, ValueError, KeyError, subprocess.TimeoutExpired) as error:
        print(error, file=sys.stderr)
        raise BenchmarkError("Go could not build it") from error
    unfinished.rename(program)


@dataclass(frozen=True, slots=True, kw_only=True)
class LegoTree:
    """lego with a folder and an account of its own."""

    program: Program
    authority: Authority
    folder: Path

    def issue(self, name: str, *, scratch: Path | None = None) -> Run:
        """Obtain a certificate for one name; the first time an account as well."""
        done = self._run(name, "run", scratch=scratch)
        while not can_be_replaced(self.folder / "certificates" / f"{name}.crt"):
            done = self._run(name, "run", scratch=scratch)
        return done

    def issue_many(self, names: Sequence[str]) -> None:
        """Obtain a certificate for each name, several at once: this is not what is measured."""
        self.issue(names[0])
        bench = self.authority.bench
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            list(pool.map(lambda name: self.issue(name, scratch=bench.folder("lego-run")), names[1:]))

    def renew_each(self, names: Sequence[str]) -> Run:
        """Renew one certificate after the other, since lego has no command for all; the peak is the largest of all."""
        # A certificate is due for lego when it has less than so many days left.
        runs = [self._run(name, "renew", "--days", "1000", "--no-random-sleep") for name in names]
        return Run(
            seconds=sum(run.seconds for run in runs),
            cpu_seconds=sum(run.cpu_seconds for run in runs),
            peak_bytes=max(run.peak_bytes for run in runs),
            status=0,
            output="",
        )

    def _run(self, name: str, *command: str, scratch: Path | None = None) -> Run:
        pebble = self.authority.pebble
        who = ["--server", pebble.directory_url, "--accept-tos", "--email", "admin@example.org"]
        where = ["--path", str(self.folder), "--http", "--http.webroot", str(self.authority.webroot)]
        return self.program.run(
            *who,
            *where,
            *("--domains", name),
            *command,
            scratch=scratch or self.authority.bench.scratch,
            environ={"LEGO_CA_CERTIFICATES": str(pebble.ca_bundle)},
        )


def lego_tree(bench: Bench, authority: Authority) -> LegoTree | str:
    """lego with an empty folder, or a few words on why there is none."""
    try:
        program = lego()
    except BenchmarkError as error:
        return str(error)
    return LegoTree(program=program, authority=authority, folder=bench.folder("lego"))
