from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from acmectl.errors import StorageError
from acmectl.storage.directories import prepare_directories
from acmectl.storage.layout import Layout


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(config_dir=tmp_path / "a" / "config", work_dir=tmp_path / "work", logs_dir=tmp_path / "logs")


def modes(layout: Layout) -> list[int]:
    directories = [layout.config_dir, layout.work_dir, layout.logs_dir]
    directories += [layout.hooks_dir(when) for when in ("pre", "deploy", "post")]
    return [stat.S_IMODE(path.stat().st_mode) for path in directories]


def test_directories_are_made_with_certbots_modes(layout: Layout) -> None:
    prepare_directories(layout)
    assert modes(layout) == [0o755, 0o755, 0o700, 0o755, 0o755, 0o755]
    prepare_directories(layout)


def test_only_the_work_directory_does_not_obey_the_umask(layout: Layout) -> None:
    os.umask(0o077)
    prepare_directories(layout)
    assert modes(layout) == [0o700, 0o755, 0o700, 0o700, 0o700, 0o700]


def test_existing_directories_keep_their_modes(layout: Layout) -> None:
    layout.config_dir.mkdir(parents=True)
    layout.config_dir.chmod(0o711)
    prepare_directories(layout)
    assert stat.S_IMODE(layout.config_dir.stat().st_mode) == 0o711


def test_a_dry_run_makes_no_hook_directories(layout: Layout) -> None:
    prepare_directories(layout, hooks=False)
    assert not layout.hooks_root.exists()


def test_strict_permissions_accept_what_was_just_made(layout: Layout) -> None:
    prepare_directories(layout, strict=True)
    layout.logs_dir.chmod(0o755)
    with pytest.raises(StorageError, match=r"logs must have mode 0700"):
        prepare_directories(layout, strict=True)


@pytest.mark.usefixtures("root")
def test_strict_permissions_refuse_another_users_directory(layout: Layout) -> None:
    prepare_directories(layout)
    os.chown(layout.config_dir, 54321, -1)
    prepare_directories(layout)
    with pytest.raises(StorageError, match="belong to user 0"):
        prepare_directories(layout, strict=True)


def test_a_file_in_the_way_is_one_clear_line(layout: Layout) -> None:
    layout.work_dir.touch()
    with pytest.raises(StorageError, match=r"^Cannot create .*/work: Not a directory\.$"):
        prepare_directories(layout)
