"""Whether a certificate should be renewed now, and which rule says so: one pure function."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from acmectl.actions.ari import AriState

SHORT_LIFETIME = timedelta(days=10)


class Rule(StrEnum):
    """The rule that decided."""

    FORCED = "forced"
    DRY_RUN = "dry-run"
    RESUMED = "resumed"
    AUTORENEW_OFF = "autorenew-off"
    EXPIRED = "expired"
    REVOKED = "revoked"
    SECOND_KEY = "second-key"
    ARI = "ari"
    RENEW_BEFORE_EXPIRY = "renew-before-expiry"
    LIFETIME = "lifetime"


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """The verdict. ``at`` is when the deciding rule makes the certificate due (aware UTC), where it says."""

    due: bool
    rule: Rule
    why: str
    at: datetime | None = None


def renewal_due(
    *,
    not_before: datetime,
    not_after: datetime,
    now: datetime,
    forced: bool = False,
    dry_run: bool = False,
    autorenew: bool = True,
    before_expiry: timedelta | None = None,
    in_flight: bool = False,
    revoked: str | None = None,
    ari: AriState | None = None,
    wake_up: timedelta = timedelta(hours=12),
) -> Due:
    """Decide by the rules in their order; times are aware UTC.

    ``in_flight``: an interrupted run has left an order behind, whose certificate may exist already. ``revoked`` is how
    that is known, if it is. ``ari`` is what the CA suggests (RFC 9773); ``wake_up`` the time until the next run.
    Without anything else, and only if the CA suggests nothing, a certificate is due when a third of its lifetime is
    left, or half when the whole is under ten days (Let's Encrypt's integration guide).
    """
    if forced:
        return Due(due=True, rule=Rule.FORCED, why="renewal was forced")
    if dry_run:
        return Due(due=True, rule=Rule.DRY_RUN, why="this is a dry run")
    if in_flight:
        return Due(due=True, rule=Rule.RESUMED, why="an order that an interrupted run had placed is finished")
    if not autorenew:
        return Due(due=False, rule=Rule.AUTORENEW_OFF, why="its renewal file says autorenew = False")
    if now >= not_after:
        return Due(due=True, rule=Rule.EXPIRED, why=f"it expired on {not_after:%Y-%m-%d %H:%M} UTC", at=not_after)
    if revoked is not None:
        return revoked_due(revoked)
    suggested = ari.instant if ari is not None else None
    if ari is not None and ari.is_due(now, now + wake_up):
        return Due(due=True, rule=Rule.ARI, why=_suggestion(ari), at=suggested)
    early = None if before_expiry is None else not_after - before_expiry
    if early is not None and before_expiry is not None and now >= early:
        why = f"it expires within renew_before_expiry ({_days(before_expiry)})"
        return Due(due=True, rule=Rule.RENEW_BEFORE_EXPIRY, why=why, at=early)
    if ari is not None and suggested is not None:
        return Due(due=False, rule=Rule.ARI, why=_suggestion(ari), at=_earlier(suggested, early))
    lifetime = not_after - not_before
    share, words = (2, "half") if lifetime < SHORT_LIFETIME else (3, "a third")
    at = not_after - lifetime / share
    if now >= at:
        return Due(due=True, rule=Rule.LIFETIME, why=f"less than {words} of its lifetime is left", at=at)
    why = f"it is due from {at:%Y-%m-%d %H:%M} UTC, when {words} of its lifetime is left"
    return Due(due=False, rule=Rule.LIFETIME, why=why, at=_earlier(at, early))


def revoked_due(how: str) -> Due:
    """The verdict on a revoked certificate; ``how`` says how that is known."""
    return Due(due=True, rule=Rule.REVOKED, why=f"it was revoked ({how})")


def _suggestion(ari: AriState) -> str:
    window = f"the CA suggests to renew between {ari.start:%Y-%m-%d %H:%M} and {ari.end:%Y-%m-%d %H:%M} UTC"
    chosen = f"{ari.instant:%Y-%m-%d %H:%M} UTC was chosen"
    told = f" ({ari.explanation_url})" if ari.explanation_url is not None else ""
    return f"{window}; {chosen}{told}"


def _earlier(first: datetime, second: datetime | None) -> datetime:
    return first if second is None else min(first, second)


_UNITS = {
    "hour": timedelta(hours=1),
    "hours": timedelta(hours=1),
    "h": timedelta(hours=1),
    "day": timedelta(days=1),
    "days": timedelta(days=1),
    "d": timedelta(days=1),
    "week": timedelta(weeks=1),
    "weeks": timedelta(weeks=1),
    "w": timedelta(weeks=1),
    "month": timedelta(days=30),
    "months": timedelta(days=30),
    "year": timedelta(days=365),
    "years": timedelta(days=365),
    "y": timedelta(days=365),
}


def parse_before_expiry(text: str) -> timedelta | None:
    """``renew_before_expiry`` of a renewal file: a number of days, or such as ``3 weeks`` or ``200d``; else None."""
    match = re.fullmatch(r"\s*(\d{1,6})\s*([A-Za-z]*)\s*", text)
    if match is None:
        return None
    unit = _UNITS.get(match[2].lower() or "days")
    return None if unit is None else int(match[1]) * unit


def _days(interval: timedelta) -> str:
    days = interval / timedelta(days=1)
    return f"{days:g} days"
