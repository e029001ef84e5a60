"""A proxy that answers in the place of web services, over TLS with a CA of its own, and keeps what it is asked.

A program that is led there by ``HTTPS_PROXY`` asks for its usual URLs: what arrives is what would have gone out.
"""

from __future__ import annotations

import http.server
import json
import socket
import ssl
import threading
from abc import ABC, abstractmethod
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self
from urllib.parse import parse_qsl, urlsplit

import trustme

from tests.integration.servers.tunnel import read_head

Answer = tuple[int, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request. ``headers`` have lower-case names; ``path`` is without the query."""

    method: str
    host: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    @property
    def url(self) -> str:
        """Whole, as the client wrote it, but for the order of the query."""
        query = "&".join(f"{key}={value}" for key, value in self.query.items())
        return f"https://{self.host}{self.path}" + (f"?{query}" if query else "")

    @property
    def json(self) -> Any:
        """The body."""
        return json.loads(self.body)


class Api(ABC):
    """A web service behind the gate. ``silent``: it takes requests and never answers."""

    host: ClassVar[str]

    def __init__(self) -> None:
        self.silent = False
        self.asked: list[Asked] = []

    def lines(self) -> list[str]:
        """What was asked: ``METHOD path``."""
        return [f"{one.method} {one.path}" for one in self.asked]

    @abstractmethod
    def answer(self, asked: Asked) -> Answer:
        """Status and content of the answer."""


class ApiGate:
    """The proxy. Hosts without an API behind them are refused (502), as a closed network would; see ``refused``."""

    def __init__(self, folder: Path, *apis: Api) -> None:
        self.apis = {api.host: api for api in apis}
        self.refused: list[str] = []
        self.bundle = folder / "provider-ca.pem"
        self._authority = trustme.CA(key_type=trustme.KeyType.ECDSA)
        self._authority.cert_pem.write_to_path(str(self.bundle))
        self.stop = threading.Event()

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self.stop.set()
        self._listener.close()

    @property
    def environ(self) -> dict[str, str]:
        """The variables that lead a program's requests here."""
        bundle = {name: str(self.bundle) for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")}
        url = f"http://127.0.0.1:{self.port}"
        return {"HTTPS_PROXY": url, "https_proxy": url, "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1", **bundle}

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, suppress(OSError):
            head = read_head(client)
            if head is None:
                return
            host = head.split()[1].decode("ascii").rpartition(":")[0]
            if host not in self.apis:
                self.refused.append(host)
                client.sendall(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
                return
            client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._authority.issue_cert(host, key_type=trustme.KeyType.ECDSA).configure_cert(context)
            with context.wrap_socket(client, server_side=True) as secure:
                _Handler(secure, self.apis[host], self.stop)


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, connection: ssl.SSLSocket, api: Api, stop: threading.Event) -> None:
        self.api = api
        self.stop = stop
        super().__init__(connection, ("127.0.0.1", 0), None)  # type: ignore[arg-type]

    def _answer(self) -> None:
        parts = urlsplit(self.path)
        asked = Asked(
            method=self.command,
            host=self.headers["Host"],
            path=parts.path,
            query=dict(parse_qsl(parts.query, keep_blank_values=True)),
            headers={name.lower(): value for name, value in self.headers.items()},
            body=self.rfile.read(int(self.headers.get("Content-Length") or 0)),
        )
        self.api.asked.append(asked)
        if self.api.silent:
            self.stop.wait()
            self.close_connection = True
            return
        status, content = self.api.answer(asked)
        body = b"" if status == 204 else json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _answer  # noqa: N815 - the base class looks for these

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name in the base class
        """Say nothing."""
