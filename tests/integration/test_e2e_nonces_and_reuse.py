"""A CA that refuses nonces without end, and one that never asks twice for proof."""

import pytest

from tests.integration.cli import Acmectl
from tests.integration.hosts import file_hooks, notes
from tests.integration.servers.pebble import Pebble, PebbleConfig
from tests.integration.servers.static import static_server

LINEAGES, ROUNDS = 5, 4


@pytest.fixture(scope="module")
def hopeless(tmp_path_factory):
    """A run against a CA that refuses every nonce. It takes a while to give up, so it is let go early."""
    with (
        Pebble(PebbleConfig(nonce_reject=100)) as pebble,
        Acmectl(pebble, tmp_path_factory.mktemp("hopeless")) as acmectl,
    ):
        run = acmectl.start("certonly", "-n", "--agree-tos", "--standalone", "-d", "n.example")
        yield acmectl, run


@pytest.mark.usefixtures("hopeless")
@pytest.mark.parametrize("percent", [50, 90])
def test_twenty_of_twenty_certificates_are_issued_however_many_nonces_are_refused(tmp_path, percent):
    names = [f"n{number}.example" for number in range(LINEAGES)]
    with Pebble(PebbleConfig(nonce_reject=percent)) as pebble, Acmectl(pebble, tmp_path) as acmectl:
        for name in names:
            acmectl.certonly(name)
        for _ in range(1, ROUNDS):
            acmectl.run("renew", "--force-renewal").ok()
        assert [acmectl.version(name) for name in names] == [ROUNDS] * LINEAGES
        # Each of these costs one order when nothing is refused.
        assert sum(line.endswith("/order-plz") for line in pebble.requests()) > LINEAGES * ROUNDS


@pytest.fixture(scope="module")
def trusting_pebble():
    """Whoever proved control of a name once need not do it again."""
    with Pebble(PebbleConfig(authz_reuse=100)) as server:
        yield server


@pytest.fixture
def trusted(trusting_pebble, tmp_path):
    with Acmectl(trusting_pebble, tmp_path) as program:
        yield program


def challenges_answered(pebble, before):
    return [line for line in pebble.requests()[before:] if "/chalZ/" in line]


def test_a_renewal_without_challenges_keeps_its_webroots(trusting_pebble, trusted, public_folder):
    first, second = public_folder / "one", public_folder / "two"
    for root in (first, second):
        root.mkdir()
    with static_server(first, trusting_pebble.http_port):
        trusted.certonly("w.example", options=("--webroot", "-w", str(first)))
    # Nothing serves now: a name that had to be proved again could not be.
    before = len(trusting_pebble.requests())
    for _ in range(2):
        trusted.run("renew", "--force-renewal").ok()
        assert trusted.params("w.example")["webroot_path"] == [str(first)]
        assert trusted.params("w.example")["webroot_map"] == {"w.example": str(first)}
    trusted.certonly("w.example", options=("--webroot", "-w", str(second), "--force-renewal"))
    assert challenges_answered(trusting_pebble, before) == []
    assert trusted.params("w.example")["webroot_map"] == {"w.example": str(second)}
    assert trusted.params("w.example")["webroot_path"] == [str(second)]


def test_a_lineage_whose_every_name_is_proved_already_remembers_its_webroots(trusting_pebble, trusted, public_folder):
    with static_server(public_folder, trusting_pebble.http_port):
        trusted.certonly("m.example", "n.example", options=("--webroot", "-w", str(public_folder)))
    before = len(trusting_pebble.requests())
    trusted.certonly("n.example", options=("--webroot", "-w", str(public_folder)))
    assert challenges_answered(trusting_pebble, before) == []
    assert trusted.params("n.example")["webroot_map"] == {"n.example": str(public_folder)}
    assert trusted.params("n.example")["webroot_path"] == [str(public_folder)]


def test_an_authorization_that_is_valid_is_not_solved_again_and_the_others_are(trusting_pebble, trusted, public_folder):
    flags = file_hooks(trusted.folder, public_folder)
    with static_server(public_folder, trusting_pebble.http_port):
        trusted.certonly("x.example", options=flags)
        trusted.certonly("x.example", "y.example", options=(*flags, "--expand"))
    assert [row["CERTBOT_DOMAIN"] for row in notes(trusted.folder / "auth")] == ["x.example", "y.example"]
    assert trusted.names("x.example") == ["x.example", "y.example"]


def test_a_dry_run_proves_control_again_although_the_ca_would_not_ask(trusting_pebble, trusted):
    trusted.certonly("z.example")
    before = len(trusting_pebble.requests())
    trusted.certonly("z.example", options=("--standalone", "--dry-run"))
    assert challenges_answered(trusting_pebble, before)


def test_a_ca_that_refuses_every_nonce_ends_in_one_clear_line(hopeless):
    acmectl, run = hopeless
    done = run.wait().failed()
    assert len(done.errors) == 1, done.err
    assert "nonce" in done.errors[0]
    assert acmectl.lineages() == []
    assert acmectl.locks() == []
