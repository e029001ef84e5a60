"""What is refused at the door, before anything heavy is imported."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from acmectl.cli.app import App
    from acmectl.config.settings import Settings

HOOK_OPTIONS = ("pre_hook", "deploy_hook", "post_hook", "manual_auth_hook", "manual_cleanup_hook")


def checked_name(settings: Settings) -> str | None:
    """``--cert-name``, refused at the door if it cannot be one. Raises: ConfigError."""
    from acmectl.storage.layout import check_lineage_name

    name = settings.text("cert_name")
    return None if name is None else check_lineage_name(name)


def validate_hooks(app: App) -> None:
    """Refuse hook commands given now that could not be executed, and an endpoint that is none.

    Raises: ConfigError, UsageError.
    """
    settings = app.settings
    endpoint = settings.text("check_endpoint")
    if endpoint is not None:
        from acmectl.actions.endpoint import parse_endpoint

        parse_endpoint(endpoint, settings.origin("check_endpoint"))
    if settings.flag("disable_hook_validation"):
        return
    for dest in HOOK_OPTIONS:
        command = settings.text(dest)
        if command is not None and settings.is_set(dest):
            from acmectl.actions.hooks import validate_command

            validate_command(command, settings.origin(dest), app.environ)
