"""The crash table: killed from outside at every system call that changes something, then run again.

Each run is the real program below strace, which kills it as it enters the k-th call of a kind. Pebble accepts every
challenge unseen (always_valid): here the store and the order are under test, not the solvers.
"""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field

import pytest

from tests.integration.cli import picture
from tests.integration.crash.calls import Point, hit, points, traced
from tests.integration.crash.ground import NAME, Ground, first_issuance, ground, make_due, shows_it_valid, whole
from tests.integration.servers.requirements import require

GROUNDS = 2  # runs side by side: they wait for the CA half of the time
TRIES = 4


@pytest.fixture(scope="module")
def grounds(tmp_path_factory) -> Iterator[list[Ground]]:
    require("strace")
    folder = tmp_path_factory.mktemp("crash")
    with ExitStack() as stack:
        yield [stack.enter_context(ground(folder / str(number))) for number in range(GROUNDS)]


@dataclass
class Scenario:
    """A command to strike, from a known state, and what must be there after it was run again."""

    prepare: Callable[[Ground], None]
    args: Callable[[Ground], Sequence[str]]
    version: int


def renew(_ground: Ground) -> Sequence[str]:
    return ("renew", "-n", "--no-preflight")


FIRST = Scenario(prepare=Ground.clear, args=first_issuance, version=1)
RENEWAL = Scenario(prepare=Ground.restore, args=renew, version=2)


@pytest.fixture(scope="module")
def due_grounds(grounds) -> list[Ground]:
    """Grounds that have kept a lineage which is due."""
    for one in grounds:
        one.clear()
        one.acmectl.run(*first_issuance(one)).ok()
        make_due(one.acmectl)
        one.keep()
    return grounds


def plan(place: Ground, scenario: Scenario) -> list[Point]:
    """Every point of an undisturbed run."""
    scenario.prepare(place)
    traced(place.acmectl, place.trace, scenario.args(place)).ok()
    assert whole(place.acmectl) == scenario.version
    assert place.leftovers() == []
    return points(place.trace.read_text(), place.site)


@dataclass
class Campaign:
    """All points of a scenario, struck on several grounds side by side."""

    scenario: Scenario
    grounds: list[Ground]
    strike: Callable[[Ground, Scenario, Point], Point | None]
    struck: set[tuple[str, str]] = field(default_factory=set)
    failures: list[str] = field(default_factory=list)

    def run(self, todo: list[Point]) -> None:
        free: queue.SimpleQueue[Ground] = queue.SimpleQueue()
        for one in self.grounds:
            free.put(one)

        def one_point(point: Point) -> None:
            place = free.get()
            try:
                # The number of polls may differ from run to run, and with it the number of a log line.
                for shift in range(TRIES):
                    near = Point(point.call, max(1, point.k + (shift + 1) // 2 * (-1) ** shift), point.what)
                    RUNS.append(near)
                    struck = self.strike(place, self.scenario, near)
                    if struck is not None:
                        self.struck.add((struck.call, struck.what))
                    if (point.call, point.what) in self.struck:
                        break
            except AssertionError as error:
                self.failures.append(f"{point}\n{error}")
            finally:
                free.put(place)

        with ThreadPoolExecutor(len(self.grounds)) as pool:
            list(pool.map(one_point, todo))
        print(f"{len(todo)} points, {len(RUNS)} runs below strace, {len(SEEN)} states that a next run started from")
        missed = [str(point) for point in todo if (point.call, point.what) not in self.struck]
        if self.failures:
            pytest.fail(f"{len(self.failures)} of {len(todo)} points:\n" + "\n\n".join(self.failures), pytrace=False)
        assert not missed, f"never struck: {missed}"


RUNS: list[Point] = []
SHOWN: set[str] = set()
SEEN: set[tuple[int, tuple[str, ...]]] = set()


def check_again(place: Ground, scenario: Scenario, finalized: bool, saved: bool) -> None:
    """Run the same command once more, undisturbed: one whole lineage, and nothing was spent twice."""
    again = place.acmectl.run(*scenario.args(place))
    told = f"\n{again}\nleft: {place.leftovers()}\n{place.spent()}"
    assert again.code == 0, told
    try:
        version = whole(place.acmectl)
    except (AssertionError, OSError, ValueError) as error:
        raise AssertionError(f"not whole: {error!r}{told}") from error
    assert version == scenario.version, told
    assert place.leftovers() == [], told
    spent = place.spent()
    assert spent.serials == (place.acmectl.certificate(NAME).serial_number,), f"issued twice, or not what is live{told}"
    if finalized or saved:
        assert spent.orders == 1, f"a second order{told}"
    tree = " ".join(picture(place.acmectl.config))
    if tree not in SHOWN:
        shows_it_valid(place.acmectl)
        SHOWN.add(tree)


def kill(place: Ground, scenario: Scenario, point: Point) -> Point | None:
    scenario.prepare(place)
    done = traced(
        place.acmectl, place.trace, scenario.args(place), fault=f"{point.call}:signal=SIGKILL:when={point.k}"
    )
    struck = hit(place.trace, place.site)
    if struck is None:
        assert done.code == 0, str(done)
        return None
    state = (scenario.version, place.state())
    if state in SEEN:
        return struck
    SEEN.add(state)
    finalized = bool(place.spent().serials)
    saved = (place.acmectl.work / "pending" / NAME / "order.json").exists()
    check_again(place, scenario, finalized, saved)
    return struck


def test_a_first_issuance_killed_at_any_call_ends_whole_and_spends_one_order(grounds):
    todo = plan(grounds[0], FIRST)
    assert len(todo) > 100
    Campaign(FIRST, grounds, kill).run(todo)


def test_a_renewal_killed_at_any_call_ends_whole_and_spends_one_order(due_grounds):
    todo = plan(due_grounds[0], RENEWAL)
    assert len(todo) > 70
    Campaign(RENEWAL, due_grounds, kill).run(todo)
