"""adopt on trees that real certbots have made: nothing is wrong with them, and nothing is written."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.cli import Acmectl, picture
from tests.integration.servers import certbots
from tests.integration.servers.pebble import Pebble, PebbleConfig
from tests.integration.trees import LINEAGES, Certbot, grow, web_servers


@pytest.fixture(scope="module")
def old_pebble() -> Iterator[Pebble]:
    """What old certbots can talk to."""
    with Pebble(PebbleConfig(nonce_reject=0, strict=False)) as server:
        yield server


@pytest.mark.parametrize("version", [certbots.OLDEST, certbots.NEWEST])
def test_everything_that_certbot_made_can_be_renewed(old_pebble: Pebble, tmp_path: Path, version: str) -> None:
    with Acmectl(old_pebble, tmp_path) as acmectl, web_servers(old_pebble, tmp_path) as roots:
        grow(Certbot(version, acmectl), acmectl, roots)
        before = picture(acmectl.folder)
        directories = ("--work-dir", str(acmectl.work), "--logs-dir", str(acmectl.logs))
        done = acmectl.run("adopt", str(acmectl.config), *directories, "--json", server=False, directories=False)
        assert picture(acmectl.folder) == before
        report = done.ok().json
        said = {one["name"]: [finding["what"] for finding in one["findings"]] for one in report["lineages"]}
        old = ["manual_public_ip_logging_ok has no effect any more"] if version == certbots.OLDEST else []
        assert said == {**{name: [] for name in LINEAGES}, "manual.example": old}
        assert report["findings"] == []
        acmectl.run("renew", "--force-renewal", "--ca-bundle", str(old_pebble.ca_bundle), server=False).ok()
