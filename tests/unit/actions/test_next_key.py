"""What the answers of name servers mean for a staged key."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from acmectl.actions.next_key import Staging, judge, staging_of, usable_from
from acmectl.dns.tlsa import Looked, Said
from acmectl.identifiers import parse_any
from acmectl.pki.keys import KeySpec, generate_key, public_bytes_of
from acmectl.pki.tlsa import fingerprint, record_value
from acmectl.storage.next_keys import NextKey

NOW = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
PEM = generate_key(KeySpec.ecdsa())
SPKI = public_bytes_of(PEM)
KEY = NextKey(key_pem=PEM, digest=fingerprint(SPKI), staged=NOW - 24 * HOUR)
NEXT, OTHER, OF_CA = record_value(KEY.digest), record_value("00" * 32), f"2 1 1 {'00' * 32}"


def looked(*values: str, name: str = "_443._tcp.a.example", ttl: int = 3600, **more: tuple[str, ...]) -> Looked:
    """Both servers say ``values``; ``second`` is what the other one says instead."""
    said = (Said(server="ns1", values=values), Said(server="ns2", values=more.get("second", values)))
    return Looked(name=name, said=said, ttl=ttl)


def test_a_record_that_is_seen_first_is_noted_and_waited_for() -> None:
    verdict = judge(KEY, SPKI, [looked(OTHER, NEXT)], NOW)
    assert not verdict.ready
    assert (verdict.key.seen, verdict.key.ttl) == (NOW, 3600)
    assert "2026-06-01 13:00:00 UTC" in verdict.why


def test_a_clock_that_was_far_ahead_leaves_no_moment_that_cannot_be() -> None:
    key = replace(KEY, seen=datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC), ttl=3600)
    assert (until := usable_from(key)) is not None
    assert until > NOW
    assert judge(key, SPKI, [looked(NEXT)], NOW).key.seen == NOW


@pytest.mark.parametrize(("waited", "ready"), [(HOUR - timedelta(seconds=1), False), (HOUR, True)])
def test_it_is_ready_after_its_ttl(waited: timedelta, *, ready: bool) -> None:
    verdict = judge(replace(KEY, seen=NOW - waited), SPKI, [looked(OTHER, NEXT)], NOW)
    assert verdict.ready is ready


def test_the_largest_ttl_since_it_was_staged_counts() -> None:
    lacking = judge(KEY, SPKI, [looked(OTHER, ttl=86400)], NOW).key
    seen = judge(lacking, SPKI, [looked(OTHER, NEXT, ttl=60)], NOW).key
    assert usable_from(seen) == NOW + timedelta(days=1)
    assert not judge(seen, SPKI, [looked(OTHER, NEXT, ttl=60)], NOW + HOUR).ready


@pytest.mark.parametrize(
    "found",
    [
        [looked(OTHER)],
        [looked(OTHER, NEXT, second=(OTHER,))],
        [looked(OTHER, NEXT, second=())],
        [looked(OTHER, NEXT), looked(OTHER, name="_443._tcp.b.example")],
        [],
        [looked()],
        [looked(OF_CA)],
    ],
    ids=["no server", "one server lacks it", "one server has none", "one name lacks it", "no name", "none", "CA only"],
)
def test_a_record_that_is_not_everywhere_begins_anew(found: list[Looked]) -> None:
    verdict = judge(replace(KEY, seen=NOW - 24 * HOUR), SPKI, found, NOW)
    assert not verdict.ready
    assert not verdict.unknown
    assert verdict.key.seen is None


def test_names_without_records_of_keys_do_not_count() -> None:
    found = [looked(OTHER, NEXT), looked(name="_25._tcp.a.example"), looked(OF_CA, name="_443._tcp.b.example")]
    assert judge(replace(KEY, seen=NOW - HOUR), SPKI, found, NOW).ready


@pytest.mark.parametrize(
    "found",
    [
        Looked(name="_443._tcp.b.example", problem="no zone"),
        Looked(name="_443._tcp.b.example", said=(Said(server="ns1", problem="no answer"),)),
    ],
)
def test_dns_that_is_out_of_order_teaches_nothing(found: Looked) -> None:
    seen = replace(KEY, seen=NOW - 24 * HOUR, ttl=60)
    verdict = judge(seen, SPKI, [looked(OTHER, NEXT), found], NOW)
    assert verdict.unknown
    assert not verdict.ready
    assert verdict.key.seen == seen.seen


def test_a_time_in_the_future_is_not_believed() -> None:
    assert judge(replace(KEY, seen=NOW + 24 * HOUR), SPKI, [looked(NEXT)], NOW).key.seen == NOW


def test_the_records_are_those_of_hosts_and_ports() -> None:
    staging = Staging(services=("443", "25"), hosts=("b.w.example", "a.example"))
    names = [parse_any(text) for text in ("a.example", "*.w.example", "192.0.2.1")]
    assert staging.owners(names) == (
        "_443._tcp.a.example",
        "_25._tcp.a.example",
        "_443._tcp.b.w.example",
        "_25._tcp.b.w.example",
    )


@pytest.mark.parametrize(
    "more", [{"csr": "x"}, {"key": "pkcs11:x"}, {"stage_next_key": "true"}, {"stage_next_key": False}]
)
def test_a_lineage_that_cannot_stage_does_not(more: dict[str, object]) -> None:
    assert staging_of({"stage_next_key": True}) == Staging()
    assert staging_of({"stage_next_key": True, **more}) is None
