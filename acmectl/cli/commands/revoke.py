"""revoke: revoke a certificate."""

from __future__ import annotations

from typing import TYPE_CHECKING

from acmectl.actions.revoke import REASONS, RevokeRequest, revoke
from acmectl.cli.checks import checked_name
from acmectl.cli.requests import account_of
from acmectl.cli.wiring import build_services
from acmectl.errors import ExitCode

if TYPE_CHECKING:
    from acmectl.cli.app import App


def run(app: App) -> ExitCode:
    """Revoke by name or by file. Raises: AcmectlError."""
    settings = app.settings
    request = RevokeRequest(
        account=account_of(app),
        cert_name=checked_name(settings),
        cert_path=settings.path("cert_path"),
        key_path=settings.path("key_path"),
        reason=REASONS[(settings.text("reason") or "unspecified").lower()],
        delete=settings.tristate("delete_after_revoke"),
        server_given=settings.is_set("server") or settings.flag("staging"),
    )
    done = revoke(build_services(app), request)
    how = "was revoked already" if done.already else "is revoked"
    app.console.status(f"The certificate {done.path} {how}.")
    if done.deleted is not None:
        app.console.status(f"Deleted all files of the certificate {done.deleted}.")
    app.console.result(
        "revoked",
        {
            "path": str(done.path),
            "serial": f"{done.serial:x}",
            "server": done.server,
            "already_revoked": done.already,
            "deleted": done.deleted,
        },
    )
    return ExitCode.OK
