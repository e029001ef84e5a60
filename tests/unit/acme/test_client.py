"""One method per operation."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest

from acmectl.acme.ari import ari_certificate_id
from acmectl.acme.jws import AccountKey
from acmectl.acme.messages import Response
from acmectl.acme.resources import Challenge, Order
from acmectl.acme.status import AccountStatus, ChallengeStatus, OrderStatus
from acmectl.acme.wire import JsonObject
from acmectl.errors import ConfigError, ProtocolViolation, ServerProblem, TransportError
from acmectl.identifiers import Identifier
from tests.unit.acme.fakes import (
    ACCOUNT_URL,
    CA,
    DIRECTORY,
    DIRECTORY_URL,
    KEY,
    ORDER,
    FakeTransport,
    make_client,
    payload_of,
    problem,
    protected_of,
    reply,
)

ACCOUNT = {"status": "valid", "contact": ["mailto:a@b.example"], "orders": f"{CA}/orders/1"}
AT_ACCOUNT = {"Location": ACCOUNT_URL}
PEM = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
IDS = [Identifier.dns("a.example")]
CHALLENGE = Challenge(type="http-01", url=f"{CA}/chall/1", status=ChallengeStatus.PENDING, token="t" * 43)


def valid_order(**changes):
    return Order.from_json(JsonObject({**ORDER, **changes}, "the order"), f"{CA}/order/1")


def lost(_request):
    raise TransportError("the answer was lost")


def test_a_new_account_agrees_to_the_terms_and_is_signed_with_the_jwk():
    transport = FakeTransport({f"{CA}/new-acct": reply(ACCOUNT, 201, AT_ACCOUNT)})
    client = make_client(transport, account_url=None)
    account = client.new_account(["mailto:a@b.example"], agree_tos=True)
    request = transport.posts("/new-acct")[0]
    assert payload_of(request) == {"termsOfServiceAgreed": True, "contact": ["mailto:a@b.example"]}
    assert protected_of(request)["jwk"] == KEY.public_jwk()
    assert (account.created, account.url, client.account_url) == (True, ACCOUNT_URL, ACCOUNT_URL)


def test_terms_that_nobody_agreed_to_are_not_agreed_to():
    transport = FakeTransport({f"{CA}/new-acct": reply(ACCOUNT, 201, AT_ACCOUNT)})
    make_client(transport, account_url=None).new_account(agree_tos=False)
    assert payload_of(transport.posts("/new-acct")[0]) == {}


def test_an_account_that_existed_already_is_told_apart_from_a_new_one():
    transport = FakeTransport({f"{CA}/new-acct": reply(ACCOUNT, 200, AT_ACCOUNT)})
    assert make_client(transport, account_url=None).new_account(agree_tos=True).created is False


def test_a_new_account_can_be_bound_to_an_external_one():
    transport = FakeTransport({f"{CA}/new-acct": reply(ACCOUNT, 201, AT_ACCOUNT)})
    make_client(transport, account_url=None).new_account(agree_tos=True, eab=("kid-1", "c2VjcmV0", "HS512"))
    payload = payload_of(transport.posts("/new-acct")[0])
    assert set(payload["externalAccountBinding"]) == {"protected", "payload", "signature"}


def test_an_account_without_a_location_is_a_protocol_violation():
    transport = FakeTransport({f"{CA}/new-acct": reply(ACCOUNT, 201)})
    with pytest.raises(ProtocolViolation, match="Location"):
        make_client(transport, account_url=None).new_account(agree_tos=True)


@pytest.mark.parametrize("location", ["http://ca.example/acct/1", "ftp://x", "https://ca.example:0/", "https://u@h/"])
def test_a_location_that_is_not_https_is_a_protocol_violation(location):
    transport = FakeTransport({f"{CA}/new-acct": reply(ACCOUNT, 201, {"Location": location})})
    with pytest.raises(ProtocolViolation):
        make_client(transport, account_url=None).new_account(agree_tos=True)


def test_an_account_is_found_by_its_key_alone():
    transport = FakeTransport({f"{CA}/new-acct": reply(b"", 200, AT_ACCOUNT)})
    account = make_client(transport, account_url=None).find_account()
    assert account is not None
    assert account.url == ACCOUNT_URL
    assert payload_of(transport.posts("/new-acct")[0]) == {"onlyReturnExisting": True}


def test_a_key_without_an_account_finds_none():
    transport = FakeTransport({f"{CA}/new-acct": problem("accountDoesNotExist")})
    assert make_client(transport, account_url=None).find_account() is None


def test_other_errors_while_looking_for_an_account_are_not_hidden():
    transport = FakeTransport({f"{CA}/new-acct": problem("unauthorized", 403)})
    with pytest.raises(ServerProblem):
        make_client(transport, account_url=None).find_account()


def test_an_operation_looks_the_account_url_up_when_it_is_not_known():
    transport = FakeTransport({f"{CA}/new-acct": reply(ACCOUNT, 200, AT_ACCOUNT), f"{CA}/order/1": reply(ORDER)})
    make_client(transport, account_url=None).order(f"{CA}/order/1")
    assert protected_of(transport.posts("/order/1")[0])["kid"] == ACCOUNT_URL


def test_an_operation_without_any_account_is_one_clear_error():
    transport = FakeTransport({f"{CA}/new-acct": problem("accountDoesNotExist")})
    with pytest.raises(ConfigError, match="no account"):
        make_client(transport, account_url=None).order(f"{CA}/order/1")


def test_contacts_are_replaced_and_an_empty_list_removes_them():
    transport = FakeTransport({ACCOUNT_URL: reply(ACCOUNT)})
    client = make_client(transport)
    client.update_account(["mailto:x@y.example"])
    client.update_account([])
    sent = [payload_of(request) for request in transport.posts("/acct/1")]
    assert sent == [{"contact": ["mailto:x@y.example"]}, {"contact": []}]


def test_changed_terms_can_be_agreed_to():
    transport = FakeTransport({ACCOUNT_URL: reply(ACCOUNT)})
    make_client(transport).agree_to_terms()
    assert payload_of(transport.posts("/acct/1")[0]) == {"termsOfServiceAgreed": True}


def test_an_account_is_deactivated():
    transport = FakeTransport({ACCOUNT_URL: reply({**ACCOUNT, "status": "deactivated"})})
    assert make_client(transport).deactivate_account().status is AccountStatus.DEACTIVATED
    assert payload_of(transport.posts("/acct/1")[0]) == {"status": "deactivated"}


def test_a_key_change_is_signed_twice_and_the_new_key_signs_from_then_on():
    new = AccountKey.generate("ec384")
    transport = FakeTransport(
        {f"{CA}/key-change": reply({}), f"{CA}/order/1": reply(ORDER), ACCOUNT_URL: reply(ACCOUNT)}
    )
    client = make_client(transport)
    client.change_key(new)
    outer = transport.posts("/key-change")[0]
    assert protected_of(outer)["kid"] == ACCOUNT_URL
    assert protected_of(outer)["alg"] == "ES256"
    assert set(payload_of(outer)) == {"protected", "payload", "signature"}
    assert client.key == new
    client.order(f"{CA}/order/1")
    assert protected_of(transport.posts("/order/1")[0])["alg"] == "ES384"


def test_a_refused_key_change_leaves_the_old_key_in_use():
    transport = FakeTransport({f"{CA}/key-change": problem("malformed", 409)})
    client = make_client(transport)
    with pytest.raises(ServerProblem):
        client.change_key(AccountKey.generate("ec256"))
    assert client.key == KEY


def test_a_new_key_that_does_not_open_the_account_is_not_kept():
    refused = problem("malformed", detail="JWS verification error")
    transport = FakeTransport({f"{CA}/key-change": reply(b""), ACCOUNT_URL: refused})
    client = make_client(transport)
    with pytest.raises(ServerProblem, match="verification"):
        client.change_key(AccountKey.generate("ec256"))
    assert client.key == KEY


def test_a_ca_without_key_change_is_one_clear_error():
    directory = {name: url for name, url in DIRECTORY.items() if name != "keyChange"}
    with pytest.raises(ConfigError, match="key"):
        make_client(FakeTransport({DIRECTORY_URL: reply(directory)})).change_key(AccountKey.generate("ec256"))


def test_an_order_asks_for_everything_that_was_given():
    identifiers = [Identifier.dns("*.a.example"), Identifier.ip("2001:db8::1")]
    body = {**ORDER, "identifiers": [{"type": "ip", "value": "2001:db8::1"}, {"type": "dns", "value": "*.A.example"}]}
    transport = FakeTransport({f"{CA}/new-order": reply(body, 201, {"Location": "/order/9"})})
    order = make_client(transport).new_order(
        identifiers,
        profile="short",
        replaces="aa.bb",
        not_before=datetime(2026, 1, 1, tzinfo=UTC),
        not_after=datetime(2026, 1, 2, 1, tzinfo=timezone(timedelta(hours=1))),
    )
    assert payload_of(transport.posts("/new-order")[0]) == {
        "identifiers": [{"type": "dns", "value": "*.a.example"}, {"type": "ip", "value": "2001:db8::1"}],
        "profile": "short",
        "replaces": "aa.bb",
        "notBefore": "2026-01-01T00:00:00Z",
        "notAfter": "2026-01-02T00:00:00Z",
    }
    assert order.url == f"{CA}/order/9"


def test_an_order_for_other_names_than_asked_is_a_protocol_violation():
    body = {**ORDER, "identifiers": [{"type": "dns", "value": "other.example"}]}
    transport = FakeTransport({f"{CA}/new-order": reply(body, 201, {"Location": f"{CA}/order/1"})})
    with pytest.raises(ProtocolViolation, match="identifiers"):
        make_client(transport).new_order(IDS)


def test_an_order_may_come_back_ready_without_pending_authorizations():
    body = {**ORDER, "status": "ready", "authorizations": []}
    transport = FakeTransport({f"{CA}/new-order": reply(body, 201, {"Location": f"{CA}/order/1"})})
    order = make_client(transport).new_order(IDS)
    assert (order.status, order.authorizations) == (OrderStatus.READY, ())


def test_an_order_is_fetched_by_post_as_get_with_its_retry_after():
    transport = FakeTransport({f"{CA}/order/1": reply(ORDER, headers={"Retry-After": "3", "Content-Type": "text/x"})})
    order = make_client(transport).order(f"{CA}/order/1")
    assert order.retry_after == 3.0
    assert payload_of(transport.posts("/order/1")[0]) is None


def test_the_list_of_orders_is_followed_page_by_page():
    transport = FakeTransport(
        {
            ACCOUNT_URL: reply(ACCOUNT),
            f"{CA}/orders/1": reply(
                {"orders": [f"{CA}/order/1", f"{CA}/order/2"]}, headers={"Link": '</orders/1?p=2>; rel="next"'}
            ),
            f"{CA}/orders/1?p=2": reply({"orders": [f"{CA}/order/3"]}),
        }
    )
    assert list(make_client(transport).orders()) == [f"{CA}/order/{n}" for n in (1, 2, 3)]


def test_a_list_of_orders_that_goes_in_circles_ends():
    page = reply({"orders": [f"{CA}/order/1"]}, headers={"Link": f'<{CA}/orders/1>; rel="next"'})
    transport = FakeTransport({ACCOUNT_URL: reply(ACCOUNT), f"{CA}/orders/1": page})
    assert list(make_client(transport).orders()) == [f"{CA}/order/1"]


def test_a_ca_without_a_list_of_orders_is_one_clear_error():
    with pytest.raises(ConfigError, match="list"):
        list(make_client(FakeTransport({ACCOUNT_URL: reply({"status": "valid"})})).orders())


def test_finalize_sends_the_csr_and_gives_the_order():
    transport = FakeTransport({f"{CA}/finalize/1": reply({**ORDER, "status": "processing"})})
    order = make_client(transport).finalize(valid_order(), b"\x30\x00")
    assert payload_of(transport.posts("/finalize/1")[0]) == {"csr": "MAA"}
    assert (order.status, order.url) == (OrderStatus.PROCESSING, f"{CA}/order/1")


@pytest.mark.parametrize("failure", [lost, problem("orderNotReady", 403)])
def test_a_finalize_whose_answer_was_lost_is_looked_up_in_the_order(failure):
    transport = FakeTransport({f"{CA}/finalize/1": failure, f"{CA}/order/1": reply({**ORDER, "status": "processing"})})
    assert make_client(transport).finalize(valid_order(), b"x").status is OrderStatus.PROCESSING


@pytest.mark.parametrize("failure", [lost, problem("orderNotReady", 403)])
def test_a_finalize_that_never_arrived_is_an_error(failure):
    transport = FakeTransport({f"{CA}/finalize/1": failure, f"{CA}/order/1": reply({**ORDER, "status": "pending"})})
    with pytest.raises((TransportError, ServerProblem)):
        make_client(transport).finalize(valid_order(), b"x")


def test_a_refused_csr_is_told_with_the_problem():
    transport = FakeTransport({f"{CA}/finalize/1": problem("badCSR", detail="key too small")})
    with pytest.raises(ServerProblem, match=r"badCSR.*key too small"):
        make_client(transport).finalize(valid_order(), b"x")


def chains(transport, *, alternates, certificate=f"{CA}/cert/1"):
    return make_client(transport).certificate(valid_order(certificate=certificate), alternates=alternates)


def linked(*targets):
    return {"Link": ", ".join(f'<{target}>;rel="alternate"' for target in targets)}


def test_the_default_chain_comes_first_and_alternates_only_when_asked_for():
    transport = FakeTransport(
        {
            f"{CA}/cert/1": reply(PEM, headers=linked("/cert/1/1", f"{CA}/cert/1/2")),
            f"{CA}/cert/1/1": reply(PEM * 2),
            f"{CA}/cert/1/2": reply(PEM * 3),
        }
    )
    assert list(chains(transport, alternates=False)) == [PEM]
    iterator = chains(transport, alternates=True)
    next(iterator)
    assert len(transport.posts("/cert/1/1")) == 0
    assert list(iterator) == [PEM * 2, PEM * 3]
    assert transport.posts("/cert/1")[0].headers["Accept"] == "application/pem-certificate-chain"


def test_an_alternate_that_cannot_be_had_is_skipped():
    transport = FakeTransport(
        {
            f"{CA}/cert/1": reply(PEM, headers=linked("/cert/1/1", "/cert/1/2")),
            f"{CA}/cert/1/1": reply(b"gone", 404),
            f"{CA}/cert/1/2": reply(PEM * 3),
        }
    )
    assert list(chains(transport, alternates=True)) == [PEM, PEM * 3]


def test_alternates_are_bounded_in_number_and_never_fetched_twice():
    many = [f"/cert/1/{n}" for n in range(100)]
    answers = {f"{CA}{path}": reply(PEM) for path in many}
    transport = FakeTransport({f"{CA}/cert/1": reply(PEM, headers=linked("/cert/1", many[0], *many)), **answers})
    assert len(list(chains(transport, alternates=True))) == 17
    assert len(transport.posts("/cert/1/0")) == 1


def test_an_alternate_that_is_not_https_is_a_protocol_violation():
    transport = FakeTransport({f"{CA}/cert/1": reply(PEM, headers=linked("http://ca.example/c"))})
    with pytest.raises(ProtocolViolation, match="https"):
        list(chains(transport, alternates=True))


@pytest.mark.parametrize(
    "body",
    [b"", b"\x30\x82\x01\x00", b"<html>", PEM + b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
     b"-----BEGIN PKCS7-----\nAAAA\n-----END PKCS7-----\n", PEM * 33],
)  # fmt: skip
def test_a_download_that_is_not_a_chain_of_certificates_is_refused(body):
    with pytest.raises(ProtocolViolation):
        list(chains(FakeTransport({f"{CA}/cert/1": reply(body)}), alternates=False))


def test_an_order_without_a_certificate_has_none_to_download():
    with pytest.raises(ProtocolViolation, match="no certificate"):
        list(chains(FakeTransport(), alternates=False, certificate=None))


def test_an_authorization_is_fetched_and_can_be_given_up():
    body = {"status": "pending", "identifier": {"type": "dns", "value": "a.example"}, "challenges": []}
    transport = FakeTransport({f"{CA}/authz/1": reply(body, headers={"Retry-After": "2"})})
    client = make_client(transport)
    assert client.authorization(f"{CA}/authz/1").retry_after == 2.0
    client.deactivate_authorization(f"{CA}/authz/1")
    sent = [payload_of(request) for request in transport.posts("/authz/1")]
    assert sent == [None, {"status": "deactivated"}]


def test_a_challenge_is_answered_with_an_empty_object():
    body = {"type": "http-01", "url": CHALLENGE.url, "status": "processing", "token": "t" * 43}
    transport = FakeTransport({CHALLENGE.url: reply(body)})
    assert make_client(transport).respond(CHALLENGE).status is ChallengeStatus.PROCESSING
    assert payload_of(transport.posts("/chall/1")[0]) == {}


@pytest.mark.parametrize(("status", "survives"), [("valid", True), ("processing", True), ("pending", False)])
@pytest.mark.parametrize("failure", [lost, problem("malformed")])
def test_a_challenge_whose_answer_was_lost_is_looked_up(failure, status, survives):
    body = {"type": "http-01", "url": CHALLENGE.url, "status": status, "token": "t" * 43}
    transport = FakeTransport({CHALLENGE.url: [failure, reply(body)]})
    client = make_client(transport)
    if survives:
        assert client.respond(CHALLENGE).status == status
    else:
        with pytest.raises((TransportError, ServerProblem)):
            client.respond(CHALLENGE)


def test_a_certificate_is_revoked_by_the_account_or_by_its_own_key():
    own = AccountKey.generate("rsa2048")
    transport = FakeTransport({f"{CA}/revoke": reply()})
    client = make_client(transport)
    client.revoke(b"\x30\x00", 4)
    client.revoke(b"\x30\x00", 0, certificate_key=own)
    by_account, by_key = transport.posts("/revoke")
    assert payload_of(by_account) == {"certificate": "MAA", "reason": 4}
    assert protected_of(by_account)["kid"] == ACCOUNT_URL
    assert payload_of(by_key) == {"certificate": "MAA"}
    assert protected_of(by_key)["jwk"] == own.public_jwk()
    assert "kid" not in protected_of(by_key)


def test_revocation_by_the_certificates_key_needs_no_account():
    transport = FakeTransport({f"{CA}/revoke": reply()})
    make_client(transport, account_url=None, key=None).revoke(b"x", 1, certificate_key=AccountKey.generate("ec256"))
    assert transport.calls() == ["GET /dir", "HEAD /nonce", "POST /revoke"]


def test_a_certificate_revoked_before_is_told_by_its_code():
    transport = FakeTransport({f"{CA}/revoke": problem("alreadyRevoked")})
    with pytest.raises(ServerProblem) as caught:
        make_client(transport).revoke(b"x")
    assert caught.value.problem.type.endswith(":alreadyRevoked")


def test_the_certificate_identifier_of_rfc_9773_comes_out():
    aki = bytes.fromhex("69885b6b87464041e1b37b847ba0ae2cde01c8d4")
    assert ari_certificate_id(aki, 0x87654321) == "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE"


@pytest.mark.parametrize(("serial", "encoded"), [(0, "AA"), (0x7F, "fw"), (0x80, "AIA"), (0xFFFF, "AP__")])
def test_a_serial_number_is_encoded_as_a_der_integer(serial, encoded):
    assert ari_certificate_id(b"\x01", serial) == f"AQ.{encoded}"


@pytest.mark.parametrize(("aki", "serial"), [(b"", 1), (b"\x01", -1)])
def test_a_certificate_without_what_ari_needs_has_no_identifier(aki, serial):
    with pytest.raises(ValueError, match="authority key identifier"):
        ari_certificate_id(aki, serial)


@pytest.mark.parametrize(("header", "seconds"), [("21600", 21_600.0), ("1", 60.0), ("999999", 86_400.0), (None, None)])
def test_renewal_information_is_a_plain_get_with_a_clamped_retry_after(header, seconds):
    body = {"suggestedWindow": {"start": "2026-01-02T00:00:00Z", "end": "2026-01-03T00:00:00Z"}}
    headers = {"Retry-After": header} if header else {}
    transport = FakeTransport({f"{CA}/ari/aa.bb": reply(body, headers=headers)})
    assert make_client(transport, key=None).renewal_info("aa.bb").retry_after == seconds
    assert transport.calls() == ["GET /dir", "GET /ari/aa.bb"]


def test_a_ca_without_renewal_information_is_one_clear_error():
    directory = {name: url for name, url in DIRECTORY.items() if name != "renewalInfo"}
    with pytest.raises(ConfigError, match="renewal information"):
        make_client(FakeTransport({DIRECTORY_URL: reply(directory)})).renewal_info("aa.bb")


def test_signing_without_a_key_is_one_clear_error():
    with pytest.raises(ConfigError, match="account key"):
        make_client(FakeTransport(), key=None).order(f"{CA}/order/1")


def test_one_name_costs_seven_requests_and_polls():
    body = {"status": "valid", "identifier": {"type": "dns", "value": "a.example"}, "challenges": []}
    chall = {"type": "http-01", "url": CHALLENGE.url, "status": "pending", "token": "t" * 43}
    done = {**ORDER, "status": "valid", "certificate": f"{CA}/cert/1"}
    transport = FakeTransport(
        {
            f"{CA}/new-order": reply(ORDER, 201, {"Location": f"{CA}/order/1"}),
            f"{CA}/authz/1": reply(body),
            CHALLENGE.url: reply(chall),
            f"{CA}/finalize/1": reply(done),
            f"{CA}/cert/1": reply(PEM),
        }
    )
    client = make_client(transport)
    order = client.new_order(IDS)
    client.authorization(order.authorizations[0])
    client.respond(CHALLENGE)
    list(client.certificate(client.finalize(order, b"x")))
    assert len(transport.sent) == 7


def test_links_are_found_in_every_usual_form():
    value = '<https://a/1>;rel="alternate", <https://a/2>; title="x, y"; REL=alternate,<u>;rel="up alternate"'
    answer = replace(Response(status=200), headers={"link": value})
    assert answer.links("alternate") == ["https://a/1", "https://a/2", "u"]
    assert answer.links("up") == ["u"]
    assert Response(status=200).links("next") == []


def test_a_request_shows_no_body_in_its_repr():
    transport = FakeTransport({f"{CA}/new-acct": reply(ACCOUNT, 201, AT_ACCOUNT)})
    make_client(transport, account_url=None).new_account(agree_tos=True, eab=("k", "c2VjcmV0", "HS256"))
    request = transport.posts("/new-acct")[0]
    assert json.loads(request.body or b"")["signature"] not in repr(request)
