"""Where a lineage's files are named: in configurations of web and mail servers, and in hooks. Reads only."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from acmectl.actions.config_files import LARGEST_IN_ALL, MOST_FILES, read_config_file
from acmectl.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from acmectl.storage.lineages import LineageStore

ROOTS = tuple(
    Path(directory, name)
    for directory in ("/etc", "/usr/local/etc")
    for name in (
        *("nginx", "apache2", "httpd", "haproxy", "postfix", "dovecot", "exim4", "exim", "lighttpd", "caddy"),
        *("mosquitto", "prosody", "ejabberd", "vsftpd.conf", "proftpd", "stunnel", "cockpit", "openvpn"),
    )
)
"""Where servers that use certificates usually have their configuration."""

_DEEPEST = 6
_PATH = re.compile(rb"/[^\s\"'`;,{}()<>|=$&*?\[\]#]+")
_HOOK_KINDS = ("pre", "deploy", "post")


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """A line that names the live or the archive directory of the lineage ``name``, or a file in it."""

    name: str
    path: Path
    line: int
    directory: Path

    def __str__(self) -> str:
        return f"{self.path}, line {self.line}, still names {self.directory}."


def find_uses(lineages: LineageStore, names: Iterable[str], *, roots: Sequence[Path] = ROOTS) -> tuple[Use, ...]:
    """The lines below ``roots``, in the directory hooks and in other lineages' renewal files that name these lineages.

    Comments do not count. Every path is looked up, so one that goes through links is found as well. What cannot be read
    is passed over.
    """
    doomed = set(names)
    directories = _directories(lineages, doomed)
    if not directories:
        return ()
    hooks = [lineages.layout.hooks_dir(kind) for kind in _HOOK_KINDS]
    others = [lineages.layout.renewal_conf(name) for name in lineages.names() if name not in doomed]
    uses: list[Use] = []
    real = cache(os.path.realpath)
    for path, data in _files([*roots, *hooks, *others]):
        uses += _in_text(path, data, directories, real)
    return tuple(uses)


def _directories(lineages: LineageStore, names: Iterable[str]) -> dict[str, str]:
    """The lineage by the real path of each of its directories."""
    found: dict[str, str] = {}
    for name in names:
        directories = [lineages.layout.live(name), lineages.layout.archive(name)]
        try:
            lineage = lineages.get(name)
            directories += [lineage.live_dir, lineage.archive_dir]
        except StorageError:
            pass  # a broken one is deleted where the layout says
        found |= {os.path.realpath(directory): name for directory in directories}
    return found


def _in_text(path: Path, data: bytes, directories: dict[str, str], real: Callable[[str], str]) -> Iterator[Use]:
    for number, line in enumerate(data.splitlines(), 1):
        if line.lstrip().startswith(b"#"):
            continue
        seen: set[str] = set()
        for match in _PATH.finditer(line):
            named = os.fsdecode(match[0])
            # A live directory or a file in it, or a link from elsewhere that ends in the archive.
            for candidate in (real(named), real(named.rpartition("/")[0] or "/"), real(named).rpartition("/")[0]):
                name = directories.get(candidate)
                if name is not None and name not in seen:
                    seen.add(name)
                    yield Use(name=name, path=path, line=number, directory=Path(candidate))


def _files(starts: Iterable[Path]) -> Iterator[tuple[Path, bytes]]:
    """The regular files at and below ``starts`` with their content, each once, until a bound is reached."""
    seen: set[tuple[int, int]] = set()
    left = LARGEST_IN_ALL
    for path in _walk(starts):
        found = read_config_file(path)
        if found is None or found.identity in seen:
            continue
        seen.add(found.identity)
        left -= len(found.data)
        if left < 0 or len(seen) > MOST_FILES:
            return
        yield path, found.data


def _walk(starts: Iterable[Path]) -> Iterator[Path]:
    for start in starts:
        if not start.is_dir():
            yield start
            continue
        for directory, folders, files in os.walk(start):
            folders.sort()
            if directory.count("/") - str(start).count("/") >= _DEEPEST:
                folders.clear()
            yield from (Path(directory, name) for name in sorted(files))
