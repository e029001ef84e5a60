"""All points of a scenario, struck one by one on several grounds side by side."""

from __future__ import annotations

import queue
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import pytest

from tests.integration.cli import picture
from tests.integration.crash.calls import Point, points, traced
from tests.integration.crash.ground import NAME, Ground, first_issuance, shows_it_valid, whole

TRIES = 4


@dataclass(frozen=True)
class Scenario:
    """A command to strike, from a known state, and the version that must be live after it was run again.

    ``insist`` is added when it is run again after a failure: a renewal that failed is put off for a while.
    """

    prepare: Callable[[Ground], None]
    args: Callable[[Ground], Sequence[str]]
    version: int
    insist: Sequence[str] = ()


def renew(_ground: Ground) -> Sequence[str]:
    """The command line of a renewal."""
    return ("renew", "-n", "--no-preflight")


FIRST = Scenario(prepare=Ground.clear, args=first_issuance, version=1)
RENEWAL = Scenario(prepare=Ground.restore, args=renew, version=2, insist=("--cert-name", NAME))


def plan(place: Ground, scenario: Scenario) -> list[Point]:
    """Every point of an undisturbed run."""
    # The first run may compile modules, which are files opened that later runs do not open.
    runs = 0
    # Even when told to reuse none, Pebble takes about one authorization of a hundred from an earlier order.
    while runs < 2 or not place.was_challenged():
        scenario.prepare(place)
        traced(place.acmectl, place.trace, scenario.args(place)).ok()
        runs += 1
    assert whole(place.acmectl) == scenario.version
    assert place.leftovers() == []
    return points(place.trace.read_text(), place.site)


@dataclass
class Campaign:
    """``strike`` hits a run at a point, looks at what is left, and gives the point that was really hit."""

    scenario: Scenario
    grounds: list[Ground]
    strike: Callable[[Campaign, Ground, Point], Point | None]
    struck: set[tuple[str, str]] = field(default_factory=set)
    failures: list[str] = field(default_factory=list)
    seen: set[tuple[str, ...]] = field(default_factory=set)
    shown: set[str] = field(default_factory=set)
    planned: dict[tuple[str, str], int] = field(default_factory=dict)
    runs: int = 0

    def run(self, todo: list[Point]) -> None:
        """Strike all of ``todo``; fails with what went wrong at which point."""
        self.planned = {(point.call, point.what): point.k for point in todo}
        free: queue.SimpleQueue[Ground] = queue.SimpleQueue()
        for one in self.grounds:
            free.put(one)

        def one_point(point: Point) -> None:
            place = free.get()
            try:
                self._one(place, point)
            except Exception as error:
                self.failures.append(f"{point}\n{error}")
            finally:
                free.put(place)

        with ThreadPoolExecutor(len(self.grounds)) as pool:
            list(pool.map(one_point, todo))
        print(f"{len(todo)} points, {self.runs} runs, {len(self.seen)} states that a next run started from")
        if self.failures:
            pytest.fail(f"{len(self.failures)} of {len(todo)} points:\n" + "\n\n".join(self.failures), pytrace=False)
        missed = [str(point) for point in todo if (point.call, point.what) not in self.struck]
        assert not missed, f"never struck: {missed}"

    def _one(self, place: Ground, point: Point) -> None:
        k = point.k
        for _attempt in range(TRIES):
            self.runs += 1
            struck = self.strike(self, place, Point(point.call, k, point.what))
            if struck is not None:
                self.struck.add((struck.call, struck.what))
            if (point.call, point.what) in self.struck:
                return
            # How often the CA is polled and what is imported differs from run to run, and with it a call's number.
            k = max(1, point.k + self._drift(place, point.call))

    def _drift(self, place: Ground, call: str) -> int:
        """By how much the numbers of ``call`` in the run that has just ended differ from the plan's."""
        for found in reversed(points(place.trace.read_text(), place.site)):
            if found.call == call and (call, found.what) in self.planned:
                return found.k - self.planned[call, found.what]
        return 0

    def is_new(self, place: Ground) -> bool:
        """Whether no earlier strike left this state: the next run's future depends on it alone."""
        state = place.state()
        new = state not in self.seen
        self.seen.add(state)
        return new

    def check_again(self, place: Ground, *, insist: bool = False) -> None:
        """Run the same command once more, undisturbed: one whole lineage, and nothing was spent twice."""
        before = place.spent()
        saved = (place.acmectl.work / "pending" / NAME / "order.json").exists()
        again = place.acmectl.run(*self.scenario.args(place), *(self.scenario.insist if insist else ()))
        told = f"\n{again}\nleft: {place.leftovers()}\n{place.spent()}"
        assert again.code == 0, told
        try:
            version = whole(place.acmectl)
        except (AssertionError, OSError, ValueError) as error:
            raise AssertionError(f"not whole: {error!r}{told}") from error
        assert version == self.scenario.version, told
        assert place.leftovers() == [], told
        spent = place.spent()
        live = place.acmectl.certificate(NAME).serial_number
        assert spent.serials == (live,), f"issued twice, or not what is live{told}"
        if before.serials or saved:
            assert spent.orders == 1, f"a second order{told}"
        tree = " ".join(picture(place.acmectl.config))
        if tree not in self.shown:
            shows_it_valid(place.acmectl)
            self.shown.add(tree)
