"""Directories below a web root, opened one by one; whose links are followed."""

from __future__ import annotations

import errno
import os
import stat


def open_part(part: str, flags: int, parent: int) -> int:
    """Open a directory below a web root. A link is followed only if root or the user who runs this has made it.

    Whoever may write into the web root could otherwise lead us anywhere by a link of theirs.
    """
    try:
        return os.open(part, flags | os.O_NOFOLLOW, dir_fd=parent)
    except OSError as error:
        if error.errno not in (errno.ELOOP, errno.ENOTDIR) or not hasattr(os, "O_PATH"):
            raise
        link = os.open(part, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
        try:
            found = os.fstat(link)
            if not stat.S_ISLNK(found.st_mode) or found.st_uid not in (0, os.geteuid()):
                raise
            # The link that was looked at is the one that is read, whatever has its name by now.
            target = os.readlink("", dir_fd=link)
        finally:
            os.close(link)
        return os.open(target, flags, dir_fd=parent)
