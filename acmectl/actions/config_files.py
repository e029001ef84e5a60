"""Other people's configuration files: read with bounds on number and size, never followed into devices and pipes."""

from __future__ import annotations

import glob
import os
import stat
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

MOST_FILES = 5000
LARGEST = 1 << 20
"""Bytes of one file; what is larger is no configuration."""
LARGEST_IN_ALL = 64 << 20
_MOST_IN_A_FOLDER = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigFile:
    """What a file says. ``identity`` is its device and inode."""

    data: bytes
    identity: tuple[int, int]


def read_config_file(path: str | Path) -> ConfigFile | None:
    """A regular file's content; None for what is none, is larger than ``LARGEST``, or cannot be read."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except (OSError, ValueError):
        return None
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_size > LARGEST:
            return None
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            return ConfigFile(data=file.read(LARGEST), identity=(status.st_dev, status.st_ino))
    except OSError:
        return None
    finally:
        os.close(descriptor)


class BoundedReader:
    """Reads the files of one configuration until a bound is reached; a file that is included twice counts twice."""

    def __init__(self) -> None:
        self._files = 0
        self._bytes = 0

    def text(self, path: str | Path) -> str | None:
        """What a file says; None where it cannot be read or the bound is reached."""
        if self._files >= MOST_FILES or self._bytes >= LARGEST_IN_ALL:
            return None
        found = read_config_file(path)
        if found is None:
            return None
        self._files += 1
        self._bytes += len(found.data)
        return found.data.decode("utf-8", "replace")


def included(base: str, pattern: str) -> list[str]:
    """The paths that an include means: those that fit a pattern, sorted, or the one path; relative to ``base``."""
    path = str(Path(base, pattern))
    return sorted(glob.glob(path)) if glob.has_magic(path) else [path]  # noqa: PTH207 - patterns of any depth


def files_below(folder: str) -> list[str]:
    """The paths below a folder, sorted; not all of them where there are very many."""
    found = glob.iglob(f"{glob.escape(folder)}/**", recursive=True)  # noqa: PTH207 - follows links, as servers do
    return sorted(islice(found, _MOST_IN_A_FOLDER))


def is_file(path: str | Path) -> bool:
    """Whether there is a file; False also where one may not look."""
    return os.path.isfile(path)  # noqa: PTH113 - a Path would raise PermissionError


def is_dir(path: str | Path) -> bool:
    """Whether there is a directory; False also where one may not look."""
    return os.path.isdir(path)  # noqa: PTH112 - a Path would raise PermissionError
