"""How many issuances succeed where the CA refuses every second nonce, or nine in ten."""

from __future__ import annotations

from benchmarks.bench import Authority, Bench
from benchmarks.fleet import Tree
from benchmarks.programs import Program, Run
from benchmarks.table import Row, whole
from tests.integration.servers.pebble import PebbleConfig

ISSUES = 20
ISSUES_QUICK = 5


def nonces(bench: Bench) -> list[Row]:
    """Issuances that succeeded, at 50 and at 90 percent refused."""
    rows = []
    issues = bench.times(ISSUES, ISSUES_QUICK)
    for percent in (50, 90):
        with bench.authority(PebbleConfig(nonce_reject=percent)) as authority:
            # certbot may not manage to register: it gets the account that acmectl registered.
            account = authority.registered(bench.acmectl, authority.pebble.directory_url)

            def issued(program: Program, _: int, ca: Authority = authority, account: Tree = account) -> Run:
                tree = account.clone(bench.scratch / "tree")
                return ca.issue(program, tree, ca.pebble.directory_url, ca.new_names(1), check=False)

            race = bench.race(f"{percent} % of all nonces refused", issues, issued)
        ours = sum(run.status == 0 for run in race.acmectl)
        theirs = sum(run.status == 0 for run in race.certbot)
        seconds = sorted(race.seconds()[0])[len(race.acmectl) // 2]
        rows.append(
            Row(
                name=f"issued, {percent} % of nonces refused, of {issues}",
                acmectl=[float(ours)],
                certbot=[float(theirs)],
                limit=float(issues),
                absolute=True,
                at_least=True,
                shown=whole,
                note=f"acmectl took {seconds:.2f} s each",
            )
        )
    return rows
