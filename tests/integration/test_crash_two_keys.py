"""Two certificates in one version, killed at points of the protocol and of the store: no third order is spent."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from tests.integration.cli import KINDS, Acmectl
from tests.integration.crash.calls import Point, hit, points, traced
from tests.integration.crash.ground import NAME, Ground, first_issuance, ground
from tests.integration.crash.relay import Killer, Nasty, Relay
from tests.integration.servers.requirements import require

TWO = ("--key-type", "rsa,ecdsa")


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    with ground(tmp_path_factory.mktemp("two-keys") / "ground") as place:
        yield place


def both(acmectl: Acmectl) -> set[int]:
    """The serial numbers of the two live certificates, after a look at everything that makes them whole."""
    version = acmectl.version(NAME)
    serials = set()
    for suffix in ("", "-ecdsa"):
        for kind in KINDS:
            assert acmectl.live(NAME, kind + suffix).resolve().name == f"{kind}{suffix}{version}.pem"
        leaf = x509.load_pem_x509_certificate(acmectl.live(NAME, f"cert{suffix}").read_bytes())
        key = load_pem_private_key(acmectl.live(NAME, f"privkey{suffix}").read_bytes(), None)
        assert leaf.public_key() == key.public_key()
        serials.add(leaf.serial_number)
    return serials


class Nth:
    """At a request of a kind, but not at the first of them."""

    def __init__(self, plans: dict[str, Nasty], path: str, killer: Killer) -> None:
        self._plans, self._path, self._killer = plans, path, killer
        plans[path] = self

    def __call__(self, _path: str) -> bool:
        self._plans[self._path] = self._killer
        return False


def killed_at(relay: Relay, acmectl: Acmectl, when: str, path: str, which: int, *args: str) -> None:
    """Run acmectl and kill it before the CA gets the first or second request of a kind, or before the answer comes."""
    killer = Killer()
    plans = relay.before if when == "before" else relay.after
    if which == 1:
        plans[path] = killer
    else:
        Nth(plans, path, killer)
    run = acmectl.start(*args)
    killer.arm(run.kill)
    assert run.wait().code == -9


@pytest.mark.parametrize(
    ("when", "path", "which"),
    [
        ("after", "/finalize-order/", 1),
        ("before", "/order-plz", 2),
        ("before", "/finalize-order/", 2),
        ("after", "/certZ/", 2),
    ],
)
def test_killed_between_the_two_orders_both_are_gone_on_with(bare: Ground, when: str, path: str, which: int) -> None:
    bare.clear()
    with Relay(bare.pebble) as relay:
        bare.acmectl = Acmectl(relay, bare.site)  # type: ignore[arg-type]
        killed_at(relay, bare.acmectl, when, path, which, *first_issuance(bare), *TWO)
        assert not bare.acmectl.live(NAME).exists()
        bare.acmectl.run(*first_issuance(bare), *TWO).ok()
        spent = bare.spent()
        assert (spent.orders, both(bare.acmectl)) == (2, set(spent.serials))
        assert bare.leftovers() == []


RENEW = ("renew", "-n", "--force-renewal", "--no-preflight")


@pytest.fixture(scope="module")
def renewing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Ground, list[Point]]]:
    """A lineage of two certificates to be restored, and what a renewal of it does to the directories."""
    require("strace")
    with ground(tmp_path_factory.mktemp("renewing") / "ground") as place:
        place.acmectl.run(*first_issuance(place), *TWO).ok()
        place.keep()
        traced(place.acmectl, place.trace, RENEW).ok()
        yield place, points(place.trace.read_text(), place.site)


def killed_where(place: Ground, plan: list[Point], call: str, what: str) -> None:
    """Restore, renew, and kill the run as it enters the call; runs are nearly alike, so it may take more than one."""
    k = next(point.k for point in plan if point.call == call and what in point.what)
    for number in (k, k + 1, max(k - 1, 1), k + 2, max(k - 2, 1)):
        place.restore()
        traced(place.acmectl, place.trace, RENEW, fault=f"{call}:signal=SIGKILL:when={number}")
        struck = hit(place.trace, place.site)
        if struck is not None and what in struck.what:
            return
    raise AssertionError(f"never struck: {call} of {what}")


@pytest.mark.parametrize(
    ("call", "what"),
    [
        ("rename", "archive/a.example/privkey-ecdsa2.pem"),
        ("rename", "archive/a.example/chain2.pem"),
        ("rename", "renewal/a.example.conf"),
        ("renameat2", "live/"),
    ],
    ids=["first-file", "seventh-file", "renewal-file", "switch"],
)
def test_a_renewal_killed_while_both_are_stored_ends_with_both(
    renewing: tuple[Ground, list[Point]], call: str, what: str
) -> None:
    place, plan = renewing
    killed_where(place, plan, call, what)
    first = both(place.acmectl)
    assert place.acmectl.version(NAME) == 1
    assert place.spent().orders == 2
    place.acmectl.run("renew", "-n", "--no-preflight").ok()
    spent = place.spent()
    assert spent.orders == 2
    assert both(place.acmectl) == set(spent.serials)
    assert not first & set(spent.serials)
    assert place.acmectl.version(NAME) == 2
    assert place.leftovers() == []
