"""The crash table: killed from outside at every system call that changes something, then run again.

Each run is the real program below strace, which kills it as it enters the k-th call of a kind. Pebble accepts every
challenge unseen (always_valid): here the store and the order are under test, not the solvers.
"""

from __future__ import annotations

from tests.integration.crash.calls import Point, hit, traced
from tests.integration.crash.campaign import FIRST, RENEWAL, Campaign, plan
from tests.integration.crash.fixtures import due_grounds, grounds
from tests.integration.crash.ground import Ground

__all__ = ["due_grounds", "grounds"]


def kill(campaign: Campaign, place: Ground, point: Point) -> Point | None:
    scenario = campaign.scenario
    scenario.prepare(place)
    done = traced(place.acmectl, place.trace, scenario.args(place), fault=f"{point.call}:signal=SIGKILL:when={point.k}")
    struck = hit(place.trace, place.site)
    if done.code == 0:
        return None
    if campaign.is_new(place):
        campaign.check_again(place)
    return struck


def test_a_first_issuance_killed_at_any_call_ends_whole_and_spends_one_order(grounds):
    todo = plan(grounds[0], FIRST)
    assert len(todo) > 100
    Campaign(FIRST, grounds, kill).run(todo)


def test_a_renewal_killed_at_any_call_ends_whole_and_spends_one_order(due_grounds):
    todo = plan(due_grounds[0], RENEWAL)
    assert len(todo) > 60
    Campaign(RENEWAL, due_grounds, kill).run(todo)
