"""The directories that every run that writes needs, with certbot's modes."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from acmectl.errors import StorageError
from acmectl.storage.atomic import make_dir, telling

if TYPE_CHECKING:
    from pathlib import Path

    from acmectl.storage.layout import Layout

_HOOK_TIMES = ("pre", "deploy", "post")


def prepare_directories(layout: Layout, *, strict: bool = False, hooks: bool = True) -> None:
    """Create logs, config and work directory and the hook directories where they are missing.

    ``hooks`` is off for a dry run, which leaves no trace there. With ``strict`` the three must have exactly their mode
    and belong to the user who runs the program.

    Raises: StorageError.
    """
    _prepare(layout.logs_dir, 0o700, exact=False, strict=strict)
    _prepare(layout.config_dir, 0o755, exact=False, strict=strict)
    # Hooks and plugins of other users look into it, whatever the umask.
    _prepare(layout.work_dir, 0o755, exact=True, strict=strict)
    for when in _HOOK_TIMES if hooks else ():
        directory = layout.hooks_dir(when)
        with telling(f"create {directory}"):
            make_dir(directory, 0o755)


def _prepare(directory: Path, mode: int, *, exact: bool, strict: bool) -> None:
    with telling(f"create {directory}"):
        make_dir(directory, mode, exact=exact)
        if not strict:
            return
        status = os.stat(directory)
    if status.st_uid != os.geteuid() or stat.S_IMODE(status.st_mode) != mode:
        raise StorageError(
            f"{directory} must have mode {mode:04o} and belong to user {os.geteuid()}.",
            hint="Correct it, or leave out --strict-permissions.",
        )
