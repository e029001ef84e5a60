"""revoke --reissue: replace a certificate and its key, then revoke it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from acmectl.actions.reissue import Reissued, reissue
from acmectl.cli.checks import validate_hooks
from acmectl.cli.commands.revoke import revoke_request
from acmectl.cli.requests import certificate_request
from acmectl.cli.wiring import build_services
from acmectl.errors import ExitCode

if TYPE_CHECKING:
    from pathlib import Path

    from acmectl.actions.requests import CertificateRequest
    from acmectl.cli.app import App
    from acmectl.identifiers import Identifier
    from acmectl.storage.renewal_conf import RenewalConf


def run(app: App) -> ExitCode:
    """Replace and revoke, or finish that. Raises: AcmectlError."""
    validate_hooks(app)

    def complete(conf: RenewalConf, identifiers: tuple[Identifier, ...], path: Path) -> CertificateRequest:
        return certificate_request(app, conf, identifiers, origin=str(path))

    done = reissue(build_services(app), revoke_request(app), complete)
    _report(app, done)
    app.console.result("reissued", as_json(done))
    return ExitCode.FAILED if done.hook_failures or done.owed else ExitCode.OK


def _report(app: App, done: Reissued) -> None:
    console = app.console
    console.status(f"The certificate {done.name} has a new key: version {done.version}, serial {done.serial:x}.")
    console.status(f"It expires on {done.not_after:%Y-%m-%d}.")
    for failure in done.hook_failures:
        console.error(failure.message, hint=failure.hint)
    if done.owed:
        waiting = ", ".join(f"{one.serial:x}" for one in done.old)
        console.error(
            f"{done.name}: the old certificate {waiting} is not revoked yet, for the new one is not deployed: "
            f"{', '.join(done.owed)}",
            hint=f"acmectl revoke --reissue --cert-name {done.name} tries both again; "
            f"acmectl renew --cert-name {done.name} --forget-deploy before it goes on without.",
        )
        return
    for one in done.old:
        how = "has expired" if one.expired else "was revoked already" if one.already else "is revoked"
        console.status(f"The old certificate {one.serial:x} {how}, and its key is never used again.")


def as_json(done: Reissued) -> dict[str, object]:
    """The result for --json."""
    return {
        "name": done.name,
        "version": done.version,
        "serial": f"{done.serial:x}",
        "second_serial": f"{done.second_serial:x}" if done.second_serial is not None else None,
        "not_after": done.not_after.isoformat(),
        "live": str(done.live_dir),
        "continued": done.continued,
        "old": [
            {
                "serial": f"{one.serial:x}",
                "server": done.server,
                "revoked": one.revoked,
                "already_revoked": one.already,
                "expired": one.expired,
            }
            for one in done.old
        ],
        "deploy_owed": list(done.owed),
        "hook_failures": [failure.message for failure in done.hook_failures],
    }
