"""What many lineages cost: nothing due, all due, and a CA that does not answer."""

from __future__ import annotations

from benchmarks.bench import Authority, Bench
from benchmarks.fleet import Tree, plant, write_confs
from benchmarks.programs import Program, Run
from benchmarks.table import Row, megabytes
from tests.integration.servers.pebble import PebbleConfig

# Both programs would otherwise wait for a random while, so that not all machines ask the CA at once.
RENEW = ("renew", "--no-random-sleep-on-renew")
MOST_WITH_CERTBOT = 1000
MOST_MEMORY = 100e6
FORCED = 30  # certbot takes two seconds for each, so the ratio hardly depends on how many there are
FORCED_QUICK = 5
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
    alone = count > MOST_WITH_CERTBOT
    trees = _planted(bench, authority, accounts, count, (bench.acmectl,) if alone else (bench.acmectl, bench.certbot))
    rows = []
    large = count == MOST_WITH_CERTBOT
    states = ((False, 0.13, 0.07), (True, 0.06, 0.02))
    for asked, limit, stretch in states[1:] if alone else states:
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
            if asked:  # "the same again": an earlier run has seen these files
                authority.run(program, tree, *RENEW)
            done, sent = authority.counted(lambda: authority.run(program, tree, *RENEW))
            requests[program.name].append(sent)
            return done

        state = "renewal information remembered" if asked else "renewal information not asked for yet"
        times = bench.times(3)
        race = bench.race(f"renew, nothing due, {count:,}, {state}", times, renewed, without_certbot=alone)
        ours, theirs = race.seconds()
        sent = f"requests: {requests['acmectl'][-1]:,}"
        if not alone:
            sent += f" against {requests['certbot'][-1]:,}"
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
            limit=MOST_MEMORY if alone else None,
            absolute=True,
            shown=megabytes,
        )
    )
    return rows


def _forced(bench: Bench, authority: Authority, accounts: dict[str, Tree], count: int) -> list[Row]:
    trees = _planted(bench, authority, accounts, count, (bench.acmectl, bench.certbot))
    requests: dict[str, int] = {}

    def renewed(program: Program, _: int) -> Run:
        run = [*RENEW, "--force-renewal"]
        done, requests[program.name] = authority.counted(lambda: authority.run(program, trees[program.name], *run))
        return done

    race = bench.race(f"forced renewal of {count}", 1, renewed)
    ours, theirs = race.seconds()
    each = f"requests for each: {requests['acmectl'] / count:.1f} against {requests['certbot'] / count:.1f}"
    note = f"{race.note()}; {each}"
    name = f"`renew --force-renewal`, {count} lineages"
    rows = [Row(name=name, acmectl=ours, certbot=theirs, limit=0.05, stretch=0.01, note=note)]
    ours, theirs = race.peaks()
    rows.append(Row(name="peak memory of that", acmectl=ours, certbot=theirs, shown=megabytes))
    return rows


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
