"""Many short conversations on sockets that listen already, all in one thread.

Nobody can wear it out: connections are few and their time limited; when there are too many, the one that has kept quiet
longest makes room.
"""

from __future__ import annotations

import contextlib
import errno
import selectors
import socket
import threading
import time
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_READ = 8192  # bytes taken from one client at a time
MAX_CONNECTIONS = 256
TIME_LIMIT = 30.0  # seconds that a connection may live without a complete request
_BACKLOG = 256


class Talk(ABC):
    """What is said to one client. ``outgoing`` waits to be sent; with ``closing`` it is the last."""

    def __init__(self) -> None:
        self.outgoing = bytearray()
        self.closing = False

    @abstractmethod
    def receive(self, data: bytes) -> bool:
        """Take what the client sent; True when it asked for something and has earned more time."""


class _Connection:
    """One client, until when it may stay, and what is said to it."""

    __slots__ = ("deadline", "socket", "talk")

    def __init__(self, accepted: socket.socket, talk: Talk, deadline: float) -> None:
        self.socket = accepted
        self.talk = talk
        self.deadline = deadline


class SocketServer(ABC):
    """Serves on sockets that are bound already, and closes them in the end."""

    def __init__(self, sockets: Sequence[socket.socket]) -> None:
        self._listeners = list(sockets)
        self._selector = selectors.DefaultSelector()
        self._connections: dict[int, _Connection] = {}
        self._wake, self._woken = socket.socketpair()
        self._thread = threading.Thread(target=self._serve, name="standalone", daemon=True)

    @abstractmethod
    def talk(self) -> Talk:
        """A conversation with a new client."""

    def start(self) -> None:
        """Begin to answer."""
        for listener in self._listeners:
            listener.setblocking(False)
            listener.listen(_BACKLOG)
            self._selector.register(listener, selectors.EVENT_READ, "listener")
        self._selector.register(self._woken, selectors.EVENT_READ, "stop")
        self._thread.start()

    def stop(self) -> None:
        """Close everything; the port is free when this returns, unless others hold the socket too."""
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
        deadline = time.monotonic() + TIME_LIMIT
        self._connections[accepted.fileno()] = _Connection(accepted, self.talk(), deadline)
        self._selector.register(accepted, selectors.EVENT_READ, "connection")

    def _make_room(self) -> None:
        if self._connections:
            self._close(min(self._connections.values(), key=lambda c: c.deadline))

    def _attend(self, connection: _Connection, events: int) -> None:
        talk = connection.talk
        try:
            if events & selectors.EVENT_READ:
                received = connection.socket.recv(MAX_READ)
                if not received:
                    self._close(connection)
                    return
                if not talk.closing and talk.receive(received):
                    connection.deadline = time.monotonic() + TIME_LIMIT
            if talk.outgoing:
                sent = connection.socket.send(talk.outgoing)
                del talk.outgoing[:sent]
        except (BlockingIOError, InterruptedError):
            pass
        except OSError:
            self._close(connection)
            return
        if talk.outgoing:
            self._selector.modify(connection.socket, selectors.EVENT_WRITE, "connection")
        elif talk.closing:
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
