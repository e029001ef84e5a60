from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from acmectl.errors import LineageNotFound, StorageError
from acmectl.identifiers import Identifier
from acmectl.storage.layout import KINDS, Layout
from acmectl.storage.lineages import LineageStore
from acmectl.storage.pending import PendingOrder, PendingRecord, PendingStore
from tests.unit.storage.material import issue, tree, version_files

NAME = "a.test"


def left(layout: Layout) -> set[str]:
    return {str(p.relative_to(layout.config_dir)) for p in layout.config_dir.rglob("*")}


def pending(layout: Layout) -> None:
    order = PendingOrder(
        order_url="https://ca.test/o/1",
        server="https://ca.test/dir",
        account_url="https://ca.test/a/1",
        identifiers=(Identifier.dns(NAME),),
        profile=None,
        key_request="ecdsa",
        csr_der=b"\x30\x00",
        created=datetime(2026, 11, 21, tzinfo=UTC),
    )
    PendingStore(layout).save(NAME, PendingRecord(order=order, key_pem=b"key"))


def test_everything_of_a_lineage_goes_and_nothing_of_another(store: LineageStore, layout: Layout) -> None:
    issue(store, "b.test")
    before = tree(layout.config_dir)
    issue(store, NAME, versions=2)
    pending(layout)
    (layout.archive(NAME) / "notes").touch()
    assert store.delete(NAME).kept == ()
    assert tree(layout.config_dir) == before
    assert not layout.pending(NAME).exists()


def test_other_files_in_the_live_directory_stay(store: LineageStore, layout: Layout) -> None:
    issue(store, NAME)
    (layout.live(NAME) / "combined.pem").touch()
    assert store.delete(NAME).kept == (layout.live(NAME),)
    assert [p.name for p in layout.live(NAME).iterdir()] == ["combined.pem"]
    assert not layout.archive(NAME).exists()
    assert not store.exists(NAME)


@pytest.mark.parametrize("content", [b"", b"[[[", b"\xff", b"[renewalparams]\n"])
def test_a_lineage_with_a_broken_configuration_can_be_deleted(
    store: LineageStore, layout: Layout, content: bytes
) -> None:
    issue(store, NAME)
    layout.renewal_conf(NAME).write_bytes(content)
    store.delete(NAME)
    assert left(layout) == {"renewal", "live", "live/README", "archive"}


def test_a_lineage_with_missing_parts_can_be_deleted(store: LineageStore, layout: Layout) -> None:
    issue(store, NAME)
    (layout.live(NAME) / "cert.pem").unlink()
    (layout.archive(NAME) / "cert1.pem").unlink()
    store.delete(NAME)
    assert left(layout) == {"renewal", "live", "live/README", "archive"}


def test_a_deletion_that_was_interrupted_can_be_repeated(
    store: LineageStore, layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    from acmectl.storage import deleting

    issue(store, NAME)

    def fail(_: object) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr(deleting, "remove_tree", fail)
        with pytest.raises(StorageError, match=r"Cannot delete the certificate a\.test"):
            store.delete(NAME)
    assert store.names() == [NAME]
    store.delete(NAME)
    assert store.names() == []


def test_of_an_archive_elsewhere_only_the_versions_go(store: LineageStore, layout: Layout, tmp_path: Path) -> None:
    issue(store, NAME)
    elsewhere = tmp_path / "elsewhere"
    layout.archive(NAME).rename(elsewhere)
    (elsewhere / "theirs").touch()
    conf = layout.renewal_conf(NAME)
    conf.write_text(conf.read_text().replace(str(layout.archive(NAME)), str(elsewhere)))
    assert store.delete(NAME).kept == (elsewhere,)
    assert [p.name for p in elsewhere.iterdir()] == ["theirs"]


def test_an_archive_behind_a_link_is_not_followed_out_of_the_tree(
    store: LineageStore, layout: Layout, tmp_path: Path
) -> None:
    issue(store, NAME)
    elsewhere = tmp_path / "elsewhere"
    layout.archive(NAME).rename(elsewhere)
    (elsewhere / "theirs").touch()
    layout.archive(NAME).symlink_to(elsewhere)
    assert store.delete(NAME).kept == (layout.archive(NAME),)
    assert (elsewhere / "theirs").exists()


def test_a_live_directory_behind_a_link_keeps_what_is_not_ours(
    store: LineageStore, layout: Layout, tmp_path: Path
) -> None:
    issue(store, NAME)
    elsewhere = tmp_path / "elsewhere"
    layout.live(NAME).rename(elsewhere)
    (elsewhere / "theirs").touch()
    layout.live(NAME).symlink_to(elsewhere)
    store.delete(NAME)
    assert [p.name for p in elsewhere.iterdir()] == ["theirs"]


def test_an_archive_that_two_lineages_share_is_not_deleted(store: LineageStore, layout: Layout) -> None:
    issue(store, NAME)
    conf = layout.renewal_conf(NAME)
    (layout.renewal_root / "b.test.conf").write_text(conf.read_text())
    before = tree(layout.config_dir)
    with pytest.raises(StorageError, match=r"b\.test uses the same directory"):
        store.delete(NAME)
    assert tree(layout.config_dir) == before


def test_what_a_killed_first_issuance_left_can_be_deleted(store: LineageStore, layout: Layout) -> None:
    store.save(NAME, version_files(NAME))
    pending(layout)
    store.delete(NAME)
    assert not layout.archive(NAME).exists()
    assert not layout.pending(NAME).exists()


def test_directories_that_no_lineage_owns_are_not_deleted(store: LineageStore, layout: Layout) -> None:
    layout.archive(NAME).mkdir(parents=True)
    for kind in KINDS:
        (layout.archive(NAME) / f"{kind}1.pem").touch()
    with pytest.raises(LineageNotFound):
        store.delete(NAME)
    assert len(list(layout.archive(NAME).iterdir())) == 4


def test_a_file_in_the_place_of_a_link_stays_and_is_told(store: LineageStore, layout: Layout) -> None:
    issue(store, NAME)
    path = layout.live(NAME) / "cert.pem"
    path.unlink()
    path.write_text("precious")
    assert path in store.delete(NAME).kept
    assert path.read_text() == "precious"
