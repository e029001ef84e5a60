"""The renewal of one lineage, in whatever thread, and what lineages share: accounts, hooks, exclusive plugins."""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from acmectl.actions.backoff import Backoff
from acmectl.actions.detours import Detours
from acmectl.actions.hooks import HookSession
from acmectl.actions.ledger import Ledger, Owed
from acmectl.actions.outcomes import Ending, LineageResult, SecondResult
from acmectl.errors import (
    AcmectlError,
    AuthorizationFailed,
    HookFailed,
    Interrupted,
    LimitReached,
    RateLimited,
    RenewalFileInvalid,
    StorageError,
)
from acmectl.pki.summary import summary

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from acmectl.actions.accounts import OpenAccount
    from acmectl.actions.due import Due
    from acmectl.actions.requests import AccountRequest, CertificateRequest
    from acmectl.actions.scan import Snapshot
    from acmectl.actions.services import Services
    from acmectl.actions.version import NewVersion
    from acmectl.identifiers import Identifier
    from acmectl.storage.lineage import Lineage
    from acmectl.storage.renewal_conf import RenewalConf

logger = logging.getLogger(__name__)

CompleteRenewal = Callable[["RenewalConf", "tuple[Identifier, ...]", "Path"], "CertificateRequest"]
"""Makes the request for one lineage: like requests.Complete, with the renewal file's path for messages."""

_LOOK_UP = 0.2  # seconds between two looks whether a signal came
# Let's Encrypt answers so for names whose validation has failed for very long (rate limits, "paused").
_PAUSED = re.compile(r"\bpaused\b|unpause", re.IGNORECASE)


def _second(lineage: Lineage, made: NewVersion) -> SecondResult | None:
    if made.second is None:
        return None
    path = lineage.live_dir / f"fullchain-{made.second.key_type}.pem"
    return SecondResult(path=path, not_after=made.second.not_after)


class Renewer:
    """Renews lineages. Safe for use from several threads; hooks run one at a time."""

    def __init__(self, services: Services, complete: CompleteRenewal, *, keep_notes: bool) -> None:
        """``keep_notes`` is off for a dry run: no backoff, no ledger."""
        self._services = services
        self._complete = complete
        self._keep_notes = keep_notes
        self._detours = Detours(services)
        self._session = HookSession(services.hooks, services.layout.hooks_dir)
        self._accounts: dict[tuple[str, str | None, Path | None], OpenAccount] = {}
        self._accounts_lock = threading.Lock()
        self._exclusive: dict[str, threading.Lock] = {}
        self._renewed: list[Identifier] = []
        self._failed: list[Identifier] = []
        self.attempted = False

    def renew(self, snapshot: Snapshot, due: Due) -> LineageResult:
        """Renew one lineage; what goes wrong with it is in the result. Raises: Interrupted."""
        try:
            return self._renew(snapshot, due)
        except Interrupted:
            raise
        except AcmectlError as error:
            return self._failure(snapshot, due, error)
        except Exception as mistake:  # noqa: BLE001 - one of ours: the other lineages do not suffer for it
            logger.debug("%s: internal error", snapshot.name, exc_info=mistake)
            what = " ".join(str(mistake).split())[:200]
            told = AcmectlError(f"Internal error: {type(mistake).__name__}: {what}.", hint="Details are in the log.")
            return self._failure(snapshot, due, told)

    def _failure(self, snapshot: Snapshot, due: Due, error: AcmectlError) -> LineageResult:
        next_at = self._note_failure(snapshot, error)
        invalid = isinstance(error, RenewalFileInvalid)
        return LineageResult(
            name=snapshot.name,
            path=snapshot.conf_path if invalid else snapshot.fullchain_path,
            ending=Ending.PARSEFAIL if invalid else Ending.FAILURE,
            why=error.message,
            hint=error.hint,
            rule=str(due.rule),
            not_after=snapshot.not_after,
            next_at=next_at,
            version=snapshot.version,
            server=snapshot.server,
            failures=error.failures if isinstance(error, AuthorizationFailed) else (),
        )

    def _renew(self, snapshot: Snapshot, due: Due) -> LineageResult:
        # Most runs renew nothing: they do not wait for the libraries that a renewal needs.
        from acmectl.actions.csr_stored import names_to_renew
        from acmectl.actions.deploying import deploy_steps
        from acmectl.actions.obtain import deploy, refuse_test_over_real, with_account
        from acmectl.actions.output_checks import check_outputs
        from acmectl.actions.renewable import refuse_certbots_plugin, refuse_lost_webroots
        from acmectl.actions.target import Target
        from acmectl.actions.version import announce, issue_version

        services = self._services
        lineage = services.lineages.get(snapshot.name)
        identifiers = names_to_renew(lineage)
        made = None
        try:
            request = self._complete(lineage.conf, identifiers, lineage.conf_path)
            target = Target(name=lineage.name, identifiers=identifiers, existing=lineage)
            refuse_test_over_real(target, request)
            refuse_certbots_plugin(services, lineage, identifiers, request)
            refuse_lost_webroots(services, lineage, identifiers, request)
            check_outputs(services, target, request)
            exclusive = self._exclusive_ones(request)

            def issue_at(
                at: CertificateRequest, account: OpenAccount
            ) -> tuple[CertificateRequest, OpenAccount, NewVersion]:
                at = with_account(at, account.stored.id)
                self.attempted = True
                with self._alone(exclusive):
                    self._session.before(at.hooks)
                    announce(services, target, at)
                    steps = deploy_steps(self._session, at)
                    return at, account, issue_version(services, account, target, at, deploy_hooks=steps)

            request, account, made = self._detours.go(request, self._account, issue_at)
        finally:
            renewed = made.identifiers if made is not None else ()
            self._renewed.extend(renewed)
            self._failed.extend(name for name in identifiers if name not in renewed)
        failures, owed = deploy(services, self._session, made, request, target)
        return LineageResult(
            name=lineage.name,
            path=lineage.fullchain_path,
            ending=Ending.SUCCESS,
            why=due.why,
            rule=str(due.rule),
            not_after=made.not_after,
            second=_second(lineage, made),
            version=made.number,
            server=account.stored.server,
            hook_failures=tuple(failures),
            owed=owed.hooks,
            owed_until=owed.backoff.not_before,
        )

    def settle(
        self, snapshot: Snapshot, owed: Owed, *, forget: bool, now_whatever: bool
    ) -> tuple[Owed, list[HookFailed]]:
        """Run the deploy hooks that are owed, if it is time; what is left, and what failed. Raises: Interrupted."""
        from acmectl.actions.deploying import deploy_steps, settle_steps

        services = self._services
        ledger = Ledger(services.lineages, snapshot.name, owed)
        try:
            if forget:
                ledger.forget()
                return ledger.owed, []
            if owed.backoff.holds(services.clock.now()) and not now_whatever:
                return owed, []
            lineage = services.lineages.get(snapshot.name)
            identifiers = summary(lineage.read("cert")).identifiers
            request = self._complete(lineage.conf, identifiers, lineage.conf_path)
            for gone in set(owed.hooks) - set(deploy_steps(self._session, request)):
                from acmectl.events import Notice

                text = f"{snapshot.name}: the deploy hook {gone} is no longer there; it is dropped."
                services.observe(Notice(text=text))
                ledger.settle(gone)
            failures = settle_steps(
                services,
                self._session,
                request,
                ledger,
                name=lineage.name,
                live_dir=lineage.live_dir,
                identifiers=identifiers,
            )
        except Interrupted:
            raise
        except AcmectlError as error:
            return ledger.owed, [HookFailed(error.message, hint=error.hint)]
        return ledger.owed, failures

    def finish(self) -> list[HookFailed]:
        """Run the post hooks that are owed."""
        return self._session.finish(self._renewed, self._failed)

    def _account(self, request: AccountRequest) -> OpenAccount:
        from acmectl.actions.accounts import open_account

        key = (request.server, request.account_id, request.key_path)
        with self._accounts_lock:
            if key not in self._accounts:
                self._accounts[key] = open_account(self._services, request)
            return self._accounts[key]

    def _exclusive_ones(self, request: CertificateRequest) -> list[str]:
        """Names of the authenticators that work for one lineage at a time, always in the same order."""
        names = {request.authenticator.name, *(one.authenticator.name for one in request.mixed)}
        return sorted(name for name in names if self._services.load_authenticator(name).exclusive)

    @contextmanager
    def _alone(self, names: Sequence[str]) -> Iterator[None]:
        """Around what no two lineages may do at the same time. Raises: Interrupted while waiting."""
        with ExitStack() as held:
            for name in names:
                with self._accounts_lock:
                    lock = self._exclusive.setdefault(name, threading.Lock())
                while not lock.acquire(timeout=_LOOK_UP):
                    self._services.interrupts.check()
                held.callback(lock.release)
            yield

    def _note_failure(self, snapshot: Snapshot, error: AcmectlError) -> datetime | None:
        """Keep how often it has failed and when to try again, and give that time (aware UTC).

        A note that cannot be kept must not hide the failure.
        """
        if not self._keep_notes:
            return None
        backoff = Backoff.from_json(snapshot.own.get("backoff")).failed(
            self._services.clock.now(),
            error.message,
            expires=snapshot.not_after,
            retry_at=error.retry_at if isinstance(error, RateLimited | LimitReached) else None,
            paused=isinstance(error, RateLimited) and _PAUSED.search(error.problem.detail) is not None,
        )
        if backoff.paused:
            # The link lets anybody unpause; it is shown once and kept in no file.
            backoff = Backoff(failures=backoff.failures, reason="paused by the CA", paused=True)
        try:
            self._services.lineages.update_notes(snapshot.name, {"backoff": backoff.to_json()})
        except StorageError as problem:
            from acmectl.events import Notice

            self._services.observe(Notice(text=problem.message, level="warning"))
        return backoff.not_before
