"""PowerDNS by its HTTP API through lexicon, validated by Pebble: a real provider's interface from end to end."""

from __future__ import annotations

import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.cli import Acmectl
from tests.integration.servers.dns_lab import API_KEY, POWERDNS, RESOLVER, DnsLab
from tests.integration.servers.process import wait_until
from tests.integration.servers.requirements import require

ZONE = "acmedeleg.net"
OTHER = "acme-delegate.test"  # no list of public suffixes has it


@pytest.fixture
def program(dns_lab: DnsLab, dns_pebble, tmp_path: Path) -> Iterator[Acmectl]:
    """The program in the lab; it can reach nothing outside."""
    with dns_lab.acmectl(dns_pebble, tmp_path) as acmectl:
        yield acmectl
    assert dns_lab.txt(f"_acme-challenge.{ZONE}", POWERDNS) == set()


def credentials(program: Acmectl, dns_lab: DnsLab, *, key: str = API_KEY, **more: str) -> tuple[str, ...]:
    """The options for a credentials file that is made."""
    values = {
        "provider": "powerdns",
        "pdns_server": dns_lab.powerdns_api.removesuffix("/api/v1"),
        "auth_token": key,
        **more,
    }
    path = program.folder / "powerdns.ini"
    path.write_text("".join(f"dns_lexicon_{name} = {value}\n" for name, value in values.items()))
    path.chmod(0o600)
    return ("--authenticator", "dns-lexicon", "--dns-lexicon-credentials", str(path))


def forgotten_by_the_resolver(dns_lab: DnsLab, name: str) -> None:
    """Wait until Pebble's resolver has the values of the run before no more; asking without recursion adds none."""
    require("dig")
    question = ("dig", "+norecurse", "+short", f"@{RESOLVER}", name, "TXT")
    wait_until(lambda: not dns_lab.run(*question).stdout.strip(), f"{name} goes out of the resolver's cache")


def test_a_wildcard_and_its_base_name_together_and_again(program, dns_lab):
    options = credentials(program, dns_lab)
    program.certonly(ZONE, f"*.{ZONE}", options=options)
    assert program.names(ZONE) == sorted([ZONE, f"*.{ZONE}"])
    stored = (program.config / "renewal" / f"{ZONE}.conf").read_text()
    assert "authenticator = dns-lexicon" in stored
    assert f"dns_lexicon_credentials = {program.folder / 'powerdns.ini'}" in stored
    assert API_KEY not in stored
    serial = program.certificate(ZONE).serial_number
    forgotten_by_the_resolver(dns_lab, f"_acme-challenge.{ZONE}")
    program.run("renew", "--force-renewal").ok()
    assert program.certificate(ZONE).serial_number != serial
    assert not any(API_KEY in path.read_text() for path in program.logs.rglob("*") if path.is_file())


def test_two_zones_in_one_certificate_one_of_them_under_no_known_suffix(program, dns_lab):
    program.certonly(f"a.{ZONE}", f"b.c.{ZONE}", OTHER, f"*.{OTHER}", options=credentials(program, dns_lab))
    name = f"a.{ZONE}"
    assert program.names(name) == sorted([name, f"b.c.{ZONE}", OTHER, f"*.{OTHER}"])
    for record in (f"a.{ZONE}", f"b.c.{ZONE}", OTHER):
        assert dns_lab.txt(f"_acme-challenge.{record}", POWERDNS) == set()


def test_an_alias_into_the_zone_is_followed(program, dns_lab):
    program.certonly("api.example.test", options=credentials(program, dns_lab))
    assert program.names("api.example.test") == ["api.example.test"]
    assert dns_lab.txt(f"api.{ZONE}", POWERDNS) == set()


def test_a_value_of_somebody_else_stays(program, dns_lab):
    name = f"_acme-challenge.shared.{ZONE}"
    edit = f'{{"rrsets":[{{"name":"{name}.","type":"TXT","ttl":60,"changetype":"%s","records":[%s]}}]}}'
    zone = f"{dns_lab.powerdns_api}/servers/localhost/zones/{ZONE}."
    patch = ("curl", "-sSf", "-X", "PATCH", "-H", f"X-API-Key: {API_KEY}", zone, "-d")
    foreign = r'{"content":"\"foreign\"","disabled":false}'
    assert dns_lab.run(*patch, edit % ("REPLACE", foreign)).returncode == 0
    try:
        program.certonly(f"shared.{ZONE}", f"*.shared.{ZONE}", options=credentials(program, dns_lab))
        assert dns_lab.txt(name, POWERDNS) == {"foreign"}
    finally:
        dns_lab.run(*patch, edit % ("DELETE", ""))


def test_a_wrong_key_is_one_line_and_nothing_is_kept(program, dns_lab):
    wrong = "a-wrong-key-0123456789"
    done = program.certonly(ZONE, f"*.{ZONE}", options=credentials(program, dns_lab, key=wrong), code=1)
    assert "powerdns does not accept the credentials (status 401" in done.err
    assert str(program.folder / "powerdns.ini") in done.err
    assert wrong not in done.out + done.err
    assert not any(wrong in path.read_text() for path in program.logs.rglob("*") if path.is_file())


def test_a_zone_that_is_elsewhere_is_said(program, dns_lab):
    done = program.certonly("www.second.test", options=credentials(program, dns_lab), code=1)
    assert "powerdns has no zone for _acme-challenge.www.second.test (looked for second.test)." in done.err


def test_a_service_that_is_down_is_one_line(program, dns_lab):
    server = f"http://{POWERDNS}:9"
    done = program.certonly(ZONE, options=credentials(program, dns_lab, pdns_server=server), code=1)
    assert "powerdns cannot be reached." in done.err


def test_a_service_that_is_silent_can_be_left_by_a_signal(program, dns_lab):
    with dns_lab.inside():
        listener = socket.create_server(("127.0.0.1", 0))
    with listener:
        listener.settimeout(60)
        server = f"http://127.0.0.1:{listener.getsockname()[1]}"
        run = program.start(
            *("certonly", "-n", "--agree-tos", "-d", f"silent.{ZONE}"),
            *credentials(program, dns_lab, pdns_server=server),
        )
        asked, _ = listener.accept()
        with asked:
            assert asked.recv(1)
            run.send(signal.SIGTERM)
            assert run.wait().code == -signal.SIGTERM
