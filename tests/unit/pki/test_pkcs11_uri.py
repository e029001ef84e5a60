"""PKCS#11 URIs (RFC 7512), and the file that names a key in a token."""

import subprocess

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from acmectl.errors import ConfigError
from acmectl.pki.keys import load_private_key, public_bytes_of, spec_of
from acmectl.pki.pkcs11_uri import parse
from acmectl.pki.token_file import is_external_key, is_token_key, key_file, public_part, uri_in


def test_every_attribute_is_read():
    uri = parse(
        "pkcs11:token=My%20token;manufacturer=Snake%20Oil,%20Inc.;model=1.0;serial=0a%3B1;slot-id=7;object=a%2Fb;"
        "id=%01%fe;type=private?module-path=/usr/lib/x.so&pin-source=file:/etc/hsm%20pin",
        "--key",
    )
    assert (uri.token, uri.manufacturer, uri.model, uri.serial) == ("My token", "Snake Oil, Inc.", "1.0", "0a;1")
    assert (uri.slot_id, uri.object, uri.id) == (7, "a/b", b"\x01\xfe")
    assert (uri.module_path, uri.pin_source) == ("/usr/lib/x.so", "file:/etc/hsm pin")


def test_servers_are_told_the_key_and_the_file_of_the_pin_but_no_module():
    uri = parse("pkcs11:object=a%2Fb;id=%01?module-path=/x.so&pin-source=file:/etc/hsm%20pin", "--key")
    assert uri.for_servers == "pkcs11:object=a%2Fb;id=%01;type=private?pin-source=file:/etc/hsm%20pin"
    again = parse(uri.for_servers, "--key")
    assert (again.object, again.id, again.pin_source) == (uri.object, uri.id, uri.pin_source)
    secret = parse("PKCS11:object=a?pin-source=env:PIN", "--key")
    assert secret.for_servers == "pkcs11:object=a;type=private"


def test_the_path_of_a_file_is_a_pin_source_too():
    assert parse("pkcs11:id=a?pin-source=/etc/pin", "--key").pin_source == "file:/etc/pin"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("/etc/key.pem", "does not begin with pkcs11:"),
        ("pkcs11:", "names no key"),
        ("pkcs11:token=a", "names no key"),
        ("pkcs11:object=", "names no key"),
        ("pkcs11:object=a;object=b", "has object twice"),
        ("pkcs11:object=a;colour=red", "has colour, which is not one of"),
        ("pkcs11:object=a;x-\x1b[31m=1", "has something else, which is not one of"),
        ("pkcs11:object=a;type=public", "type is not private"),
        ("pkcs11:object=a b", "must write as %XX"),
        ("pkcs11:object=a/b", "must write as %XX"),
        ("pkcs11:object=a%2", "must write as %XX"),
        ("pkcs11:object=%ff", "no printable text"),
        ("pkcs11:object=%1b[31m", "no printable text"),
        ("pkcs11:object=a;slot-id=x", "slot-id is no number"),
        ("pkcs11:object=a;pin-value=1234", "a PIN does not belong there"),
        ("pkcs11:object=a?pin-value=1234", "a PIN does not belong there"),
        ("pkcs11:object=a?module-path=x.so", "module-path is no absolute path"),
        ("pkcs11:object=a?module-name=x", "has module-name, which is not one of"),
        ("pkcs11:object=a?pin-source=1234", "does not say where the PIN lies"),
        ("pkcs11:object=a?pin-source=file:", "does not say where the PIN lies"),
        ("pkcs11:object=a?pin-source=|cat%20pin", "does not say where the PIN lies"),
        ("pkcs11:object=a?pin-source=file:pin", "no absolute path"),
    ],
)
def test_what_cannot_be_understood_is_said_without_quoting_values(text, message):
    with pytest.raises(ConfigError) as caught:
        parse(text, "--key")
    assert message in caught.value.message
    assert caught.value.message.isprintable()
    assert "1234" not in f"{caught.value.message} {caught.value.hint}"


@given(st.text())
def test_any_text_is_a_uri_or_an_error(text):
    try:
        uri = parse(f"pkcs11:object=a;{text}", "--key")
    except ConfigError:
        return
    assert parse(uri.for_servers, "--key").for_servers == uri.for_servers


URI = "pkcs11:token=web;object=" + "long-" * 60 + "name;type=private"


def keys():
    yield "ECDSA secp384r1", ec.generate_private_key(ec.SECP384R1())
    yield "RSA 2048", rsa.generate_private_key(65537, 2048)


@pytest.mark.parametrize(("kind", "key"), list(keys()))
def test_the_file_of_a_key_says_which_and_of_what_kind(kind, key, tmp_path):
    spki = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    pem = key_file(URI, spki)
    assert is_token_key(pem)
    assert is_external_key(pem)
    assert (uri_in(pem), public_part(pem), public_bytes_of(pem), str(spec_of(pem))) == (URI, spki, spki, kind)
    with pytest.raises(ConfigError, match="cannot be used as a file"):
        load_private_key(pem)
    # The form of the OpenSSL provider: a SEQUENCE of a VisibleString and a UTF8String under this label.
    block = pem[pem.index(b"-----BEGIN PKCS#11 PROVIDER URI-----") : pem.index(b"-----BEGIN PUBLIC KEY-----")]
    (tmp_path / "uri.pem").write_bytes(block)
    command = ["openssl", "asn1parse", "-in", str(tmp_path / "uri.pem")]
    parsed = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    assert "VISIBLESTRING     :PKCS#11 Provider URI v1.0" in parsed
    assert f"UTF8STRING        :{URI}" in parsed
    (tmp_path / "key.pem").write_bytes(pem)
    public = ["openssl", "pkey", "-pubin", "-in", str(tmp_path / "key.pem"), "-outform", "DER"]
    assert subprocess.run(public, capture_output=True, check=True, timeout=60).stdout == spki


def test_a_key_is_no_file_of_a_token():
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    assert not is_token_key(pem)
    assert not is_external_key(pem)
    both = key_file(URI, b"x") + pem
    assert not is_external_key(both)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"MII", b"AII"),
        (b"-----END PKCS#11 PROVIDER URI-----", b""),
        (b"-----BEGIN PUBLIC KEY-----", b"-----BEGIN NOTHING-----"),
        (b"-----BEGIN PUBLIC KEY-----\n", b"-----BEGIN PUBLIC KEY-----\n*"),
        (b"-----BEGIN PUBLIC KEY-----\n", b"-----BEGIN PUBLIC KEY-----\nAAAA"),
    ],
)
def test_a_damaged_file_is_an_error(old, new):
    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    pem = key_file(URI, key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))
    assert old in pem
    damaged = pem.replace(old, new, 1)
    with pytest.raises(ConfigError, match="cannot be read"):
        (uri_in(damaged), public_bytes_of(damaged))
