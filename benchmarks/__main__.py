"""``python -m benchmarks``: run the benchmarks and print tables; ``--write`` puts them into benchmarks/README.md."""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks.bench import Bench
from benchmarks.dns import dns
from benchmarks.fleets import fleets
from benchmarks.issuance import issuance
from benchmarks.nonces import nonces
from benchmarks.programs import BenchmarkError, programs
from benchmarks.startup import startup
from benchmarks.table import Row, facts, markdown, replace_section
from benchmarks.wire import wire
from tests.integration.servers.process import ServerError
from tests.integration.servers.requirements import pebble_programs

GROUPS: dict[str, Callable[[Bench], list[Row]]] = {
    "startup": startup,
    "issuance": issuance,
    "fleet": fleets,
    "nonces": nonces,
    "dns": dns,
}
README = Path(__file__).with_name("README.md")


def main() -> int:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer runs and smaller fleets: a look, not a measurement")
    parser.add_argument("--only", action="append", choices=list(GROUPS), help="run this group; may be repeated")
    parser.add_argument("--write", action="store_true", help=f"put the tables into {README.name}")
    arguments = parser.parse_args()
    if arguments.write and arguments.quick:
        parser.error("--quick figures are not worth keeping: leave out --write")
    try:
        run(arguments.only or list(GROUPS), quick=arguments.quick, write=arguments.write)
    except (BenchmarkError, ServerError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def run(groups: list[str], *, quick: bool, write: bool) -> None:
    """Run ``groups`` and print a table for each. Raises: BenchmarkError."""
    acmectl, certbot = programs()
    # It calls itself "dev" when it was not built by its makers; Go notes what it was built from.
    built_from = re.search(rb"letsencrypt/pebble/v2\t(v[0-9.]+)", pebble_programs().pebble.read_bytes())
    pebble = built_from[1].decode() if built_from else "of unknown version"
    with tempfile.TemporaryDirectory(prefix="acmectl-bench-") as scratch, wire() as served:
        bench = Bench(acmectl=acmectl, certbot=certbot, scratch=Path(scratch), wire=served, quick=quick)
        for group in groups:
            print(f"{group}:", file=sys.stderr, flush=True)
            on = facts((acmectl, certbot), pebble)
            text = f"{on}\n\n{markdown(GROUPS[group](bench))}"
            print(f"\n## {group}\n\n{text}\n", flush=True)
            if write:
                replace_section(README, group, text)


if __name__ == "__main__":
    sys.exit(main())
