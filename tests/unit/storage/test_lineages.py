from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from acmectl.errors import ConfigError, LineageDamaged, LineageNotFound, StorageError
from acmectl.identifiers import Identifier
from acmectl.storage import archive
from acmectl.storage.layout import KINDS, Layout
from acmectl.storage.lineage import BrokenLineage, Lineage
from acmectl.storage.lineages import LineageStore
from acmectl.storage.renewal_conf import RenewalConf
from tests.unit.storage.material import PARAMS, issue, linked, tree, version_files


def dns(*names: str) -> list[Identifier]:
    return [Identifier.dns(name) for name in names]


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_first_certificate_lies_as_certbot_would_lay_it(store: LineageStore, layout: Layout) -> None:
    issue(store, "a.test")
    files = version_files("a.test")
    assert {p.name: mode_of(p) for p in layout.archive("a.test").iterdir()} == {
        "privkey1.pem": 0o600,
        "cert1.pem": 0o644,
        "chain1.pem": 0o644,
        "fullchain1.pem": 0o644,
    }
    assert linked(store, "a.test") == {kind: f"../../archive/a.test/{kind}1.pem" for kind in KINDS}
    for kind in KINDS:
        assert (layout.live("a.test") / f"{kind}.pem").read_bytes() == files.of(kind)
    assert sorted(p.name for p in layout.live("a.test").iterdir()) == sorted(["README", *(f"{k}.pem" for k in KINDS)])
    assert sorted(p.name for p in layout.live_root.iterdir()) == ["README", "a.test"]
    assert [mode_of(p) for p in (layout.archive_root, layout.live_root)] == [0o700, 0o700]
    assert [mode_of(p) for p in (layout.archive("a.test"), layout.live("a.test"), layout.renewal_root)] == [0o755] * 3
    assert [p.name for p in layout.renewal_root.iterdir()] == ["a.test.conf"]


def test_a_strict_umask_is_obeyed(store: LineageStore, layout: Layout) -> None:
    os.umask(0o077)
    issue(store, "a.test")
    for path in layout.config_dir.rglob("*"):
        if not path.is_symlink():
            assert mode_of(path) in {0o600, 0o700}, path


def test_a_lineage_is_read_back(store: LineageStore, layout: Layout) -> None:
    issue(store, "a.test", versions=3)
    lineage = store.get("a.test")
    assert lineage.version == 3
    assert not lineage.is_switching
    assert lineage.conf.params == PARAMS
    assert lineage.live_dir == layout.live("a.test")
    assert lineage.archive_dir == layout.archive("a.test")
    assert lineage.fullchain_path == layout.live("a.test") / "fullchain.pem"
    assert lineage.read_all() == version_files("a.test", serial=3)
    assert store.next_version("a.test") == 4


def test_the_next_number_is_above_every_kind(store: LineageStore, layout: Layout) -> None:
    issue(store, "a.test")
    (layout.archive("a.test") / "chain7.pem").write_bytes(b"torn")
    assert store.save("a.test", version_files("a.test", serial=2)) == 8


@pytest.mark.parametrize(
    ("old", "new"), [(0o600, 0o600), (0o640, 0o640), (0o777, 0o674), (0o660, 0o660), (0o604, 0o604), (0o400, 0o600)]
)
def test_a_new_key_is_as_readable_as_the_old_one(store: LineageStore, layout: Layout, old: int, new: int) -> None:
    issue(store, "a.test")
    (layout.archive("a.test") / "privkey1.pem").chmod(old)
    store.save("a.test", version_files("a.test", serial=2))
    assert mode_of(layout.archive("a.test") / "privkey2.pem") == new
    assert mode_of(layout.archive("a.test") / "cert2.pem") == 0o644


@pytest.mark.usefixtures("root")
def test_a_new_key_keeps_the_old_ones_group_but_not_its_owner(store: LineageStore, layout: Layout) -> None:
    issue(store, "a.test")
    os.chown(layout.archive("a.test") / "privkey1.pem", 54321, 54322)
    store.save("a.test", version_files("a.test", serial=2))
    status = (layout.archive("a.test") / "privkey2.pem").stat()
    assert (status.st_uid, status.st_gid) == (os.geteuid(), 54322)


def test_versions_more_than_five_below_the_latest_are_pruned(store: LineageStore, layout: Layout) -> None:
    issue(store, "a.test", versions=12)
    (layout.archive("a.test") / "notes.txt").touch()
    assert store.prune("a.test", 12) == (1, 2, 3, 4, 5, 6)
    assert store.prune("a.test", 12) == ()
    left = archive.scan(str(layout.archive("a.test")))
    assert left.complete == frozenset(range(7, 13))
    assert (layout.archive("a.test") / "notes.txt").exists()


def test_names_are_sorted_by_the_bytes_of_their_files(store: LineageStore, layout: Layout) -> None:
    layout.renewal_root.mkdir()
    for name in ("x.conf", "x-0001.conf", "B.conf", "a.conf", "é.conf", ".hidden.conf", "a.conf.new", "a.conf~"):
        (layout.renewal_root / name).touch()
    for raw in (b"\xff.conf", "\U0001f600.conf".encode()):
        (layout.renewal_root / os.fsdecode(raw)).touch()
    assert store.names() == ["B", "a", "x-0001", "x", "é", "\U0001f600", os.fsdecode(b"\xff")]


def test_there_are_no_lineages_before_the_first(store: LineageStore) -> None:
    assert store.names() == []
    assert list(store.all()) == []
    assert list(store.open_all()) == []
    assert store.matching(dns("a.test")).identical is None


def test_an_unknown_name_is_not_found(store: LineageStore) -> None:
    for call in (store.get, store.open, store.delete):
        with pytest.raises(LineageNotFound, match=r"no certificate named b\.test"):
            call("b.test")


@pytest.mark.parametrize("name", ["../a.test", "", ".", "a/b"])
def test_what_is_no_name_reaches_no_file(store: LineageStore, name: str) -> None:
    for call in (store.get, store.open, store.delete, store.choose_name, store.check_free):
        with pytest.raises(ConfigError):
            call(name)


def test_a_damaged_lineage_says_which_file_and_why(store: LineageStore, layout: Layout) -> None:
    def damage(action: str) -> str:
        with pytest.raises(LineageDamaged) as caught:
            store.get("a.test")
        assert caught.value.message.isprintable(), action
        return caught.value.message

    issue(store, "a.test")
    link = layout.live("a.test") / "chain.pem"
    link.unlink()
    assert f"{link} is missing" in damage("unlink")
    link.write_text("a file")
    assert f"{link} is not a symbolic link" in damage("file")
    link.unlink()
    link.symlink_to("../../archive/a.test/chain9.pem")
    assert "chain9.pem, which does not exist" in damage("dangling")
    link.unlink()
    link.symlink_to("../../archive/a.test/cert1.pem")
    assert "not to a chainN.pem" in damage("other kind")
    conf = layout.renewal_conf("a.test")
    conf.write_text(conf.read_text().replace("chain = ", "x = ", 1))
    assert "does not say where chain.pem is" in damage("no key")
    conf.write_bytes(b"")
    assert str(conf) in damage("empty")


def test_one_broken_lineage_hides_no_other(store: LineageStore, layout: Layout) -> None:
    for name in ("a.test", "b.test", "c.test"):
        issue(store, name)
    layout.renewal_conf("b.test").write_bytes(b"")
    found = list(store.all())
    assert [type(each) for each in found] == [Lineage, BrokenLineage, Lineage]
    broken = found[1]
    assert isinstance(broken, BrokenLineage)
    assert (broken.name, broken.path) == ("b.test", layout.renewal_conf("b.test"))
    assert str(broken.path) in broken.reason
    assert [type(each.lineage) for each in store.open_all()] == [Lineage, BrokenLineage, Lineage]


def test_reading_changes_nothing(store: LineageStore, layout: Layout) -> None:
    issue(store, "a.test")
    store.save("a.test", version_files("a.test", serial=2))
    (layout.live_root / ".acmectl.a.test").mkdir()
    (layout.renewal_root / "a.test.conf.new").touch()
    before = tree(layout.config_dir)
    store.get("a.test")
    list(store.all())
    store.matching(dns("a.test"))
    store.choose_name("a.test")
    store.next_version("a.test")
    assert tree(layout.config_dir) == before


def test_a_request_is_matched_by_its_set_of_names(store: LineageStore) -> None:
    issue(store, "one", "a.test")
    issue(store, "two", "a.test", "b.test")
    issue(store, "three", "b.test", "a.test")
    issue(store, "other", "z.test")
    same = store.matching(dns("b.test", "a.test"))
    assert (same.identical.name if same.identical else None) == "two"  # the last in order: one, other, three, two
    assert (same.subset.name if same.subset else None) == "one"
    more = store.matching(dns("a.test", "b.test", "c.test"))
    assert more.identical is None
    assert (more.subset.name if more.subset else None) == "three"
    fewer = store.matching(dns("b.test"))
    assert (fewer.identical, fewer.subset) == (None, None)


def test_a_lineage_whose_certificate_is_no_certificate_matches_nothing(store: LineageStore, layout: Layout) -> None:
    issue(store, "a.test")
    issue(store, "b", "a.test")
    (layout.archive("b") / "cert1.pem").write_bytes(b"torn")
    found = store.matching(dns("a.test")).identical
    assert found is not None
    assert found.name == "a.test"


def test_a_name_that_is_taken_gets_a_number(store: LineageStore, layout: Layout) -> None:
    layout.renewal_root.mkdir()
    assert store.choose_name("a.test") == "a.test"
    (layout.renewal_root / "a.test.conf").touch()
    assert store.choose_name("a.test") == "a.test-0001"
    (layout.renewal_root / "a.test-0001.conf").symlink_to("nowhere")
    assert store.choose_name("a.test") == "a.test-0002"


@pytest.mark.parametrize("directory", ["live", "archive"])
def test_a_directory_that_stands_in_the_way_is_found_before_anything_is_ordered(
    store: LineageStore, layout: Layout, directory: str
) -> None:
    path = layout.config_dir / directory / "a.test"
    path.mkdir(parents=True)
    store.check_free("a.test")
    (path / "theirs").touch()
    with pytest.raises(StorageError) as caught:
        store.check_free("a.test")
    assert str(path) in caught.value.message
    assert "--cert-name" in str(caught.value.hint)


def test_a_file_that_stands_in_the_way_is_found_as_well(store: LineageStore, layout: Layout) -> None:
    layout.live_root.mkdir()
    layout.live("a.test").touch()
    with pytest.raises(StorageError, match="is not empty"):
        store.check_free("a.test")


def test_a_name_in_use_is_not_free(store: LineageStore) -> None:
    issue(store, "a.test")
    with pytest.raises(StorageError, match="exists already"):
        store.check_free("a.test")


def test_what_a_killed_first_issuance_left_is_not_in_the_way(store: LineageStore, layout: Layout) -> None:
    assert store.save("a.test", version_files("a.test")) == 1
    store.check_free("a.test")
    issue(store, "a.test")
    assert store.get("a.test").version == 2
    assert sorted(p.name for p in layout.archive("a.test").iterdir() if p.name.startswith(".")) == []


def test_an_archive_beside_a_pending_order_of_ours_is_not_in_the_way(store: LineageStore, layout: Layout) -> None:
    layout.archive("a.test").mkdir(parents=True)
    (layout.archive("a.test") / "privkey1.pem").touch()
    with pytest.raises(StorageError):
        store.check_free("a.test")
    layout.pending("a.test").mkdir(parents=True)
    store.check_free("a.test")


def test_a_directory_that_cannot_be_named_in_a_file_is_found_before_anything_is_ordered(tmp_path: Path) -> None:
    root = tmp_path / "a\nb"
    store = LineageStore(Layout(config_dir=root, work_dir=tmp_path, logs_dir=tmp_path))
    with pytest.raises(StorageError, match="cannot hold"):
        store.check_free("a.test")


def test_a_saved_certificate_of_a_killed_first_issuance_is_adopted(store: LineageStore) -> None:
    files = version_files("a.test")
    store.save("a.test", files)
    assert store.adopt_saved("a.test", files.privkey, RenewalConf(params=PARAMS), version=1) == 1
    lineage = store.get("a.test")
    assert (lineage.version, lineage.conf.params) == (1, PARAMS)


def test_a_saved_renewal_is_adopted_with_its_new_parameters(store: LineageStore) -> None:
    issue(store, "a.test")
    files = version_files("a.test", serial=2)
    store.save("a.test", files)
    params = {**PARAMS, "renew_hook": "true"}
    assert store.adopt_saved("a.test", files.privkey, RenewalConf(params=params), version=2) == 2
    lineage = store.get("a.test")
    assert (lineage.version, lineage.conf.params) == (2, params)


def test_an_older_version_with_the_same_key_is_not_taken_for_the_new_one(store: LineageStore) -> None:
    issue(store, "a.test")
    key = version_files("a.test").privkey
    assert store.adopt_saved("a.test", key, RenewalConf(params=PARAMS), version=2) is None


def test_neither_another_key_nor_a_torn_version_is_adopted(store: LineageStore, layout: Layout) -> None:
    files = version_files("a.test")
    store.save("a.test", files)
    conf = RenewalConf(params=PARAMS)
    assert store.adopt_saved("a.test", version_files("b.test").privkey, conf, version=1) is None
    (layout.archive("a.test") / "fullchain1.pem").write_bytes(b"torn")
    assert store.adopt_saved("a.test", files.privkey, conf, version=1) is None
    (layout.archive("a.test") / "fullchain1.pem").unlink()
    assert store.adopt_saved("a.test", files.privkey, conf, version=1) is None
    assert not store.exists("a.test")


def test_a_version_that_is_not_complete_does_not_go_live(store: LineageStore, layout: Layout) -> None:
    issue(store, "a.test")
    (layout.archive("a.test") / "cert2.pem").touch()
    with pytest.raises(LineageDamaged, match="Version 2"):
        store.activate("a.test", 2)
    assert store.get("a.test").version == 1
