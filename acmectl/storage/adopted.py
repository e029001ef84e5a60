"""The file that names an adopted tree: written and removed in one step."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from acmectl.errors import StorageError
from acmectl.storage.atomic import Permissions, fsync_dir, make_dir, telling, write_file

if TYPE_CHECKING:
    from pathlib import Path

    from acmectl.storage.layout import Layout

_HEAD = """\
# Written by "acmectl adopt --apply": from now on acmectl works in this tree unless --config-dir names another.
# Remove this file, or run "acmectl adopt --undo", to have acmectl's own directories again.
"""


def write_adopted(path: Path, tree: Layout) -> None:
    """Name the three directories of ``tree`` in the file ``path``. Raises: StorageError."""
    lines = []
    for key, directory in (("config-dir", tree.config_dir), ("work-dir", tree.work_dir), ("logs-dir", tree.logs_dir)):
        text = str(directory)
        if not text.isprintable() or '"' in text:
            raise StorageError(f"{path} cannot hold the directory {text!r}.", hint="Adopt it by another path to it.")
        lines.append(f'{key} = "{text}"\n')
    with telling(f"write {path}"):
        make_dir(path.parent, 0o755)
        write_file(path, (_HEAD + "".join(lines)).encode(), permissions=Permissions(mode=0o644))


def remove_adopted(path: Path) -> bool:
    """Remove the file; False when there is none. Raises: StorageError."""
    with telling(f"remove {path}"):
        try:
            os.unlink(path)
        except FileNotFoundError:
            return False
        fsync_dir(path.parent)
        return True
