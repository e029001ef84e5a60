"""Every operation of the protocol room against a strict Pebble that refuses nonces."""

import base64
import json
import threading
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from acmectl.acme.ari import ari_certificate_id
from acmectl.acme.client import AcmeClient
from acmectl.acme.jws import AccountKey
from acmectl.acme.retry import RetryPolicy, poll
from acmectl.acme.status import AccountStatus, AuthorizationStatus, ChallengeStatus, OrderStatus
from acmectl.acme.transport import HttpsTransport
from acmectl.clock import SystemClock
from acmectl.errors import RateLimited, ServerProblem, TransportError
from acmectl.identifiers import Identifier
from acmectl.interrupts import Interrupts
from acmectl.pki.csr import make_csr
from acmectl.workers import first_error, run_each
from tests.integration.servers.hostile import HostileServer, answer
from tests.integration.servers.pebble import Pebble, PebbleConfig, Profile, RetryAfter

INTERRUPTS = Interrupts()
CLOCK = SystemClock(INTERRUPTS)
EAB_SECRET = base64.urlsafe_b64encode(b"0123456789abcdef0123456789abcdef" * 2).rstrip(b"=").decode()


@pytest.fixture(scope="module")
def pebble():
    config = PebbleConfig(
        always_valid=True,
        nonce_reject=15,
        alternate_roots=2,
        blocklist=("blocked.example",),
        profiles={"default": Profile(), "brief": Profile(description="Short-lived", validity=3600)},
    )
    with Pebble(config) as server:
        yield server


def transport_for(server, **options):
    return HttpsTransport(
        verify=str(server.ca_bundle), user_agent="acmectl-test/1", clock=CLOCK, interrupts=INTERRUPTS, **options
    )


def client_for(server, key="ec256", *, register=True, policy=None):
    account_key = AccountKey.generate(key) if isinstance(key, str) else key
    client = AcmeClient(transport_for(server), server.directory_url, account_key, clock=CLOCK, policy=policy)
    if register:
        client.new_account(["mailto:admin@a.example"], agree_tos=True)
    return client


@dataclass
class Issued:
    order_url: str
    chains: list[bytes]
    key_pem: bytes

    @property
    def certificate(self) -> x509.Certificate:
        return x509.load_pem_x509_certificate(self.chains[0])

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.DER)


def issue(client, *names, alternates=False, csr=None, **options):
    identifiers = [Identifier.ip(n) if n[0].isdigit() else Identifier.dns(n) for n in names]
    order = client.new_order(identifiers, **options)
    authorizations = first_error(run_each(client.authorization, order.authorizations, workers=8))
    todo = [a.challenges[0] for a in authorizations if a.status is AuthorizationStatus.PENDING]
    first_error(run_each(client.respond, todo, workers=8))
    order = poll(
        lambda: client.order(order.url),
        lambda o: o.status in {OrderStatus.READY, OrderStatus.INVALID},
        RetryPolicy(),
        CLOCK,
    )
    key = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    order = client.finalize(order, make_csr(key, identifiers))
    order = poll(lambda: client.order(order.url), lambda o: o.status.is_terminal, RetryPolicy(), CLOCK)
    assert order.status is OrderStatus.VALID
    return Issued(order.url, list(client.certificate(order, alternates=alternates)), key)


@pytest.mark.parametrize("kind", ["rsa2048", "rsa4096", "ec256", "ec384", "ec521"])
def test_a_certificate_comes_with_every_kind_of_account_key(pebble, kind):
    issued = issue(client_for(pebble, kind), "a.example")
    names = issued.certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["a.example"]


def test_an_ed25519_key_gets_the_cas_own_answer(pebble):
    # Pebble takes no Ed25519; that it says so by the algorithm shows that the JWS was well-formed.
    with pytest.raises(ServerProblem, match="badSignatureAlgorithm"):
        client_for(pebble, "ed25519")


def test_names_wildcards_and_addresses_go_in_one_order(pebble):
    issued = issue(client_for(pebble), "b.example", "*.b.example", "192.0.2.1")
    names = issued.certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert set(names.get_values_for_type(x509.DNSName)) == {"b.example", "*.b.example"}
    assert [str(a) for a in names.get_values_for_type(x509.IPAddress)] == ["192.0.2.1"]


def test_one_name_with_a_known_account_costs_at_most_twelve_requests():
    with Pebble(PebbleConfig(always_valid=True, nonce_reject=0)) as server:
        known = client_for(server)
        client = AcmeClient(
            transport_for(server), server.directory_url, known.key, clock=CLOCK, account_url=known.account_url
        )
        before = len(server.requests())
        issue(client, "one.example")
        assert 7 <= len(server.requests()) - before <= 12


def test_a_hundred_names_cost_at_most_two_hundred_and_thirty_requests():
    with Pebble(PebbleConfig(always_valid=True, nonce_reject=0)) as server:
        client = client_for(server)
        before = len(server.requests())
        issue(client, *(f"n{number}.example" for number in range(100)))
        assert len(server.requests()) - before <= 230


@pytest.mark.parametrize("percent", [50, 90])
def test_twenty_of_twenty_issue_while_nonces_are_refused(percent):
    with Pebble(PebbleConfig(always_valid=True, nonce_reject=percent)) as server:
        client = client_for(server)
        for number in range(20):
            issue(client, f"n{number}.example")


def test_a_ca_that_refuses_every_nonce_ends_with_one_clear_line():
    with Pebble(PebbleConfig(nonce_reject=100)) as server:
        policy = RetryPolicy(nonce_deadline=1.0)
        with pytest.raises(ServerProblem, match="refused every anti-replay nonce for 1 seconds") as caught:
            client_for(server, policy=policy)
        assert "\n" not in str(caught.value)


def test_an_account_is_found_changed_and_deactivated(pebble):
    client = client_for(pebble)
    again = client_for(pebble, client.key, register=False)
    found = again.find_account()
    assert found is not None
    assert found.url == client.account_url
    assert again.update_account(["mailto:other@a.example"]).contact == ("mailto:other@a.example",)
    assert again.account().contact == ("mailto:other@a.example",)
    assert again.new_account(agree_tos=True).created is False
    assert again.deactivate_account().status is AccountStatus.DEACTIVATED
    with pytest.raises(ServerProblem):
        client.new_order([Identifier.dns("a.example")])


def test_a_key_without_an_account_finds_none(pebble):
    assert client_for(pebble, register=False).find_account() is None


def test_terms_that_nobody_agreed_to_are_refused(pebble):
    with pytest.raises(ServerProblem, match=r"agree|terms"):
        client_for(pebble, register=False).new_account(agree_tos=False)


@pytest.mark.parametrize("kind", ["rsa2048", "ec384"])
def test_the_account_key_is_changed_and_the_account_stays(pebble, kind):
    client = client_for(pebble)
    old, new = client.key, AccountKey.generate(kind)
    client.change_key(new)
    issue(client, "rolled.example")
    found = client_for(pebble, new, register=False).find_account()
    assert found is not None
    assert found.url == client.account_url
    assert client_for(pebble, old, register=False).find_account() is None


def test_external_account_binding_is_required_and_satisfied():
    with Pebble(PebbleConfig(eab_keys={"kid-1": EAB_SECRET})) as server:
        client = client_for(server, register=False)
        assert client.directory().meta.external_account_required
        with pytest.raises(ServerProblem, match="externalAccountRequired"):
            client.new_account(agree_tos=True)
        with pytest.raises(ServerProblem):
            client.new_account(agree_tos=True, eab=("kid-1", "d3Jvbmc", "HS256"))
        assert client.new_account(agree_tos=True, eab=("kid-1", EAB_SECRET, "HS256")).created


def test_the_directory_shows_terms_and_profiles(pebble):
    meta = client_for(pebble, register=False).directory().meta
    assert (meta.terms_of_service or "").startswith("data:")
    assert meta.profiles["brief"] == "Short-lived"


def test_a_profile_is_ordered_and_an_unknown_one_refused(pebble):
    client = client_for(pebble)
    issued = issue(client, "brief.example", profile="brief").certificate
    assert issued.not_valid_after_utc - issued.not_valid_before_utc <= timedelta(hours=1)
    with pytest.raises(ServerProblem, match="invalidProfile"):
        client.new_order([Identifier.dns("a.example")], profile="nope")


def test_an_order_can_ask_for_its_own_dates(pebble):
    start = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1)
    issued = issue(client_for(pebble), "dated.example", not_before=start, not_after=start + timedelta(days=5))
    assert issued.certificate.not_valid_before_utc == start
    assert issued.certificate.not_valid_after_utc == start + timedelta(days=5)


def test_orders_are_listed_over_several_pages(pebble):
    client = client_for(pebble)
    placed = [client.new_order([Identifier.dns(f"l{number}.example")]).url for number in range(7)]
    assert sorted(client.orders()) == sorted(placed)


def test_alternate_chains_are_fetched_on_demand(pebble):
    client = client_for(pebble)
    before = pebble.requests()
    issued = issue(client, "alt.example", alternates=False)
    assert len(issued.chains) == 1
    assert not any("certZ" in line and "/alternate" in line for line in pebble.requests()[len(before) :])
    chains = list(client.certificate(client.order(issued.order_url), alternates=True))
    issuers = {x509.load_pem_x509_certificates(chain)[-1].issuer.rfc4514_string() for chain in chains}
    assert (len(chains), len(issuers)) == (3, 3)


def test_an_authorization_is_deactivated(pebble):
    client = client_for(pebble)
    order = client.new_order([Identifier.dns("given-up.example")])
    url = order.authorizations[0]
    assert client.deactivate_authorization(url).status is AuthorizationStatus.DEACTIVATED
    assert client.authorization(url).status is AuthorizationStatus.DEACTIVATED


def test_a_blocked_name_is_refused_with_its_problem(pebble):
    with pytest.raises(ServerProblem, match="rejectedIdentifier"):
        client_for(pebble).new_order([Identifier.dns("blocked.example"), Identifier.dns("fine.example")])


def test_a_failed_validation_shows_in_order_authorization_and_challenge():
    with Pebble(PebbleConfig(nonce_reject=15)) as server:
        client = client_for(server)
        order = client.new_order([Identifier.dns("nobody-home.example")])
        challenge = next(c for c in client.authorization(order.authorizations[0]).challenges if c.type == "http-01")
        client.respond(challenge)
        order = poll(lambda: client.order(order.url), lambda o: o.status.is_terminal, RetryPolicy(), CLOCK)
        assert order.status is OrderStatus.INVALID
        failed = client.authorization(order.authorizations[0])
        assert failed.status is AuthorizationStatus.INVALID
        error = next(c.error for c in failed.challenges if c.status is ChallengeStatus.INVALID)
        assert error is not None
        assert error.code == "connection"


def test_a_csr_for_other_names_is_refused(pebble):
    client = client_for(pebble)
    order = client.new_order([Identifier.dns("asked.example")])
    client.respond(client.authorization(order.authorizations[0]).challenges[0])
    order = poll(lambda: client.order(order.url), lambda o: o.status is OrderStatus.READY, RetryPolicy(), CLOCK)
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    with pytest.raises(ServerProblem):
        client.finalize(order, make_csr(pem, [Identifier.dns("other.example")]))


def test_a_certificate_is_revoked_by_the_account_with_its_reason(pebble):
    client = client_for(pebble)
    issued = issue(client, "revoked.example")
    client.revoke(issued.der, 4)
    status = pebble.cert_status(issued.certificate.serial_number)
    assert status is not None
    assert (status.status, status.reason) == ("Revoked", 4)
    with pytest.raises(ServerProblem, match="alreadyRevoked"):
        client.revoke(issued.der, 4)


def test_a_certificate_is_revoked_by_its_own_key_without_an_account(pebble):
    issued = issue(client_for(pebble), "own-key.example")
    stranger = AcmeClient(transport_for(pebble), pebble.directory_url, clock=CLOCK)
    stranger.revoke(issued.der, 1, certificate_key=AccountKey.from_pem(issued.key_pem))
    status = pebble.cert_status(issued.certificate.serial_number)
    assert status is not None
    assert (status.status, status.reason) == ("Revoked", 1)


def certificate_id(certificate):
    aki = certificate.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier
    return ari_certificate_id(aki, certificate.serial_number)


def test_renewal_information_is_asked_without_an_account(pebble):
    issued = issue(client_for(pebble), "ari.example", profile="default")
    stranger = AcmeClient(transport_for(pebble), pebble.directory_url, clock=CLOCK)
    info = stranger.renewal_info(certificate_id(issued.certificate))
    assert issued.certificate.not_valid_before_utc <= info.start < info.end < issued.certificate.not_valid_after_utc
    assert info.retry_after is None or 60 <= info.retry_after <= 86_400


def test_a_renewal_window_with_an_explanation_is_shown(pebble):
    issued = issue(client_for(pebble), "incident.example")
    body = {
        "suggestedWindow": {"start": "2025-01-02T04:00:00Z", "end": "2025-01-03T04:00:00Z"},
        "explanationURL": "https://ca.example/incident",
    }
    pebble.set_renewal_info(issued.chains[0].decode(), json.dumps(body))
    info = client_for(pebble).renewal_info(certificate_id(issued.certificate))
    assert (info.end.year, info.explanation_url) == (2025, "https://ca.example/incident")


def test_an_order_replaces_its_predecessor_once(pebble):
    client = client_for(pebble)
    old = certificate_id(issue(client, "replaced.example").certificate)
    order = client.new_order([Identifier.dns("replaced.example")], replaces=old)
    assert order.replaces == old
    issue(client, "replaced.example", replaces=old)
    with pytest.raises(ServerProblem) as caught:
        client.new_order([Identifier.dns("replaced.example")], replaces=old)
    assert caught.value.status == 409


def test_an_order_whose_names_are_all_valid_comes_back_ready():
    with Pebble(PebbleConfig(always_valid=True, authz_reuse=100)) as server:
        client = client_for(server)
        issue(client, "reuse.example")
        assert client.new_order([Identifier.dns("reuse.example")]).status is OrderStatus.READY


def test_the_cas_own_pace_is_read_from_seconds_and_dates():
    config = PebbleConfig(always_valid=True, authz_reuse=100, retry_after=RetryAfter(order=3))
    with Pebble(config) as server:
        client = client_for(server)
        name = Identifier.dns("pace.example")
        paces = []
        for _ in range(8):
            order = client.new_order([name])
            for url in order.authorizations:
                authorization = client.authorization(url)
                if authorization.status is AuthorizationStatus.PENDING:
                    client.respond(authorization.challenges[0])
            order = poll(lambda url=order.url: client.order(url), lambda o: o.status == "ready", RetryPolicy(), CLOCK)
            key = ec.generate_private_key(ec.SECP256R1())
            pem = key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
            paces.append(client.finalize(order, make_csr(pem, [name])).retry_after)
        assert all(pace is not None and 0 <= pace <= 3 for pace in paces), paces


def test_eight_threads_share_one_client(pebble):
    client = client_for(pebble)
    failures: list[BaseException] = []

    def work(number: int) -> None:
        try:
            issue(client, f"thread{number}.example")
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_a_frozen_ca_costs_one_timeout_for_the_run():
    with Pebble(PebbleConfig()) as server:
        client = client_for(server)
        client = AcmeClient(transport_for(server, timeout=(1.0, 1.0)), server.directory_url, client.key, clock=CLOCK)
        server.pause()
        try:
            messages = set()
            for _ in range(20):
                with pytest.raises(TransportError) as caught:
                    client.directory()
                messages.add(str(caught.value))
        finally:
            server.resume()
        assert len(messages) == 1


def test_a_rate_limit_of_a_real_http_server_is_read_with_its_headers():
    limited = answer(
        {"type": "urn:ietf:params:acme:error:rateLimited", "detail": "slow\x1b[2J down"},
        429,
        {"Retry-After": "7200", "Link": '</docs>; rel="help"'},
    )
    with HostileServer({"/dir": limited}) as server:
        client = AcmeClient(transport_for(server), server.url + "/dir", clock=CLOCK)
        with pytest.raises(RateLimited, match=r"slow \[2J down\. Retry after") as caught:
            client.directory()
    assert caught.value.help_url == server.url + "/docs"
    assert caught.value.retry_at is not None
    assert timedelta(hours=1.9) < caught.value.retry_at - datetime.now(UTC) <= timedelta(hours=2)
