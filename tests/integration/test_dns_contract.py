"""dns-rfc2136 keeps the contracts that third parties are held to, at BIND and at Knot; no plugin imports its SDK."""

from __future__ import annotations

from dataclasses import replace

import pytest

from acmectl.plugin import registry
from acmectl.plugin.api import DnsSettings
from acmectl.plugin.dns_authenticator import authenticator_for
from acmectl.plugin.testing import AuthenticatorContract, make_context
from acmectl.plugin.testing_dns import DnsProviderContract, foreign_modules
from acmectl_plugins.dns_rfc2136 import Rfc2136
from tests.integration.servers.dns_lab import KNOT, POWERDNS, PRIMARY, RESOLVER, secret

CREDENTIALS = {"server": PRIMARY, "name": "acmectl-key", "secret": secret("acmectl-key"), "algorithm": "hmac-sha256"}


class AtServer(DnsProviderContract):
    server: str

    @pytest.fixture(autouse=True)
    def _there(self, dns_lab):
        self.lab = dns_lab
        with dns_lab.inside():
            yield

    def make(self):
        return Rfc2136({}, {**CREDENTIALS, "server": self.server}, self.context)

    def values(self, name):
        return self.lab.txt(name, self.server)


class TestBind(AtServer):
    server = PRIMARY


class TestKnot(AtServer):
    server = KNOT
    zone = "knot.test"


class TestPowerDns(AtServer):
    server = POWERDNS
    zone = "acme-delegate.test"


class TestAuthenticator(AuthenticatorContract):
    identifiers = ("a.second.test", "second.test", "www.a.second.test")

    @pytest.fixture(autouse=True)
    def _there(self, dns_lab):
        self.lab = dns_lab
        self.context = replace(
            make_context(),
            credentials=lambda _path: {f"dns_rfc2136_{name}": value for name, value in CREDENTIALS.items()},
            dns=DnsSettings(resolvers=(RESOLVER,)),
        )
        with dns_lab.inside():
            yield

    def make(self):
        return authenticator_for("rfc2136", Rfc2136)({"credentials": "x.ini"}, self.context)

    def visible(self, task):
        return task.record_value in self.lab.txt(task.record_name)

    def residue(self):
        return self.lab.all_txt("second.test")


MODULES = sorted(
    {one.entry_point.partition(":")[0] for one in registry.listings() if one.distribution == "acmectl"}
    | {"acmectl.plugin.testing_dns", "acmectl.plugin.dns_authenticator"}
)


@pytest.mark.parametrize("module", MODULES)
def test_importing_a_plugin_imports_no_library(module):
    assert foreign_modules(module) == set()


def test_a_library_that_a_module_imports_is_seen(tmp_path, monkeypatch):
    (tmp_path / "my_plugin.py").write_text("import dns.name, os, acmectl.errors\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert "dns" in foreign_modules("my_plugin")
