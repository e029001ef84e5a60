"""renew: renew all certificates that are due."""

from __future__ import annotations

from typing import TYPE_CHECKING

from acmectl.actions.renew import Ending, LineageResult, Renewals, RenewRequest, renew
from acmectl.cli.console import RULE
from acmectl.cli.reports import authorization_report
from acmectl.cli.requests import certificate_request, checked_name, validate_hooks
from acmectl.cli.wiring import build_services
from acmectl.errors import ExitCode

if TYPE_CHECKING:
    from acmectl.cli.app import App


def run(app: App) -> ExitCode:
    """Renew and summarise. Raises: AcmectlError for what concerns no single lineage."""
    settings = app.settings
    validate_hooks(app)
    request = RenewRequest(
        cert_name=checked_name(settings), force=settings.flag("force_renewal"), dry_run=settings.flag("dry_run")
    )
    done = renew(
        build_services(app),
        request,
        lambda conf, identifiers, path: certificate_request(app, conf, identifiers, origin=str(path)),
        report=lambda outcome: summarise(app, outcome),
    )
    for failure in done.post_hook_failures:
        app.console.error(failure.message, hint=failure.hint)
    app.console.result("renewals", as_json(done))
    return ExitCode.FAILED if done.failed else ExitCode.OK


def summarise(app: App, done: Renewals) -> None:
    """The summary: certbot's markers, and why."""
    noun = "simulated renewal" if done.dry_run else "renewal"
    by_ending = {ending: [one for one in done.results if one.ending is ending] for ending in Ending}
    succeeded, failed = by_ending[Ending.SUCCESS], by_ending[Ending.FAILURE]
    console = app.console
    for one in failed:
        if one.failures:
            console.status(authorization_report(one.failures))
        console.error(f"{one.name}: {one.why}", hint=one.hint)
    console.status(RULE)
    if by_ending[Ending.SKIPPED]:
        console.status("These certificates are not due for renewal yet:")
        for one in by_ending[Ending.SKIPPED]:
            console.status(f"  {one.path} expires on {one.not_after:%Y-%m-%d} (skipped)\n    {one.why}")
    if not succeeded and not failed:
        console.status(f"No {noun}s were attempted.")
    elif not failed:
        console.status(f"All {noun}s succeeded:")
    elif succeeded:
        console.status(f"These {noun}s succeeded:")
    for one in succeeded:
        console.status(f"  {one.path} (success)\n    {one.why}")
    if failed:
        console.error(f"All {noun}s failed:" if not succeeded else f"These {noun}s failed:")
        for one in failed:
            console.error(f"  {one.path} (failure)")
    if by_ending[Ending.PARSEFAIL]:
        console.error("These renewal files are invalid:")
        for one in by_ending[Ending.PARSEFAIL]:
            console.error(f"  {one.path} (parsefail): {one.why}", hint=one.hint)
    console.status(RULE)
    for one in succeeded:
        for failure in one.hook_failures:
            console.error(f"{one.name}: {failure.message}", hint=failure.hint)
    invalid = len(by_ending[Ending.PARSEFAIL])
    if failed or invalid:
        console.error(f"{len(failed)} {noun} failure(s), {invalid} invalid renewal file(s)")


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
        "not_after": one.not_after.isoformat() if one.not_after is not None else None,
        "due_at": one.next_at.isoformat() if one.next_at is not None else None,
        "version": one.version,
        "server": one.server,
        "failures": [
            {"identifier": failure.identifier.value, "challenge": failure.challenge_type, "reason": failure.reason}
            for failure in one.failures
        ],
        "hook_failures": [failure.message for failure in one.hook_failures],
    }
