"""After an order that leads nowhere: its pending authorizations are given up (RFC 8555 section 7.5.2).

They would count against the account's limits at the CA until they expire.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from acmectl.acme.status import AuthorizationStatus, OrderStatus
from acmectl.errors import Aborted, AcmectlError, RateLimited, TransportError
from acmectl.workers import run_each

if TYPE_CHECKING:
    from acmectl.acme.client import AcmeClient
    from acmectl.acme.resources import Order
    from acmectl.interrupts import Interrupts

logger = logging.getLogger(__name__)


def give_up(client: AcmeClient, order: Order, reason: AcmectlError, *, workers: int, interrupts: Interrupts) -> None:
    """Deactivate what is pending of an order that failed for ``reason``; what fails in that is only logged.

    Valid authorizations stay, for the next order. A CA that is out of reach, or that has asked for less, is left
    alone. Raises: Interrupted.
    """
    if order.status is not OrderStatus.PENDING or isinstance(reason, Aborted | TransportError | RateLimited):
        return
    failed: list[str] = []

    def deactivate(url: str) -> bool:
        # One failure is enough to see that this is not the time.
        if failed or client.authorization(url).status is not AuthorizationStatus.PENDING:
            return False
        client.deactivate_authorization(url)
        return True

    def guarded(url: str) -> bool:
        try:
            return deactivate(url)
        except Aborted:
            raise
        except AcmectlError as error:
            failed.append(error.message)
            return False

    outcomes = run_each(guarded, order.authorizations, workers=workers, interrupts=interrupts)
    for outcome in outcomes:
        if isinstance(outcome, BaseException):
            raise outcome
    if failed:
        logger.info("The order's pending authorizations are not given up: %s", failed[0])
    logger.info("Pending authorizations given up after the failure: %d", outcomes.count(True))
