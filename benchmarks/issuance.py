"""What one certificate costs: time, requests, octets and memory; near the CA and 50 ms away."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.bench import Authority, Bench
from benchmarks.fleet import Tree
from benchmarks.lego import VERSION, lego_tree
from benchmarks.programs import Program, Run
from benchmarks.table import Row, kilobytes, megabytes, whole
from tests.integration.servers.pebble import PebbleConfig

ROUND_TRIP = 0.05
NEAR_TARGETS = {1: (0.25, 0.10), 10: (None, None), 100: (0.30, 0.18)}
FAR_TARGETS = {1: (None, None), 10: (None, None), 100: (0.20, 0.10)}
REQUEST_TARGETS: dict[int, tuple[float | None, float | None]] = {1: (12, None), 10: (None, None), 100: (230, 216)}
MEMORY_TARGETS = (1.0, 0.8)  # not above certbot's 50 MB; 40 MB


def issuance(bench: Bench) -> list[Row]:
    """One, ten and a hundred names; the account is there already."""
    with bench.authority(PebbleConfig(nonce_reject=0)) as authority:
        rows, memory = _near(bench, authority)
        return [*rows, *_far(bench, authority), *memory]


def _near(bench: Bench, authority: Authority) -> tuple[list[Row], list[Row]]:
    server = authority.pebble.directory_url
    accounts = {program.name: authority.registered(program, server) for program in (bench.acmectl, bench.certbot)}
    times_rows, requests_rows, memory_rows = [], [], []
    for count, times in ((1, bench.times(11, 3)), (10, bench.times(7, 1)), (100, bench.times(5, 1))):
        requests: dict[str, list[float]] = {"acmectl": [], "certbot": []}

        def issued(program: Program, _: int, count: int = count, requests: dict[str, list[float]] = requests) -> Run:
            tree = accounts[program.name].clone(bench.scratch / "tree")
            names = authority.new_names(count)
            done, asked = authority.counted(lambda: authority.issue(program, tree, server, names))
            requests[program.name].append(asked)
            return done

        race = bench.race(f"{count} name(s)", times, issued)
        beside = _lego(bench, authority) if count == 1 else _Beside()
        ours, theirs = race.seconds()
        name = f"{count} name{'s' if count > 1 else ''}"
        limit, stretch = NEAR_TARGETS[count]
        times_rows.append(
            Row(
                name=f"issue {name}",
                acmectl=ours,
                certbot=theirs,
                lego=beside.seconds,
                limit=limit,
                stretch=stretch,
                note=race.note() + (f"; lego {VERSION}" if beside.requests else ""),
            )
        )
        limit, stretch = REQUEST_TARGETS[count]
        requests_rows.append(
            Row(
                name=f"requests to the CA, {name}",
                acmectl=requests["acmectl"],
                certbot=requests["certbot"],
                lego=beside.requests,
                limit=limit,
                stretch=stretch,
                absolute=True,
                shown=whole,
                note="the CA's own log",
            )
        )
        ours, theirs = race.peaks()
        limit, stretch = MEMORY_TARGETS
        memory_rows.append(
            Row(
                name=f"peak memory, {name}",
                acmectl=ours,
                certbot=theirs,
                lego=beside.peaks,
                limit=limit,
                stretch=stretch,
                shown=megabytes,
                note="resident set",
            )
        )
    return [*times_rows, *requests_rows], memory_rows


@dataclass(frozen=True, slots=True, kw_only=True)
class _Beside:
    """Figures of lego for the rows of one size, or why there are none."""

    seconds: Sequence[float] | str = ()
    requests: Sequence[float] | str = ()
    peaks: Sequence[float] | str = ()


def _lego(bench: Bench, authority: Authority) -> _Beside:
    tree = lego_tree(bench, authority)
    if isinstance(tree, str):
        return _Beside(seconds=tree, requests=tree, peaks=tree)
    print("  1 name, lego ...", file=sys.stderr, flush=True)
    tree.issue(authority.new_names(1)[0])  # makes the account
    runs, requests = [], []
    for _ in range(bench.times(5)):
        (name,) = authority.new_names(1)
        done, asked = authority.counted(lambda name=name: tree.issue(name))  # type: ignore[misc]
        runs.append(done)
        requests.append(float(asked))
    peaks = [float(run.peak_bytes) for run in runs]
    return _Beside(seconds=[run.seconds for run in runs], requests=requests, peaks=peaks)


def _far(bench: Bench, authority: Authority) -> list[Row]:
    line = bench.wire.line(authority.pebble.port, round_trip=ROUND_TRIP)
    server = line.directory_url
    accounts = {program.name: authority.registered(program, server) for program in (bench.acmectl, bench.certbot)}
    times_rows, octets_rows = [], []
    for count, times in ((1, bench.times(5, 1)), (10, bench.times(5, 1)), (100, bench.times(3, 1))):
        octets: dict[str, list[float]] = {"acmectl": [], "certbot": []}

        def issued(program: Program, _: int, count: int = count, octets: dict[str, list[float]] = octets) -> Run:
            tree: Tree = accounts[program.name].clone(bench.scratch / "tree")
            before = line.octets
            done = authority.issue(program, tree, server, authority.new_names(count))
            octets[program.name].append(line.octets - before)
            return done

        race = bench.race(f"{count} name(s), 50 ms to the CA", times, issued)
        ours, theirs = race.seconds()
        name = f"{count} name{'s' if count > 1 else ''}"
        limit, stretch = FAR_TARGETS[count]
        times_rows.append(
            Row(
                name=f"issue {name}, 50 ms to the CA",
                acmectl=ours,
                certbot=theirs,
                limit=limit,
                stretch=stretch,
                note=race.note(),
            )
        )
        octets_rows.append(
            Row(
                name=f"traffic with the CA, {name}",
                acmectl=octets["acmectl"],
                certbot=octets["certbot"],
                shown=kilobytes,
                note="both ways, TLS included",
            )
        )
    return [*times_rows, *octets_rows]
