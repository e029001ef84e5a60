from __future__ import annotations

import os
from pathlib import Path

import pytest

from acmectl.errors import LineageNotFound, StorageError
from acmectl.storage import notes
from acmectl.storage.layout import Layout
from acmectl.storage.lineages import LineageStore
from acmectl.storage.notes import Note, write_notes
from acmectl.storage.renewal_conf import parse, with_notes
from tests.unit.storage.material import issue, tree

AGAIN = "2026-11-22T07:00:00"
PLAIN = b"""\
# a remark at the top
version = 2.1.0
cert = /live/a.test/cert.pem

[acmectl]
# about the hook
deploy = '{"version": 3}'
ari = '{"failures": 1}'

# Options used in the renewal process
[renewalparams]
account = 0123456789abcdef
webroot_path = /var/www/a,
[[webroot_map]]
a.test = /var/www/a
[other_program]
ari = its own
"""


def test_notes_change_their_lines_and_no_other() -> None:
    changed = with_notes(PLAIN, {"ari": {"failures": 2}, "backoff": "it's 100 %"}, ari_retry_after=AGAIN)
    assert changed is not None
    new = [
        "ari = '{\"failures\": 2}'",
        "backoff = '\"it\\u0027s 100 \\u0025\"'",
    ]
    text = PLAIN.decode().replace("ari = '{\"failures\": 1}'", "\n".join(new), 1)
    assert changed.decode() == f"{text}[acme_renewal_info]\nari_retry_after = {AGAIN}\n"
    assert parse(changed, "x").own == {"deploy": {"version": 3}, "ari": {"failures": 2}, "backoff": "it's 100 %"}


def test_a_note_is_removed_by_none() -> None:
    changed = with_notes(PLAIN, {"ari": None, "never_there": None})
    assert changed == PLAIN.replace(b"ari = '{\"failures\": 1}'\n", b"")


@pytest.mark.parametrize(
    "data",
    [
        PLAIN.replace(b"account = 0123456789abcdef", b"account = x # a remark"),
        PLAIN.replace(b"[acmectl]", b"[acmectl] # a remark"),
        PLAIN + b"[acmectl]\n",
        b"\xff",
    ],
    ids=["remark-behind-value", "remark-behind-section", "section-twice", "no-utf-8"],
)
def test_a_file_that_is_not_plain_is_left_to_configobj(data: bytes) -> None:
    assert with_notes(data, {"ari": 1}) is None


def test_a_section_that_would_be_empty_is_left_to_configobj() -> None:
    assert with_notes(PLAIN, {"ari": None, "deploy": None}) is None


def test_the_notes_of_many_keep_modes_and_leave_nothing_behind(store: LineageStore, layout: Layout) -> None:
    names = [f"{number}.test" for number in range(12)]
    for name in names:
        issue(store, name)
    layout.renewal_conf(names[0]).chmod(0o600)
    odd = layout.renewal_conf(names[1])
    odd.write_text(odd.read_text() + "[theirs]\nkey = value # a remark\n")
    Path(f"{layout.renewal_conf(names[2])}.new").write_text("of a killed run")
    store.write_notes([Note(name=name, own={"ari": {"of": name}}, ari_retry_after=AGAIN) for name in names])
    for name in names:
        conf = store.get(name).conf
        assert (conf.own, conf.ari) == ({"ari": {"of": name}}, {"ari_retry_after": AGAIN})
    assert [layout.renewal_conf(name).stat().st_mode & 0o777 for name in names[:3]] == [0o600, 0o644, 0o644]
    assert "# a remark" in odd.read_text()
    assert len(list(layout.renewal_root.iterdir())) == len(names)


def test_a_note_that_says_the_same_touches_nothing(store: LineageStore, layout: Layout) -> None:
    issue(store, "a.test")
    store.write_notes([Note(name="a.test", own={"ari": 1})])
    before = layout.renewal_conf("a.test").stat()
    store.write_notes([Note(name="a.test", own={"ari": 1})])
    assert layout.renewal_conf("a.test").stat() == before


def test_a_lineage_that_is_gone_stops_all_notes(store: LineageStore, layout: Layout) -> None:
    issue(store, "a.test")
    before = tree(layout.config_dir)
    with pytest.raises(LineageNotFound, match=r"b\.test"):
        store.write_notes([Note(name="a.test", own={"ari": 1}), Note(name="b.test", own={"ari": 1})])
    assert tree(layout.config_dir) == before


def test_a_rename_that_fails_leaves_nothing_behind(
    store: LineageStore, layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a.test", "b.test"):
        issue(store, name)

    def rename(_source: str, _target: str) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(notes.os, "rename", rename)
    before = tree(layout.config_dir)
    with pytest.raises(StorageError, match="No space left"):
        write_notes(layout, [Note(name=name, own={"ari": 1}) for name in ("a.test", "b.test")])
    assert tree(layout.config_dir) == before
