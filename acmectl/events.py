"""What happened, as values. Rooms below the command line emit them; the console and the log render them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from acmectl.errors import AuthorizationFailure
    from acmectl.identifiers import Identifier


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Base of all events."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountRegistered(Event):
    """A new account exists at the CA."""

    server: str
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuanceStarted(Event):
    """An order is about to be placed. ``verb`` is one of request, renew, simulate-request, simulate-renewal."""

    verb: str
    lineage: str
    identifiers: tuple[Identifier, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderPlaced(Event):
    """The CA accepted an order; ``resumed`` when an earlier run had placed it.

    ``replaces``: as the replacement of a certificate (RFC 9773 section 5).
    """

    url: str
    status: str
    resumed: bool = False
    replaces: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorizationsRead(Event):
    """How many authorizations the order has and how many need a challenge."""

    total: int
    pending: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ChallengesPresented(Event):
    """One authenticator has put its answers in place."""

    authenticator: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting(Event):
    """Still waiting: for the CA, for DNS. ``seconds`` is the time waited so far."""

    what: str
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CleanUpFailed(Event):
    """A challenge answer could not be taken away."""

    authenticator: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateSaved(Event):
    """A new version lies in the archive."""

    lineage: str
    version: int
    directory: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class WentLive(Event):
    """The live links point at ``version``."""

    lineage: str
    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LineageHealed(Event):
    """Something that an earlier run had left half-done was finished."""

    lineage: str
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NamesRefused(Event):
    """Some identifiers could not be authorized, and the certificate is made without them."""

    failures: tuple[AuthorizationFailure, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class HookOutput(Event):
    """A line that a hook printed. ``stream`` is stdout or stderr; ``hook`` names it as certbot does."""

    hook: str
    stream: str
    line: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HookEnded(Event):
    """A hook ended with ``status`` (negative: by that signal)."""

    hook: str
    command: str
    status: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice(Event):
    """Something a person should know that is no error. ``level`` is info or warning."""

    text: str
    level: str = "info"


Observer = Callable[[Event], None]


def ignore(_event: Event) -> None:
    """An Observer that does nothing."""
