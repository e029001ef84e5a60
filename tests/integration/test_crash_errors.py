"""The disk refuses: ENOSPC or EIO at every system call that changes something, from outside by strace.

One clear line and exit status 1, what was live stays live, nothing is left half-made, and the next run needs no second
order. Pebble accepts every challenge unseen (always_valid): the store is under test, not the solvers.
"""

from __future__ import annotations

from tests.integration.crash.calls import Point, hit, traced
from tests.integration.crash.campaign import FIRST, RENEWAL, Campaign, plan
from tests.integration.crash.fixtures import due_grounds, grounds
from tests.integration.crash.ground import NAME, Ground, whole

__all__ = ["due_grounds", "grounds"]

GROWING = ("openat", "write", "mkdir", "mkdirat", "symlink", "link", "linkat")
WORDS = {"ENOSPC": "No space left on device", "EIO": "Input/output error"}


def refuse(campaign: Campaign, place: Ground, point: Point) -> Point | None:
    scenario = campaign.scenario
    scenario.prepare(place)
    error = "ENOSPC" if point.call in GROWING else "EIO"
    done = traced(place.acmectl, place.trace, scenario.args(place), fault=f"{point.call}:error={error}:when={point.k}")
    struck = hit(place.trace, place.site)
    if struck is None:
        return None  # it struck something that is none of ours, such as standard output
    told = f"{struck}\n{done}\nleft: {place.leftovers()}"
    assert "Traceback" not in done.err, told
    assert "Internal error" not in done.err, told
    exists = place.acmectl.live(NAME).parent.exists()
    if done.code == 0:
        # Some things can go wrong without harm: a log line, tidying up after the certificate is live.
        assert whole(place.acmectl) == scenario.version, told
    else:
        assert done.code == 1, told
        # What a renewal says of all lineages together comes after the line that tells what went wrong.
        summary = ("All renewals failed", "1 renewal failure")
        assert len([line for line in done.errors if not line.startswith(summary)]) == 1, told
        # What befell an authorization is told in the report on standard output.
        assert WORDS[error] in (done.out if "Some challenges have failed" in done.err else done.err), told
        if scenario is RENEWAL:
            assert exists, told
        if exists:
            assert whole(place.acmectl) in (1, scenario.version), told
    about_itself = struck.call in ("unlink", "unlinkat", "rmdir")
    kept = ("work/pending", "config/archive/a.example/.acmectl-unfinished")
    half = [name for name in place.leftovers() if not name.startswith(kept) and not about_itself]
    assert half == [], told
    if campaign.is_new(place):
        campaign.check_again(place, insist=True)
    return struck


def test_a_first_issuance_that_the_disk_refuses_says_so_and_goes_on_next_time(grounds):
    todo = [point for point in plan(grounds[0], FIRST) if not point.what.startswith("cwd logs/acmectl.log")]
    assert len(todo) > 100
    Campaign(FIRST, grounds, refuse).run(todo)


def test_a_renewal_that_the_disk_refuses_leaves_the_old_version_live(due_grounds):
    todo = plan(due_grounds[0], RENEWAL)
    assert len(todo) > 60
    Campaign(RENEWAL, due_grounds, refuse).run(todo)
