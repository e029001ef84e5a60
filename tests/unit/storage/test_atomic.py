from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest

from acmectl.errors import StorageError
from acmectl.storage import atomic
from acmectl.storage.atomic import Permissions, make_dir, remove_tree, stage_file, telling, write_file


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_new_file_obeys_the_umask(tmp_path: Path) -> None:
    os.umask(0o077)
    write_file(tmp_path / "f", b"x")
    assert mode_of(tmp_path / "f") == 0o600


def test_exact_permissions_do_not_obey_the_umask(tmp_path: Path) -> None:
    os.umask(0o077)
    write_file(tmp_path / "f", b"x", permissions=Permissions(mode=0o640))
    assert mode_of(tmp_path / "f") == 0o640


def test_a_secret_has_no_wider_mode_while_it_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    modes = []
    real_write = os.write

    def watching_write(descriptor: int, data: bytes) -> int:
        modes.append(stat.S_IMODE(os.fstat(descriptor).st_mode))
        return real_write(descriptor, data)

    os.umask(0)
    monkeypatch.setattr(os, "write", watching_write)
    write_file(tmp_path / "key", b"secret", permissions=Permissions(mode=0o644))
    assert modes == [0o600]


def test_a_file_is_replaced_and_nothing_else_is_left(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"old")
    write_file(tmp_path / "f", b"new")
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == {"f": b"new"}


def test_a_link_at_the_place_of_a_file_is_replaced_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_bytes(b"theirs")
    (tmp_path / "f").symlink_to("elsewhere")
    write_file(tmp_path / "f", b"ours")
    assert not (tmp_path / "f").is_symlink()
    assert (tmp_path / "elsewhere").read_bytes() == b"theirs"


def test_a_link_planted_under_the_temporary_name_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_bytes(b"theirs")
    (tmp_path / "f.new").symlink_to("elsewhere")
    stage_file(tmp_path / "f", b"ours", temporary=tmp_path / "f.new")
    assert (tmp_path / "elsewhere").read_bytes() == b"theirs"
    assert (tmp_path / "f.new").read_bytes() == b"ours"


@pytest.mark.parametrize("call", ["write", "fsync", "rename"])
def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    (tmp_path / "f").write_bytes(b"old")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, call, full)
    with (
        pytest.raises(StorageError, match=r"^Cannot write it: No space left on device\.$") as caught,
        telling("write it"),
    ):
        write_file(tmp_path / "f", b"new")
    assert caught.value.hint
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == {"f": b"old"}


def test_a_short_write_is_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real_write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: real_write(descriptor, bytes(data)[:3]))
    write_file(tmp_path / "f", b"0123456789")
    assert (tmp_path / "f").read_bytes() == b"0123456789"


def test_group_bits_are_withheld_where_the_group_cannot_be_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "fchown", refuse)
    write_file(tmp_path / "key", b"x", permissions=Permissions(mode=0o644, gid=54321))
    assert mode_of(tmp_path / "key") == 0o604


def test_missing_parents_are_made(tmp_path: Path) -> None:
    assert make_dir(tmp_path / "a" / "b" / "c", 0o700)
    assert [mode_of(tmp_path / p) for p in ("a", "a/b", "a/b/c")] == [0o755, 0o755, 0o700]
    assert not make_dir(tmp_path / "a" / "b" / "c", 0o700)


def test_a_place_where_nothing_can_be_made_is_an_error() -> None:
    with pytest.raises(OSError, match="/proc"):
        make_dir("/proc/no-such-folder/a/b", 0o700)


def test_an_exact_directory_does_not_obey_the_umask(tmp_path: Path) -> None:
    os.umask(0o077)
    make_dir(tmp_path / "work", 0o755, exact=True)
    assert mode_of(tmp_path / "work") == 0o755


def test_a_file_in_the_place_of_a_directory_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    with pytest.raises(StorageError, match="Not a directory"), telling("create it"):
        make_dir(tmp_path / "a", 0o700)
    with pytest.raises(StorageError, match="Not a directory"), telling("create it"):
        make_dir(tmp_path / "a" / "b", 0o700)


def test_a_tree_is_removed_without_following_links(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").touch()
    inside = tmp_path / "tree"
    (inside / "sub").mkdir(parents=True)
    (inside / "sub" / "file").touch()
    (inside / "link").symlink_to(outside)
    remove_tree(inside)
    assert not inside.exists()
    assert (outside / "precious").exists()


def test_a_tree_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "precious").touch()
    (tmp_path / "link").symlink_to("real")
    with pytest.raises(OSError, match="Not a directory"):
        remove_tree(tmp_path / "link")
    assert (tmp_path / "real" / "precious").exists()


def test_a_directory_that_cannot_be_synced_is_taken_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unsupported(_: int) -> None:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

    monkeypatch.setattr(os, "fsync", unsupported)
    atomic.fsync_dir(tmp_path)


def test_a_large_file_is_read_whole_up_to_the_limit(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"x" * 200_000)
    assert atomic.read_file(tmp_path / "f") == b"x" * 200_000
    with pytest.raises(OSError, match="too large"):
        atomic.read_file(tmp_path / "f", 100_000)
