"""The comparison itself: a difference that it cannot see is one that nobody sees."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.integration.differential.compare import Difference, Intended, Said, differences, facts, unexpected, unseen

ACCOUNT = "0123456789abcdef0123456789abcdef"


def tree(root: Path) -> Path:
    """A small one with a renewal file, a link and an account."""
    (root / "config/renewal").mkdir(parents=True)
    (root / "config/live/a").mkdir(parents=True)
    (root / "config/live/a/cert.pem").symlink_to("../../archive/a/cert1.pem")
    (root / "config/renewal/a.conf").write_text(
        f"version = 5.8.0\n[renewalparams]\naccount = {ACCOUNT}\nwebroot_path = {root}/webroot,\n"
        f"[[webroot_map]]\na = {root}/webroot\n"
    )
    account = root / "config/accounts/ca/dir" / ACCOUNT
    account.mkdir(parents=True)
    (account / "regr.json").write_text(json.dumps({"uri": "https://ca/acct/1"}))
    (account / "private_key.json").write_text(json.dumps({"kty": "RSA", "n": root.name, "e": "AQAB"}))
    (root / "out").mkdir()
    (root / "out/notes").write_text(f"{root}/config/live/a\n")
    return root


def changed(tmp_path: Path, change) -> list[Difference]:
    """What is seen when ``change`` happens to one of two equal trees."""
    left, right = tree(tmp_path / "left"), tree(tmp_path / "right")
    change(right)
    return differences(facts(left, []), facts(right, []))


def test_equal_trees_at_two_places_do_not_differ(tmp_path):
    assert changed(tmp_path, lambda root: None) == []


def rewritten(path: str, old: str, new: str):
    def change(root: Path) -> None:
        target = root / path
        text = target.read_text()
        assert old in text
        target.write_text(text.replace(old, new))

    return change


@pytest.mark.parametrize(
    ("change", "aspect", "item"),
    [
        (lambda root: (root / "config/new").write_text(""), "files", "config/new"),
        (lambda root: (root / "config/live/a/cert.pem").unlink(), "files", "config/live/a/cert.pem"),
        (lambda root: (root / "config/renewal/a.conf").chmod(0o600), "modes", "config/renewal/a.conf"),
        (lambda root: (root / "config/live").chmod(0o700), "modes", "config/live"),
        (lambda root: (root / "config").chmod(0o700), "folders", "config"),
        (
            lambda root: (root / "config/live/a/cert.pem").unlink()
            or (root / "config/live/a/cert.pem").symlink_to("../../archive/a/cert2.pem"),
            "links",
            "config/live/a/cert.pem",
        ),
        (rewritten("config/renewal/a.conf", "5.8.0", "5.9.0"), "conf", "config/renewal/a.conf version"),
        (
            rewritten("config/renewal/a.conf", "[renewalparams]", "[renewalparams]\nmust_staple = True"),
            "conf",
            "config/renewal/a.conf [renewalparams] must_staple",
        ),
        (
            rewritten("config/renewal/a.conf", "\na = ", "\nb = x\na = "),
            "conf",
            "config/renewal/a.conf [renewalparams] [webroot_map] b",
        ),
        (
            rewritten("config/renewal/a.conf", ACCOUNT, "f" * 32),
            "conf",
            "config/renewal/a.conf [renewalparams] account",
        ),
        (rewritten("out/notes", "live/a", "live/b"), "notes", "out/notes"),
    ],
)
def test_a_change_on_disk_is_seen_and_nothing_besides(tmp_path, change, aspect, item):
    found = changed(tmp_path, change)
    shown = [(one.aspect, one.item) for one in found]
    # A folder that gets its first file, or loses its last, is told as well.
    assert [one for one in shown if one != ("files", "config/live/a") and one != ("files", "config/live")] == [
        (aspect, item)
    ]


@pytest.mark.parametrize(
    ("left", "right", "seen"),
    [
        (Said(code=0, out="", err=""), Said(code=1, out="", err=""), [("exit", "1")]),
        (Said(code=0, out="x", err=""), Said(code=0, out="", err="x"), [("streams", "1: err"), ("streams", "1: out")]),
        (
            Said(code=0, out="  Key Type: RSA\n", err=""),
            Said(code=0, out="  Key Type: ECDSA\n", err=""),
            [("labels", "1: Key Type 1")],
        ),
        (
            Said(code=0, out="  /a (success)\n", err=""),
            Said(code=0, out="x\n", err="  /a (success)\n"),
            [("markers", "1: /a"), ("streams", "1: err")],
        ),
        (
            Said(code=0, out="Identifier: a\n Type: dns\nIdentifier: b\n Type: tls\n", err=""),
            Said(code=0, out="Identifier: b\n Type: tls\nIdentifier: a\n Type: dns\n", err=""),
            [],
        ),
        (
            Said(code=0, out="Identifier: a\n Type: dns\nIdentifier: b\n Type: tls\n", err=""),
            Said(code=0, out="Identifier: b\n Type: dns\nIdentifier: a\n Type: tls\n", err=""),
            [("labels", "1: Type of a 1"), ("labels", "1: Type of b 1")],
        ),
        (
            Said(code=0, out="Expiry Date: 2027-02-19 12:24:31+00:00 (VALID: 89 days)", err=""),
            Said(code=0, out="Expiry Date: 2027-02-19 12:24:32+00:00 (VALID: 89 days)", err=""),
            [],
        ),
    ],
)
def test_what_was_said_is_compared_by_code_stream_label_and_marker(tmp_path, left, right, seen):
    found = differences(facts(tmp_path, [left], both_streams=True), facts(tmp_path, [right], both_streams=True))
    assert [(one.aspect, one.item) for one in found] == seen


def test_only_what_was_meant_is_allowed_and_what_was_meant_must_be_there():
    found = [
        Difference(aspect="exit", item="1", certbot="0", acmectl="1"),
        Difference(aspect="files", item="config/a", certbot="file", acmectl=None),
    ]
    right = Intended(row="x", aspect="exit", item="1", certbot="0", acmectl="1")
    assert unexpected(found, [right]) == found[1:]
    assert unseen(found, [right]) == []
    for wrong in (
        Intended(row="x", aspect="exit", item="2", certbot="0", acmectl="1"),
        Intended(row="x", aspect="exit", item="1", certbot="1", acmectl="1"),
        Intended(row="x", aspect="exit", item="1", certbot="0", acmectl=None),
        Intended(row="x", aspect="files", item="config/a", certbot="file", acmectl="*"),
        Intended(row="x", aspect="files", item="config/b*", certbot="file", acmectl=None),
    ):
        assert unexpected(found, [wrong]) == found
        assert unseen(found, [wrong]) == [wrong]


def test_accounts_that_are_not_there_any_more_are_alike(tmp_path):
    left, right = tree(tmp_path / "left"), tree(tmp_path / "right")
    for root, account in ((left, "a" * 32), (right, "b" * 32)):
        rewritten("config/renewal/a.conf", ACCOUNT, account)(root)
    assert differences(facts(left, []), facts(right, [])) == []
