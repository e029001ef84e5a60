"""The contract of DNS providers, held by those that go by way of lexicon."""

from __future__ import annotations

import pytest

from acmectl.plugin.testing_dns import DnsProviderContract
from acmectl_plugins import dns_lexicon
from tests.integration.servers.api_gate import ApiGate
from tests.integration.servers.dns_apis import Cloudflare, DigitalOcean, DnsApi, Hetzner, Ovh
from tests.integration.servers.dns_lab import API_KEY, POWERDNS


class ByWeb(DnsProviderContract):
    """A provider whose documented interface is behind the gate."""

    zone = "example.net"
    api: DnsApi

    @pytest.fixture(autouse=True)
    def _only_this_one_is_reachable(self, tmp_path, monkeypatch):
        self.api = self.new_api()
        with ApiGate(tmp_path, self.api) as gate:
            for name, value in gate.environ.items():
                monkeypatch.setenv(name, value)
            yield
        assert gate.refused == []

    def new_api(self) -> DnsApi:
        raise NotImplementedError

    def values(self, name):
        return self.api.values(name)


class TestCloudflare(ByWeb):
    def new_api(self):
        return Cloudflare(self.zone)

    def make(self):
        return dns_lexicon.Cloudflare({}, {"api_token": Cloudflare.token}, self.context)


class TestDigitalOcean(ByWeb):
    def new_api(self):
        return DigitalOcean(self.zone)

    def make(self):
        return dns_lexicon.DigitalOcean({}, {"token": DigitalOcean.token}, self.context)


class TestOvh(ByWeb):
    def new_api(self):
        return Ovh(self.zone)

    def make(self):
        given = {
            "endpoint": "ovh-eu",
            "application_key": Ovh.application,
            "application_secret": Ovh.secret,
            "consumer_key": Ovh.consumer,
        }
        return dns_lexicon.Ovh({}, given, self.context)


class TestHetzner(ByWeb):
    def new_api(self):
        return Hetzner(self.zone)

    def make(self):
        return dns_lexicon.Hetzner({}, {"api_token": Hetzner.token}, self.context)


class TestPowerDns(DnsProviderContract):
    """The real server, in the lab, by the general way."""

    zone = "acme-delegate.test"

    @pytest.fixture(autouse=True)
    def _in_the_lab(self, dns_lab):
        self.lab = dns_lab
        with dns_lab.inside():  # so that the threads that ask live there
            yield

    def make(self):
        given = {
            "provider": "powerdns",
            "pdns_server": f"http://{POWERDNS}:8081",
            "auth_token": API_KEY,
        }
        return dns_lexicon.Lexicon({}, given, self.context)

    def values(self, name):
        return self.lab.txt(name, POWERDNS)
