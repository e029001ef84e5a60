from __future__ import annotations

import os

import pytest

from acmectl.errors import StorageError
from acmectl.storage import healing
from acmectl.storage.layout import KINDS, Layout
from acmectl.storage.lineage import BrokenLineage, Lineage
from acmectl.storage.lineages import LineageStore
from acmectl.storage.renewal_conf import RenewalConf
from tests.unit.storage.material import PARAMS, issue, linked, tree, version_files

NAME = "a.test"


def point(layout: Layout, kind: str, number: int) -> None:
    link = layout.live(NAME) / f"{kind}.pem"
    link.unlink(missing_ok=True)
    link.symlink_to(f"../../archive/{NAME}/{kind}{number}.pem")


def versions(store: LineageStore) -> set[str]:
    return {target.removesuffix(".pem")[-1] for target in linked(store, NAME).values()}


def sound(store: LineageStore, number: int) -> bool:
    lineage = store.get(NAME)
    return lineage.version == number and lineage.read_all() == version_files(NAME, serial=number)


def test_a_whole_lineage_needs_no_healing_and_is_not_touched(store: LineageStore, layout: Layout) -> None:
    issue(store, NAME, versions=3)
    before = tree(layout.config_dir)
    assert store.heal(NAME) == []
    (opened,) = store.open_all()
    assert opened.healed == ()
    assert isinstance(opened.lineage, Lineage)
    assert not healing.needs_healing(opened.lineage)
    assert tree(layout.config_dir) == before


def test_a_saved_version_that_never_went_live_goes_live(store: LineageStore) -> None:
    issue(store, NAME)
    store.save(NAME, version_files(NAME, serial=2))
    (opened,) = store.open_all()
    assert opened.healed == ("version 2, which an earlier run had saved, is now live",)
    assert isinstance(opened.lineage, Lineage)
    assert opened.lineage.version == 2
    assert sound(store, 2)
    assert store.heal(NAME) == []


def test_a_pinned_version_stays_live(store: LineageStore) -> None:
    issue(store, NAME)
    store.update_own(NAME, {"pinned": 1})
    store.save(NAME, version_files(NAME, serial=2))
    assert store.open(NAME).healed == ()
    assert [opened.healed for opened in store.open_all()] == [()]
    assert sound(store, 1)


def test_a_pinned_version_is_gone_back_to(store: LineageStore) -> None:
    issue(store, NAME, versions=3)
    store.update_own(NAME, {"pinned": 2})
    (opened,) = store.open_all()
    assert len(opened.healed) == 1
    assert sound(store, 2)


@pytest.mark.parametrize("moved", range(1, 4))
def test_a_switch_of_single_links_is_rolled_forward(store: LineageStore, layout: Layout, moved: int) -> None:
    issue(store, NAME)
    store.save(NAME, version_files(NAME, serial=2))
    for kind in KINDS[:moved]:
        point(layout, kind, 2)
    assert store.get(NAME).is_switching
    assert len(store.heal(NAME)) == 1
    assert sound(store, 2)


def test_links_that_differ_come_together_at_the_newest_whole_version(store: LineageStore, layout: Layout) -> None:
    issue(store, NAME, versions=3)
    point(layout, "privkey", 1)
    store.heal(NAME)
    assert sound(store, 3)


@pytest.mark.parametrize("torn", KINDS)
def test_an_incomplete_version_never_goes_live_and_does_not_block_the_next(
    store: LineageStore, layout: Layout, torn: str
) -> None:
    issue(store, NAME)
    store.save(NAME, version_files(NAME, serial=2))
    (layout.archive(NAME) / f"{torn}2.pem").unlink()
    assert store.heal(NAME) == []
    assert sound(store, 1)
    assert store.save(NAME, version_files(NAME, serial=3)) == 3
    store.heal(NAME)
    assert versions(store) == {"3"}


@pytest.mark.parametrize("torn", KINDS)
def test_a_version_with_a_torn_file_never_goes_live(store: LineageStore, layout: Layout, torn: str) -> None:
    issue(store, NAME)
    store.save(NAME, version_files(NAME, serial=2))
    path = layout.archive(NAME) / f"{torn}2.pem"
    path.write_bytes(path.read_bytes()[:40])
    assert store.heal(NAME) == []
    assert sound(store, 1)


def test_a_torn_version_does_not_hide_a_whole_one_below_it(store: LineageStore, layout: Layout) -> None:
    issue(store, NAME)
    for serial in (2, 3):
        store.save(NAME, version_files(NAME, serial=serial))
    (layout.archive(NAME) / "fullchain3.pem").write_bytes(b"")
    store.heal(NAME)
    assert sound(store, 2)


def half_done_by_certbot(layout: Layout, state: str) -> None:
    """The live directory as certbot leaves it when it dies in its switch from version 1 to version 2."""
    live = layout.live(NAME)
    for kind in KINDS:
        (live / f"previous_{kind}.pem").symlink_to(f"../../archive/{NAME}/{kind}1.pem")
    if state == "noting":
        (live / "previous_fullchain.pem").unlink()
    if state in {"one missing", "some moved"}:
        (live / "cert.pem").unlink()
    if state == "some moved":
        point(layout, "cert", 2)
        point(layout, "privkey", 2)
    if state in {"all moved", "forgetting"}:
        for kind in KINDS:
            point(layout, kind, 2)
    if state == "forgetting":
        (live / "previous_cert.pem").unlink()


@pytest.mark.parametrize("state", ["noting", "noted", "one missing", "some moved", "all moved", "forgetting"])
@pytest.mark.parametrize("whole", [True, False])
def test_a_switch_that_certbot_did_not_finish_ends_at_one_version(
    store: LineageStore, layout: Layout, state: str, whole: bool
) -> None:
    issue(store, NAME)
    store.save(NAME, version_files(NAME, serial=2))
    half_done_by_certbot(layout, state)
    if not whole and state != "forgetting":
        (layout.archive(NAME) / "chain2.pem").write_bytes(b"")
    (opened,) = store.open_all()
    assert opened.healed
    assert isinstance(opened.lineage, Lineage)
    assert sound(store, 2 if whole or state == "forgetting" else 1)
    assert not [p for p in layout.live(NAME).iterdir() if p.name.startswith("previous_")]


def test_a_stale_new_file_of_the_configuration_is_removed(store: LineageStore, layout: Layout) -> None:
    issue(store, NAME)
    stale = layout.renewal_root / f"{NAME}.conf.new"
    stale.write_bytes(b"torn")
    (opened,) = store.open_all()
    assert len(opened.healed) == 1
    assert str(stale) in opened.healed[0]
    assert not stale.exists()


def test_remains_of_a_switch_are_removed(store: LineageStore, layout: Layout) -> None:
    issue(store, NAME)
    remains = layout.live_root / f".acmectl.{NAME}"
    remains.mkdir()
    (remains / "cert.pem").symlink_to("../../archive/a.test/cert2.pem")
    os.link(layout.live(NAME) / "README", remains / "README")
    (layout.live(NAME) / ".acmectl-0123456789ab.tmp").symlink_to("x")
    (layout.archive(NAME) / ".acmectl-0123456789ab.tmp").write_bytes(b"half a key")
    assert len(store.open(NAME).healed) == 3
    assert not remains.exists()
    assert not list(layout.config_dir.rglob(".acmectl*"))
    assert (layout.live(NAME) / "README").exists()
    assert sound(store, 1)


def test_a_file_that_only_the_old_directory_has_comes_back(store: LineageStore, layout: Layout) -> None:
    issue(store, NAME)
    remains = layout.live_root / f".acmectl.{NAME}"
    (remains / "sub").mkdir(parents=True)
    (remains / "sub" / "theirs").touch()
    (remains / "late").write_text("theirs")
    store.heal(NAME)
    assert (layout.live(NAME) / "late").read_text() == "theirs"
    assert (layout.live(NAME) / "sub" / "theirs").exists()
    assert not remains.exists()


def test_a_first_certificate_that_never_went_live_goes_live(store: LineageStore, layout: Layout) -> None:
    store.save(NAME, version_files(NAME))
    store.write_conf(NAME, RenewalConf(params=PARAMS))
    remains = layout.live_root / f".acmectl.{NAME}"
    remains.mkdir(parents=True)
    (remains / "cert.pem").symlink_to("../../archive/a.test/cert1.pem")
    assert [type(lineage) for lineage in store.all()] == [BrokenLineage]
    (opened,) = store.open_all()
    assert isinstance(opened.lineage, Lineage)
    assert sound(store, 1)
    assert not list(layout.config_dir.rglob(".acmectl*"))


def test_a_file_in_the_place_of_a_link_is_left_alone(store: LineageStore, layout: Layout) -> None:
    issue(store, NAME)
    store.save(NAME, version_files(NAME, serial=2))
    (layout.live(NAME) / "cert.pem").unlink()
    (layout.live(NAME) / "cert.pem").write_text("precious")
    opened = store.open(NAME)
    assert isinstance(opened.lineage, BrokenLineage)
    assert "not a symbolic link" in opened.lineage.reason
    assert (layout.live(NAME) / "cert.pem").read_text() == "precious"


def test_a_broken_configuration_is_left_alone(store: LineageStore, layout: Layout) -> None:
    issue(store, NAME)
    layout.renewal_conf(NAME).write_bytes(b"[[[")
    before = tree(layout.config_dir)
    assert store.heal(NAME) == []
    assert isinstance(store.open(NAME).lineage, BrokenLineage)
    assert tree(layout.config_dir) == before


def test_what_the_disk_refuses_is_a_clear_error_and_hides_no_other_lineage(
    store: LineageStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    issue(store, NAME)
    issue(store, "b.test")
    store.save(NAME, version_files(NAME, serial=2))

    def fail(*_: object, **__: object) -> None:
        raise OSError(30, os.strerror(30))

    monkeypatch.setattr(os, "mkdir", fail)
    with pytest.raises(StorageError, match="Read-only file system"):
        store.heal(NAME)
    assert [type(opened.lineage) for opened in store.open_all()] == [BrokenLineage, Lineage]
    assert sound(store, 1)


def test_a_lineage_that_does_not_exist_heals_to_nothing(store: LineageStore) -> None:
    assert store.heal("nobody.test") == []
