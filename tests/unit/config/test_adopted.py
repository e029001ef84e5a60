"""The file that names an adopted tree, as the settings go by it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from acmectl.config import directories
from acmectl.config.directories import ADOPTED, Directories, with_adopted
from acmectl.errors import StorageError, UsageError
from acmectl.storage.adopted import remove_adopted, write_adopted
from acmectl.storage.layout import Layout
from tests.unit.cli.lines import settings


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Directories:
    """acmectl's own tree, of a user who is not root."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "ACMECTL_CONFIG_DIR"):
        monkeypatch.delenv(name, raising=False)
    return directories.default_directories({}, uid=1000, home=tmp_path)


def tree(folder: Path) -> Layout:
    (folder / "tree").mkdir(exist_ok=True)
    return Layout(config_dir=folder / "tree", work_dir=folder / "with blank # and ; 'more", logs_dir=folder / "logs")


def dirs(*argv: str) -> tuple[str, str, str]:
    found = settings("certificates", *argv)
    return (
        found.required_text("config_dir"),
        found.required_text("work_dir"),
        found.required_text("logs_dir"),
    )


def test_what_is_written_is_what_the_settings_have(own: Directories, tmp_path: Path) -> None:
    layout = tree(tmp_path)
    write_adopted(own.config_dir / ADOPTED, layout)
    assert (own.config_dir / ADOPTED).stat().st_mode & 0o777 == 0o644
    assert dirs() == (str(layout.config_dir), str(layout.work_dir), str(layout.logs_dir))
    (layout.config_dir / "cli.ini").write_text("key-type = rsa\n")
    assert settings("certificates").text("key_type") == "rsa"
    # The user's own file stays where it is, and beats the tree's.
    own.user_file.write_text("key-type = ecdsa\n")
    assert settings("certificates").text("key_type") == "ecdsa"
    assert remove_adopted(own.config_dir / ADOPTED)
    assert not remove_adopted(own.config_dir / ADOPTED)
    assert dirs() == (str(own.config_dir), str(own.work_dir), str(own.logs_dir))


def test_another_tree_has_nothing_of_the_adopted_one(own: Directories, tmp_path: Path) -> None:
    layout = tree(tmp_path)
    write_adopted(own.config_dir / ADOPTED, layout)
    assert dirs("--config-dir", "/other") == ("/other", str(own.work_dir), str(own.logs_dir))
    assert dirs("--config-dir", str(layout.config_dir))[1] == str(layout.work_dir)
    assert dirs("--work-dir", "/w") == (str(layout.config_dir), "/w", str(layout.logs_dir))


@pytest.mark.parametrize("text", ["config-dir = relative\n", "work-dir = /w\n", "config-dir = /a\nserver = /b\n"])
def test_nonsense_is_named(own: Directories, text: str) -> None:
    own.config_dir.mkdir(parents=True)
    (own.config_dir / ADOPTED).write_text(text)
    with pytest.raises(UsageError, match="does not name the directories"):
        with_adopted(own)


def test_a_path_that_the_file_cannot_hold_is_refused(own: Directories, tmp_path: Path) -> None:
    layout = Layout(config_dir=tmp_path / 'a"b', work_dir=tmp_path, logs_dir=tmp_path)
    with pytest.raises(StorageError, match="cannot hold"):
        write_adopted(own.config_dir / ADOPTED, layout)
    assert not (own.config_dir / ADOPTED).exists()
