"""hook-path: where the ready-made hooks lie."""

from __future__ import annotations

from typing import TYPE_CHECKING

from acmectl.actions.shipped_hooks import SHIPPED_HOOKS, shipped_hook
from acmectl.config.values import shown
from acmectl.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from acmectl.cli.app import App


def hook_path(name: str) -> Path:
    """The absolute path of a hook. Raises: UsageError for a name that there is none of."""
    try:
        return shipped_hook(name)
    except KeyError:
        raise UsageError(f"There is no hook {shown(name)}.", hint=f"There are {' and '.join(SHIPPED_HOOKS)}.") from None


def run(app: App) -> ExitCode:
    """Print the path of the hooks that are named, or all of them with what they do. Raises: UsageError."""
    wanted = app.settings.arguments
    paths = {name: hook_path(name) for name in wanted or SHIPPED_HOOKS}
    if app.console.json:
        hooks = [{"name": name, "path": str(path), "summary": SHIPPED_HOOKS[name]} for name, path in paths.items()]
        app.console.result("hooks", {"hooks": hooks})
        return ExitCode.OK
    # The paths are the result, for $(...): they come whatever -q says.
    lines = [str(path) if wanted else f"{path}  ({SHIPPED_HOOKS[name]})" for name, path in paths.items()]
    app.console.payload("".join(f"{line}\n" for line in lines).encode())
    return ExitCode.OK
