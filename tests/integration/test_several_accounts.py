"""Several accounts at one CA: names for them, keys that come and go, kinds of keys, their orders."""

from __future__ import annotations

import json
import stat
import subprocess

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from acmectl.acme.jws import AccountKey
from tests.integration.cli import Acmectl
from tests.integration.servers import certbots
from tests.integration.servers.pebble import Pebble, PebbleConfig
from tests.integration.trees import Certbot


@pytest.fixture(scope="module")
def calm():
    """certbot gives up at the second bad nonce."""
    with Pebble(PebbleConfig(nonce_reject=0)) as server:
        yield server


@pytest.fixture
def shared(calm, tmp_path):
    """A tree that certbot works on too."""
    with Acmectl(calm, tmp_path) as program:
        yield program


def register(acmectl, *options):
    return acmectl.run("register", "-n", "--agree-tos", *options)


def shown(acmectl, *options):
    return acmectl.run("show_account", "-n", "--json", *options).ok().json


def jwk(folder):
    return json.loads((folder / "private_key.json").read_text())


def test_accounts_have_names_and_are_chosen_by_them(acmectl):
    register(acmectl).ok()
    assert "--account-name" in register(acmectl).failed().err
    register(acmectl, "--account-name", "work").ok()
    assert len(acmectl.account_dirs()) == 2
    unclear = acmectl.run("show_account", "-n").failed()
    assert "(work)" in unclear.errors[0]
    work = shown(acmectl, "--account", "work")
    assert work["name"] == "work"
    assert work["id"] in {folder.name for folder in acmectl.account_dirs()}
    assert "  Account Name: work\n" in acmectl.run("show_account", "-n", "--account", work["id"][:6]).ok().out
    acmectl.certonly("a.example", options=("--standalone", "--account", "work"))
    # certbot knows ids alone.
    assert acmectl.params("a.example")["account"] == work["id"]
    acmectl.run("renew", "--force-renewal").ok()
    assert acmectl.params("a.example")["account"] == work["id"]
    taken = register(acmectl, "--account-name", "work").failed()
    assert "has the name work already" in taken.errors[0]
    assert len(acmectl.account_dirs()) == 2
    # The name goes on to the new key, whatever the id.
    acmectl.run("account", "rollover", "--account", "work").ok()
    assert shown(acmectl, "--account", "work")["id"] != work["id"]


@pytest.mark.parametrize("name", ["", "../x", "a b", "-x", "a" * 65, "\x1b[31m"])
def test_what_cannot_be_a_name_is_refused_before_the_ca_hears_of_it(pebble, acmectl, name):
    before = len(pebble.requests())
    done = register(acmectl, f"--account-name={name}").failed()
    assert len(done.errors) == 1
    assert "name of an account" in done.errors[0]
    assert "\x1b" not in done.err
    assert pebble.requests()[before:] == []


def test_a_name_belongs_to_accounts_alone(acmectl):
    done = acmectl.run("certonly", "-n", "--standalone", "-d", "a.example", "--account-name", "x").failed()
    assert "register" in done.errors[0]


def test_certbot_goes_on_with_an_account_that_has_a_name(shared):
    register(shared, "--account-name", "work").ok()
    certbot = Certbot(certbots.NEWEST, shared)
    (folder,) = shared.account_dirs()
    certbot.certonly("a.example", options=certbot.standalone)
    assert shared.params("a.example")["account"] == folder.name
    assert shown(shared, "--account", "work")["id"] == folder.name


@pytest.mark.parametrize("form", ["pem", "jwk"])
@pytest.mark.parametrize("kind", ["rsa2048", "ec256", "ec384"])
def test_a_key_goes_out_and_comes_in_elsewhere(pebble, acmectl, tmp_path, form, kind):
    register(acmectl, "--account-key-type", kind).ok()
    (folder,) = acmectl.account_dirs()
    path = tmp_path / "keys" / "account"
    done = acmectl.run("account", "export", "--format", form, "-o", str(path)).ok()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    data = path.read_text()
    key = AccountKey.from_jwk_json(data) if form == "jwk" else AccountKey.from_pem(data.encode())
    assert key == AccountKey.from_jwk_json((folder / "private_key.json").read_text())
    assert jwk(folder)["d"] not in done.out + done.err + data.replace(jwk(folder)["d"], "", 1)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    with Acmectl(pebble, elsewhere) as other:
        imported = other.run("account", "import", str(path), "--account-name", "mine", "--json").ok().json
        (copied,) = other.account_dirs()
        assert imported["id"] == copied.name == folder.name
        assert imported["url"] == json.loads((folder / "regr.json").read_text())["uri"]
        assert stat.S_IMODE((copied / "private_key.json").stat().st_mode) == 0o400
        assert jwk(copied) == jwk(folder)
        other.certonly("a.example", options=("--standalone", "--account", "mine"))
        # Once more changes nothing but what is asked for.
        before = {one: (copied / one).read_bytes() for one in ("private_key.json", "regr.json", "meta.json")}
        other.run("account", "import", str(path)).ok()
        assert {one: (copied / one).read_bytes() for one in before} == before
        other.run("account", "import", str(path), "--account-name", "ours").ok()
        assert shown(other)["name"] == "ours"
    assert path.exists()


def test_openssl_reads_an_exported_key_and_its_own_is_imported(pebble, acmectl, tmp_path):
    path = tmp_path / "own.pem"
    command = ("openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", str(path))
    subprocess.run(command, check=True, capture_output=True)
    path.chmod(0o600)
    unknown = acmectl.run("account", "import", str(path)).failed()
    assert "has no account with the key" in unknown.errors[0]
    assert f"register --account-key {path}" in unknown.err
    assert acmectl.account_dirs() == []
    register(acmectl, "--account-key", str(path)).ok()
    out = acmectl.run("account", "export").ok().out
    assert out.startswith("-----BEGIN PRIVATE KEY-----\n")
    seen = subprocess.run(("openssl", "pkey", "-noout", "-text"), input=out, check=True, capture_output=True, text=True)
    assert "prime256v1" in seen.stdout
    loaded = load_pem_private_key(out.encode(), None)
    assert isinstance(loaded, ec.EllipticCurvePrivateKey)


def test_a_key_is_shown_nowhere_but_where_it_was_asked_for(acmectl, tmp_path):
    register(acmectl).ok()
    (folder,) = acmectl.account_dirs()
    path = tmp_path / "key.jwk"
    refused = acmectl.run("account", "export", "--json").failed()
    assert "--output" in refused.err
    runs = [acmectl.run("account", "export", "--format", "jwk", "-o", str(path), "-vvv", "--json").ok()]
    assert runs[0].json["path"] == str(path)
    again = acmectl.run("account", "export", "-o", str(path)).failed()
    assert "exists already" in again.errors[0]
    runs += [again, acmectl.run("account", "import", str(path), "-vvv").ok()]
    out = acmectl.run("account", "export", "--format", "jwk", "-vvv").ok()
    assert json.loads(out.out) == jwk(folder)
    text = out.err + "".join(run.out + run.err for run in runs)
    text += "".join(one.read_text() for one in acmectl.logs.rglob("*") if one.is_file())
    for member in ("d", "p", "q", "dp", "dq", "qi"):
        assert jwk(folder)[member] not in text


@pytest.mark.parametrize("content", [b"", b"nothing", b"{}", b'{"kty": "RSA", "d": "c4nary-of-a-key"}', b"\xff\xfe"])
def test_a_file_that_is_no_key_is_one_line(acmectl, tmp_path, content):
    path = tmp_path / "key"
    path.write_bytes(content)
    done = acmectl.run("account", "import", str(path)).failed()
    assert len(done.errors) == 1
    assert str(path) in done.errors[0]
    assert "c4nary" not in done.err
    assert acmectl.account_dirs() == []


@pytest.mark.parametrize(
    ("words", "hint"),
    [((), "import, export"), (("import",), "FILE"), (("export", "x"), "'x'"), (("steal",), "import, export")],
)
def test_account_says_what_it_can_do(acmectl, words, hint):
    assert hint in acmectl.run("account", *words).failed(2).err


@pytest.mark.parametrize("verb", ["register", "certonly"])
def test_an_account_key_is_of_the_kind_that_was_asked_for(shared, verb):
    options = ("--account-key-type", "ec256")
    if verb == "register":
        register(shared, *options).ok()
    else:
        shared.certonly("a.example", options=("--standalone", *options))
    (folder,) = shared.account_dirs()
    assert jwk(folder)["crv"] == "P-256"
    # certbot reads it.
    certbot = Certbot(certbots.NEWEST, shared)
    certbot.certonly("b.example", options=certbot.standalone)
    assert shared.params("b.example")["account"] == folder.name


def test_a_ca_that_takes_no_ed25519_says_so_and_nothing_is_kept(acmectl):
    done = register(acmectl, "--account-key-type", "ed25519").failed()
    assert len(done.errors) == 1
    assert "badSignatureAlgorithm" in done.errors[0]
    assert "account keys of this type" in done.err
    assert acmectl.account_dirs() == []


def test_the_orders_of_an_account_are_listed_over_several_pages(tmp_path):
    with Pebble(PebbleConfig(orders_per_page=2)) as pebble, Acmectl(pebble, tmp_path) as acmectl:
        register(acmectl).ok()
        (folder,) = acmectl.account_dirs()
        assert acmectl.run("account", "orders", "--json").ok().json["orders"] == []
        for number in range(5):
            acmectl.certonly(f"order{number}.example")
        done = acmectl.run("account", "orders").ok()
        assert f"Orders of the account {folder.name} at {pebble.directory_url}: 5\n" in done.out
        assert done.out.count("Status: valid\n") == 5
        seen = acmectl.run("account", "orders", "--json").ok().json
        assert seen["schema"] == "acmectl.account-orders/1"
        names = [order["identifiers"][0]["value"] for order in seen["orders"]]
        assert sorted(names) == [f"order{number}.example" for number in range(5)]
        assert len([line for line in pebble.requests() if "list-orderz" in line]) > 5
