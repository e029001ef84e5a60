"""An HTTPS server that does what no honest ACME server does, route by route."""

from __future__ import annotations

import json
import socket
import ssl
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Self

import trustme

Action = Callable[["Connection"], None]
"""Answers one request on a connection, or does not."""


class Connection:
    """One connection to the server while one request on it is being answered."""

    def __init__(self, sock: ssl.SSLSocket, stop: threading.Event) -> None:
        self.sock = sock
        self.stop = stop
        self.open = True

    def send(self, data: bytes) -> None:
        """Write raw octets."""
        self.sock.sendall(data)


def answer(body: bytes | object = b"", status: int = 200, headers: Mapping[str, str] | None = None) -> Action:
    """A well-formed answer; ``body`` is sent as JSON unless it is bytes."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = {"Content-Length": str(len(content)), "Content-Type": "text/html", **(headers or {})}

    def act(connection: Connection) -> None:
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        connection.send(f"HTTP/1.1 {status} X\r\n{head}\r\n".encode("latin-1") + content)

    return act


def silence(connection: Connection) -> None:
    """Take the request and never answer."""
    connection.stop.wait()
    connection.open = False


def hang_up(connection: Connection) -> None:
    """Close the connection in place of an answer."""
    connection.open = False


def raw(data: bytes, *, close: bool = True) -> Action:
    """Send octets as they are."""

    def act(connection: Connection) -> None:
        connection.send(data)
        connection.open = not close

    return act


def dribble(prefix: bytes, drop: bytes = b"x", pause: float = 0.05) -> Action:
    """Send ``prefix``, then ``drop`` again and again until the client has enough."""

    def act(connection: Connection) -> None:
        connection.open = False
        connection.send(prefix)
        with suppress(OSError):
            while not connection.stop.wait(pause):
                connection.send(drop)

    return act


class HostileServer:
    """Serves routes over TLS on 127.0.0.1. A route is a list of actions; the last one repeats; others answer 404."""

    def __init__(self, routes: Mapping[str, Action | list[Action]] | None = None) -> None:
        self.routes: dict[str, Action | list[Action]] = dict(routes or {})
        self.requests: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.connections = 0
        self._stop = threading.Event()
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        self._folder = tempfile.TemporaryDirectory(prefix="acmectl-hostile-")
        authority = trustme.CA(key_type=trustme.KeyType.ECDSA)
        self.ca_bundle = Path(self._folder.name) / "ca.pem"
        authority.cert_pem.write_to_path(str(self.ca_bundle))
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1", "localhost").configure_cert(self._context)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.url = f"https://127.0.0.1:{self.port}"
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._stop.set()
        self._listener.close()
        self._folder.cleanup()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                self.connections += 1
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        with suppress(OSError), sock, self._context.wrap_socket(sock, server_side=True) as secure:
            connection = Connection(secure, self._stop)
            stream = secure.makefile("rb")
            while connection.open:
                line = stream.readline().decode("latin-1").split()
                if len(line) != 3:
                    return
                headers = {}
                while head := stream.readline().decode("latin-1").strip():
                    name, _, value = head.partition(":")
                    headers[name.lower()] = value.strip()
                stream.read(int(headers.get("content-length", "0")))
                self._action(line[0], line[1], headers)(connection)

    def _action(self, method: str, path: str, headers: dict[str, str]) -> Action:
        with self._lock:
            self.requests.append(f"{method} {path}")
            self.headers.append(headers)
            action = self.routes.get(path, answer(b"", 404))
            if isinstance(action, list):
                return action.pop(0) if len(action) > 1 else action[0]
            return action


class PlainListener:
    """A TCP listener that accepts, and then says ``greeting`` or nothing: no TLS ever happens."""

    def __init__(self, greeting: bytes | None = None) -> None:
        self._greeting = greeting
        self.connections = 0

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.url = f"https://127.0.0.1:{self.port}"
        self._kept: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._listener.close()
        for sock in self._kept:
            sock.close()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            if self._greeting is None:
                self._kept.append(sock)
                continue
            with suppress(OSError):
                sock.sendall(self._greeting)
                # The client must have read the greeting before the close can turn into a reset.
                time.sleep(0.05)
                sock.close()
