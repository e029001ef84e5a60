"""What certbot's DNS plugins were told works unchanged: their credentials files, renewal files and flags."""

from __future__ import annotations

import fcntl
import json
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.programs import CERTBOT_VERSION, TOOLS, BenchmarkError, environment
from tests.integration.cli import Acmectl
from tests.integration.fleet import plant
from tests.integration.servers.api_gate import Answer, ApiGate, Asked
from tests.integration.servers.dns_apis import Cloudflare
from tests.integration.servers.dns_lab import API_KEY, POWERDNS, RESOLVER, DnsLab
from tests.integration.servers.pebble import PebbleConfig
from tests.integration.servers.process import wait_until
from tests.integration.servers.requirements import not_run, require

ZONE = "acmedeleg.net"
NAME = f"_acme-challenge.{ZONE}"


class Published(Cloudflare):
    """Cloudflare's interface before a name server that answers: what it holds, PowerDNS serves."""

    def answer(self, asked: Asked) -> Answer:
        """Status and content of the answer, after the zone is as it says."""
        before = {one.name for one in self.records}
        answer = super().answer(asked)
        for name in before | {one.name for one in self.records} if asked.method != "GET" else ():
            self._publish(name)
        return answer

    def _publish(self, name: str) -> None:
        values = self.values(name)
        rrset = {
            "name": f"{name}.",
            "type": "TXT",
            "ttl": 60,
            "changetype": "REPLACE" if values else "DELETE",
            "records": [{"content": f'"{value}"', "disabled": False} for value in values],
        }
        request = urllib.request.Request(
            f"{DnsLab.powerdns_api}/servers/localhost/zones/{ZONE}.",
            data=json.dumps({"rrsets": [rrset]}).encode(),
            headers={"X-API-Key": API_KEY, "Content-Type": "application/json"},
            method="PATCH",
        )
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=30):
            pass


@pytest.fixture
def program(dns_lab: DnsLab, dns_pebble, tmp_path: Path) -> Iterator[Acmectl]:
    """The program in the lab."""
    with dns_lab.acmectl(dns_pebble, tmp_path) as acmectl:
        yield acmectl
    assert dns_lab.txt(NAME, POWERDNS) == set()


@pytest.fixture
def api(dns_lab: DnsLab, tmp_path: Path) -> Iterator[tuple[Published, ApiGate]]:
    """Cloudflare, and the gate to it."""
    api = Published(ZONE)
    gate = ApiGate(tmp_path, api)
    with dns_lab.inside():
        gate.__enter__()  # its threads live in the network in which they begin
    try:
        yield api, gate
    finally:
        gate.__exit__()


def forgotten_by_the_resolver(dns_lab: DnsLab, name: str) -> None:
    """Wait until Pebble's resolver has the values of the run before no more; asking without recursion adds none."""
    require("dig")
    question = ("dig", "+norecurse", "+short", f"@{RESOLVER}", name, "TXT")
    wait_until(lambda: not dns_lab.run(*question).stdout.strip(), f"{name} goes out of the resolver's cache")


def credentials(folder: Path, text: str) -> Path:
    path = folder / "cloudflare.ini"
    path.write_text(text)
    path.chmod(0o600)
    return path


@pytest.fixture(scope="session")
def certbot() -> Path:
    """certbot with its Cloudflare plugin, installed once from PyPI."""
    TOOLS.mkdir(exist_ok=True)
    wanted = [f"{name}=={CERTBOT_VERSION}" for name in ("certbot", "certbot-dns-cloudflare")]
    with (TOOLS / "certbot-dns-cloudflare.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            return environment("certbot-dns-cloudflare-venv", wanted, None) / "bin" / "certbot"
        except BenchmarkError as error:
            not_run(f"certbot's Cloudflare plugin could not be installed ({' '.join(str(error).split())[-300:]})")
            raise AssertionError from error


@pytest.fixture
def patient(dns_lab: DnsLab, tmp_path: Path) -> Iterator[Acmectl]:
    """The program in the lab with a Pebble that takes every nonce: certbot gives up after two that are refused."""
    config = PebbleConfig(dns_server=f"{RESOLVER}:53", nonce_reject=0)
    with dns_lab.pebble(config) as pebble, dns_lab.acmectl(pebble, tmp_path) as acmectl:
        yield acmectl


def test_what_certbot_obtained_by_its_plugin_is_renewed_and_certbot_goes_on(patient, api, dns_lab, certbot):
    program = patient
    cloudflare, gate = api
    bundle = program.folder / "both.pem"
    bundle.write_text(gate.bundle.read_text() + program.pebble.ca_bundle.read_text())
    path = credentials(program.folder, f"dns_cloudflare_api_token = {Cloudflare.token}\n")
    env = {**program.environ(), **gate.environ, "REQUESTS_CA_BUNDLE": str(bundle), "SSL_CERT_FILE": str(bundle)}
    command = [*dns_lab.prefix, str(certbot), *program.directories, "--non-interactive"]
    obtain = [
        *("certonly", "--agree-tos", "--register-unsafely-without-email", "--server", program.pebble.directory_url),
        *("--dns-cloudflare", "--dns-cloudflare-credentials", str(path), "--dns-cloudflare-propagation-seconds", "1"),
        *("-d", ZONE, "-d", f"*.{ZONE}"),
    ]
    done = subprocess.run([*command, *obtain], env=env, capture_output=True, text=True, timeout=90)
    assert done.returncode == 0, done.stdout + done.stderr
    theirs = len(cloudflare.asked)
    serial = program.certificate(ZONE).serial_number
    forgotten_by_the_resolver(dns_lab, NAME)
    program.pebble.authorized_anew(lambda: program.run("renew", "--force-renewal", env=gate.environ).ok())
    ours = program.certificate(ZONE).serial_number
    assert ours != serial
    assert len(cloudflare.asked) > theirs
    forgotten_by_the_resolver(dns_lab, NAME)
    again = ["renew", "--force-renewal", "--no-random-sleep-on-renew"]
    done = subprocess.run([*command, *again], env=env, capture_output=True, text=True, timeout=90)
    assert done.returncode == 0, done.stdout + done.stderr
    assert program.certificate(ZONE).serial_number != ours


def test_a_renewal_file_of_certbot_s_plugin_is_renewed(program, api):
    cloudflare, gate = api
    # As certbot's documentation shows it, comment and all.
    path = credentials(
        program.folder, f"# Cloudflare API token used by Certbot\ndns_cloudflare_api_token = {Cloudflare.token}\n"
    )
    plant(
        program,
        ZONE,
        names=[ZONE, f"*.{ZONE}"],
        params={
            "authenticator": "dns-cloudflare",
            "dns_cloudflare_credentials": str(path),
            "dns_cloudflare_propagation_seconds": "30",
        },
    )
    before = (program.config / "renewal" / f"{ZONE}.conf").read_text()
    serial = program.certificate(ZONE).serial_number
    program.run("renew", "--agree-tos", env=gate.environ).ok()
    assert program.certificate(ZONE).serial_number != serial
    assert program.names(ZONE) == sorted([ZONE, f"*.{ZONE}"])
    after = (program.config / "renewal" / f"{ZONE}.conf").read_text()
    for line in before.splitlines():
        if "cloudflare" in line:
            assert line in after
    assert cloudflare.lines().count(f"POST /client/v4/zones/{Cloudflare.identifier}/dns_records") == 2
    assert cloudflare.records == []
    assert not any(Cloudflare.token in log.read_text() for log in program.logs.rglob("*") if log.is_file())


def test_certbot_s_command_line_works(program, api):
    cloudflare, gate = api
    text = f"dns_cloudflare_email = {Cloudflare.email}\ndns_cloudflare_api_key = {Cloudflare.key}\n"
    path = credentials(program.folder, text)
    program.run(
        *("certonly", "-n", "--agree-tos", "--dns-cloudflare", "--dns-cloudflare-credentials", str(path)),
        *("--dns-cloudflare-propagation-seconds", "60", "-d", f"{ZONE},*.{ZONE}"),
        env=gate.environ,
    ).ok()
    assert program.names(ZONE) == sorted([ZONE, f"*.{ZONE}"])
    assert {one.headers.get("x-auth-key") for one in cloudflare.asked} == {Cloudflare.key}


def test_a_token_that_may_only_read_fails_in_one_line(program, api):
    cloudflare, gate = api
    cloudflare.read_only = True
    path = credentials(program.folder, f"dns_cloudflare_api_token = {Cloudflare.token}\n")
    options = ("--dns-cloudflare", "--dns-cloudflare-credentials", str(path))
    done = program.run("certonly", "-n", "--agree-tos", *options, "-d", ZONE, env=gate.environ).failed()
    assert f"Cloudflare does not let these credentials change the zone {ZONE} (status 403" in done.err
    assert Cloudflare.token not in done.out + done.err


def test_a_file_that_others_can_read_is_refused_and_one_without_its_key_too(program, api):
    cloudflare, gate = api
    path = credentials(program.folder, f"dns_cloudflare_api_token = {Cloudflare.token}\n")
    options = ("--dns-cloudflare", "--dns-cloudflare-credentials", str(path), "-d", ZONE)
    path.chmod(0o644)
    done = program.run("certonly", "-n", "--agree-tos", *options, env=gate.environ).failed()
    assert f"The credentials file {path} has mode 0644" in done.err
    path.chmod(0o600)
    path.write_text("dns_cloudflare_token = x\n")
    done = program.run("certonly", "-n", "--agree-tos", *options, env=gate.environ).failed()
    assert f"{path} must have dns_cloudflare_api_token or" in done.err
    assert cloudflare.asked == []
