"""renew: walk the lineages, renew those that are due, many at once, and never let one stop the others."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from acmectl.actions.backoff import Backoff
from acmectl.actions.due import Due, parse_before_expiry, renewal_due, revoked_due
from acmectl.actions.journal import in_flight
from acmectl.actions.ledger import KEY as DEPLOY
from acmectl.actions.ledger import Owed
from acmectl.actions.outcomes import Ending, LineageResult, Renewals, SecondResult
from acmectl.actions.outputs import missing as missing_outputs
from acmectl.actions.revocations import ask_revocations, known_revocations
from acmectl.actions.scan import Snapshot, scan
from acmectl.actions.second_key import with_second
from acmectl.actions.settle import settle_all
from acmectl.actions.suggestions import ask
from acmectl.errors import AcmectlError, LineageNotFound
from acmectl.storage.lineage import BrokenLineage
from acmectl.storage.next_keys import STAGES
from acmectl.storage.remains import sweep
from acmectl.workers import first_error, run_each

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from acmectl.actions.ari import AriState
    from acmectl.actions.renewing import CompleteRenewal, Renewer
    from acmectl.actions.services import Services
    from acmectl.errors import HookFailed

_FINISH = 60.0  # seconds that workers get to clean up and to finish a switch when a signal came


@dataclass(frozen=True, slots=True, kw_only=True)
class RenewRequest:
    """Which lineages (all if ``cert_name`` is None) and how.

    ``attended``: a person waits, so nothing is put off because it has failed before. ``wake_up``: time until the next
    run. ``retry_deploy`` runs the deploy hooks that are owed whatever their backoff, ``forget_deploy`` drops them.
    """

    cert_name: str | None = None
    force: bool = False
    dry_run: bool = False
    jobs: int = 8
    attended: bool = False
    wake_up: timedelta
    retry_deploy: bool = False
    forget_deploy: bool = False

    @property
    def insists(self) -> bool:
        """True when backoff does not count."""
        return self.force or self.attended or self.cert_name is not None


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
        if not request.dry_run:
            sweep(services.layout)
            settle_all(services)
        names = services.lineages.names() if request.cert_name is None else [request.cert_name]
        found = list(scan(services, names, touch=not request.dry_run))
        made: list[Renewer] = []

        def renewer() -> Renewer:
            # Most runs renew nothing, and do not wait for what only renewals need.
            from acmectl.actions.renewing import Renewer

            if not made:
                made.append(Renewer(services, complete, keep_notes=not request.dry_run))
            return made[0]

        failures: list[HookFailed] = []
        try:
            results = _results(services, request, found, renewer)
            outcome = Renewals(results=results, dry_run=request.dry_run, attempted=any(one.attempted for one in made))
            report(outcome)
        finally:
            with services.interrupts.shielded():
                for one in made:
                    failures += one.finish()
        return replace(outcome, post_hook_failures=tuple(failures))


def _results(
    services: Services, request: RenewRequest, found: Sequence[Snapshot | BrokenLineage], renewer: Callable[[], Renewer]
) -> tuple[LineageResult, ...]:
    """One result per lineage, in the order of their names."""
    results: dict[str, LineageResult] = {}
    judged = _judged(services, request, [one for one in found if isinstance(one, Snapshot)])
    work: list[tuple[Snapshot, Due]] = []
    debts: list[tuple[Snapshot, Due]] = []
    for one in found:
        if isinstance(one, BrokenLineage):
            results[one.name] = LineageResult(name=one.name, path=one.path, ending=Ending.PARSEFAIL, why=one.reason)
            continue
        due, ari = judged[one.name]
        backoff = Backoff.from_json(one.own.get("backoff"))
        if not due.due:
            results[one.name] = _skipped(one, due, ari)
            debts.append((one, due))
        elif not request.dry_run and not request.insists and backoff.holds(services.clock.now()):
            results[one.name] = _put_off(one, due, backoff)
            debts.append((one, due))
        else:
            work.append((one, due))
    # What expires first goes first, should the run be cut short.
    work.sort(key=lambda item: item[0].not_after)
    if work:
        renew_one = renewer().renew
        done = run_each(
            lambda item: renew_one(*item), work, workers=request.jobs, interrupts=services.interrupts, finish=_FINISH
        )
        results |= {result.name: result for result in first_error(done)}
    if not request.dry_run:
        staging = [snapshot for snapshot, _due in debts if snapshot.own.get(STAGES) is True]
        if staging:
            # Few lineages stage a key, and a run in which nothing happens does not load what that needs.
            from acmectl.actions.next_key import look_after

            look_after(services, staging)
        for snapshot, _due in debts:
            results[snapshot.name] = _deploys(request, renewer, snapshot, results[snapshot.name])
    for one in found:
        if isinstance(one, Snapshot) and one.own.get(STAGES) is True:
            results[one.name] = _with_records(services, results[one.name])
        if isinstance(one, Snapshot) and one.second is not None and results[one.name].second is None:
            second = SecondResult(path=one.second.fullchain_path, not_after=one.second.not_after)
            results[one.name] = replace(results[one.name], second=second)
    return tuple(results[one.name] for one in found)


def _with_records(services: Services, result: LineageResult) -> LineageResult:
    """The result with the TLSA records that the lineage should have."""
    from acmectl.actions.tlsa_records import tlsa_records

    try:
        return replace(result, tlsa=tlsa_records(services, result.name))
    except AcmectlError:
        # What is wrong with the lineage has been told.
        return result


def _judged(
    services: Services, request: RenewRequest, snapshots: Sequence[Snapshot]
) -> dict[str, tuple[Due, AriState | None]]:
    """Verdict and renewal information of each lineage."""
    now = services.clock.now()
    asked = [] if request.force or request.dry_run else [s for s in snapshots if s.autorenew and s.not_after > now]
    suggestions = ask(services, asked, workers=request.jobs, keep=not request.dry_run)
    revoked = known_revocations(asked)
    seconds = [one.second for one in asked if one.second is not None]
    of_second = ask(services, seconds, workers=request.jobs, keep=not request.dry_run), known_revocations(seconds)
    interrupted = in_flight(services)
    judged: dict[str, tuple[Due, AriState | None]] = {}
    for snapshot in snapshots:
        ari = suggestions.get(snapshot.name)
        due = _verdict(
            services,
            request,
            snapshot,
            now,
            ari=ari,
            revoked=revoked.get(snapshot.name),
            in_flight=snapshot.name in interrupted,
        )
        if not due.due:
            due = with_second(due, snapshot, _verdict_on_second(services, request, snapshot.second, now, *of_second))
        judged[snapshot.name] = (due, ari)
    kept = [one for one in asked if not judged[one.name][0].due]
    kept += [one.second for one in kept if one.second is not None]
    for name, how in ask_revocations(services, kept).items():
        judged[name] = (revoked_due(how), judged[name][1])
    return judged


def _verdict_on_second(
    services: Services,
    request: RenewRequest,
    second: Snapshot | None,
    now: datetime,
    ari: Mapping[str, AriState],
    revoked: Mapping[str, str],
) -> Due | None:
    if second is None:
        return None
    told, how = ari.get(second.name), revoked.get(second.name)
    return _verdict(services, request, second, now, ari=told, revoked=how, in_flight=False)


def _verdict(
    services: Services,
    request: RenewRequest,
    snapshot: Snapshot,
    now: datetime,
    *,
    ari: AriState | None,
    revoked: str | None,
    in_flight: bool,
) -> Due:
    interval = parse_before_expiry(snapshot.before_expiry) if snapshot.before_expiry is not None else None
    if snapshot.before_expiry is not None and interval is None:
        from acmectl.events import Notice

        text = f"{snapshot.conf_path}: renew_before_expiry is not understood and is ignored."
        services.observe(Notice(text=text, level="warning"))
    return renewal_due(
        not_before=snapshot.not_before,
        not_after=snapshot.not_after,
        now=now,
        forced=request.force,
        dry_run=request.dry_run,
        autorenew=snapshot.autorenew,
        before_expiry=interval,
        in_flight=in_flight,
        revoked=revoked,
        ari=ari,
        wake_up=request.wake_up,
    )


def _skipped(snapshot: Snapshot, due: Due, ari: AriState | None) -> LineageResult:
    return LineageResult(
        name=snapshot.name,
        path=snapshot.fullchain_path,
        ending=Ending.SKIPPED,
        why=due.why,
        rule=str(due.rule),
        not_after=snapshot.not_after,
        next_at=due.at,
        version=snapshot.version,
        server=snapshot.server,
        ari=ari,
    )


def _put_off(snapshot: Snapshot, due: Due, backoff: Backoff) -> LineageResult:
    if backoff.paused:
        why = f"the CA has paused it and a person must act: {backoff.reason}"
        hint = f"acmectl renew --cert-name {snapshot.name} tries again and shows the CA's link."
    else:
        when = f"{backoff.not_before:%Y-%m-%d %H:%M} UTC" if backoff.not_before is not None else "later"
        why = f"{due.why}, but it has failed {backoff.failures} time(s) and waits until {when}: {backoff.reason}"
        hint = f"acmectl renew --cert-name {snapshot.name} tries at once."
    return LineageResult(
        name=snapshot.name,
        path=snapshot.fullchain_path,
        ending=Ending.SKIPPED,
        why=why,
        hint=hint,
        rule=str(due.rule),
        not_after=snapshot.not_after,
        next_at=backoff.not_before,
        version=snapshot.version,
        server=snapshot.server,
        failing=True,
    )


def _deploys(
    request: RenewRequest, renewer: Callable[[], Renewer], snapshot: Snapshot, result: LineageResult
) -> LineageResult:
    """The result once the deploy hooks that an earlier run left owed have been run, dropped or put off."""
    owed = Owed.from_json(snapshot.own.get(DEPLOY))
    if owed is None:
        second = snapshot.second.suffix.removeprefix("-") if snapshot.second is not None else None
        lost = missing_outputs(snapshot.own, second)
        if not lost:
            return result
        # A file that somebody has removed, or that was lost with its file system, is written again.
        owed = Owed(version=snapshot.version, hooks=lost)
    left, failures = renewer().settle(
        snapshot, owed, forget=request.forget_deploy, now_whatever=request.retry_deploy or request.insists
    )
    return replace(result, owed=left.hooks, owed_until=left.backoff.not_before, hook_failures=tuple(failures))
