"""A CSR stored with a certificate: renewals use it again, and everything that works on lineages works on this one."""

import os
import signal
import stat
import subprocess
from contextlib import suppress

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.integration.cli import KINDS, Acmectl, picture
from tests.integration.fleet import plant
from tests.integration.servers import certbots
from tests.integration.servers.pebble import Pebble, PebbleConfig
from tests.integration.servers.requirements import require
from tests.integration.test_csr_account_key import make_csr, orders, public_of_key, sh

NAMES = ("a.csr.example", "b.csr.example")
EC = "openssl ecparam -genkey -noout -name prime256v1 -out domain.key"


def prepared(acmectl):
    """acmectl in a folder with domain.key and domain.csr; ``store`` stores the CSR with the certificate ``lin``."""
    require("openssl")
    make_csr(acmectl.cwd, *NAMES, key=EC)
    base = ("certonly", "-n", "--agree-tos", "--standalone", "--csr", "domain.csr", "--cert-name", "lin")
    acmectl.store = lambda *args: acmectl.run(*base, *args)
    return acmectl


@pytest.fixture
def stored(acmectl):
    return prepared(acmectl)


@pytest.fixture(scope="module")
def calm():
    """certbot gives up at the second bad nonce."""
    with Pebble(PebbleConfig(nonce_reject=0)) as server:
        yield server


@pytest.fixture
def both(calm, tmp_path):
    """The same, and a function that runs a certbot on the same tree."""
    with Acmectl(calm, tmp_path) as acmectl:
        environ = {**os.environ, "REQUESTS_CA_BUNDLE": str(calm.ca_bundle), "HOME": str(acmectl.home)}

        def certbot(version, *args):
            command = [str(certbots.script(version)), *args, *acmectl.directories, "-n"]
            return subprocess.run(command, env=environ, cwd=acmectl.cwd, capture_output=True, text=True, timeout=120)

        yield prepared(acmectl), certbot


def public(acmectl, name="lin"):
    return acmectl.certificate(name).public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def csr_in_place_of_key(acmectl):
    """The CSR in the live privkey.pem."""
    return x509.load_pem_x509_csr(acmectl.live("lin", "privkey").read_bytes())


def test_renew_uses_the_stored_csr_again_and_again(stored, pebble):
    deployed = stored.folder / "deployed"
    made = stored.store("--deploy-hook", f"echo $RENEWED_LINEAGE >> {deployed}").ok()
    assert "Its key is kept elsewhere" in made.out
    key = public_of_key(stored.cwd)
    (stored.cwd / "domain.csr").unlink()
    (stored.cwd / "domain.key").unlink()
    assert public(stored) == key
    for version in (2, 3):
        stored.run("renew", "-n", "--force-renewal").ok()
        assert stored.version("lin") == version
        assert public(stored) == key
        assert stored.names("lin") == sorted(NAMES)
    assert deployed.read_text().splitlines() == [str(stored.config / "live" / "lin")] * 3
    assert csr_in_place_of_key(stored).public_key() == stored.certificate("lin").public_key()
    assert stat.S_IMODE((stored.config / "archive/lin/privkey3.pem").stat().st_mode) == 0o600
    assert b"PRIVATE KEY" not in b"".join(path.read_bytes() for path in (stored.config / "archive/lin").iterdir())
    before = len(pebble.requests())
    skipped = stored.run("renew", "-n").ok()
    assert "not due" in skipped.out
    assert orders(pebble, before) == []
    stored.run("renew", "-n", "--dry-run").ok()
    assert stored.version("lin") == 3


def test_it_is_listed_and_managed_as_any_other(stored):
    stored.store("--pre-hook", "true").ok()
    listed = stored.run("certificates").ok()
    assert "Private Key Path: none here (it is renewed with a stored CSR)" in listed.out
    assert listed.err == ""
    (one,) = stored.run("certificates", "--json").ok().json["certificates"]
    assert one["key_elsewhere"]
    assert set(one["paths"]) == {"cert", "chain", "fullchain"}
    csr = stored.renewal("lin")["acmectl"]["csr"]
    changed = stored.run("reconfigure", "-n", "--cert-name", "lin", "--deploy-hook", "true").ok()
    assert "renew_hook: (not set) -> true" in changed.out
    assert csr not in changed.out
    assert stored.renewal("lin")["acmectl"]["csr"] == csr
    stored.run("renew", "-n", "--force-renewal").ok()
    stored.run("rollback", "-n", "--cert-name", "lin").ok()
    assert stored.version("lin") == 1
    stored.run("renew", "-n", "--cert-name", "lin", "--force-renewal").ok()
    assert stored.version("lin") == 3
    revoked = stored.run("revoke", "-n", "--cert-name", "lin", "--no-delete-after-revoke", "--json").ok().json
    assert not revoked["already_revoked"]
    stored.run("delete", "-n", "--cert-name", "lin").ok()
    assert list(stored.config.rglob("lin*")) == []


def test_the_same_csr_is_kept_until_it_is_due_and_another_takes_its_place(stored, pebble):
    stored.store().ok()
    before = len(pebble.requests())
    kept = stored.store().ok()
    assert "Nothing was done" in kept.out
    assert orders(pebble, before) == []
    forced = stored.store("--force-renewal").ok()
    assert "anew" not in forced.out
    assert stored.version("lin") == 2
    make_csr(stored.cwd, "a.csr.example", "c.csr.example", key=EC)
    stored.store("-d", "c.csr.example").ok()
    assert stored.version("lin") == 3
    assert stored.names("lin") == ["a.csr.example", "c.csr.example"]
    assert public(stored) == public_of_key(stored.cwd)
    # What is live after a rollback has other names; the next renewal is made from the CSR all the same.
    stored.run("rollback", "-n", "--cert-name", "lin", "--to-version", "1").ok()
    assert stored.names("lin") == sorted(NAMES)
    stored.run("renew", "-n", "--cert-name", "lin", "--force-renewal").ok()
    assert stored.names("lin") == ["a.csr.example", "c.csr.example"]
    assert public(stored) == public_of_key(stored.cwd)


def test_what_was_stored_and_is_not_given_again_is_kept(stored):
    stored.store("--deploy-hook", "true", "--preferred-challenges", "http").ok()
    told = stored.run("certonly", "-n", "--csr", "domain.csr", "--cert-name", "lin", "--force-renewal").ok().out
    assert "Kept as they were stored: " in told
    assert "--deploy-hook" in told
    assert stored.params("lin")["renew_hook"] == "true"
    assert stored.params("lin")["authenticator"] == "standalone"


def test_other_names_need_another_csr(stored, pebble):
    stored.store().ok()
    before, asked = picture(stored.config), len(pebble.requests())
    args = ("certonly", "-n", "--standalone", "--cert-name", "lin")
    done = stored.run(*args, "-d", "a.csr.example", "-d", "z.csr.example").failed()
    assert "is made from a stored CSR" in done.errors[0]
    assert "does not have z.csr.example" in stored.store("-d", "z.csr.example").failed().errors[0]
    assert picture(stored.config) == before
    assert orders(pebble, asked) == []
    # The same names mean a renewal as ever.
    stored.run(*args, "--force-renewal").ok()
    assert public(stored) == public_of_key(stored.cwd)


def test_with_its_key_it_is_a_whole_lineage(stored):
    stored.store("--key-path", "domain.key").ok()
    key = stored.live("lin", "privkey")
    assert key.read_bytes() == (stored.cwd / "domain.key").read_bytes()
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert f"Private Key Path: {key}" in stored.run("certificates").ok().out
    stored.run("renew", "-n", "--force-renewal").ok()
    assert stored.version("lin") == 2
    assert key.read_bytes() == (stored.cwd / "domain.key").read_bytes()
    assert public(stored) == public_of_key(stored.cwd)


def test_a_key_that_servers_use_is_never_lost(stored, pebble):
    stored.store("--key-path", "domain.key").ok()
    stored.certonly("own.csr.example")
    sh(stored.cwd, "openssl genrsa -out other.key 2048; cp domain.csr first.csr")
    make_csr(stored.cwd, *NAMES, key=EC)
    before, asked = picture(stored.config), len(pebble.requests())
    assert "which is not the CSR's" in stored.store().failed().errors[0]
    own = stored.run("certonly", "-n", "--standalone", "--csr", "domain.csr", "--cert-name", "own.csr.example").failed()
    assert "which is not the CSR's" in own.errors[0]
    assert "does not belong to the CSR" in stored.store("--key-path", "other.key").failed().errors[0]
    assert picture(stored.config) == before
    assert orders(pebble, asked) == []
    stored.store("--key-path", "domain.key").ok()
    assert stored.live("lin", "privkey").read_bytes() == (stored.cwd / "domain.key").read_bytes()


def test_an_account_key_of_ones_own_is_used_by_renewals_and_never_copied(stored):
    sh(stored.cwd, "openssl genrsa -out account.key 2048")
    stored.store("--account-key", "account.key").ok()
    stored.run("renew", "-n", "--force-renewal").ok()
    stored.run("reconfigure", "-n", "--cert-name", "lin", "--deploy-hook", "true").ok()
    assert stored.version("lin") == 2
    assert stored.account_dirs() == []
    assert "account" not in stored.params("lin")
    assert str(stored.cwd / "account.key") in stored.renewal("lin")["acmectl"]["account_key"]
    (stored.cwd / "account.key").rename(stored.cwd / "moved.key")
    failed = stored.run("renew", "-n", "--force-renewal").failed()
    assert "account.key cannot be read" in failed.err
    (stored.cwd / "moved.key").rename(stored.cwd / "account.key")
    stored.run("revoke", "-n", "--cert-name", "lin", "--no-delete-after-revoke").ok()


@pytest.mark.parametrize("point", ["before", "saved"])
def test_a_killed_run_is_finished_with_the_same_csr(stored, pebble, point):
    """The run dies with an order in flight; the next one goes on, and key and CSR are the same."""
    fifo = stored.folder / "ready"
    os.mkfifo(fifo)
    stored.store().ok()
    hook = f"echo here > {fifo}; sleep 1000"
    args = ("--manual", "--manual-auth-hook", hook) if point == "before" else ("--standalone", "--deploy-hook", hook)

    def in_flight():
        run = stored.start("renew", "-n", "--cert-name", "lin", "--force-renewal", *args)
        with suppress(AssertionError):
            run.told(fifo)
        return run

    run = pebble.authorized_anew(in_flight, 1 if point == "before" else 0)
    assert run.running, run.wait()
    run.send(signal.SIGKILL)
    run.wait()
    fifo.unlink()
    again = ("renew", "-n", "--cert-name", "lin", "--force-renewal", "--deploy-hook", "true", "--standalone")
    assert ("Going on with the order" in stored.run(*again).ok().out) is (point == "before")
    assert len({stored.live("lin", kind).resolve().stem.removeprefix(kind) for kind in KINDS}) == 1
    assert public(stored) == public_of_key(stored.cwd)
    assert csr_in_place_of_key(stored).public_key() == stored.certificate("lin").public_key()
    assert list((stored.work / "pending").iterdir()) == []


def test_a_killed_first_run_is_finished_by_the_same_command(stored):
    fifo = stored.folder / "ready"
    os.mkfifo(fifo)
    hook = f"echo here > {fifo}; sleep 1000"
    base = ("certonly", "-n", "--agree-tos", "--csr", "domain.csr", "--cert-name", "lin")
    run = stored.start(*base, "--manual", "--manual-auth-hook", hook)
    run.told(fifo)
    run.send(signal.SIGKILL)
    run.wait()
    fifo.unlink()
    assert stored.lineages() == []
    assert "Going on with the order" in stored.store().ok().out
    assert stored.version("lin") == 1
    assert public(stored) == public_of_key(stored.cwd)
    assert list((stored.work / "pending").iterdir()) == []


def test_a_damaged_stored_csr_is_named_and_stops_nobody_else(stored):
    stored.store().ok()
    plant(stored, "other.csr.example")
    path = stored.renewal_path("lin")
    path.write_text(path.read_text().replace("""csr = '"MI""", """csr = '"AA"""))
    done = stored.run("renew", "-n", "--force-renewal").failed()
    assert "The CSR in the renewal file of lin cannot be used" in done.err
    assert stored.version("other.csr.example") == 2
    # certonly stores it anew.
    stored.run("certonly", "-n", "--standalone", "--csr", "domain.csr", "--cert-name", "lin").ok()
    stored.run("renew", "-n", "--cert-name", "lin", "--force-renewal").ok()


@pytest.mark.parametrize("version", ["2.11.0", certbots.NEWEST])
def test_certbot_goes_on_beside_it_and_never_makes_another_key(both, version):
    acmectl, certbot = both
    acmectl.store().ok()
    acmectl.certonly("plain.csr.example")
    listed = certbot(version, "certificates")
    assert listed.returncode == 0
    assert "Certificate Name: plain.csr.example" in listed.stdout
    assert str(acmectl.renewal_path("lin")) in listed.stdout.partition("invalid")[2]
    before = picture(acmectl.config / "archive" / "lin")
    assert certbot(version, "renew").returncode == 0
    forced = certbot(version, "renew", "--force-renewal", "--no-random-sleep-on-renew")
    assert forced.returncode == 1
    assert "1 renew failure(s), 0 parse failure(s)" in forced.stdout + forced.stderr
    assert picture(acmectl.config / "archive" / "lin") == before
    assert acmectl.version("plain.csr.example") == 2
    acmectl.run("renew", "-n", "--cert-name", "lin", "--force-renewal").ok()
    assert acmectl.version("lin") == 2
    assert certbot(version, "delete", "--cert-name", "lin").returncode == 0
    assert list(acmectl.config.rglob("lin*")) == []


def test_certbot_renews_one_that_has_its_key_with_the_same_key(both):
    acmectl, certbot = both
    acmectl.store("--key-path", "domain.key").ok()
    done = certbot(certbots.NEWEST, "renew", "--force-renewal", "--no-random-sleep-on-renew")
    assert done.returncode == 0, done.stdout + done.stderr
    assert public(acmectl) == public_of_key(acmectl.cwd)
    acmectl.run("renew", "-n", "--force-renewal").ok()
    assert acmectl.version("lin") == 3
    assert public(acmectl) == public_of_key(acmectl.cwd)
    assert acmectl.renewal("lin")["acmectl"]["csr"]
