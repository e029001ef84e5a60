"""Keeps account of orders at CAs that publish limits, and refuses an order that the CA would refuse.

The deploy hooks that are owed have a ledger of their own (actions.ledger).
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from acmectl.actions.ari import AriState
from acmectl.actions.limits import Asked, usages, used_line
from acmectl.actions.registered_domains import RegisteredDomains
from acmectl.actions.suggestions import KEY as ARI
from acmectl.actions.suggestions import KEY_OF_SECOND as ARI_OF_SECOND
from acmectl.config.catalogue import Counted, known
from acmectl.errors import AuthorizationFailed, ConfigError, LimitReached, StorageError
from acmectl.events import Notice, OrderPlaced
from acmectl.pki.summary import summary
from acmectl.storage.lineage import BrokenLineage
from acmectl.storage.order_entries import Entry, Kind

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from acmectl.actions.accounts import OpenAccount
    from acmectl.actions.limits import Usage
    from acmectl.actions.requests import CertificateRequest
    from acmectl.actions.services import Services
    from acmectl.config.catalogue import KnownCa
    from acmectl.events import Event, Observer
    from acmectl.identifiers import Identifier
    from acmectl.storage.lineage import Lineage

_KEPT = 2  # times the longest span of a limit; what is older than that can hardly be seen in a bucket
_MINUTE = timedelta(minutes=1)
_ALWAYS_TOLD = (Counted.SET_CERTIFICATES, Counted.DOMAIN_CERTIFICATES, Counted.NAME_FAILURES)


@contextmanager
def counted(
    services: Services,
    account: OpenAccount,
    identifiers: tuple[Identifier, ...],
    request: CertificateRequest,
    *,
    existing: Lineage | None = None,
    replaces: str | None = None,
    resumes: bool = False,
) -> Iterator[Observer]:
    """Around one order, whose events go to the observer that this gives: told of before, noted afterwards.

    ``existing`` is the lineage that it renews, ``replaces`` the ARI id that it names; with ``resumes`` there is an
    order already. A dry run, and a CA of which no limits are known, is left alone. Called with the store locked.
    Raises: LimitReached before anything is ordered; what is raised inside.
    """
    ca = None if request.dry_run else known(account.stored.server)
    if ca is None or not ca.limits:
        yield services.observe
        return
    clerk = _Clerk(services, account, identifiers, ca, existing=existing, replaces=replaces)
    if replaces is None and not resumes:
        clerk.check(count=1 if request.key.second is None else 2, go_on=request.ignore_ledger)
    try:
        yield clerk.observe
    except AuthorizationFailed as error:
        clerk.note_failures(error)
        raise
    clerk.note_certificate()


class _Clerk:
    """Reads and writes the ledger for one order. What is wrong with the ledger is told once and stops nothing."""

    def __init__(
        self,
        services: Services,
        account: OpenAccount,
        identifiers: tuple[Identifier, ...],
        ca: KnownCa,
        *,
        existing: Lineage | None,
        replaces: str | None,
    ) -> None:
        self._services = services
        self._ca = ca
        self._identifiers = frozenset(identifiers)
        self._url = ""
        self._resumed = False
        self._exempt = False
        self._exempt_if_taken = replaces is not None and not _is_early(existing, replaces, services.clock.now())
        self._settle()
        names, server = tuple(sorted(str(one) for one in identifiers)), account.stored.server
        renewal = (existing is not None and self._is_for_these(existing, server)) or any(
            one.kind is Kind.CERTIFICATE and one.server == server and one.names == names for one in self._entries()
        )
        self._asked = Asked(server=server, account=account.stored.uri, names=names, renewal=renewal)

    def check(self, *, count: int, go_on: bool) -> None:
        """Say what is used of the CA's limits. Raises: LimitReached, unless ``go_on``, when there is no room.

        ``count`` certificates for the names are to come: half of what is wanted would be an order for nothing.
        """
        asked = replace(self._asked, count=count)
        found = self._usages(asked)
        if not asked.renewal and any(one.free_at for one in found) and self._is_here():
            found = self._usages(replace(asked, renewal=True))
        full = [(one.free_at, one) for one in found if one.free_at is not None]
        if full:
            self._refuse(*max(full, key=lambda pair: pair[0]), go_on=go_on)
        elif any(one.used for one in found if one.limit.counted in _ALWAYS_TOLD):
            self._tell(f"Used of the limits of {self._ca.title}, as far as this machine knows: {_told(found)}.")

    def observe(self, event: Event) -> None:
        """Pass ``event`` on; a new order is noted."""
        if isinstance(event, OrderPlaced):
            self._url, self._resumed = event.url, event.resumed
            if event.resumed:
                self._exempt = any(one.order == event.url and one.exempt for one in self._entries())
            else:
                self._exempt = event.replaces and self._exempt_if_taken
                self._note(self._entry(Kind.ORDER))
        self._services.observe(event)

    def note_failures(self, error: AuthorizationFailed) -> None:
        """Take note of what the CA has looked for in vain; what never was in place does not count."""
        names = {
            str(one.identifier)
            for one in error.failures
            if one.problem is not None and one.authenticator is not None and one.identifier in self._identifiers
        }
        if names:
            self._note(replace(self._entry(Kind.FAILURE), names=tuple(sorted(names)), exempt=False))

    def note_certificate(self) -> None:
        """The CA has issued. That of an order that was resumed may be noted already."""
        if self._resumed and any(one.kind is Kind.CERTIFICATE and one.order == self._url for one in self._entries()):
            return
        self._note(self._entry(Kind.CERTIFICATE))

    def _usages(self, asked: Asked) -> list[Usage]:
        now = self._services.clock.now()
        return usages(self._ca.limits, self._entries(), asked, now, RegisteredDomains().of)

    def _refuse(self, free_at: datetime, one: Usage, *, go_on: bool) -> None:
        until = _whole_minute(free_at)
        text = (
            f"{self._ca.title} would refuse the order until {until:%Y-%m-%d %H:%M} UTC: "
            f"{used_line(one)} are used, as far as this machine knows."
        )
        if go_on:
            self._tell(f"{text} It is asked all the same.", level="warning")
            return
        advice = "Wait, or use the certificate that there is"
        if one.limit.counted is Counted.NAME_FAILURES:
            advice = "Find out with --dry-run why the validation fails, and wait"
        raise LimitReached(text, retry_at=until, hint=f"{advice}; --ignore-ledger asks the CA all the same.")

    def _is_here(self) -> bool:
        """Whether any lineage has a certificate for the very names from this CA, which makes the order a renewal."""
        for lineage in self._services.lineages.all():
            try:
                if not isinstance(lineage, BrokenLineage) and self._is_for_these(lineage, self._asked.server):
                    return True
            except (StorageError, ConfigError):
                continue
        return False

    def _is_for_these(self, lineage: Lineage, server: str) -> bool:
        if lineage.conf.text("server") != server:
            return False
        return frozenset(summary(lineage.read("cert")).identifiers) == self._identifiers

    def _entry(self, kind: Kind) -> Entry:
        return Entry(
            at=self._services.clock.now(),
            kind=kind,
            server=self._asked.server,
            account=self._asked.account,
            names=self._asked.names,
            order=self._url,
            exempt=self._exempt,
            renewal=self._asked.renewal,
        )

    def _entries(self) -> Sequence[Entry]:
        try:
            return self._services.orders.entries()
        except StorageError:
            return ()  # which was told when the ledger was settled

    def _settle(self) -> None:
        now = self._services.clock.now()
        longest = max(limit.seconds for limit in self._ca.limits)
        try:
            said = self._services.orders.settle(now, oldest=now - timedelta(seconds=longest) * _KEPT)
        except StorageError as error:
            self._complain(error)
        else:
            if said is not None:
                self._tell(said, level="warning")

    def _note(self, entry: Entry) -> None:
        try:
            self._services.orders.add([entry])
        except StorageError as error:
            self._complain(error)

    def _complain(self, error: StorageError) -> None:
        if self._services.orders.shall_tell():
            self._tell(f"Orders are not counted: {error.message}", level="warning")

    def _tell(self, text: str, *, level: str = "info") -> None:
        self._services.observe(Notice(text=text, level=level))


def _is_early(existing: Lineage | None, replaces: str, now: datetime) -> bool:
    """Whether the CA is known to have suggested another time: it exempts only replacements inside its window."""
    own = existing.conf.own if existing is not None else {}
    # What is noted about another certificate than ``replaces`` tells nothing.
    states = [AriState.from_json(own.get(key), replaces) for key in (ARI, ARI_OF_SECOND)]
    return any(one.start and one.end and not one.start <= now < one.end for one in states)


def _told(found: Sequence[Usage]) -> str:
    """What is used most of each limit that a person knows of."""
    most: dict[Counted, Usage] = {}
    for one in found:
        best = most.get(one.limit.counted)
        if best is None or one.used > best.used:
            most[one.limit.counted] = one
    return ", ".join(used_line(most[counted]) for counted in _ALWAYS_TOLD if counted in most)


def _whole_minute(moment: datetime) -> datetime:
    """``moment``, or the full minute after it: nobody is sent to the CA too early."""
    whole = moment.replace(second=0, microsecond=0)
    return whole if whole == moment else whole + _MINUTE
