"""Authorizations: read all, present all, wait once, respond to all, watch the order, always clean up.

RFC 8555 sections 7.1.4, 7.5 and 7.5.1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from acmectl.acme.challenge import ChallengeType, check_token, key_authorization
from acmectl.acme.retry import RetryPolicy, poll
from acmectl.acme.status import AuthorizationStatus, ChallengeStatus, OrderStatus
from acmectl.errors import (
    AcmectlError,
    AuthorizationFailed,
    AuthorizationFailure,
    ConfigError,
    PluginError,
    ProtocolViolation,
)
from acmectl.events import AuthorizationsRead, ChallengesPresented, CleanUpFailed, Notice, Waiting
from acmectl.identifiers import Identifier
from acmectl.issuance.preflight import SelfCheck
from acmectl.issuance.request import Preflight
from acmectl.plugin.api import ChallengeTask
from acmectl.plugin.persist import Owner, PersistFacts
from acmectl.workers import first_error, run_each

if TYPE_CHECKING:
    from collections.abc import Sequence

    from acmectl.acme.client import AcmeClient
    from acmectl.acme.resources import Authorization, Challenge, Order
    from acmectl.clock import Clock
    from acmectl.events import Observer
    from acmectl.interrupts import Interrupts
    from acmectl.issuance.request import Assign, BeforeRespond, CaTime, IssuancePolicy, NamedAuthenticator

_MOST_ISSUERS = 10
UNMOVED = 10.0  # seconds after which an order that does not move is looked at through its authorizations


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    """One authorization that needs an answer, and who gives it."""

    task: ChallengeTask
    challenge: Challenge
    authorization_url: str
    solver: NamedAuthenticator


@dataclass(frozen=True, slots=True, kw_only=True)
class Authorizer:
    """Brings one order from ``pending`` to ``ready``."""

    client: AcmeClient
    assign: Assign
    policy: IssuancePolicy
    preferred: tuple[str, ...]
    ca_time: CaTime
    clock: Clock
    interrupts: Interrupts
    observe: Observer
    before_respond: BeforeRespond | None = None

    def read(self, order: Order) -> list[Authorization]:
        """All authorizations of ``order``, fetched concurrently."""
        with self.ca_time.running():
            return first_error(
                run_each(
                    self.client.authorization,
                    order.authorizations,
                    workers=self.policy.workers,
                    interrupts=self.interrupts,
                )
            )

    def authorize(self, order: Order, authorizations: Sequence[Authorization]) -> Order:
        """Answer what is pending and give the order once it is ``ready`` (or further).

        Raises: AuthorizationFailed, PluginError, PollTimeout, Interrupted.
        """
        self._refuse_dead(authorizations)
        todo = [one for one in authorizations if one.status is not AuthorizationStatus.VALID]
        _refuse_foreign(order, todo)
        jobs = [self._job(one) for one in todo]
        self.observe(AuthorizationsRead(total=len(authorizations), pending=len(jobs)))
        if not jobs:
            return self._watch(order, jobs, None)
        groups = _by_solver(jobs)
        presented: list[tuple[NamedAuthenticator, list[ChallengeTask]]] = []
        try:
            self._present(groups, presented)
            check = self._self_check(jobs)
            if self.before_respond is not None:
                self.before_respond([job.task for job in jobs])
            with self.ca_time.running():
                answers = first_error(
                    run_each(
                        lambda job: self.client.respond(job.challenge),
                        jobs,
                        workers=self.policy.workers,
                        interrupts=self.interrupts,
                    )
                )
            failed = any(answer.status is ChallengeStatus.INVALID for answer in answers)
            return self._watch(order, jobs, check, failed=failed)
        finally:
            self._clean_up(presented)

    def _refuse_dead(self, authorizations: Sequence[Authorization]) -> None:
        """An authorization that is neither valid nor pending can never become valid (RFC 8555 section 7.1.6)."""
        alive = (AuthorizationStatus.VALID, AuthorizationStatus.PENDING)
        dead = [one for one in authorizations if one.status not in alive]
        if dead:
            raise AuthorizationFailed(tuple(_failure(one, None) for one in dead))

    def _job(self, authorization: Authorization) -> _Job:
        identifier = full_identifier(authorization)
        solver = self.assign(identifier)
        offered = {challenge.type: challenge for challenge in authorization.challenges}
        able = solver.plugin.challenge_types
        ranked = [kind for kind in self.preferred if kind in able] if self.preferred else list(able)
        chosen = next((offered[kind] for kind in ranked if kind in offered), None)
        if chosen is None or (chosen.token is None and chosen.type != ChallengeType.DNS_PERSIST_01):
            raise PluginError(
                f"{identifier}: the CA offers {_listed(offered)}; "
                f"authenticator {solver.name} can do {_listed(ranked) if ranked else 'none that is preferred'}.",
                hint="A wildcard needs dns-01." if identifier.is_wildcard else "Choose another authenticator.",
                identifier=identifier,
            )
        return _Job(
            task=self._task(identifier, chosen), challenge=chosen, authorization_url=authorization.url, solver=solver
        )

    def _task(self, identifier: Identifier, challenge: Challenge) -> ChallengeTask:
        account_url = self.client.account_url or ""
        if challenge.type == ChallengeType.DNS_PERSIST_01:
            if not 0 < len(challenge.issuers) <= _MOST_ISSUERS:
                raise ProtocolViolation(
                    f"The CA's challenge dns-persist-01 for {identifier} has {len(challenge.issuers)} issuers, "
                    f"not 1 to {_MOST_ISSUERS}."
                )
            # It has no token: the record is there already, or it is not.
            meta = self.client.directory().meta
            owner = Owner(
                account_url=account_url,
                thumbprint=self.client.key.thumbprint(),
                hash_prefix=meta.account_hash_prefix if meta.issuer_domain_names else None,
            )
            return ChallengeTask(
                identifier=identifier,
                type=challenge.type,
                token="",
                key_authorization="",
                account_url=account_url,
                persist=PersistFacts(owner=owner, issuers=challenge.issuers),
            )
        return ChallengeTask(
            identifier=identifier,
            type=challenge.type,
            token=check_token(challenge.token),
            key_authorization=key_authorization(challenge.token, self.client.key),
            account_url=account_url,
            alpn_builder=_alpn_certificate,
        )

    def _present(
        self,
        groups: Sequence[tuple[NamedAuthenticator, list[ChallengeTask]]],
        presented: list[tuple[NamedAuthenticator, list[ChallengeTask]]],
    ) -> None:
        failures: list[AuthorizationFailure] = []
        for solver, tasks in groups:
            presented.append((solver, tasks))
            try:
                self._guard(solver, lambda s=solver, t=tasks: s.plugin.present(t))
            except AuthorizationFailed as error:
                failures.extend(error.failures)
            else:
                self.observe(ChallengesPresented(authenticator=solver.name, count=len(tasks)))
        if failures:
            raise AuthorizationFailed(tuple(failures))
        for solver, tasks in groups:
            self._guard(solver, lambda s=solver, t=tasks: s.plugin.wait(t))

    def _guard(self, solver: NamedAuthenticator, call: object) -> None:
        """A plugin may be anybody's code: what it raises becomes one clear line."""
        try:
            call()  # type: ignore[operator]
        except AcmectlError:
            raise
        except Exception as error:
            raise PluginError(f"Authenticator {solver.name} failed: {type(error).__name__}: {error}") from error

    def _self_check(self, jobs: Sequence[_Job]) -> SelfCheck | None:
        if self.policy.preflight is Preflight.OFF:
            return None
        check = SelfCheck([job.task for job in jobs])
        if self.policy.preflight is Preflight.FIRST:
            with self.interrupts.interruptible():
                findings = check.findings([job.task.identifier for job in jobs])
            for identifier, text in findings.items():
                self.observe(Notice(text=f"Self-check for {identifier}: {text}.", level="warning"))
            if not findings:
                self.observe(Notice(text="Self-check: every answer can be fetched from this machine."))
        return check

    def _watch(self, order: Order, jobs: Sequence[_Job], check: SelfCheck | None, *, failed: bool = False) -> Order:
        """Poll the order; one that does not move is looked at through its authorizations, at once if one ``failed``."""
        looked_at = self.clock.monotonic() - (UNMOVED if failed else 0)

        def fetch() -> Order:
            nonlocal looked_at
            latest = self.client.order(order.url)
            if latest.status is OrderStatus.PENDING and self.clock.monotonic() - looked_at >= UNMOVED:
                looked_at = self.clock.monotonic()
                self._raise_failures(jobs, check)
            return latest

        with self.ca_time.running():
            latest = poll(
                fetch,
                lambda state: state.status is not OrderStatus.PENDING,
                RetryPolicy(deadline=self.ca_time.left),
                self.clock,
                what="The validation",
                on_wait=lambda waited: self.observe(Waiting(what="the CA to validate", seconds=waited)),
            )
        if latest.status is OrderStatus.INVALID:
            self._raise_failures(jobs, check)
            raise order_refused(latest)
        return latest

    def _raise_failures(self, jobs: Sequence[_Job], check: SelfCheck | None) -> None:
        states = first_error(
            run_each(
                lambda job: self.client.authorization(job.authorization_url),
                jobs,
                workers=self.policy.workers,
                interrupts=self.interrupts,
            )
        )
        alive = (AuthorizationStatus.VALID, AuthorizationStatus.PENDING)
        bad = [(state, job) for state, job in zip(states, jobs, strict=True) if state.status not in alive]
        if not bad:
            return
        findings: dict[Identifier, str] = {}
        if check is not None:
            with self.interrupts.interruptible():
                findings = check.findings([job.task.identifier for _, job in bad])
        raise AuthorizationFailed(tuple(_failure(state, job, findings.get(job.task.identifier)) for state, job in bad))

    def _clean_up(self, presented: Sequence[tuple[NamedAuthenticator, list[ChallengeTask]]]) -> None:
        with self.interrupts.shielded():
            for solver, tasks in presented:
                try:
                    solver.plugin.clean_up(tasks)
                except Exception as error:  # noqa: BLE001 - a failing clean-up must not hide the run's own outcome
                    self.observe(CleanUpFailed(authenticator=solver.name, reason=str(error) or type(error).__name__))


def full_identifier(authorization: Authorization) -> Identifier:
    """The identifier as ordered: an authorization names a wildcard by its base (RFC 8555 section 7.1.4)."""
    identifier = authorization.identifier
    if authorization.wildcard and not identifier.is_wildcard:
        return Identifier(identifier.type, f"*.{identifier.value}")
    return identifier


def _refuse_foreign(order: Order, authorizations: Sequence[Authorization]) -> None:
    """What we answer for is what we ordered: control of other names is proved to nobody (RFC 8555 section 7.1.3)."""
    for one in authorizations:
        if full_identifier(one) not in order.identifiers:
            raise ProtocolViolation(f"The CA asks to prove control of {full_identifier(one)}, which was not ordered.")


def order_refused(order: Order) -> AcmectlError:
    """The error for an order that became ``invalid``; the CA's reason may be in the order alone."""
    reason = order.error.describe() if order.error is not None else "it gave no reason"
    return ConfigError(f"The CA refused the order: {reason}.".replace("..", "."))


def _by_solver(jobs: Sequence[_Job]) -> list[tuple[NamedAuthenticator, list[ChallengeTask]]]:
    groups: dict[int, tuple[NamedAuthenticator, list[ChallengeTask]]] = {}
    for job in jobs:
        groups.setdefault(id(job.solver.plugin), (job.solver, []))[1].append(job.task)
    return list(groups.values())


def _failure(state: Authorization, job: _Job | None, finding: str | None = None) -> AuthorizationFailure:
    failed = next((c for c in state.challenges if c.error is not None), None) or next(
        (c for c in state.challenges if c.status is ChallengeStatus.INVALID), None
    )
    problem = failed.error if failed is not None else None
    hints = []
    if finding:
        hints.append(f"Self-check: {finding}.")
    if job is not None and (advice := job.solver.plugin.failure_hint(job.task)):
        hints.append(advice)
    return AuthorizationFailure(
        full_identifier(state),
        reason=problem.describe() if problem is not None else f"the CA says that its authorization is {state.status}",
        challenge_type=failed.type if failed is not None else None,
        authenticator=job.solver.name if job is not None else None,
        problem=problem,
        hint=" ".join(hints) or None,
    )


def _alpn_certificate(task: ChallengeTask) -> tuple[bytes, bytes]:
    from acmectl.pki.tls_alpn import build

    return build(task.identifier, task.key_authorization)


def _listed(words: Sequence[str] | dict[str, Challenge]) -> str:
    return ", ".join(sorted(words)) or "no challenge"
