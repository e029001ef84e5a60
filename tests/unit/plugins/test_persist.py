"""The record of dns-persist-01: the draft's vectors, and what a record is good for."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from acmectl.plugin.persist import Owner, PersistRecord, account_hash, ends, parse, record_name, why_not

ACCOUNT = "https://ca.example/acct/123"
THUMBPRINT = "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"
NOW = datetime(2026, 11, 21, tzinfo=UTC)
OLD = Owner(account_url=ACCOUNT, thumbprint=THUMBPRINT)
NEW = Owner(account_url=ACCOUNT, thumbprint=THUMBPRINT, hash_prefix="https://ca.example/hash/")
LINKED = "https://ca.example/hash/sha-256/5SQm7n6tPh2-PlLbCKGnViTXX5z19SCN4cPGQHSk-kw"
ANY = "https://ca.example/hash/sha-256/NpDnSwUthQK8zCgFdefYxAdAVPnygMLbs9US6oO-5ug"


def test_the_hashes_are_those_of_the_draft() -> None:
    assert account_hash("example.com", THUMBPRINT, ACCOUNT) == "5SQm7n6tPh2-PlLbCKGnViTXX5z19SCN4cPGQHSk-kw"
    assert account_hash("*", THUMBPRINT, ACCOUNT) == "NpDnSwUthQK8zCgFdefYxAdAVPnygMLbs9US6oO-5ug"
    assert NEW.uris("example.com") == (LINKED, ANY)
    assert OLD.uris("example.com") == (ACCOUNT,)


def test_a_record_is_written_and_read_back() -> None:
    until = datetime(2027, 1, 2, 3, 4, 5, tzinfo=UTC)
    record = PersistRecord(issuer="ca.example", account_uri=ACCOUNT, wildcard=True, until=until)
    assert record.text() == f"ca.example; accounturi={ACCOUNT}; policy=wildcard; persistUntil=1798859045"
    assert parse(record.text()) == record
    assert parse(f"CA.example. ;AccountURI={ACCOUNT};POLICY=Wildcard;future=1") == PersistRecord(
        issuer="ca.example", account_uri=ACCOUNT, wildcard=True
    )
    assert record_name("*.example.com") == record_name("example.com") == "_validation-persist.example.com"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ca.example",
        "; accounturi=x",
        "ca.example; accounturi",
        "ca.example; accounturi=a; accounturi=b",
        "ca.example; accounturi=a;",
        "ca.example; accounturi=a; persistUntil=soon",
        "ca.example; accounturi=a; persistUntil=99999999999999999999",
    ],
)
def test_what_is_malformed_is_no_record(text: str) -> None:
    assert parse(text) is None


@pytest.mark.parametrize(
    ("value", "name", "owner", "said"),
    [
        (f"ca.example; accounturi={ACCOUNT}", "example.com", OLD, None),
        (f"ca.example; accounturi={LINKED}", "example.com", NEW, None),
        (f"ca.example; accounturi={ANY}", "example.com", NEW, None),
        (f"ca.example; accounturi={LINKED}", "other.com", NEW, "another account"),
        (f"ca.example; accounturi={ACCOUNT}", "example.com", NEW, "another account"),
        (f"ca.example; accounturi={ACCOUNT}4", "example.com", OLD, "another account"),
        (f"other.example; accounturi={ACCOUNT}", "example.com", OLD, "another CA"),
        (f"ca.example; accounturi={ACCOUNT}", "*.example.com", OLD, "no policy=wildcard"),
        (f"ca.example; accounturi={ACCOUNT}; policy=wildcard", "*.example.com", OLD, None),
        (f"ca.example; accounturi={ACCOUNT}; persistUntil=1", "example.com", OLD, "ended on 1970-01-01"),
        ("nonsense", "example.com", OLD, "malformed"),
    ],
)
def test_a_record_is_good_for_its_account_its_ca_and_its_time(
    value: str, name: str, owner: Owner, said: str | None
) -> None:
    found = why_not([value], name, owner=owner, issuers=["x.example", "ca.example"], now=NOW)
    assert (found is None) if said is None else (found is not None and said in found)


def test_one_good_value_among_others_is_enough_and_none_is_said() -> None:
    good = f"ca.example; accounturi={ACCOUNT}"
    assert why_not(["x", good], "example.com", owner=OLD, issuers=["ca.example"], now=NOW) is None
    assert why_not([], "example.com", owner=OLD, issuers=["ca.example"], now=NOW) == "there is no such record"


def test_the_end_is_that_of_the_last_record() -> None:
    first, second = (f"ca.example; accounturi={ACCOUNT}; persistUntil={time}" for time in (100, 200))
    assert ends([first, second, "x"], owner=OLD, name="example.com") == datetime.fromtimestamp(200, UTC)
    assert ends([first, f"ca.example; accounturi={ACCOUNT}"], owner=OLD, name="example.com") is None
    assert ends([], owner=OLD, name="example.com") is None
