"""Result files outside the tree, where the person wants them: whole or not there, and never over another file."""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from acmectl.errors import StorageError
from acmectl.storage.atomic import Permissions, fsync_dir, make_dir, stage_file

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK}


def check_free(paths: Iterable[Path]) -> None:
    """Make sure that new files can be written at ``paths``, as far as that can be told before.

    Raises: StorageError naming a path that exists, stands there twice, or lies where nobody may write.
    """
    seen: set[Path] = set()
    for path in paths:
        if path in seen:
            raise StorageError(f"{path} is given for two files.", hint="Give each a path of its own.")
        seen.add(path)
        if os.path.lexists(path):
            raise StorageError(f"{path} exists already.", hint="Move it away; acmectl does not write over it.")
        parent = next(folder for folder in path.absolute().parents if os.path.lexists(folder))
        if not parent.is_dir() or not os.access(parent, os.W_OK | os.X_OK):
            raise StorageError(f"{path} cannot be written: {parent} is not a directory that you may write to.")


def write_new(contents: Mapping[Path, bytes], *, secret: bool = False) -> None:
    """Write new files, making missing directories; all bytes are on disk before one has a name.

    Their mode is 0644 less the umask; 0600 from the first byte where they are ``secret``.

    Raises: StorageError, for a file that has come to exist meanwhile too; what has its name by then stays.
    """
    staged: list[tuple[str, Path]] = []
    path = Path()
    try:
        for path, data in contents.items():
            make_dir(path.parent, 0o755)
            permissions = Permissions(mode=0o600) if secret else None
            staged.append((stage_file(path, data, permissions=permissions), path))
        for temporary, path in staged:
            _place(temporary, path)
        for folder in {path.parent for path in contents}:
            fsync_dir(folder)
    except OSError as error:
        raise StorageError(f"{path} cannot be written: {error.strerror}.") from error
    finally:
        for temporary, _path in staged:
            with suppress(FileNotFoundError):
                os.unlink(temporary)


def _place(temporary: str, path: Path) -> None:
    try:
        os.link(temporary, path, follow_symlinks=False)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        # A file system without hard links.
        if os.path.lexists(path):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), os.fspath(path)) from None
        os.rename(temporary, path)
