"""Where the three directories and the configuration files lie unless the user says otherwise.

A tree that was adopted takes the place of our own: a small file in our own configuration directory names it.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from acmectl.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

ADOPTED = "adopted.ini"
"""The file's name. Its keys are those of DIRECTORY_KEYS; the syntax is that of cli.ini."""
DIRECTORY_KEYS = ("config-dir", "work-dir", "logs-dir")


@dataclass(frozen=True, slots=True, kw_only=True)
class Directories:
    """The default tree, and the user's own configuration file (XDG).

    ``own`` is what it would be if no other tree had been adopted; None if none was.
    """

    config_dir: Path
    work_dir: Path
    logs_dir: Path
    user_file: Path
    own: Directories | None = None

    def beside(self, config_dir: str | None) -> Directories:
        """The defaults for a run in the tree ``config_dir``: an adopted tree's other directories are for it alone."""
        if self.own is None or config_dir is None or Path(config_dir) == self.config_dir:
            return self
        return self.own


def directories_here(environ: Mapping[str, str]) -> Directories:
    """The default tree of whoever runs the program, an adopted one if there is one. Raises: UsageError."""
    return with_adopted(default_directories(environ, uid=os.geteuid(), home=_home(environ)))


def with_adopted(own: Directories) -> Directories:
    """The tree that was adopted in place of ``own``, else ``own``. Raises: UsageError when the file says nonsense."""
    from acmectl.config.sources import read_entries

    path = own.config_dir / ADOPTED
    entries = read_entries(path, required=False)
    if not entries:
        return own
    named = {entry.key: entry.text or "" for entry in entries}
    if "config-dir" not in named or any(
        key not in DIRECTORY_KEYS or not text.startswith("/") for key, text in named.items()
    ):
        raise UsageError(
            f"{path} does not name the directories of an adopted tree: config-dir, work-dir and logs-dir, absolute.",
            hint=f"Write it again with 'acmectl adopt DIR --apply' after this: rm {path}",
        )
    return replace(
        own,
        config_dir=Path(named["config-dir"]),
        work_dir=Path(named.get("work-dir", own.work_dir)),
        logs_dir=Path(named.get("logs-dir", own.logs_dir)),
        own=own,
    )


def default_directories(environ: Mapping[str, str], *, uid: int, home: Path) -> Directories:
    """The tree of the system for root, one below the user's XDG directories for anybody else.

    A variable that is not an absolute path is ignored, as the XDG base directory specification asks.
    """
    configuration = _xdg(environ, "XDG_CONFIG_HOME", home / ".config")
    if uid == 0:
        return Directories(
            config_dir=Path("/etc/acmectl"),
            work_dir=Path("/var/lib/acmectl"),
            logs_dir=Path("/var/log/acmectl"),
            user_file=configuration / "acmectl" / "cli.ini",
        )
    return Directories(
        config_dir=configuration / "acmectl",
        work_dir=_xdg(environ, "XDG_DATA_HOME", home / ".local/share") / "acmectl",
        logs_dir=_xdg(environ, "XDG_STATE_HOME", home / ".local/state") / "acmectl" / "log",
        user_file=configuration / "acmectl" / "cli.ini",
    )


def _xdg(environ: Mapping[str, str], variable: str, fallback: Path) -> Path:
    value = environ.get(variable, "")
    return Path(value) if value.startswith("/") else fallback


def _home(environ: Mapping[str, str]) -> Path:
    home = environ.get("HOME", "")
    if home.startswith("/"):
        return Path(home)
    try:
        return Path.home()
    except RuntimeError:
        return Path("/")
