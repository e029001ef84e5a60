"""renew: renew all certificates that are due."""

from __future__ import annotations

import functools
import sys
from datetime import timedelta
from typing import TYPE_CHECKING

from acmectl.actions import suggestions
from acmectl.actions.outcomes import Ending, LineageResult, Renewals
from acmectl.actions.renew import RenewRequest, renew
from acmectl.cli.checks import checked_name, validate_hooks
from acmectl.cli.console import RULE
from acmectl.cli.wiring import build_services
from acmectl.errors import ExitCode

if TYPE_CHECKING:
    from pathlib import Path

    from acmectl.actions.requests import CertificateRequest
    from acmectl.cli.app import App
    from acmectl.cli.console import Console
    from acmectl.identifiers import Identifier
    from acmectl.storage.renewal_conf import RenewalConf


def run(app: App) -> ExitCode:
    """Renew and summarise. Raises: AcmectlError for what concerns no single lineage."""
    settings = app.settings
    validate_hooks(app)
    request = RenewRequest(
        cert_name=checked_name(settings),
        force=settings.flag("force_renewal"),
        dry_run=settings.flag("dry_run"),
        jobs=settings.integer("jobs"),
        attended=sys.stdin is not None and sys.stdin.isatty(),
        wake_up=timedelta(seconds=settings.integer("timer_interval")),
        retry_deploy=settings.flag("retry_deploy"),
        forget_deploy=settings.flag("forget_deploy"),
    )
    done = renew(
        build_services(app),
        request,
        functools.partial(_request, app),
        report=lambda outcome: summarise(app.console, outcome),
    )
    for failure in done.post_hook_failures:
        app.console.error(failure.message, hint=failure.hint)
    app.console.result("renewals", as_json(done))
    return ExitCode.FAILED if done.failed else ExitCode.OK


def _request(app: App, conf: RenewalConf, identifiers: tuple[Identifier, ...], path: Path) -> CertificateRequest:
    # Nothing is due in most runs, and what it takes to renew is not even imported.
    from acmectl.cli.requests import certificate_request

    return certificate_request(app, conf, identifiers, origin=str(path))


def summarise(console: Console, done: Renewals) -> None:
    """The summary: certbot's markers, and why."""
    noun = "simulated renewal" if done.dry_run else "renewal"
    by_ending = {ending: [one for one in done.results if one.ending is ending] for ending in Ending}
    succeeded, failed = by_ending[Ending.SUCCESS], by_ending[Ending.FAILURE]
    for one in failed:
        if one.failures:
            from acmectl.cli.reports import authorization_report

            console.status(authorization_report(one.failures))
        console.error(f"{one.name}: {one.why}", hint=one.hint)
    console.status(RULE)
    _skipped(console, by_ending[Ending.SKIPPED])
    if not done.attempted and not failed:
        console.status(f"No {noun}s were attempted.")
    elif succeeded and not failed:
        console.status(f"All {noun}s succeeded:")
    elif succeeded:
        console.status(f"These {noun}s succeeded:")
    console.status("\n".join(f"  {one.path} (success)\n    {one.why}" for one in succeeded)) if succeeded else None
    if failed:
        lines = [f"All {noun}s failed:" if not succeeded else f"These {noun}s failed:"]
        console.error("\n".join([*lines, *(f"  {one.path} (failure)" for one in failed)]))
    if by_ending[Ending.PARSEFAIL]:
        for one in by_ending[Ending.PARSEFAIL]:
            console.error(f"{one.name} is left out: {one.why}", hint=one.hint)
        invalid = [f"  {one.path} (parsefail)" for one in by_ending[Ending.PARSEFAIL]]
        console.status("\n".join(["These renewal files are invalid:", *invalid]))
    console.status(RULE)
    for one in done.results:
        if one.tlsa is not None and one.ending is Ending.SUCCESS and not done.dry_run:
            from acmectl.cli.next_key import records_text

            console.status(records_text(one.tlsa))
        _deploys(console, one)
    if failed or by_ending[Ending.PARSEFAIL]:
        count = len(by_ending[Ending.PARSEFAIL])
        console.error(f"{len(failed)} {noun} failure(s), {count} invalid renewal file(s)")


def _skipped(console: Console, skipped: list[LineageResult]) -> None:
    waiting = [one for one in skipped if not one.failing]
    if waiting:
        lines = ["These certificates are not due for renewal yet:"]
        lines += [f"  {one.path} expires on {one.not_after:%Y-%m-%d} (skipped)\n    {one.why}" for one in waiting]
        console.status("\n".join(lines))
    for one in skipped:
        if one.failing:
            console.error(f"{one.path} (skipped): {one.why}", hint=one.hint)


def _deploys(console: Console, one: LineageResult) -> None:
    for failure in one.hook_failures:
        console.error(f"{one.name}: {failure.message}", hint=failure.hint)
    if one.owed:
        when = f"; they are tried again from {one.owed_until:%Y-%m-%d %H:%M} UTC" if one.owed_until else ""
        console.error(
            f"{one.name}: deploy hooks have not succeeded yet: {', '.join(one.owed)}{when}",
            hint="renew --retry-deploy runs them now, renew --forget-deploy drops them.",
        )


def as_json(done: Renewals) -> dict[str, object]:
    """The result for --json."""
    return {
        "dry_run": done.dry_run,
        "lineages": [_one_as_json(one) for one in done.results],
        "post_hook_failures": [failure.message for failure in done.post_hook_failures],
    }


def _one_as_json(one: LineageResult) -> dict[str, object]:
    return {
        "name": one.name,
        "path": str(one.path),
        "outcome": str(one.ending),
        "rule": one.rule,
        "why": one.why,
        "hint": one.hint,
        "failing": one.failing,
        "not_after": one.not_after.isoformat() if one.not_after is not None else None,
        "next_attempt": one.next_at.isoformat() if one.next_at is not None else None,
        "second": {"path": str(one.second.path), "not_after": one.second.not_after.isoformat()} if one.second else None,
        "version": one.version,
        "server": one.server,
        "ari": suggestions.as_json(one.ari),
        "failures": [
            {"identifier": failure.identifier.value, "challenge": failure.challenge_type, "reason": failure.reason}
            for failure in one.failures
        ],
        "hook_failures": [failure.message for failure in one.hook_failures],
        "deploy_owed": list(one.owed),
        "deploy_owed_until": one.owed_until.isoformat() if one.owed_until is not None else None,
        "tlsa": _tlsa(one),
    }


def _tlsa(one: LineageResult) -> dict[str, object] | None:
    if one.tlsa is None:
        return None
    from acmectl.cli.next_key import records_json

    return records_json(one.tlsa)
