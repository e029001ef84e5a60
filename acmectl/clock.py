"""All time goes through a Clock, so that tests own it and signals end every sleep."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from acmectl.interrupts import Interrupts


class Clock(Protocol):
    """Time as the program sees it."""

    def now(self) -> datetime:
        """The present, as an aware UTC datetime."""
        ...

    def monotonic(self) -> float:
        """Seconds from an arbitrary start, never going back."""
        ...

    def sleep(self, seconds: float) -> None:
        """Sleep. Raises: Interrupted when a signal asks the program to stop."""
        ...


class SystemClock:
    """The machine's clock."""

    def __init__(self, interrupts: Interrupts) -> None:
        self._interrupts = interrupts

    def now(self) -> datetime:
        """The present, as an aware UTC datetime."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds from an arbitrary start, never going back."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Sleep. Raises: Interrupted when a signal asks the program to stop."""
        self._interrupts.wait(seconds)
