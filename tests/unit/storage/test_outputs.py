"""Result files outside the tree: whole or not there, never over another."""

import os

import pytest

from acmectl.errors import StorageError
from acmectl.storage.outputs import check_free, write_new


def test_files_appear_whole_with_their_directories(tmp_path):
    os.umask(0o022)
    first, second = tmp_path / "a" / "b" / "one.pem", tmp_path / "two.pem"
    write_new({first: b"one", second: b""})
    assert first.read_bytes() == b"one"
    assert second.read_bytes() == b""
    assert first.stat().st_mode & 0o777 == 0o644
    assert first.stat().st_nlink == 1
    assert sorted(os.listdir(tmp_path)) == ["a", "two.pem"]
    assert os.listdir(first.parent) == ["one.pem"]


def test_a_file_that_came_to_exist_meanwhile_is_left_alone(tmp_path):
    taken = tmp_path / "taken.pem"
    taken.write_bytes(b"mine")
    with pytest.raises(StorageError, match=r"taken\.pem cannot be written: File exists"):
        write_new({tmp_path / "one.pem": b"one", taken: b"two"})
    assert taken.read_bytes() == b"mine"
    assert sorted(os.listdir(tmp_path)) == ["one.pem", "taken.pem"]


def test_where_there_are_no_hard_links_nothing_is_overwritten_either(tmp_path, monkeypatch):
    def refuse(*_args, **_options):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    write_new({tmp_path / "one.pem": b"one"})
    assert (tmp_path / "one.pem").read_bytes() == b"one"
    with pytest.raises(StorageError):
        write_new({tmp_path / "one.pem": b"two"})
    assert (tmp_path / "one.pem").read_bytes() == b"one"
    assert os.listdir(tmp_path) == ["one.pem"]


def test_what_stands_in_the_way_is_named_before(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "dangling").symlink_to("nowhere")
    check_free([tmp_path / "free", tmp_path / "new" / "free"])
    for path, words in [
        ("file", "exists already"),
        ("dangling", "exists already"),
        ("file/below", "is not a directory"),
        ("dangling/below", "is not a directory"),
    ]:
        with pytest.raises(StorageError, match=words):
            check_free([tmp_path / path])
    with pytest.raises(StorageError, match="two files"):
        check_free([tmp_path / "x", tmp_path / "x"])
