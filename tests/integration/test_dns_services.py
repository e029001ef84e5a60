"""A wildcard and its base name by dns-route53 and by dns-google, from the command line to the certificate.

The CA asks a name server that looks up each answer at the emulated service: nothing but the records made there counts.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from tests.integration.cli import Acmectl
from tests.integration.servers.answering_dns import AnsweringDns
from tests.integration.servers.google_dns import GoogleDns
from tests.integration.servers.moto import Moto
from tests.integration.servers.netns import NetworkNamespace
from tests.integration.servers.pebble import Pebble, PebbleConfig

ADDRESS = "127.0.0.2"
ZONE = "example.test"
RECORD = f"_acme-challenge.{ZONE}"
NAMES = ("-d", ZONE, "-d", f"*.{ZONE}", "-d", f"www.{ZONE}")
OTHERS = '"put here by somebody else"'


@pytest.fixture
def space(root) -> Iterator[NetworkNamespace]:
    with NetworkNamespace(addresses=(ADDRESS,), resolver=ADDRESS) as space:
        yield space


@contextmanager
def world(space: NetworkNamespace, tmp_path, values) -> Iterator[tuple[Acmectl, AnsweringDns]]:
    """Acmectl and a Pebble that both know names by a server with ``values``. Enter it inside the space."""
    with ExitStack() as stack:
        name_server = stack.enter_context(AnsweringDns(ADDRESS, ZONE, values))
        pebble = stack.enter_context(Pebble(PebbleConfig(dns_server=f"{ADDRESS}:53")))
        yield stack.enter_context(Acmectl(pebble, tmp_path, prefix=space.prefix)), name_server


def test_certificate_by_route53(space, tmp_path):
    with space.inside(), Moto() as moto:
        zone = moto.zone(ZONE)
        moto.put(zone, "TXT", [OTHERS], RECORD, ttl=0)
        before = moto.records(zone)

        def values(name: str) -> list[str]:
            return moto.records(zone).get((name, "TXT"), (0, []))[1]

        with world(space, tmp_path, values) as (acmectl, name_server):
            options = ("certonly", "-n", "--agree-tos", "--dns-route53", *NAMES)
            acmectl.run(*options, env=moto.environ).ok()
            assert moto.records(zone) == before
            assert {RECORD, f"_acme-challenge.www.{ZONE}"} <= set(name_server.asked)
            secret = moto.environ["AWS_SECRET_ACCESS_KEY"]
            assert not [path for path in tmp_path.rglob("*") if path.is_file() and secret in path.read_text("latin-1")]
            renew = ("renew", "--force-renewal", "-n")
            acmectl.pebble.authorized_anew(lambda: acmectl.run(*renew, env=moto.environ).ok())
            assert moto.records(zone) == before
            without = {name: value for name, value in moto.environ.items() if "KEY" not in name}
            refused = acmectl.pebble.authorized_anew(lambda: acmectl.run(*renew, env=without)).failed()
            assert "There are no AWS credentials." in refused.err


def test_certificate_by_google(space, tmp_path):
    with space.inside(), GoogleDns() as google:
        zone = google.zone("test", ZONE)
        zone.put(RECORD, [OTHERS], ttl=0)
        before = dict(zone.record_sets)
        key = google.key_file(tmp_path / "key.json")

        def values(name: str) -> list[str]:
            found = zone.values(name)
            return found[1] if found else []

        with world(space, tmp_path, values) as (acmectl, name_server):
            env = {"CLOUDSDK_API_ENDPOINT_OVERRIDES_DNS": google.url}
            by = ("--dns-google", "--dns-google-credentials", str(key))
            acmectl.run("certonly", "-n", "--agree-tos", *by, *NAMES, env=env).ok()
            assert zone.record_sets == before
            assert {RECORD, f"_acme-challenge.www.{ZONE}"} <= set(name_server.asked)
            stored = (acmectl.config / "renewal" / f"{ZONE}.conf").read_text()
            assert f"dns_google_credentials = {key}" in stored
            acmectl.run("renew", "--force-renewal", "-n", env=env).ok()
            assert zone.record_sets == before
            key.chmod(0o644)
            refused = acmectl.run("renew", "--force-renewal", "-n", env=env).failed()
            assert "has mode 0644" in refused.err
            assert "chmod 600" in refused.err
            acmectl.run("renew", "--force-renewal", "-n", "--allow-insecure-credentials", env=env).ok()
