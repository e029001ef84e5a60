"""A small HTTP/1.1 server (RFC 9112) that gives fixed answers for fixed paths and knows nothing else.

Requests are short, and a path from a request is only ever looked up in the table of answers.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from acmectl_plugins.standalone_loop import SocketServer, Talk

if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping, Sequence

MAX_REQUEST = 8192  # bytes of request line and header fields
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


class AnswerServer(SocketServer):
    """Serves http-01 answers. ``asked`` holds the paths that were asked for and answered."""

    def __init__(self, sockets: Sequence[socket.socket]) -> None:
        super().__init__(sockets)
        self.answers: Mapping[str, bytes] = {}
        self.asked: set[str] = set()

    def answer(self, answers: Mapping[str, bytes]) -> None:
        """Replace the table of answers."""
        self.answers = dict(answers)

    def talk(self) -> Talk:
        """HTTP with a new client."""
        return _HttpTalk(self)


class _HttpTalk(Talk):
    """Requests of one client and their answers."""

    def __init__(self, server: AnswerServer) -> None:
        super().__init__()
        self._server = server
        self._incoming = bytearray()

    def receive(self, data: bytes) -> bool:
        """Answer the requests that are complete; True if there was one."""
        self._incoming += data
        answered = False
        while not self.closing:
            while self._incoming[:2] == b"\r\n":  # RFC 9112 section 2.2: empty lines before a request
                del self._incoming[:2]
            end = self._incoming.find(_END)
            if end > MAX_REQUEST or (end < 0 and len(self._incoming) > MAX_REQUEST):
                self._reply(431, b"The request is too long.\n", close=True)
                break
            if end < 0:
                break
            head = bytes(self._incoming[:end])
            del self._incoming[: end + len(_END)]
            self._answer_one(head.decode("latin-1"))
            answered = True
        return answered

    def _answer_one(self, head: str) -> None:
        line, _, rest = head.partition("\r\n")
        fields = _fields(rest)
        words = line.split(" ")
        if len(words) != 3 or not words[2].startswith("HTTP/"):
            self._reply(400, b"This is not an HTTP request.\n", close=True)
            return
        method, target, version = words
        if version not in ("HTTP/1.1", "HTTP/1.0"):
            self._reply(505, b"Only HTTP/1.1 is spoken here.\n", close=True)
            return
        options = {word.strip().lower() for word in fields.get("connection", "").split(",")}
        close = "close" in options or (version == "HTTP/1.0" and "keep-alive" not in options)
        # A body would have to be read to find the next request; nobody who asks for an answer sends one.
        close = close or "content-length" in fields or "transfer-encoding" in fields
        if method not in ("GET", "HEAD"):
            self._reply(405, b"Only GET and HEAD are answered here.\n", close=True)
            return
        path = _path(target)
        body = self._server.answers.get(path)
        if body is None:
            self._reply(404, b"There is no such challenge here.\n", close=close, head_only=method == "HEAD")
            return
        self._server.asked.add(path)
        self._reply(200, body, close=close, head_only=method == "HEAD")

    def _reply(self, status: int, body: bytes, *, close: bool, head_only: bool = False) -> None:
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
        self.outgoing += "\r\n".join([*lines, "", ""]).encode("ascii")
        if not head_only:
            self.outgoing += body
        self.closing = close


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
