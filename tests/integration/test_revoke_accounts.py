"""revoke: who may (RFC 8555 section 7.6), and what is said of keys that other certificates share."""

import json
import shutil

import pytest
from cryptography import x509

from acmectl.acme.base64url import unb64url
from tests.integration.cli import Acmectl
from tests.integration.servers.between import Answer, Between

REVOKE = "/revoke-cert"


def revoked(pebble, certificate):
    return pebble.cert_status(certificate.serial_number).status == "Revoked"


def uri(folder):
    return json.loads((folder / "regr.json").read_text())["uri"]


class Willing:
    """A CA that lets an account revoke what it holds authorizations for, which Pebble does not: it notes who asked."""

    def __init__(self, pebble):
        self.between = Between(pebble)
        self.between.before = self._answer
        self.asked = []

    def _answer(self, _method, path):
        if not path.endswith(REVOKE):
            return None
        jws = json.loads(self.between.bodies[-1])
        head, payload = (json.loads(unb64url(jws[part])) for part in ("protected", "payload"))
        certificate = x509.load_der_x509_certificate(unb64url(payload["certificate"]))
        self.asked.append((head["kid"].rpartition("/")[2], certificate.serial_number, payload.get("reason", 0)))
        return Answer(status=200, headers={"Replay-Nonce": "bm9uY2U"})


@pytest.fixture
def willing(pebble):
    ca = Willing(pebble)
    with ca.between:
        yield ca


def beside(willing, acmectl):
    """The accounts and renewal files of ``acmectl`` as if it had always been with the willing CA."""
    here = acmectl.config / "accounts" / f"127.0.0.1:{acmectl.pebble.port}"
    here.rename(here.with_name(f"127.0.0.1:{willing.between.port}"))
    for path in (acmectl.config / "renewal").glob("*.conf"):
        path.write_text(path.read_text().replace(acmectl.pebble.directory_url, willing.between.directory_url))
    return ("--server", willing.between.directory_url)


@pytest.fixture
def other(pebble, tmp_path):
    """The same program elsewhere, with another account."""
    folder = tmp_path / "other"
    folder.mkdir()
    with Acmectl(pebble, folder) as program:
        program.run("register", "-n", "--agree-tos").ok()
        yield program


def copied(acmectl, folder, name="a.example"):
    path = folder / f"{name}.pem"
    shutil.copy(acmectl.live(name), path)
    return str(path)


def account_of(folder):
    return uri(folder).rpartition("/")[2]


def test_another_account_revokes_where_the_ca_lets_it(pebble, acmectl, other, willing):
    acmectl.certonly("a.example")
    other.certonly("b.example")
    path = copied(acmectl, other.folder)
    server = beside(willing, other)
    other.run(*server, "revoke", "-n", "--cert-path", path, "--reason", "superseded").ok()
    (theirs,) = other.account_dirs()
    assert willing.asked == [(account_of(theirs), acmectl.certificate("a.example").serial_number, 4)]
    # It is no lineage of theirs, so nothing is deleted.
    assert other.lineages() == ["b.example"]


def test_of_several_accounts_the_one_to_revoke_with_is_named(acmectl, other, willing):
    acmectl.certonly("a.example")
    (mine,), (theirs,) = acmectl.account_dirs(), other.account_dirs()
    shutil.copytree(mine, theirs.parent / mine.name)
    path = copied(acmectl, other.folder)
    server = beside(willing, other)
    assert "--account" in other.run(*server, "revoke", "-n", "--cert-path", path).failed().err
    assert willing.asked == []
    for name in (theirs.name, mine.name):
        other.run(*server, "revoke", "-n", "--cert-path", path, "--account", name).ok()
    serial = acmectl.certificate("a.example").serial_number
    here = theirs.parent.parent.with_name(f"127.0.0.1:{willing.between.port}") / "dir"
    assert willing.asked == [(account_of(here / one.name), serial, 0) for one in (theirs, mine)]


def test_an_account_that_the_ca_does_not_let_is_told_who_may(pebble, acmectl, other):
    acmectl.certonly("a.example")
    refused = other.run("revoke", "-n", "--cert-path", copied(acmectl, other.folder)).failed()
    assert len(refused.errors) == 1
    assert "--key-path" in refused.err
    assert "authorizations for all of its names (--account)" in refused.err
    assert not revoked(pebble, acmectl.certificate("a.example"))


def test_the_account_that_the_renewal_file_names_revokes_its_certificate(pebble, acmectl, other):
    acmectl.certonly("a.example")
    certificate = acmectl.certificate("a.example")
    (mine,), (theirs,) = acmectl.account_dirs(), other.account_dirs()
    shutil.copytree(theirs, mine.parent / theirs.name)
    # Two accounts, and nobody has to say which.
    acmectl.run("revoke", "-n", "--cert-name", "a.example").ok()
    assert revoked(pebble, certificate)


def test_an_account_that_is_no_longer_here_is_passed_over(acmectl, other, willing):
    acmectl.certonly("a.example")
    (mine,), (theirs,) = acmectl.account_dirs(), other.account_dirs()
    theirs.rename(mine.parent / theirs.name)
    shutil.rmtree(mine)
    expected = account_of(mine.parent / theirs.name)
    serial = acmectl.certificate("a.example").serial_number
    server = beside(willing, acmectl)
    acmectl.run(*server, "revoke", "-n", "--cert-path", str(acmectl.live("a.example"))).ok()
    assert willing.asked == [(expected, serial, 0)]
    assert acmectl.lineages() == []


def test_certificates_that_share_a_key_are_named_when_it_may_count_as_compromised(acmectl):
    acmectl.certonly("a.example")
    acmectl.certonly("b.example")
    acmectl.certonly("c.example")
    for kind in ("cert", "chain", "fullchain", "privkey"):
        (acmectl.config / "archive" / "b.example" / f"{kind}1.pem").write_bytes(
            acmectl.live("a.example", kind).read_bytes()
        )
    paths = ("--cert-path", str(acmectl.live("a.example")), "--key-path", str(acmectl.live("a.example", "privkey")))
    done = acmectl.run("revoke", "-n", *paths, "--no-delete-after-revoke").ok()
    (line,) = [line for line in done.err.splitlines() if "compromised" in line]
    assert "b.example" in line
    assert "c.example" not in line
    assert "--new-key" in line
    alone = ("--cert-path", str(acmectl.live("c.example")), "--key-path", str(acmectl.live("c.example", "privkey")))
    assert "compromised" not in acmectl.run("revoke", "-n", *alone).ok().err


def test_a_revoked_certificate_that_is_kept_is_renewed_by_the_next_run(pebble, acmectl):
    acmectl.certonly("a.example")
    before = acmectl.certificate("a.example")
    acmectl.run("revoke", "-n", "--cert-name", "a.example", "--no-delete-after-revoke").ok()
    assert revoked(pebble, before)
    assert acmectl.lineages() == ["a.example"]
    acmectl.run("renew", "-n").ok()
    assert acmectl.version("a.example") == 2
    assert not revoked(pebble, acmectl.certificate("a.example"))
    acmectl.run("renew", "-n").ok()
    assert acmectl.version("a.example") == 2


def test_an_explicit_delete_after_revoke_needs_no_question(acmectl):
    acmectl.certonly("a.example")
    acmectl.run("revoke", "--cert-name", "a.example", "--delete-after-revoke").ok()
    assert acmectl.lineages() == []


def test_an_account_with_a_new_key_revokes_what_it_obtained_with_the_old_one(pebble, acmectl):
    acmectl.certonly("a.example")
    certificate = acmectl.certificate("a.example")
    acmectl.run("account", "rollover", "-n").ok()
    acmectl.run("revoke", "-n", "--cert-name", "a.example").ok()
    assert revoked(pebble, certificate)
