"""Request budgets, with a clock of our own."""

from __future__ import annotations

import pytest

from acmectl.acme.budget import LIMITS, SHARE, BudgetedTransport, Limit
from acmectl.acme.messages import Request, Response
from tests.unit.acme.fakes import FakeClock

HOST = "ca.example"


class Recorder:
    """Answers 200, or what is put before it, and notes when it was asked."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.sent: list[tuple[str, float]] = []
        self.answers: list[Response] = []

    def send(self, request: Request) -> Response:
        self.sent.append((request.url, self.clock.elapsed))
        return self.answers.pop(0) if self.answers else Response(status=200)


def bench(*limits: Limit) -> tuple[Recorder, BudgetedTransport, FakeClock]:
    clock = FakeClock()
    recorder = Recorder(clock)
    return recorder, BudgetedTransport(recorder, clock=clock, limits=limits), clock


def ask(transport: BudgetedTransport, path: str, times: int = 1, host: str = HOST) -> None:
    for _ in range(times):
        transport.send(Request(method="GET", url=f"https://{host}{path}"))


def limit(prefix: str, per_second: float) -> Limit:
    return Limit(host=HOST, prefix=prefix, per_second=per_second, source="test")


def test_no_window_of_a_second_has_more_than_its_share_once_the_first_burst_is_over() -> None:
    recorder, transport, clock = bench(limit("/acme/", 20))
    ask(transport, "/acme/order", 200)
    times = [moment for _, moment in recorder.sent]
    assert clock.elapsed == pytest.approx((200 - 20 * SHARE) / (20 * SHARE))
    later = [moment for moment in times if moment > 0]
    assert all(sum(start <= moment < start + 1 for moment in later) <= 20 * SHARE + 1 for start in later)


def test_the_longest_prefix_decides_and_each_has_a_budget_of_its_own() -> None:
    recorder, transport, clock = bench(limit("/acme/", 1), limit("/acme/new-order", 1000))
    ask(transport, "/acme/new-order", 500)
    assert clock.elapsed == 0
    ask(transport, "/acme/order/1", 2)
    assert clock.elapsed > 1
    assert len(recorder.sent) == 502


def test_a_ca_without_a_row_is_not_slowed_down() -> None:
    _, transport, clock = bench(limit("/acme/", 1))
    ask(transport, "/acme/order", 1000, host="other.example")
    assert clock.elapsed == 0


@pytest.mark.parametrize("status", [429, 503])
def test_a_short_retry_after_holds_everybody_at_that_endpoint_and_nobody_elsewhere(status: int) -> None:
    recorder, transport, clock = bench()
    recorder.answers = [Response(status=status, headers={"retry-after": "7"})]
    ask(transport, "/order-plz/1")
    ask(transport, "/nonce-plz")
    assert clock.elapsed == 0
    ask(transport, "/order-plz/2")
    assert clock.elapsed == 7


def test_a_long_retry_after_is_left_to_whoever_asked() -> None:
    recorder, transport, clock = bench()
    recorder.answers = [Response(status=429, headers={"retry-after": "122400"})]
    ask(transport, "/order-plz", 2)
    assert clock.elapsed == 0


def test_every_row_of_the_table_names_its_source_and_is_found_before_a_shorter_prefix() -> None:
    assert all(row.source and row.per_second > 0 for row in LIMITS)
    recorder, transport, clock = bench(*LIMITS)
    ask(transport, "/acme/new-nonce", 19, host="acme-v02.api.letsencrypt.org")
    assert clock.elapsed > 0
    ask(transport, "/acme/renewal-info/x.y", 500, host="acme-v02.api.letsencrypt.org")
    assert clock.elapsed < 1
    assert len(recorder.sent) == 519
