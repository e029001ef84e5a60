"""What every group of benchmarks works with: the programs, the CA, a place for files, and races between the two."""

from __future__ import annotations

import contextlib
import itertools
import statistics
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509

from benchmarks.fleet import Tree
from benchmarks.programs import Program, Run
from benchmarks.wire import Wire
from tests.integration.servers.pebble import Pebble, PebbleConfig

Start = Callable[[Program, int], Run]
"""Runs a program for the n-th time; what it prepares is not measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Race:
    """The runs of both programs, in turns."""

    acmectl: list[Run]
    certbot: list[Run]

    def seconds(self) -> tuple[list[float], list[float]]:
        """Wall-clock seconds of both."""
        return [run.seconds for run in self.acmectl], [run.seconds for run in self.certbot]

    def note(self) -> str:
        """How many runs, and the processor time of each program: it moves less with what else the machine does."""
        times, theirs = len(self.acmectl), len(self.certbot)
        cpu = [statistics.median(run.cpu_seconds for run in runs) for runs in (self.acmectl, self.certbot) if runs]
        spent = " against ".join(f"{seconds:.2f}" for seconds in cpu)
        fewer = f", certbot {theirs}" if 0 < theirs < times else ""
        return f"{times} run{'s' if times > 1 else ''}{fewer}; processor {spent} s"

    def peaks(self) -> tuple[list[float], list[float]]:
        """Peak memory of both, octets."""
        return [float(run.peak_bytes) for run in self.acmectl], [float(run.peak_bytes) for run in self.certbot]


def can_be_replaced(certificate: Path) -> bool:
    """Whether Pebble finds its order when the certificate (PEM) is named as the one that another replaces.

    It does not, and answers serverInternal, where the first bit of the serial number is set, as in one of 256: it looks
    for it with the zero octet that the number has in DER (RFC 9773 section 4.1).
    """
    return x509.load_pem_x509_certificate(certificate.read_bytes()).serial_number.bit_length() % 8 != 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """One run of the benchmarks."""

    acmectl: Program
    certbot: Program
    scratch: Path
    wire: Wire
    quick: bool
    numbers: Iterator[int] = field(default_factory=itertools.count)

    def times(self, full: int, quick: int = 1) -> int:
        """How often to run something."""
        return quick if self.quick else full

    def folder(self, name: str) -> Path:
        """An empty folder that no other call gets."""
        folder = self.scratch / f"{name}-{next(self.numbers)}"
        folder.mkdir()
        return folder

    def race(self, what: str, times: int, start: Start, *, certbot_times: int | None = None) -> Race:
        """Run both programs ``times`` times, in turns, each first every other time; certbot perhaps fewer times."""
        print(f"  {what} ...", file=sys.stderr, flush=True)
        race = Race(acmectl=[], certbot=[])
        lanes = [(self.acmectl, race.acmectl, times)]
        lanes.append((self.certbot, race.certbot, times if certbot_times is None else certbot_times))
        for number in range(times):
            for program, runs, most in lanes if number % 2 == 0 else reversed(lanes):
                if number < most:
                    runs.append(start(program, number))
        return race

    @contextlib.contextmanager
    def authority(self, config: PebbleConfig) -> Iterator[Authority]:
        """A Pebble, and a web server that answers its validations from one webroot."""
        with Pebble(config) as pebble:
            webroot = self.folder("webroot")
            self.wire.answer(webroot, pebble.http_port)
            yield Authority(bench=self, pebble=pebble, webroot=webroot)


@dataclass(frozen=True, slots=True, kw_only=True)
class Authority:
    """A CA for both programs."""

    bench: Bench
    pebble: Pebble
    webroot: Path

    @property
    def environ(self) -> dict[str, str]:
        """Makes both programs trust the CA's own certificate."""
        return {"REQUESTS_CA_BUNDLE": str(self.pebble.ca_bundle)}

    def run(self, program: Program, tree: Tree, *arguments: str, check: bool = True) -> Run:
        """Run a program on a tree, with this CA trusted."""
        return program.run(
            *arguments, "-n", *tree.options, scratch=self.bench.scratch, environ=self.environ, check=check
        )

    def registered(self, program: Program, server: str) -> Tree:
        """A tree with nothing but an account of ``program`` at ``server``."""
        tree = Tree(self.bench.folder(f"{program.name}-account"))
        who = ["--agree-tos", "--email", "admin@example.org"]
        self.run(program, tree, "register", "--server", server, *who)
        return tree

    def issue(self, program: Program, tree: Tree, server: str, names: list[str], *, check: bool = True) -> Run:
        """Obtain one certificate by webroot."""
        domains = [word for name in names for word in ("-d", name)]
        webroot = ["--webroot", "-w", str(self.webroot)]
        return self.run(program, tree, "certonly", *webroot, *domains, "--server", server, check=check)

    def counted(self, action: Callable[[], Run]) -> tuple[Run, int]:
        """Run ``action`` and count the requests that reached the CA."""
        before = len(self.pebble.requests())
        done = action()
        return done, len(self.pebble.requests()) - before

    def new_names(self, count: int) -> list[str]:
        """Names that nobody has had a certificate for."""
        number = next(self.bench.numbers)
        return [f"host{index}.run{number}.bench.test" for index in range(count)]
