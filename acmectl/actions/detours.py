"""Several CAs for one certificate: the next is tried when one is out of order, and one that was rests for a while.

What rests is kept beside the list, in the section ``[acmectl]`` of the renewal file that comes with the next CA's
certificate: a limit of a CA is often about one account or name, and a lineage that is gone leaves nothing behind.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, TypeVar

from acmectl.errors import (
    AcmectlError,
    AcmeError,
    ConfigError,
    LimitReached,
    PollTimeout,
    ProtocolViolation,
    RateLimited,
    ServerProblem,
    TransportError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from acmectl.actions.accounts import OpenAccount
    from acmectl.actions.requests import AccountRequest, CertificateRequest
    from acmectl.actions.services import Services
    from acmectl.storage.renewal_conf import JsonValue

SERVERS = "servers"
PAUSES = "server_pauses"
COOL_DOWN = timedelta(days=1)
"""How long a CA that was out of order is not the first to be asked, unless it named a later time itself."""
_LONGEST = timedelta(days=366)
_SERVER_ERROR = 500
_TOO_MANY = 429

T = TypeVar("T")


class Detours:
    """Finds a CA that works. Remembers for the run which ones do not; safe for use from several threads."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._down: dict[str, AcmectlError] = {}
        self._up: set[str] = set()

    def go(
        self,
        request: CertificateRequest,
        open_account: Callable[[AccountRequest], OpenAccount],
        issue: Callable[[CertificateRequest, OpenAccount], T],
    ) -> T:
        """What ``issue`` gives at the first CA of ``request`` that works; those that rest are tried last.

        A CA is passed over when it cannot be reached, does not answer in time, fails or limits requests, or has no
        account for us; never because a validation failed. Raises: what the only CA, or the last that was out of order,
        has led to.
        """
        if len(request.servers) < 2 or request.dry_run:
            return issue(request, open_account(request.account))
        now = self._services.clock.now()
        pauses = {server: until for server, until in read_pauses(request.own).items() if now < until}
        order = sorted(request.servers, key=lambda server: server in pauses)
        failure: AcmectlError | None = None
        for number, server in enumerate(order):
            last = number == len(order) - 1
            try:
                self._look(server, last=last)
                at = at_server(request, server, pauses)
                try:
                    account = open_account(at.account)
                except ConfigError as error:
                    failure = failure or error
                    self._tell(server, error, last=last)
                    continue
                return issue(at, account)
            except (AcmeError, ConfigError) as error:  # not AuthorizationFailed: it would fail at the next one too
                if not (failure or out_of_order(error)):
                    raise
                if out_of_order(error):
                    failure = error
                    pauses[server] = pause_until(error, now)
                    if not _is_a_limit(error):
                        self._down[server] = error
                self._tell(server, error, last=last)
        assert failure is not None  # noqa: S101 - there are at least two, and each has failed
        raise failure

    def _look(self, server: str, *, last: bool) -> None:
        """See that a CA is there, without long waits while there are others. Raises: AcmeError."""
        if server in self._down:
            raise self._down[server]
        if server not in self._up and not last:
            self._services.network.look(server)
            self._up.add(server)

    def _tell(self, server: str, error: AcmectlError, *, last: bool) -> None:
        # A listing, which wants a name of this module alone, does not load all events for it.
        from acmectl.events import Notice

        after = "" if last else " The next CA is tried."
        self._services.observe(
            Notice(text=f"The CA at {server} is passed over: {error.message}{after}", level="warning")
        )


def at_server(request: CertificateRequest, server: str, pauses: Mapping[str, datetime]) -> CertificateRequest:
    """``request`` for one of its CAs; ``pauses`` are the CAs that rest, which is kept with the certificate."""
    same = server == request.account.server
    account = replace(request.account, server=server, account_id=request.account.account_id if same else None)
    own: dict[str, JsonValue] = {key: value for key, value in request.own.items() if key != PAUSES}
    resting = {other: until.isoformat() for other, until in pauses.items() if other != server}
    if resting:
        own[PAUSES] = dict(resting)
    params = {**request.params, "server": server}
    return replace(request, account=replace(account, eab_where_required=True), params=params, own=own)


def out_of_order(error: AcmectlError) -> bool:
    """Whether the CA itself is at fault, and another may do better."""
    if isinstance(error, ServerProblem):
        return isinstance(error, RateLimited) or error.status >= _SERVER_ERROR
    return isinstance(error, TransportError | PollTimeout | ProtocolViolation | LimitReached)


def _is_a_limit(error: AcmectlError) -> bool:
    """Whether it is about an account or some names, so that the CA may do well by another certificate."""
    return isinstance(error, LimitReached) or (isinstance(error, RateLimited) and error.status == _TOO_MANY)


def pause_until(error: AcmectlError, now: datetime) -> datetime:
    """When a CA that failed with ``error`` is asked first again."""
    until = now + COOL_DOWN
    asked = error.retry_at if isinstance(error, RateLimited | LimitReached) else None
    return until if asked is None else min(max(until, asked), now + _LONGEST)


def read_pauses(own: Mapping[str, JsonValue]) -> dict[str, datetime]:
    """The CAs that rest and until when, from ``[acmectl]``; what cannot be read is left out."""
    stored = own.get(PAUSES)
    found: dict[str, datetime] = {}
    for server, text in (stored if isinstance(stored, dict) else {}).items():
        try:
            until = datetime.fromisoformat(text) if isinstance(text, str) else None
        except ValueError:
            continue
        if until is not None:
            found[server] = until if until.tzinfo else until.replace(tzinfo=UTC)
    return found
