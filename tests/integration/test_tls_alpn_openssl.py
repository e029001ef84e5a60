"""What a client of tls-alpn-01 is shown while the CA validates, read by openssl octet by octet (RFC 8737, 8738)."""

from __future__ import annotations

import hashlib
import ipaddress
import json
import re
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from tests.integration.cli import Acmectl
from tests.integration.servers.between import Answer, Between
from tests.integration.servers.pebble import Pebble

NAMES = {
    "a.example": "a.example",
    "xn--fsq.example": "xn--fsq.example",
    "127.0.0.1": "1.0.0.127.in-addr.arpa",
    "::1": f"1.{'0.' * 31}ip6.arpa",
}
"""Identifier -> what a client asks for as server name."""
SUBJECT_ALTERNATIVE_NAME = "X509v3 Subject Alternative Name"
ACME_IDENTIFIER = ("1.3.6.1.5.5.7.1.31", "acmeIdentifier", "id-pe-acmeIdentifier")


@dataclass(slots=True)
class Looking:
    """Looks at the port of the challenge while the answers are in place: just before the CA is told to validate."""

    port: int
    tokens: dict[str, str] = field(default_factory=dict)
    shown: dict[str, str] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def before(self, _method: str, path: str) -> None:
        with self.lock:
            if path.startswith("/chalZ/") and not self.shown:
                for identifier, name in NAMES.items():
                    self.shown[identifier] = s_client(self.port, "-servername", name, "-alpn", "acme-tls/1")
                    self.shown[f"{identifier} by no protocol"] = s_client(self.port, "-servername", name)
                    self.shown[f"{identifier} by another"] = s_client(
                        self.port, "-servername", name, "-alpn", "http/1.1"
                    )
                self.shown["nobody"] = s_client(self.port, "-servername", "nobody.example", "-alpn", "acme-tls/1")

    def after(self, _method: str, path: str, answer: Answer) -> Answer:
        if path.startswith("/authZ/") and answer.status == 200:
            content = json.loads(answer.body)
            for challenge in content["challenges"]:
                if challenge["type"] == "tls-alpn-01":
                    self.tokens[content["identifier"]["value"]] = challenge["token"]
        return answer


def s_client(port: int, *options: str) -> str:
    """All that openssl says about one connection."""
    command = ("openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-showcerts", *options)
    done = subprocess.run(command, input="", capture_output=True, text=True, timeout=60)
    return done.stdout + done.stderr


def openssl(*args: str, text: str) -> str:
    return subprocess.run(("openssl", *args), input=text, capture_output=True, text=True, check=True).stdout


@pytest.fixture(scope="module")
def seen(pebble: Pebble, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Looking, str]]:
    """What was shown, and the account's thumbprint; the CA has validated the same answers."""
    looking = Looking(pebble.tls_port)
    with Between(pebble) as between, Acmectl(pebble, tmp_path_factory.mktemp("alpn")) as acmectl:
        between.before, between.after = looking.before, looking.after
        server = ("--server", between.directory_url)
        kind = ("--preferred-challenges", "tls-alpn-01", "--tls-alpn-01-port", str(pebble.tls_port))
        flags = [word for one in NAMES for word in ("-d" if "example" in one else "--ip-address", one)]
        acmectl.certonly(options=("--standalone", *server, *kind, *flags))
        assert set(acmectl.names("a.example")) == set(NAMES)
        yield looking, acmectl.run("show_account", *server, "--json").ok().json["thumbprint"]


@pytest.mark.parametrize("identifier", NAMES)
def test_the_certificate_that_is_shown_is_that_of_the_standard(seen: tuple[Looking, str], identifier: str) -> None:
    looking, thumbprint = seen
    told = looking.shown[identifier]
    assert "ALPN protocol: acme-tls/1\n" in told
    assert re.search(r"^ *(New, TLSv1\.3|New, TLSv1\.2|Protocol *: TLSv1\.[23])", told, re.MULTILINE)
    # One certificate that nobody else has signed.
    (pem,) = re.findall(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----\n", told, re.DOTALL)
    said = openssl("x509", "-noout", "-text", text=pem)
    assert "Version: 3 (0x2)" in said
    subject, issuer = (re.search(rf"{word} ?: ?(.*)", said) for word in ("Subject", "Issuer"))
    assert subject is not None
    assert issuer is not None
    assert subject[1] == issuer[1]

    digest = hashlib.sha256(f"{looking.tokens[identifier]}.{thumbprint}".encode()).hexdigest()
    if "example" in identifier:
        general = b"\x82" + bytes([len(identifier)]) + identifier.encode()
    else:
        packed = ipaddress.ip_address(identifier).packed
        general = b"\x87" + bytes([len(packed)]) + packed
    names = (b"\x30" + bytes([len(general)]) + general).hex()
    found = extensions(pem)
    acme = found.pop(next(name for name in ACME_IDENTIFIER if name in found))
    assert acme == ("critical", f"0420{digest}")
    assert found == {SUBJECT_ALTERNATIVE_NAME: ("", names)}


def extensions(pem: str) -> dict[str, tuple[str, str]]:
    """Name or number of each extension -> whether it is critical, and the octets of its value in hex."""
    lines = [line.partition("prim: ")[2] for line in openssl("asn1parse", text=pem).splitlines()]
    found: dict[str, tuple[str, str]] = {}
    for number, line in enumerate(lines):
        value = re.fullmatch(r"OCTET STRING +\[HEX DUMP\]:([0-9A-F]+)", line)
        if value is None:
            continue
        critical = lines[number - 1].startswith("BOOLEAN")
        assert not critical or re.fullmatch(r"BOOLEAN +:255", lines[number - 1])
        oid = re.fullmatch(r"OBJECT +:(.+)", lines[number - 1 - critical])
        assert oid is not None
        assert oid[1] not in found
        found[oid[1]] = ("critical" if critical else "", value[1].lower())
    return found


@pytest.mark.parametrize("identifier", NAMES)
def test_nobody_else_is_shown_a_certificate(seen: tuple[Looking, str], identifier: str) -> None:
    looking, _ = seen
    for told in (looking.shown[f"{identifier} by no protocol"], looking.shown[f"{identifier} by another"]):
        assert "no peer certificate available" in told
        assert "BEGIN CERTIFICATE" not in told
    # RFC 7301 section 3.2: no_application_protocol is alert number 120.
    assert re.search(r"alert number 120|no application protocol", looking.shown[f"{identifier} by another"])
    assert "no peer certificate available" in looking.shown["nobody"]
