"""dns-httpreq from end to end: a service written for lego's httpreq changes BIND's zone, and Pebble validates that."""

from __future__ import annotations

import base64
import hashlib
import http.server
import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import dns.query
import dns.rcode
import dns.tsig
import dns.update
import pytest

from tests.integration.cli import Acmectl
from tests.integration.servers.dns_lab import PRIMARY, DnsLab, secret
from tests.integration.test_secrets import said

PORT = 9090


@pytest.fixture
def acmectl(dns_lab, dns_pebble, tmp_path) -> Iterator[Acmectl]:
    with dns_lab.acmectl(dns_pebble, tmp_path) as program:
        yield program


class Service:
    """A web service for lego's httpreq that changes BIND's zone. ``status`` replaces its answer's."""

    password = "canary-password-0123456789"

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, str], dict[str, str]]] = []
        self.status: int | None = None

    def change(self, path: str, body: dict[str, str]) -> int:
        if self.status is not None:
            return self.status
        name = body.get("fqdn") or f"_acme-challenge.{body['domain']}."
        value = body.get("value") or value_of(body["keyAuth"])
        keyring = dns.tsig.Key("acmectl-key", secret("acmectl-key"), "hmac-sha256")
        update = dns.update.UpdateMessage("example.test.", keyring=keyring)
        if path.endswith("/present"):
            update.add(name, 60, "TXT", value)
        else:
            update.delete(name, "TXT", value)
        return 204 if dns.query.tcp(update, PRIMARY, timeout=10).rcode() == dns.rcode.NOERROR else 502


def value_of(key_authorization: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(key_authorization.encode()).digest()).rstrip(b"=").decode()


@pytest.fixture
def service(dns_lab: DnsLab) -> Iterator[Service]:
    made = Service()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            made.asked.append((self.path, body, {name.lower(): text for name, text in self.headers.items()}))
            self.send_response(made.change(self.path, body))
            self.send_header("Location", "/elsewhere")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name in the base class
            """Say nothing."""

    with dns_lab.inside(), http.server.ThreadingHTTPServer(("127.0.0.1", PORT), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        yield made
        server.shutdown()
        thread.join()


def credentials(folder: Path, **more: str) -> tuple[str, ...]:
    path = folder / "httpreq.ini"
    values = {"endpoint": f"http://127.0.0.1:{PORT}/dns", "username": "user", "password": Service.password, **more}
    path.write_text("".join(f"dns_httpreq_{name} = {value}\n" for name, value in values.items()))
    path.chmod(0o600)
    return ("-a", "dns-httpreq", "--dns-httpreq-credentials", str(path))


def test_a_service_for_lego_s_httpreq_works_unchanged(
    acmectl: Acmectl, dns_lab: DnsLab, tmp_path: Path, service: Service
) -> None:
    options = (*credentials(tmp_path), "-vvv")
    done = acmectl.certonly("req.example.test", "*.req.example.test", options=options)
    assert [path for path, _, _ in service.asked] == ["/dns/present"] * 2 + ["/dns/cleanup"] * 2
    assert {tuple(sorted(body)) for _, body, _ in service.asked} == {("fqdn", "value")}
    assert {body["fqdn"] for _, body, _ in service.asked} == {"_acme-challenge.req.example.test."}
    assert {headers["content-type"] for _, _, headers in service.asked} == {"application/json"}
    assert {headers["authorization"] for _, _, headers in service.asked} == {
        "Basic dXNlcjpjYW5hcnktcGFzc3dvcmQtMDEyMzQ1Njc4OQ=="
    }
    assert dns_lab.txt("_acme-challenge.req.example.test") == set()
    again = acmectl.run("renew", "--force-renewal", "-vvv").ok()
    assert acmectl.version("req.example.test") == 2
    text = said(acmectl, done, again) + acmectl.renewal_path("req.example.test").read_text()
    assert Service.password not in text
    assert "dXNlcjpjYW5hcnk" not in text


def test_lego_s_environment_does_instead_of_a_file_in_the_raw_mode_too(
    acmectl: Acmectl, dns_lab: DnsLab, service: Service
) -> None:
    environment = {
        "HTTPREQ_ENDPOINT": f"http://127.0.0.1:{PORT}",
        "HTTPREQ_MODE": "RAW",
        "HTTPREQ_USERNAME": "user",
        "HTTPREQ_PASSWORD": Service.password,
    }
    flags = ("certonly", "-n", "--agree-tos", "-a", "dns-httpreq", "-d", "rawreq.example.test")
    done = acmectl.run(*flags, "-vvv", env=environment).ok()
    (path, body, headers), _ = service.asked
    assert (path, body["domain"], sorted(body)) == ("/present", "rawreq.example.test", ["domain", "keyAuth", "token"])
    assert headers["authorization"].startswith("Basic ")
    text = said(acmectl, done) + acmectl.renewal_path("rawreq.example.test").read_text()
    assert Service.password not in text
    assert body["keyAuth"] not in text


@pytest.mark.parametrize(
    ("status", "wrong"),
    [
        (401, "does not accept the user name and password (status 401)."),
        (500, "answered 500 for _acme-challenge.www.example.test"),
        (302, "answers with a redirection (status 302), which is not followed."),
    ],
)
def test_what_the_service_refuses_is_one_clear_line(
    acmectl: Acmectl, tmp_path: Path, service: Service, status: int, wrong: str
) -> None:
    service.status = status
    done = acmectl.certonly("www.example.test", options=credentials(tmp_path), code=1)
    assert f"http://127.0.0.1:{PORT}/dns/present {wrong}" in done.err
    assert [path for path, _, _ in service.asked if "elsewhere" in path] == []
    assert Service.password not in said(acmectl, done)


def test_a_service_that_is_not_there_is_one_clear_line(acmectl: Acmectl, dns_lab: DnsLab, tmp_path: Path) -> None:
    with dns_lab.inside(), socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    options = credentials(tmp_path, endpoint=f"http://127.0.0.1:{port}")
    done = acmectl.certonly("www.example.test", options=options, code=1)
    assert f"http://127.0.0.1:{port}/present cannot be reached" in done.err


@pytest.mark.parametrize(
    ("endpoint", "wrong"),
    [
        ("ftp://a.example/", "is no plain http or https URL"),
        ("http://user:canary-in-url@a.example/", "has a user name or a password in it"),
    ],
)
def test_an_endpoint_that_cannot_be_used_is_known_before_the_order(
    acmectl: Acmectl, tmp_path: Path, endpoint: str, wrong: str
) -> None:
    assert acmectl.pebble is not None
    before = acmectl.pebble.requests().count("POST /order-plz")
    done = acmectl.certonly("www.example.test", options=credentials(tmp_path, endpoint=endpoint), code=1)
    assert wrong in done.err
    assert acmectl.pebble.requests().count("POST /order-plz") == before
    assert "canary-in-url" not in said(acmectl, done)
