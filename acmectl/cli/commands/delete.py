"""delete: remove lineages with their files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from acmectl.actions.delete import delete
from acmectl.cli.checks import checked_name
from acmectl.cli.wiring import build_services
from acmectl.errors import ExitCode

if TYPE_CHECKING:
    from acmectl.cli.app import App


def run(app: App) -> ExitCode:
    """Delete the named lineage, or those that the person picks. Raises: AcmectlError."""
    done = delete(build_services(app), checked_name(app.settings), choose_many=app.prompts.choose_many)
    for one in done.deleted:
        app.console.status(f"Deleted all files of the certificate {one.name}.")
        for path in one.kept:
            app.console.warning(f"{path} was left, for it holds other files too.")
    content = [{"name": one.name, "kept": [str(path) for path in one.kept]} for one in done.deleted]
    uses = [{"name": use.name, "path": str(use.path), "line": use.line} for use in done.uses]
    app.console.result("deleted", {"deleted": content, "in_use": uses, "left": [str(path) for path in done.left]})
    return ExitCode.OK
