"""ACME renewal information between runs (RFC 9773): what is kept, when to ask again, when a lineage is due by it.

The instant is chosen once, uniformly in the suggested window, and kept until the window changes; choosing anew at every
look would make early renewals likelier the more often one looks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from acmectl.acme.resources import RenewalInfo
    from acmectl.storage.renewal_conf import JsonValue

DEFAULT_PAUSE = timedelta(hours=6)  # RFC 9773 section 4.3.2: without a Retry-After, or after a lasting failure
_FIRST_BACKOFF = timedelta(minutes=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class AriState:
    """What is remembered of one certificate's renewal information. Times are aware UTC.

    ``cert_id`` says which certificate it is about; ``instant`` is the chosen one; ``ask_at`` when to ask again;
    ``failures`` counts unanswered questions in a row; ``explanation_url`` is the CA's page for people.
    """

    cert_id: str
    ask_at: datetime | None = None
    start: datetime | None = None
    end: datetime | None = None
    instant: datetime | None = None
    failures: int = 0
    explanation_url: str | None = None

    def shall_ask(self, now: datetime) -> bool:
        """Whether the CA may be asked (again)."""
        return self.ask_at is None or now >= self.ask_at

    def answered(self, info: RenewalInfo, now: datetime, choose: Callable[[], float]) -> AriState:
        """The state after an answer. ``choose`` gives a number from 0 up to 1, uniformly."""
        instant = self.instant
        if instant is None or (self.start, self.end) != (info.start, info.end):
            instant = info.start + (info.end - info.start) * choose()
        pause = timedelta(seconds=info.retry_after) if info.retry_after is not None else DEFAULT_PAUSE
        return replace(
            self,
            ask_at=now + pause,
            start=info.start,
            end=info.end,
            instant=instant,
            failures=0,
            explanation_url=info.explanation_url,
        )

    def unanswered(self, now: datetime, *, temporary: bool) -> AriState:
        """The state after a failure (RFC 9773 section 4.3.2): temporary ones back off, others wait six hours.

        A window that was known stays known.
        """
        failures = self.failures + 1
        pause = DEFAULT_PAUSE
        if temporary:
            pause = min(DEFAULT_PAUSE, _FIRST_BACKOFF * 2 ** min(failures - 1, 16))
        return replace(self, ask_at=now + pause, failures=failures)

    def is_due(self, now: datetime, next_wake_up: datetime) -> bool:
        """Whether the certificate should be renewed now rather than at the next run.

        Due when the instant has come. Before it, due only if the next run would come after the instant and waiting for
        it would be worse: because we are inside the window already, or because it would be over by then. A window that
        lies wholly or partly ahead is waited for, since a CA exempts only renewals inside it from its limits.
        """
        if self.instant is None or self.start is None or self.end is None:
            return False
        if now >= self.instant:
            return True
        return next_wake_up > self.instant and (now >= self.start or next_wake_up >= self.end)

    def to_json(self) -> dict[str, JsonValue]:
        """For the section ``[acmectl]`` of a renewal file."""
        content: dict[str, JsonValue] = {"cert_id": self.cert_id, "failures": self.failures}
        for key in ("ask_at", "start", "end", "instant"):
            moment: datetime | None = getattr(self, key)
            if moment is not None:
                content[key] = moment.isoformat()
        if self.explanation_url is not None:
            content["explanation_url"] = self.explanation_url
        return content

    @classmethod
    def from_json(cls, content: object, cert_id: str) -> AriState:
        """What was kept about the certificate ``cert_id``; a fresh state if it was about another, or is damaged."""
        if not isinstance(content, Mapping) or content.get("cert_id") != cert_id:
            return cls(cert_id=cert_id)
        try:
            failures = content.get("failures", 0)
            url = content.get("explanation_url")
            window = [moment_of(content.get(key)) for key in ("start", "end", "instant")]
            if None in window and any(window):
                return cls(cert_id=cert_id)  # one that is not whole is none
            return cls(
                cert_id=cert_id,
                ask_at=moment_of(content.get("ask_at")),
                start=window[0],
                end=window[1],
                instant=window[2],
                failures=max(0, failures) if isinstance(failures, int) else 0,
                explanation_url=url if isinstance(url, str) else None,
            )
        except ValueError:
            return cls(cert_id=cert_id)


def moment_of(value: object) -> datetime | None:
    """An aware UTC time from its ISO text, or None. Raises: ValueError when the text is no time or has no zone."""
    if not isinstance(value, str):
        return None
    moment = datetime.fromisoformat(value)
    if moment.tzinfo is None:
        raise ValueError("a time without a zone")
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("a time before the first or after the last year") from error


def certbot_stamp(ask_at: datetime) -> str:
    """``ari_retry_after`` as certbot keeps it: local time without a zone, to the second."""
    return ask_at.astimezone().replace(tzinfo=None, microsecond=0).isoformat()


def from_certbot_stamp(text: str | None) -> datetime | None:
    """certbot's ``ari_retry_after`` as aware UTC; None when it is missing or no time."""
    if text is None:
        return None
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
