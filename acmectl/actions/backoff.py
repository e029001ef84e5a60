"""How long to leave alone what keeps failing: pure functions and what is kept between runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from acmectl.actions.ari import moment_of

if TYPE_CHECKING:
    from acmectl.storage.renewal_conf import JsonValue

# Let's Encrypt's integration guide: retry after 1, 10 and 100 minutes, then once a day.
DELAYS = (timedelta(minutes=1), timedelta(minutes=10), timedelta(minutes=100), timedelta(days=1))
_SHARE_OF_REMAINING = 10
_SHORTEST = timedelta(minutes=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """What is remembered of failures in a row. ``not_before`` is the next attempt (aware UTC).

    ``paused``: the CA wants a person to act first; nothing is tried unless that person asks for it.
    """

    failures: int = 0
    not_before: datetime | None = None
    reason: str = ""
    paused: bool = False

    def holds(self, now: datetime) -> bool:
        """Whether an attempt has to wait."""
        return self.paused or (self.not_before is not None and now < self.not_before)

    def failed(
        self,
        now: datetime,
        reason: str,
        *,
        expires: datetime | None = None,
        retry_at: datetime | None = None,
        paused: bool = False,
    ) -> Backoff:
        """The state after one more failure.

        The wait never exceeds a tenth of the lifetime that is left until ``expires``. ``retry_at`` is the CA's own word
        (a rate limit) and is obeyed even then.
        """
        failures = self.failures + 1
        pause = DELAYS[min(failures, len(DELAYS)) - 1]
        if expires is not None:
            pause = min(pause, max(_SHORTEST, (expires - now) / _SHARE_OF_REMAINING))
        not_before = now + pause
        if retry_at is not None:
            not_before = max(not_before, retry_at)
        return Backoff(failures=failures, not_before=not_before, reason=reason, paused=paused)

    def to_json(self) -> dict[str, JsonValue]:
        """For the section ``[acmectl]`` of a renewal file."""
        content: dict[str, JsonValue] = {"failures": self.failures, "reason": self.reason}
        if self.not_before is not None:
            content["not_before"] = self.not_before.isoformat()
        if self.paused:
            content["paused"] = True
        return content

    @classmethod
    def from_json(cls, content: object) -> Backoff:
        """What was kept; nothing if it is missing or damaged."""
        if not isinstance(content, Mapping):
            return cls()
        try:
            failures, reason = content.get("failures"), content.get("reason")
            return cls(
                failures=max(0, failures) if isinstance(failures, int) else 0,
                not_before=moment_of(content.get("not_before")),
                reason=reason if isinstance(reason, str) else "",
                paused=content.get("paused") is True,
            )
        except ValueError:
            return cls()
