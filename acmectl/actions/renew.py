"""renew: walk the lineages, renew those that are due, and never let one stop the others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from acmectl.actions.accounts import OpenAccount, open_account
from acmectl.actions.due import Due, parse_before_expiry, renewal_due
from acmectl.actions.hooks import HookSession
from acmectl.actions.obtain import deploy, refuse_test_over_real, with_account
from acmectl.actions.version import Target, announce, issue_version
from acmectl.errors import AcmectlError, AuthorizationFailed, HookFailed, Interrupted, LineageDamaged, LineageNotFound
from acmectl.events import LineageHealed, Notice
from acmectl.pki.summary import summary

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from acmectl.actions.requests import AccountRequest, CertificateRequest
    from acmectl.actions.services import Services
    from acmectl.errors import AuthorizationFailure
    from acmectl.identifiers import Identifier
    from acmectl.storage.lineage import Lineage
    from acmectl.storage.renewal_conf import RenewalConf

CompleteRenewal = Callable[["RenewalConf", "tuple[Identifier, ...]", "Path"], "CertificateRequest"]
"""Like Complete, with the renewal file's path for messages."""


class Ending(StrEnum):
    """How one lineage came out, in the words that certbot's summary uses."""

    SUCCESS = "success"
    FAILURE = "failure"
    SKIPPED = "skipped"
    PARSEFAIL = "parsefail"


@dataclass(frozen=True, slots=True, kw_only=True)
class LineageResult:
    """One lineage's outcome. ``path`` is its fullchain, or the renewal file where that leads nowhere.

    ``why`` is the rule that decided, or what went wrong. ``next_at``: when it will be due, as far as is known.
    """

    name: str
    path: Path
    ending: Ending
    why: str
    rule: str | None = None
    not_after: datetime | None = None
    next_at: datetime | None = None
    version: int | None = None
    server: str | None = None
    hint: str | None = None
    failures: tuple[AuthorizationFailure, ...] = ()
    hook_failures: tuple[HookFailed, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Renewals:
    """What renew did."""

    results: tuple[LineageResult, ...]
    dry_run: bool
    post_hook_failures: tuple[HookFailed, ...] = ()

    @property
    def failed(self) -> bool:
        """True when something must make the run fail."""
        bad = any(one.ending in (Ending.FAILURE, Ending.PARSEFAIL) or one.hook_failures for one in self.results)
        return bad or bool(self.post_hook_failures)


@dataclass(frozen=True, slots=True, kw_only=True)
class RenewRequest:
    """Which lineages (all if ``cert_name`` is None) and how."""

    cert_name: str | None = None
    force: bool = False
    dry_run: bool = False


def renew(
    services: Services, request: RenewRequest, complete: CompleteRenewal, *, report: Callable[[Renewals], None]
) -> Renewals:
    """Renew what is due. ``report`` is called with the outcome before the post hooks run, as certbot's summary is.

    Raises: LineageNotFound for an unknown name, StorageError, Interrupted; what befalls one lineage is in the outcome.
    """
    with services.lock():
        if request.cert_name is not None and not services.lineages.exists(request.cert_name):
            raise LineageNotFound(
                f"There is no certificate named {request.cert_name}.", hint="acmectl certificates lists the names."
            )
        names = services.lineages.names() if request.cert_name is None else [request.cert_name]
        run = _Run(services, request, complete)
        try:
            for name in names:
                run.one(name)
            outcome = Renewals(results=tuple(run.results), dry_run=request.dry_run)
            report(outcome)
        finally:
            with services.interrupts.shielded():
                failures = run.finish()
        return Renewals(results=outcome.results, dry_run=request.dry_run, post_hook_failures=tuple(failures))


class _Run:
    """One walk over the lineages: the accounts that are open, the hooks that ran, the results so far."""

    def __init__(self, services: Services, request: RenewRequest, complete: CompleteRenewal) -> None:
        self._services = services
        self._request = request
        self._complete = complete
        self._session = HookSession(services.hooks, services.layout.hooks_dir)
        self._accounts: dict[tuple[str, str | None], OpenAccount] = {}
        self._renewed: list[Identifier] = []
        self._failed: list[Identifier] = []
        self.results: list[LineageResult] = []

    def one(self, name: str) -> None:
        """Look at one lineage and renew it if it is due."""
        services = self._services
        try:
            if not self._request.dry_run:
                for what in services.lineages.heal(name):
                    services.observe(LineageHealed(lineage=name, what=what))
            lineage = services.lineages.get(name)
            if not lineage.conf.has_params or lineage.conf.text("authenticator") is None:
                raise LineageDamaged(f"{lineage.conf_path} does not say how the certificate is renewed.")
            certificate = summary(lineage.read("cert"))
        except Interrupted:
            raise
        except AcmectlError as error:
            path = services.layout.renewal_conf(name)
            self._note(LineageResult(name=name, path=path, ending=Ending.PARSEFAIL, why=error.message, hint=error.hint))
            return
        due = self._due(lineage, certificate.not_before, certificate.not_after)
        if not due.due:
            self._note(_result(lineage, Ending.SKIPPED, due.why, due=due, not_after=certificate.not_after))
            return
        try:
            self._renew(lineage, certificate.identifiers, due)
        except Interrupted:
            raise
        except AcmectlError as error:
            self._failed.extend(certificate.identifiers)
            failures = error.failures if isinstance(error, AuthorizationFailed) else ()
            self._note(
                _result(
                    lineage,
                    Ending.FAILURE,
                    error.message,
                    due=due,
                    not_after=certificate.not_after,
                    hint=error.hint,
                    failures=failures,
                )
            )

    def finish(self) -> list[HookFailed]:
        """Run the post hooks that are owed."""
        return self._session.finish(self._renewed, self._failed)

    def _note(self, result: LineageResult) -> None:
        self.results.append(result)

    def _due(self, lineage: Lineage, not_before: datetime, not_after: datetime) -> Due:
        before = lineage.conf.root.get("renew_before_expiry")
        interval = parse_before_expiry(before) if isinstance(before, str) else None
        if before is not None and interval is None:
            text = f"{lineage.conf_path}: renew_before_expiry is not understood; it is ignored."
            self._services.observe(Notice(text=text, level="warning"))
        return renewal_due(
            not_before=not_before,
            not_after=not_after,
            now=self._services.clock.now(),
            forced=self._request.force,
            dry_run=self._request.dry_run,
            autorenew=(lineage.conf.text("autorenew") or "").lower() != "false",
            before_expiry=interval,
        )

    def _renew(self, lineage: Lineage, identifiers: tuple[Identifier, ...], due: Due) -> None:
        services = self._services
        request = self._complete(lineage.conf, identifiers, lineage.conf_path)
        target = Target(name=lineage.name, identifiers=identifiers, existing=lineage)
        refuse_test_over_real(target, request)
        services.load_authenticator(request.authenticator.name)
        account = self._account(request.account)
        request = with_account(request, account.stored.id)
        self._session.before(request.hooks)
        announce(services, target, request)
        made = issue_version(services, account, target, request)
        self._renewed.extend(made.identifiers)
        self._failed.extend(made.dropped)
        failures = deploy(services, self._session, made, request, existed=True)
        self._note(
            _result(
                lineage,
                Ending.SUCCESS,
                due.why,
                due=due,
                not_after=made.not_after,
                version=made.number,
                server=account.stored.server,
                hook_failures=tuple(failures),
            )
        )

    def _account(self, request: AccountRequest) -> OpenAccount:
        key = (request.server, request.account_id)
        if key not in self._accounts:
            self._accounts[key] = open_account(self._services, request)
        return self._accounts[key]


def _result(
    lineage: Lineage,
    ending: Ending,
    why: str,
    *,
    due: Due,
    not_after: datetime | None,
    version: int | None = None,
    server: str | None = None,
    hint: str | None = None,
    failures: tuple[AuthorizationFailure, ...] = (),
    hook_failures: tuple[HookFailed, ...] = (),
) -> LineageResult:
    return LineageResult(
        name=lineage.name,
        path=lineage.fullchain_path,
        ending=ending,
        why=why,
        rule=str(due.rule),
        not_after=not_after,
        next_at=due.at if ending is Ending.SKIPPED else None,
        version=version if version is not None else lineage.version,
        server=server if server is not None else lineage.conf.text("server"),
        hint=hint,
        failures=failures,
        hook_failures=hook_failures,
    )
