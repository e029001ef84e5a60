"""One order: place or resume it, authorize, finalize, download (RFC 8555 section 7.4)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from acmectl.acme.problem import ProblemType
from acmectl.acme.retry import RetryPolicy, poll
from acmectl.acme.status import AuthorizationStatus, OrderStatus
from acmectl.errors import AcmectlError, AuthorizationFailed, ProtocolViolation, RateLimited, ServerProblem
from acmectl.events import Notice, OrderPlaced, Waiting
from acmectl.issuance.authorize import Authorizer, order_refused
from acmectl.issuance.giving_up import give_up
from acmectl.issuance.request import CaTime
from acmectl.workers import first_error, run_each

if TYPE_CHECKING:
    from acmectl.acme.client import AcmeClient
    from acmectl.acme.resources import Authorization, Order
    from acmectl.clock import Clock
    from acmectl.events import Observer
    from acmectl.interrupts import Interrupts
    from acmectl.issuance.request import Assign, BeforeRespond, IssuancePolicy, IssuanceRequest, OrderJournal

_SERVER_ERRORS = 500
_CONFLICT = 409
_REFUSES_REPLACES = frozenset({ProblemType.MALFORMED, ProblemType.ALREADY_REPLACED})


def issue(
    client: AcmeClient,
    request: IssuanceRequest,
    assign: Assign,
    *,
    policy: IssuancePolicy,
    journal: OrderJournal,
    clock: Clock,
    interrupts: Interrupts,
    observe: Observer,
    before_respond: BeforeRespond | None = None,
) -> tuple[bytes, ...]:
    """The chains (PEM, the CA's default first, then alternates if asked for) of one new certificate.

    Empty when ``policy.finalize`` is off. Raises: AuthorizationFailed, AcmeError, PluginError, ConfigError,
    Interrupted.
    """
    ca_time = CaTime(policy.timeout, clock)
    authorizer = Authorizer(
        client=client,
        assign=assign,
        policy=policy,
        preferred=request.preferred_challenges,
        ca_time=ca_time,
        clock=clock,
        interrupts=interrupts,
        observe=observe,
        before_respond=before_respond,
    )
    resumed = _resumed(client, request, ca_time, observe)
    order = resumed or _placed(client, request, ca_time, observe)
    journal.ordered(order.url)
    try:
        order, authorizations = _to_answer(authorizer, order, request)
        try:
            order = _answered(authorizer, order, authorizations)
        except AuthorizationFailed as error:
            if resumed is None:
                raise
            # The CA may have looked for the answers of the interrupted run when they were gone already.
            observe(Notice(text=f"The order of an earlier run has failed ({error.message}); ordering anew."))
            order = _placed(client, request, ca_time, observe)
            journal.ordered(order.url)
            order = _answered(authorizer, order, authorizer.read(order))
    except AcmectlError as error:
        if not journal.keeps(error):
            give_up(client, order, error, workers=policy.workers, interrupts=interrupts)
        raise
    if not policy.finalize:
        return ()
    order = _finalized(client, order, request.csr_der, ca_time=ca_time, journal=journal, clock=clock, observe=observe)
    with ca_time.running():
        return tuple(client.certificate(order, alternates=request.alternates))


def _to_answer(authorizer: Authorizer, order: Order, request: IssuanceRequest) -> tuple[Order, list[Authorization]]:
    """The authorizations of the order, or of another one for it where all is to be validated afresh."""
    client, policy, ca_time = authorizer.client, authorizer.policy, authorizer.ca_time
    if not (policy.revalidate or order.status is OrderStatus.PENDING):
        return order, []
    authorizations = authorizer.read(order)
    if policy.revalidate and _deactivate_valid(client, authorizations, policy, ca_time, authorizer.interrupts):
        order = _placed(client, request, ca_time, authorizer.observe)
        authorizations = authorizer.read(order)
    return order, authorizations


def _answered(authorizer: Authorizer, order: Order, authorizations: list[Authorization]) -> Order:
    return authorizer.authorize(order, authorizations) if order.status is OrderStatus.PENDING else order


def _placed(client: AcmeClient, request: IssuanceRequest, ca_time: CaTime, observe: Observer) -> Order:
    def place(replaces: str | None) -> Order:
        try:
            with ca_time.running():
                return client.new_order(
                    request.identifiers,
                    profile=request.profile,
                    replaces=replaces,
                    not_before=request.not_before,
                    not_after=request.not_after,
                )
        except ServerProblem as error:
            if request.not_after is not None and error.hint is None and error.problem.code == ProblemType.MALFORMED:
                error.hint = "Many CAs, Let's Encrypt among them, choose the end themselves: leave --not-after out."
            raise

    replaces = request.replaces
    try:
        order = place(replaces)
    except ServerProblem as error:
        if replaces is None or not _may_be_the_predecessor(error):
            raise
        observe(Notice(text=f"The CA takes no order as a replacement ({error.problem.detail}); ordering anew."))
        replaces = None
        order = place(replaces)
    if order.status is OrderStatus.INVALID:
        raise order_refused(order)
    observe(OrderPlaced(url=order.url, status=order.status, replaces=replaces is not None))
    return order


def _may_be_the_predecessor(error: ServerProblem) -> bool:
    """RFC 9773 section 5: a CA may refuse the predecessor, and the whole order with it; or fail over it."""
    if error.status == _CONFLICT or error.problem.code in _REFUSES_REPLACES:
        return True
    return error.status >= _SERVER_ERRORS and not isinstance(error, RateLimited)


def _resumed(client: AcmeClient, request: IssuanceRequest, ca_time: CaTime, observe: Observer) -> Order | None:
    """The order of an earlier run, if the CA still has it and it can still lead to a certificate."""
    if request.resume_order is None:
        return None
    try:
        with ca_time.running():
            order = client.order(request.resume_order)
    except RateLimited:
        raise
    except (ServerProblem, ProtocolViolation):
        return None
    usable = (OrderStatus.PENDING, OrderStatus.READY, OrderStatus.PROCESSING, OrderStatus.VALID)
    if order.status not in usable or set(order.identifiers) != set(request.identifiers):
        return None
    observe(OrderPlaced(url=order.url, status=order.status, resumed=True))
    return order


def _deactivate_valid(
    client: AcmeClient,
    authorizations: list[Authorization],
    policy: IssuancePolicy,
    ca_time: CaTime,
    interrupts: Interrupts,
) -> bool:
    """Give up authorizations that are valid already (RFC 8555 section 7.5.2); True when there were any."""
    valid = [one.url for one in authorizations if one.status is AuthorizationStatus.VALID]
    with ca_time.running():
        first_error(run_each(client.deactivate_authorization, valid, workers=policy.workers, interrupts=interrupts))
    return bool(valid)


def _finalized(
    client: AcmeClient,
    order: Order,
    csr_der: bytes,
    *,
    ca_time: CaTime,
    journal: OrderJournal,
    clock: Clock,
    observe: Observer,
) -> Order:
    """The order once it is ``valid`` (RFC 8555 section 7.4)."""
    if order.status is OrderStatus.READY:
        journal.finalizing(order.url)
        with ca_time.running():
            order = client.finalize(order, csr_der)
    if order.status is not OrderStatus.VALID:
        # READY again is a CA that has not noticed its own finalization yet.
        waiting = (OrderStatus.PROCESSING, OrderStatus.READY)
        url = order.url
        with ca_time.running():
            order = poll(
                lambda: client.order(url),
                lambda state: state.status not in waiting,
                RetryPolicy(deadline=ca_time.left),
                clock,
                what="The certificate",
                on_wait=lambda waited: observe(Waiting(what="the CA to issue", seconds=waited)),
            )
    if order.status is not OrderStatus.VALID:
        raise order_refused(order)
    return order
