"""What many lineages cost: nothing due, all due, and a CA that does not answer."""

from __future__ import annotations

import sys
from dataclasses import dataclass

from benchmarks.bench import Authority, Bench, can_be_replaced
from benchmarks.fleet import Tree, plant, write_confs
from benchmarks.lego import VERSION, lego_tree
from benchmarks.programs import Program, Run
from benchmarks.table import Row, megabytes
from tests.integration.servers.pebble import PebbleConfig

# Both programs would otherwise wait for a random while, so that not all machines ask the CA at once.
RENEW = ("renew", "--no-random-sleep-on-renew")
MOST_OFTEN = 1000  # lineages; certbot takes minutes for more
MOST_MEMORY = 100e6
FORCED = 100
FORCED_QUICK = 3
FORCED_LEGO = 20  # a loop that takes five seconds for each: the others do not change what one takes
SILENT = 3


def fleets(bench: Bench) -> list[Row]:
    """Every row about many lineages."""
    with bench.authority(PebbleConfig(nonce_reject=0)) as authority:
        server = authority.pebble.directory_url
        accounts = {program.name: authority.registered(program, server) for program in (bench.acmectl, bench.certbot)}
        rows = []
        sizes = (10, 100) if bench.quick else (10, 100, 1000, 10_000)
        for count in sizes:
            rows += _nothing_due(bench, authority, accounts, count)
        rows += _forced(bench, authority, accounts, FORCED_QUICK if bench.quick else FORCED)
        if not bench.quick:
            rows += _silent(bench, authority, accounts)
        return rows


def _planted(
    bench: Bench, authority: Authority, accounts: dict[str, Tree], count: int, programs: tuple[Program, ...]
) -> dict[str, Tree]:
    trees = {}
    for program in programs:
        tree = accounts[program.name].clone(bench.folder(f"{program.name}-{count}"))
        plant(
            tree,
            count,
            server=authority.pebble.directory_url,
            webroot=authority.webroot,
            account=tree.account(),
            asked=False,
        )
        trees[program.name] = tree
    return trees


def _nothing_due(bench: Bench, authority: Authority, accounts: dict[str, Tree], count: int) -> list[Row]:
    once = count > MOST_OFTEN
    trees = _planted(bench, authority, accounts, count, (bench.acmectl, bench.certbot))
    rows = []
    large = count == MOST_OFTEN
    states = ((False, 0.13, 0.07), (True, 0.06, 0.02))
    for asked, limit, stretch in states[1:] if once else states:
        requests: dict[str, list[int]] = {"acmectl": [], "certbot": []}

        def renewed(
            program: Program, number: int, asked: bool = asked, requests: dict[str, list[int]] = requests
        ) -> Run:
            tree = trees[program.name]
            if asked and number > 0:
                return authority.run(program, tree, *RENEW)
            write_confs(
                tree,
                count,
                server=authority.pebble.directory_url,
                webroot=authority.webroot,
                account=tree.account(),
                asked=asked,
            )
            # "The same again": an earlier run has seen these files. certbot keeps nothing of what it saw.
            if asked and not (once and program is bench.certbot):
                authority.run(program, tree, *RENEW)
            done, sent = authority.counted(lambda: authority.run(program, tree, *RENEW))
            requests[program.name].append(sent)
            return done

        state = "renewal information remembered" if asked else "renewal information not asked for yet"
        times = bench.times(3)
        race = bench.race(f"renew, nothing due, {count:,}, {state}", times, renewed, certbot_times=1 if once else None)
        ours, theirs = race.seconds()
        sent = f"requests: {requests['acmectl'][-1]:,} against {requests['certbot'][-1]:,}"
        rows.append(
            Row(
                name=f"`renew`, nothing due, {count:,} lineages, {state}",
                acmectl=ours,
                certbot=theirs,
                limit=limit if large else None,
                stretch=stretch if large else None,
                note=f"{race.note()}; {sent}",
            )
        )
    ours, theirs = race.peaks()
    rows.append(
        Row(
            name=f"peak memory of that, {count:,} lineages",
            acmectl=ours,
            certbot=theirs,
            limit=MOST_MEMORY if once else None,
            absolute=True,
            shown=megabytes,
        )
    )
    return rows


def _forced(bench: Bench, authority: Authority, accounts: dict[str, Tree], count: int) -> list[Row]:
    """Lineages that were issued by this very CA a moment ago, so that it knows what is replaced."""
    server = authority.pebble.directory_url
    trees = {name: accounts[name].clone(bench.folder(f"{name}-forced")) for name in ("acmectl", "certbot")}
    print(f"  forced renewal of {count}: issuing ...", file=sys.stderr, flush=True)
    for tree in trees.values():
        for name in authority.new_names(count):
            # Both by acmectl, which needs a fifth of the time; certbot takes the lineages for its own.
            authority.issue(bench.acmectl, tree, server, [name])
            while not can_be_replaced(tree.config / "live" / name / "cert.pem"):
                authority.run(bench.acmectl, tree, "delete", "--cert-name", name)
                authority.issue(bench.acmectl, tree, server, [name])
    requests: dict[str, int] = {}

    def renewed(program: Program, _: int) -> Run:
        run = [*RENEW, "--force-renewal"]
        done, requests[program.name] = authority.counted(lambda: authority.run(program, trees[program.name], *run))
        return done

    race = bench.race(f"forced renewal of {count}", 1, renewed)
    beside = _forced_by_lego(bench, authority, min(count, FORCED_LEGO))
    ours, theirs = race.seconds()
    what = f"`renew --force-renewal`, {count} lineages"
    loop = "" if isinstance(beside, str) else f"; lego {VERSION}: a loop over {beside.count}"
    return [
        Row(
            name=f"{what}: each",
            acmectl=[seconds / count for seconds in ours],
            certbot=[seconds / count for seconds in theirs],
            lego=beside if isinstance(beside, str) else [beside.run.seconds / beside.count],
            limit=0.05 if count == FORCED else None,
            stretch=0.01 if count == FORCED else None,
            shown=lambda seconds: f"{seconds:.3f} s",
            note=f"all of them {ours[0]:.2f} against {theirs[0]:.2f} s; {race.note()}{loop}",
        ),
        Row(
            name="requests to the CA for each",
            acmectl=[requests["acmectl"] / count],
            certbot=[requests["certbot"] / count],
            lego=beside if isinstance(beside, str) else [beside.requests / beside.count],
            shown=lambda requests: f"{requests:.1f}",
            note="the CA's own log",
        ),
        Row(
            name="peak memory of that",
            acmectl=race.peaks()[0],
            certbot=race.peaks()[1],
            lego=beside if isinstance(beside, str) else [float(beside.run.peak_bytes)],
            shown=megabytes,
            note="resident set",
        ),
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Loop:
    """A loop of lego over ``count`` certificates."""

    count: int
    run: Run
    requests: int


def _forced_by_lego(bench: Bench, authority: Authority, count: int) -> _Loop | str:
    tree = lego_tree(bench, authority)
    if isinstance(tree, str):
        return tree
    print(f"  forced renewal of {count} by lego ...", file=sys.stderr, flush=True)
    names = authority.new_names(count)
    tree.issue_many(names)
    run, requests = authority.counted(lambda: tree.renew_each(names))
    return _Loop(count=count, run=run, requests=requests)


def _silent(bench: Bench, authority: Authority, accounts: dict[str, Tree]) -> list[Row]:
    trees = _planted(bench, authority, accounts, SILENT, (bench.acmectl, bench.certbot))

    def renewed(program: Program, _: int) -> Run:
        authority.pebble.pause()
        try:
            return authority.run(program, trees[program.name], *RENEW, "--force-renewal", check=False)
        finally:
            authority.pebble.resume()

    race = bench.race("a CA that never answers", 1, renewed)
    ours, theirs = race.seconds()
    name = f"`renew`, {SILENT} lineages due, the CA accepts and never answers"
    return [
        Row(
            name=name,
            acmectl=ours,
            certbot=theirs,
            limit=50.0,
            absolute=True,
            note=f"{race.note()}; one time-out is 45 s",
        )
    ]
