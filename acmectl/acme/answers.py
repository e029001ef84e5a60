"""Error answers as exceptions (RFC 8555 sections 6.6, 6.7 and 7.3.3)."""

from __future__ import annotations

from datetime import datetime, timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING

from acmectl.acme.problem import Problem, ProblemType
from acmectl.acme.retry import parse_retry_after
from acmectl.acme.wire import absolute_url, loads
from acmectl.errors import ProtocolViolation, RateLimited, ServerProblem, UserActionRequired

if TYPE_CHECKING:
    from acmectl.acme.messages import Response

LONGEST_LIMIT = 366 * 86_400.0
_HINTS = {
    ProblemType.ACCOUNT_DOES_NOT_EXIST: (
        "If the CA has lost the account, 'acmectl unregister' removes it here and 'acmectl register' makes a new one."
    ),
    ProblemType.EXTERNAL_ACCOUNT_REQUIRED: "Ask the CA for a key identifier and HMAC key: --eab-kid, --eab-hmac-key.",
    ProblemType.INVALID_CONTACT: "Give an address that the CA accepts with --email.",
    ProblemType.UNSUPPORTED_CONTACT: "Give an address that the CA accepts with --email.",
    ProblemType.CAA: "A CAA record of the domain forbids this CA to issue for it.",
    ProblemType.BAD_SIGNATURE_ALGORITHM: "The CA does not accept account keys of this type.",
    ProblemType.BAD_PUBLIC_KEY: "The CA does not accept this key: try another key type or size.",
}


def problem_of(answer: Response) -> Problem:
    """The problem document in an error answer; made up from the status when the CA sent none. Never raises."""
    try:
        value = loads(answer.body, "an error")
    except ProtocolViolation:
        value = None
    if isinstance(value, dict) and ("type" in value or "detail" in value or "title" in value):
        return Problem.from_json(value)
    return Problem(status=answer.status, title=f"HTTP {answer.status}", detail=_reason(answer.status))


def _reason(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "unknown status"


def error_of(answer: Response, problem: Problem, now: datetime) -> ServerProblem:
    """The exception for an error answer, with what its headers tell. ``now`` is aware UTC."""
    text = problem.describe()
    hint = _HINTS.get(problem.code)  # type: ignore[call-overload]  # any string may be looked up
    if problem.code == ProblemType.RATE_LIMITED or answer.status in {429, 503}:
        return _rate_limited(answer, problem, now)
    if problem.code == ProblemType.USER_ACTION_REQUIRED:
        url = problem.instance or _link(answer, "terms-of-service")
        return UserActionRequired(
            f"The CA asks for an action by the account holder (userActionRequired, HTTP {answer.status}): {text}",
            problem=problem,
            url=url,
            status=answer.status,
            hint=f"{f'Visit {url}. ' if url else ''}acmectl account agree tells the CA that you agree to new terms.",
        )
    code = f" ({problem.code})" if problem.code != "about:blank" else ""
    return ServerProblem(f"The CA refused the request{code}: {text}", problem=problem, status=answer.status, hint=hint)


def _rate_limited(answer: Response, problem: Problem, now: datetime) -> RateLimited:
    text = problem.describe()
    seconds = parse_retry_after(answer.header("retry-after"), now, limit=LONGEST_LIMIT)
    retry_at = None if seconds is None else now + timedelta(seconds=seconds)
    help_url = _link(answer, "help") or problem.instance
    when = f" Retry after {retry_at:%Y-%m-%d %H:%M:%S} UTC." if retry_at else ""
    overloaded = answer.status == HTTPStatus.SERVICE_UNAVAILABLE and problem.code != ProblemType.RATE_LIMITED
    return RateLimited(
        f"The CA {'is overloaded' if overloaded else 'limits the rate of requests'}: {text}{_stop(text)}{when}",
        problem=problem,
        status=answer.status,
        retry_at=retry_at,
        help_url=help_url,
        hint=f"See {help_url}" if help_url else None,
    )


def _stop(text: str) -> str:
    return "" if text.endswith((".", "!", "?")) else "."


def _link(answer: Response, relation: str) -> str | None:
    """The first usable https target of a Link header, or None."""
    for target in answer.links(relation):
        try:
            return absolute_url(answer.url, target, "a link")
        except ProtocolViolation:
            continue
    return None
