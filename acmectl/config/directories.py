"""Where the three directories and the configuration files lie unless the user says otherwise."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class Directories:
    """The default tree, and the user's own configuration file (XDG)."""

    config_dir: Path
    work_dir: Path
    logs_dir: Path
    user_file: Path


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
