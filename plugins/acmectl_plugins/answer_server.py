"""A small HTTP/1.1 server (RFC 9112) that gives fixed answers for fixed paths and knows nothing else.

One thread serves all connections. Nobody can wear it out: requests are short, connections few and their time limited;
when there are too many, the one that has kept quiet longest makes room. A path from a request is only ever looked up in
the table of answers.
"""

from __future__ import annotations

import contextlib
import errno
import selectors
import socket
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MAX_REQUEST = 8192  # bytes of request line and header fields
MAX_CONNECTIONS = 256
TIME_LIMIT = 30.0  # seconds that a connection may live without a complete request
_BACKLOG = 256
_END = b"\r\n\r\n"
_REASONS = {
    200: "OK",
    400: "Bad Request",
    404: "Not Found",
    405: "Method Not Allowed",
    431: "Request Header Fields Too Large",
    505: "HTTP Version Not Supported",
}
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class _Connection:
    """One client: what it sent and was not answered yet, and what it has not read yet."""

    __slots__ = ("closing", "deadline", "incoming", "outgoing", "socket")

    def __init__(self, accepted: socket.socket, deadline: float) -> None:
        self.socket = accepted
        self.incoming = bytearray()
        self.outgoing = bytearray()
        self.deadline = deadline
        self.closing = False


class AnswerServer:
    """Serves on sockets that are bound already. ``asked`` holds the paths that were asked for and answered."""

    def __init__(self, sockets: Sequence[socket.socket]) -> None:
        self._listeners = list(sockets)
        self._answers: Mapping[str, bytes] = {}
        self.asked: set[str] = set()
        self._selector = selectors.DefaultSelector()
        self._connections: dict[int, _Connection] = {}
        self._wake, self._woken = socket.socketpair()
        self._thread = threading.Thread(target=self._serve, name="standalone", daemon=True)

    def start(self) -> None:
        """Begin to answer."""
        for listener in self._listeners:
            listener.setblocking(False)
            listener.listen(_BACKLOG)
            self._selector.register(listener, selectors.EVENT_READ, "listener")
        self._selector.register(self._woken, selectors.EVENT_READ, "stop")
        self._thread.start()

    def answer(self, answers: Mapping[str, bytes]) -> None:
        """Replace the table of answers."""
        self._answers = dict(answers)

    def stop(self) -> None:
        """Close everything; the port is free when this returns."""
        with contextlib.suppress(OSError):  # it has ended by itself
            self._wake.send(b"!")
        self._thread.join()
        self._wake.close()

    def _serve(self) -> None:
        try:
            while True:
                for key, events in self._selector.select(self._patience()):
                    if key.data == "stop":
                        return
                    if key.data == "listener":
                        self._accept(key.fileobj)
                    elif key.fd in self._connections:
                        self._attend(self._connections[key.fd], events)
                self._drop_the_late()
        finally:
            for connection in list(self._connections.values()):
                self._close(connection)
            for listener in self._listeners:
                listener.close()
            self._selector.close()
            self._woken.close()

    def _patience(self) -> float | None:
        if not self._connections:
            return None
        return max(0.0, min(c.deadline for c in self._connections.values()) - time.monotonic())

    def _drop_the_late(self) -> None:
        now = time.monotonic()
        for connection in [c for c in self._connections.values() if c.deadline <= now]:
            self._close(connection)

    def _accept(self, listener: object) -> None:
        if not isinstance(listener, socket.socket):
            return
        try:
            accepted, _address = listener.accept()
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE):
                self._make_room()
            return  # otherwise the client is gone again
        if len(self._connections) >= MAX_CONNECTIONS:
            self._make_room()
        accepted.setblocking(False)
        self._connections[accepted.fileno()] = _Connection(accepted, time.monotonic() + TIME_LIMIT)
        self._selector.register(accepted, selectors.EVENT_READ, "connection")

    def _make_room(self) -> None:
        if self._connections:
            self._close(min(self._connections.values(), key=lambda c: c.deadline))

    def _attend(self, connection: _Connection, events: int) -> None:
        try:
            if events & selectors.EVENT_READ:
                received = connection.socket.recv(MAX_REQUEST)
                if not received:
                    self._close(connection)
                    return
                if not connection.closing:
                    connection.incoming += received
                    self._read_requests(connection)
            if connection.outgoing:
                sent = connection.socket.send(connection.outgoing)
                del connection.outgoing[:sent]
        except (BlockingIOError, InterruptedError):
            pass
        except OSError:
            self._close(connection)
            return
        if connection.outgoing:
            self._selector.modify(connection.socket, selectors.EVENT_WRITE, "connection")
        elif connection.closing:
            self._hang_up(connection)
        else:
            self._selector.modify(connection.socket, selectors.EVENT_READ, "connection")

    def _hang_up(self, connection: _Connection) -> None:
        """Half-close: closing with unread input would reset the connection and could lose the answer on its way."""
        try:
            connection.socket.shutdown(socket.SHUT_WR)
            self._selector.modify(connection.socket, selectors.EVENT_READ, "connection")
            connection.deadline = min(connection.deadline, time.monotonic() + 1)
        except OSError:
            self._close(connection)

    def _close(self, connection: _Connection) -> None:
        self._selector.unregister(connection.socket)
        del self._connections[connection.socket.fileno()]
        connection.socket.close()

    def _read_requests(self, connection: _Connection) -> None:
        while not connection.closing:
            while connection.incoming[:2] == b"\r\n":  # RFC 9112 section 2.2: empty lines before a request
                del connection.incoming[:2]
            end = connection.incoming.find(_END)
            if end > MAX_REQUEST or (end < 0 and len(connection.incoming) > MAX_REQUEST):
                self._reply(connection, 431, b"The request is too long.\n", close=True)
                return
            if end < 0:
                return
            head = bytes(connection.incoming[:end])
            del connection.incoming[: end + len(_END)]
            self._answer_one(connection, head.decode("latin-1"))
            connection.deadline = time.monotonic() + TIME_LIMIT

    def _answer_one(self, connection: _Connection, head: str) -> None:
        line, _, rest = head.partition("\r\n")
        fields = _fields(rest)
        words = line.split(" ")
        if len(words) != 3 or not words[2].startswith("HTTP/"):
            self._reply(connection, 400, b"This is not an HTTP request.\n", close=True)
            return
        method, target, version = words
        if version not in ("HTTP/1.1", "HTTP/1.0"):
            self._reply(connection, 505, b"Only HTTP/1.1 is spoken here.\n", close=True)
            return
        options = {word.strip().lower() for word in fields.get("connection", "").split(",")}
        close = "close" in options or (version == "HTTP/1.0" and "keep-alive" not in options)
        # A body would have to be read to find the next request; nobody who asks for an answer sends one.
        close = close or "content-length" in fields or "transfer-encoding" in fields
        if method not in ("GET", "HEAD"):
            self._reply(connection, 405, b"Only GET and HEAD are answered here.\n", close=True)
            return
        path = _path(target)
        body = self._answers.get(path)
        if body is None:
            self._reply(connection, 404, b"There is no such challenge here.\n", close=close, head_only=method == "HEAD")
            return
        self.asked.add(path)
        self._reply(connection, 200, body, close=close, head_only=method == "HEAD")

    def _reply(
        self, connection: _Connection, status: int, body: bytes, *, close: bool, head_only: bool = False
    ) -> None:
        kind = "application/octet-stream" if status == 200 else "text/plain; charset=utf-8"
        lines = [
            f"HTTP/1.1 {status} {_REASONS[status]}",
            "Server: acmectl",
            f"Date: {_http_date()}",
            f"Content-Type: {kind}",
            f"Content-Length: {len(body)}",
            "Cache-Control: no-store",
            f"Connection: {'close' if close else 'keep-alive'}",
        ]
        if status == 405:
            lines.append("Allow: GET, HEAD")
        connection.outgoing += "\r\n".join([*lines, "", ""]).encode("ascii")
        if not head_only:
            connection.outgoing += body
        connection.closing = close


def _fields(text: str) -> dict[str, str]:
    fields: dict[str, str] = {}
    for line in text.split("\r\n"):
        name, colon, value = line.partition(":")
        if colon:
            fields[name.strip().lower()] = value.strip()
    return fields


def _path(target: str) -> str:
    """The path of a request target in origin or absolute form (RFC 9112 section 3.2), without its query."""
    if target.lower().startswith("http://"):
        _host, slash, path = target[7:].partition("/")
        target = slash + path
    return target.partition("?")[0]


def _http_date() -> str:
    now = time.gmtime()
    day, month = _DAYS[now.tm_wday], _MONTHS[now.tm_mon - 1]
    return f"{day}, {now.tm_mday:02} {month} {now.tm_year} {now.tm_hour:02}:{now.tm_min:02}:{now.tm_sec:02} GMT"
