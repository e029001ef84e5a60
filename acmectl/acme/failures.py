"""Why a request got no answer: the many exceptions of the HTTP stack, sorted by what may be done about them."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from acmectl.acme.wire import plain_text

_MAX_CAUSES = 30


class Fault(Enum):
    """What kind of failure it was."""

    UNREACHABLE = "no connection was made: trying again is safe whatever the request"
    LOST = "the connection broke after the request went out"
    SILENT = "the server took the request and did not answer in time"


@dataclass(frozen=True, slots=True)
class Failure:
    """A failure to get an answer: its kind, the reason in a few words, and what a person can do."""

    fault: Fault
    reason: str
    hint: str | None = None


def classify(error: BaseException, fault: Fault) -> Failure:
    """``error`` of the kind ``fault`` in words."""
    causes = list(_causes(error))
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return Failure(
                fault,
                f"its TLS certificate is not trusted ({plain_text(cause.verify_message or str(cause), 200)})",
                "If the server is your own, name its root certificate with --ca-bundle FILE.",
            )
    for cause in causes:
        if isinstance(cause, socket.gaierror):
            return Failure(fault, "its name cannot be resolved", "Check the server's URL and this machine's DNS.")
        if isinstance(cause, ConnectionRefusedError):
            return Failure(fault, "connection refused", "Check the server's URL, and that the server runs.")
        if isinstance(cause, ssl.SSLError):
            return Failure(fault, f"TLS failed ({plain_text(cause.reason or str(cause), 200)})")
    for cause in causes:
        if isinstance(cause, TimeoutError):
            return Failure(fault, "it did not answer in time")
        if isinstance(cause, OSError) and cause.strerror:
            return Failure(fault, plain_text(cause.strerror, 200).lower())
    if fault is Fault.SILENT or any("timed out" in str(cause) for cause in causes):
        return Failure(fault, "it did not answer in time")
    if fault is Fault.LOST:
        return Failure(fault, "it closed the connection without a whole answer")
    return Failure(fault, plain_text(type(error).__name__, 100))


def _causes(error: BaseException) -> Iterator[BaseException]:
    """``error`` and every exception that it wraps in any of the usual ways, outermost first."""
    todo: list[object] = [error]
    seen: set[int] = set()
    while todo and len(seen) < _MAX_CAUSES:
        item = todo.pop(0)
        if not isinstance(item, BaseException) or id(item) in seen:
            continue
        seen.add(id(item))
        yield item
        todo += [*item.args, getattr(item, "reason", None), item.__cause__, item.__context__]
