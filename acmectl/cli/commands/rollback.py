"""rollback: make an earlier version of a certificate live again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from acmectl.actions.rollback import RollbackRequest, rollback
from acmectl.cli.checks import checked_name
from acmectl.cli.requests import certificate_request
from acmectl.cli.second_key import second_as_json
from acmectl.cli.wiring import build_services
from acmectl.errors import ConfigError, ExitCode

if TYPE_CHECKING:
    from acmectl.actions.rollback import RolledBack
    from acmectl.cli.app import App


def run(app: App) -> ExitCode:
    """Roll one lineage back and say what is live. Raises: AcmectlError."""
    settings = app.settings
    name = checked_name(settings)
    if name is None:
        raise ConfigError(
            "certbot's rollback took back its changes to web server configurations; acmectl makes none.",
            hint="To make an earlier version of a certificate live again: acmectl rollback --cert-name NAME.",
        )
    version = settings.integer("to_version") if settings.is_set("to_version") else None
    request = RollbackRequest(cert_name=name, to_version=version, allow_expired=settings.flag("allow_expired"))
    done = rollback(
        build_services(app),
        request,
        lambda conf, identifiers, path: certificate_request(app, conf, identifiers, origin=str(path)),
    )
    _report(app, done)
    app.console.result("rolled-back", as_json(done))
    return ExitCode.FAILED if done.hook_failures else ExitCode.OK


def _report(app: App, done: RolledBack) -> None:
    console = app.console
    if not done.changed:
        console.status(f"Version {done.version} of the certificate {done.name} is live already; nothing was changed.")
        return
    instead = f" instead of version {done.before}" if done.before not in {None, done.version} else ""
    console.status(f"Version {done.version} of the certificate {done.name} is live{instead}.")
    console.status(f"It expires on {done.not_after:%Y-%m-%d}.")
    if done.pinned:
        console.status("It stays live until the next renewal, which makes a new version live as usual.")
    for failure in done.hook_failures:
        console.error(failure.message, hint=failure.hint or "acmectl renew runs it again.")


def as_json(done: RolledBack) -> dict[str, object]:
    """The result for --json."""
    return {
        "name": done.name,
        "version": done.version,
        "before": done.before,
        "changed": done.changed,
        "pinned": done.pinned,
        "serial": f"{done.serial:x}",
        "not_after": done.not_after.isoformat(),
        "second": second_as_json(done.second, done.live_dir),
        "identifiers": [{"type": str(i.type), "value": i.value} for i in done.identifiers],
        "live_dir": str(done.live_dir),
        "hook_failures": [failure.message for failure in done.hook_failures],
    }
