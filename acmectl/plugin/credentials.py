"""The one rule for files with credentials: nobody but their owner may read them."""

from __future__ import annotations

import stat
from pathlib import Path


def refusal(path: str | Path) -> str | None:
    """Why a file of credentials is not used, as the end of a sentence about it; None for one that is fine.

    It must be a regular file (links are followed) that neither its group nor others can read or write.
    """
    try:
        status = Path(path).stat()
    except (OSError, ValueError) as error:
        return f"cannot be read: {error.strerror if isinstance(error, OSError) else error}"
    if not stat.S_ISREG(status.st_mode):
        return "is not a file"
    if status.st_mode & 0o066:
        return f"has mode {stat.S_IMODE(status.st_mode):04o}, so that others than its owner can use what is in it"
    return None
