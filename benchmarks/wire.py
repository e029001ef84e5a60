"""What stands between a client and the CA: a line with a delay, and the web server that answers validations.

Both run in one event loop in a thread of their own, for they must cost as little as they can: they share two cores
with what is measured.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.integration.servers.process import free_port

_CHUNK = 65_536


class _Answers(asyncio.Protocol):
    """HTTP/1.0 for the files below one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._asked = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._asked += data
        if b"\r\n\r\n" not in self._asked:
            return
        path = self._asked.split(b" ", 2)[1].decode("ascii", "replace")
        try:
            body = (self._folder / path.lstrip("/")).read_bytes()
        except OSError:
            status, body = b"404 Not Found", b""
        else:
            status = b"200 OK"
        self._transport.write(b"HTTP/1.0 %b\r\nContent-Length: %d\r\n\r\n%b" % (status, len(body), body))
        self._transport.close()


class Line:
    """A TCP relay to ``127.0.0.1:target`` whose every round trip takes ``round_trip`` seconds longer.

    The relay accepts at once, so a connection's first data waits for one round trip more, which is what TCP's own
    handshake would have taken. ``octets`` counts both directions, TLS included.
    """

    def __init__(self, target: int, round_trip: float) -> None:
        self.port = free_port()
        self.octets = 0
        self._target = target
        self._round_trip = round_trip

    @property
    def directory_url(self) -> str:
        """The CA's directory at this end of the line; the CA's own URLs follow from it."""
        return f"https://127.0.0.1:{self.port}/dir"

    async def serve(self) -> asyncio.Server:
        """Start to listen."""
        return await asyncio.start_server(self._connected, "127.0.0.1", self.port, limit=_CHUNK)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there_writer = await asyncio.open_connection("127.0.0.1", self._target)
        opening = asyncio.get_running_loop().time() + self._round_trip
        with suppress(OSError, asyncio.CancelledError):
            await asyncio.gather(self._carry(reader, there_writer, opening), self._carry(there_reader, writer, opening))

    async def _carry(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, opening: float) -> None:
        loop = asyncio.get_running_loop()
        waiting: deque[tuple[float, bytes]] = deque()
        arrived = asyncio.Event()

        async def deliver() -> None:
            while True:
                while not waiting:
                    arrived.clear()
                    await arrived.wait()
                due, data = waiting.popleft()
                if (left := due - loop.time()) > 0:
                    await asyncio.sleep(left)
                if not data:
                    sink.close()
                    return
                sink.write(data)

        delivery = asyncio.create_task(deliver())
        while True:
            try:
                data = await source.read(_CHUNK)
            except OSError:
                data = b""
            self.octets += len(data)
            waiting.append((max(loop.time(), opening) + self._round_trip / 2, data))
            arrived.set()
            if not data:
                break
        await delivery


class Wire:
    """The loop and what it serves."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def answer(self, folder: Path, port: int) -> None:
        """Serve the files of ``folder`` on ``port`` of 127.0.0.1 from now on."""
        self._wait(self._loop.create_server(lambda: _Answers(folder), "127.0.0.1", port))

    def line(self, target: int, *, round_trip: float) -> Line:
        """A line to the CA at port ``target``. ``round_trip``: seconds."""
        line = Line(target, round_trip)
        self._wait(line.serve())
        return line

    def _wait(self, what: object) -> None:
        asyncio.run_coroutine_threadsafe(what, self._loop).result(30)  # type: ignore[arg-type]


@contextmanager
def wire() -> Iterator[Wire]:
    """A running wire; it ends with the block."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield Wire(loop)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
