"""The providers by way of lexicon, against the documented web interfaces: what leaves us, and what is left there."""

from __future__ import annotations

import dataclasses
import json
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from acmectl.errors import Interrupted
from acmectl.plugin.api import Context, PluginError
from acmectl.plugin.dns import DnsProvider, TxtRecord
from acmectl.plugin.dns_authenticator import authenticator_for
from acmectl.plugin.testing import make_context
from acmectl.storage.credentials import CredentialsFiles
from acmectl_plugins import dns_lexicon
from acmectl_plugins.dns_lexicon import LexiconProvider
from tests.integration.servers.api_gate import ApiGate
from tests.integration.servers.dns_apis import Cloudflare, DigitalOcean, DnsApi, Hetzner, Ovh

ZONE = "example.co.uk"
NAME = f"_acme-challenge.www.{ZONE}"
ONE, TWO = "a" * 43, "b" * 43

FILES = {
    Cloudflare: f"dns_cloudflare_api_token = {Cloudflare.token}\n",
    DigitalOcean: f"dns_digitalocean_token = {DigitalOcean.token}\n",
    Ovh: (
        "dns_ovh_endpoint = ovh-eu\n"
        f"dns_ovh_application_key = {Ovh.application}\n"
        f"dns_ovh_application_secret = {Ovh.secret}\n"
        f"dns_ovh_consumer_key = {Ovh.consumer}\n"
    ),
    Hetzner: f"dns_hetzner_api_token = {Hetzner.token}\n",
}
CLASSES: dict[type[DnsApi], type[DnsProvider]] = {
    Cloudflare: dns_lexicon.Cloudflare,
    DigitalOcean: dns_lexicon.DigitalOcean,
    Ovh: dns_lexicon.Ovh,
    Hetzner: dns_lexicon.Hetzner,
}
KINDS = tuple(FILES)


class World:
    """One provider with its gate; makes our side of it as the engine does, from a credentials file."""

    def __init__(self, api: DnsApi, gate: ApiGate, folder: Path) -> None:
        self.api, self.gate = api, gate
        self.secrets: list[str] = []
        self.context: Context = dataclasses.replace(
            make_context(), credentials=CredentialsFiles({}), keep_secret=self.secrets.append
        )
        self.kind = CLASSES[type(api)]
        self.name = type(api).__name__.lower()
        self.file = folder / "credentials.ini"
        self.write(FILES[type(api)])

    def write(self, text: str) -> None:
        """Make the credentials file."""
        self.file.write_text(text)
        self.file.chmod(0o600)
        self.context = dataclasses.replace(self.context, credentials=CredentialsFiles({}))

    def provider(self) -> LexiconProvider:
        """A new instance, as in a new process."""
        authenticator = authenticator_for(self.name, self.kind)({"credentials": str(self.file)}, self.context)
        provider = authenticator._provider()
        assert isinstance(provider, LexiconProvider)
        return provider

    def record(self, value: str = ONE, *, name: str = NAME, zone: str = ZONE) -> TxtRecord:
        """A record as the engine would hand it over."""
        return TxtRecord(name=name, value=value, zone=zone, ttl=self.kind.ttl)

    def refusal(self, record: TxtRecord | None = None) -> PluginError:
        """What is said when a record cannot be added: one clean line without secrets."""
        with pytest.raises(PluginError) as caught:
            self.provider().add(record or self.record())
        text = f"{caught.value.message} {caught.value.hint}"
        assert text.isprintable()
        for line in self.file.read_text().splitlines():
            key, _, value = line.partition(" = ")
            assert value not in text or key.endswith(("endpoint", "email"))
        assert caught.value.__cause__ is None
        assert caught.value.__suppress_context__ or caught.value.__context__ is None
        return caught.value


@pytest.fixture
def gate(tmp_path, monkeypatch) -> Iterator[ApiGate]:
    """All four providers behind one proxy; nothing else can be reached."""
    with ApiGate(tmp_path, *(kind(ZONE) for kind in KINDS)) as proxy:
        for name, value in proxy.environ.items():
            monkeypatch.setenv(name, value)
        yield proxy


@pytest.fixture(params=KINDS, ids=lambda kind: kind.__name__.lower())
def world(request, gate, tmp_path) -> Iterator[World]:
    """Each provider in turn. No test may have asked anybody else for anything."""
    yield World(gate.apis[request.param.host], gate, tmp_path)
    assert gate.refused == []


def only(kind, gate, tmp_path) -> World:
    return World(gate.apis[kind.host], gate, tmp_path)


def test_two_values_stand_side_by_side_and_are_removed_one_by_one(world):
    world.api.put(NAME, "foreign")
    provider = world.provider()
    provider.add(world.record(ONE))
    provider.add(world.record(TWO))
    assert world.api.values(NAME) == sorted(["foreign", ONE, TWO])
    provider.remove(world.record(ONE))
    assert world.api.values(NAME) == sorted(["foreign", TWO])
    provider.remove(world.record(ONE))
    assert world.api.values(NAME) == sorted(["foreign", TWO])
    provider.remove(world.record(TWO))
    assert world.api.values(NAME) == ["foreign"]


def test_adding_what_is_there_changes_nothing(world):
    world.provider().add(world.record(ONE))
    second = world.provider()
    second.add(world.record(ONE))
    assert world.api.values(NAME) == [ONE]
    second.remove(world.record(ONE))
    assert world.api.values(NAME) == []


def test_a_later_process_removes_what_an_earlier_one_added(world):
    world.provider().add(world.record(ONE))
    world.provider().remove(world.record(ONE))
    assert world.api.values(NAME) == []
    world.provider().remove(world.record(ONE))


def test_records_get_the_ttl_of_certbot_s_plugin(world):
    world.provider().add(world.record())
    assert [one.ttl for one in world.api.records] == [{"cloudflare": 120, "digitalocean": 30}.get(world.name, 60)]


def test_names_that_end_alike_are_left_alone(world):
    other = f"_acme-challenge.{ZONE}"
    world.provider().add(world.record(ONE, name=other))
    world.provider().add(world.record(ONE))
    world.provider().remove(world.record(ONE, name=other))
    assert (world.api.values(other), world.api.values(NAME)) == ([], [ONE])


def test_the_zone_s_own_name_can_have_the_record_for_an_alias_may_lead_there(world):
    world.provider().add(world.record(ONE, name=ZONE))
    world.provider().add(world.record(TWO, name=ZONE))
    assert world.api.values(ZONE) == [ONE, TWO]
    world.provider().remove(world.record(ONE, name=ZONE))
    assert world.api.values(ZONE) == [TWO]


def test_one_zone_is_authenticated_for_once(world):
    provider = world.provider()
    provider.add(world.record(ONE))
    provider.add(world.record(TWO))
    provider.remove(world.record(ONE))
    first = world.api.lines()[0]
    assert world.api.lines().count(first) == 1


def test_a_zone_that_the_provider_has_only_as_part_of_another_is_found(world):
    record = world.record(ONE, zone=f"www.{ZONE}")
    world.provider().add(record)
    assert world.api.values(NAME) == [ONE]
    world.provider().remove(record)
    assert world.api.values(NAME) == []


def test_a_zone_that_is_not_there_is_said_once_and_not_asked_for_again(world):
    provider = world.provider()
    strange = world.record(name="_acme-challenge.www.elsewhere.example", zone="elsewhere.example")
    error = world.refusal(strange)
    assert "has no zone for _acme-challenge.www.elsewhere.example" in error.message
    assert "elsewhere.example" in error.message
    assert str(world.file) in error.hint
    for _ in range(3):
        with pytest.raises(PluginError, match="has no zone for"):
            provider.add(strange)
        asked = len(world.api.asked)
    provider.remove(strange)
    assert len(world.api.asked) == asked
    with pytest.raises(PluginError, match="has no zone for"):
        world.provider().remove(strange)


def test_a_wrong_token_is_said_and_tried_once(world):
    world.write(FILES[type(world.api)].replace("0123456789", "9999999999").replace("ovh-consumer", "ovh-other"))
    error = world.refusal()
    assert "does not accept the credentials (status 40" in error.message
    assert str(world.file) in error.hint
    provider = world.provider()
    with pytest.raises(PluginError):
        provider.add(world.record(ONE))
    asked = len(world.api.asked)
    with pytest.raises(PluginError):
        provider.add(world.record(TWO))
    assert len(world.api.asked) == asked


def test_a_token_that_may_only_read_is_called_that(world):
    world.api.read_only = True
    error = world.refusal()
    assert f"does not let these credentials change the zone {ZONE} (status 403" in error.message
    assert "read-only" in error.hint
    assert world.api.values(NAME) == []


def test_a_service_that_never_answers_is_given_up(world, monkeypatch):
    monkeypatch.setattr(world.kind, "patience", 0.3)
    world.api.silent = True
    error = world.refusal()
    assert error.message.endswith(f"did not answer for the zone {ZONE} in 0.3 seconds.")


def test_what_was_never_sent_is_not_removed_and_the_silent_are_waited_for_less(world, monkeypatch):
    provider = world.provider()
    provider.add(world.record(ONE))
    monkeypatch.setattr(world.kind, "patience", 0.3)
    monkeypatch.setattr(dns_lexicon, "_HURRIED", 0.1)
    world.api.silent = True
    with pytest.raises(PluginError, match=r"in 0\.3 seconds"):
        provider.remove(world.record(ONE))
    with pytest.raises(PluginError, match=r"in 0\.1 seconds"):
        provider.add(world.record(TWO))
    asked = len(world.api.asked)
    provider.remove(world.record(TWO))
    assert len(world.api.asked) == asked
    world.api.silent = False
    monkeypatch.setattr(world.kind, "patience", 120.0)
    world.provider().remove(world.record(ONE))
    assert world.api.values(NAME) == []


def test_a_signal_ends_the_waiting_for_a_silent_service(world):
    world.api.silent = True
    provider = world.provider()
    threading.Timer(0.2, world.context.interrupts.request, (signal.SIGTERM,)).start()
    with pytest.raises(Interrupted):
        provider.add(world.record())


def test_every_secret_is_kept_from_the_logs(world):
    world.provider()
    text = world.file.read_text()
    assert world.secrets
    assert all(secret in text for secret in world.secrets)
    assert not {"ovh-eu", "admin@example.com"} & set(world.secrets)


def test_cloudflare_is_asked_as_documented(gate, tmp_path):
    world = only(Cloudflare, gate, tmp_path)
    provider = world.provider()
    provider.add(world.record())
    provider.remove(world.record())
    records = f"/client/v4/zones/{Cloudflare.identifier}/dns_records"
    zones, posted, listed, deleted = world.api.asked
    assert [(one.method, one.path.rpartition("/")[0] if one is deleted else one.path) for one in world.api.asked] == [
        ("GET", "/client/v4/zones"),
        ("POST", records),
        ("GET", records),
        ("DELETE", records),
    ]
    assert all(one.headers["authorization"] == f"Bearer {Cloudflare.token}" for one in world.api.asked)
    assert zones.query == {"page": "1", "per_page": "100"}
    body = {"type": "TXT", "name": NAME, "content": ONE, "ttl": 120}
    assert {key: posted.json[key] for key in body} == body
    assert {"type": "TXT", "name": NAME, "content": ONE}.items() <= listed.query.items()


def test_cloudflare_s_global_key_goes_into_its_own_headers(gate, tmp_path):
    world = only(Cloudflare, gate, tmp_path)
    world.write(f"dns_cloudflare_email = {Cloudflare.email}\ndns_cloudflare_api_key = {Cloudflare.key}\n")
    world.provider().add(world.record())
    assert world.api.values(NAME) == [ONE]
    assert {one.headers["x-auth-email"] for one in world.api.asked} == {Cloudflare.email}
    assert {one.headers["x-auth-key"] for one in world.api.asked} == {Cloudflare.key}
    assert not any("authorization" in one.headers for one in world.api.asked)


def test_digitalocean_is_asked_as_documented(gate, tmp_path):
    world = only(DigitalOcean, gate, tmp_path)
    provider = world.provider()
    provider.add(world.record())
    number = world.api.records[0].number
    provider.remove(world.record())
    domain = f"/v2/domains/{ZONE}"
    assert world.api.lines() == [
        f"GET {domain}",
        f"GET {domain}/records",
        f"POST {domain}/records",
        f"GET {domain}/records",
        f"DELETE {domain}/records/{number}",
    ]
    assert all(one.headers["authorization"] == f"Bearer {DigitalOcean.token}" for one in world.api.asked)
    assert world.api.asked[2].json == {"type": "TXT", "name": "_acme-challenge.www", "data": ONE, "ttl": 30}


def test_ovh_is_asked_as_documented(gate, tmp_path):
    world = only(Ovh, gate, tmp_path)
    provider = world.provider()
    provider.add(world.record())
    number = world.api.records[0].number
    provider.remove(world.record())
    zone = f"/1.0/domain/zone/{ZONE}"
    assert world.api.lines() == [
        "GET /1.0/auth/time",
        "GET /1.0/domain/zone/",
        f"GET {zone}/status",
        f"GET {zone}/record",
        f"GET {zone}/record",
        f"POST {zone}/record",
        f"POST {zone}/refresh",
        f"GET {zone}/record",
        f"GET {zone}/record/{number}",
        f"DELETE {zone}/record/{number}",
        f"POST {zone}/refresh",
    ]
    posted = world.api.asked[5]
    assert posted.json == {"fieldType": "TXT", "subDomain": "_acme-challenge.www", "target": ONE, "ttl": 60}
    assert not any(Ovh.secret in json.dumps(one.headers) for one in world.api.asked)


def test_hetzner_is_asked_as_documented_and_its_actions_are_waited_for(gate, tmp_path):
    world = only(Hetzner, gate, tmp_path)
    provider = world.provider()
    provider.add(world.record())
    rrset = "/v1/zones/42/rrsets/_acme-challenge.www/TXT/actions"
    provider.remove(world.record())
    lines = [line for line in world.api.lines() if "/zones/actions/" not in line]
    assert lines == [
        f"GET /v1/zones/{ZONE}",
        "GET /v1/zones/42/rrsets",
        f"POST {rrset}/add_records",
        f"POST {rrset}/remove_records",
    ]
    assert any("/zones/actions/" in line for line in world.api.lines())
    assert all(one.headers["authorization"] == f"Bearer {Hetzner.token}" for one in world.api.asked)
    added = next(one for one in world.api.asked if one.path.endswith("add_records"))
    assert added.json == {"ttl": 60, "records": [{"value": f'"{ONE}"'}]}


def test_a_network_that_is_shut_is_said_in_one_line(gate, tmp_path):
    world = only(Cloudflare, gate, tmp_path)
    gate.apis.clear()
    assert world.refusal().message == "Cloudflare cannot be reached through the proxy."
    assert set(gate.refused) == {"api.cloudflare.com"}


def test_a_certificate_of_somebody_else_is_not_trusted(gate, tmp_path, monkeypatch):
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name)
    error = only(Cloudflare, gate, tmp_path).refusal()
    assert "certificate is not valid" in error.message
