"""What a command costs that does next to nothing."""

from __future__ import annotations

from benchmarks.bench import Bench
from benchmarks.fleet import Tree, plant
from benchmarks.programs import Program, Run
from benchmarks.table import Row, milliseconds

NO_SERVER = "https://acme.test/dir"
FLEET = 1000


def startup(bench: Bench) -> list[Row]:
    """--version, --help, and lists of one and of a thousand lineages."""
    rows = []
    for flag in ("--version", "--help"):
        times = bench.times(21, 5)

        def asked(program: Program, _: int, flag: str = flag) -> Run:
            return program.run(flag, scratch=bench.scratch)

        race = bench.race(flag, times, asked)
        ours, theirs = race.seconds()
        rows.append(
            Row(
                name=f"`{flag}`",
                acmectl=ours,
                certbot=theirs,
                limit=0.35,
                stretch=0.25,
                shown=milliseconds,
                note=race.note(),
            )
        )
    for count, times in ((1, bench.times(21, 5)), (FLEET, bench.times(7, 2))):
        tree = Tree(bench.folder(f"list-{count}"))
        webroot = bench.folder("webroot")
        plant(tree, count, server=NO_SERVER, webroot=webroot, account="0" * 32, asked=False)

        def listed(program: Program, _: int, tree: Tree = tree) -> Run:
            return program.run("certificates", *tree.options, scratch=bench.scratch)

        race = bench.race(f"certificates, {count}", times, listed)
        ours, theirs = race.seconds()
        many = count == FLEET
        rows.append(
            Row(
                name=f"`certificates`, {count:,} lineage{'s' if many else ''}",
                acmectl=ours,
                certbot=theirs,
                limit=0.15 if many else None,
                stretch=0.08 if many else None,
                shown=milliseconds,
                note=race.note(),
            )
        )
    return rows
