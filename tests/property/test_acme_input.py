"""Whatever a CA sends, the protocol room gives a value or an error of its own, never another exception."""

import json
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acmectl.acme.answers import error_of, problem_of
from acmectl.acme.base64url import b64url, unb64url
from acmectl.acme.challenge import TOKEN, check_token
from acmectl.acme.jws import AccountKey
from acmectl.acme.messages import Response
from acmectl.acme.problem import Problem
from acmectl.acme.resources import Account, Authorization, Challenge, Directory, Order, RenewalInfo
from acmectl.acme.retry import parse_retry_after
from acmectl.acme.wire import JsonObject, absolute_url, check_url, is_https_url, parse_time, plain_text, redacted
from acmectl.errors import AcmectlError
from tests.unit.acme.fakes import CA, DIRECTORY, ORDER, FakeTransport, make_client, reply

NOW = datetime(2026, 1, 1, tzinfo=UTC)
URL = f"{CA}/x"
TIME = "2026-01-02T00:00:00Z"

anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from([URL, "http://x/", TIME, "dns"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
CHALLENGE = {"type": "http-01", "url": URL, "status": "pending", "token": "t" * 43}
VALID = {
    "directory": DIRECTORY | {"meta": {"profiles": {"a": "b"}, "caaIdentities": ["x"], "termsOfService": URL}},
    "account": {"status": "valid", "contact": ["mailto:a@b"], "orders": URL, "termsOfServiceAgreed": True},
    "order": ORDER | {"expires": TIME, "certificate": URL, "error": {"type": "x"}, "profile": "p", "replaces": "r"},
    "authorization": {
        "status": "pending",
        "identifier": {"type": "dns", "value": "a.example"},
        "challenges": [CHALLENGE],
        "wildcard": False,
        "expires": TIME,
    },
    "challenge": CHALLENGE | {"validated": TIME, "error": {"detail": "d"}},
    "ari": {"suggestedWindow": {"start": TIME, "end": "2026-01-03T00:00:00Z"}, "explanationURL": URL},
}
READERS = {
    "directory": lambda source: Directory.from_json(source, URL),
    "account": lambda source: Account.from_json(source, URL),
    "order": lambda source: Order.from_json(source, URL),
    "authorization": lambda source: Authorization.from_json(source, URL),
    "challenge": Challenge.from_json,
    "ari": RenewalInfo.from_json,
}


@contextmanager
def only_our_errors():
    """Lets errors of our own pass, if they are one printable line."""
    try:
        yield
    except AcmectlError as error:
        if not str(error).isprintable():
            pytest.fail(f"not printable: {error!r}")


@st.composite
def damaged(draw):
    """The name of a resource, and JSON of it in which one member, at any depth, was replaced by anything."""
    name = draw(st.sampled_from(sorted(VALID)))
    value = json.loads(json.dumps(VALID[name]))
    spot = value
    while True:
        key = draw(st.sampled_from(sorted(spot)) if isinstance(spot, dict) else st.integers(0, len(spot) - 1))
        if isinstance(spot[key], dict | list) and spot[key] and draw(st.booleans()):
            spot = spot[key]
            continue
        spot[key] = draw(anything)
        return name, value


@given(damaged())
def test_a_damaged_resource_is_read_or_refused_and_nothing_else(case):
    name, value = case
    result = None
    with only_our_errors():
        result = READERS[name](JsonObject(value, name))
    for field in ("url", "finalize", "certificate", "new_order", "new_nonce", "key_change", "orders"):
        url = getattr(result, field, None)
        assert url is None or is_https_url(url)


@given(st.sampled_from(sorted(READERS)), anything)
def test_any_json_is_read_or_refused(name, value):
    with only_our_errors():
        READERS[name](JsonObject.from_body(json.dumps(value), name))


@given(st.binary(max_size=300))
def test_any_octets_are_read_or_refused_as_json(body):
    with only_our_errors():
        JsonObject.from_body(body, "a test")


@given(anything)
def test_any_problem_is_told_on_one_printable_line(value):
    text = Problem.from_json(value).describe()
    assert text
    assert text.isprintable()


@given(
    st.integers(300, 599),
    st.binary(max_size=100) | anything.map(lambda value: json.dumps(value).encode()),
    st.dictionaries(st.sampled_from(["retry-after", "link", "replay-nonce"]), st.text(max_size=60)),
)
def test_any_error_answer_becomes_an_error_of_one_line(status, body, headers):
    response = Response(status=status, headers=headers, body=body, url=URL)
    error = error_of(response, problem_of(response), NOW)
    assert str(error).isprintable()
    assert error.hint is None or error.hint.isprintable()


@given(
    st.text() | st.from_regex(r"[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d [A-Z+-]{1,3}\d*", fullmatch=True)
)
def test_any_retry_after_is_within_bounds_or_none(header):
    seconds = parse_retry_after(header, NOW)
    assert seconds is None or 0 <= seconds <= 86_400


@given(st.text() | st.from_regex(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", fullmatch=True))
def test_any_time_is_aware_or_none(text):
    moment = parse_time(text)
    assert moment is None or moment.tzinfo is UTC


@given(st.text() | st.from_regex(r"https?://[^ ]{0,30}"))
def test_any_url_is_checked_and_redacted_without_surprise(text):
    assert redacted(text).isprintable()
    with only_our_errors():
        assert check_url(text, "a test").startswith("https://") or text[:8].lower() == "https://"
    with only_our_errors():
        assert is_https_url(absolute_url(URL, text, "a test"))


@given(st.text(), st.integers(10, 100))
def test_plain_text_is_printable_and_bounded(text, limit):
    clean = plain_text(text, limit)
    assert clean.isprintable()
    assert len(clean) <= limit


@given(st.text(max_size=600) | st.from_regex(TOKEN, fullmatch=True))
def test_a_token_passes_whole_or_not_at_all(token):
    try:
        assert check_token(token) == token
    except AcmectlError:
        assert not TOKEN.fullmatch(token)
    else:
        assert not set(token) & set("/.\\\x00\n ")


@given(st.text() | anything.map(json.dumps))
def test_any_text_is_an_account_key_or_one_clear_error(text):
    with only_our_errors():
        AccountKey.from_jwk_json(text)


@given(st.binary(max_size=200))
def test_any_octets_are_a_pem_key_or_one_clear_error(data):
    with only_our_errors():
        AccountKey.from_pem(data)


@given(st.binary())
def test_base64url_goes_there_and_back(data):
    assert unb64url(b64url(data)) == data


@given(st.text(max_size=200))
def test_any_link_header_is_read(value):
    for relation in ("alternate", "next", "help"):
        Response(status=200, headers={"link": value}).links(relation)


@given(st.binary(max_size=200), st.text(max_size=80))
def test_any_new_order_answer_is_an_order_or_an_error(body, location):
    transport = FakeTransport({f"{CA}/new-order": reply(body, 201, {"Location": location})})
    with only_our_errors():
        make_client(transport).new_order([])
