"""register, show_account, update_account, unregister; external account binding."""

import base64
import hashlib
import json
import stat

import pytest

from acmectl.acme.jws import AccountKey
from tests.integration.cli import Acmectl
from tests.integration.servers.pebble import Pebble, PebbleConfig

SECRET = base64.urlsafe_b64encode(b"0123456789abcdef" * 4).rstrip(b"=").decode()


@pytest.fixture(scope="module")
def binding_pebble():
    with Pebble(PebbleConfig(eab_keys={"kid-1": SECRET})) as server:
        yield server


@pytest.fixture
def bound(binding_pebble, tmp_path):
    with Acmectl(binding_pebble, tmp_path) as program:
        yield program


def register(acmectl, *options):
    return acmectl.run("register", "-n", "--agree-tos", *options)


def test_an_account_is_registered_shown_changed_and_given_up(pebble, acmectl):
    done = register(acmectl, "-m", "admin@a.example,root@a.example").ok()
    (folder,) = acmectl.account_dirs()
    assert folder.parent == acmectl.config / "accounts" / f"127.0.0.1:{pebble.port}" / "dir"
    assert str(folder) in done.out
    shown = acmectl.run("show_account", "-n").ok().out
    url = json.loads((folder / "regr.json").read_text())["uri"]
    assert f"Account at {pebble.directory_url}:" in shown
    assert f"  Account URL: {url}\n" in shown
    assert "  Email contacts: admin@a.example, root@a.example\n" in shown
    acmectl.run("update_account", "-n", "-m", "new@a.example").ok()
    assert "  Email contact: new@a.example\n" in acmectl.run("show_account", "-n").ok().out
    acmectl.run("update_account", "-n", "--register-unsafely-without-email").ok()
    assert "  Email contact: none\n" in acmectl.run("show_account", "-n").ok().out
    acmectl.run("unregister", "-n").ok()
    assert acmectl.account_dirs() == []
    assert not folder.parent.exists()
    gone = acmectl.run("unregister", "-n").failed()
    assert len(gone.errors) == 1
    assert pebble.directory_url in gone.err
    acmectl.run("show_account", "-n").failed()
    acmectl.run("update_account", "-n", "-m", "x@a.example").failed()


def test_the_account_files_are_laid_out_as_certbot_does(acmectl):
    register(acmectl).ok()
    (folder,) = acmectl.account_dirs()
    assert stat.S_IMODE((folder / "private_key.json").stat().st_mode) == 0o400
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    key = json.loads((folder / "private_key.json").read_text())
    assert set(key) == {"n", "e", "d", "p", "q", "dp", "dq", "qi", "kty"}
    assert json.loads((folder / "regr.json").read_text())["body"] == {}
    assert set(json.loads((folder / "meta.json").read_text())) >= {"creation_dt", "creation_host"}
    shown = acmectl.run("show_account", "-n", "--json").ok().json
    members = json.dumps({name: key[name] for name in ("e", "kty", "n")}, sort_keys=True, separators=(",", ":"))
    thumbprint = base64.urlsafe_b64encode(hashlib.sha256(members.encode()).digest()).rstrip(b"=").decode()
    assert shown["thumbprint"] == thumbprint
    assert shown["id"] == folder.name
    pem = AccountKey.from_jwk_json(json.dumps(key)).public_pem()
    assert hashlib.md5(pem).hexdigest() == folder.name


def test_a_second_registration_at_the_same_ca_is_refused(pebble, acmectl):
    register(acmectl).ok()
    before = len(pebble.requests())
    done = register(acmectl).failed()
    assert len(done.errors) == 1
    assert pebble.requests()[before:] == []
    assert len(acmectl.account_dirs()) == 1


def test_nobody_but_the_person_agrees_to_the_terms(acmectl):
    done = acmectl.run("register", "-n").failed()
    assert "--agree-tos" in done.err
    assert "terms of service" in done.err
    assert acmectl.account_dirs() == []
    acmectl.run("certonly", "-n", "--standalone", "-d", "a.example").failed()
    assert acmectl.account_dirs() == []


def test_contacts_are_never_wiped_by_a_run_that_asks_nothing(acmectl):
    register(acmectl, "-m", "admin@a.example").ok()
    done = acmectl.run("update_account", "-n").failed()
    assert "--email" in done.err
    assert "admin@a.example" in acmectl.run("show_account", "-n").ok().out


def test_an_address_that_is_none_is_refused_before_the_ca_hears_of_it(pebble, acmectl):
    before = len(pebble.requests())
    done = register(acmectl, "-m", "not an address").failed()
    assert len(done.errors) == 1
    assert not [line for line in pebble.requests()[before:] if line.endswith("/sign-me-up")]


def test_two_accounts_of_one_ca_have_to_be_told_apart(pebble, acmectl, tmp_path):
    register(acmectl).ok()
    other_home = tmp_path / "other"
    other_home.mkdir()
    with Acmectl(pebble, other_home) as other:
        register(other).ok()
        (second,) = other.account_dirs()
        (first,) = acmectl.account_dirs()
        second.rename(first.parent / second.name)
    done = acmectl.certonly("a.example", code=1)
    assert first.name in done.err
    assert second.name in done.err
    assert "--account" in done.err
    acmectl.certonly("a.example", options=("--standalone", "--account", second.name))
    assert acmectl.params("a.example")["account"] == second.name
    # A renewal uses the stored one and asks nobody.
    acmectl.run("renew", "--force-renewal").ok()
    assert acmectl.params("a.example")["account"] == second.name


def test_an_account_that_the_ca_has_forgotten_can_still_be_removed(tmp_path):
    with Pebble() as pebble, Acmectl(pebble, tmp_path) as acmectl:
        register(acmectl).ok()
        pebble.stop()
        pebble.start()
        shown = acmectl.run("show_account", "-n").failed()
        assert "does not know the account" in shown.err
        refused = acmectl.certonly("a.example", code=1)
        assert "accountDoesNotExist" in refused.errors[0]
        assert "acmectl unregister" in refused.err
        acmectl.run("unregister", "-n").ok()
        assert acmectl.account_dirs() == []


@pytest.mark.parametrize("alg", ["HS256", "HS384", "HS512"])
def test_an_account_is_bound_to_an_external_one(bound, alg):
    register(bound, "--eab-kid", "kid-1", "--eab-hmac-key", SECRET, "--eab-hmac-alg", alg).ok()
    assert len(bound.account_dirs()) == 1
    assert SECRET not in bound.log()
    (folder,) = bound.account_dirs()
    assert not [path for path in folder.iterdir() if SECRET in path.read_text()]


def test_a_ca_that_requires_a_binding_is_not_asked_without_one(binding_pebble, bound):
    before = len(binding_pebble.requests())
    done = register(bound).failed()
    assert len(done.errors) == 1
    assert "--eab-kid and --eab-hmac-key" in done.errors[0]
    assert not [line for line in binding_pebble.requests()[before:] if line.endswith("/sign-me-up")]


@pytest.mark.parametrize(
    "options",
    [
        ("--eab-kid", "kid-1"),
        ("--eab-kid", "kid-2", "--eab-hmac-key", SECRET),
        ("--eab-kid", "kid-1", "--eab-hmac-key", "!!! no base64 !!!"),
        ("--eab-kid", "kid-1", "--eab-hmac-key", SECRET[:-8] + "AAAAAAAA"),
    ],
    ids=["half", "unknown-kid", "no-base64", "wrong-key"],
)
def test_a_bad_binding_is_one_clear_line(bound, options):
    done = register(bound, *options).failed()
    assert len(done.errors) == 1, done.err
    assert "--eab-" in done.err
    assert SECRET not in done.out + done.err
    assert bound.account_dirs() == []


def test_certonly_registers_with_a_binding_too(bound):
    options = ("--standalone", "--eab-kid", "kid-1", "--eab-hmac-key", SECRET)
    bound.certonly("bound.example", options=options)
    assert bound.lineages() == ["bound.example"]


@pytest.mark.parametrize("by", ["env", "file", "systemd"])
def test_the_key_of_a_binding_can_lie_elsewhere(bound, tmp_path, by):
    path = tmp_path / "hmac"
    path.write_text(f"{SECRET}\n")
    references = {"env": "env:CA_HMAC", "file": f"file:{path}", "systemd": "systemd:hmac"}
    environ = {"CA_HMAC": SECRET, "CREDENTIALS_DIRECTORY": str(tmp_path)}
    options = ("--standalone", "--eab-kid", "kid-1", "--eab-hmac-key", references[by], "-vvv")
    flags = ("certonly", "-n", "--agree-tos", "-d", "bound.example", *options)
    done = bound.run(*flags, env=environ).ok()
    assert SECRET not in done.out + done.err + bound.log()
    # It is wanted once; the account goes on without it.
    path.unlink()
    bound.run(*flags, "--force-renewal").ok()
    assert len(bound.account_dirs()) == 1
    assert bound.version("bound.example") == 2


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ("env:NO_SUCH_VARIABLE", "--eab-hmac-key: the environment variable NO_SUCH_VARIABLE is not set"),
        ("file:/nowhere/hmac", "--eab-hmac-key: /nowhere/hmac cannot be read: No such file"),
        ("cmd:echo abcdefgh", "not base64url"),
    ],
)
def test_a_reference_that_leads_nowhere_is_told_before_anything_is_sent(binding_pebble, bound, reference, words):
    before = len(binding_pebble.requests())
    done = register(bound, "--eab-kid", "kid-1", "--eab-hmac-key", reference).failed()
    assert len(done.errors) == 1
    assert words in done.errors[0]
    assert not [line for line in binding_pebble.requests()[before:] if line.endswith("/sign-me-up")]
