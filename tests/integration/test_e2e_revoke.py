"""revoke: by name, by file, by the certificate's own key; certificates, delete and plugins beside it."""

import shutil

import pytest

from tests.integration.cli import Acmectl


def status(pebble, certificate):
    found = pebble.cert_status(certificate.serial_number)
    return found.status, found.reason or 0


def test_revoke_by_name_deletes_the_lineage_by_default(pebble, acmectl):
    acmectl.certonly("r.example")
    certificate = acmectl.certificate("r.example")
    done = acmectl.run("revoke", "-n", "--cert-name", "r.example").ok()
    assert str(acmectl.live("r.example")) in done.out
    assert status(pebble, certificate) == ("Revoked", 0)
    assert acmectl.lineages() == []
    assert not (acmectl.config / "archive" / "r.example").exists()
    assert not (acmectl.config / "live" / "r.example").exists()


@pytest.mark.parametrize(
    ("reason", "code"),
    [("keyCompromise", 1), ("affiliationchanged", 3), ("SUPERSEDED", 4), ("cessationofoperation", 5)],
)
def test_the_reason_reaches_the_ca(pebble, acmectl, reason, code):
    acmectl.certonly("r.example")
    certificate = acmectl.certificate("r.example")
    acmectl.run("revoke", "-n", "--cert-name", "r.example", "--reason", reason, "--no-delete-after-revoke").ok()
    assert status(pebble, certificate) == ("Revoked", code)
    assert acmectl.lineages() == ["r.example"]


def test_a_reason_that_is_none_is_a_usage_error(acmectl):
    acmectl.run("revoke", "-n", "--cert-name", "r.example", "--reason", "boredom").failed(2)


def test_revoke_needs_no_server_for_a_lineage_that_knows_its_own(pebble, acmectl):
    acmectl.certonly("r.example")
    certificate = acmectl.certificate("r.example")
    acmectl.run("revoke", "-n", "--cert-name", "r.example", server=False).ok()
    assert status(pebble, certificate) == ("Revoked", 0)


@pytest.mark.parametrize("kind", ["cert", "fullchain"])
def test_revoke_by_path_finds_the_lineage_of_the_file(pebble, acmectl, kind):
    acmectl.certonly("r.example")
    certificate = acmectl.certificate("r.example")
    acmectl.run("revoke", "-n", "--cert-path", str(acmectl.live("r.example", kind))).ok()
    assert status(pebble, certificate) == ("Revoked", 0)
    assert acmectl.lineages() == []


def test_revoke_by_the_certificates_own_key_needs_no_account(pebble, acmectl, tmp_path):
    acmectl.certonly("r.example")
    certificate = acmectl.certificate("r.example")
    stranger_home = tmp_path / "stranger"
    stranger_home.mkdir()
    for kind in ("cert", "privkey"):
        shutil.copy(acmectl.live("r.example", kind), stranger_home)
    with Acmectl(pebble, stranger_home) as stranger:
        paths = ("--cert-path", str(stranger_home / "cert.pem"), "--key-path", str(stranger_home / "privkey.pem"))
        stranger.run("revoke", "-n", *paths, "--reason", "keycompromise").ok()
        assert stranger.account_dirs() == []
    assert status(pebble, certificate) == ("Revoked", 1)


def test_a_key_of_another_certificate_is_refused_before_the_ca_hears_of_it(pebble, acmectl):
    acmectl.certonly("r.example")
    acmectl.certonly("s.example")
    before = len(pebble.requests())
    paths = ("--cert-path", str(acmectl.live("r.example")), "--key-path", str(acmectl.live("s.example", "privkey")))
    assert len(acmectl.run("revoke", "-n", *paths).failed().errors) == 1
    assert pebble.requests()[before:] == []


def test_a_stranger_without_account_and_key_cannot_revoke_and_registers_nothing(pebble, acmectl, tmp_path):
    acmectl.certonly("r.example")
    folder = tmp_path / "stranger"
    folder.mkdir()
    with Acmectl(pebble, folder) as stranger:
        stranger.run("revoke", "-n", "--cert-path", str(acmectl.live("r.example"))).failed()
        assert stranger.account_dirs() == []
    assert status(pebble, acmectl.certificate("r.example"))[0] == "Valid"


def test_revoking_twice_says_so_and_still_tidies_up(pebble, acmectl):
    acmectl.certonly("r.example")
    acmectl.run("revoke", "-n", "--cert-name", "r.example", "--no-delete-after-revoke").ok()
    done = acmectl.run("revoke", "-n", "--cert-name", "r.example", "--json").ok()
    assert done.json["already_revoked"] is True
    assert done.json["deleted"] == "r.example"
    assert acmectl.lineages() == []


def test_revoke_must_be_told_exactly_one_certificate(acmectl):
    acmectl.certonly("r.example")
    assert len(acmectl.run("revoke", "-n").failed().errors) == 1
    both = ("--cert-name", "r.example", "--cert-path", str(acmectl.live("r.example")))
    assert len(acmectl.run("revoke", "-n", *both).failed().errors) == 1
    assert len(acmectl.run("revoke", "-n", "--cert-name", "none.example").failed().errors) == 1
    assert len(acmectl.run("revoke", "-n", "--cert-path", "/nowhere/cert.pem").failed().errors) == 1


def test_certificates_lists_with_certbots_labels_and_filters(acmectl):
    assert "no certificates" in acmectl.run("certificates", server=False).ok().out
    acmectl.certonly("a.example", "www.a.example")
    acmectl.certonly("b.example", options=("--standalone", "--key-type", "rsa"))
    listed = acmectl.run("certificates", server=False).ok().out
    certificate = acmectl.certificate("a.example")
    expiry = f"{certificate.not_valid_after_utc:%Y-%m-%d %H:%M:%S}+00:00"
    block = listed[listed.index("  Certificate Name: a.example") :].splitlines()[:7]
    assert block[1:4] == [
        f"    Serial Number: {certificate.serial_number:x}",
        "    Key Type: ECDSA",
        "    Identifiers: a.example www.a.example",
    ]
    assert block[4].startswith(f"    Expiry Date: {expiry} (VALID: 8")
    assert block[4].endswith(" days)")
    assert block[5] == f"    Certificate Path: {acmectl.live('a.example', 'fullchain')}"
    assert block[6] == f"    Private Key Path: {acmectl.live('a.example', 'privkey')}"
    assert "    Key Type: RSA" in listed
    for filters, names in (
        (("--cert-name", "b.example"), ["b.example"]),
        (("-d", "www.a.example"), ["a.example"]),
        (("-d", "a.example", "-d", "www.a.example"), ["a.example"]),
        (("-d", "a.example,b.example"), []),
    ):
        found = acmectl.run("certificates", "--json", *filters, server=False).ok().json["certificates"]
        assert [one["name"] for one in found] == names, filters
    # A damaged lineage is named, and the rest is listed all the same.
    (acmectl.config / "archive" / "b.example" / "chain1.pem").unlink()
    damaged = acmectl.run("certificates", server=False).ok()
    assert str(acmectl.renewal_path("b.example")) in damaged.err
    assert "Certificate Name: a.example" in damaged.out


def test_listing_changes_nothing_and_needs_no_lock(acmectl):
    acmectl.certonly("a.example")
    logs = len(list(acmectl.logs.iterdir()))
    with acmectl.holding_locks():
        logs = len(list(acmectl.logs.iterdir()))
        for verb in ("certificates", "plugins", "show_account"):
            acmectl.run(verb, "-n").ok()
        assert len(list(acmectl.logs.iterdir())) == logs


def test_delete_removes_one_lineage_and_leaves_the_others(acmectl):
    for name in ("a.example", "b.example"):
        acmectl.certonly(name)
    assert "--cert-name" in acmectl.run("delete", "-n").failed().err
    acmectl.run("delete", "-n", "--cert-name", "none.example").failed()
    done = acmectl.run("delete", "-n", "--cert-name", "a.example").ok()
    assert "a.example" in done.out
    assert list(acmectl.config.rglob("*a.example*")) == []
    assert acmectl.names("b.example") == ["b.example"]


def test_plugins_lists_the_built_in_authenticators_without_directories(acmectl):
    done = acmectl.run("plugins", server=False).ok()
    for name in ("manual", "standalone", "webroot"):
        assert f"* {name}\n" in done.out
    assert "Entry point: webroot = acmectl_plugins.webroot:Webroot" in done.out
    assert not acmectl.config.exists()
    assert [one["name"] for one in acmectl.run("plugins", "webroot", "--json", server=False).ok().json["plugins"]] == [
        "webroot"
    ]
