"""How fast a CA may be asked: rows of one table, and a transport that keeps to them.

A CA without a row has no limit until it answers 429 or 503 with a short Retry-After; then nobody asks that endpoint
again before it is over. A long Retry-After is about one account or one name, and is left to whoever asked.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from acmectl.acme.retry import parse_retry_after

if TYPE_CHECKING:
    from collections.abc import Mapping

    from acmectl.acme.messages import Request, Response, Transport
    from acmectl.clock import Clock

SHARE = 0.9
"""The part of a limit that is used."""

_OVERLOADED = (429, 503)
_LONGEST_SHARED_PAUSE = 60.0  # seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """Requests per second for the URLs of one host whose path starts with ``prefix``. The longest prefix wins."""

    host: str
    prefix: str
    per_second: float
    source: str


_EDGE = "Let's Encrypt, rate limits, 'overall requests limit' (2026-08-05)"
_PRODUCTION = "acme-v02.api.letsencrypt.org"
_STAGING = "acme-staging-v02.api.letsencrypt.org"

LIMITS: tuple[Limit, ...] = (
    Limit(host=_PRODUCTION, prefix="/acme/new-nonce", per_second=20, source=_EDGE),
    Limit(host=_PRODUCTION, prefix="/acme/new-acct", per_second=5, source=_EDGE),
    Limit(host=_PRODUCTION, prefix="/acme/new-order", per_second=300, source=_EDGE),
    Limit(host=_PRODUCTION, prefix="/acme/revoke-cert", per_second=10, source=_EDGE),
    Limit(host=_PRODUCTION, prefix="/acme/renewal-info", per_second=1000, source=_EDGE),
    Limit(host=_PRODUCTION, prefix="/acme/", per_second=250, source=_EDGE),
    Limit(host=_PRODUCTION, prefix="/directory", per_second=40, source=_EDGE),
    Limit(host=_STAGING, prefix="/acme/new-nonce", per_second=20, source=_EDGE),
    Limit(host=_STAGING, prefix="/acme/new-acct", per_second=5, source=_EDGE),
    Limit(host=_STAGING, prefix="/acme/revoke-cert", per_second=10, source=_EDGE),
    Limit(host=_STAGING, prefix="/acme/renewal-info", per_second=1000, source=_EDGE),
    Limit(host=_STAGING, prefix="/acme/", per_second=20, source=_EDGE),
    Limit(host=_STAGING, prefix="/directory", per_second=40, source=_EDGE),
)


class _Bucket:
    """A token bucket that holds a second's worth. Gives each caller the seconds to wait for its turn."""

    def __init__(self, per_second: float, now: float) -> None:
        self._rate = per_second * SHARE
        self._size = max(1.0, self._rate)
        self._tokens = self._size
        self._at = now

    def reserve(self, now: float) -> float:
        self._tokens = min(self._size, self._tokens + (now - self._at) * self._rate)
        self._at = now
        self._tokens -= 1.0
        return max(0.0, -self._tokens / self._rate)


class BudgetedTransport:
    """Sends through ``transport``, never faster than the table allows. Safe for use from several threads."""

    def __init__(self, transport: Transport, *, clock: Clock, limits: tuple[Limit, ...] = LIMITS) -> None:
        self._transport = transport
        self._clock = clock
        self._limits: Mapping[str, list[Limit]] = _by_host(limits)
        self._lock = threading.Lock()
        self._buckets: dict[Limit, _Bucket] = {}
        self._paused: dict[tuple[str, str], float] = {}

    def send(self, request: Request) -> Response:
        """Wait for a turn, then send. Raises: TransportError, Interrupted."""
        parts = urlsplit(request.url)
        endpoint = (parts.netloc, _endpoint(parts.path))
        wait = self._wait(parts.hostname or "", parts.path, endpoint)
        if wait > 0:
            self._clock.sleep(wait)
        answer = self._transport.send(request)
        if answer.status in _OVERLOADED:
            self._note(endpoint, answer)
        return answer

    def _wait(self, host: str, path: str, endpoint: tuple[str, str]) -> float:
        with self._lock:
            now = self._clock.monotonic()
            wait = max(0.0, self._paused.get(endpoint, now) - now)
            limit = next((one for one in self._limits.get(host, ()) if path.startswith(one.prefix)), None)
            if limit is not None:
                bucket = self._buckets.setdefault(limit, _Bucket(limit.per_second, now))
                wait = max(wait, bucket.reserve(now))
            return wait

    def _note(self, endpoint: tuple[str, str], answer: Response) -> None:
        seconds = parse_retry_after(answer.header("retry-after"), self._clock.now())
        if seconds is not None and 0 < seconds <= _LONGEST_SHARED_PAUSE:
            with self._lock:
                until = self._clock.monotonic() + seconds
                self._paused[endpoint] = max(until, self._paused.get(endpoint, 0.0))


def _endpoint(path: str) -> str:
    """The part of a path that is the same for all resources of a kind, as CAs lay out their URLs."""
    parts = path.split("/")
    return "/".join(parts[:3]) if path.startswith("/acme/") else "/".join(parts[:2])


def _by_host(limits: tuple[Limit, ...]) -> dict[str, list[Limit]]:
    hosts: dict[str, list[Limit]] = {}
    for limit in sorted(limits, key=lambda one: -len(one.prefix)):
        hosts.setdefault(limit.host, []).append(limit)
    return hosts
