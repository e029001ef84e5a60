"""An HTTP proxy that makes tunnels (RFC 9110 section 9.3.6) and keeps the head of each request for one."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from typing import Self

_PIECE = 65_536


def read_head(client: socket.socket) -> bytes | None:
    """What a client of a proxy sends up to the empty line; None when it goes away before."""
    head = b""
    while b"\r\n\r\n" not in head:
        piece = client.recv(_PIECE)
        if not piece:
            return None
        head += piece
    return head


class Tunnel:
    """A proxy on a port of 127.0.0.1. ``heads`` are the requests it got, as text."""

    def __init__(self) -> None:
        self.heads: list[str] = []

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._listener.close()

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
            self.heads.append(head.decode("ascii"))
            host, _, port = head.split()[1].decode("ascii").rpartition(":")
            with socket.create_connection((host, int(port))) as server:
                client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                back = threading.Thread(target=_carry, args=(server, client), daemon=True)
                back.start()
                _carry(client, server)
                back.join()


def _carry(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(_PIECE):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
