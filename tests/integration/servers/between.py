"""An HTTPS server between acmectl and Pebble that lets a test see, change, withhold or follow each exchange."""

from __future__ import annotations

import http.client
import ssl
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import urlsplit

from tests.integration.servers.pebble import Pebble

_HOP = {"connection", "transfer-encoding", "content-length", "date"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An answer of HTTP."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


class LostError(Exception):
    """Raised by a test's function: the connection is closed without an answer."""


class Between:
    """Passes requests on to ``pebble``, which then names everything by the URLs of this server.

    ``before`` (method, path) may answer in Pebble's place; ``after`` (method, path, answer) may replace its answer.
    Either may raise LostError. ``bodies`` are those of all requests, in their order.
    """

    def __init__(self, pebble: Pebble) -> None:
        self.pebble = pebble
        self.before: Callable[[str, str], Answer | None] = lambda _method, _path: None
        self.after: Callable[[str, str, Answer], Answer] = lambda _method, _path, answer: answer
        self.bodies: list[bytes] = []

    def __enter__(self) -> Self:
        between = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
                try:
                    answer = between._answer(self.command, self.path, dict(self.headers.items()), body)
                except LostError:
                    self.close_connection = True
                    return
                with suppress(OSError):
                    self.send_response(answer.status)
                    for name, value in answer.headers.items():
                        if name.lower() not in _HOP:
                            self.send_header(name, value)
                    self.send_header("Content-Length", str(len(answer.body)))
                    self.end_headers()
                    if self.command != "HEAD":
                        self.wfile.write(answer.body)

            do_GET = do_POST = do_HEAD = handle_any  # noqa: N815 - names that the base class looks for

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name for it
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.pebble.folder / "cert.pem", self.pebble.folder / "key.pem")
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.port: int = self._server.server_address[1]
        self.directory_url = f"https://127.0.0.1:{self.port}{urlsplit(self.pebble.directory_url).path}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _answer(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        self.bodies.append(body)
        own = self.before(method, path)
        if own is not None:
            return own
        context = ssl.create_default_context(cafile=str(self.pebble.ca_bundle))
        connection = http.client.HTTPSConnection("127.0.0.1", self.pebble.port, context=context, timeout=60)
        try:
            connection.request(method, path, body or None, {k: v for k, v in headers.items() if k.lower() not in _HOP})
            response = connection.getresponse()
            answer = Answer(status=response.status, headers=dict(response.getheaders()), body=response.read())
        finally:
            connection.close()
        return self.after(method, path, answer)
