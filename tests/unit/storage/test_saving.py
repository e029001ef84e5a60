"""Writing lineages that are laid out otherwise than usual, and writing where the disk refuses."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from acmectl.errors import StorageError
from acmectl.storage import archive, atomic
from acmectl.storage.layout import KINDS, Layout
from acmectl.storage.lineages import LineageStore
from tests.unit.storage.material import issue, linked, tree, version_files


def test_a_custom_archive_directory_is_honoured(store: LineageStore, layout: Layout, tmp_path: Path) -> None:
    issue(store, "a.test")
    elsewhere = tmp_path / "elsewhere"
    layout.archive("a.test").rename(elsewhere)
    conf = layout.renewal_conf("a.test")
    conf.write_text(conf.read_text().replace(str(layout.archive("a.test")), str(elsewhere)))
    for kind in KINDS:
        link = layout.live("a.test") / f"{kind}.pem"
        link.unlink()
        link.symlink_to(elsewhere / f"{kind}1.pem")
    store.activate("a.test", store.save("a.test", version_files("a.test", serial=2)))
    assert linked(store, "a.test") == {kind: f"{elsewhere}/{kind}2.pem" for kind in KINDS}
    assert store.get("a.test").read_all() == version_files("a.test", serial=2)
    assert not layout.archive("a.test").exists()


def test_live_links_elsewhere_are_switched_where_they_are(store: LineageStore, layout: Layout, tmp_path: Path) -> None:
    issue(store, "a.test")
    moved = tmp_path / "srv" / "tls"
    moved.mkdir(parents=True)
    conf = layout.renewal_conf("a.test")
    for kind in KINDS:
        (moved / f"my-{kind}.pem").symlink_to(layout.archive("a.test") / f"{kind}1.pem")
        conf.write_text(conf.read_text().replace(f"{layout.live('a.test')}/{kind}.pem", f"{moved}/my-{kind}.pem"))
    (moved / "theirs").touch()
    store.activate("a.test", store.save("a.test", version_files("a.test", serial=2)))
    assert store.get("a.test").read_all() == version_files("a.test", serial=2)
    assert {p.name for p in moved.iterdir()} == {"theirs", *(f"my-{kind}.pem" for kind in KINDS)}
    assert store.open("a.test").healed == ()


@pytest.mark.parametrize("moved", ["live", "archive"])
def test_a_tree_behind_an_administrators_link_keeps_working(
    store: LineageStore, layout: Layout, tmp_path: Path, moved: str
) -> None:
    real = tmp_path / "disk" / "deep" / moved
    real.mkdir(parents=True)
    (layout.config_dir / moved).symlink_to(real)
    issue(store, "a.test", versions=2)
    assert store.get("a.test").read_all() == version_files("a.test", serial=2)


def test_a_full_disk_while_saving_leaves_nothing_of_the_version(
    store: LineageStore, layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    issue(store, "a.test")
    before = tree(layout.config_dir)
    real_write = os.write
    calls = []

    def fill_up(descriptor: int, data: bytes) -> int:
        calls.append(descriptor)
        if len(calls) == 3:
            raise OSError(28, os.strerror(28))
        return real_write(descriptor, data)

    monkeypatch.setattr(os, "write", fill_up)
    with pytest.raises(StorageError, match="No space left on device"):
        store.save("a.test", version_files("a.test", serial=2))
    assert tree(layout.config_dir) == before


def test_a_first_save_that_fails_leaves_no_directory(
    store: LineageStore, layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(archive, "stage_file", fail)
    with pytest.raises(StorageError):
        store.save("a.test", version_files("a.test"))
    assert not layout.archive("a.test").exists()


def test_a_conf_that_cannot_be_written_leaves_the_old_one(
    store: LineageStore, layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    issue(store, "a.test")
    before = tree(layout.config_dir)

    def fail(*_: object) -> None:
        raise OSError(5, os.strerror(5))

    monkeypatch.setattr(os, "rename", fail)
    with pytest.raises(StorageError, match=r"Cannot write .*a\.test\.conf: Input/output error\."):
        store.update_own("a.test", {"x": 1})
    assert tree(layout.config_dir) == before


def test_own_values_are_set_and_removed(store: LineageStore) -> None:
    issue(store, "a.test")
    store.update_own("a.test", {"deploy_owed": 1, "pinned": 1})
    store.update_own("a.test", {"deploy_owed": None})
    assert store.get("a.test").conf.own == {"pinned": 1}
    assert store.get("a.test").pinned == 1


def test_temporary_names_are_never_a_lineage(store: LineageStore) -> None:
    issue(store, "a.test")
    assert not any(atomic.is_temporary(name) for name in store.names())
