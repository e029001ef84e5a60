"""install and enhance: certbot's commands for editing the configuration of web servers, which acmectl does not do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from acmectl.actions.shipped_hooks import installs_nothing
from acmectl.errors import ConfigError, ExitCode

if TYPE_CHECKING:
    from acmectl.cli.app import App

_INSTEAD = {
    "install": (
        "acmectl installs no certificate into a web server's configuration.",
        "Name live/NAME/fullchain.pem and privkey.pem there once; docs/web-servers.md shows how.",
    ),
    "enhance": (
        "acmectl does not edit a web server's configuration, so redirects, HSTS and stapling are set there.",
        "docs/web-servers.md has the lines for nginx and Apache.",
    ),
}


def run(app: App) -> ExitCode:
    """Do nothing where certbot's ``install -i null`` does nothing, else say what to do. Raises: ConfigError."""
    verb, installer = app.settings.verb, app.settings.text("installer")
    if verb == "install" and installer is not None and installs_nothing(installer):
        app.console.status("The installer null installs nothing, so there was nothing to do.")
        app.console.result("install", {"installed": False})
        return ExitCode.OK
    message, hint = _INSTEAD[verb]
    raise ConfigError(message, hint=hint)
