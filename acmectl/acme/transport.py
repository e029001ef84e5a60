"""HTTPS to the CA, through urllib3: bounded in time and size, and never anything else than https.

One transport serves a whole run, from any thread. It keeps connections open, retries those that could not be made, and
remembers a server that took a request and never answered, so that the wait for it happens once.
"""

from __future__ import annotations

import logging
import ssl
import threading
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

import urllib3
from urllib3.connection import HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from acmectl.acme.failures import Failure, Fault, classify
from acmectl.acme.messages import Request, Response, Transport
from acmectl.acme.proxies import manager_for, proxy_for
from acmectl.acme.trust import choose_trust, tls_context
from acmectl.acme.wire import is_https_url, redacted
from acmectl.errors import ProtocolViolation, TransportError

if TYPE_CHECKING:
    from acmectl.clock import Clock
    from acmectl.interrupts import Interrupts

__all__ = ["HttpsTransport", "Request", "Response", "Transport", "choose_trust"]

logger = logging.getLogger(__name__)

_TRIES = 3
_RING_SECONDS = 10.0
_PAUSES = (0.25, 1.0)
_POOL = 32
_MAX_REDIRECTS = 5
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_CHUNK = 65_536
_DOWN_SECONDS = 60.0
_NO_RETRIES = urllib3.Retry(False)  # as they came, and not wrapped, errors say what happened

_exchange = threading.local()


class _BoundedSocket(ssl.SSLSocket):
    """A TLS socket whose reads end when the exchange of the calling thread has had its time.

    A socket's own time-out starts anew with every octet, so a server that dribbles could hold us for ever.
    """

    def do_handshake(self, block: bool = False) -> None:
        # The time to connect is per address, and several addresses must fit into the ring; a handshake may take longer.
        seconds: float | None = getattr(_exchange, "handshake", None)
        if seconds is not None:
            self.settimeout(seconds)
        super().do_handshake(block)

    def recv_into(self, *args: Any, **kwargs: Any) -> int:
        until: float | None = getattr(_exchange, "until", None)
        if until is not None:
            left = until - time.monotonic()
            if left <= 0:
                raise TimeoutError("timed out")
            present = self.gettimeout()
            if present is None or present > left:
                self.settimeout(left)
        interrupts: Interrupts | None = getattr(_exchange, "interrupts", None)
        # In threads other than the main one nothing else would end a read when a signal comes.
        waits = interrupts is not None and not self.pending()
        if waits and interrupts and not interrupts.wait_readable(self.fileno(), self.gettimeout()):
            raise TimeoutError("timed out")
        return super().recv_into(*args, **kwargs)


class _Connection(HTTPSConnection):
    """Sends the head of a request and its body together: in two pieces they cost two records and wake the CA twice."""

    _held: list[bytes] | None = None

    def request(self, *args: Any, **kwargs: Any) -> None:
        self._held = []
        try:
            super().request(*args, **kwargs)
            whole = b"".join(self._held)
        finally:
            self._held = None
        self.send(whole)

    def send(self, data: Any) -> None:
        if self._held is None:
            super().send(data)
        else:
            self._held.append(data)


class _Pool(HTTPSConnectionPool):
    ConnectionCls = _Connection


class _FailedError(Exception):
    """One try without an answer."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.reason)
        self.failure = failure


class HttpsTransport:
    """Sends requests over https (RFC 8555 section 6.1). Safe for use from several threads.

    Proxies come from HTTPS_PROXY and NO_PROXY; .netrc is never read and cookies are never kept.
    """

    def __init__(
        self,
        *,
        verify: str | bool,
        user_agent: str,
        clock: Clock,
        interrupts: Interrupts,
        timeout: tuple[float, float] = (10.0, 45.0),
        max_body: int = 1 << 20,
    ) -> None:
        """``verify``: what ``choose_trust`` gave. ``timeout``: seconds to connect and to wait for an answer.

        ``max_body``: octets that an answer may have. The bundle is read when the first request goes out.
        """
        self._verify = verify
        self._headers = {
            "User-Agent": user_agent,
            "Accept-Language": "en",
            # Compressed answers would make the cap on their size a cap on the wrong thing.
            "Accept-Encoding": "identity",
        }
        self._clock = clock
        self._interrupts = interrupts
        self._connect_seconds, self._read_seconds = timeout
        self._max_body = max_body
        self._lock = threading.Lock()
        self._context: ssl.SSLContext | None = None
        self._pools: dict[str, HTTPConnectionPool] = {}
        self._down: dict[str, tuple[float, TransportError]] = {}
        self._answered: dict[str, float] = {}

    def send(self, request: Request) -> Response:
        """Send ``request`` and give the answer, whatever its status.

        A connection that cannot be made is tried three times within 10 seconds; one that breaks after the request went
        out is tried again only for idempotent requests. A server that accepted a request and left it unanswered while
        nothing else from it arrived either is not asked again in this run.

        Raises: TransportError; ProtocolViolation for a redirect elsewhere or an answer beyond the cap; ConfigError for
        a bundle that cannot be loaded; Interrupted.
        """
        if not is_https_url(request.url):
            raise ProtocolViolation(f"A request to a URL that is not https was refused: {redacted(request.url)}")
        origin = _origin(request.url)
        started = self._clock.monotonic()
        tries = 0
        while True:
            self._interrupts.check()
            self._refuse_if_down(origin)
            tries += 1
            sent_at = self._clock.monotonic()
            left = _RING_SECONDS - (sent_at - started)
            try:
                with self._interrupts.interruptible():
                    answer = self._follow(request, min(self._connect_seconds, max(left, 1.0)))
            except _FailedError as failed:
                failure, cause = failed.failure, failed.__cause__
            else:
                self._answered[origin] = self._clock.monotonic()
                return answer
            pause = _PAUSES[min(tries, len(_PAUSES)) - 1]
            retry = failure.fault is Fault.UNREACHABLE or (failure.fault is Fault.LOST and request.idempotent)
            if not retry or tries >= _TRIES or self._clock.monotonic() - started + pause >= _RING_SECONDS:
                error = _error(origin, failure, self._clock.monotonic() - sent_at)
                self._note_failure(origin, failure, error, sent_at)
                raise error from cause
            logger.debug("%s: %s; trying again in %.2f s", origin, failure.reason, pause)
            self._clock.sleep(pause)

    def _refuse_if_down(self, origin: str) -> None:
        until, error = self._down.get(origin, (0.0, None))
        if error is not None and self._clock.monotonic() < until:
            raise TransportError(error.message, hint=error.hint)

    def _note_failure(self, origin: str, failure: Failure, error: TransportError, sent_at: float) -> None:
        # A server that answered other requests meanwhile is alive; then only this one request went wrong.
        if failure.fault is not Fault.LOST and self._answered.get(origin, -1.0) < sent_at:
            lasting = failure.fault is Fault.SILENT
            self._down[origin] = (float("inf") if lasting else self._clock.monotonic() + _DOWN_SECONDS, error)

    def _follow(self, request: Request, connect_seconds: float) -> Response:
        """One try, redirects of GET and HEAD on the same host included."""
        url = request.url
        for _ in range(_MAX_REDIRECTS + 1):
            answer = self._exchange(request, url, connect_seconds)
            if answer.status not in _REDIRECTS:
                return answer
            target = _redirect_target(url, answer.header("location"))
            if request.method == "POST" or target is None:
                raise ProtocolViolation(
                    f"{_origin(url)} redirects the request elsewhere, which acmectl does not follow.",
                    hint="Give the URL of the ACME directory itself with --server.",
                )
            url = target
        raise ProtocolViolation(f"{_origin(url)} redirects in circles.")

    def _exchange(self, request: Request, url: str, connect_seconds: float) -> Response:
        start = time.monotonic()
        _exchange.handshake = connect_seconds
        _exchange.until = start + connect_seconds + 2 * self._read_seconds
        _exchange.interrupts = self._interrupts
        fault = Fault.UNREACHABLE
        try:
            origin = _origin(url)
            pool = self._pools.get(origin) or self._open_pool(origin, url)
            reply = pool.urlopen(
                request.method,
                _target(url),
                body=request.body,
                headers={**self._headers, **request.headers},
                retries=_NO_RETRIES,
                redirect=False,
                assert_same_host=False,
                timeout=urllib3.Timeout(connect=connect_seconds / 2, read=self._read_seconds),
                preload_content=False,
            )
            fault = Fault.LOST
            body = self._read(reply, url)
        except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            raise _FailedError(classify(error, _fault_of(error, fault))) from error
        # Repeated headers, such as Link, are joined.
        headers = {name.lower(): value for name, value in reply.headers.itermerged()}
        if logger.isEnabledFor(logging.DEBUG):
            taken = (time.monotonic() - start) * 1e3
            logger.debug("%s %s -> %d in %.0f ms", request.method, redacted(url), reply.status, taken)
        return Response(status=reply.status, headers=headers, body=body, url=url)

    def _read(self, reply: urllib3.BaseHTTPResponse, url: str) -> bytes:
        """The body, up to the cap; afterwards the connection is free for the next request."""
        parts: list[bytes] = []
        size = 0
        for part in reply.stream(_CHUNK, decode_content=True):
            parts.append(part)
            size += len(part)
            if size > self._max_body:
                reply.close()
                raise ProtocolViolation(f"{_origin(url)} sent an answer of more than {self._max_body} octets.")
        reply.release_conn()
        return b"".join(parts)

    def _open_pool(self, origin: str, url: str) -> HTTPConnectionPool:
        """The connections to one server. Raises: ConfigError for an unusable proxy or trust bundle."""
        with self._lock:
            pool = self._pools.get(origin)
            if pool is None:
                if self._context is None:
                    # One for all connections: to load the bundle takes longer than to connect.
                    self._context = self._load_trust()
                proxy = proxy_for(url)
                manager: urllib3.PoolManager
                if proxy is not None:
                    manager = manager_for(proxy, self._context, connections=_POOL)
                else:
                    manager = urllib3.PoolManager(maxsize=_POOL, ssl_context=self._context)
                manager.pool_classes_by_scheme = {"https": _Pool}
                pool = self._pools[origin] = manager.connection_from_url(url)
            return pool

    def _load_trust(self) -> ssl.SSLContext:
        default = ""
        if self._verify is True:
            from certifi import where

            default = where()
        elif self._verify is False:
            urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
        return tls_context(self._verify, default, _BoundedSocket)


def _fault_of(error: Exception, fault: Fault) -> Fault:
    """The kind of a failure; ``fault`` tells whether the head of an answer had arrived (LOST) or not."""
    if isinstance(error, urllib3.exceptions.ReadTimeoutError | TimeoutError):
        return Fault.SILENT
    return Fault.LOST if isinstance(error, urllib3.exceptions.ProtocolError) else fault


def _target(url: str) -> str:
    """What stands in the first line of a request for ``url``."""
    parts = urlsplit(url)
    return f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"


def _origin(url: str) -> str:
    return urlsplit(url).netloc.lower()


def _redirect_target(url: str, location: str | None) -> str | None:
    """The absolute target of a redirect if it stays on the same https host and port, else None."""
    try:
        target = urljoin(url, location or "")
    except ValueError:
        return None
    if not location or not is_https_url(target):
        return None
    old, new = urlsplit(url), urlsplit(target)
    return target if (old.hostname, old.port or 443) == (new.hostname, new.port or 443) else None


def _error(origin: str, failure: Failure, waited: float) -> TransportError:
    if failure.fault is Fault.UNREACHABLE:
        return TransportError(f"{origin} cannot be reached: {failure.reason}.", hint=failure.hint)
    if failure.fault is Fault.SILENT:
        return TransportError(
            f"{origin} accepted a connection but did not answer within {max(1, round(waited))} seconds.",
            hint="It is not asked again in this run; try again later.",
        )
    return TransportError(f"The answer of {origin} was lost: {failure.reason}.", hint=failure.hint)
