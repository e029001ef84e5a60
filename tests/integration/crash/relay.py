"""An HTTPS server before Pebble that passes everything on, and at a chosen request does something nasty."""

from __future__ import annotations

import http.client
import ssl
import tempfile
import threading
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Self

import trustme

from tests.integration.servers.pebble import Pebble

Nasty = Callable[[str], bool]
"""Called with the path, before the request is passed on or before its answer is; True drops the connection."""


class Relay:
    """``before`` and ``after`` map the beginning of a path to what happens; each happens once.

    ``directory_url``, ``ca_bundle`` and ``http_port`` are what acmectl has to be told, as with Pebble itself: URLs in
    answers lead here too, because Pebble makes them from the Host header.
    """

    def __init__(self, pebble: Pebble) -> None:
        self.pebble = pebble
        self.http_port = pebble.http_port
        self.before: dict[str, Nasty] = {}
        self.after: dict[str, Nasty] = {}
        self.requests: list[str] = []
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        self._folder = tempfile.TemporaryDirectory(prefix="acmectl-relay-")
        authority = trustme.CA(key_type=trustme.KeyType.ECDSA)
        self.ca_bundle = Path(self._folder.name) / "ca.pem"
        authority.cert_pem.write_to_path(str(self.ca_bundle))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1").configure_cert(context)
        relay = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                relay.pass_on(self)

            do_GET = do_HEAD = do_POST = answer  # noqa: N815 - the names that http.server calls

            def log_message(self, *_args: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.handle_error = lambda *_args: None  # type: ignore[method-assign]
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.directory_url = f"https://127.0.0.1:{self._server.server_address[1]}/dir"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._folder.cleanup()

    def pass_on(self, handler: BaseHTTPRequestHandler) -> None:
        """One request and its answer."""
        self.requests.append(f"{handler.command} {handler.path}")
        body = handler.rfile.read(int(handler.headers.get("Content-Length", "0")))
        if self._nasty(self.before, handler.path):
            handler.close_connection = True
            return
        context = ssl.create_default_context(cafile=str(self.pebble.ca_bundle))
        upstream = http.client.HTTPSConnection("127.0.0.1", self.pebble.port, context=context, timeout=30)
        upstream.putrequest(handler.command, handler.path, skip_host=True, skip_accept_encoding=True)
        for name, value in handler.headers.items():
            upstream.putheader(name, value)
        upstream.endheaders(body)
        answer = upstream.getresponse()
        content = answer.read()
        upstream.close()
        if self._nasty(self.after, handler.path):
            handler.close_connection = True
            return
        with suppress(OSError):
            handler.send_response_only(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in ("content-length", "connection", "transfer-encoding"):
                    handler.send_header(name, value)
            handler.send_header("Content-Length", answer.getheader("Content-Length") or str(len(content)))
            handler.end_headers()
            handler.wfile.write(content)

    def _nasty(self, plans: dict[str, Nasty], path: str) -> bool:
        with self._lock:
            found = next((start for start in plans if path.startswith(start)), None)
            action = plans.pop(found) if found is not None else None
        return action is not None and action(path)


class Killer:
    """Kills a run at a moment that the relay chooses."""

    def __init__(self) -> None:
        self.kill: Callable[[], None] | None = None
        self._armed = threading.Event()

    def arm(self, kill: Callable[[], None]) -> None:
        """How to kill; the relay waits for it."""
        self.kill = kill
        self._armed.set()

    def __call__(self, _path: str) -> bool:
        assert self._armed.wait(60)
        assert self.kill is not None
        self.kill()
        return True
