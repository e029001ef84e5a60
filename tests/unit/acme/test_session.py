"""Nonces, signatures and the retries that need a fresh one."""

import threading

import pytest

from acmectl.acme.retry import RetryPolicy
from acmectl.acme.session import Session
from acmectl.errors import ConfigError, ProtocolViolation, RateLimited, ServerProblem, UserActionRequired
from tests.unit.acme.fakes import (
    ACCOUNT_URL,
    CA,
    DIRECTORY,
    DIRECTORY_URL,
    KEY,
    FakeClock,
    FakeTransport,
    problem,
    protected_of,
    reply,
)

X = f"{CA}/x"


def make(transport, clock=None, **policy):
    return Session(transport, DIRECTORY_URL, clock=clock or FakeClock(), policy=RetryPolicy(**policy))


def post(session, url=X, payload=None):
    return session.post(url, payload, key=KEY, kid=ACCOUNT_URL)


@pytest.mark.parametrize("url", ["http://ca.example/dir", "ca.example/dir", "https://u:p@ca.example/dir", ""])
def test_a_directory_that_is_not_https_is_refused_before_any_request(url):
    transport = FakeTransport()
    with pytest.raises(ConfigError, match="https"):
        Session(transport, url, clock=FakeClock(), policy=RetryPolicy())
    assert transport.sent == []


def test_the_directory_is_fetched_once_also_by_many_threads():
    transport = FakeTransport()
    session = make(transport)
    threads = [threading.Thread(target=session.directory) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert transport.calls() == ["GET /dir"]


def test_a_nonce_is_fetched_only_when_the_pool_is_empty():
    transport = FakeTransport({X: reply({})})
    session = make(transport)
    for _ in range(3):
        post(session)
    assert transport.calls() == ["GET /dir", "HEAD /nonce", "POST /x", "POST /x", "POST /x"]


def test_a_reused_nonce_is_never_sent_twice():
    transport = FakeTransport({X: [problem("badNonce"), problem("malformed"), reply({})]})
    session = make(transport)
    with pytest.raises(ServerProblem):
        post(session)
    post(session)
    nonces = [protected_of(request)["nonce"] for request in transport.posts("/x")]
    assert len(nonces) == len(set(nonces)) == 3


def test_the_nonce_of_the_refusal_is_the_next_one_used():
    transport = FakeTransport({X: [problem("badNonce", headers={"Replay-Nonce": "offered"}), reply({})]})
    post(make(transport))
    assert [protected_of(request)["nonce"] for request in transport.posts("/x")][1] == "offered"
    assert transport.calls().count("HEAD /nonce") == 1


def test_every_try_has_a_fresh_signature_over_the_same_payload():
    transport = FakeTransport({X: [problem("badNonce")] * 5 + [reply({})]})
    post(make(transport), payload={"a": 1})
    bodies = [request.body for request in transport.posts("/x")]
    assert len(set(bodies)) == 6


def test_refused_nonces_are_bounded_by_time_and_not_by_a_count():
    transport = FakeTransport({X: [problem("badNonce")] * 200 + [reply({})]})
    assert post(make(transport)).status == 200
    assert len(transport.posts("/x")) == 201


def test_a_ca_that_refuses_every_nonce_ends_with_one_clear_line():
    transport = FakeTransport({X: problem("badNonce", detail="JWS has an invalid anti-replay nonce")})
    clock = FakeClock()
    with pytest.raises(ServerProblem) as caught:
        post(make(transport, clock))
    assert "refused every anti-replay nonce for 30 seconds" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert 30 < clock.elapsed < 32
    assert len(transport.posts("/x")) < 500


def test_an_answer_without_a_nonce_costs_one_new_nonce_request():
    transport = FakeTransport({X: reply({}), f"{CA}/nonce": reply(headers={"Replay-Nonce": "fetched"})}, nonces=False)
    session = make(transport)
    post(session)
    post(session)
    assert transport.calls().count("HEAD /nonce") == 2


def test_a_new_nonce_answer_without_a_nonce_is_a_protocol_violation():
    transport = FakeTransport({X: reply({})}, nonces=False)
    with pytest.raises(ProtocolViolation, match="nonce"):
        post(make(transport))


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_transient_error_is_tried_again_when_the_ca_says(status):
    transport = FakeTransport({X: [reply(b"", status, {"Retry-After": "7"}), reply({})]})
    clock = FakeClock()
    assert post(make(transport, clock)).status == 200
    assert clock.slept == [7.0]


def test_a_retry_after_as_a_date_is_obeyed_too():
    transport = FakeTransport({X: [reply(b"", 503, {"Retry-After": "Thu, 01 Jan 2026 00:00:12 GMT"}), reply({})]})
    clock = FakeClock()
    post(make(transport, clock))
    assert clock.slept == [12.0]


def test_a_ca_that_says_now_again_and_again_is_asked_more_and_more_slowly():
    transport = FakeTransport({X: reply(b"", 503, {"Retry-After": "0"})})
    clock = FakeClock()
    with pytest.raises(ServerProblem):
        post(make(transport, clock, deadline=60))
    assert clock.slept == sorted(clock.slept)
    assert len(clock.slept) < 25


def test_a_transient_error_without_retry_after_is_tried_three_more_times():
    transport = FakeTransport({X: reply(b"oops", 500)})
    clock = FakeClock()
    with pytest.raises(ServerProblem, match="HTTP 500"):
        post(make(transport, clock))
    assert clock.slept == [1.0, 2.0, 4.0]


def test_a_rate_limit_beyond_the_deadline_is_told_at_once_with_time_and_help():
    headers = {"Retry-After": "122400", "Link": '<https://ca.example/docs/limits>;rel="help"'}
    transport = FakeTransport({X: problem("rateLimited", 429, headers, detail="too many certificates")})
    clock = FakeClock()
    with pytest.raises(RateLimited) as caught:
        post(make(transport, clock))
    assert clock.slept == []
    assert caught.value.help_url == "https://ca.example/docs/limits"
    assert caught.value.retry_at is not None
    assert str(caught.value.retry_at) == "2026-01-02 10:00:00+00:00"
    assert "too many certificates. Retry after 2026-01-02 10:00:00 UTC" in str(caught.value)
    assert caught.value.hint == "See https://ca.example/docs/limits"


def test_a_rate_limit_without_retry_after_is_told_at_once():
    clock = FakeClock()
    with pytest.raises(RateLimited) as caught:
        post(make(FakeTransport({X: problem("rateLimited", 429)}), clock))
    assert (clock.slept, caught.value.retry_at) == ([], None)


def test_new_terms_of_service_are_told_with_the_page_to_visit():
    headers = {"Link": '<https://ca.example/tos/v2>; rel="terms-of-service"'}
    answer = problem(
        "userActionRequired", 403, headers, detail="Terms have changed", instance="https://ca.example/agree?token=x"
    )
    with pytest.raises(UserActionRequired) as caught:
        post(make(FakeTransport({X: answer})))
    assert caught.value.url == "https://ca.example/agree?token=x"
    without = problem("userActionRequired", 403, headers)
    with pytest.raises(UserActionRequired) as caught:
        post(make(FakeTransport({X: without})))
    assert caught.value.url == "https://ca.example/tos/v2"


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 409, 415, 501])
def test_other_errors_are_final(status):
    transport = FakeTransport({X: problem("malformed", status, detail="no")})
    with pytest.raises(ServerProblem) as caught:
        post(make(transport))
    assert len(transport.posts("/x")) == 1
    assert caught.value.status == status


def test_an_error_that_is_a_web_page_is_told_by_its_status():
    with pytest.raises(ServerProblem, match="HTTP 403 :: Forbidden"):
        post(make(FakeTransport({X: reply(b"<html>\x1b[2J", 403)})))


def test_a_link_to_help_that_is_not_https_is_dropped():
    answer = problem("rateLimited", 429, {"Link": '<http://ca.example/x>; rel="help"'})
    with pytest.raises(RateLimited) as caught:
        post(make(FakeTransport({X: answer})))
    assert caught.value.help_url is None


def test_a_changed_key_that_the_ca_does_not_know_everywhere_yet_is_tried_again():
    refused = problem("malformed", 400, detail="JWS verification error")
    transport = FakeTransport({X: [refused, refused, reply({})]})
    clock = FakeClock()
    session = make(transport, clock)
    session.key_changed()
    assert post(session).status == 200
    assert clock.slept == [1.0, 1.0]


def test_a_bad_signature_without_a_key_change_is_final():
    transport = FakeTransport({X: problem("malformed", 400, detail="JWS verification error")})
    with pytest.raises(ServerProblem):
        post(make(transport))
    assert len(transport.posts("/x")) == 1


def test_eight_threads_never_share_a_nonce():
    transport = FakeTransport({X: reply({})})
    session = make(transport)
    threads = [threading.Thread(target=lambda: [post(session) for _ in range(20)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    nonces = [protected_of(request)["nonce"] for request in transport.posts("/x")]
    assert len(nonces) == len(set(nonces)) == 160
    assert transport.calls().count("HEAD /nonce") <= 8


def test_signed_requests_name_their_url_and_their_content_type():
    transport = FakeTransport({X: reply({})})
    post(make(transport))
    request = transport.posts("/x")[0]
    assert protected_of(request)["url"] == X
    assert request.headers["Content-Type"] == "application/jose+json"


def test_a_directory_with_unknown_members_is_read_and_one_without_new_order_refused():
    odd = {**DIRECTORY, "yYkXzR": "https://community.example/t/x", "meta": {"new": [1]}, "delegation": 5}
    assert make(FakeTransport({DIRECTORY_URL: reply(odd)})).directory().new_order == f"{CA}/new-order"
    del odd["newOrder"]
    with pytest.raises(ProtocolViolation, match="newOrder"):
        make(FakeTransport({DIRECTORY_URL: reply(odd)})).directory()
