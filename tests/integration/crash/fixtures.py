"""Grounds for tests that strike a run: import the fixtures by name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.integration.crash.ground import Ground, first_issuance, ground, make_due
from tests.integration.servers.requirements import require

GROUNDS = 2  # runs side by side: they wait for the CA half of the time


@pytest.fixture(scope="module")
def grounds(tmp_path_factory) -> Iterator[list[Ground]]:
    """Empty grounds."""
    require("strace")
    folder = tmp_path_factory.mktemp("crash")
    with ExitStack() as stack:
        yield [stack.enter_context(ground(folder / str(number))) for number in range(GROUNDS)]


@pytest.fixture(scope="module")
def due_grounds(grounds) -> list[Ground]:
    """Grounds that have kept a lineage which is due."""
    for one in grounds:
        if not one.saved.exists():
            one.clear()
            one.acmectl.run(*first_issuance(one)).ok()
            make_due(one.acmectl)
            one.keep()
    return grounds
