"""How events and errors read: text for the console, objects for --json."""

from __future__ import annotations

from typing import TYPE_CHECKING

from acmectl import errors, events

if TYPE_CHECKING:
    from collections.abc import Sequence

    from acmectl.cli.console import Console
    from acmectl.events import Event
    from acmectl.identifiers import Identifier

_DOING = {
    "request": "Requesting a certificate",
    "renew": "Renewing the certificate",
    "simulate-request": "Simulating a request",
    "simulate-renewal": "Simulating a renewal",
}
_SHOW_WAITING_AFTER = 2.0


def names(identifiers: Sequence[Identifier]) -> str:
    """``a``, ``a and b``, ``a and 7 more``."""
    if len(identifiers) > 2:
        return f"{identifiers[0]} and {len(identifiers) - 1} more"
    return " and ".join(str(identifier) for identifier in identifiers)


def render(event: Event, console: Console) -> None:  # noqa: PLR0912 - one branch per kind of event
    """Say ``event`` on ``console``."""
    match event:
        case events.AccountRegistered():
            console.status("Account registered.")
        case events.IssuanceStarted():
            doing = _DOING.get(event.verb, _DOING["request"])
            console.status(f"{doing} for {names(event.identifiers)}")
        case events.OrderPlaced(resumed=True):
            console.status("Going on with the order that an earlier run placed.")
        case events.OrderPlaced():
            console.info(f"Order {event.url} is {event.status}.")
        case events.AuthorizationsRead():
            console.info(f"{event.pending} of {event.total} authorizations need a challenge.")
        case events.ChallengesPresented():
            console.info(f"{event.authenticator} has put {event.count} challenge answers in place.")
        case events.Waiting():
            if event.seconds >= _SHOW_WAITING_AFTER:
                console.progress(f"Waiting for {event.what} ({event.seconds:.0f} s)")
        case events.CleanUpFailed():
            console.warning(f"{event.authenticator} could not clean up: {event.reason}")
        case events.CertificateSaved():
            console.info(f"Version {event.version} of {event.lineage} is saved in {event.directory}.")
        case events.WentLive():
            console.info(f"Version {event.version} of {event.lineage} is live.")
        case events.LineageHealed():
            console.warning(f"{event.lineage}: {event.what}")
        case events.NamesRefused():
            console.status(authorization_report(event.failures))
        case events.HookOutput():
            console.hook_line(event.hook, event.stream, event.line)
        case events.HookEnded():
            console.hook_ended()
            if event.status:
                how = f"status {event.status}" if event.status > 0 else f"signal {-event.status}"
                console.warning(f"Hook {event.hook} ended with {how}: {event.command}")
        case events.Notice(level="warning"):
            console.warning(event.text)
        case events.Notice():
            console.status(event.text)
        case _:
            console.info(repr(event))


def failures_of(error: errors.AcmectlError) -> tuple[errors.AuthorizationFailure, ...]:
    """The identifiers that could not be authorized, if that is what went wrong."""
    return error.failures if isinstance(error, errors.AuthorizationFailed) else ()


def authorization_report(failures: Sequence[errors.AuthorizationFailure]) -> str:
    """What the CA said of each identifier, and our hints."""
    lines: list[str] = []
    authenticator: str | None = None
    for failure in failures:
        if not lines or failure.authenticator != authenticator:
            authenticator = failure.authenticator
            by = f" (authenticator: {authenticator})" if authenticator else ""
            lines += ["", f"The CA could not confirm these identifiers{by}:"]
        lines.append(f"  Identifier: {failure.identifier}")
        lines.append(f"  Type:   {_code(failure)}")
        lines.append(f"  Detail: {_one_line(_detail(failure))}")
        if failure.hint:
            lines.append(f"  Hint:   {_one_line(failure.hint)}")
        lines.append("")
    return "\n".join(lines)


def error_object(error: errors.AcmectlError) -> dict[str, object]:
    """An error for --json."""
    content: dict[str, object] = {
        "error": type(error).__name__,
        "message": error.message,
        "hint": error.hint,
        "exit_code": int(error.exit_code),
    }
    if isinstance(error, errors.ServerProblem):
        content["problem"] = {"type": error.problem.type, "detail": error.problem.detail, "status": error.status}
    if isinstance(error, errors.RateLimited):
        content["retry_at"] = error.retry_at.isoformat() if error.retry_at else None
        content["help_url"] = error.help_url
    if isinstance(error, errors.LimitReached):
        content["retry_at"] = error.retry_at.isoformat()
    if isinstance(error, errors.UserActionRequired):
        content["url"] = error.url
    if isinstance(error, errors.AuthorizationFailed):
        content["failures"] = [
            {
                "identifier": {"type": str(failure.identifier.type), "value": failure.identifier.value},
                "challenge": failure.challenge_type,
                "authenticator": failure.authenticator,
                "type": _code(failure),
                "detail": _detail(failure),
                "hint": failure.hint,
            }
            for failure in error.failures
        ]
    return content


def _code(failure: errors.AuthorizationFailure) -> str:
    if failure.problem is None:
        return "local"
    return failure.problem.type.removeprefix("urn:ietf:params:acme:error:")


def _detail(failure: errors.AuthorizationFailure) -> str:
    if failure.problem is not None and failure.problem.detail:
        return failure.problem.detail
    return failure.reason


def _one_line(text: str) -> str:
    return " ".join(text.split())
