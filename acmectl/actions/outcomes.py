"""What renew did, as values."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from acmectl.actions.ari import AriState
    from acmectl.actions.tlsa_records import TlsaRecords
    from acmectl.errors import AuthorizationFailure, HookFailed


class Ending(StrEnum):
    """How one lineage came out, in the words that certbot's summary uses."""

    SUCCESS = "success"
    FAILURE = "failure"
    SKIPPED = "skipped"
    PARSEFAIL = "parsefail"


@dataclass(frozen=True, slots=True, kw_only=True)
class SecondResult:
    """The second certificate of a lineage: ``path`` is its fullchain, ``not_after`` aware UTC."""

    path: Path
    not_after: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class LineageResult:
    """One lineage's outcome. ``path`` is its fullchain, or the renewal file where that leads nowhere.

    ``why`` is the rule that decided, or what went wrong. ``next_at``: the next attempt, as far as is known.
    ``failing``: it is due, but left alone for now because it keeps failing. ``owed`` are deploy hooks that have not
    succeeded yet; they are put off until ``owed_until``. ``tlsa``: the records of a lineage that stages its next key.
    ``second``: what is known of a second certificate after the run.
    """

    name: str
    path: Path
    ending: Ending
    why: str
    rule: str | None = None
    hint: str | None = None
    not_after: datetime | None = None
    next_at: datetime | None = None
    version: int | None = None
    server: str | None = None
    ari: AriState | None = None
    failing: bool = False
    failures: tuple[AuthorizationFailure, ...] = ()
    hook_failures: tuple[HookFailed, ...] = ()
    owed: tuple[str, ...] = ()
    owed_until: datetime | None = None
    tlsa: TlsaRecords | None = None
    second: SecondResult | None = None

    @property
    def is_bad(self) -> bool:
        """True when it makes the run fail."""
        bad_ending = self.ending in (Ending.FAILURE, Ending.PARSEFAIL)
        return bad_ending or self.failing or bool(self.hook_failures) or bool(self.owed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Renewals:
    """All outcomes. ``attempted``: whether any renewal was begun."""

    results: tuple[LineageResult, ...]
    dry_run: bool
    attempted: bool
    post_hook_failures: tuple[HookFailed, ...] = ()

    @property
    def failed(self) -> bool:
        """True when something must make the run fail."""
        return bool(self.post_hook_failures) or any(one.is_bad for one in self.results)
