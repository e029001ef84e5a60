"""The entry points of installed distributions, read from the files in which installers write them.

importlib.metadata reads the same files, but importing it takes longer than all else between the command line and the
first request. It is asked where something is on the path that is no plain folder, or another finder has been added.

https://packaging.python.org/specifications/entry-points/
"""

from __future__ import annotations

import importlib
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_VALUE = re.compile(r"([\w.]+)\s*(?::\s*([\w.]+)\s*)?(?:\[(.*)\]\s*)?")
_SEPARATORS = re.compile(r"[-_.]+")
_DIST, _EGG = ".dist-info", ".egg-info"


class EntryPoint:
    """One entry point: ``value`` is ``module:attribute [extras]``; ``distribution`` may be empty."""

    __slots__ = ("attr", "distribution", "extras", "group", "module", "name", "value", "version")

    def __init__(self, group: str, name: str, value: str, distribution: str, version: str) -> None:
        self.group = group
        self.name = name
        self.value = value
        self.distribution = distribution
        self.version = version
        match = _VALUE.fullmatch(value)
        self.module = match[1] if match else value
        self.attr = (match[2] or "") if match else ""
        self.extras = tuple(re.findall(r"\w+", match[3] or "")) if match else ()

    def load(self) -> object:
        """What it points to. Raises whatever the import raises."""
        found: object = importlib.import_module(self.module)
        for attribute in filter(None, self.attr.split(".")):
            found = getattr(found, attribute)
        return found


def entry_points(*groups: str) -> tuple[EntryPoint, ...]:
    """The entry points of some groups. Of two distributions with one name the first on the path counts."""
    folders = _plain_folders()
    if folders is None:
        return _by_importlib(groups)
    seen: set[str] = set()
    found: list[EntryPoint] = []
    for folder in folders:
        for info in _infos(folder):
            distribution = _SEPARATORS.sub("_", info.partition("-")[0]).lower()
            if distribution not in seen:
                seen.add(distribution)
                found += _read(folder / info, groups)
    return tuple(found)


def _plain_folders() -> list[Path] | None:
    """The folders on the path; None when there is more than folders to look at."""
    # The standard finder is a class, and importlib.metadata looks into folders on its behalf.
    if any(hasattr(finder, "find_distributions") and not isinstance(finder, type) for finder in sys.meta_path):
        return None
    folders = []
    for entry in sys.path:
        folder = Path(entry)
        if folder.is_dir() and folder.suffix != ".egg":
            folders.append(folder)
        elif folder.exists():
            return None
    return folders


def _infos(folder: Path) -> list[str]:
    try:
        names = os.listdir(folder)  # noqa: PTH208 - a path for each of hundreds of names would take longer
    except OSError:
        return []
    return sorted(name for name in names if name.endswith((_DIST, _EGG)))


def _read(info: Path, groups: tuple[str, ...]) -> Iterator[EntryPoint]:
    try:
        text = (info / "entry_points.txt").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):  # most distributions have none
        return
    if not any(group in text for group in groups):
        return
    section = ""
    distribution, version = _names(info)
    for line in map(str.strip, text.splitlines()):
        if line.startswith("["):
            section = line.strip("[]")
        elif line and not line.startswith("#") and section in groups:
            name, _, value = line.partition("=")
            yield EntryPoint(section, name.strip(), value.strip(), distribution, version)


def _names(info: Path) -> tuple[str, str]:
    """Name and version, as the distribution writes them."""
    fields = {"name": "", "version": ""}
    try:
        with (info / ("METADATA" if info.suffix == _DIST else "PKG-INFO")).open(
            encoding="utf-8", errors="replace"
        ) as file:
            for line in file:
                field, colon, value = line.partition(":")
                if not colon:
                    break
                if field.lower() in fields:
                    fields[field.lower()] = value.strip()
    except OSError:
        pass
    return fields["name"], fields["version"]


def _by_importlib(groups: tuple[str, ...]) -> tuple[EntryPoint, ...]:
    from importlib import metadata

    return tuple(
        EntryPoint(
            entry.group,
            entry.name,
            entry.value,
            entry.dist.name if entry.dist else "",
            entry.dist.version if entry.dist else "",
        )
        for group in groups
        for entry in metadata.entry_points(group=group)
    )
