from __future__ import annotations

import errno
import os
import stat
import subprocess
import threading
from pathlib import Path

import pytest

from acmectl.errors import LineageDamaged, StorageError
from acmectl.storage import exchange, switch
from acmectl.storage.layout import KINDS, Layout
from acmectl.storage.lineages import LineageStore
from tests.integration.servers.requirements import not_run
from tests.unit.storage.material import issue, linked, tree, version_files


@pytest.fixture
def no_exchange(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(first: str, second: str) -> None:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

    monkeypatch.setattr(switch, "exchange", refuse)


def renew(store: LineageStore, serial: int) -> None:
    store.activate("a.test", store.save("a.test", version_files("a.test", serial=serial)))


def test_two_directories_are_swapped_by_the_system(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).touch()
    exchange.exchange(str(tmp_path / "one"), str(tmp_path / "two"))
    assert os.listdir(tmp_path / "one") == ["two"]
    assert os.listdir(tmp_path / "two") == ["one"]


def test_a_refused_swap_is_an_error_of_the_system(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        exchange.exchange(str(tmp_path / "one"), str(tmp_path / "two"))


def test_the_switch_is_one_exchange_of_directories(store: LineageStore, layout: Layout) -> None:
    issue(store, "a.test")
    before = layout.live("a.test").stat().st_ino
    renew(store, 2)
    assert layout.live("a.test").stat().st_ino != before
    assert linked(store, "a.test") == {kind: f"../../archive/a.test/{kind}2.pem" for kind in KINDS}
    assert sorted(p.name for p in layout.live_root.iterdir()) == ["README", "a.test"]


def dress_up(layout: Layout) -> None:
    """Give the live directory everything that an administrator may have put on it and in it."""
    live = layout.live("a.test")
    (live / "README").write_text("theirs")
    (live / "combined.pem").write_text("theirs too")
    (live / "combined.pem").chmod(0o640)
    (live / "link").symlink_to("combined.pem")
    os.link(live / "combined.pem", layout.config_dir / "hard")
    if os.geteuid() == 0:
        os.chown(live, 54321, 54322)
        os.chown(live / "combined.pem", 54323, 54324)
        os.chown(live / "cert.pem", 54325, 54326, follow_symlinks=False)
    live.chmod(0o2750)
    os.setxattr(live, "user.note", b"theirs")


def dress_of(layout: Layout) -> dict[str, object]:
    live = layout.live("a.test")
    found: dict[str, object] = {"": (live.stat().st_mode, live.stat().st_uid, live.stat().st_gid)}
    found["note"] = os.getxattr(live, "user.note")
    for path in live.iterdir():
        status = path.lstat()
        found[path.name] = (status.st_mode, status.st_uid, status.st_gid)
        if path.name not in {f"{kind}.pem" for kind in KINDS}:
            found[path.name + " content"] = path.read_bytes()
    return found


def test_the_exchange_carries_over_owner_mode_attributes_and_other_files(store: LineageStore, layout: Layout) -> None:
    issue(store, "a.test")
    dress_up(layout)
    before = dress_of(layout)
    inode = layout.live("a.test").stat().st_ino
    renew(store, 2)
    assert layout.live("a.test").stat().st_ino != inode
    assert dress_of(layout) == before
    assert (layout.live("a.test") / "combined.pem").samefile(layout.config_dir / "hard")


def test_access_control_lists_are_carried_over(store: LineageStore, layout: Layout) -> None:
    issue(store, "a.test")
    # Version 2; owner rwx, user 54321 r-x, group r-x, mask r-x, others none.
    entries = [(1, 7, -1), (2, 5, 54321), (4, 5, -1), (16, 5, -1), (32, 0, -1)]
    acl = (2).to_bytes(4, "little") + b"".join(
        tag.to_bytes(2, "little") + permission.to_bytes(2, "little") + (who & 0xFFFFFFFF).to_bytes(4, "little")
        for tag, permission, who in entries
    )
    try:
        os.setxattr(layout.live("a.test"), "system.posix_acl_access", acl)
    except OSError:
        not_run("this file system has no access control lists")
    renew(store, 2)
    assert os.getxattr(layout.live("a.test"), "system.posix_acl_access") == acl


def test_a_directory_with_more_than_files_in_it_keeps_all_of_it(store: LineageStore, layout: Layout) -> None:
    issue(store, "a.test")
    (layout.live("a.test") / "sub").mkdir()
    (layout.live("a.test") / "sub" / "theirs").touch()
    inode = layout.live("a.test").stat().st_ino
    renew(store, 2)
    assert layout.live("a.test").stat().st_ino == inode, "a directory in it cannot be carried over in one step"
    assert (layout.live("a.test") / "sub" / "theirs").exists()
    assert store.get("a.test").version == 2
    assert sorted(p.name for p in layout.live_root.iterdir()) == ["README", "a.test"]


def test_where_no_exchange_is_to_be_had_the_links_are_renamed_over(
    store: LineageStore, layout: Layout, no_exchange: None
) -> None:
    issue(store, "a.test")
    dress_up(layout)
    before = dress_of(layout)
    inode = layout.live("a.test").stat().st_ino
    renew(store, 2)
    assert layout.live("a.test").stat().st_ino == inode
    assert dress_of(layout) == before
    assert linked(store, "a.test") == {kind: f"../../archive/a.test/{kind}2.pem" for kind in KINDS}
    assert sorted(p.name for p in layout.live_root.iterdir()) == ["README", "a.test"]


def test_the_links_are_renamed_key_first_and_fullchain_last(
    store: LineageStore, no_exchange: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    issue(store, "a.test")
    number = store.save("a.test", version_files("a.test", serial=2))
    renamed = []
    real_rename = os.rename

    def noting(source: str, target: str) -> None:
        renamed.append(os.path.basename(target))
        real_rename(source, target)

    monkeypatch.setattr(os, "rename", noting)
    store.activate("a.test", number)
    assert renamed == ["privkey.pem", "cert.pem", "chain.pem", "fullchain.pem"]


@pytest.mark.usefixtures("root")
@pytest.mark.parametrize("readme", [True, False])
def test_a_live_directory_that_is_a_mount_point_is_switched(store: LineageStore, layout: Layout, readme: bool) -> None:
    issue(store, "a.test")
    if not readme:
        # With nothing to carry over, only the exchange itself is refused.
        (layout.live("a.test") / "README").unlink()
    live = str(layout.live("a.test"))
    if subprocess.run(["mount", "--bind", live, live], capture_output=True).returncode:
        not_run("mounting is not allowed here")
    try:
        renew(store, 2)
        assert store.get("a.test").version == 2
        assert sorted(p.name for p in layout.live_root.iterdir()) == ["README", "a.test"]
    finally:
        subprocess.run(["umount", live], check=True)
    assert store.get("a.test").read_all() == version_files("a.test", serial=2)


def test_a_live_directory_that_is_a_link_stays_one(store: LineageStore, layout: Layout, tmp_path: Path) -> None:
    issue(store, "a.test")
    elsewhere = tmp_path / "far" / "away" / "a.test"
    elsewhere.parent.mkdir(parents=True)
    layout.live("a.test").rename(elsewhere)
    layout.live("a.test").symlink_to(elsewhere)
    for kind in KINDS:
        (elsewhere / f"{kind}.pem").unlink()
        (elsewhere / f"{kind}.pem").symlink_to(layout.archive("a.test") / f"{kind}1.pem")
    renew(store, 2)
    assert layout.live("a.test").is_symlink()
    assert store.get("a.test").read_all() == version_files("a.test", serial=2)


def test_a_file_in_the_place_of_a_link_is_not_overwritten(store: LineageStore, layout: Layout) -> None:
    issue(store, "a.test")
    number = store.save("a.test", version_files("a.test", serial=2))
    path = layout.live("a.test") / "privkey.pem"
    path.unlink()
    path.write_text("precious")
    before = tree(layout.live_root)
    with pytest.raises(LineageDamaged, match=r"privkey\.pem is not a symbolic link"):
        store.activate("a.test", number)
    assert tree(layout.live_root) == before


def test_a_file_that_comes_while_the_directories_are_swapped_is_not_lost(
    store: LineageStore, layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    issue(store, "a.test")
    real_exchange = switch.exchange

    def meanwhile(first: str, second: str) -> None:
        (layout.live("a.test") / "late").write_text("theirs")
        real_exchange(first, second)

    monkeypatch.setattr(switch, "exchange", meanwhile)
    renew(store, 2)
    assert (layout.live("a.test") / "late").read_text() == "theirs"
    assert sorted(p.name for p in layout.live_root.iterdir()) == ["README", "a.test"]


def test_an_error_while_the_next_directory_is_built_leaves_the_old_one_live(
    store: LineageStore, layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    issue(store, "a.test")
    number = store.save("a.test", version_files("a.test", serial=2))
    before = tree(layout.live_root)

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    for call in ("symlink", "link", "mkdir"):
        with monkeypatch.context() as patched:
            patched.setattr(os, call, full)
            with pytest.raises(StorageError, match="No space left"):
                store.activate("a.test", number)
        assert tree(layout.live_root) == before


def test_a_reader_never_sees_half_a_switch(store: LineageStore, layout: Layout) -> None:
    issue(store, "a.test")
    versions = {version_files("a.test", serial=serial).fullchain for serial in range(1, 15)}
    stop = threading.Event()
    seen: list[bytes] = []
    failures: list[OSError] = []

    def read() -> None:
        while not stop.is_set():
            try:
                seen.append((layout.live("a.test") / "fullchain.pem").read_bytes())
            except OSError as error:
                failures.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for serial in range(2, 15):
            renew(store, serial)
    finally:
        stop.set()
        reader.join()
    assert failures == []
    assert seen
    assert set(seen) <= versions


def test_the_readme_explains_the_four_files(store: LineageStore, layout: Layout) -> None:
    issue(store, "a.test")
    text = (layout.live("a.test") / "README").read_text()
    assert all(f"{kind}.pem" in text for kind in KINDS)
    assert stat.S_IMODE((layout.live("a.test") / "README").stat().st_mode) == 0o644
