"""Reading entry points: the same ones that importlib.metadata finds."""

from __future__ import annotations

import sys
import zipfile
from importlib import metadata

import pytest

from acmectl.plugin import installed, registry

GROUPS = ("console_scripts", registry.GROUP, "pytest11", "no.such.group")


def put(folder, name, text, *, version="1.0", suffix="dist-info"):
    info = folder / f"{name.replace('-', '_')}-{version}.{suffix}"
    info.mkdir(parents=True)
    head = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n\nName: a lie in the description\n"
    (info / ("METADATA" if suffix == "dist-info" else "PKG-INFO")).write_text(head)
    (info / "entry_points.txt").write_text(text)


def ours(group):
    return {(e.name, e.value, e.distribution, e.version, e.module, e.attr) for e in installed.entry_points(group)}


def theirs(group):
    return {
        (e.name, e.value, e.dist.name, e.dist.version, e.module, e.attr or "")
        for e in metadata.entry_points(group=group)
    }


@pytest.mark.parametrize("group", GROUPS)
def test_what_is_installed_here_is_found_as_importlib_finds_it(group):
    assert ours(group) == theirs(group)


def test_sections_comments_extras_and_shadowed_distributions_are_read_as_importlib_reads_them(tmp_path, monkeypatch):
    put(tmp_path / "one", "acme-one", "# c\n[x.y]\na = m:A\n\n[g.v1]\nb=m.n:B.C\n # no\nc = m:D [s, t]\n[z]\nd = m:E\n")
    put(tmp_path / "two", "Acme.One", "[g.v1]\nshadowed = m:X\n", version="2.0")
    put(tmp_path / "two", "acme-two", "[g.v1]\nb = other:B\n", suffix="egg-info")
    for folder in ("two", "one"):
        monkeypatch.syspath_prepend(str(tmp_path / folder))
    assert ours("g.v1") == theirs("g.v1")
    assert {entry.name for entry in installed.entry_points("g.v1")} == {"b", "c"}
    (extras,) = [entry.extras for entry in installed.entry_points("g.v1") if entry.name == "c"]
    assert extras == ("s", "t")


def test_a_distribution_in_a_zip_file_is_found_too(tmp_path, monkeypatch):
    archive = tmp_path / "site.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("zipped-3.dist-info/METADATA", "Metadata-Version: 2.1\nName: zipped\nVersion: 3\n")
        file.writestr("zipped-3.dist-info/entry_points.txt", "[g.v1]\nz = m:Z\n")
    monkeypatch.syspath_prepend(str(archive))
    assert ("z", "m:Z", "zipped", "3", "m", "Z") in ours("g.v1")


def test_a_finder_that_somebody_added_is_asked_too(monkeypatch):
    class Finder:
        def find_spec(self, *_):
            return None

        def find_distributions(self, *_):
            class One(metadata.Distribution):
                def read_text(self, name):
                    return {"METADATA": "Name: virtual\nVersion: 7\n", "entry_points.txt": "[g.v1]\nv = m:V\n"}.get(
                        name
                    )

                def locate_file(self, path):
                    return path

            return [One()]

    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, Finder()])
    assert ("v", "m:V", "virtual", "7", "m", "V") in ours("g.v1")


def test_an_entry_point_that_cannot_be_understood_fails_only_when_it_is_loaded(tmp_path, monkeypatch):
    put(tmp_path, "acme-odd", "[g.v1]\nodd = not a value!\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    (entry,) = installed.entry_points("g.v1")
    with pytest.raises(ModuleNotFoundError):
        entry.load()
