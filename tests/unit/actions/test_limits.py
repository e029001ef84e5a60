"""What is used of a limit: the arithmetic of a bucket that fills up evenly, and what counts to which limit."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acmectl.actions.limits import Asked, span_of, usage, usages, used_line
from acmectl.actions.registered_domains import RegisteredDomains
from acmectl.config.catalogue import CATALOGUE, Counted, Limit
from acmectl.storage.order_entries import Entry, Kind

NOW = datetime(2026, 11, 21, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
CA, ACCOUNT = "https://ca.example/dir", "https://ca.example/account/1"
(LETS_ENCRYPT,) = (ca for ca in CATALOGUE if ca.name == "letsencrypt")
DUPLICATES = next(limit for limit in LETS_ENCRYPT.limits if limit.counted is Counted.SET_CERTIFICATES)


def certificate(*names: str, ago: timedelta = HOUR, **others: object) -> Entry:
    values = {"kind": Kind.CERTIFICATE, "server": CA, "account": ACCOUNT, **others}
    return Entry(at=NOW - ago, names=tuple(sorted(names)), **values)  # type: ignore[arg-type]


def asked(*names: str, renewal: bool = False) -> Asked:
    return Asked(server=CA, account=ACCOUNT, names=tuple(sorted(names)), renewal=renewal)


def found(entries: list[Entry], wanted: Asked) -> dict[tuple[Counted, str], int]:
    """What is used, without what is not used at all."""
    domain_of = RegisteredDomains().of
    return {
        (one.limit.counted, one.subject): one.used
        for one in usages(LETS_ENCRYPT.limits, entries, wanted, NOW, domain_of)
        if one.used
    }


@pytest.mark.parametrize(
    ("days", "used", "free"),
    [
        ([], 0, None),
        ([0], 1, None),
        ([1.5], 0, None),
        ([0, 0, 0, 0], 4, None),
        ([0] * 5, 5, 1.4),
        ([1] * 5, 5, 0.4),
        ([1.5] * 5, 4, None),
        ([6.9] * 5, 1, None),
        ([7] * 5, 0, None),
        # What came when nothing was left was refused, and used nothing.
        ([0] * 9, 5, 1.4),
        # Spread over the week five of them are no burst: each had its place again after a fifth of it.
        ([7, 5.6, 4.2, 2.8, 1.4], 0, None),
    ],
)
def test_a_place_is_free_again_after_a_fifth_of_the_week_each(days: list[float], used: int, free: float | None) -> None:
    times = [NOW - one * DAY for one in days]
    one = usage(DUPLICATES, "", times, NOW)
    assert one.used == used
    assert one.free_at == (None if free is None else NOW + free * DAY)


def test_two_certificates_want_two_places() -> None:
    four = [NOW - DAY] * 4
    assert usage(DUPLICATES, "", four, NOW).free_at is None
    assert usage(DUPLICATES, "", four, NOW, wanted=2).free_at == NOW + 0.4 * DAY
    entries = [certificate("a.example", ago=DAY)] * 4
    two = Asked(server=CA, account=ACCOUNT, names=("a.example",), renewal=False, count=2)
    full = [one for one in usages(LETS_ENCRYPT.limits, entries, two, NOW, RegisteredDomains().of) if one.free_at]
    assert [one.limit for one in full] == [DUPLICATES]


@given(
    count=st.integers(1, 60),
    span=st.sampled_from([60, 3600, 10_800, 604_800]),
    ages=st.lists(st.integers(-5, 1_300_000), max_size=120),
)
def test_it_is_a_token_bucket(count: int, span: int, ages: list[int]) -> None:
    limit = Limit(counted=Counted.SET_CERTIFICATES, what="x", count=count, seconds=span * count)
    tokens, last = Fraction(count), None
    for age in sorted((max(age, 0) for age in ages), reverse=True):
        if last is not None:
            tokens = min(Fraction(count), tokens + Fraction(last - age, span))
        last = age
        if tokens >= 1:
            tokens -= 1
    if last is not None:
        tokens = min(Fraction(count), tokens + Fraction(last, span))
    one = usage(limit, "", [NOW - timedelta(seconds=age) for age in ages], NOW)
    assert one.used == math.ceil(count - tokens)
    if tokens >= 1:
        assert one.free_at is None
    else:
        assert one.free_at == NOW + timedelta(seconds=float((1 - tokens) * span))


def test_only_the_very_names_are_duplicates_and_a_wildcard_is_a_name_of_its_own() -> None:
    entries = [certificate("a.example.org", "b.example.org"), certificate("b.example.org", "a.example.org")]
    entries += [certificate("a.example.org"), certificate("*.example.org")]
    key = (Counted.SET_CERTIFICATES, "")
    assert found(entries, asked("b.example.org", "a.example.org"))[key] == 2
    assert found(entries, asked("a.example.org"))[key] == 1
    assert key not in found(entries, asked("example.org"))


def test_a_certificate_counts_once_for_each_registered_domain_and_a_renewal_for_none() -> None:
    entries = [certificate("a.example.org", "b.example.org", "c.example.co.uk")]
    entries += [certificate("*.example.org", renewal=True), certificate("z.example.org", exempt=True)]
    entries += [certificate("y.example.org", server="https://other.example/dir")]
    used = found(entries, asked("new.example.org", "new.example.co.uk"))
    assert used == {
        (Counted.DOMAIN_CERTIFICATES, "example.org"): 1,
        (Counted.DOMAIN_CERTIFICATES, "example.co.uk"): 1,
    }
    assert found(entries, asked("new.example.org", renewal=True)) == {}


def test_failures_count_per_name_and_account_and_orders_per_account() -> None:
    failure = certificate("a.example.org", "b.example.org", ago=timedelta(minutes=1), kind=Kind.FAILURE)
    stranger = certificate("a.example.org", ago=timedelta(minutes=1), kind=Kind.FAILURE, account="https://ca.example/2")
    order = certificate("x.example.org", ago=timedelta(seconds=9), kind=Kind.ORDER)
    used = found([failure, failure, stranger, order], asked("a.example.org", "c.example.org"))
    assert used == {(Counted.NAME_FAILURES, "a.example.org"): 2, (Counted.ACCOUNT_ORDERS, ACCOUNT): 1}
    # Nothing but failures keeps a renewal from what it may.
    assert found([failure, order], asked("b.example.org", renewal=True)) == {
        (Counted.NAME_FAILURES, "b.example.org"): 1
    }


@pytest.mark.parametrize(
    ("name", "domain"),
    [
        ("www.example.org", "example.org"),
        ("*.www.example.org", "example.org"),
        ("example.org", "example.org"),
        ("new.blog.example.co.uk", "example.co.uk"),
        ("a.me.github.io", "me.github.io"),
        ("github.io", "github.io"),
        ("co.uk", "co.uk"),
        ("a.b.unknown-suffix", "b.unknown-suffix"),
        ("a.xn--55qx5d.cn", "a.xn--55qx5d.cn"),
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::", "2001:db8:1:2::/64"),
    ],
)
def test_registered_domains(name: str, domain: str) -> None:
    assert RegisteredDomains().of(name) == domain


def test_each_limit_of_the_catalogue_says_what_it_counts() -> None:
    for ca in CATALOGUE:
        kinds = [limit.counted for limit in ca.limits]
        assert len(kinds) == len(set(kinds))
    assert {limit.counted for limit in LETS_ENCRYPT.limits} == set(Counted)
    assert used_line(usage(DUPLICATES, "", [NOW], NOW)) == "1 of 5 certificates in 7 days for exactly these names"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(604_800, "7 days"), (86_400, "1 day"), (3600, "1 hour"), (10_800, "3 hours"), (90, "1 minute")],
)
def test_spans(seconds: int, text: str) -> None:
    assert span_of(seconds) == text
