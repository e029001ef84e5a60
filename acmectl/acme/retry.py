"""How long to wait, and when to stop waiting (RFC 8555 sections 6.6, 7.4 and 7.5.1)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Protocol, TypeVar

from acmectl.errors import PollTimeout

if TYPE_CHECKING:
    from collections.abc import Callable

    from acmectl.clock import Clock

DAY = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """Bounds on waiting, in seconds.

    ``deadline``: for one operation or one poll. ``nonce_deadline``: how long a CA may go on refusing fresh nonces.
    ``delays``: pauses between polls when the CA names none; the last one repeats.
    """

    deadline: float = 180.0
    nonce_deadline: float = 30.0
    delays: tuple[float, ...] = (0.05, 0.1, 0.25, 0.5, 1.0)

    def delay(self, attempt: int) -> float:
        """The pause before poll number ``attempt`` (from 0)."""
        return self.delays[min(attempt, len(self.delays) - 1)]


class HasRetryAfter(Protocol):
    """An answer that may say when to ask again, in seconds."""

    @property
    def retry_after(self) -> float | None: ...


T = TypeVar("T", bound=HasRetryAfter)


def parse_retry_after(header: str | None, now: datetime, *, limit: float = DAY) -> float | None:
    """Seconds to wait from a Retry-After header: a number of seconds or an HTTP date (RFC 9110 section 10.2.3).

    Clamped to 0 .. ``limit`` seconds; a date in the past is 0. None for anything else. ``now`` is aware.
    """
    text = (header or "").strip()
    if text.isascii() and text.isdigit():
        # Thousands of digits are refused by int(); so many seconds are the limit anyway.
        return min(float(int(text[:20])), limit) if len(text) <= 20 else limit
    moment = _http_date(text)
    return None if moment is None else min(max(0.0, (moment - now).total_seconds()), limit)


def _http_date(text: str) -> datetime | None:
    if not text or len(text) > 60 or not text[0].isalpha():
        return None
    from email.utils import parsedate_to_datetime

    try:
        moment = parsedate_to_datetime(text)
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def poll(
    fetch: Callable[[], T],
    done: Callable[[T], bool],
    policy: RetryPolicy,
    clock: Clock,
    *,
    what: str = "the CA",
    on_wait: Callable[[float], None] | None = None,
) -> T:
    """Call ``fetch`` until ``done`` says so, and give that answer (RFC 8555 sections 7.4 and 7.5.1).

    The first call comes after the policy's first delay. Then a Retry-After above 0 is obeyed exactly; otherwise the
    policy's delays apply. ``on_wait`` is told the seconds waited so far before every pause but the first.

    Raises: PollTimeout as soon as the next call would come after ``policy.deadline`` seconds; ``retry_at`` tells when
    the CA wanted to be asked again. Interrupted on a signal.
    """
    start = clock.monotonic()
    clock.sleep(policy.delay(0))
    attempt = 1
    while True:
        answer = fetch()
        if done(answer):
            return answer
        pause = answer.retry_after or policy.delay(attempt)
        attempt += 1
        waited = clock.monotonic() - start
        if waited + pause > policy.deadline:
            retry_at = clock.now() + timedelta(seconds=pause) if answer.retry_after else None
            after = f" (it asks to come back at {retry_at:%Y-%m-%d %H:%M:%S} UTC)" if retry_at else ""
            raise PollTimeout(
                f"{what} was not ready within {max(1, round(policy.deadline))} seconds{after}.",
                hint="Try again later, or give the CA more time with --issuance-timeout.",
                retry_at=retry_at,
            )
        if on_wait is not None:
            on_wait(waited)
        clock.sleep(pause)
