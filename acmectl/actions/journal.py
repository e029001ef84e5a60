"""What an order in flight leaves on disk, and when (docs/issuance-cycle.md)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from acmectl.errors import (
    AcmectlError,
    AuthorizationFailed,
    ConfigError,
    HookFailed,
    PluginError,
    ProtocolViolation,
    ServerProblem,
)
from acmectl.pki.summary import summary
from acmectl.storage.pending import PendingOrder, PendingRecord

if TYPE_CHECKING:
    from acmectl.actions.accounts import OpenAccount
    from acmectl.actions.requests import CertificateRequest
    from acmectl.actions.services import Services
    from acmectl.identifiers import Identifier

TO_BE_CHANGED = (ConfigError, PluginError, ProtocolViolation, HookFailed)
"""Somebody has to change something first, so there is no use in coming back to the very order."""

LEADS_NOWHERE = (AuthorizationFailed, ServerProblem, *TO_BE_CHANGED)
"""Failures after which an order that was not finalized is forgotten."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """Key and CSR of the attempt, and the order that an earlier run placed for them."""

    key_pem: bytes = field(repr=False)
    csr_der: bytes = field(repr=False)
    key_request: str
    resume: PendingRecord | None = None


class PendingJournal:
    """Writes the pending record of one order."""

    def __init__(
        self,
        services: Services,
        account: OpenAccount,
        name: str,
        identifiers: tuple[Identifier, ...],
        *,
        draft: Draft,
        profile: str | None,
        version: int,
        second: bool = False,
    ) -> None:
        """``second``: it is the order of the second certificate of a version."""
        self._services = services
        self._second = second
        self._record = draft.resume
        self._name = name
        self._key_pem = draft.key_pem
        self._order = PendingOrder(
            order_url="",
            server=account.stored.server,
            account_url=account.stored.uri,
            identifiers=identifiers,
            profile=profile,
            key_request=draft.key_request,
            csr_der=draft.csr_der,
            created=services.clock.now(),
            version=version,
        )

    def ordered(self, order_url: str) -> None:
        """Key and order URL on disk, unless they are there already."""
        if self._record is not None and self._record.order.order_url == order_url:
            return
        self._record = PendingRecord(order=replace(self._order, order_url=order_url), key_pem=self._key_pem)
        self._services.pending.save(self._name, self._record, second=self._second)

    def finalizing(self, order_url: str) -> None:
        """Note that a certificate may exist from here on."""
        self.ordered(order_url)
        if self._record is not None and not self._record.order.finalized:
            self._record = self._services.pending.mark_finalized(self._name, self._record, second=self._second)

    def keeps(self, error: AcmectlError) -> bool:
        """False when ``forget_failed_order`` follows and finds an order that it forgets."""
        finalized = self._record is not None and self._record.order.finalized
        return finalized or not isinstance(error, LEADS_NOWHERE)


def in_flight(services: Services) -> frozenset[str]:
    """Lineages whose renewal was interrupted, so that its certificate may exist already.

    An order for other names than the lineage has was no renewal: whoever asked for those names has to ask again.
    Raises: StorageError when the system refuses to read an order.
    """
    return frozenset(name for name in services.pending.names() if not _is_for_other_names(services, name))


def _is_for_other_names(services: Services, name: str) -> bool:
    record = services.pending.load(name).record
    try:
        present = summary(services.lineages.get(name).read("cert")).identifiers
    except AcmectlError:
        return False
    return record is not None and frozenset(record.order.identifiers) != frozenset(present)


def forget_failed_order(services: Services, name: str, request: CertificateRequest) -> None:
    """An order that the CA has refused leads nowhere; one that may have a certificate is kept."""
    if request.dry_run:
        return
    for second in (True, False):
        record = services.pending.load(name, second=second).record
        if record is not None and not record.order.finalized:
            services.pending.drop(name, second=second)
