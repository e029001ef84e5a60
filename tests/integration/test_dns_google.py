"""dns-google by google-auth against an emulated token endpoint and DNS API: what it leaves, and what it says."""

from __future__ import annotations

import json
import logging
import re
import socket
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from acmectl.actions.web import Web
from acmectl.errors import Interrupted, PluginError
from acmectl.plugin.api import DnsSettings
from acmectl.plugin.dns import TxtRecord
from acmectl.plugin.testing import make_context
from acmectl.plugin.testing_dns import DnsProviderContract
from acmectl_plugins import dns_google
from acmectl_plugins.dns_google import Google
from acmectl_plugins.record_sets import unquoted
from tests.integration.servers.google_dns import EMAIL, PROJECT, GoogleDns, RefusedError

A, B, OTHERS = "a" * 43, "b" * 43, "put here by somebody else"
NAME = "_acme-challenge.example.org"


@pytest.fixture
def google(monkeypatch: pytest.MonkeyPatch, tmp_path) -> Iterator[GoogleDns]:
    for name in ("GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_CLOUD_PROJECT", "GCLOUD_PROJECT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path / "gcloud"))
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    with GoogleDns() as server:
        monkeypatch.setenv(dns_google.ENDPOINT_VARIABLE, server.url)
        yield server


class Sleepless:
    """A clock for which sleeping takes no time. ``on_sleep`` is what happens meanwhile."""

    def __init__(self, clock) -> None:
        self._clock, self.slept, self.on_sleep = clock, [], lambda: None

    def now(self):
        return self._clock.now()

    def monotonic(self):
        return sum(self.slept)

    def sleep(self, seconds):
        self.slept.append(seconds)
        self.on_sleep()


class Run:
    """A provider, and what it said."""

    def __init__(self, *, dns: DnsSettings | None = None, **options) -> None:
        self.warnings: list[str] = []
        self.secrets: list[str] = []
        context = make_context(warn=self.warnings.append)
        self.clock = Sleepless(context.clock)
        self.context = replace(
            context,
            clock=self.clock,
            http=Web(context.interrupts),
            dns=dns or DnsSettings(),
            keep_secret=self.secrets.append,
        )
        self.provider = Google(options, {}, self.context)

    def add(self, *records: tuple[str, str], zone: str = "example.org") -> None:
        for name, value in records:
            self.provider.add(TxtRecord(name=name, value=value, zone=zone, ttl=self.provider.ttl))
        self.provider.commit()

    def remove(self, *records: tuple[str, str], zone: str = "example.org") -> None:
        for name, value in records:
            self.provider.remove(TxtRecord(name=name, value=value, zone=zone))
        self.provider.commit()


@pytest.fixture
def key(google: GoogleDns, tmp_path) -> str:
    return str(google.key_file(tmp_path / "key.json"))


def refusal(action) -> PluginError:
    with pytest.raises(PluginError) as caught:
        action()
    error = caught.value
    for text in (error.message, error.hint or ""):
        assert text.isprintable()
        assert "PRIVATE KEY" not in text
    return error


def always(status: int, message: str, reason: str, *, only: str = "/dns/"):
    def before(method: str, path: str) -> None:
        if f"{method} {path}".find(only) >= 0:
            raise RefusedError(status, message, reason)

    return before


def test_a_value_comes_and_goes(google, key):
    zone, run = google.zone("org", "example.org"), Run(credentials=key)
    run.provider.check()
    assert google.seen == []  # nothing is asked of the network before the order
    assert run.provider.find_zone(NAME) == "example.org"
    run.add((NAME, A))
    assert zone.values(NAME) == (60, [f'"{A}"'])
    run.remove((NAME, A))
    assert zone.record_sets == {}
    run.remove((NAME, A))
    assert zone.record_sets == {}
    assert len([request for request in google.seen if request == "POST /token"]) == 1
    assert run.warnings == []


def test_two_values_under_one_name_go_one_by_one(google, key):
    zone, run = google.zone("org", "example.org"), Run(credentials=key)
    run.add((NAME, A), (NAME, B))
    assert zone.values(NAME) == (60, [f'"{A}"', f'"{B}"'])
    run.remove((NAME, A))
    assert zone.values(NAME) == (60, [f'"{B}"'])
    run.remove((NAME, B))
    assert zone.values(NAME) is None


def test_what_others_put_there_stays_with_its_ttl(google, key):
    zone, run = google.zone("org", "example.org"), Run(credentials=key)
    zone.put(NAME, [f'"{OTHERS}"', "without-marks"], ttl=3600)
    zone.put("www.example.org", ["192.0.2.1"], kind="A")
    before = dict(zone.record_sets)
    run.add((NAME, A))
    assert zone.values(NAME) == (3600, [f'"{OTHERS}"', "without-marks", f'"{A}"'])
    run.remove((NAME, A))
    assert zone.record_sets == before


def test_another_run_removes_what_this_one_left(google, key):
    zone = google.zone("org", "example.org")
    Run(credentials=key).add((NAME, A), (NAME, B))
    Run(credentials=key).remove((NAME, A), (NAME, B))
    assert zone.record_sets == {}


def test_several_zones_on_several_pages(google, key):
    google.page = 2
    outer, inner = google.zone("org", "example.org"), google.zone("sub", "sub.example.org")
    private = google.zone("inside", "a.sub.example.org", visibility="private")
    for number in range(5):
        google.zone(f"z{number}", f"z{number}.test")
    run = Run(credentials=key)
    assert run.provider.find_zone("_acme-challenge.z4.test") == "z4.test"
    assert run.provider.find_zone("_acme-challenge.a.sub.example.org") == "sub.example.org"
    run.provider.add(TxtRecord(name=NAME, value=A, zone="example.org", ttl=60))
    run.provider.add(TxtRecord(name="_acme-challenge.sub.example.org", value=B, zone="sub.example.org", ttl=60))
    run.provider.commit()
    assert outer.values(NAME) == (60, [f'"{A}"'])
    assert inner.values("_acme-challenge.sub.example.org") == (60, [f'"{B}"'])
    assert private.record_sets == {}
    assert [len(zone.changes) for zone in google.zones.values()] == [1, 1, 0, 0, 0, 0, 0, 0]


def test_a_hundred_names_are_one_change(google, key):
    zone, run = google.zone("org", "example.org"), Run(credentials=key)
    google.page = 30
    names = [f"_acme-challenge.n{number}.example.org" for number in range(100)]
    for name in names:
        zone.put(name, [f'"{OTHERS}"'])
    zone.put(names[0], ["192.0.2.1"], kind="A")
    before = dict(zone.record_sets)
    run.add(*((name, A) for name in names))
    assert all(zone.values(name) == (300, [f'"{OTHERS}"', f'"{A}"']) for name in names)
    assert len(zone.changes) == 1
    assert len([request for request in google.seen if "/rrsets" in request]) == 8  # four pages, before and after
    run.remove(*((name, A) for name in names))
    assert zone.record_sets == before
    assert len(zone.changes) == 2


def test_it_waits_until_every_server_has_it(google, key):
    google.zone("org", "example.org")
    google.pending = 3
    run = Run(credentials=key)
    run.add((NAME, A))
    assert len(run.clock.slept) == 3
    run.remove((NAME, A))
    assert len(run.clock.slept) == 3  # nobody waits for a removal
    assert run.warnings == []


def test_it_goes_on_after_a_while(google, key):
    zone = google.zone("org", "example.org")
    google.pending = 10**9
    run = Run(credentials=key, dns=DnsSettings(timeout=30.0))
    run.add((NAME, A))
    assert sum(run.clock.slept) == pytest.approx(30)
    assert zone.values(NAME)
    assert "--dns-propagation-timeout" in run.warnings[0]


def test_a_signal_ends_the_wait(google, key):
    google.zone("org", "example.org")
    google.pending = 10**9
    run = Run(credentials=key)
    run.clock.on_sleep = lambda: (run.context.interrupts.request(15), run.context.interrupts.check())
    with pytest.raises(Interrupted):
        run.add((NAME, A))


@pytest.mark.parametrize("others", [[f'"{OTHERS}"'], None])
def test_values_that_change_under_its_hands_are_read_again(google, key, others):
    """412 when a set that is replaced has changed; 409 when one has come where there was none."""
    zone = google.zone("org", "example.org")
    if others:
        zone.put(NAME, others)
    looked = []

    def after(method: str, path: str) -> None:
        if "/rrsets" in path and not looked:
            looked.append(True)
            zone.put(NAME, [*(others or []), '"new"'])

    google.after = after
    Run(credentials=key).add((NAME, A))
    assert looked
    assert zone.values(NAME) == (300, [*(others or []), '"new"', f'"{A}"'])


def test_a_conflict_that_stays_is_told(google, key):
    google.zone("org", "example.org")
    google.before = always(409, "The resource is a CNAME", "alreadyExists", only="POST /dns/")
    assert "The resource is a CNAME" in refusal(lambda: Run(credentials=key).add((NAME, A))).message
    assert len([request for request in google.seen if request.startswith("POST /dns/")]) == 2


def test_no_zone(google, key):
    google.zone("org", "example.org")
    error = refusal(lambda: Run(credentials=key).provider.find_zone("_acme-challenge.example.net"))
    assert "no public zone for _acme-challenge.example.net" in error.message


def test_two_zones_of_one_name(google, key):
    google.zone("one", "example.org")
    google.zone("two", "example.org")
    error = refusal(lambda: Run(credentials=key).provider.find_zone(NAME))
    assert "2 public zones are called example.org: one, two" in error.message


def test_the_project_can_be_named(google, key):
    error = refusal(lambda: Run(credentials=key, project="other").provider.find_zone(NAME))
    assert "does not know the project other" in error.message
    google.zone("org", "example.org")
    named = google.key_file(Path(key).with_name("second.json"), project_id="elsewhere")
    assert Run(credentials=str(named), project=PROJECT).provider.find_zone(NAME) == "example.org"


def test_a_project_that_nobody_names(google, tmp_path):
    path = google.key_file(tmp_path / "key.json", project_id=None)
    assert "--dns-google-project" in refusal(lambda: Run(credentials=str(path)).provider.find_zone(NAME)).hint


def test_default_credentials(google, key, monkeypatch):
    google.zone("org", "example.org")
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", key)
    run = Run()
    run.provider.check()
    assert run.provider.find_zone(NAME) == "example.org"


def test_no_credentials(google):
    run = Run()
    run.provider.check()
    assert refusal(lambda: run.provider.find_zone(NAME)).message == "There are no Google credentials."


def test_a_zone_that_is_gone_meanwhile(google, key):
    google.zone("org", "example.org")
    run = Run(credentials=key)
    run.provider.find_zone(NAME)
    del google.zones["org"]
    assert "does not know the zone example.org (org)" in refusal(lambda: run.add((NAME, A))).message


def test_a_key_that_google_does_not_know(google, tmp_path):
    with GoogleDns() as other:
        stranger = json.loads(other.key_file(tmp_path / "other.json").read_text())["private_key"]
    path = google.key_file(tmp_path / "key.json", private_key=stranger)
    error = refusal(lambda: Run(credentials=str(path)).provider.find_zone(NAME))
    assert f"gives {EMAIL} no access token" in error.message
    assert "Invalid JWT Signature" in error.message


def test_a_token_that_is_not_accepted_is_renewed_then_told(google, key):
    google.zone("org", "example.org")
    run = Run(credentials=key)
    run.provider.find_zone(NAME)
    google.tokens.clear()
    run.add((NAME, A))
    google.before = always(401, "Request had invalid authentication credentials.", "authError")
    assert "does not accept the access token" in refusal(lambda: run.remove((NAME, A))).message


def test_a_role_that_may_only_read(google, key):
    google.zone("org", "example.org")
    google.before = always(403, "Forbidden", "forbidden", only="POST /dns/")
    error = refusal(lambda: Run(credentials=key).add((NAME, A)))
    assert f"does not allow {EMAIL} to do dns.changes.create in the zone example.org (org)" in error.message
    assert "roles/dns.admin" in error.hint


def test_a_role_that_may_not_ask_for_changes(google, key):
    zone = google.zone("org", "example.org")
    google.before = always(403, "Forbidden", "forbidden", only="/changes/")
    run = Run(credentials=key)
    run.add((NAME, A))
    assert zone.values(NAME)
    assert "dns.changes.get" in run.warnings[0]


@pytest.mark.parametrize(("status", "reason"), [(429, "x"), (503, "backendError"), (403, "rateLimitExceeded")])
def test_when_google_is_busy_it_asks_again(google, key, status, reason):
    zone = google.zone("org", "example.org")
    left = [2]

    def before(method: str, path: str) -> None:
        if method == "POST" and "/dns/" in path and left[0]:
            left[0] -= 1
            raise RefusedError(status, "Later", reason)

    google.before = before
    run = Run(credentials=key)
    run.add((NAME, A))
    assert zone.values(NAME)
    google.before = always(status, "Later", reason)
    assert "too busy" in refusal(lambda: run.remove((NAME, A))).message


def test_answers_that_the_api_does_not_have(google, key):
    google.zone("org", 7)  # type: ignore[arg-type]
    google._api = lambda *_: {"managedZones": [{"dnsName": 7}]}
    assert "does not have" in refusal(lambda: Run(credentials=key).provider.find_zone(NAME)).message
    google._api = lambda *_: {"managedZones": "\x1b[31m"}
    assert "does not have" in refusal(lambda: Run(credentials=key).provider.find_zone(NAME)).message


def test_words_of_google_are_shown_as_one_harmless_line(google, key):
    google.before = always(400, f"a\nb\x1b[31m{'x' * 2000}", "invalid")
    assert len(refusal(lambda: Run(credentials=key).provider.find_zone(NAME)).message) < 600


def test_no_answer(google, key, monkeypatch):
    release = threading.Event()
    monkeypatch.setattr(dns_google, "_TIMEOUT", 0.2)
    google.before = lambda method, path: release.wait(10) if "/dns/" in path else None
    try:
        assert (
            "did not answer within 0.2 seconds"
            in refusal(lambda: Run(credentials=key).provider.find_zone(NAME)).message
        )
    finally:
        release.set()


def test_a_token_endpoint_that_is_not_there(google, tmp_path):
    path = google.key_file(tmp_path / "key.json", token_uri="http://127.0.0.1:1/token")
    error = refusal(lambda: Run(credentials=str(path)).provider.find_zone(NAME))
    assert error.message.startswith("http://127.0.0.1:1/token cannot be reached")


def test_nobody_but_the_two_servers_is_asked(google, key, monkeypatch):
    """google-auth's own sessions look something up at a third place, in a thread."""
    google.zone("org", "example.org")
    hosts = []
    look_up = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, *more, **named: hosts.append(host) or look_up(host, *more))
    Run(credentials=key).add((NAME, A))
    assert set(hosts) == {"127.0.0.1"}
    assert not [thread for thread in threading.enumerate() if type(thread).__module__.startswith("google.")]


def test_nothing_there(google, tmp_path, key, monkeypatch):
    monkeypatch.setenv(dns_google.ENDPOINT_VARIABLE, "http://127.0.0.1:1")
    assert "cannot be reached" in refusal(lambda: Run(credentials=key).provider.find_zone(NAME)).message


def test_tokens_are_not_sent_in_the_clear(google, key, monkeypatch):
    monkeypatch.setenv(dns_google.ENDPOINT_VARIABLE, "http://dns.example.net/")
    assert "https" in refusal(lambda: Run(credentials=key).provider.check()).message


@pytest.mark.parametrize("mode", [0o644, 0o640])
def test_a_key_that_others_can_read_is_refused(google, tmp_path, mode):
    path = google.key_file(tmp_path / "key.json")
    path.chmod(mode)
    error = refusal(lambda: Run(credentials=str(path)).provider.check())
    assert f"mode {mode:04o}" in error.message


@pytest.mark.parametrize(
    "content",
    ["", "[]", '{"type": 1}', "dns_x_token = 1", '{"type": "service_account"}', '{"type": "nonsense"}', "\xff\xfe"],
)
def test_what_is_no_key_is_known_before_the_order(google, tmp_path, content):
    path = tmp_path / "key.json"
    path.touch(mode=0o600)
    path.write_text(content, encoding="latin-1")
    assert str(path) in refusal(lambda: Run(credentials=str(path)).provider.check()).message


def test_a_damaged_private_key_is_not_quoted(google, tmp_path):
    path = google.key_file(tmp_path / "key.json", private_key="-----BEGIN PRIVATE KEY-----\nMIIEv\n")
    assert "damaged" in refusal(lambda: Run(credentials=str(path)).provider.check()).message


def test_a_file_that_is_not_there(google, tmp_path):
    assert "cannot be read" in refusal(lambda: Run(credentials=str(tmp_path / "no")).provider.check()).message


@pytest.mark.parametrize("options", [{}, {"credentials": "key"}])
def test_a_missing_sdk_says_how_to_install_it(google, key, monkeypatch, options):
    monkeypatch.setitem(sys.modules, "google.auth", None)
    error = refusal(lambda: Run(**dict.fromkeys(options, key)).provider.check())
    assert "google-auth" in error.message
    assert re.search(r"install.*'acmectl\[google\]'", error.hint)


def test_no_secret_is_logged(google, key, caplog):
    caplog.set_level(logging.INFO)  # the level that acmectl sets for other people's libraries
    google.zone("org", "example.org")
    run = Run(credentials=key)
    run.add((NAME, A))
    assert json.loads(Path(key).read_text())["private_key"] in run.secrets
    assert not [token for token in google.tokens if token in caplog.text]
    assert "PRIVATE KEY" not in caplog.text


class TestContract(DnsProviderContract):
    zone = "example.org"

    @pytest.fixture(autouse=True)
    def _zone(self, google: GoogleDns, key: str) -> None:
        self._key, self._managed = key, google.zone("org", "example.org")

    def make(self) -> Google:
        return Google({"credentials": self._key}, {}, self.context)

    def values(self, name: str) -> set[str]:
        found = self._managed.values(name)
        return {unquoted(value) for value in found[1]} if found else set()
