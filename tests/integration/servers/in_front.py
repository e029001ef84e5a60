"""An HTTP server that passes requests on to another one, and lets a test see them or answer in its place."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

_OF_ONE_CONNECTION = {"connection", "transfer-encoding", "content-length"}


@dataclass(frozen=True, slots=True)
class Said:
    """An answer: status and body."""

    status: int
    body: bytes
    type: str = "text/xml"


class InFront:
    """Stands before the server at ``port`` of 127.0.0.1.

    ``instead`` (method, path, body) may give the answer; ``after`` (method, path, body) is told that one was passed on.
    ``seen`` has "METHOD path" of all requests, ``headers`` those of the last one.
    """

    def __init__(self, port: int) -> None:
        self._behind = port
        self.instead: Callable[[str, str, bytes], Said | None] = lambda _method, _path, _body: None
        self.after: Callable[[str, str, bytes], None] = lambda _method, _path, _body: None
        self.seen: list[str] = []
        self.headers: dict[str, str] = {}

    @property
    def url(self) -> str:
        """Its address, without a path."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        front = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
                front.seen.append(f"{self.command} {self.path}")
                front.headers = dict(self.headers.items())
                said = front.instead(self.command, self.path, body)
                if said is None:
                    said = front._pass_on(self.command, self.path, dict(self.headers.items()), body)
                    front.after(self.command, self.path, body)
                with suppress(OSError):
                    self.send_response(said.status)
                    self.send_header("Content-Type", said.type)
                    self.send_header("Content-Length", str(len(said.body)))
                    self.end_headers()
                    self.wfile.write(said.body)

            do_GET = do_POST = do_DELETE = handle_any  # noqa: N815 - names that the base class looks for

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name for it
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _pass_on(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Said:
        connection = http.client.HTTPConnection("127.0.0.1", self._behind, timeout=30)
        try:
            kept = {name: value for name, value in headers.items() if name.lower() not in _OF_ONE_CONNECTION}
            connection.request(method, path, body, kept)
            answer = connection.getresponse()
            return Said(answer.status, answer.read(), answer.headers.get("Content-Type", "text/xml"))
        finally:
            connection.close()
