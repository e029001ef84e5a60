"""A name server with the documented interface of acme-dns: ``/register``, ``/update``, and TXT over UDP and TCP.

https://github.com/joohoi/acme-dns#api. It keeps the last two values under a name, takes values of 43 characters only,
checks the account and the networks that it may be used from, and answers NXDOMAIN for names without a value.
"""

from __future__ import annotations

import hmac
import http.server
import json
import secrets
import socketserver
import threading
import uuid
from contextlib import ExitStack
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import Any, Self

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset

_KEPT = 2
_VALUE = 43
PORT = 8053


@dataclass
class Registered:
    """An account at the server."""

    username: str
    password: str
    subdomain: str
    allow_from: list[str]
    values: list[str] = field(default_factory=list)


class AcmeDnsServer:
    """Listens at ``address``: port 53, and ``PORT`` for HTTP. ``asked`` has the requests: path, headers, body.

    ``open`` False: the administrator has switched off new registrations.
    """

    def __init__(self, address: str, domain: str) -> None:
        self.address, self.domain = address, domain
        self.url = f"http://{address}:{PORT}"
        self.accounts: dict[str, Registered] = {}
        self.asked: list[tuple[str, dict[str, str], Any]] = []
        self.open = True
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        outer: AcmeDnsServer = self

        class Http(_HttpHandler):
            server_of_names = outer

        class Udp(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                data, listener = self.request
                listener.sendto(outer.answered(data), self.client_address)

        class Tcp(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                while len(size := self.rfile.read(2)) == 2:
                    answer = outer.answered(self.rfile.read(int.from_bytes(size, "big")))
                    self.wfile.write(len(answer).to_bytes(2, "big") + answer)

        with ExitStack() as stack:
            self._serve(stack, _Web((self.address, PORT), Http))
            self._serve(stack, socketserver.ThreadingUDPServer((self.address, 53), Udp))
            self._serve(stack, _Stream((self.address, 53), Tcp))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._stack.close()

    @staticmethod
    def _serve(stack: ExitStack, server: socketserver.BaseServer) -> None:
        stack.enter_context(server)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        stack.callback(thread.join)
        stack.callback(server.shutdown)

    def register(self, body: bytes) -> tuple[int, object]:
        """POST /register."""
        if not self.open:
            return 404, {"error": "not_found"}
        try:
            allowed = (json.loads(body) if body else {}).get("allowfrom") or []
        except ValueError:
            return 400, {"error": "malformed_json_payload"}
        try:
            for network in allowed:
                ip_network(network, strict=False)
        except ValueError:
            return 400, {"error": "invalid_allowfrom_cidr"}
        account = Registered(str(uuid.uuid4()), secrets.token_urlsafe(30), str(uuid.uuid4()), allowed)
        self.accounts[account.username] = account
        return 201, {
            "username": account.username,
            "password": account.password,
            "fulldomain": f"{account.subdomain}.{self.domain}",
            "subdomain": account.subdomain,
            "allowfrom": allowed,
        }

    def update(self, headers: dict[str, str], body: bytes, client: str) -> tuple[int, object]:
        """POST /update."""
        account = self.accounts.get(headers.get("x-api-user", ""))
        content = json.loads(body)
        if (
            account is None
            or not hmac.compare_digest(account.password, headers.get("x-api-key", ""))
            or account.subdomain != content.get("subdomain")
            or (account.allow_from and not any(_lies_in(client, network) for network in account.allow_from))
        ):
            return 401, {"error": "forbidden"}
        value = content.get("txt", "")
        if len(value) != _VALUE:
            return 400, {"error": "bad_txt"}
        if value not in account.values:
            account.values = [*account.values, value][-_KEPT:]
        return 200, {"txt": value}

    def answered(self, data: bytes) -> bytes:
        """The answer to a DNS question."""
        question = dns.message.from_wire(data)
        answer = dns.message.make_response(question)
        asked = question.question[0]
        apex = dns.name.from_text(f"{self.domain}.")
        if not asked.name.is_subdomain(apex):
            answer.set_rcode(dns.rcode.NXDOMAIN)
            return answer.to_wire()
        answer.flags |= dns.flags.AA
        soa = dns.rrset.from_text(apex, 60, "IN", "SOA", f"ns1.{apex} admin.{apex} 1 28800 7200 604800 1")
        fixed = {
            (apex, "SOA"): [soa],
            (apex, "NS"): [dns.rrset.from_text(apex, 60, "IN", "NS", f"ns1.{apex}")],
            (dns.name.from_text("ns1", apex), "A"): [
                dns.rrset.from_text(f"ns1.{apex}", 60, "IN", "A", self.address),
            ],
        }
        found = fixed.get((asked.name, dns.rdatatype.to_text(asked.rdtype)), [])
        label = asked.name.relativize(apex).to_text().lower()
        values = [value for one in self.accounts.values() if one.subdomain == label for value in one.values]
        if asked.rdtype == dns.rdatatype.TXT and values:
            found = [dns.rrset.from_text_list(asked.name, 1, "IN", "TXT", [f'"{value}"' for value in values])]
        answer.answer = found
        if not found and not any(name == asked.name for name, _ in fixed):
            answer.set_rcode(dns.rcode.NXDOMAIN)
            answer.authority = [soa]
        return answer.to_wire()


class _HttpHandler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_of_names: AcmeDnsServer

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        server = self.server_of_names
        server.asked.append((self.path, headers, json.loads(body) if body else None))
        if self.path == "/register":
            status, content = server.register(body)
        elif self.path == "/update":
            status, content = server.update(headers, body, self.client_address[0])
        else:
            status, content = 404, {"error": "not_found"}
        data = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name in the base class
        """Say nothing."""


class _Web(http.server.ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False


class _Stream(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False


def _lies_in(client: str, network: str) -> bool:
    return ip_address(client) in ip_network(network, strict=False)
