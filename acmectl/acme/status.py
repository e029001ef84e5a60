"""Statuses of ACME objects (RFC 8555 section 7.1.6).

A value that acmectl does not know becomes ``UNKNOWN`` and is never an error: registries grow.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Self


class _Status(StrEnum):
    """Base: unknown words are read as the member UNKNOWN."""

    @classmethod
    def parse(cls, word: object) -> Self:
        """The member for ``word``; ``UNKNOWN`` for anything else. Never raises."""
        try:
            return cls(word)  # type: ignore[arg-type]  # any object may be looked up
        except (ValueError, TypeError):
            return cls("unknown")


class AccountStatus(_Status):
    """RFC 8555 section 7.1.2."""

    VALID = "valid"
    DEACTIVATED = "deactivated"
    REVOKED = "revoked"
    UNKNOWN = "unknown"


class OrderStatus(_Status):
    """RFC 8555 section 7.1.3."""

    PENDING = "pending"
    READY = "ready"
    PROCESSING = "processing"
    VALID = "valid"
    INVALID = "invalid"
    UNKNOWN = "unknown"

    @property
    def is_terminal(self) -> bool:
        """True when the order will not change any more."""
        return self in TERMINAL_ORDER


class AuthorizationStatus(_Status):
    """RFC 8555 section 7.1.4."""

    PENDING = "pending"
    VALID = "valid"
    INVALID = "invalid"
    DEACTIVATED = "deactivated"
    EXPIRED = "expired"
    REVOKED = "revoked"
    UNKNOWN = "unknown"

    @property
    def is_terminal(self) -> bool:
        """True when waiting longer cannot make a pending authorization valid: it is, or it never will be."""
        return self in TERMINAL_AUTHORIZATION


class ChallengeStatus(_Status):
    """RFC 8555 section 8."""

    PENDING = "pending"
    PROCESSING = "processing"
    VALID = "valid"
    INVALID = "invalid"
    UNKNOWN = "unknown"

    @property
    def is_terminal(self) -> bool:
        """True when the CA has decided."""
        return self in TERMINAL_CHALLENGE


TERMINAL_ORDER = frozenset({OrderStatus.VALID, OrderStatus.INVALID})
TERMINAL_AUTHORIZATION = frozenset(
    {
        AuthorizationStatus.VALID,
        AuthorizationStatus.INVALID,
        AuthorizationStatus.DEACTIVATED,
        AuthorizationStatus.EXPIRED,
        AuthorizationStatus.REVOKED,
    }
)
TERMINAL_CHALLENGE = frozenset({ChallengeStatus.VALID, ChallengeStatus.INVALID})
