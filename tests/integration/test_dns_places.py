"""Where a record belongs and when it is there, asked of real name servers."""

from __future__ import annotations

import contextlib
import socket
import threading
from dataclasses import replace

import pytest

from acmectl.clock import SystemClock
from acmectl.dns.propagation import Expected, wait_until_visible
from acmectl.dns.question import Outcome, Server, ask
from acmectl.dns.resolver import Resolver, parse_server
from acmectl.dns.zones import AliasError, ZoneFinder
from acmectl.errors import AuthorizationFailed, ConfigError, Interrupted, NameServerError, PluginError
from acmectl.interrupts import Interrupts
from acmectl.plugin.api import DnsSettings
from acmectl.plugin.dns import TxtRecord
from acmectl.plugin.dns_authenticator import authenticator_for
from acmectl.plugin.testing import make_context, make_task
from acmectl_plugins.dns_rfc2136 import Rfc2136
from tests.integration.servers.dns_lab import (
    DEAD,
    KNOT,
    POWERDNS,
    PRIMARY,
    PRIMARY6,
    RESOLVER,
    ROOT,
    SECONDARY,
    SHUT,
    DnsLab,
    secret,
)

CREDENTIALS = {"server": PRIMARY, "name": "acmectl-key", "secret": secret("acmectl-key"), "algorithm": "HMAC-SHA256"}


@pytest.fixture
def lab(dns_lab):
    with dns_lab.inside():
        yield dns_lab


@pytest.fixture
def finder(lab):
    return ZoneFinder(Resolver([Server(address=RESOLVER)]))


@pytest.fixture
def deaf(lab):
    """Counts the questions that came to ``DEAD`` and got no answer."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.bind((DEAD, 53))
        listener.setblocking(False)

        def count():
            questions = 0
            with contextlib.suppress(BlockingIOError):
                while listener.recv(4096):
                    questions += 1
            return questions

        yield count


def provider():
    return Rfc2136({}, CREDENTIALS, make_context())


def put(*records, away=False):
    """Add or remove ``(name, value, zone)`` at the primary."""
    plugin = provider()
    for name, value, zone in records:
        record = TxtRecord(name=name, value=value, zone=zone)
        (plugin.remove if away else plugin.add)(record)
    plugin.commit()


@pytest.fixture
def authenticator(lab):
    warnings, said = [], []

    def make(**settings):
        context = replace(
            make_context(warn=warnings.append),
            credentials=lambda _path: {f"dns_rfc2136_{name}": value for name, value in CREDENTIALS.items()},
            dns=DnsSettings(resolvers=(RESOLVER,), **settings),
            progress=lambda what, _seconds: said.append(what),
        )
        return authenticator_for("rfc2136", Rfc2136)({"credentials": "x.ini"}, context)

    make.warnings, make.said = warnings, said
    return make


class TestPlaces:
    @pytest.mark.parametrize(
        ("asked", "name", "zone", "servers"),
        [
            ("_acme-challenge.a.example.test", None, "example.test", {PRIMARY, PRIMARY6, SECONDARY}),
            ("_acme-challenge.deep.below.a.example.test", None, "example.test", {PRIMARY, PRIMARY6, SECONDARY}),
            ("_acme-challenge.example.test", None, "example.test", {PRIMARY, PRIMARY6, SECONDARY}),
            ("_acme-challenge.alias.example.test", "alias.acme-delegate.test", "acme-delegate.test", {POWERDNS}),
            ("_acme-challenge.chain.example.test", "chain.knot.test", "knot.test", {KNOT}),
            (
                "_acme-challenge.deleg.example.test",
                "_acme-challenge.deleg.example.test",
                "_acme-challenge.deleg.example.test",
                {KNOT},
            ),
            ("_acme-challenge.hidden.test", None, "hidden.test", {SECONDARY}),
            ("_acme-challenge.lost.test", None, "lost.test", {PRIMARY, PRIMARY6}),
        ],
    )
    def test_a_name_leads_to_a_record_a_zone_and_all_its_servers(self, finder, asked, name, zone, servers):
        place = finder.locate(asked)
        assert (place.name, place.zone) == (name or asked, zone)
        assert {server.address for server in place.servers} == servers
        assert place.unconfirmed is None

    def test_every_alias_on_the_way_is_told(self, finder):
        place = finder.locate("_acme-challenge.chain.example.test")
        assert place.chain == (
            "_acme-challenge.chain.example.test",
            "one.second.test",
            "two.second.test",
            "chain.knot.test",
        )

    def test_a_circle_of_aliases_is_reported_with_the_chain(self, finder):
        with pytest.raises(AliasError) as caught:
            finder.locate("_acme-challenge.loop.example.test")
        chain = "_acme-challenge.loop.example.test -> loop.second.test -> _acme-challenge.loop.example.test"
        assert f"its aliases (CNAME) go round in a circle: {chain}." in caught.value.message

    def test_an_alias_to_a_lame_server_is_reported_with_the_chain(self, finder):
        with pytest.raises(AliasError) as caught:
            finder.locate("_acme-challenge.lame.example.test")
        assert "_acme-challenge.lame.example.test -> lame.lame.test" in caught.value.message
        assert "lame.test" in caught.value.hint

    def test_aliases_that_are_given_are_not_looked_up(self, lab):
        given = {"_acme-challenge.a.nowhere.invalid": "a.knot.test"}
        finder = ZoneFinder(Resolver([Server(address=RESOLVER)]), aliases=given)
        place = finder.locate("_acme-challenge.a.nowhere.invalid")
        assert (place.name, place.zone) == ("a.knot.test", "knot.test")

    def test_a_name_without_a_zone_is_an_error(self, finder):
        with pytest.raises(NameServerError, match=r"No zone was found for nowhere\.invalid\."):
            finder.locate("_acme-challenge.nowhere.invalid")

    def test_a_zone_whose_servers_are_silent_is_found_by_the_resolver(self, finder):
        place = finder.locate("_acme-challenge.shut.test")
        assert place.zone == "shut.test"
        assert "no answer" in place.unconfirmed
        assert [server.address for server in place.servers] == [SHUT]

    def test_a_zone_that_nobody_can_ask_is_an_error_that_says_who_was_asked(self, finder):
        with pytest.raises(NameServerError) as caught:
            finder.locate("_acme-challenge.dead.test")
        assert "dead.test" in caught.value.message
        assert RESOLVER in caught.value.message

    def test_a_resolver_that_is_not_there_is_an_error_with_a_way_out(self, lab):
        finder = ZoneFinder(Resolver([Server(address=DEAD, port=5353)]))
        with pytest.raises(NameServerError) as caught:
            finder.locate("_acme-challenge.example.test")
        assert f"{DEAD} port 5353" in caught.value.message
        assert "--dns-resolver" in caught.value.hint

    def test_a_silent_resolver_is_asked_once_and_then_the_second(self, deaf):
        resolver = Resolver([Server(address=DEAD), Server(address=RESOLVER)])
        assert ZoneFinder(resolver).locate("_acme-challenge.second.test").zone == "second.test"
        assert deaf() == 1

    def test_a_silent_server_costs_its_time_once(self, deaf):
        finder = ZoneFinder(Resolver([Server(address=RESOLVER)]))
        order = finder.servers("halfdead.test")
        finder._servers["halfdead.test"] = tuple(sorted(order, key=lambda server: server.address != DEAD))
        for number in range(5):
            finder.locate(f"_acme-challenge.host{number}.halfdead.test")
        assert deaf() == 1


class TestAnswers:
    @pytest.mark.parametrize(
        ("server", "name", "kind", "outcome"),
        [
            (PRIMARY, "example.test", "SOA", Outcome.FOUND),
            (PRIMARY6, "example.test", "SOA", Outcome.FOUND),
            (PRIMARY, "example.test", "TXT", Outcome.NO_DATA),
            (PRIMARY, "nobody.example.test", "TXT", Outcome.NO_NAME),
            (PRIMARY, "_acme-challenge.alias.example.test", "TXT", Outcome.ALIAS),
            (PRIMARY, "_acme-challenge.deleg.example.test", "TXT", Outcome.REFERRAL),
            (ROOT, "www.example.test", "A", Outcome.REFERRAL),
            (KNOT, "example.test", "SOA", Outcome.REFUSED),
            (SECONDARY, "second.test", "SOA", Outcome.REFUSED),
            (DEAD, "example.test", "SOA", Outcome.SILENT),
            (SHUT, "shut.test", "SOA", Outcome.SILENT),
            ("2001:db8::1", "example.test", "SOA", Outcome.UNREACHABLE),
        ],
    )
    def test_what_a_server_says_has_one_meaning(self, lab, server, name, kind, outcome):
        assert ask(Server(address=server), name, kind, timeout=0.5).outcome is outcome

    def test_a_long_answer_comes_over_tcp(self, lab):
        records = [("many.second.test", f"{number:04d}" + "x" * 40, "second.test") for number in range(60)]
        put(*records)
        try:
            reply = ask(Server(address=PRIMARY), "many.second.test", "TXT")
            assert set(reply.values) == {value for _, value, _ in records}
        finally:
            put(*records, away=True)

    @pytest.mark.parametrize("name", ["a" * 64 + ".test", "a..test", ".".join(["a" * 60] * 5), "ä\udc80.test"])
    def test_a_name_that_cannot_be_asked_for_is_no_crash(self, lab, name):
        assert ask(Server(address=PRIMARY), name, "TXT").outcome in (Outcome.BROKEN, Outcome.REFUSED)

    @pytest.mark.parametrize(
        "text", ["", "resolver.example", "192.0.2.1:0", "192.0.2.1:x", "[::1", "1.2.3", "::1]:53x"]
    )
    def test_a_resolver_that_is_no_address_is_refused(self, text):
        with pytest.raises(ConfigError):
            parse_server(text)

    @pytest.mark.parametrize(
        ("text", "address", "port"),
        [
            ("192.0.2.1", "192.0.2.1", 53),
            ("192.0.2.1:5353", "192.0.2.1", 5353),
            ("2001:db8::1", "2001:db8::1", 53),
            ("[2001:db8::1]:5353", "2001:db8::1", 5353),
        ],
    )
    def test_a_resolver_is_an_address_with_or_without_a_port(self, text, address, port):
        assert parse_server(text) == Server(address=address, port=port)


class TestWaiting:
    def look(self, lab, *expected, timeout=10.0, interrupts=None, progress=lambda _what, _seconds: None):
        interrupts = interrupts or Interrupts()
        finder = ZoneFinder(Resolver([Server(address=RESOLVER)]))
        return wait_until_visible(
            [
                Expected(name=name, value=value, zone=zone, servers=finder.servers(zone))
                for name, value, zone in expected
            ],
            clock=SystemClock(interrupts),
            interrupts=interrupts,
            timeout=timeout,
            progress=progress,
        )

    def test_all_servers_of_all_zones_are_looked_at(self, lab):
        records = [("w.example.test", "one", "example.test"), ("w.second.test", "two", "second.test")]
        put(*records)
        try:
            found = self.look(lab, *records)
            assert (found.lacking, found.dead, found.blocked) == ((), (), ())
            assert lab.txt("w.example.test", SECONDARY) == {"one"}
        finally:
            put(*records, away=True)

    def test_a_server_that_has_one_of_two_values_lacks_the_other(self, lab):
        here, missing = ("v.second.test", "here", "second.test"), ("v.second.test", "missing", "second.test")
        put(here)
        try:
            found = self.look(lab, here, missing, timeout=0.5)
            assert {one.expected.value for one in found.lacking} == {"missing"}
            assert {one.reply.outcome for one in found.lacking} == {Outcome.FOUND}
        finally:
            put(here, away=True)

    def test_a_slow_secondary_is_waited_for_and_named(self, lab):
        record = ("w.slow.test", "value", "slow.test")
        put(record)
        said = []

        def progress(what, _seconds):
            said.append(what)
            if len(said) == 2:
                lab.push("slow.test")

        try:
            found = self.look(lab, record, timeout=60.0, progress=progress)
            assert found.lacking == ()
            assert said[0] == "ns2.example.test to show w.slow.test"
        finally:
            put(record, away=True)
            lab.push("slow.test")

    def test_what_is_missing_at_the_end_of_the_time_is_told(self, lab):
        record = ("x.slow.test", "value", "slow.test")
        put(record)
        try:
            (lacking,) = self.look(lab, record, timeout=0.5).lacking
            assert (lacking.server.address, lacking.reply.outcome) == (SECONDARY, Outcome.NO_NAME)
        finally:
            put(record, away=True)

    def test_a_zone_of_which_nothing_answers_is_blocked(self, lab):
        found = self.look(lab, ("a.shut.test", "value", "shut.test"), timeout=60.0)
        assert found.blocked == ("shut.test",)
        assert found.dead == ()

    def test_a_server_without_a_route_is_neither_dead_nor_waited_for(self, lab):
        record = ("w.v6.test", "value", "v6.test")
        put(record)
        try:
            found = self.look(lab, record)
            assert (found.lacking, found.dead, found.blocked) == ((), (), ())
        finally:
            put(record, away=True)

    def test_a_secondary_that_stops_answering_is_dead(self, lab):
        record = ("w.hidden.test", "value", "hidden.test")
        both = ("w.example.test", "value", "example.test")
        put(record, both)
        lab.secondary.pause()
        try:
            found = self.look(lab, both, timeout=60.0)
            assert [server.address for server in found.dead] == [SECONDARY]
            assert found.lacking == ()
        finally:
            lab.secondary.resume()
            put(record, both, away=True)

    def test_a_signal_ends_the_wait(self, lab):
        interrupts = Interrupts()
        threading.Timer(0.3, interrupts.request, [15]).start()
        with pytest.raises(Interrupted):
            self.look(lab, ("never.second.test", "value", "second.test"), timeout=60.0, interrupts=interrupts)


class TestAuthenticators:
    def present(self, plugin, *names):
        tasks = [make_task(name, "dns-01", seed=str(number)) for number, name in enumerate(names)]
        try:
            plugin.present(tasks)
            plugin.wait(tasks)
        finally:
            plugin.clean_up(tasks)

    def test_where_nobody_can_look_it_waits_and_says_why(self, authenticator):
        self.present(authenticator(fixed=1.0), "a.shut.test")
        (warning,) = authenticator.warnings
        assert warning.startswith("Nobody can look from here whether the records are there (in shut.test: ")
        assert "waiting 1 seconds instead" in warning
        assert "--no-dns-propagation-check" in warning

    def test_without_the_check_no_server_is_asked(self, authenticator):
        self.present(authenticator(check=False, fixed=0.0), "a.slow.test")
        assert authenticator.warnings == []
        assert authenticator.said == []

    def test_a_name_whose_alias_is_broken_keeps_no_other_from_its_record(self, authenticator):
        with pytest.raises(AuthorizationFailed) as caught:
            self.present(authenticator(), "a.second.test", "loop.example.test", "lame.example.test")
        assert {str(one.identifier) for one in caught.value.failures} == {"loop.example.test", "lame.example.test"}
        assert any("go round in a circle" in one.reason for one in caught.value.failures)

    def test_a_server_without_the_zone_an_alias_leads_to_is_told_with_the_alias(self, authenticator):
        with pytest.raises(PluginError) as caught:
            self.present(authenticator(), "chain.example.test")
        assert "_acme-challenge.chain.example.test is an alias (CNAME) of chain.knot.test" in caught.value.message


class Journal:
    """Keeps the notes that the engine keeps on disk."""

    def __init__(self):
        self.notes = {}

    def note(self, records):
        self.notes |= {(one.name, one.value): one for one in records}

    def forget(self, records):
        for one in records:
            self.notes.pop((one.name, one.value), None)


def test_only_what_was_taken_away_is_forgotten(lab):
    journal = Journal()
    context = replace(
        make_context(),
        credentials=lambda _path: {f"dns_rfc2136_{name}": value for name, value in CREDENTIALS.items()},
        records=journal,
    )
    plugin = authenticator_for("rfc2136", Rfc2136)({"credentials": "x.ini"}, context)
    here = TxtRecord(name="here.second.test", value="value", zone="second.test")
    elsewhere = TxtRecord(name="elsewhere.knot.test", value="value", zone="knot.test")
    put((here.name, here.value, here.zone))
    journal.note([here, elsewhere])
    with pytest.raises(PluginError, match="NOTAUTH"):
        plugin.take_away([elsewhere, here])
    assert list(journal.notes) == [("elsewhere.knot.test", "value")]
    assert lab.txt("here.second.test") == set()


def test_what_the_server_refused_to_take_is_not_noted_any_more(lab):
    journal = Journal()
    wrong = {**CREDENTIALS, "name": "unknown-key"}
    context = replace(
        make_context(),
        credentials=lambda _path: {f"dns_rfc2136_{name}": value for name, value in wrong.items()},
        records=journal,
        dns=DnsSettings(resolvers=(RESOLVER,)),
    )
    plugin = authenticator_for("rfc2136", Rfc2136)({"credentials": "x.ini"}, context)
    tasks = [make_task("a.second.test", "dns-01"), make_task("b.second.test", "dns-01")]
    with pytest.raises(PluginError, match="BADKEY"):
        plugin.present(tasks)
    assert len(journal.notes) == 2
    plugin.clean_up(tasks)
    assert journal.notes == {}


def test_the_resolver_does_not_learn_that_a_record_is_missing():
    # It remembers for five seconds, the least that the zones say, what it has once been told is not there.
    with DnsLab(negative_seconds=3600) as lab, lab.inside():
        context = replace(
            make_context(),
            credentials=lambda _path: {f"dns_rfc2136_{name}": value for name, value in CREDENTIALS.items()},
            dns=DnsSettings(resolvers=(RESOLVER,)),
        )
        plugin = authenticator_for("rfc2136", Rfc2136)({"credentials": "x.ini"}, context)
        tasks = [make_task("new.example.test", "dns-01"), make_task("*.new.example.test", "dns-01")]
        plugin.present(tasks)
        try:
            plugin.wait(tasks)
            assert lab.txt(tasks[0].record_name, RESOLVER) == {task.record_value for task in tasks}
        finally:
            plugin.clean_up(tasks)
