"""revoke: revoke a certificate."""

from __future__ import annotations

from typing import TYPE_CHECKING

from acmectl.actions.revoke import REASONS, RevokeRequest, revoke
from acmectl.cli.checks import checked_name
from acmectl.cli.requests import account_of
from acmectl.cli.wiring import build_services
from acmectl.errors import ExitCode

if TYPE_CHECKING:
    from acmectl.actions.revoke import RevokedCertificate
    from acmectl.cli.app import App


def run(app: App) -> ExitCode:
    """Revoke by name or by file. Raises: AcmectlError."""
    settings = app.settings
    if settings.flag("reissue"):
        from acmectl.cli.commands.reissue import run as run_reissue

        return run_reissue(app)
    done = revoke(build_services(app), revoke_request(app))
    for one in done.certificates:
        how = "was revoked already" if one.already else "is revoked"
        app.console.status(f"The certificate {one.path} {how}.")
    if done.deleted is not None:
        app.console.status(f"Deleted all files of the certificate {done.deleted}.")
    app.console.result(
        "revoked",
        {
            **_as_json(done.certificates[0]),
            "server": done.server,
            "deleted": done.deleted,
            "second": _as_json(done.certificates[1]) if len(done.certificates) > 1 else None,
        },
    )
    return ExitCode.OK


def revoke_request(app: App) -> RevokeRequest:
    """Which certificate, why, and who signs. Raises: ConfigError."""
    settings = app.settings
    return RevokeRequest(
        account=account_of(app),
        cert_name=checked_name(settings),
        cert_path=settings.path("cert_path"),
        key_path=settings.path("key_path"),
        reason=REASONS[(settings.text("reason") or "unspecified").lower()],
        delete=settings.tristate("delete_after_revoke"),
        server_given=settings.is_set("server") or settings.flag("staging"),
    )


def _as_json(one: RevokedCertificate) -> dict[str, object]:
    return {"path": str(one.path), "serial": f"{one.serial:x}", "already_revoked": one.already}
