"""The exceptions of acmectl, by whose fault it was.

::

    AcmectlError                      exit 1; every one has a message of one line and, where possible, a hint
    ├── UsageError                    exit 2: flags, verbs, configuration files that cannot be understood
    ├── ConfigError                   exit 1: understood, but cannot be done (bad names, conflicting options)
    │   └── LimitReached              a limit of the CA is used up, by what this machine has counted
    ├── AcmeError                     between us and the CA
    │   ├── TransportError            no answer: refused, unresolved, TLS, time-out
    │   ├── ProtocolViolation         an answer that RFC 8555 does not allow
    │   ├── PollTimeout               the CA's time ran out
    │   └── ServerProblem             an RFC 7807 problem document
    │       ├── RateLimited
    │       └── UserActionRequired
    ├── AuthorizationFailed           per identifier, with the CA's problem and our hint
    ├── PluginError                   an authenticator could not do its work
    ├── StorageError                  the disk, or what was found on it
    │   ├── LineageNotFound
    │   ├── LineageDamaged
    │   └── LockHeld
    ├── HookFailed
    └── Aborted                       a person or a signal ended it
        └── Interrupted
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from acmectl.identifiers import Identifier


class ExitCode(IntEnum):
    """Exit status of the program (certbot's)."""

    OK = 0
    FAILED = 1
    USAGE = 2


class AcmectlError(Exception):
    """Something went wrong in a way that can be told in one line.

    ``hint`` says what to do next; it is shown on a line of its own.
    """

    exit_code: ExitCode = ExitCode.FAILED

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return self.message


class UsageError(AcmectlError):
    """The command line or a configuration file cannot be understood."""

    exit_code = ExitCode.USAGE


class ConfigError(AcmectlError):
    """What was asked for is understood but cannot be done."""


class RenewalFileInvalid(ConfigError):
    """A renewal file holds a value that cannot be what its key needs."""


class LimitReached(ConfigError):
    """A published limit of the CA is used up, as far as this machine knows: the order was not placed.

    ``retry_at`` (aware UTC) is when the next one is possible.
    """

    def __init__(self, message: str, *, retry_at: datetime, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.retry_at = retry_at


class AcmeError(AcmectlError):
    """Something between us and the CA."""


class TransportError(AcmeError):
    """No usable HTTP answer: refused, unresolved, TLS failure, time-out, body over the cap."""


class ProtocolViolation(AcmeError):
    """The CA sent what RFC 8555 does not allow."""


class PollTimeout(AcmeError):
    """The CA did not finish within the deadline.

    ``retry_at`` is when the CA suggested to ask again (aware UTC), if it did.
    """

    def __init__(self, message: str, *, hint: str | None = None, retry_at: datetime | None = None) -> None:
        super().__init__(message, hint=hint)
        self.retry_at = retry_at


class ProblemLike(Protocol):
    """What an error needs to know of an RFC 7807 problem document (acme.problem.Problem)."""

    @property
    def type(self) -> str: ...
    @property
    def code(self) -> str: ...
    @property
    def detail(self) -> str: ...
    def describe(self) -> str: ...


class ServerProblem(AcmeError):
    """The CA answered with a problem document (RFC 8555 section 6.7)."""

    def __init__(self, message: str, *, problem: ProblemLike, status: int = 0, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.problem = problem
        self.status = status


class RateLimited(ServerProblem):
    """``rateLimited``, or an HTTP 429 or 503 that outlasts the deadline.

    ``retry_at`` is an aware UTC time; ``help_url`` comes from ``Link: rel="help"`` (RFC 8555 section 6.6).
    """

    def __init__(
        self,
        message: str,
        *,
        problem: ProblemLike,
        status: int = 429,
        retry_at: datetime | None = None,
        help_url: str | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message, problem=problem, status=status, hint=hint)
        self.retry_at = retry_at
        self.help_url = help_url


class UserActionRequired(ServerProblem):
    """``userActionRequired`` (RFC 8555 section 7.3.3): the account holder must visit ``url``, usually new terms."""

    def __init__(
        self, message: str, *, problem: ProblemLike, url: str | None, status: int = 403, hint: str | None = None
    ) -> None:
        super().__init__(message, problem=problem, status=status, hint=hint)
        self.url = url


class AuthorizationFailure:
    """Why one identifier could not be authorized."""

    __slots__ = ("authenticator", "challenge_type", "hint", "identifier", "problem", "reason")

    def __init__(
        self,
        identifier: Identifier,
        *,
        reason: str,
        challenge_type: str | None = None,
        authenticator: str | None = None,
        problem: ProblemLike | None = None,
        hint: str | None = None,
    ) -> None:
        self.identifier = identifier
        self.reason = reason
        self.challenge_type = challenge_type
        self.authenticator = authenticator
        self.problem = problem
        self.hint = hint


class AuthorizationFailed(AcmectlError):
    """One or more identifiers could not be authorized (RFC 8555 section 7.5)."""

    def __init__(self, failures: tuple[AuthorizationFailure, ...], *, hint: str | None = None) -> None:
        names = ", ".join(str(failure.identifier) for failure in failures)
        super().__init__(f"Some challenges have failed: {names}", hint=hint)
        self.failures = failures


class PluginError(AcmectlError):
    """An authenticator could not be loaded or could not do its work."""

    def __init__(self, message: str, *, hint: str | None = None, identifier: Identifier | None = None) -> None:
        super().__init__(message, hint=hint)
        self.identifier = identifier


class NameServerError(AcmectlError):
    """Name servers did not answer, or not so that a zone or a record could be found."""


class StorageError(AcmectlError):
    """The disk refused, or what lies on it is not what it should be."""


class LineageNotFound(StorageError):
    """No certificate of that name."""


class LineageDamaged(StorageError):
    """A lineage that cannot be used as it is; the message says which file and why."""


class LockHeld(StorageError):
    """Another process holds the lock and did not let go in time.

    ``pid`` is None where the system does not tell.
    """

    def __init__(self, message: str, *, path: Path, pid: int | None, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.path = path
        self.pid = pid


class HookFailed(AcmectlError):
    """A hook ended with a status other than 0, could not be started, or ran too long."""


class Aborted(AcmectlError):
    """A person said no, or end of input."""


class Interrupted(Aborted):
    """A signal asked us to stop. ``signum`` is the signal's number."""

    def __init__(self, signum: int) -> None:
        super().__init__("Interrupted; what had been set up was cleaned up.")
        self.signum = signum
