"""certonly: decide what the request means for the lineages there are, and carry it out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING

from acmectl.actions import ledger as deploy_ledger
from acmectl.actions import second_key
from acmectl.actions.accounts import open_account
from acmectl.actions.authenticators import make_authenticators
from acmectl.actions.csr_stored import key_is_elsewhere, refuse_other_names
from acmectl.actions.decide import Ask, Doubt, Keep, Known, NeedNames, New, Plan, Renew, Wanted, decide
from acmectl.actions.deploying import deploy_steps, settle_steps
from acmectl.actions.detours import Detours
from acmectl.actions.due import parse_before_expiry, renewal_due
from acmectl.actions.hooks import HookSession
from acmectl.actions.journal import in_flight
from acmectl.actions.ledger import Ledger, Owed
from acmectl.actions.next_key import turn
from acmectl.actions.output_checks import check_outputs
from acmectl.actions.output_files import bring_up_to_date
from acmectl.actions.outputs import stored_paths
from acmectl.actions.renewable import refuse_certbots_plugin
from acmectl.actions.second_look import due_after_all
from acmectl.actions.settle import settle_all
from acmectl.actions.target import Target
from acmectl.actions.token_key import live_uri, stored_uri
from acmectl.actions.version import announce, issue_version
from acmectl.errors import ConfigError, HookFailed, StorageError
from acmectl.events import LineageHealed, Notice
from acmectl.identifiers import ordered, parse_any
from acmectl.pki.summary import summary
from acmectl.storage.lineage import BrokenLineage
from acmectl.storage.remains import sweep

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from pathlib import Path

    from acmectl.actions.accounts import OpenAccount
    from acmectl.actions.outputs import Outputs
    from acmectl.actions.requests import CertificateRequest, Complete
    from acmectl.actions.second_key import SecondCertificate
    from acmectl.actions.services import Services
    from acmectl.actions.version import NewVersion
    from acmectl.identifiers import Identifier
    from acmectl.pki.summary import CertificateSummary
    from acmectl.storage.lineage import Lineage
    from acmectl.storage.renewal_conf import RenewalConf

OutputsOf = Callable[["RenewalConf"], "Outputs | None"]
"""The files beside the live links that are wanted of a lineage: what was given now, over its renewal file."""


class Outcome(StrEnum):
    """How an attempt ended."""

    OBTAINED = "obtained"
    RENEWED = "renewed"
    KEPT = "kept"
    SIMULATED = "simulated"


@dataclass(frozen=True, slots=True, kw_only=True)
class Obtained:
    """The outcome of certonly. Paths are absolute; ``hook_failures`` make the run fail, though the certificate is kept.

    ``owed`` are deploy hooks of an earlier run that have not succeeded yet. ``key_elsewhere``: the certificate is made
    from a CSR whose private key is not here, or its key lies in the PKCS#11 token that ``key_uri`` names. ``servers``:
    the CAs that may issue it, if they are several. ``outputs``: the files beside the live links, by the options that
    ask for them.
    """

    outcome: Outcome
    name: str
    identifiers: tuple[Identifier, ...]
    dropped: tuple[Identifier, ...] = ()
    server: str | None = None
    live_dir: Path | None = None
    not_after: datetime | None = None
    serial: int | None = None
    second: SecondCertificate | None = None
    version: int | None = None
    authenticator: str | None = None
    unattended_renewal: bool = True
    finalized: bool = True
    hook_failures: tuple[HookFailed, ...] = ()
    owed: tuple[str, ...] = ()
    key_elsewhere: bool = False
    key_uri: str | None = None
    servers: tuple[str, ...] = ()
    outputs: Mapping[str, Path] = field(default_factory=dict)


def obtain(services: Services, wanted: Wanted, complete: Complete, outputs: OutputsOf = lambda _conf: None) -> Obtained:
    """Obtain, renew or keep a certificate; of one that is kept the ``outputs`` are brought up to date.

    Raises: AcmectlError of every kind; nothing on disk is half-changed then.
    """
    with services.lock():
        if not wanted.dry_run:
            settle_all(services)
        wanted = _with_names(services, wanted)
        plan = _settled(services, wanted)
        if isinstance(plan, NeedNames):
            wanted = _with_names(services, wanted, needed=True)
            plan = _settled(services, wanted)
        match plan:
            case Keep(lineage=name):
                if not wanted.dry_run:
                    turn(services, name, wanted.next_key)
                return kept(services, name, outputs if not wanted.dry_run else None)
            case New(name=name, identifiers=identifiers):
                chosen = name or services.lineages.choose_name(identifiers[0].base)
                services.lineages.check_free(chosen)
                target = Target(name=chosen, identifiers=identifiers)
            case Renew(lineage=name, identifiers=identifiers):
                target = Target(name=name, identifiers=identifiers, existing=services.lineages.get(name))
            case _:
                raise ConfigError("No identifiers were given.", hint="Name them with -d NAME.")
        return carry_out(services, target, complete)


def carry_out(services: Services, target: Target, complete: Complete) -> Obtained:
    """One attempt for ``target``, with its hooks; called with the store locked. Raises: AcmectlError of every kind."""
    request = complete(target.existing.conf if target.existing is not None else None, target.identifiers)
    refuse_test_over_real(target, request)
    refuse_other_names(target.name, target.identifiers, request)
    check_outputs(services, target, request)
    refuse_certbots_plugin(services, target.existing, target.identifiers, request)
    # What has a port or a person to itself is checked after the pre hooks, which may have to make room for it.
    make_authenticators(services, request).check(target.identifiers, shared_only=True)
    session = HookSession(services.hooks, services.layout.hooks_dir)
    failures: list[HookFailed] = []
    made: NewVersion | None = None

    def issue_at(at: CertificateRequest, account: OpenAccount) -> tuple[CertificateRequest, OpenAccount, NewVersion]:
        at = with_account(at, account.stored.id)
        session.before(at.hooks)
        announce(services, target, at)
        owed = deploy_steps(session, at)
        return at, account, issue_version(services, account, target, at, deploy_hooks=owed)

    try:
        request, account, made = Detours(services).go(request, partial(open_account, services), issue_at)
        deploy_failures, _owed = deploy(services, session, made, request, target)
        failures += deploy_failures
    finally:
        # Post hooks undo what pre hooks did, so they run however the attempt ended, by a signal too.
        with services.interrupts.shielded():
            renewed = made.identifiers if made is not None else ()
            missing = tuple(i for i in target.identifiers if i not in renewed)
            failures += session.finish(renewed, missing)
            if made is None:
                for failure in failures:
                    services.observe(Notice(text=failure.message, level="warning"))
    existed = target.existing is not None
    live = None if made.number is None else services.layout.live(made.name)
    outcome = Outcome.RENEWED if existed else Outcome.OBTAINED
    return Obtained(
        outcome=Outcome.SIMULATED if request.dry_run else outcome,
        name=made.name,
        identifiers=made.identifiers,
        dropped=made.dropped,
        server=account.stored.server,
        live_dir=target.existing.live_dir if target.existing is not None and live is not None else live,
        not_after=made.not_after,
        serial=made.serial,
        second=made.second,
        version=made.number,
        authenticator=request.authenticator.name,
        unattended_renewal=can_renew_unattended(request),
        finalized=request.finalize,
        hook_failures=tuple(failures),
        servers=request.servers,
        outputs=request.outputs.paths if request.outputs is not None and live is not None else {},
        key_elsewhere=live is not None and key_is_elsewhere(services.lineages.get(made.name)),
        key_uri=None if live is None else live_uri(services.lineages.get(made.name)),
    )


def deploy(
    services: Services, session: HookSession, made: NewVersion, request: CertificateRequest, target: Target
) -> tuple[list[HookFailed], Owed]:
    """Write files, run the deploy hooks and check the endpoint for what was made; the failures, and what is owed.

    In a dry run they run only if that was asked for, with the present live directory.
    """
    live_dir = target.existing.live_dir if target.existing is not None else services.layout.live(made.name)
    if made.number is None:
        run = request.run_deploy_hooks and target.existing is not None
        failures = session.deploy(request.hooks, live_dir, made.identifiers) if run else []
        return failures, Owed(version=0, hooks=())
    ledger = Ledger(services.lineages, made.name, Owed(version=made.number, hooks=deploy_steps(session, request)))
    failures = settle_steps(
        services, session, request, ledger, name=made.name, live_dir=live_dir, identifiers=made.identifiers
    )
    return failures, ledger.owed


def can_renew_unattended(request: CertificateRequest) -> bool:
    """False for manual without an authentication hook: somebody would have to be there."""
    return request.authenticator.name != "manual" or bool(request.authenticator.options.get("auth_hook"))


def with_account(request: CertificateRequest, account_id: str) -> CertificateRequest:
    """The account that is used is always stored, unless its key is not kept here."""
    if request.account.key_path is not None:
        return replace(request, params={key: value for key, value in request.params.items() if key != "account"})
    return replace(request, params={**request.params, "account": account_id})


def refuse_test_over_real(target: Target, request: CertificateRequest) -> None:
    """A certificate from a staging CA must not replace a real one by accident. Raises: ConfigError."""
    if target.existing is None or request.dry_run or request.break_my_certs:
        return
    present = target.existing.conf.text("server") or ""
    if "staging" in request.account.server and "staging" not in present:
        raise ConfigError(
            f"The certificate {target.name} is a real one; one from {request.account.server} would replace it.",
            hint="Use another --cert-name, --dry-run, or --break-my-certs if that is what you want.",
        )


def _with_names(services: Services, wanted: Wanted, *, needed: bool = False) -> Wanted:
    if wanted.identifiers or (wanted.cert_name is not None and not needed):
        return wanted
    text = services.person.ask(
        "Which names should the certificate have (separated by commas or spaces)?",
        flag="--domains",
        check=lambda answer: [parse_any(word) for word in answer.replace(",", " ").split()],
    )
    return replace(wanted, identifiers=ordered(parse_any(word) for word in text.replace(",", " ").split()))


def _settled(services: Services, wanted: Wanted) -> New | Renew | Keep | NeedNames:
    """A plan without doubts. What killed runs left half-done is finished first, for it may change the plan."""
    if not wanted.dry_run:
        sweep(services.layout)
        left = {*services.pending.names(), *([wanted.cert_name] if wanted.cert_name is not None else [])}
        _heal(services, [name for name in services.lineages.names() if name in left])
    if wanted.cert_name is not None and services.lineages.exists(wanted.cert_name):
        services.lineages.get(wanted.cert_name)  # a damaged one is an error here, not a name that is free
    plan = _decided(services, wanted)
    if isinstance(plan, Ask):
        plan = _answered(services, plan)
    if isinstance(plan, Renew | Keep) and not wanted.dry_run and _heal(services, [plan.lineage]):
        again = _decided(services, wanted)
        plan = _answered(services, again) if isinstance(again, Ask) else again
    return plan


def _decided(services: Services, wanted: Wanted) -> Plan:
    """The plan; a certificate that it would keep is looked at a second time."""
    known = survey(services)
    plan = decide(wanted, known)
    kept = isinstance(plan, Keep) or (isinstance(plan, Ask) and plan.doubt is Doubt.KEEP_OR_RENEW)
    name = plan.lineage if kept and isinstance(plan, Keep | Ask) else None
    if name is None or wanted.dry_run or not due_after_all(services, name):
        return plan
    return decide(wanted, [replace(one, due=True) if one.name == name else one for one in known])


def _heal(services: Services, names: list[str]) -> bool:
    healed = False
    for name in names:
        for what in services.lineages.heal(name):
            healed = True
            services.observe(LineageHealed(lineage=name, what=what))
    return healed


def survey(services: Services) -> list[Known]:
    """All lineages that can be read, as the decision needs them."""
    now = services.clock.now()
    interrupted = in_flight(services)
    found: list[Known] = []
    for lineage in services.lineages.all():
        if isinstance(lineage, BrokenLineage):
            continue
        try:
            certificate = summary(lineage.read("cert"))
        except (StorageError, ConfigError):
            continue  # what is wrong with another one is no matter here
        due = (
            lineage.name in interrupted
            or _is_due(lineage, certificate, now)
            or second_key.is_due(lineage, partial(_is_due, lineage, now=now))
        )
        second = lineage.second.key_type if lineage.second is not None else None
        key = stored_uri(lineage.conf.own) or ""
        names = certificate.identifiers
        found.append(Known(name=lineage.name, identifiers=names, due=due, key=key, second_key=second))
    return found


def _is_due(lineage: Lineage, certificate: CertificateSummary, now: datetime) -> bool:
    before = lineage.conf.root.get("renew_before_expiry")
    return renewal_due(
        not_before=certificate.not_before,
        not_after=certificate.not_after,
        now=now,
        autorenew=(lineage.conf.text("autorenew") or "").lower() != "false",
        before_expiry=parse_before_expiry(before) if isinstance(before, str) else None,
    ).due


def _answered(services: Services, ask: Ask) -> Renew | Keep:
    present = " ".join(str(identifier) for identifier in ask.present)
    wanted = " ".join(str(identifier) for identifier in ask.if_yes.identifiers)
    match ask.doubt:
        case Doubt.KEEP_OR_RENEW:
            question = f"The certificate {ask.lineage} has these very names and is not due yet. What now?"
            choices = ("Keep it for now", "Renew it (the CA limits how often)")
            renew = services.person.choose(question, choices, default=0, flag="--force-renewal") == 1
            return ask.if_yes if renew else Keep(lineage=ask.lineage)
        case Doubt.EXPAND:
            question = f"The certificate {ask.lineage} has {present}. Replace it by one for {wanted}?"
            if services.person.yes_no(question, flag="--expand", yes="Expand", no="Cancel"):
                return ask.if_yes
            raise ConfigError(
                f"The certificate {ask.lineage} was left as it is.",
                hint="For a separate certificate that overlaps with it, use --duplicate.",
            )
        case Doubt.CHANGE_NAMES:
            added = [str(i) for i in ask.if_yes.identifiers if i not in ask.present]
            removed = [str(i) for i in ask.present if i not in ask.if_yes.identifiers]
            change = " ".join([*(f"+{name}" for name in added), *(f"-{name}" for name in removed)])
            if not services.person.interactive:
                services.observe(Notice(text=f"The names of the certificate {ask.lineage} change: {change}"))
            question = f"The names of the certificate {ask.lineage} would change: {change}. Go on?"
            if services.person.yes_no(
                question, default=True, flag="--renew-with-new-domains", yes="Update", no="Cancel"
            ):
                return ask.if_yes
            raise ConfigError(f"The certificate {ask.lineage} was left as it is.", hint="Choose another --cert-name.")


def kept(services: Services, name: str, outputs: OutputsOf | None = None) -> Obtained:
    """The outcome for a lineage that is not due and stays as it is, but for its files of ``outputs``.

    Raises: LineageNotFound, StorageError; ConfigError for outputs that cannot be.
    """
    conf = services.lineages.get(name).conf
    failures = [] if outputs is None else bring_up_to_date(services, name, outputs(conf))
    lineage = services.lineages.get(name)
    certificate = summary(lineage.read("cert"))
    debt = Owed.from_json(lineage.conf.own.get(deploy_ledger.KEY))
    return Obtained(
        owed=debt.hooks if debt is not None else (),
        outcome=Outcome.KEPT,
        name=name,
        identifiers=certificate.identifiers,
        server=lineage.conf.text("server"),
        live_dir=lineage.live_dir,
        not_after=certificate.not_after,
        serial=certificate.serial,
        second=second_key.present(lineage),
        version=lineage.version,
        hook_failures=tuple(failures),
        outputs=stored_paths(lineage.conf.own),
        key_elsewhere=key_is_elsewhere(lineage),
        key_uri=live_uri(lineage),
    )
