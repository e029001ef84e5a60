"""Killed, or cut off, at points of the protocol: the next run goes on with the same order and spends no second one.

Pebble accepts every challenge unseen (always_valid): the order is under test, not the solvers.
"""

from __future__ import annotations

import pytest

from tests.integration.cli import Acmectl
from tests.integration.crash.ground import NAME, Ground, first_issuance, ground, make_due, whole
from tests.integration.crash.relay import Killer, Relay


@pytest.fixture(scope="module")
def bare(tmp_path_factory):
    with ground(tmp_path_factory.mktemp("protocol") / "ground") as place:
        yield place


@pytest.fixture
def place(bare) -> Ground:
    """A ground that talks to its Pebble through a relay, with an account."""
    bare.clear()
    with Relay(bare.pebble) as relay:
        bare.relay = relay
        bare.acmectl = Acmectl(relay, bare.site)
        bare.acmectl.run("register", "-n", "--agree-tos", "--register-unsafely-without-email").ok()
        yield bare


def killed(place: Ground, *args: str, before: str | None = None, after: str | None = None) -> None:
    """Run acmectl and kill it before the CA gets the request, or before its answer comes back."""
    killer = Killer()
    if before is not None:
        place.relay.before[before] = killer
    if after is not None:
        place.relay.after[after] = killer
    run = place.acmectl.start(*args)
    killer.arm(run.kill)
    assert run.wait().code == -9


def orders_and_certificates(place: Ground) -> tuple[int, int]:
    spent = place.spent()
    return spent.orders, len(spent.serials)


def ends_well(place: Ground, *args: str) -> None:
    done = place.acmectl.run(*args).ok()
    whole(place.acmectl)
    assert place.leftovers() == [], str(done)
    assert place.acmectl.certificate(NAME).serial_number in place.spent().serials


def test_killed_when_the_order_was_placed_but_never_heard_of_a_new_one_is_placed(place):
    killed(place, *first_issuance(place), after="/order-plz")
    ends_well(place, *first_issuance(place))
    assert orders_and_certificates(place) == (2, 1)


@pytest.mark.parametrize("path", ["/authZ/", "/chalZ/", "/my-order/", "/finalize-order/"])
def test_killed_before_the_order_was_finalized_the_next_run_goes_on_with_it(place, path):
    killed(place, *first_issuance(place), before=path)
    ends_well(place, *first_issuance(place))
    assert orders_and_certificates(place) == (1, 1)


@pytest.mark.parametrize("path", ["/finalize-order/", "/certZ/"])
def test_killed_when_the_answer_was_on_its_way_the_certificate_is_fetched_and_no_order_spent(place, path):
    killed(place, *first_issuance(place), after=path)
    assert not place.acmectl.live(NAME).exists()
    ends_well(place, *first_issuance(place))
    assert orders_and_certificates(place) == (1, 1)


def test_an_answer_to_finalize_that_is_lost_costs_no_second_order(place):
    place.relay.after["/finalize-order/"] = lambda _path: True
    first = place.acmectl.run(*first_issuance(place))
    if first.code:
        first.failed()
        assert len(first.errors) == 1
    ends_well(place, *first_issuance(place))
    assert orders_and_certificates(place) == (1, 1)


def test_a_renewal_killed_after_finalize_is_finished_by_the_next_ordinary_renewal(place):
    place.acmectl.run(*first_issuance(place)).ok()
    killed(place, "renew", "-n", "--force-renewal", "--no-preflight", after="/finalize-order/")
    assert whole(place.acmectl) == 1
    ends_well(place, "renew", "-n", "--no-preflight")
    assert whole(place.acmectl) == 2
    assert orders_and_certificates(place) == (2, 2)


def test_a_due_renewal_killed_during_the_download_is_finished_by_the_next_one(place):
    place.acmectl.run(*first_issuance(place)).ok()
    make_due(place.acmectl)
    killed(place, "renew", "-n", "--no-preflight", after="/certZ/")
    ends_well(place, "renew", "-n", "--no-preflight")
    assert whole(place.acmectl) == 2
    assert orders_and_certificates(place) == (2, 2)


def test_an_order_for_another_key_is_not_gone_on_with(place):
    killed(place, *first_issuance(place), before="/authZ/")
    ends_well(place, *first_issuance(place), "--key-type", "rsa")
    assert orders_and_certificates(place) == (2, 1)
    assert place.acmectl.certificate(NAME).public_key().key_size == 2048


def test_an_order_for_other_names_is_not_gone_on_with(place):
    killed(place, *first_issuance(place), "-d", "b.example", "--cert-name", NAME, before="/authZ/")
    ends_well(place, *first_issuance(place), "--cert-name", NAME)
    assert orders_and_certificates(place) == (2, 1)


def test_an_order_for_other_names_is_no_reason_to_renew(place):
    place.acmectl.run(*first_issuance(place)).ok()
    more = (*first_issuance(place), "-d", "b.example", "--cert-name", NAME)
    killed(place, *more, after="/finalize-order/")
    assert "(skipped)" in place.acmectl.run("renew", "-n", "--no-preflight").ok().out
    assert orders_and_certificates(place)[0] == 2
    place.acmectl.run(*more).ok()
    assert place.leftovers() == []
    assert place.acmectl.names(NAME) == [NAME, "b.example"]
    assert orders_and_certificates(place) == (2, 2)


def test_an_order_with_another_profile_is_not_gone_on_with(place):
    killed(place, *first_issuance(place), "--required-profile", "default", before="/authZ/")
    ends_well(place, *first_issuance(place))
    assert orders_and_certificates(place) == (2, 1)


def test_an_order_at_another_server_is_not_gone_on_with(place):
    killed(place, *first_issuance(place), before="/authZ/")
    with Relay(place.pebble) as other:
        place.acmectl = Acmectl(other, place.site)
        ends_well(place, *first_issuance(place))
        assert "POST /order-plz" in other.requests
    assert orders_and_certificates(place) == (2, 1)


def test_an_order_of_another_account_is_not_gone_on_with(place):
    killed(place, *first_issuance(place), before="/authZ/")
    place.acmectl.run("unregister", "-n").ok()
    ends_well(place, *first_issuance(place))
    assert orders_and_certificates(place) == (2, 1)


def test_an_order_that_the_ca_has_forgotten_is_replaced(place):
    killed(place, *first_issuance(place), before="/authZ/")
    pending = place.acmectl.work / "pending" / NAME / "order.json"
    url = place.relay.directory_url.removesuffix("/dir")
    text = pending.read_text()
    assert f"{url}/my-order/" in text
    pending.write_text(text.replace(f"{url}/my-order/", f"{url}/my-order/x"))
    ends_well(place, *first_issuance(place))
    assert orders_and_certificates(place) == (2, 1)


def test_delete_takes_away_an_order_in_flight_with_its_key(place):
    killed(place, *first_issuance(place), after="/finalize-order/")
    place.acmectl.run("delete", "-n", "--cert-name", NAME, server=False).ok()
    assert place.leftovers() == []
