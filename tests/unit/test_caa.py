"""What CAA records allow (RFC 8659 section 4, RFC 8657 sections 3 and 4)."""

from __future__ import annotations

import pytest

from acmectl.dns import caa
from acmectl.dns.caa import CaaFinder, CaaRecord, Issuance, parse_record, why_refused
from acmectl.dns.question import Outcome, Reply, Server

ACCOUNT = "https://ca.example/acct/1"


def refused(*texts: str, wildcard: bool = False, method: str | None = "http-01") -> bool:
    records = [parse_record(text) for text in texts]
    assert None not in records
    issuance = Issuance(identities=("ca.example",), wildcard=wildcard, account_url=ACCOUNT, method=method)
    return why_refused([record for record in records if record is not None], issuance) is not None


@pytest.mark.parametrize(
    "value",
    [
        "ca.example",
        "  CA.example ; ",
        "ca.example;",
        f"ca.example; accounturi={ACCOUNT}",
        f"ca.example; AccountURI={ACCOUNT}; validationmethods=dns-01,http-01",
        "ca.example; policy=ev",
    ],
)
def test_a_record_that_names_the_ca_lets_it_issue(value):
    assert not refused(f'0 issue "{value}"')
    assert not refused('0 issue "other.example"', f'128 issue "{value}"')
    assert refused(f'0 issue "{value}"', '0 issuewild ";"', wildcard=True)


@pytest.mark.parametrize(
    "value",
    [
        "",
        ";",
        "other.example",
        "%%%%%",
        "ca.example policy=ev",
        "ca.example; policy",
        "ca.example.other.example",
        f"ca.example; accounturi={ACCOUNT}0",
        f"ca.example; accounturi={ACCOUNT.upper()}",
        f"ca.example; accounturi={ACCOUNT}; accounturi=https://ca.example/acct/2",
        "ca.example; validationmethods=dns-01",
        "ca.example; validationmethods=",
    ],
)
def test_others_do_not(value):
    assert refused(f'0 issue "{value}"')
    assert refused(f'0 issue "{value}"', wildcard=True)


def test_wildcards_have_a_property_of_their_own():
    assert not refused('0 issue "other.example"', '0 issuewild "ca.example"', wildcard=True)
    assert refused('0 issue "other.example"', '0 issuewild "ca.example"')
    assert not refused('0 issuewild "other.example"')


def test_other_properties_forbid_nothing_unless_they_are_critical():
    assert not refused('0 iodef "mailto:a@b.example"', '0 tbs "x"', '128 iodef "mailto:a@b.example"')
    assert refused('0 issue "ca.example"', '128 tbs "x"')


def test_what_is_not_known_yet_forbids_nothing():
    assert not refused('0 issue "ca.example; validationmethods=dns-01"', method=None)


def test_records_are_read_with_what_is_escaped_in_them():
    assert parse_record(r'0 ISSUE "a\"b\\c\059"') == CaaRecord(flags=0, tag="issue", value='a"b\\c;')
    assert parse_record("0 issue ca.example") is None


class FakeResolver:
    """Knows the zone a.example, and its CAA record."""

    def ask(self, name: str, kind: str) -> Reply:
        if (name, kind) == ("a.example", "CAA"):
            return Reply(outcome=Outcome.FOUND, values=('0 issue "Ca.example"',))
        if (name, kind) == ("a.example", "SOA"):
            return Reply(outcome=Outcome.FOUND, values=("ns.a.example",))
        if (name, kind) == ("a.example", "NS"):
            return Reply(outcome=Outcome.FOUND, values=("ns1.a.example", "ns2.a.example"))
        return Reply(outcome=Outcome.NO_DATA)

    def addresses(self, host: str) -> tuple[str, ...]:
        return ("192.0.2.1",) if host.startswith("ns1") else ("192.0.2.2",)


@pytest.mark.parametrize(
    ("outcome", "asked"), [(Outcome.SILENT, ["192.0.2.1"]), (Outcome.REFUSED, ["192.0.2.1", "192.0.2.2"] * 2)]
)
def test_where_the_servers_of_a_zone_say_nothing_the_resolver_s_word_counts(monkeypatch, outcome, asked):
    servers: list[str] = []

    def ask(server: Server, _name: str, _kind: str, *, timeout: float) -> Reply:
        assert timeout <= 1
        servers.append(server.address)
        return Reply(outcome=outcome)

    monkeypatch.setattr(caa, "ask", ask)
    found = CaaFinder(FakeResolver()).relevant("www.a.example")  # type: ignore[arg-type]
    assert found is not None
    assert (found.name, found.records) == ("a.example", (CaaRecord(flags=0, tag="issue", value="Ca.example"),))
    assert servers == asked
