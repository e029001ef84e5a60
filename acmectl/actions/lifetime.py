"""--not-after: when a certificate shall end (notAfter of an order, RFC 8555 section 7.4)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from acmectl.config.values import shown
from acmectl.errors import ConfigError
from acmectl.events import Notice
from acmectl.pki.certificate import read_certificate

if TYPE_CHECKING:
    from acmectl.actions.services import Services

_DURATION = re.compile(r"(\d{1,9})\s*([smhdw])", re.ASCII | re.IGNORECASE)
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_LONGEST = timedelta(days=100 * 366)
_TOLERANCE = timedelta(minutes=1)  # CAs count the first or the last second, or round to whole minutes


@dataclass(frozen=True, slots=True, kw_only=True)
class NotAfter:
    """A time after the order is made (``duration``), or a moment (aware UTC); exactly one of them."""

    duration: timedelta | None = None
    moment: datetime | None = None

    def at(self, ordered: datetime) -> datetime:
        """When a certificate that is ordered at ``ordered`` shall end; whole seconds, as orders have them."""
        end = self.moment if self.duration is None else ordered + self.duration
        assert end is not None  # noqa: S101 - one of the two is there
        return end.astimezone(UTC).replace(microsecond=0)

    def __str__(self) -> str:
        if self.duration is not None:
            return f"{int(self.duration.total_seconds())}s"
        return "" if self.moment is None else f"{self.moment:%Y-%m-%dT%H:%M:%SZ}"


def parse_not_after(text: str, origin: str, *, now: datetime) -> NotAfter:
    """``20d``, ``36h``, or a date with or without time in ISO 8601, in UTC unless it names a zone.

    Raises: ConfigError for anything else, and for what is not after ``now``.
    """
    duration = _DURATION.fullmatch(text.strip())
    if duration is not None:
        seconds = int(duration[1]) * _SECONDS[duration[2].lower()]
        if not 0 < seconds <= _LONGEST.total_seconds():
            raise ConfigError(f"{origin}: no certificate can live for {shown(text)}.")
        return NotAfter(duration=timedelta(seconds=seconds))
    try:
        moment = datetime.fromisoformat(text.strip())
        moment = (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ConfigError(
            f"{origin}: {shown(text)} is neither a time from now such as 20d or 36h nor a date such as 2030-01-31 or "
            "2030-01-31T12:00:00Z."
        ) from None
    if moment <= now:
        raise ConfigError(f"{origin}: {moment:%Y-%m-%d %H:%M:%S} UTC has passed already.")
    return NotAfter(moment=moment.replace(microsecond=0))


def end_to_order(
    services: Services, wanted: NotAfter | None, resumed: datetime | None = None, *, quiet: bool = False
) -> datetime | None:
    """The end to ask for in an order that is made now, or was made at ``resumed``.

    Says when it is for once only, unless ``quiet``.
    """
    if wanted is None:
        return None
    if wanted.moment is not None and not quiet:
        text = f"The end on {wanted.moment:%Y-%m-%d %H:%M:%S} UTC is asked of this certificate alone, not of renewals."
        services.observe(Notice(text=text))
    return wanted.at(resumed or services.clock.now())


def check_end(services: Services, leaf_pem: bytes, wanted: datetime | None) -> None:
    """Warn when a CA has issued for another end than was ordered."""
    if wanted is None:
        return
    end = read_certificate(leaf_pem).not_after
    if abs(end - wanted) > _TOLERANCE:
        text = (
            f"The certificate ends on {end:%Y-%m-%d %H:%M:%S} UTC and not on {wanted:%Y-%m-%d %H:%M:%S} UTC, as was "
            "asked for with --not-after: the CA does as it likes."
        )
        services.observe(Notice(text=text, level="warning"))
