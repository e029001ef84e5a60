"""One new version of a lineage: key, order, check, archive, renewal file, live. See docs/issuance-cycle.md."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from acmectl.acme.ari import ari_certificate_id
from acmectl.acme.problem import Problem
from acmectl.actions import ledger
from acmectl.actions.authenticators import make_authenticators, pause_for_debugging
from acmectl.actions.caa import look_at_caa, told_before
from acmectl.actions.csr_stored import KEY as CSR
from acmectl.actions.csr_stored import private_part, stored_csr
from acmectl.actions.journal import TO_BE_CHANGED, Draft, PendingJournal, forget_failed_order
from acmectl.actions.ledger import Owed
from acmectl.errors import (
    AuthorizationFailed,
    ConfigError,
    ProtocolViolation,
    ServerProblem,
)
from acmectl.events import CertificateSaved, IssuanceStarted, LineageHealed, NamesRefused, Notice, WentLive
from acmectl.issuance.issue import issue
from acmectl.issuance.request import IssuancePolicy, IssuanceRequest, NoJournal
from acmectl.pki.certificate import read_certificate
from acmectl.pki.chain import choose_chain, verify_issued
from acmectl.pki.csr import make_csr, spki_beside
from acmectl.pki.keys import generate_key, spec_of
from acmectl.pki.summary import summary
from acmectl.storage.archive import VersionFiles
from acmectl.storage.lineage import PINNED
from acmectl.storage.renewal_conf import RenewalConf, conf_text

if TYPE_CHECKING:
    from datetime import datetime

    from acmectl.actions.accounts import OpenAccount
    from acmectl.actions.authenticators import Solvers
    from acmectl.actions.caa import CaaLook
    from acmectl.actions.requests import CertificateRequest
    from acmectl.actions.services import Services
    from acmectl.identifiers import Identifier
    from acmectl.issuance.request import OrderJournal
    from acmectl.pki.chain import IssuedChain
    from acmectl.pki.keys import KeySpec
    from acmectl.storage.lineage import Lineage
    from acmectl.storage.pending import PendingRecord


OF_ONE_VERSION = frozenset({"ari", "backoff", "revoked", PINNED, ledger.KEY})
"""Keys of the section ``[acmectl]`` that say something about one version only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Which lineage gets a version, and for which identifiers; ``existing`` is None for a new lineage."""

    name: str
    identifiers: tuple[Identifier, ...]
    existing: Lineage | None = None
    deploy_hooks: tuple[str, ...] = ()

    @property
    def has_new_names(self) -> bool:
        """True unless a certificate for all of these names is there already."""
        if self.existing is None:
            return True
        return not set(self.identifiers) <= set(summary(self.existing.read("cert")).identifiers)

    @property
    def replaces(self) -> str | None:
        """The certificate that the new one takes the place of, as ARI names it (RFC 9773 section 5)."""
        if self.existing is None:
            return None
        present = summary(self.existing.read("cert"))
        shared = set(present.identifiers) & set(self.identifiers)
        return ari_certificate_id(present.aki, present.serial) if present.aki and shared else None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewVersion:
    """What was made. ``number`` is None when nothing was kept (a dry run). ``dropped`` are names left out."""

    name: str
    number: int | None
    identifiers: tuple[Identifier, ...]
    dropped: tuple[Identifier, ...] = ()
    not_after: datetime | None = None
    serial: int | None = None


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
    profile = choose_profile(services, account, request)
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
    draft = _draft(services, account, target, request, profile)
    if draft.resume is not None and (saved := _adopt(services, target, request, draft, draft.resume)) is not None:
        return saved
    version = services.lineages.next_version(target.name)
    journal: OrderJournal = NoJournal()
    if not request.dry_run:
        journal = PendingJournal(
            services, account, target.name, target.identifiers, draft=draft, profile=profile, version=version
        )
    resumed = draft.resume is not None and draft.resume.order.finalized
    chains = issue(
        account.client,
        IssuanceRequest(
            identifiers=target.identifiers,
            csr_der=draft.csr_der,
            profile=profile,
            replaces=None if request.dry_run else _predecessor(account, target),
            preferred_challenges=request.preferred_challenges,
            alternates=request.preferred_chain is not None,
            resume_order=draft.resume.order.order_url if draft.resume is not None else None,
        ),
        solvers,
        policy=IssuancePolicy(
            timeout=request.issuance_timeout,
            preflight=request.preflight,
            revalidate=request.revalidates,
            finalize=request.finalize,
        ),
        journal=journal,
        clock=services.clock,
        interrupts=services.interrupts,
        observe=services.observe,
        before_respond=told_before(caa, pause_for_debugging(services) if request.debug_challenges else None),
    )
    if not chains:
        return NewVersion(name=target.name, number=None, identifiers=target.identifiers)
    spki = spki_beside(draft.key_pem)
    try:
        issued = checked_chain(
            services, chains, request.preferred_chain, spki, target.identifiers, quiet=request.dry_run
        )
    except ProtocolViolation:
        if resumed:
            # Useless a second time: the next run needs another order.
            services.pending.drop(target.name)
        raise
    if request.dry_run:
        return NewVersion(name=target.name, number=None, identifiers=target.identifiers)
    return _keep(services, target, request, draft, issued)


def _predecessor(account: OpenAccount, target: Target) -> str | None:
    """Told only to a CA that offers renewal information, and that issued the predecessor (RFC 9773 section 5)."""
    if target.existing is None or target.existing.conf.text("server") != account.stored.server:
        return None
    return target.replaces if account.client.directory().renewal_info is not None else None


def checked_chain(
    services: Services,
    chains: Sequence[bytes],
    preferred: str | None,
    spki: bytes,
    identifiers: Sequence[Identifier],
    *,
    quiet: bool = False,
) -> IssuedChain:
    """The chain to keep, verified against our key, names and clock. Raises: ProtocolViolation."""
    chain, found = choose_chain(chains, preferred)
    if not found and preferred is not None and not quiet:
        services.observe(
            Notice(text=f"The CA offers no chain issued by {preferred!r}; its default is used.", level="warning")
        )
    return verify_issued(chain, spki, identifiers, services.clock.now())


def _keep(
    services: Services, target: Target, request: CertificateRequest, draft: Draft, issued: IssuedChain
) -> NewVersion:
    files = VersionFiles(privkey=draft.key_pem, cert=issued.leaf, chain=issued.chain, fullchain=issued.fullchain)
    number = services.lineages.save(target.name, files)
    directory = services.layout.archive(target.name) if target.existing is None else target.existing.archive_dir
    services.observe(CertificateSaved(lineage=target.name, version=number, directory=directory))
    services.lineages.write_conf(target.name, conf_for(target, request, draft.key_pem, number))
    services.lineages.activate(target.name, number)
    services.observe(WentLive(lineage=target.name, version=number))
    services.pending.drop(target.name)
    services.lineages.prune(target.name, number)
    return _described(target, number, issued.leaf)


def _described(target: Target, number: int, cert_pem: bytes) -> NewVersion:
    info = read_certificate(cert_pem)
    return NewVersion(
        name=target.name,
        number=number,
        identifiers=target.identifiers,
        not_after=info.not_after,
        serial=info.serial,
    )


def _draft(
    services: Services, account: OpenAccount, target: Target, request: CertificateRequest, profile: str | None
) -> Draft:
    csr = stored_csr(target.name, request.own)
    reused = _reused_key(target, request) if csr is None else private_part(csr, request.csr_key, target.existing)
    if csr is not None and reused is not None:
        key_request = f"CSR {hashlib.sha256(csr.der + reused).hexdigest()}"
    else:
        key_request = str(spec_of(reused)) + " reused" if reused is not None else str(request.key.spec)
        if request.must_staple:
            key_request += " must-staple"
    if not request.dry_run:
        found = services.pending.load(target.name)
        if found.record is not None and found.record.order.matches(
            server=account.stored.server,
            account_url=account.stored.uri,
            identifiers=target.identifiers,
            profile=profile,
            key_request=key_request,
        ):
            record = found.record
            return Draft(key_pem=record.key_pem, csr_der=record.order.csr_der, key_request=key_request, resume=record)
    key_pem = reused if reused is not None else generate_key(request.key.spec)
    csr_der = csr.der if csr is not None else make_csr(key_pem, target.identifiers, must_staple=request.must_staple)
    return Draft(key_pem=key_pem, csr_der=csr_der, key_request=key_request)


def _reused_key(target: Target, request: CertificateRequest) -> bytes | None:
    if target.existing is None or not request.key.reuse or request.key.new_key:
        return None
    key_pem = target.existing.read("privkey")
    present = spec_of(key_pem)
    if request.key.explicit and present != request.key.spec:
        raise ConfigError(
            f"The certificate {target.name} reuses its key, which is {present}, but {request.key.spec} was asked for.",
            hint="Add --new-key to change the key once, or --no-reuse-key to stop reusing it.",
        )
    return key_pem


def _adopt(
    services: Services, target: Target, request: CertificateRequest, draft: Draft, record: PendingRecord
) -> NewVersion | None:
    """Finish what an earlier run had saved already: no order is spent again."""
    conf = conf_for(target, request, draft.key_pem, record.order.version)
    number = services.lineages.adopt_saved(target.name, record.key_pem, conf, version=record.order.version)
    if number is None:
        return None
    services.pending.drop(target.name)
    services.observe(
        LineageHealed(lineage=target.name, what=f"version {number}, saved by a run that was interrupted, is live now")
    )
    return _described(target, number, services.lineages.get(target.name).read("cert"))


def conf_for(target: Target, request: CertificateRequest, key_pem: bytes, number: int) -> RenewalConf:
    """The renewal file of ``target`` with version ``number``: what it held, under what is asked for now.

    What was noted about the version before (renewal information, failures, a pin) ends here; deploy hooks become owed.
    """
    params = {name: conf_text(value) for name, value in request.params.items()}
    csr = stored_csr(target.name, request.own)
    if csr is not None and csr.key is not None:
        # certbot, which knows nothing of the CSR, must not make another key for it.
        params |= {**key_params(csr.key, params), "reuse_key": "True"}
    else:
        spec = spec_of(key_pem)
        # The next one is to be the same key: certbot then writes down all that is known of it.
        known = ("rsa_key_size", "elliptic_curve") if target.existing is not None and request.key.reuse else ()
        params |= key_params(spec, {**params, **dict.fromkeys(known, "")})
    own = {key: value for key, value in request.own.items() if key not in OF_ONE_VERSION}
    if target.deploy_hooks:
        own[ledger.KEY] = Owed(version=number, hooks=target.deploy_hooks).to_json()
    return RenewalConf(params=params, webroot_map=dict(request.webroot_map), own=own)


def key_params(spec: KeySpec, params: Mapping[str, object]) -> dict[str, str]:
    """``key_type`` always; size and curve brought up to date where the file mentions them."""
    found = {"key_type": str(spec.type)}
    if spec.size is not None and "rsa_key_size" in params:
        found["rsa_key_size"] = str(spec.size)
    if spec.curve is not None and "elliptic_curve" in params:
        found["elliptic_curve"] = str(spec.curve)
    return found


def choose_profile(services: Services, account: OpenAccount, request: CertificateRequest) -> str | None:
    """The profile to order: a required one always, a preferred one if the CA lists it (draft-ietf-acme-profiles)."""
    if request.required_profile is not None or request.preferred_profile is None:
        return request.required_profile
    offered = account.client.directory().meta.profiles
    if request.preferred_profile in offered:
        return request.preferred_profile
    known = ", ".join(sorted(offered)) or "none"
    services.observe(
        Notice(text=f"The CA has no profile {request.preferred_profile!r} (it lists: {known}); ordering without.")
    )
    return None


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
