"""ACME objects as values."""

from datetime import UTC, datetime

import pytest

from acmectl.acme.resources import Account, Authorization, Challenge, Directory, Order, RenewalInfo
from acmectl.acme.status import AccountStatus, ChallengeStatus, OrderStatus
from acmectl.acme.wire import JsonObject
from acmectl.errors import ProtocolViolation
from acmectl.identifiers import Identifier
from tests.unit.acme.fakes import CA, DIRECTORY, ORDER

URL = f"{CA}/thing/1"
AUTHZ = {
    "status": "pending",
    "identifier": {"type": "dns", "value": "a.example"},
    "challenges": [{"type": "http-01", "url": f"{CA}/chall/1", "status": "pending", "token": "t" * 43}],
}
WINDOW = {"start": "2026-01-02T00:00:00Z", "end": "2026-01-03T00:00:00Z"}


def order(**changes):
    return Order.from_json(JsonObject({**ORDER, **changes}, "the order"), URL)


def authorization(**changes):
    return Authorization.from_json(JsonObject({**AUTHZ, **changes}, "an authorization"), URL)


def test_a_directory_shows_what_the_ca_says_about_itself():
    meta = {
        "termsOfService": "https://ca.example/tos",
        "website": "https://ca.example",
        "caaIdentities": ["ca.example"],
        "externalAccountRequired": True,
        "profiles": {"classic": "The old one", "short\x1b[1m": 5},
    }
    read = Directory.from_json(JsonObject({**DIRECTORY, "meta": meta}, "the directory"), URL).meta
    assert read.terms_of_service == "https://ca.example/tos"
    assert read.caa_identities == ("ca.example",)
    assert read.external_account_required is True
    assert read.profiles == {"classic": "The old one", "short [1m": ""}


@pytest.mark.parametrize("name", [*DIRECTORY, "newAuthz"])
def test_a_directory_with_an_http_url_is_refused(name):
    with pytest.raises(ProtocolViolation, match="https"):
        Directory.from_json(JsonObject({**DIRECTORY, name: "http://ca.example/x"}, "the directory"), URL)


@pytest.mark.parametrize("name", ["keyChange", "renewalInfo", "newAuthz", "meta"])
def test_optional_members_of_a_directory_may_be_missing(name):
    fields = {key: value for key, value in DIRECTORY.items() if key != name}
    Directory.from_json(JsonObject(fields, "the directory"), URL)


def test_an_order_is_read_whole():
    read = order(
        status="valid",
        expires="2026-01-08T00:00:00Z",
        notBefore="2026-01-01T00:00:00Z",
        notAfter="2026-04-01T00:00:00Z",
        certificate=f"{CA}/cert/1",
        profile="classic",
        replaces="aa.bb",
        error={"type": "urn:ietf:params:acme:error:caa", "detail": "forbidden"},
        somethingNew={"x": 1},
    )
    assert read.identifiers == (Identifier.dns("a.example"),)
    assert read.status is OrderStatus.VALID
    assert read.expires == datetime(2026, 1, 8, tzinfo=UTC)
    assert (read.not_before, read.not_after) == (datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC))
    assert (read.profile, read.replaces, read.certificate) == ("classic", "aa.bb", f"{CA}/cert/1")
    assert read.error is not None
    assert read.error.describe() == "forbidden"


def test_an_order_of_ip_addresses_is_read_in_canonical_form():
    identifiers = [{"type": "ip", "value": "2001:DB8:0:0::1"}, {"type": "ip", "value": "192.0.2.7"}]
    assert order(identifiers=identifiers).identifiers == (Identifier.ip("2001:db8::1"), Identifier.ip("192.0.2.7"))


@pytest.mark.parametrize(
    "changes",
    [
        {"status": None},
        {"status": 5},
        {"finalize": None},
        {"finalize": "http://ca.example/f"},
        {"certificate": "http://ca.example/c"},
        {"authorizations": ["http://ca.example/a"]},
        {"authorizations": "https://ca.example/a"},
        {"authorizations": [7]},
        {"identifiers": [{"type": "dns"}]},
        {"identifiers": [{"type": "dns", "value": "a\x1b.example"}]},
        {"identifiers": [{"type": "email", "value": "a@b"}]},
        {"identifiers": ["a.example"]},
        {"authorizations": [f"{CA}/a"] * 10_001},
    ],
)
def test_a_malformed_order_is_a_protocol_violation(changes):
    with pytest.raises(ProtocolViolation):
        order(**changes)


def test_an_order_in_a_status_nobody_knows_is_tolerated():
    assert order(status="paused").status is OrderStatus.UNKNOWN


def test_a_wildcard_authorization_is_told_by_its_flag_or_by_its_name():
    flagged = authorization(wildcard=True)
    named = authorization(identifier={"type": "dns", "value": "*.a.example"})
    for read in (flagged, named):
        assert (read.wildcard, str(read.identifier), read.name) == (True, "a.example", "*.a.example")


def test_challenges_of_unknown_types_are_kept_and_known_ones_read():
    persist = {"type": "dns-persist-01", "url": f"{CA}/chall/2", "status": "pending", "issuer-domain-names": ["x"]}
    read = authorization(challenges=[*AUTHZ["challenges"], persist, {"type": "n", "url": f"{CA}/3", "status": "odd"}])
    assert [(c.type, c.status) for c in read.challenges] == [
        ("http-01", ChallengeStatus.PENDING),
        ("dns-persist-01", ChallengeStatus.PENDING),
        ("n", ChallengeStatus.UNKNOWN),
    ]


def test_a_challenge_tells_why_it_failed_and_when_it_was_validated():
    source = {
        "type": "http-01",
        "url": f"{CA}/c",
        "status": "invalid",
        "validated": "2026-01-01T00:00:00Z",
        "error": {"type": "urn:ietf:params:acme:error:connection", "detail": "refused"},
    }
    read = Challenge.from_json(JsonObject(source, "a challenge"))
    assert read.error is not None
    assert (read.error.code, read.validated) == ("connection", datetime(2026, 1, 1, tzinfo=UTC))


def test_a_token_does_not_show_in_a_repr():
    assert "t" * 43 not in repr(authorization())


@pytest.mark.parametrize(
    "changes", [{"identifier": None}, {"status": None}, {"challenges": [{"type": "http-01"}]}, {"challenges": {}},
                {"challenges": [{"type": "http-01", "url": "http://ca.example/c", "status": "pending"}]},
                {"wildcard": "yes"}],
)  # fmt: skip
def test_a_malformed_authorization_is_a_protocol_violation(changes):
    with pytest.raises(ProtocolViolation):
        authorization(**changes)


def test_an_account_without_contact_orders_or_status_is_tolerated():
    account = Account.from_json(JsonObject({"key": {"kty": "EC"}}, "the account"), URL)
    assert (account.status, account.contact, account.orders) == (AccountStatus.VALID, (), None)


def test_an_orders_list_that_is_not_https_is_not_used():
    assert Account.from_json(JsonObject({"orders": "http://x/o"}, "the account"), URL).orders is None
    assert Account.from_json(JsonObject({"orders": "/o/1"}, "the account"), URL).orders == f"{CA}/o/1"


def test_renewal_information_is_read_with_its_explanation():
    source = {"suggestedWindow": WINDOW, "explanationURL": "https://ca.example/why"}
    read = RenewalInfo.from_json(JsonObject(source, "ari"), retry_after=60.0)
    assert (read.start, read.end) == (datetime(2026, 1, 2, tzinfo=UTC), datetime(2026, 1, 3, tzinfo=UTC))
    assert (read.explanation_url, read.retry_after) == ("https://ca.example/why", 60.0)


@pytest.mark.parametrize(
    "source",
    [{}, {"suggestedWindow": 5}, {"suggestedWindow": {}}, {"suggestedWindow": {"start": WINDOW["start"]}},
     {"suggestedWindow": {"start": WINDOW["end"], "end": WINDOW["start"]}},
     {"suggestedWindow": {"start": WINDOW["end"], "end": WINDOW["end"]}},
     {"suggestedWindow": {"start": 1, "end": 2}}],
)  # fmt: skip
def test_a_renewal_window_that_is_none_is_a_protocol_violation(source):
    with pytest.raises(ProtocolViolation):
        RenewalInfo.from_json(JsonObject(source, "ari"))


def test_an_explanation_that_is_not_https_is_dropped():
    source = {"suggestedWindow": WINDOW, "explanationURL": "javascript:x"}
    assert RenewalInfo.from_json(JsonObject(source, "ari")).explanation_url is None
