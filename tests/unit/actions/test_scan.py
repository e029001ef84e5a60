from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from acmectl.actions.scan import Snapshot, scan
from acmectl.storage import index
from acmectl.storage.layout import Layout
from acmectl.storage.lineage import BrokenLineage
from acmectl.storage.lineages import LineageStore
from acmectl.storage.pending import PendingRecord, PendingStore
from tests.unit.storage.crash_driver import ORDER
from tests.unit.storage.material import PARAMS, issue, layout_in, tree, version_files

NAMES = ["a.test", "b.test"]
LONG_AGO = 1_600_000_000


class Place:
    """An installation, and what is heard while it is scanned."""

    def __init__(self, root: Path) -> None:
        self.layout: Layout = layout_in(root)
        self.store = LineageStore(self.layout)
        self.healed: list[str] = []
        for name in NAMES:
            issue(self.store, name, params={**PARAMS, "server": f"https://{name}/dir"})
        self.settle()

    def settle(self) -> None:
        """As if all that has been written had been written long ago."""
        for path in self.layout.config_dir.rglob("*"):
            os.utime(path, (LONG_AGO, LONG_AGO))

    def scan(self, *, touch: bool = True) -> dict[str, Snapshot | BrokenLineage]:
        services = SimpleNamespace(
            layout=self.layout,
            lineages=self.store,
            pending=PendingStore(self.layout),
            observe=lambda event: self.healed.append(event.what),
        )
        return {one.name: one for one in scan(services, self.store.names(), touch=touch)}  # type: ignore[arg-type]

    @property
    def index(self) -> Path:
        return self.layout.work_dir / "lineage-index.json"


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def server(one: Snapshot | BrokenLineage) -> str | None:
    assert isinstance(one, Snapshot)
    return one.server


def version(one: Snapshot | BrokenLineage) -> int:
    assert isinstance(one, Snapshot)
    return one.version


def test_what_the_index_says_is_what_the_files_say(place: Place) -> None:
    first = place.scan()
    assert set(json.loads(place.index.read_bytes())["entries"]) == set(NAMES)
    before = place.index.stat()
    assert place.scan() == first
    assert place.index.stat() == before
    place.index.unlink()
    assert place.scan() == first
    assert {server(one) for one in first.values()} == {"https://a.test/dir", "https://b.test/dir"}


def test_the_index_is_used_and_not_the_files_that_have_not_changed(place: Place) -> None:
    place.scan()
    content = json.loads(place.index.read_bytes())
    content["entries"]["a.test"]["facts"]["serial"] = "abc"
    place.index.write_text(json.dumps(content))
    found = place.scan()["a.test"]
    assert isinstance(found, Snapshot)
    assert found.serial == 0xABC
    # A renewal file that changes has nothing to do with the certificate.
    place.store.update_own("a.test", {"ari": {"failures": 7}})
    found = place.scan()["a.test"]
    assert isinstance(found, Snapshot)
    assert (found.serial, found.own) == (0xABC, {"ari": {"failures": 7}})
    # A new certificate has.
    place.store.activate("a.test", place.store.save("a.test", version_files("a.test", serial=5)))
    found = place.scan()["a.test"]
    assert isinstance(found, Snapshot)
    assert (found.serial, found.version, found.own) == (5, 2, {"ari": {"failures": 7}})


@pytest.mark.parametrize("part", ["conf", "cert", "links"])
def test_a_change_of_any_part_is_seen(place: Place, part: str) -> None:
    before = place.scan()
    conf = place.layout.renewal_conf("a.test")
    if part == "conf":
        conf.write_text(conf.read_text().replace("https://a.test/dir", "https://c.test/dir"))
    elif part == "cert":
        (place.layout.archive("a.test") / "cert1.pem").write_bytes(version_files("a.test", serial=9).cert)
    else:
        (place.layout.live("a.test") / "chain.pem").unlink()
    after = place.scan()
    assert after["b.test"] == before["b.test"]
    place.index.unlink()
    assert after["a.test"] == place.scan()["a.test"]
    assert after["a.test"] != before["a.test"] or place.healed


def test_a_saved_version_goes_live_only_where_something_may_be_touched(place: Place) -> None:
    place.scan()
    place.store.save("a.test", version_files("a.test", serial=2))
    before = tree(place.layout.config_dir), place.index.read_bytes()
    assert version(place.scan(touch=False)["a.test"]) == 1
    assert (tree(place.layout.config_dir), place.index.read_bytes()) == before
    assert version(place.scan()["a.test"]) == 2
    assert place.healed == ["version 2, which an earlier run had saved, is now live"]


def test_a_pin_that_is_moved_is_followed(place: Place) -> None:
    place.store.activate("a.test", place.store.save("a.test", version_files("a.test", serial=2)))
    assert version(place.scan()["a.test"]) == 2
    place.store.update_own("a.test", {"pinned": 1})
    assert version(place.scan()["a.test"]) == 1


def test_what_a_killed_run_left_is_removed(place: Place) -> None:
    place.scan()
    left = Path(f"{place.layout.renewal_conf('a.test')}.new")
    left.write_text("half a fi")
    place.scan(touch=False)
    assert left.exists()
    place.scan()
    assert not left.exists()


def test_a_link_that_was_lost_is_restored_from_certbots_note(place: Place) -> None:
    live = place.layout.live("a.test")
    for kind in ("privkey", "cert", "chain", "fullchain"):
        (live / f"{kind}.pem").rename(live / f"previous_{kind}.pem")
    assert isinstance(place.scan(touch=False)["a.test"], BrokenLineage)
    assert version(place.scan()["a.test"]) == 1


def test_a_saved_version_waits_for_its_order_and_goes_live_when_that_is_gone(place: Place) -> None:
    pending = PendingStore(place.layout)
    pending.save("a.test", PendingRecord(order=ORDER, key_pem=version_files("a.test", serial=2).privkey))
    place.store.save("a.test", version_files("a.test", serial=2))
    place.settle()
    assert version(place.scan()["a.test"]) == 1
    pending.drop("a.test")
    assert version(place.scan()["a.test"]) == 2


@pytest.mark.parametrize(
    "damage",
    [
        {"facts": {}},
        {"facts": []},
        {"facts": {"own": {}, "version": 1, "not_after": 1e300}},
        {"paths": [None]},
        {"paths": [-(10**400)]},
        {"paths": "x", "stamp": None},
        {"stamp": ["x"] * 12},
    ],
)
def test_a_damaged_index_is_ignored(place: Place, damage: dict[str, object]) -> None:
    first = place.scan()
    content = json.loads(place.index.read_bytes())
    known = content["entries"]["a.test"]
    facts = damage.get("facts")
    if isinstance(facts, dict) and facts:
        damage = {"facts": {**known["facts"], **facts}}
    known.update(damage)
    place.index.write_text(json.dumps(content))
    assert place.scan(touch=False) == first
    conf = place.layout.renewal_conf("a.test")
    conf.write_text(conf.read_text() + "# a remark\n")
    again = place.scan(touch=False)["a.test"]
    assert isinstance(again, Snapshot)
    assert dataclasses.replace(again) == first["a.test"]


def test_what_changed_in_this_very_moment_is_not_kept(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    conf = place.layout.renewal_conf("a.test")
    changed = (LONG_AGO + 3600) * 10**9
    os.utime(conf, ns=(0, changed))
    monkeypatch.setattr(index.time, "time_ns", lambda: changed + 1_000_000)
    place.scan()
    assert set(json.loads(place.index.read_bytes())["entries"]) == {"b.test"}
    monkeypatch.setattr(index.time, "time_ns", lambda: changed + 1_000_000_000)
    place.scan()
    assert set(json.loads(place.index.read_bytes())["entries"]) == set(NAMES)
