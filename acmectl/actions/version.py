"""One new version of a lineage: key, order, check, archive, renewal file, live. See docs/issuance-cycle.md."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from acmectl.acme.problem import Problem
from acmectl.actions.authenticators import make_authenticators, pause_for_debugging
from acmectl.actions.caa import look_at_caa, told_before
from acmectl.actions.choices import checked_chain, choose_profile
from acmectl.actions.csr_stored import KEY as CSR
from acmectl.actions.drafting import draft_for
from acmectl.actions.journal import TO_BE_CHANGED, PendingJournal, forget_failed_order
from acmectl.actions.lifetime import end_to_order
from acmectl.actions.next_key import settle_live
from acmectl.actions.order_ledger import counted
from acmectl.actions.second_key import described, parts_of
from acmectl.actions.version_conf import conf_for
from acmectl.errors import AuthorizationFailed, ProtocolViolation, ServerProblem
from acmectl.events import CertificateSaved, IssuanceStarted, LineageHealed, NamesRefused, Notice, WentLive
from acmectl.issuance.issue import issue
from acmectl.issuance.request import IssuancePolicy, IssuanceRequest, NoJournal
from acmectl.pki.certificate import read_certificate
from acmectl.pki.csr import read_csr, spki_beside
from acmectl.storage.archive import CertificateFiles, VersionFiles

if TYPE_CHECKING:
    from datetime import datetime

    from acmectl.actions.accounts import OpenAccount
    from acmectl.actions.authenticators import Solvers
    from acmectl.actions.caa import CaaLook
    from acmectl.actions.journal import Draft
    from acmectl.actions.requests import CertificateRequest
    from acmectl.actions.second_key import SecondCertificate
    from acmectl.actions.services import Services
    from acmectl.actions.target import Target
    from acmectl.identifiers import Identifier
    from acmectl.issuance.request import OrderJournal
    from acmectl.pki.chain import IssuedChain


@dataclass(frozen=True, slots=True, kw_only=True)
class NewVersion:
    """What was made. ``number`` is None when nothing was kept (a dry run). ``dropped`` are names left out."""

    name: str
    number: int | None
    identifiers: tuple[Identifier, ...]
    dropped: tuple[Identifier, ...] = ()
    not_after: datetime | None = None
    serial: int | None = None
    second: SecondCertificate | None = None


def issue_version(
    services: Services,
    account: OpenAccount,
    target: Target,
    request: CertificateRequest,
    *,
    deploy_hooks: tuple[str, ...] = (),
) -> NewVersion:
    """Obtain, check, save and activate a certificate. Raises: what issue() raises, StorageError, ConfigError.

    ``deploy_hooks`` are noted as owed before the version goes live.
    """
    target = replace(target, deploy_hooks=deploy_hooks)
    solvers = make_authenticators(services, request)
    profile = choose_profile(services, account, request, target.identifiers)
    identifiers = target.identifiers
    # What was issued once is issued again nearly always: a renewal looks only when the CA has refused it.
    caa = look_at_caa(services, account.client, identifiers, request) if target.has_new_names else None
    while True:
        solvers.check(identifiers)
        solvers.check_account(identifiers, thumbprint=account.client.key.thumbprint())
        attempt = replace(target, identifiers=identifiers)
        try:
            made = _attempt(services, account, attempt, request, profile=profile, solvers=solvers, caa=caa)
        except (AuthorizationFailed, ServerProblem) as error:
            caa = caa or look_at_caa(services, account.client, identifiers, request)
            if caa is not None:
                caa.tell_of_failure()
            forget_failed_order(services, target.name, request)
            failed = _failed_identifiers(error)
            left = tuple(identifier for identifier in identifiers if identifier not in failed)
            if not request.allow_subset_of_names or CSR in request.own or not left or len(left) == len(identifiers):
                raise
            if isinstance(error, AuthorizationFailed):
                services.observe(NamesRefused(failures=error.failures))
            gone = ", ".join(str(identifier) for identifier in identifiers if identifier in failed)
            services.observe(Notice(text=f"Going on without {gone}: {error.message}", level="warning"))
            identifiers = left
            continue
        except TO_BE_CHANGED:
            forget_failed_order(services, target.name, request)
            raise
        if made.number is not None:
            settle_live(services, made.name, request)
        return replace(made, dropped=tuple(i for i in target.identifiers if i not in identifiers))


def _attempt(
    services: Services,
    account: OpenAccount,
    target: Target,
    request: CertificateRequest,
    *,
    profile: str | None,
    solvers: Solvers,
    caa: CaaLook | None,
) -> NewVersion:
    """Order every certificate of the version, and keep them together once all are here and verified."""
    parts = [
        (one, wanted, draft_for(services, account, one, wanted, profile)) for one, wanted in parts_of(target, request)
    ]
    if (saved := _adopt(services, target, request, [draft for _, _, draft in parts])) is not None:
        return saved
    version = services.lineages.next_version(target.name)
    made: list[CertificateFiles] = []
    for one, wanted, draft in parts:
        issued = _ordered(
            services, account, one, wanted, draft, profile=profile, solvers=solvers, caa=caa, version=version
        )
        if issued is not None:
            made.append(
                CertificateFiles(
                    privkey=draft.key_pem, cert=issued.leaf, chain=issued.chain, fullchain=issued.fullchain
                )
            )
    if request.dry_run or not made:
        return NewVersion(name=target.name, number=None, identifiers=target.identifiers)
    second_type = parts[-1][0].second_type
    first, second = made[0], made[1] if second_type is not None else None
    files = VersionFiles(
        privkey=first.privkey,
        cert=first.cert,
        chain=first.chain,
        fullchain=first.fullchain,
        second=second,
        second_type=second_type,
    )
    return _keep(services, target, request, files)


def _ordered(
    services: Services,
    account: OpenAccount,
    target: Target,
    request: CertificateRequest,
    draft: Draft,
    *,
    profile: str | None,
    solvers: Solvers,
    caa: CaaLook | None,
    version: int,
) -> IssuedChain | None:
    """One certificate, downloaded and verified; None where the CA is not to issue."""
    journal: OrderJournal = NoJournal()
    if not request.dry_run:
        journal = PendingJournal(
            services,
            account,
            target.name,
            target.identifiers,
            draft=draft,
            profile=profile,
            version=version,
            second=target.is_second,
        )
    resumed = draft.resume is not None and draft.resume.order.finalized
    ordered = draft.resume.order.created if draft.resume is not None else None
    not_after = end_to_order(services, request.not_after, ordered, quiet=target.is_second)
    replaces = None if request.dry_run else _predecessor(account, target)
    resumes = draft.resume is not None
    with counted(
        services, account, target.identifiers, request, existing=target.existing, replaces=replaces, resumes=resumes
    ) as observe:
        chains = issue(
            account.client,
            IssuanceRequest(
                identifiers=target.identifiers,
                csr_der=draft.csr_der,
                profile=profile,
                replaces=replaces,
                not_after=not_after,
                preferred_challenges=request.preferred_challenges,
                alternates=request.preferred_chain is not None,
                resume_order=draft.resume.order.order_url if draft.resume is not None else None,
            ),
            solvers,
            policy=IssuancePolicy(
                timeout=request.issuance_timeout,
                preflight=request.preflight,
                # For the second certificate the names were validated a moment ago.
                revalidate=request.revalidates and not target.is_second,
                finalize=request.finalize,
            ),
            journal=journal,
            clock=services.clock,
            interrupts=services.interrupts,
            observe=observe,
            before_respond=told_before(caa, pause_for_debugging(services) if request.debug_challenges else None),
        )
    if not chains:
        return None
    spki = spki_beside(draft.key_pem)
    try:
        return checked_chain(
            services,
            chains,
            request.preferred_chain,
            spki,
            target.identifiers,
            quiet=request.dry_run,
            not_after=not_after,
            must_staple=read_csr(draft.csr_der).must_staple,
        )
    except ProtocolViolation:
        if resumed:
            # Useless a second time: the next run needs another order.
            services.pending.drop(target.name, second=target.is_second)
        raise


def _predecessor(account: OpenAccount, target: Target) -> str | None:
    """Told only to a CA that offers renewal information, and that issued the predecessor (RFC 9773 section 5)."""
    if target.existing is None or target.existing.conf.text("server") != account.stored.server:
        return None
    return target.replaces if account.client.directory().renewal_info is not None else None


def _keep(services: Services, target: Target, request: CertificateRequest, files: VersionFiles) -> NewVersion:
    number = services.lineages.save(target.name, files)
    directory = services.layout.archive(target.name) if target.existing is None else target.existing.archive_dir
    services.observe(CertificateSaved(lineage=target.name, version=number, directory=directory))
    services.lineages.write_conf(target.name, conf_for(target, request, files.privkey, number))
    services.lineages.activate(target.name, number)
    services.observe(WentLive(lineage=target.name, version=number))
    services.pending.drop(target.name)
    services.lineages.prune(target.name, number)
    return _described(target, number, files)


def _described(target: Target, number: int, files: VersionFiles) -> NewVersion:
    info = read_certificate(files.cert)
    return NewVersion(
        name=target.name,
        number=number,
        identifiers=target.identifiers,
        not_after=info.not_after,
        serial=info.serial,
        second=described(files.second, files.second_type),
    )


def _adopt(services: Services, target: Target, request: CertificateRequest, drafts: list[Draft]) -> NewVersion | None:
    """Finish what an earlier run had saved already: no order is spent again."""
    records = [draft.resume for draft in drafts if draft.resume is not None]
    if len(records) < len(drafts):
        return None
    first, key = records[0], request.key.second
    conf = conf_for(target, request, first.key_pem, first.order.version)
    second = None if key is None else (str(key.type), records[1].key_pem)
    number = services.lineages.adopt_saved(target.name, first.key_pem, conf, version=first.order.version, second=second)
    if number is None:
        return None
    services.pending.drop(target.name)
    services.observe(
        LineageHealed(lineage=target.name, what=f"version {number}, saved by a run that was interrupted, is live now")
    )
    return _described(target, number, services.lineages.read_version(target.name, number))


def announce(services: Services, target: Target, request: CertificateRequest) -> None:
    """Tell that an attempt begins."""
    verb = "request" if target.existing is None else "renew"
    if request.dry_run:
        verb = "simulate-request" if target.existing is None else "simulate-renewal"
    services.observe(IssuanceStarted(verb=verb, lineage=target.name, identifiers=target.identifiers))


def _failed_identifiers(error: AuthorizationFailed | ServerProblem) -> set[Identifier]:
    if isinstance(error, AuthorizationFailed):
        return {failure.identifier for failure in error.failures}
    problem = error.problem
    if not isinstance(problem, Problem):
        return set()
    return {sub.identifier for sub in problem.subproblems if sub.identifier is not None}
