from __future__ import annotations

import json
import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest

from acmectl.errors import StorageError
from acmectl.storage.accounts import AccountStore, StoredAccount, account_id
from acmectl.storage.layout import Layout
from acmectl.storage.trust import RememberedTrust
from tests.unit.storage.material import tree

SERVER = "https://ca.test:14000/dir"
V02 = "https://acme-v02.api.letsencrypt.org/directory"
V01 = "https://acme-v01.api.letsencrypt.org/directory"
KEY = '{"kty": "EC", "d": "secret"}'
PUBLIC = b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"
WHEN = datetime(2026, 11, 21, 7, 19, 35, tzinfo=UTC)


@pytest.fixture
def accounts(layout: Layout) -> AccountStore:
    return AccountStore(layout)


def save(
    accounts: AccountStore, server: str = SERVER, public: bytes = PUBLIC, uri: str = "https://ca.test/1"
) -> StoredAccount:
    return accounts.save(
        server, key_jwk_json=KEY, public_pem=public, uri=uri, creation_dt=WHEN, creation_host="host.test"
    )


def test_the_id_is_the_md5_of_the_public_key_in_pem_with_its_last_newline() -> None:
    assert account_id(b"") == "d41d8cd98f00b204e9800998ecf8427e"
    assert account_id(PUBLIC) != account_id(PUBLIC.rstrip())


def test_an_account_is_written_as_certbot_writes_it(accounts: AccountStore, layout: Layout) -> None:
    saved = save(accounts)
    directory = layout.config_dir / "accounts" / "ca.test:14000" / "dir" / account_id(PUBLIC)
    assert saved.directory == directory
    assert {p.name: stat.S_IMODE(p.stat().st_mode) for p in directory.iterdir()} == {
        "private_key.json": 0o400,
        "regr.json": 0o644,
        "meta.json": 0o644,
    }
    for part in (directory, directory.parent, directory.parent.parent, layout.accounts_root):
        assert stat.S_IMODE(part.stat().st_mode) == 0o700
    assert json.loads((directory / "regr.json").read_text()) == {"body": {}, "uri": "https://ca.test/1"}
    assert json.loads((directory / "meta.json").read_text()) == {
        "creation_dt": "2026-11-21T07:19:35Z",
        "creation_host": "host.test",
    }
    assert (directory / "private_key.json").read_text() == KEY


def test_a_saved_account_is_found_again(accounts: AccountStore) -> None:
    saved = save(accounts)
    assert accounts.list(SERVER).accounts == (saved,)
    assert accounts.get(SERVER, saved.id) == saved
    assert accounts.get(SERVER, saved.id[:4]) == saved
    assert saved.label == f"host.test@2026-11-21T07:19:35Z ({saved.id[:4]})"
    assert saved.key_jwk_json == KEY


def test_the_key_is_not_shown(accounts: AccountStore) -> None:
    assert "secret" not in repr(save(accounts))


def test_an_account_of_one_ca_is_not_another_cas(accounts: AccountStore) -> None:
    save(accounts)
    assert accounts.list("https://ca.test:14000/other").accounts == ()
    assert accounts.list("https://ca.test/dir").accounts == ()


def test_saving_again_changes_the_url_alone(accounts: AccountStore) -> None:
    first = save(accounts)
    (first.directory / "meta.json").write_text(
        json.dumps({"creation_dt": "2020-01-01T00:00:00Z", "creation_host": "h", "register_to_eff": "a@b.test"})
    )
    again = save(accounts, uri="https://ca.test/2")
    assert (again.uri, again.creation_dt, again.creation_host) == ("https://ca.test/2", "2020-01-01T00:00:00Z", "h")
    assert "register_to_eff" in (first.directory / "meta.json").read_text()


def test_an_old_registration_with_more_in_it_is_read(accounts: AccountStore) -> None:
    saved = save(accounts)
    (saved.directory / "regr.json").write_text(
        json.dumps({"body": {"contact": ["mailto:a@b.test"]}, "uri": "https://ca.test/9", "new_authzr_uri": "x"})
    )
    assert accounts.list(SERVER).accounts[0].uri == "https://ca.test/9"


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("private_key.json", None),
        ("regr.json", None),
        ("meta.json", None),
        ("private_key.json", b"{torn"),
        ("private_key.json", b"[]"),
        ("regr.json", b""),
        ("regr.json", b"{}"),
        ("regr.json", b'{"uri": 5}'),
        ("regr.json", b"\xff\xfe"),
        ("meta.json", b"null"),
        ("meta.json", b"[" * 60_000),
    ],
)
def test_a_broken_account_is_passed_over_with_a_reason(
    accounts: AccountStore, file: str, content: bytes | None
) -> None:
    good = save(accounts)
    bad = save(accounts, public=PUBLIC + b"other")
    (bad.directory / file).unlink()
    if content is not None:
        (bad.directory / file).write_bytes(content)
    listing = accounts.list(SERVER)
    assert listing.accounts == (good,)
    (skipped,) = listing.skipped
    assert skipped.path == bad.directory
    assert str(bad.directory) in skipped.reason
    assert "\n" not in skipped.reason
    with pytest.raises(StorageError, match=str(bad.directory)):
        accounts.get(SERVER, bad.id)


def test_a_broken_account_is_made_whole_by_saving_it_again(accounts: AccountStore) -> None:
    saved = save(accounts)
    (saved.directory / "private_key.json").unlink()
    assert save(accounts) == saved
    assert accounts.list(SERVER).accounts == (saved,)


def test_what_is_no_account_is_passed_over_in_silence(accounts: AccountStore) -> None:
    saved = save(accounts)
    (saved.directory.parent / "notes.txt").touch()
    (saved.directory.parent / "directory-of-another-server").mkdir()
    assert accounts.list(SERVER).skipped == ()


def test_what_a_killed_run_left_is_swept_by_the_next_save(accounts: AccountStore, layout: Layout) -> None:
    parent = layout.accounts_dir(SERVER)
    (parent / ".acmectl-0123456789ab.tmp").mkdir(parents=True)
    (parent / ".acmectl-0123456789ab.tmp" / "private_key.json").write_text(KEY)
    saved = save(accounts)
    assert [p.name for p in parent.iterdir()] == [saved.id]


def test_removing_the_last_account_removes_the_empty_directory_of_its_ca(
    accounts: AccountStore, layout: Layout
) -> None:
    one, two = save(accounts), save(accounts, public=b"two")
    accounts.remove(one)
    assert accounts.list(SERVER).accounts == (two,)
    accounts.remove(two)
    assert not layout.accounts_dir(SERVER).exists()


def test_accounts_of_the_first_api_are_found_without_changing_anything(accounts: AccountStore, layout: Layout) -> None:
    save(accounts, server=V01)
    before = tree(layout.config_dir)
    (found,) = accounts.list(V02).accounts
    assert found.server == V02
    assert tree(layout.config_dir) == before


def test_the_first_apis_directory_is_linked_as_a_whole(accounts: AccountStore, layout: Layout) -> None:
    save(accounts, server=V01)
    assert accounts.link_earlier(V02)
    assert layout.accounts_dir(V02).is_symlink()
    assert layout.accounts_dir(V02).readlink() == layout.accounts_dir(V01)
    assert len(accounts.list(V02).accounts) == 1
    assert not accounts.link_earlier(V02)


def test_each_account_is_linked_where_the_directory_holds_something_else(
    accounts: AccountStore, layout: Layout
) -> None:
    old = save(accounts, server=V01)
    layout.accounts_dir(V02).mkdir(parents=True)
    (layout.accounts_dir(V02) / "broken").mkdir()
    assert accounts.link_earlier(V02)
    assert (layout.accounts_dir(V02) / old.id).readlink() == old.directory


def test_nothing_is_linked_where_there_is_nothing_earlier(accounts: AccountStore, layout: Layout) -> None:
    assert not accounts.link_earlier(V02)
    assert not accounts.link_earlier(SERVER)
    assert not layout.accounts_root.exists()


@pytest.mark.parametrize("with_others", [False, True])
def test_removing_a_linked_account_removes_both_ends(accounts: AccountStore, layout: Layout, with_others: bool) -> None:
    save(accounts, server=V01)
    if with_others:
        (layout.accounts_dir(V02) / "broken").mkdir(parents=True)
    accounts.link_earlier(V02)
    accounts.remove(accounts.list(V02).accounts[0])
    assert not layout.accounts_dir(V01).exists()
    assert layout.accounts_dir(V02).exists() is with_others
    assert not layout.accounts_dir(V02).is_symlink()
    assert accounts.list(V02).accounts == ()


def test_removing_an_account_that_is_a_link_out_of_the_tree_leaves_its_target(
    accounts: AccountStore, layout: Layout, tmp_path: Path
) -> None:
    saved = save(accounts)
    outside = tmp_path / "outside"
    saved.directory.rename(outside)
    saved.directory.symlink_to(outside)
    accounts.remove(accounts.list(SERVER).accounts[0])
    assert (outside / "private_key.json").exists()
    assert accounts.list(SERVER).accounts == ()


def test_an_unknown_account_is_named(accounts: AccountStore) -> None:
    with pytest.raises(StorageError, match="no account abcd"):
        accounts.get(SERVER, "abcd")
    with pytest.raises(StorageError):
        accounts.get(SERVER, "")


def test_a_ca_bundle_is_remembered_per_ca(layout: Layout) -> None:
    trust = RememberedTrust(layout)
    other = "https://ca.test:14000/other"
    assert trust.get(SERVER) is None
    trust.remember(SERVER, Path("/etc/ssl/one.pem"))
    trust.remember(other, Path("/etc/ssl/two.pem"))
    assert (trust.get(SERVER), trust.get(other)) == (Path("/etc/ssl/one.pem"), Path("/etc/ssl/two.pem"))
    trust.remember(SERVER, None)
    assert (trust.get(SERVER), trust.get(other)) == (None, Path("/etc/ssl/two.pem"))
    assert [p.name for p in (layout.accounts_root / "ca.test:14000").iterdir()] == ["acmectl-ca.json"]


@pytest.mark.parametrize("content", [b"", b"[]", b"{torn", b'{"https://ca.test:14000/dir": 5}', b"\xff"])
def test_a_damaged_memory_of_bundles_is_no_memory(layout: Layout, content: bytes) -> None:
    path = layout.accounts_root / "ca.test:14000" / "acmectl-ca.json"
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    assert RememberedTrust(layout).get(SERVER) is None
    RememberedTrust(layout).remember(SERVER, Path("/a.pem"))
    assert RememberedTrust(layout).get(SERVER) == Path("/a.pem")
