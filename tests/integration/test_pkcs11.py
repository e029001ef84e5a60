"""Private keys that never lie on disk: --key names one in a PKCS#11 token (SoftHSM)."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP384R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from tests.integration.cli import Acmectl, picture
from tests.integration.fleet import plant
from tests.integration.servers import certbots
from tests.integration.servers.pebble import Pebble, PebbleConfig
from tests.integration.servers.process import ServerProcess, accepts, free_port
from tests.integration.servers.requirements import find_program, not_run, require
from tests.integration.servers.softhsm import PIN, SoftHsm
from tests.integration.test_csr_account_key import make_csr, orders
from tests.integration.test_csr_lineage import EC
from tests.integration.tls import wait_until_served

NAME = "hsm.example"


@pytest.fixture(scope="module")
def hsm(tmp_path_factory):
    """The token ``web`` with keys of each kind, one of them twice; ``spare`` without any; two tokens ``pair``."""
    token = SoftHsm(tmp_path_factory.mktemp("hsm"), "web", "spare", "pair", "pair")
    token.make_key("ec")
    token.make_key("rsa", "rsa:2048", id="02")
    token.make_key("weak", "rsa:1024", id="06")
    token.make_key("twin", "EC:secp384r1", id="03")
    token.make_key("twin", "EC:secp384r1", id="04")
    return token


@pytest.fixture(scope="module")
def calm():
    """certbot gives up at the second bad nonce."""
    with Pebble(PebbleConfig(nonce_reject=0)) as server:
        yield server


@pytest.fixture
def program(pebble, tmp_path, hsm, monkeypatch):
    """acmectl where SoftHSM's tokens are; ``obtain`` makes the certificate of NAME with the key that is named."""
    monkeypatch.setenv("SOFTHSM2_CONF", hsm.environ["SOFTHSM2_CONF"])
    with Acmectl(pebble, tmp_path) as acmectl:
        yield acmectl


def obtain(acmectl, uri, *options, **kwargs):
    return acmectl.run("certonly", "-n", "--agree-tos", "--standalone", "-d", NAME, "--key", uri, *options, **kwargs)


def spki(key):
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def has(acmectl, hsm, label):
    """Whether the live certificate is for the token's key of that label."""
    return spki(acmectl.certificate(NAME).public_key()) == spki(hsm.public_key(label))


def offline(acmectl):
    """An environment without tokens, in which the library that speaks to them cannot be loaded."""
    folder = acmectl.folder / "without"
    folder.mkdir(exist_ok=True)
    (folder / "pkcs11.py").write_text("raise ImportError('it is not here')\n")
    path = os.pathsep.join(filter(None, (str(folder), os.environ.get("PYTHONPATH"))))
    return {"PYTHONPATH": path, "SOFTHSM2_CONF": "/nowhere"}


def test_the_key_stays_in_the_token_from_the_first_certificate_to_the_revocation(program, hsm, pebble):
    deployed = program.folder / "deployed"
    uri = hsm.uri("token=web;object=ec")
    options = ("--deploy-hook", f"cat $RENEWED_LINEAGE/privkey.pem > {deployed}", "--must-staple")
    made = obtain(program, uri, *options, "--json").ok().json
    assert made["key_uri"].startswith("pkcs11:token=web;object=ec;type=private?pin-source=file:/")
    assert set(made["paths"]) == {"cert", "chain", "fullchain"}
    assert has(program, hsm, "ec")
    assert deployed.read_bytes() == program.live(NAME, "privkey").read_bytes()
    assert stat.S_IMODE((program.config / f"archive/{NAME}/privkey1.pem").stat().st_mode) == 0o600
    assert program.renewal(NAME)["acmectl"]["key"] == json.dumps(uri)
    assert program.params(NAME)["reuse_key"] == "True"

    program.run("renew", "-n", "--force-renewal").ok()
    assert program.version(NAME) == 2
    assert has(program, hsm, "ec")
    for path in program.folder.rglob("*"):
        if path.is_file() and path.name != "private_key.json":
            content = path.read_bytes()
            assert b"PRIVATE KEY-----" not in content, path
            assert PIN.encode() not in content, path

    # Nothing but a new certificate needs the token, or the library.
    env = offline(program)
    listed = program.run("certificates", env=env).ok()
    assert f"Private Key Path: {made['key_uri']}\n" in listed.out
    (one,) = program.run("certificates", "--json", env=env).ok().json["certificates"]
    assert (one["key_uri"], one["key_elsewhere"], one["key_type"]) == (made["key_uri"], True, "ECDSA")
    before = len(pebble.requests())
    assert "not due" in program.run("renew", "-n", env=env).ok().out
    assert orders(pebble, before) == []
    program.run("rollback", "-n", "--cert-name", NAME, env=env).ok()
    key_path = str(program.live(NAME, "privkey"))
    refused = program.run("revoke", "-n", "--cert-name", NAME, "--key-path", key_path, env=env).failed()
    assert "lies in a PKCS#11 token" in refused.errors[0]
    program.run("revoke", "-n", "--cert-name", NAME, env=env).ok()
    assert list(program.config.rglob(f"{NAME}*")) == []


def test_another_key_is_used_at_once_and_a_file_takes_its_place_when_that_is_asked_for(program, hsm):
    program.certonly(NAME)
    changed = obtain(program, hsm.uri("token=web;id=%02")).ok()
    assert "Servers that load the live privkey.pem will find no key in it" in changed.err
    assert program.version(NAME) == 2
    assert has(program, hsm, "rsa")
    assert program.params(NAME)["key_type"] == "rsa"
    kept = obtain(program, hsm.uri("token=web;id=%02")).ok()
    assert "Nothing was done" in kept.out
    both = obtain(program, hsm.uri("token=web;id=%02"), "--force-renewal", "--cert-name", NAME, "--key-type", "rsa4096")
    assert "The key in the token is RSA 2048, but RSA 4096 was asked for." in both.failed().errors
    program.run("reconfigure", "-n", "--cert-name", NAME, "--key", hsm.uri("token=web;object=ec")).ok()
    assert has(program, hsm, "rsa")
    program.run("renew", "-n", "--cert-name", NAME, "--force-renewal").ok()
    assert has(program, hsm, "ec")
    another = program.run("renew", "-n", "--cert-name", NAME, "--force-renewal", "--new-key").failed()
    assert "lies in a PKCS#11 token, where acmectl makes no other key." in another.err
    program.run("renew", "-n", "--cert-name", NAME, "--force-renewal", "--key", "").ok()
    private = load_pem_private_key(program.live(NAME, "privkey").read_bytes(), None)
    assert private.public_key() == program.certificate(NAME).public_key()
    assert "key" not in program.renewal(NAME).get("acmectl", {})
    assert "reuse_key" not in program.params(NAME)


def test_reissue_takes_another_key_of_the_token_and_never_the_old_one_again(program, hsm):
    first = hsm.uri("token=web;object=ec")
    obtain(program, first).ok()
    serial = program.certificate(NAME).serial_number
    reissue = ("revoke", "-n", "--reissue", "--cert-name", NAME)
    refused = program.run(*reissue).failed()
    assert "lies in a PKCS#11 token, where acmectl makes no other key." in refused.err
    assert program.version(NAME) == 1
    program.run(*reissue, "--key", hsm.uri("token=web;id=%01;object=ec")).failed()
    by_key = ("--key", hsm.uri("token=web;object=rsa"), "--key-path", str(program.live(NAME, "privkey")))
    assert "revoke does not sign there" in program.run(*reissue, *by_key).failed().errors[0]
    program.run(*reissue, "--key", hsm.uri("token=web;object=rsa")).ok()
    assert has(program, hsm, "rsa")
    assert program.pebble.cert_status(serial).status == "Revoked"
    again = obtain(program, first).failed()
    assert "has a key that must not be used again" in again.err


def test_a_stored_csr_takes_the_place_of_a_token_and_not_the_other_way_round(program, hsm):
    require("openssl")
    make_csr(program.cwd, NAME, key=EC)
    uri = hsm.uri("token=web;object=ec")
    obtain(program, uri).ok()
    stored = ("certonly", "-n", "--standalone", "--csr", "domain.csr", "--cert-name", NAME)
    assert "has a private key of its own" in program.run(*stored).failed().errors[0]
    program.run(*stored, "--key-path", "domain.key").ok()
    assert "key" not in program.renewal(NAME)["acmectl"]
    program.run("renew", "-n", "--force-renewal", env=offline(program)).ok()
    assert program.version(NAME) == 3
    refused = program.run("renew", "-n", "--cert-name", NAME, "--force-renewal", "--key", uri).failed()
    assert f"{NAME} is made from a stored CSR, so --key cannot be used." in refused.err


def test_an_order_in_flight_is_finished_without_asking_the_token_again(program, hsm):
    uri = hsm.uri("token=web;object=ec")
    fifo = program.folder / "fifo"
    os.mkfifo(fifo)
    base = ("certonly", "-n", "--agree-tos", "-d", NAME, "--key", uri)
    run = program.start(*base, "--manual", "--manual-auth-hook", f"echo here > {fifo}; sleep 1000")
    run.told(fifo)
    run.send(signal.SIGKILL)
    run.wait()
    done = program.run(*base, "--standalone", env=offline(program)).ok()
    assert "Going on with the order" in done.out
    assert has(program, hsm, "ec")


def errors(acmectl, uri, **kwargs):
    done = acmectl.run("certonly", "-n", "--agree-tos", "--standalone", "-d", NAME, "--key", uri, **kwargs).failed()
    assert len(done.errors) == 1, str(done)
    return done.errors[0]


def test_whatever_is_wrong_is_one_line_before_an_order(program, hsm, pebble, tmp_path):
    empty = tmp_path / "empty"
    empty.write_text("\n")
    before = len(pebble.requests())
    said = {
        "has no token with the label lost": hsm.uri("token=lost;object=ec"),
        "The token spare has no private key with the label ec.": hsm.uri("token=spare;object=ec"),
        "The token web has 2 private keys with the label twin; their IDs are 03, 04.": hsm.uri("token=web;object=twin"),
        "2 tokens fit the PKCS#11 URI; their serial numbers are": hsm.uri("token=pair;object=ec"),
        "An RSA key of 1024 bits is too small": hsm.uri("token=web;object=weak"),
        "needs a PIN, and the PKCS#11 URI does not say where": hsm.uri("token=web;object=ec", pin=None),
        "/nowhere/pin cannot be read": hsm.uri("token=web;object=ec", pin="file:/nowhere/pin"),
        "is empty": hsm.uri("token=web;object=ec", pin=f"file:{empty}"),
        "environment variable NO_PIN is not set": hsm.uri("token=web;object=ec", pin="env:NO_PIN"),
        "The PKCS#11 module /nowhere.so cannot be used": hsm.uri("token=web;object=ec", module="/nowhere.so"),
        "The PKCS#11 module /etc/passwd cannot be used": hsm.uri("token=web;object=ec", module="/etc/passwd"),
        "The token web refuses the PIN; it was tried once.": hsm.uri("token=web;object=ec", pin="env:BAD"),
    }
    for message, uri in said.items():
        assert message in errors(program, uri, env={"BAD": "0000"}), message
    for pin in ("", os.fsdecode(b"\xff")):  # not a wrong PIN, of which a token stands a few only
        assert "what it refers to is" in errors(
            program, hsm.uri("token=web;object=ec", pin="env:ODD"), env={"ODD": pin}
        )
    assert "does not say where" in errors(program, hsm.uri("token=web;object=ec", pin="env:%20"))
    without = errors(program, hsm.uri("token=web;object=ec"), env=offline(program))
    assert "a library that is not installed" in without
    typed = errors(program, f"pkcs11:token=web;object=ec?pin-value={PIN}")
    assert typed.endswith("a PIN does not belong there: others would see it.")
    assert orders(pebble, before) == []
    assert program.lineages() == []
    assert PIN not in "".join(path.read_text() for path in program.logs.rglob("*"))


def test_what_a_module_prints_is_in_no_ones_way(program, hsm):
    module, _calls, env = hsm.spy()
    uri = hsm.uri("token=web;object=ec", module=module)
    done = obtain(program, uri, "--json", env={**env, "PKCS11SPY_OUTPUT": "/dev/stdout"}).ok()
    assert done.json["name"] == NAME
    assert "C_GetFunctionList" in done.err
    assert "C_GetFunctionList" not in done.out


def test_a_wrong_pin_is_tried_once_in_a_run_for_all_certificates(program, hsm):
    module, calls, env = hsm.spy()
    wrong = program.folder / "wrong"
    wrong.write_text("canary-wrong-pin")
    wrong.chmod(0o600)
    for name in ("a.hsm.example", "b.hsm.example"):
        uri = hsm.uri("token=web;object=ec", pin=f"file:{wrong}", module=module)
        plant(program, name, own={"key": uri})
    program.run("register", "-n", "--agree-tos").ok()
    done = program.run("renew", "-n", "--json", "-vvv", "--debug", env=env).failed()
    reasons = {one["name"]: one["why"] for one in done.json["lineages"]}
    assert sorted(reason.partition(" refuse")[0] for reason in reasons.values()) == [
        "The token web",
        "The token web has",
    ]
    assert calls.read_text().count("C_Login\n") == 1
    said = done.out + done.err + "".join(path.read_text() for path in program.logs.rglob("*"))
    assert "canary-wrong-pin" not in said
    # The right one opens it in the next run, and every session is closed.
    wrong.write_text(PIN)
    calls.unlink()
    program.run("renew", "-n", "--force-renewal", "-vvv", "--debug", env=env).ok()
    log = calls.read_text()
    assert log.count("C_OpenSession\n") == log.count("C_CloseSession\n") == 2


def test_the_public_half_comes_from_the_token_too_as_a_key_or_a_certificate(program, hsm):
    uri = hsm.uri("token=web;object=bare")
    hsm.make_key("bare", "EC:secp384r1", id="05")
    obtain(program, uri).ok()
    renew = ("renew", "-n", "--force-renewal")
    hsm.tool("web", "--delete-object", "--type", "pubkey", "--id", "05")
    alone = program.run(*renew).failed()
    assert "has no public key and no certificate beside the private key with the label bare" in alone.err
    certificate = program.folder / "cert.der"
    certificate.write_bytes(program.certificate(NAME).public_bytes(Encoding.DER))
    hsm.tool("web", "--write-object", str(certificate), "--type", "cert", "--id", "05")
    program.run(*renew).ok()
    assert program.version(NAME) == 2
    # Of another key: the signature tells.
    foreign = program.folder / "foreign.der"
    foreign.write_bytes(spki(generate_private_key(SECP384R1()).public_key()))
    hsm.tool("web", "--write-object", str(foreign), "--type", "pubkey", "--id", "05")
    wrong = program.run(*renew).failed()
    assert "The token's signature does not fit the public key beside it in the token." in wrong.err
    assert program.version(NAME) == 2


def test_a_token_that_does_not_hash_is_given_the_hash(program, hsm):
    configuration = program.folder / "softhsm2.conf"
    text = (hsm.folder / "softhsm2.conf").read_text()
    configuration.write_text(text + "slots.mechanisms = CKM_RSA_PKCS\n")
    module, calls, env = hsm.spy()
    env = {**env, "SOFTHSM2_CONF": str(configuration)}
    uri = hsm.uri("token=web;object=rsa", module=module)
    program.run("certonly", "-n", "--agree-tos", "--standalone", "-d", NAME, "--key", uri, env=env).ok()
    assert has(program, hsm, "rsa")
    assert "CKM_RSA_PKCS " in calls.read_text()
    assert "CKM_SHA256_RSA_PKCS " not in calls.read_text().partition("C_SignInit")[2]


def test_nginx_serves_it_with_the_token(program, hsm):
    require("nginx", "openssl")
    engine = subprocess.run(["openssl", "engine", "-t", "pkcs11"], capture_output=True, text=True, timeout=60)
    if "[ available ]" not in engine.stdout:
        not_run("OpenSSL's engine pkcs11 is not installed")
    made = obtain(program, hsm.uri("token=web;object=ec"), "--json").ok().json
    port, folder = free_port(), program.folder
    user = "user root;" if os.geteuid() == 0 else ""
    (folder / "nginx.conf").write_text(f"""\
daemon off; pid {folder}/nginx.pid; error_log stderr; {user}
env SOFTHSM2_CONF; env PKCS11_MODULE_PATH;
ssl_engine pkcs11;
events {{}}
http {{ access_log off; server {{
    listen 127.0.0.1:{port} ssl;
    ssl_certificate {program.live(NAME, "fullchain")};
    ssl_certificate_key "engine:pkcs11:{made["key_uri"]}";
}} }}
""")
    environ = {**os.environ, **hsm.environ, "PKCS11_MODULE_PATH": hsm.module}
    command = [str(find_program("nginx")), "-p", str(folder), "-e", "stderr", "-c", str(folder / "nginx.conf")]
    nginx = ServerProcess("nginx", command, environ=environ, log=folder / "nginx.log")
    nginx.start(lambda: accepts(port))
    try:
        wait_until_served(port, NAME, program.certificate(NAME))
    finally:
        nginx.stop()


def test_certbot_leaves_it_alone_and_goes_on_with_the_others(calm, tmp_path, hsm, monkeypatch):
    monkeypatch.setenv("SOFTHSM2_CONF", hsm.environ["SOFTHSM2_CONF"])
    with Acmectl(calm, tmp_path) as acmectl:
        obtain(acmectl, hsm.uri("token=web;object=ec")).ok()
        acmectl.certonly("plain.hsm.example")
        environ = {**os.environ, "REQUESTS_CA_BUNDLE": str(calm.ca_bundle), "HOME": str(acmectl.home)}

        def certbot(*args):
            command = [str(certbots.script(certbots.NEWEST)), *args, *acmectl.directories, "-n"]
            return subprocess.run(command, env=environ, cwd=acmectl.cwd, capture_output=True, text=True, timeout=120)

        listed = certbot("certificates")
        assert listed.returncode == 0
        assert "Certificate Name: plain.hsm.example" in listed.stdout
        assert str(acmectl.renewal_path(NAME)) in listed.stdout.partition("invalid")[2]
        before = picture(acmectl.config / "archive" / NAME)
        forced = certbot("renew", "--force-renewal", "--no-random-sleep-on-renew")
        assert "1 renew failure(s), 0 parse failure(s)" in forced.stdout + forced.stderr
        assert picture(acmectl.config / "archive" / NAME) == before
        assert acmectl.version("plain.hsm.example") == 2
        acmectl.run("renew", "-n", "--cert-name", NAME, "--force-renewal").ok()
        assert has(acmectl, hsm, "ec")
