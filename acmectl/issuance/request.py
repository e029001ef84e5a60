"""What one order needs to know, as values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from acmectl.errors import PollTimeout

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from acmectl.clock import Clock
    from acmectl.errors import AcmectlError
    from acmectl.identifiers import Identifier
    from acmectl.plugin.api import Authenticator, ChallengeTask

DEFAULT_TIMEOUT = 180.0  # seconds; some CAs take two minutes to sign


class Preflight(StrEnum):
    """When our own http-01 answers are fetched as the CA would fetch them."""

    BESIDE = "beside"
    FIRST = "first"
    OFF = "off"


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuanceRequest:
    """One order. ``csr_der`` is the PKCS #10 request in DER; ``replaces`` an ARI certificate id (RFC 9773)."""

    identifiers: tuple[Identifier, ...]
    csr_der: bytes = field(repr=False)
    profile: str | None = None
    replaces: str | None = None
    not_before: datetime | None = None
    not_after: datetime | None = None
    preferred_challenges: tuple[str, ...] = ()
    alternates: bool = False
    resume_order: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuancePolicy:
    """How patient and how thorough. ``timeout`` in seconds counts the CA's time only.

    ``revalidate``: authorizations that are still valid are deactivated first, so that a dry run tests something.
    ``finalize`` is False for a dry run against a CA that would issue for real.
    """

    timeout: float = DEFAULT_TIMEOUT
    workers: int = 8
    preflight: Preflight = Preflight.BESIDE
    revalidate: bool = False
    finalize: bool = True


class OrderJournal(Protocol):
    """What must be on disk before the next step (docs/issuance-cycle.md)."""

    def ordered(self, order_url: str) -> None:
        """The CA has this order; called before any challenge is answered."""
        ...

    def finalizing(self, order_url: str) -> None:
        """The order is about to be finalized: from here on a certificate may exist."""
        ...

    def keeps(self, error: AcmectlError) -> bool:
        """Whether a later run goes on with this order although ``error`` has ended this one."""
        ...


class NoJournal:
    """For a dry run: nothing is kept."""

    def ordered(self, order_url: str) -> None:
        """Keep nothing."""

    def finalizing(self, order_url: str) -> None:
        """Keep nothing."""

    def keeps(self, error: AcmectlError) -> bool:  # noqa: ARG002 - the same whatever it was
        """False: nobody knows of the order afterwards."""
        return False


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedAuthenticator:
    """An authenticator and the name that users know it by."""

    name: str
    plugin: Authenticator


Assign = Callable[["Identifier"], NamedAuthenticator]
"""Which authenticator answers for an identifier. Raises: PluginError where there is none."""

BeforeRespond = Callable[[Sequence["ChallengeTask"]], None]
"""Called when all answers are in place and before the CA is told (--debug-challenges)."""


class CaTime:
    """Counts the seconds that the CA has had; waiting for a person, a hook or DNS stays outside."""

    def __init__(self, allowance: float, clock: Clock) -> None:
        self._left = allowance
        self._allowance = allowance
        self._clock = clock

    @property
    def left(self) -> float:
        """Seconds left. Raises: PollTimeout when there are none."""
        if self._left <= 0:
            raise PollTimeout(
                f"The CA did not finish within {self._allowance:g} seconds.",
                hint="Try again later, or allow more time with --issuance-timeout SECONDS.",
            )
        return self._left

    @contextmanager
    def running(self) -> Iterator[None]:
        """Around everything that waits for the CA."""
        started = self._clock.monotonic()
        try:
            yield
        finally:
            self._left -= self._clock.monotonic() - started
