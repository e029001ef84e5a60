"""Where a lineage is still named, found in real files below a folder."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from acmectl.actions import config_files, in_use
from acmectl.actions.in_use import find_uses
from acmectl.storage.lineages import LineageStore
from tests.unit.storage.material import PARAMS, issue, layout_in


@pytest.fixture
def store(tmp_path: Path) -> LineageStore:
    store = LineageStore(layout_in(tmp_path))
    for name in ("a.test", "a.test.org", "a.test-0001"):
        issue(store, name, name)
    (tmp_path / "nginx").mkdir()
    return store


def found(store: LineageStore, tmp_path: Path, *names: str) -> list[tuple[str, int, str]]:
    uses = find_uses(store, names or ("a.test",), roots=[tmp_path / "nginx"])
    return [(str(use.path.relative_to(tmp_path)), use.line, str(use.directory.relative_to(tmp_path))) for use in uses]


def test_file_and_line_of_live_and_archive_paths_are_told(store: LineageStore, tmp_path: Path) -> None:
    live, archive = store.layout.live("a.test"), store.layout.archive("a.test")
    (tmp_path / "nginx/site").write_text(
        f"server {{\n  # ssl_certificate {live}/old.pem;\n  ssl_certificate {live}/fullchain.pem;\n"
        f"  key '{archive}/privkey1.pem';\n  crt={live}\n}}\n"
    )
    assert found(store, tmp_path) == [
        ("nginx/site", 3, "config/live/a.test"),
        ("nginx/site", 4, "config/archive/a.test"),
        ("nginx/site", 5, "config/live/a.test"),
    ]
    use = find_uses(store, ["a.test"], roots=[tmp_path / "nginx"])[0]
    assert str(use) == f"{tmp_path}/nginx/site, line 3, still names {live}."


def test_names_that_only_begin_alike_are_not_meant(store: LineageStore, tmp_path: Path) -> None:
    (tmp_path / "nginx/site").write_text(
        "".join(f"ssl_certificate {store.layout.live(name)}/cert.pem;\n" for name in ("a.test.org", "a.test-0001"))
    )
    assert found(store, tmp_path) == []
    assert [line for _, line, _ in found(store, tmp_path, "a.test-0001")] == [2]


def test_links_to_the_files_count_as_the_files(store: LineageStore, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(store.layout.config_dir)
    (tmp_path / "site.pem").symlink_to(store.layout.live("a.test") / "fullchain.pem")
    (tmp_path / "nginx/a").write_text(f"cert {tmp_path}/link/live/a.test/cert.pem\n")
    (tmp_path / "nginx/b").write_text(f"cert {tmp_path}/site.pem\n")
    assert found(store, tmp_path) == [("nginx/a", 1, "config/live/a.test"), ("nginx/b", 1, "config/archive/a.test")]


def test_a_file_that_is_linked_to_as_well_is_told_once(store: LineageStore, tmp_path: Path) -> None:
    (tmp_path / "nginx/available").mkdir()
    (tmp_path / "nginx/available/site").write_text(f"cert {store.layout.live('a.test')}/cert.pem\n")
    (tmp_path / "nginx/enabled").mkdir()
    (tmp_path / "nginx/enabled/site").symlink_to("../available/site")
    assert len(found(store, tmp_path)) == 1


def test_directory_hooks_and_other_lineages_hooks_are_looked_through(store: LineageStore, tmp_path: Path) -> None:
    live = store.layout.live("a.test")
    hook = store.layout.hooks_dir("deploy") / "copy"
    hook.parent.mkdir(parents=True)
    hook.write_text(f"#!/bin/sh\ncp {live}/cert.pem /x\n")
    issue(store, "other.test", "other.test", params={**PARAMS, "renew_hook": f"cp {live}/privkey.pem /y"})
    paths = {path for path, _, _ in found(store, tmp_path)}
    assert paths == {"config/renewal-hooks/deploy/copy", "config/renewal/other.test.conf"}


def test_its_own_renewal_file_is_no_use_of_it(store: LineageStore, tmp_path: Path) -> None:
    assert found(store, tmp_path) == []


def test_what_is_no_file_or_cannot_be_read_does_not_stop_it(store: LineageStore, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "nginx/a-pipe")
    (tmp_path / "nginx/b-dangling").symlink_to("/nowhere/at/all")
    (tmp_path / "nginx/c-large").write_bytes(b"x" * (config_files.LARGEST + 1))
    (tmp_path / "nginx/loop").symlink_to(".")
    (tmp_path / "nginx/d-bytes").write_bytes(b"\xff\xfe\x00\n" + os.fsencode(store.layout.live("a.test")) + b"/x\n")
    assert found(store, tmp_path) == [("nginx/d-bytes", 2, "config/live/a.test")]


def test_the_search_ends_at_its_bounds(store: LineageStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(6):
        (tmp_path / f"nginx/{number}").write_text(f"cert {store.layout.live('a.test')}/cert.pem\n")
    monkeypatch.setattr(in_use, "MOST_FILES", 4)
    assert len(found(store, tmp_path)) == 4
    deep = tmp_path / "nginx" / "/".join("abcdefghij")
    deep.mkdir(parents=True)
    (deep / "site").write_text(f"cert {store.layout.live('a.test')}/cert.pem\n")
    monkeypatch.setattr(in_use, "MOST_FILES", 5000)
    assert len(found(store, tmp_path)) == 6


def test_a_broken_lineage_is_looked_for_where_the_layout_says(store: LineageStore, tmp_path: Path) -> None:
    store.layout.renewal_conf("a.test").write_text("cert = \n")
    (tmp_path / "nginx/site").write_text(f"cert {store.layout.live('a.test')}/cert.pem\n")
    assert [line for _, line, _ in found(store, tmp_path)] == [1]
