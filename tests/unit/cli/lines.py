"""Command lines in tests: from words to Settings, in a home of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from acmectl.cli import params
from acmectl.config.options import table

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import pytest

    from acmectl.config.settings import Settings


def settings(*argv: str) -> Settings:
    """What a command line means here and now."""
    return params.settings_of(params.parse(argv, table()))


def at_home(monkeypatch: pytest.MonkeyPatch, folder: Path, environ: Mapping[str, str] | None = None) -> Path:
    """Make ``folder`` the whole world of configuration files; gives the configuration directory in it."""
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(folder / "xdg"))
    monkeypatch.setenv("ACMECTL_CONFIG_DIR", str(folder / "etc"))
    monkeypatch.chdir(folder)
    for name, value in (environ or {}).items():
        monkeypatch.setenv(name, value)
    (folder / "etc").mkdir()
    (folder / "xdg/acmectl").mkdir(parents=True)
    return folder / "etc"
