"""Files outside the tree that replace their own predecessors: for whom, in one step, and where no link leads astray."""

from __future__ import annotations

import errno
import os
import struct
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from acmectl.errors import StorageError
from acmectl.storage.exports import Access, check_place, give, read_output, write
from tests.integration.servers.requirements import not_run

PEM = (b"-----BEGIN ",)
NOBODY = 65534


@pytest.fixture(autouse=True)
def _umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o7777


def test_a_file_is_replaced_whole_and_is_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "site.pem"
    write(path, b"one", Access())
    path.chmod(0o666)
    with path.open("rb") as before:
        write(path, b"two", Access())
        assert before.read() == b"one"
    assert (path.read_bytes(), mode(path)) == (b"two", 0o600)
    assert os.listdir(tmp_path) == ["site.pem"]


@pytest.mark.usefixtures("root")
def test_owner_group_and_mode_are_exact(tmp_path: Path) -> None:
    path = tmp_path / "site.pem"
    access = Access(uid=NOBODY, gid=NOBODY, mode=0o440)
    write(path, b"one", access)
    status = path.stat()
    assert (status.st_uid, status.st_gid, mode(path)) == (NOBODY, NOBODY, 0o440)
    assert access.fits(status)
    assert not Access(uid=0).fits(status)
    assert not Access(gid=0).fits(status)
    assert not Access(mode=0o400).fits(status)


def in_child(attempt: Callable[[], int]) -> int:
    """The exit status of a process in which ``attempt`` runs; 99 for an exception."""
    pid = os.fork()
    if pid == 0:
        status = 99
        try:
            status = attempt()
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@pytest.mark.usefixtures("root")
def test_an_owner_that_cannot_be_given_is_an_error_and_leaves_the_old_file() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o777)
        path = folder / "site.pem"
        write(path, b"one", Access())

        def by_nobody() -> int:
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
            for access in (Access(uid=0), Access(gid=0)):
                with pytest.raises(StorageError, match="Operation not permitted"):
                    write(path, b"two", access)
            return 0

        assert in_child(by_nobody) == 0
        assert path.read_bytes() == b"one"
        assert os.listdir(folder) == ["site.pem"]


def default_acl(folder: Path, user: int) -> None:
    """Have files made in ``folder`` give ``user`` all that their group bits allow (acl(5))."""
    nobody = 0xFFFFFFFF
    entries = ((0x01, 7, nobody), (0x02, 7, user), (0x04, 0, nobody), (0x10, 7, nobody), (0x20, 0, nobody))
    text = struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)
    try:
        os.setxattr(folder, "system.posix_acl_default", text)
    except OSError as error:
        not_run(f"this file system has no access control lists: {error.strerror}")


@pytest.mark.usefixtures("root")
def test_a_folders_access_control_list_gives_the_key_to_nobody() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        default_acl(folder, NOBODY)
        path = folder / "site.pem"
        write(path, b"one", Access(gid=0, mode=0o640))

        def by_nobody() -> int:
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
            with pytest.raises(PermissionError):
                path.read_bytes()
            return 0

        assert in_child(by_nobody) == 0
        assert mode(path) == 0o640


def test_what_a_killed_run_left_goes_with_the_next_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "site.pem"

    def killed() -> int:
        monkeypatch.setattr(os, "rename", lambda *_args, **_options: os._exit(7))
        write(path, b"secret", Access())
        return 0

    assert in_child(killed) == 7
    (left,) = os.listdir(tmp_path)
    assert left.startswith(".acmectl-")
    assert mode(tmp_path / left) == 0o600
    write(path, b"two", Access())
    assert os.listdir(tmp_path) == ["site.pem"]


def test_what_the_timers_service_has_closed_is_told_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def closed(*_args: object, **_options: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(os, "rename", closed)
    with pytest.raises(StorageError, match="Read-only file system") as caught:
        write(tmp_path / "site.pem", b"one", Access())
    assert "acmectl enable-timer" in (caught.value.hint or "")
    assert os.listdir(tmp_path) == []


def test_the_file_itself_is_never_a_link(tmp_path: Path) -> None:
    target, path = tmp_path / "target", tmp_path / "site.pem"
    target.write_bytes(b"mine")
    path.symlink_to(target)
    for attempt in (lambda: check_place(path, PEM), lambda: write(path, b"x", Access())):
        with pytest.raises(StorageError, match="is a symbolic link"):
            attempt()
    assert target.read_bytes() == b"mine"
    assert path.is_symlink()


def test_links_of_our_own_on_the_way_are_followed(tmp_path: Path) -> None:
    (tmp_path / "real" / "deep").mkdir(parents=True)
    (tmp_path / "absolute").symlink_to(tmp_path / "real")
    (tmp_path / "real" / "back").symlink_to("../real/./deep")
    path = tmp_path / "absolute" / "back" / "site.pem"
    check_place(path, PEM)
    write(path, b"one", Access())
    assert (tmp_path / "real" / "deep" / "site.pem").read_bytes() == b"one"
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(StorageError, match="Too many levels"):
        write(tmp_path / "loop" / "site.pem", b"x", Access())


@pytest.mark.usefixtures("root")
def test_a_link_that_somebody_else_has_made_leads_nowhere(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "home").symlink_to("etc")
    os.lchown(tmp_path / "home", NOBODY, NOBODY)
    for attempt in (check_place, lambda path, _marks: write(path, b"x", Access())):
        with pytest.raises(StorageError, match="a symbolic link that somebody else has made"):
            attempt(tmp_path / "home" / "site.pem", PEM)
    assert os.listdir(tmp_path / "etc") == []


@pytest.mark.usefixtures("root")
def test_a_link_that_is_exchanged_while_it_is_looked_at_leads_nowhere_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("mine", "etc"):
        (tmp_path / name).mkdir()
    way = tmp_path / "way"
    way.symlink_to("mine")
    readlink: Callable[..., str] = os.readlink

    def too_late(*args: Any, **options: Any) -> str:
        way.unlink(missing_ok=True)
        way.symlink_to("etc")
        os.lchown(way, NOBODY, NOBODY)
        return readlink(*args, **options)

    monkeypatch.setattr(os, "readlink", too_late)
    write(way / "site.pem", b"one", Access())
    assert os.listdir(tmp_path / "etc") == []
    assert (tmp_path / "mine" / "site.pem").read_bytes() == b"one"


def test_what_takes_a_files_name_while_it_is_looked_at_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "site.pem"
    path.write_bytes(PEM[0])
    (tmp_path / "secret").write_bytes(b"root:x:0:0")
    opened = os.open

    def late(name: str, flags: int, *args: int, **options: int) -> int:
        if name in {str(path), path.name}:
            path.unlink()
            path.symlink_to("secret")
        return opened(name, flags, *args, **options)

    monkeypatch.setattr(os, "open", late)
    with pytest.raises(StorageError, match="cannot be read: Too many levels of symbolic links"):
        check_place(path, PEM)


def test_only_files_of_the_same_kind_are_written_over(tmp_path: Path) -> None:
    path = tmp_path / "site.pem"
    check_place(path, PEM)
    for content in (b"", b"-----BEGIN CERTIFICATE-----", b"# a remark\n-----BEGIN CERTIFICATE-----"):
        path.write_bytes(content)
        check_place(path, PEM)
    path.write_bytes(b"root:x:0:0")
    with pytest.raises(StorageError, match="holds something else"):
        check_place(path, PEM)
    check_place(path, (b"root",))
    os.mkfifo(tmp_path / "fifo")
    for other in (tmp_path, tmp_path / "fifo"):
        with pytest.raises(StorageError, match="is there and is no file"):
            check_place(other, PEM)
    with pytest.raises(StorageError, match=r"the directory .*/none does not exist"):
        check_place(tmp_path / "none" / "x", PEM)
    with pytest.raises(StorageError, match="Not a directory"):
        check_place(path / "x", PEM)


@pytest.mark.usefixtures("root")
def test_a_file_that_is_there_is_given_away(tmp_path: Path) -> None:
    path, link = tmp_path / "privkey1.pem", tmp_path / "privkey.pem"
    path.write_bytes(b"key")
    path.chmod(0o604)
    link.symlink_to(path)
    give(str(link), Access(uid=NOBODY, gid=NOBODY))
    assert (path.stat().st_uid, path.stat().st_gid, mode(path)) == (NOBODY, NOBODY, 0o604)
    give(str(link), Access(mode=0o640))
    assert (path.stat().st_uid, mode(path)) == (NOBODY, 0o640)
    with pytest.raises(StorageError, match="It is no file"):
        give(str(tmp_path), Access(mode=0o600))


def test_what_is_there_is_read_unless_it_is_no_file(tmp_path: Path) -> None:
    path = tmp_path / "site.pem"
    assert read_output(path) is None
    write(path, b"one", Access())
    found = read_output(path)
    assert found is not None
    assert found[0] == b"one"
    (tmp_path / "link").symlink_to(path)
    assert read_output(tmp_path / "link") is None
    assert read_output(tmp_path) is None
