"""run: certbot's default command. Without an installer it is certonly."""

from __future__ import annotations

from typing import TYPE_CHECKING

from acmectl.actions.shipped_hooks import installs_nothing
from acmectl.cli.commands import certonly
from acmectl.config.values import shown
from acmectl.errors import ConfigError

if TYPE_CHECKING:
    from acmectl.cli.app import App
    from acmectl.errors import ExitCode


def run(app: App) -> ExitCode:
    """Obtain, renew or keep a certificate, like certonly. Raises: ConfigError for an installer, AcmectlError."""
    settings = app.settings
    installer = settings.text("installer")
    if not installs_nothing(installer) and settings.text("authenticator") not in {installer, None}:
        raise ConfigError(
            f"'run' with the installer {shown(installer or '')} would edit the configuration of a web server, "
            "which acmectl does not do.",
            hint="acmectl certonly with the same options obtains the certificate and reloads the server after it.",
        )
    return certonly.run(app)
