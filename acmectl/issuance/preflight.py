"""Our own http-01 answers, fetched the way the CA fetches them (RFC 8555 section 8.3).

Advice only: it runs beside the validation and is silent while the CA is content. It uses the standard library because
what it must speak is plain http with redirects to anywhere, which the ACME transport rightly refuses.
"""

from __future__ import annotations

import http.client
import queue
import socket
import ssl
import threading
import time
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urljoin, urlsplit

from acmectl.plugin.api import AnswerFault

if TYPE_CHECKING:
    from collections.abc import Sequence

    from acmectl.identifiers import Identifier
    from acmectl.plugin.api import ChallengeTask

LIMIT = 3.0  # seconds for the whole check
_REDIRECTS = 10
_THREADS = 4
_BODY = 512  # a key authorization is far shorter
_HTTP_OK = 200


class SelfCheck:
    """Fetches the answers of http-01 tasks in daemon threads, at most ``LIMIT`` seconds in all."""

    def __init__(self, tasks: Sequence[ChallengeTask]) -> None:
        """Start at once."""
        self._tasks = [task for task in tasks if task.type == "http-01"]
        self._deadline = time.monotonic() + LIMIT
        self._results: queue.SimpleQueue[tuple[Identifier, AnswerFault | None]] = queue.SimpleQueue()
        self._faults: dict[Identifier, AnswerFault | None] = {}
        todo: queue.SimpleQueue[ChallengeTask] = queue.SimpleQueue()
        for task in self._tasks:
            todo.put(task)
        for _ in range(min(_THREADS, len(self._tasks))):
            threading.Thread(target=self._work, args=(todo,), daemon=True).start()

    def _work(self, todo: queue.SimpleQueue[ChallengeTask]) -> None:
        while True:
            try:
                task = todo.get_nowait()
            except queue.Empty:
                return
            left = self._deadline - time.monotonic()
            if left <= 0:
                return
            self._results.put((task.identifier, fault_of_answer(task, timeout=left)))

    def findings(self, identifiers: Sequence[Identifier]) -> dict[Identifier, str]:
        """As ``faults``, in words alone."""
        return {name: fault.text for name, fault in self.faults(identifiers).items()}

    def faults(self, identifiers: Sequence[Identifier]) -> dict[Identifier, AnswerFault]:
        """What is wrong with the answers for ``identifiers``; waits until the check's time is over at most."""
        wanted = {task.identifier for task in self._tasks} & set(identifiers)
        while not wanted <= self._faults.keys():
            try:
                identifier, fault = self._results.get(timeout=max(0.0, self._deadline - time.monotonic()))
            except queue.Empty:
                break
            self._faults[identifier] = fault
        return {name: fault for name in wanted if (fault := self._faults.get(name)) is not None}


def check_answer(task: ChallengeTask, *, timeout: float) -> str | None:
    """What is wrong with the answer to ``task``, in words, or None. ``timeout`` in seconds."""
    fault = fault_of_answer(task, timeout=timeout)
    return None if fault is None else fault.text


def fault_of_answer(task: ChallengeTask, *, timeout: float) -> AnswerFault | None:
    """What is wrong with the answer to ``task``, or None. ``timeout`` in seconds."""
    deadline = time.monotonic() + timeout
    url = task.http_url
    for _ in range(_REDIRECTS):
        parts = urlsplit(url)
        try:
            status, location, body = _get(parts, max(0.1, deadline - time.monotonic()))
        except socket.gaierror:
            return _unreached(f"{parts.hostname} has no address, as seen from this machine")
        except ConnectionRefusedError:
            return _unreached(f"nothing listens at {parts.netloc} (connection refused), as seen from this machine")
        except (TimeoutError, OSError, http.client.HTTPException, ValueError) as error:
            return _unreached(f"fetching {_clean(url)} from this machine failed: {_reason(error)}")
        if location is not None:
            url = urljoin(url, location)
            if urlsplit(url).scheme not in ("http", "https"):
                return _wrong(f"{parts.netloc} redirects to {_clean(url)}, which is neither http nor https")
            continue
        if status != _HTTP_OK:
            return _wrong(f"{_clean(url)} answers with HTTP status {status}, as seen from this machine")
        if body.strip() != task.http_body:
            return _wrong(f"{_clean(url)} answers with something else than our file, as seen from this machine")
        return None
    return _wrong(f"{task.http_url} redirects more than {_REDIRECTS} times")


def _unreached(text: str) -> AnswerFault:
    return AnswerFault(text=text, reached=False)


def _wrong(text: str) -> AnswerFault:
    return AnswerFault(text=text, reached=True)


def _get(parts: SplitResult, timeout: float) -> tuple[int, str | None, bytes]:
    host = parts.hostname or ""
    connection: http.client.HTTPConnection
    if parts.scheme == "https":
        # Like the CA, which does not verify the certificate of a server that may only be about to get one.
        connection = http.client.HTTPSConnection(
            host,
            parts.port or 443,
            timeout=timeout,
            context=ssl._create_unverified_context(),  # noqa: S323
        )
    else:
        connection = http.client.HTTPConnection(host, parts.port or 80, timeout=timeout)
    try:
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.request("GET", path, headers={"User-Agent": "acmectl-self-check", "Accept": "*/*"})
        response = connection.getresponse()
        location = response.getheader("Location") if response.status in (301, 302, 303, 307, 308) else None
        return response.status, location, response.read(_BODY)
    finally:
        connection.close()


def _reason(error: Exception) -> str:
    text = str(error) or type(error).__name__
    return _clean(text)


def _clean(text: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in text)[:300]
