"""CAA records on BIND: what the CA would refuse is told beside the order, and is never what a run fails of."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.integration.cli import Acmectl, Outcome
from tests.integration.servers.between import Answer, Between
from tests.integration.servers.dns_lab import DEAD, PRIMARY, RESOLVER, DnsLab
from tests.integration.servers.pebble import Pebble, PebbleConfig
from tests.integration.servers.process import free_port

NAMES = tuple(f"host{number}.caa.test" for number in range(100))


@pytest.fixture(scope="module")
def named_pebble(dns_lab: DnsLab) -> Iterator[Pebble]:
    """A CA with a name of its own in CAA records. Pebble itself looks at none, so that it issues in the end."""
    with dns_lab.pebble(PebbleConfig(dns_server=f"{RESOLVER}:53", caa_identities=("ca.example", "ca.test"))) as server:
        yield server


@pytest.fixture
def acmectl(dns_lab: DnsLab, named_pebble: Pebble, tmp_path: Path) -> Iterator[Acmectl]:
    with dns_lab.acmectl(named_pebble, tmp_path) as program:
        yield program


def warnings(done: Outcome) -> list[str]:
    return [line.removeprefix("Warning: ") for line in done.err.splitlines() if line.startswith("Warning: ")]


def asked(lab: DnsLab, before: int) -> list[str]:
    """Names whose CAA records BIND was asked for."""
    return re.findall(r"query: (\S+) IN CAA", lab.primary.log_text()[before:])


def refusal(names: str, where: str, reason: str) -> list[str]:
    return [f"The CA (ca.example or ca.test) will refuse {names}: CAA at {where} forbids it, {reason}."]


@pytest.mark.parametrize(
    ("name", "where", "reason"),
    [
        ("www.caa.test", "caa.test", "it names only other.example"),
        ("a.b.www.caa.test", "caa.test", "it names only other.example"),
        ("nobody.caa.test", "nobody.caa.test", "it allows no CA to issue"),
        ("wild.caa.test", "wild.caa.test", "it names only other.example"),
        (
            "account.caa.test",
            "account.caa.test",
            "it allows ca.example for the account https://ca.example/Acct/1 only",
        ),
        ("method.caa.test", "method.caa.test", "it allows ca.example by dns-01, x only, not by http-01"),
        ("critical.caa.test", "critical.caa.test", "it has the critical property tbs, which the CA has to know"),
        ("blank.caa.test", "caa.test", "it names only other.example"),
    ],
)
def test_what_the_ca_would_refuse_is_told_in_one_line(acmectl: Acmectl, name: str, where: str, reason: str) -> None:
    done = acmectl.certonly(name)
    assert warnings(done) == refusal(name, where, reason)
    assert acmectl.names(name) == [name]


def test_of_several_cas_the_one_that_is_asked_in_the_end_is_looked_at(acmectl: Acmectl, named_pebble: Pebble) -> None:
    gone = f"https://127.0.0.1:{free_port()}/dir"
    options = ("--standalone", "--server", gone, "--server", named_pebble.directory_url)
    passed_over, *said = warnings(acmectl.certonly("www.caa.test", options=options))
    assert passed_over.startswith(f"The CA at {gone} is passed over")
    assert said == refusal("www.caa.test", "caa.test", "it names only other.example")
    passed_over, *said = warnings(acmectl.certonly("ours.caa.test", options=options))
    assert said == []


@pytest.mark.parametrize("name", ["ours.caa.test", "below.ours.caa.test", "alias.caa.test", "second.test"])
def test_nothing_is_said_where_it_may_issue(acmectl: Acmectl, name: str) -> None:
    assert warnings(acmectl.run("certonly", "-n", "--agree-tos", "--standalone", "-d", name)) == []


def test_a_wildcard_has_records_of_its_own(acmectl: Acmectl, dns_lab: DnsLab) -> None:
    flags = ("-a", "dns-rfc2136", "--dns-rfc2136-credentials", str(dns_lab.rfc2136(acmectl.folder / "rfc2136.ini")))
    done = acmectl.certonly("*.wild.caa.test", options=flags)
    assert warnings(done) == []
    dns_lab.forget()
    done = acmectl.certonly("*.wild.caa.test", "wild.caa.test", "*.nobody.caa.test", options=(*flags, "--expand"))
    assert sorted(warnings(done)) == sorted(
        refusal("wild.caa.test", "wild.caa.test", "it names only other.example")
        + refusal("*.nobody.caa.test", "nobody.caa.test", "it allows no CA to issue")
    )


def test_the_account_and_the_method_that_are_named_may(acmectl: Acmectl, dns_lab: DnsLab) -> None:
    flags = ("-a", "dns-rfc2136", "--dns-rfc2136-credentials", str(dns_lab.rfc2136(acmectl.folder / "rfc2136.ini")))
    assert warnings(acmectl.certonly("method.caa.test", options=flags)) == []


def test_a_hundred_names_are_one_line_and_each_is_asked_for_once(acmectl: Acmectl, dns_lab: DnsLab) -> None:
    dns_lab.run("rndc", "-c", str(dns_lab.folder / "rndc.conf"), "-s", PRIMARY, "querylog", "on")
    before = len(dns_lab.primary.log_text())
    flags = ("-a", "dns-rfc2136", "--dns-rfc2136-credentials", str(dns_lab.rfc2136(acmectl.folder / "rfc2136.ini")))
    done = acmectl.certonly(*NAMES, options=flags)
    line = refusal(", ".join(NAMES[:3]) + " and 97 more", "caa.test", "it names only other.example")
    assert warnings(done) == line
    assert sorted(asked(dns_lab, before)) == sorted([*NAMES, "caa.test"])


def test_it_can_be_turned_off_and_stays_so(acmectl: Acmectl, dns_lab: DnsLab) -> None:
    dns_lab.run("rndc", "-c", str(dns_lab.folder / "rndc.conf"), "-s", PRIMARY, "querylog", "on")
    before = len(dns_lab.primary.log_text())
    assert warnings(acmectl.certonly("off.caa.test", options=("--standalone", "--no-caa-check"))) == []
    assert warnings(acmectl.run("renew", "--force-renewal").ok()) == []
    assert asked(dns_lab, before) == []


def test_a_refused_order_is_explained_too(dns_lab: DnsLab, tmp_path: Path) -> None:
    config = PebbleConfig(dns_server=f"{RESOLVER}:53", caa_identities=("ca.example",), blocklist=("caa.test",))
    with dns_lab.pebble(config) as server, dns_lab.acmectl(server, tmp_path) as acmectl:
        done = acmectl.certonly("blocked.caa.test", code=1)
    assert [line.partition(":")[0] for line in warnings(done)] == ["The CA (ca.example) will refuse blocked.caa.test"]


def test_nobody_looks_where_the_ca_has_no_name_in_caa_records(
    dns_lab: DnsLab, named_pebble: Pebble, tmp_path: Path
) -> None:
    def without_names(_method: str, path: str, answer: Answer) -> Answer:
        if path != "/dir":
            return answer
        content = json.loads(answer.body)
        assert content["meta"].pop("caaIdentities")
        return replace(answer, body=json.dumps(content).encode())

    before = len(dns_lab.primary.log_text())
    with dns_lab.inside(), Between(named_pebble) as between, dns_lab.acmectl(named_pebble, tmp_path) as acmectl:
        between.after = without_names
        flags = ("--server", between.directory_url, "--ca-bundle", str(named_pebble.ca_bundle))
        port = ("--http-01-port", str(named_pebble.http_port))
        command = ("certonly", "-n", "--agree-tos", "--standalone", "-d", "unnamed.caa.test")
        done = acmectl.run(*command, *flags, *port, server=False).ok()
    assert warnings(done) == []
    assert asked(dns_lab, before) == []


@pytest.mark.parametrize("resolver", [DEAD, "no address"], ids=["silent", "malformed"])
def test_where_dns_cannot_be_asked_nothing_is_said(acmectl: Acmectl, resolver: str) -> None:
    done = acmectl.certonly("quiet.caa.test", options=("--standalone", "--dns-resolver", resolver))
    assert warnings(done) == []
    assert "CAA records are not looked at" in acmectl.log()
    assert acmectl.names("quiet.caa.test") == ["quiet.caa.test"]


def test_where_the_zone_s_servers_are_dead_nothing_is_said(acmectl: Acmectl) -> None:
    done = acmectl.run("certonly", "-n", "--agree-tos", "--standalone", "-d", "www.dead.test").failed(1)
    assert warnings(done) == []
    assert "www.dead.test" in done.err
