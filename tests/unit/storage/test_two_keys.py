"""A lineage of two certificates: one number, eight files, eight links that move together."""

from __future__ import annotations

import errno
import os
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from acmectl.errors import LineageDamaged
from acmectl.storage import archive, switch
from acmectl.storage.archive import CertificateFiles, VersionFiles
from acmectl.storage.layout import KINDS, SECOND_KINDS, Layout
from acmectl.storage.lineage import PINNED, SECOND_KEY, Lineage
from acmectl.storage.lineages import LineageStore
from acmectl.storage.pending import PendingRecord, PendingStore
from acmectl.storage.remains import sweep
from acmectl.storage.renewal_conf import RenewalConf
from tests.unit.storage.crash_driver import ORDER
from tests.unit.storage.material import PARAMS, issue, tree, version_files
from tests.unit.storage.test_crash import Crashing, remains

NAME = "a.test"
SECOND = SECOND_KINDS["ecdsa"]


def two_keys(serial: int) -> VersionFiles:
    """A version with two certificates."""
    first, second = version_files(NAME, serial=serial), version_files(NAME, serial=100 + serial)
    files = CertificateFiles(**{kind: second.of(kind) for kind in KINDS})
    return replace(first, second=files, second_type="ecdsa")


def issue_two(store: LineageStore, versions: int = 1) -> None:
    for serial in range(1, versions + 1):
        number = store.save(NAME, two_keys(serial))
        if serial == 1:
            store.write_conf(NAME, RenewalConf(params={**PARAMS, "key_type": "rsa"}, own={SECOND_KEY: "ecdsa"}))
        store.activate(NAME, number)


def links(store: LineageStore) -> dict[str, int]:
    """The number that each live link of a version says, by kind."""
    found = {}
    for path in store.layout.live(NAME).iterdir():
        if path.is_symlink():
            kind, number = archive.parse_version_file(os.path.basename(os.readlink(path))) or ("?", 0)
            assert path.name == f"{kind}.pem"
            found[kind] = number
    return found


def all_at(number: int) -> dict[str, int]:
    return dict.fromkeys((*KINDS, *SECOND), number)


def certbot_renews(store: LineageStore, serial: int) -> int:
    """certbot saves the four files that it knows under its next number and points its links there."""
    directory, live = store.layout.archive(NAME), store.layout.live(NAME)
    numbers = [int(path.stem.removeprefix("cert")) for path in directory.glob("cert[0-9]*.pem")]
    number = 1 + max(numbers)
    for kind in KINDS:
        (directory / f"{kind}{number}.pem").write_bytes(version_files(NAME, serial=serial).of(kind))
        (live / f"{kind}.pem").unlink()
        (live / f"{kind}.pem").symlink_to(f"../../archive/{NAME}/{kind}{number}.pem")
    return number


@pytest.fixture(params=["exchange", "links"])
def either_way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_first: str, _second: str) -> None:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

    if request.param == "links":
        monkeypatch.setattr(switch, "exchange", refuse)


@pytest.mark.usefixtures("either_way")
def test_both_certificates_are_one_version_and_go_live_together(store: LineageStore, layout: Layout) -> None:
    issue_two(store, 2)
    assert links(store) == all_at(2)
    lineage = store.get(NAME)
    assert lineage.second is not None
    assert (lineage.version, lineage.second.version, lineage.second_lags) == (2, 2, False)
    assert replace(lineage.read_all(), second=lineage.read_second(), second_type="ecdsa") == two_keys(2)
    assert store.read_version(NAME, 1) == two_keys(1)
    for kind in ("privkey", "privkey-ecdsa"):
        assert stat.S_IMODE((layout.archive(NAME) / f"{kind}2.pem").stat().st_mode) == 0o600
    assert store.open(NAME).healed == ()
    assert sorted(path.name for path in layout.live_root.iterdir()) == ["README", NAME]


@pytest.mark.usefixtures("either_way")
def test_a_version_with_one_key_takes_the_links_of_the_second_away(store: LineageStore, layout: Layout) -> None:
    issue_two(store)
    (layout.live(NAME) / "privkey-rsa.pem").write_text("theirs")
    store.write_conf(NAME, RenewalConf(params=PARAMS))
    store.activate(NAME, store.save(NAME, version_files(NAME, serial=2)))
    assert links(store) == dict.fromkeys(KINDS, 2)
    assert (layout.live(NAME) / "privkey-rsa.pem").read_text() == "theirs"
    assert store.get(NAME).second is None
    # And back: the older version has both.
    store.activate(NAME, 1)
    assert links(store) == all_at(1)


@pytest.mark.usefixtures("either_way")
def test_types_that_are_turned_around_change_the_links_in_one_step(store: LineageStore) -> None:
    issue_two(store)
    store.activate(NAME, store.save(NAME, replace(two_keys(2), second_type="rsa")))
    assert links(store) == dict.fromkeys((*KINDS, *SECOND_KINDS["rsa"]), 2)
    store.activate(NAME, 1)
    assert links(store) == all_at(1)


def test_the_mode_that_the_second_key_was_given_is_kept(store: LineageStore, layout: Layout) -> None:
    issue_two(store)
    (layout.archive(NAME) / "privkey-ecdsa1.pem").chmod(0o640)
    store.activate(NAME, store.save(NAME, two_keys(2)))
    assert stat.S_IMODE((layout.archive(NAME) / "privkey-ecdsa2.pem").stat().st_mode) == 0o640
    assert stat.S_IMODE((layout.archive(NAME) / "privkey2.pem").stat().st_mode) == 0o600


def test_a_second_key_that_is_new_is_as_readable_as_the_first(store: LineageStore, layout: Layout) -> None:
    issue(store, NAME)
    (layout.archive(NAME) / "privkey1.pem").chmod(0o640)
    store.activate(NAME, store.save(NAME, two_keys(2)))
    assert stat.S_IMODE((layout.archive(NAME) / "privkey-ecdsa2.pem").stat().st_mode) == 0o640


@pytest.mark.parametrize("written", range(1, 8))
def test_a_half_written_version_is_never_taken_for_one(store: LineageStore, layout: Layout, written: int) -> None:
    issue_two(store)
    new = two_keys(2)
    for kind in new.kinds[:written]:
        (layout.archive(NAME) / f"{kind}2.pem").write_bytes(new.of(kind))
    assert store.kept_versions(NAME) == (1,)
    assert store.open(NAME).healed == ()
    with pytest.raises(LineageDamaged):
        store.activate(NAME, 2)
    assert links(store) == all_at(1)
    # The same keys: the same number. Others: the next one.
    assert store.next_version(NAME) == 3
    assert store.save(NAME, two_keys(3)) == 3
    for kind in new.kinds:
        (layout.archive(NAME) / f"{kind}3.pem").unlink()
    assert store.save(NAME, new) == 2
    assert store.kept_versions(NAME) == (1, 2)


def test_remains_under_a_number_that_certbot_uses_are_no_version(store: LineageStore, layout: Layout) -> None:
    issue_two(store)
    (layout.archive(NAME) / "privkey-ecdsa2.pem").write_bytes(two_keys(2).of("privkey-ecdsa"))
    assert certbot_renews(store, 2) == 2
    assert store.kept_versions(NAME) == (1,)
    assert store.open(NAME).healed == ()
    assert links(store) == {**dict.fromkeys(KINDS, 2), **dict.fromkeys(SECOND, 1)}
    assert store.save(NAME, two_keys(3)) == 3


def test_a_saved_version_goes_live_with_both(store: LineageStore) -> None:
    issue_two(store)
    store.save(NAME, two_keys(2))
    assert store.open(NAME).healed
    assert links(store) == all_at(2)


@pytest.mark.parametrize("lost", [*SECOND, "privkey"])
def test_a_link_that_was_lost_comes_back(store: LineageStore, layout: Layout, lost: str) -> None:
    issue_two(store, 2)
    path = layout.live(NAME) / f"{lost}.pem"
    path.unlink()
    if lost != "privkey":
        path.symlink_to(f"../../archive/{NAME}/{lost}1.pem")
    assert store.open(NAME).healed
    assert links(store) == all_at(2)
    assert store.open(NAME).healed == ()


def test_what_certbot_renews_alone_leaves_the_second_as_it_was(store: LineageStore, layout: Layout) -> None:
    issue_two(store)
    assert certbot_renews(store, 2) == 2
    before = tree(layout.config_dir)
    opened = store.open(NAME)
    assert isinstance(opened.lineage, Lineage)
    assert opened.healed == ()
    assert tree(layout.config_dir) == before
    assert opened.lineage.second_lags
    assert links(store) == {**dict.fromkeys(KINDS, 2), **dict.fromkeys(SECOND, 1)}
    # The next version has both again.
    number = store.save(NAME, two_keys(3))
    store.activate(NAME, number)
    assert number == 3
    assert links(store) == all_at(3)


def test_a_switch_that_certbot_did_not_end_keeps_the_second(store: LineageStore, layout: Layout) -> None:
    issue_two(store)
    certbot_renews(store, 2)
    (layout.live(NAME) / "cert.pem").unlink()
    (layout.live(NAME) / "cert.pem").symlink_to(f"../../archive/{NAME}/cert1.pem")
    assert store.open(NAME).healed
    assert links(store) == {**dict.fromkeys(KINDS, 2), **dict.fromkeys(SECOND, 1)}


def test_a_pinned_version_is_gone_back_to_with_what_it_has(store: LineageStore) -> None:
    issue(store, NAME)
    store.activate(NAME, store.save(NAME, two_keys(2)))
    store.update_own(NAME, {SECOND_KEY: "ecdsa", PINNED: 1})
    assert store.open(NAME).healed
    assert links(store) == dict.fromkeys(KINDS, 1)


def test_links_of_somebodys_own_with_such_names_are_none_of_ours(store: LineageStore, layout: Layout) -> None:
    issue(store, NAME)
    live = layout.live(NAME)
    (live / "fullchain-rsa.pem").symlink_to("../../archive/b.test/fullchain3.pem")
    (live / "privkey-rsa.pem").symlink_to("privkey.pem")
    assert store.get(NAME).second is None
    store.activate(NAME, store.save(NAME, version_files(NAME, serial=2)))
    assert os.readlink(live / "fullchain-rsa.pem") == "../../archive/b.test/fullchain3.pem"
    store.delete(NAME)
    assert sorted(path.name for path in live.iterdir()) == ["fullchain-rsa.pem", "privkey-rsa.pem"]


def test_old_versions_go_with_all_their_files(store: LineageStore, layout: Layout) -> None:
    issue_two(store, 8)
    assert store.prune(NAME, 8) == (1, 2)
    assert {path.name for path in layout.archive(NAME).iterdir()} == {
        f"{kind}{number}.pem" for kind in (*KINDS, *SECOND) for number in range(3, 9)
    }


@pytest.mark.parametrize("elsewhere", [False, True])
def test_a_deletion_takes_all_files(store: LineageStore, layout: Layout, elsewhere: bool) -> None:
    issue_two(store, 2)
    if elsewhere:
        layout.archive(NAME).rename(layout.config_dir / "there")
        layout.archive(NAME).symlink_to("../there")
        assert store.delete(NAME).kept == (layout.archive(NAME),)
        assert list((layout.config_dir / "there").iterdir()) == []
    else:
        assert store.delete(NAME).kept == ()
        assert not layout.archive(NAME).exists()
    assert not layout.live(NAME).exists()


def test_what_certbots_deletion_leaves_is_no_hindrance(store: LineageStore, layout: Layout) -> None:
    issue_two(store)
    for kind in KINDS:
        (layout.live(NAME) / f"{kind}.pem").unlink()
    (layout.live(NAME) / "README").unlink()
    for path in layout.archive(NAME).iterdir():
        path.unlink()
    layout.archive(NAME).rmdir()
    layout.renewal_conf(NAME).unlink()
    store.check_free(NAME)
    issue(store, NAME)
    assert links(store) == dict.fromkeys(KINDS, 1)


def test_a_saved_version_is_adopted_by_both_keys(store: LineageStore) -> None:
    issue_two(store)
    new = two_keys(2)
    store.save(NAME, new)
    assert new.second is not None
    conf = RenewalConf(params=PARAMS, own={SECOND_KEY: "ecdsa"})
    other = two_keys(3).second
    assert other is not None
    assert store.adopt_saved(NAME, new.privkey, conf, version=2) is None
    assert store.adopt_saved(NAME, new.privkey, conf, version=2, second=("ecdsa", other.privkey)) is None
    assert store.adopt_saved(NAME, new.privkey, conf, version=2, second=("ecdsa", new.second.privkey)) == 2
    assert links(store) == all_at(2)


def test_a_second_certificate_that_does_not_fit_its_key_never_goes_live(store: LineageStore, layout: Layout) -> None:
    issue_two(store)
    store.save(NAME, two_keys(2))
    (layout.archive(NAME) / "privkey-ecdsa2.pem").write_bytes(two_keys(3).privkey)
    assert store.open(NAME).healed == ()
    assert links(store) == all_at(1)


def test_the_order_of_the_second_goes_with_that_of_the_first(layout: Layout) -> None:
    pending = PendingStore(layout)
    first, second = (PendingRecord(order=ORDER, key_pem=two_keys(1).of(kind)) for kind in ("privkey", "privkey-ecdsa"))
    pending.save(NAME, first)
    pending.save(NAME, second, second=True)
    assert stat.S_IMODE((layout.pending(NAME) / "second" / "key.pem").stat().st_mode) == 0o600
    assert (pending.load(NAME).record, pending.load(NAME, second=True).record) == (first, second)
    marked = pending.mark_finalized(NAME, second, second=True)
    assert (pending.load(NAME).record, pending.load(NAME, second=True).record) == (first, marked)
    # The first may be ordered anew without the second's being lost, and the second dropped without the first.
    pending.save(NAME, first)
    assert pending.load(NAME, second=True).record == marked
    assert pending.names() == [NAME]
    assert pending.drop(NAME, second=True)
    assert (pending.load(NAME).record, pending.load(NAME, second=True).record) == (first, None)
    pending.save(NAME, second, second=True)
    (layout.pending(NAME) / "order.json").unlink()
    assert pending.names() == []
    sweep(layout)
    assert not layout.pending(NAME).exists()


def prepare(layout: Layout) -> None:
    issue_two(LineageStore(layout))
    for kind in SECOND:
        (layout.config_dir.parent / f"new-{kind}").write_bytes(NEW.of(kind))


NEW = two_keys(2)


@pytest.mark.parametrize("job", ["renew", "renew-by-links"])
def test_a_renewal_of_both_killed_anywhere_ends_with_one_whole_version(tmp_path: Path, job: str) -> None:
    seen = set()
    with Crashing(tmp_path, job, prepare) as crash:
        for layout, point in crash.killed_everywhere():
            store = LineageStore(layout)
            if job == "renew":
                assert links(store) in (all_at(1), all_at(2)), point
            store.heal(NAME)
            saved = 2 in store.kept_versions(NAME)
            assert saved == (layout.archive(NAME) / "fullchain2.pem").exists(), point
            assert links(store) == all_at(2 if saved else 1), f"{point}: a saved version has to go live"
            assert store.read_version(NAME, 1) == two_keys(1), point
            assert not saved or store.read_version(NAME, 2) == NEW, point
            assert remains(layout) == [], point
            assert not store.get(NAME).second_lags, point
            seen.add(saved)
            number = store.save(NAME, two_keys(3))
            store.activate(NAME, number)
            assert links(store) == all_at(number), point
    assert seen == {False, True}
