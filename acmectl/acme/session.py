"""Requests to one CA: directory, nonces, signatures, and the retries with a fresh signature (RFC 8555 section 6)."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from acmectl.acme.answers import LONGEST_LIMIT, error_of, problem_of
from acmectl.acme.messages import Request, Response, Transport
from acmectl.acme.nonce import NoncePool, is_nonce
from acmectl.acme.problem import Problem, ProblemType
from acmectl.acme.resources import Directory
from acmectl.acme.retry import DAY, RetryPolicy, parse_retry_after
from acmectl.acme.wire import JsonObject, check_url, is_https_url, redacted
from acmectl.errors import ConfigError, ProtocolViolation, ServerProblem

if TYPE_CHECKING:
    from acmectl.acme.jws import AccountKey
    from acmectl.clock import Clock

logger = logging.getLogger(__name__)

_NOT_FOUND = 404
_TRANSIENT = frozenset({429, 500, 502, 503, 504})
_BACKOFF = (1.0, 2.0, 4.0)
_LONGEST_OWN_PAUSE = 5.0
# A CA that refuses many nonces in a row is asked more slowly, so that refusing everything does not mean a flood.
_FAST_NONCES = 40
_SLOW_NONCE = 0.1
# A CA may take some seconds to know a new account key everywhere.
_KEY_SETTLES = 8.0
_KEY_PAUSE = 1.0


@dataclass(slots=True)
class _Setbacks:
    """What went wrong so far with one operation. Times are monotonic seconds, ``deadline`` seconds from ``started``."""

    started: float
    deadline: float
    transient: int = 0
    nonces: int = 0
    nonces_since: float = 0.0


class Session:
    """Sends requests to one CA. Safe for use from several threads."""

    def __init__(self, transport: Transport, directory_url: str, *, clock: Clock, policy: RetryPolicy) -> None:
        """Raises: ConfigError when ``directory_url`` is not an https URL (RFC 8555 section 6.1)."""
        if not is_https_url(directory_url):
            if directory_url.startswith("https://"):
                raise ConfigError(
                    f"The server {redacted(directory_url)} is not a URL that can be used.",
                    hint="It needs a host, takes a port from 1 to 65535, and holds no user name, password or space.",
                )
            raise ConfigError(
                f"The server {redacted(directory_url)} is not an https URL.",
                hint="ACME is spoken over https only; --no-verify-ssl skips certificate checks, not encryption.",
            )
        self._transport = transport
        self._directory_url = directory_url
        self._clock = clock
        self._policy = policy
        self._nonces = NoncePool()
        self._directory: Directory | None = None
        self._directory_lock = threading.Lock()
        self._key_changed_at: float | None = None

    def directory(self) -> Directory:
        """The CA's directory, fetched once (RFC 8555 section 7.1.1)."""
        if self._directory is None:
            with self._directory_lock:
                if self._directory is None:
                    self._directory = self._read_directory()
        return self._directory

    def _read_directory(self) -> Directory:
        try:
            answer = self.get(self._directory_url)
            source = JsonObject.from_body(answer.body, "the directory")
            return Directory.from_json(source, self._directory_url)
        except (ProtocolViolation, ServerProblem) as error:
            if isinstance(error, ProtocolViolation) or error.status == _NOT_FOUND:
                error.hint = error.hint or "Is the server's URL the URL of an ACME directory?"
            raise

    def key_changed(self) -> None:
        """Take note that the account key was changed just now."""
        self._key_changed_at = self._clock.monotonic()

    def retry_after(self, answer: Response, *, limit: float = DAY) -> float | None:
        """The answer's Retry-After in seconds, clamped to ``limit``, or None."""
        return parse_retry_after(answer.header("retry-after"), self._clock.now(), limit=limit)

    def get(self, url: str, *, deadline: float | None = None) -> Response:
        """An unsigned GET (RFC 8555 section 6.3: for the directory, newNonce and renewalInfo only).

        ``deadline`` in seconds, where the policy's would be too long to wait for a busy CA.
        """
        request = Request(method="GET", url=check_url(url, "a request"), headers={"Accept": "application/json"})
        answer = self._run(lambda _nonce: request, signed=False, deadline=deadline)
        self._nonces.add(answer.header("replay-nonce"))
        return answer

    def post(
        self,
        url: str,
        payload: Mapping[str, object] | None,
        *,
        key: AccountKey,
        kid: str | None,
        accept: str | None = None,
        idempotent: bool = True,
    ) -> Response:
        """A signed POST; ``payload`` None makes it a POST-as-GET (RFC 8555 sections 6.2 and 6.3).

        Answers of badNonce, 429 and 5xx are retried with a fresh signature within the policy's deadlines.

        Raises: ServerProblem and its kin for any other error answer; TransportError; Interrupted.
        """
        # Most runs only ask for renewal information, unsigned, and need no cryptography.
        from acmectl.acme.jws import sign_request

        check_url(url, "a request")
        headers = {"Content-Type": "application/jose+json"}
        if accept is not None:
            headers["Accept"] = accept

        def build(nonce: str | None) -> Request:
            body = sign_request(key, url, payload, nonce=nonce, kid=kid)
            return Request(method="POST", url=url, headers=headers, body=body, idempotent=idempotent)

        answer = self._run(build, signed=True)
        self._nonces.add(answer.header("replay-nonce"))
        return answer

    def _run(self, build: Callable[[str | None], Request], *, signed: bool, deadline: float | None = None) -> Response:
        """Send until the CA accepts; the nonce of the accepted answer is the caller's to keep."""
        setbacks = _Setbacks(
            started=self._clock.monotonic(), deadline=self._policy.deadline if deadline is None else deadline
        )
        nonce = self._nonce() if signed else None
        while True:
            answer = self._transport.send(build(nonce))
            if 200 <= answer.status < 300:
                return answer
            problem = problem_of(answer)
            offered = answer.header("replay-nonce")
            if signed and problem.code == ProblemType.BAD_NONCE:
                self._pause_after_bad_nonce(setbacks, answer, problem)
                # RFC 8555 section 6.5: the refusal carries a nonce that is good for the next try.
                nonce = offered if offered and is_nonce(offered) else self._nonce()
                continue
            self._nonces.add(offered)
            pause = self._pause(setbacks, answer, problem)
            if pause is None:
                raise error_of(answer, problem, self._clock.now())
            logger.debug("The CA answered %d; trying again in %.1f s", answer.status, pause)
            self._clock.sleep(pause)
            nonce = self._nonce() if signed else None

    def _nonce(self) -> str:
        """A nonce from the pool, or a new one from the CA (RFC 8555 section 7.2)."""
        nonce = self._nonces.take()
        if nonce is not None:
            return nonce
        url = self.directory().new_nonce
        # Fetching the directory may have brought a nonce.
        nonce = self._nonces.take()
        if nonce is not None:
            return nonce
        offered = self._run(lambda _nonce: Request(method="HEAD", url=url), signed=False).header("replay-nonce")
        if offered is None or not is_nonce(offered):
            raise ProtocolViolation("The CA answered newNonce without a nonce.")
        return offered

    def _pause_after_bad_nonce(self, setbacks: _Setbacks, answer: Response, problem: Problem) -> None:
        """Sleep if many nonces were refused already. Raises: ServerProblem when the deadline is over."""
        now = self._clock.monotonic()
        if not setbacks.nonces:
            setbacks.nonces_since = now
        setbacks.nonces += 1
        limit = min(self._policy.nonce_deadline, self._policy.deadline)
        if now - setbacks.nonces_since > limit:
            raise ServerProblem(
                f"The CA refused every anti-replay nonce for {limit:g} seconds, {setbacks.nonces} in all"
                f" (badNonce: {problem.describe()})",
                problem=problem,
                status=answer.status,
                hint="The CA, or something between it and this machine, is broken; try again later.",
            )
        if setbacks.nonces > _FAST_NONCES:
            self._clock.sleep(_SLOW_NONCE)

    def _pause(self, setbacks: _Setbacks, answer: Response, problem: Problem) -> float | None:
        """Seconds to wait before trying again after an error answer; None when trying again is no use."""
        now = self._clock.monotonic()
        if self._key_is_settling(now, problem):
            return _KEY_PAUSE
        limited = problem.code == ProblemType.RATE_LIMITED
        if answer.status not in _TRANSIENT and not limited:
            return None
        asked = self.retry_after(answer, limit=LONGEST_LIMIT)
        if asked is None:
            if limited or setbacks.transient >= len(_BACKOFF):
                return None
            pause = _BACKOFF[setbacks.transient]
        else:
            # A CA that says "now" again and again must not be flooded.
            pause = max(asked, min(0.1 * 2 ** min(setbacks.transient, 10), _LONGEST_OWN_PAUSE))
        if now - setbacks.started + pause > setbacks.deadline:
            return None
        setbacks.transient += 1
        return pause

    def _key_is_settling(self, now: float, problem: Problem) -> bool:
        return (
            self._key_changed_at is not None
            and now - self._key_changed_at < _KEY_SETTLES
            and problem.code in {ProblemType.MALFORMED, ProblemType.UNAUTHORIZED}
            and "verif" in problem.detail.lower()
        )
