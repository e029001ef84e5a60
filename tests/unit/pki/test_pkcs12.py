"""PKCS#12: what goes in comes out, by the right password alone, and in a form of today."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, pkcs12

from acmectl.errors import ConfigError
from acmectl.identifiers import parse_any
from acmectl.pki.keys import KeySpec, generate_key
from acmectl.pki.pkcs12 import holds, pkcs12_of
from tests.unit.pki.authority import Authority, root

# DER of the object identifiers: PBES2, AES-256-CBC, SHA-256, and of old the password-based 3DES, RC2 and SHA-1.
PBES2 = bytes.fromhex("06092a864886f70d01050d")
AES_256 = bytes.fromhex("060960864801650304012a")
SHA_256 = bytes.fromhex("0609608648016503040201")
OLD = bytes.fromhex("060a2a864886f70d010c01")
SHA_1 = bytes.fromhex("06052b0e03021a")


class Parts:
    def __init__(self, spec: KeySpec, above: Authority, *, chain: bytes) -> None:
        self.key = generate_key(spec)
        self.leaf = above.leaf(self.key, [parse_any("a.example")])
        self.chain = chain

    def packed(self, password: str | None) -> bytes:
        return pkcs12_of("a.example", key_pem=self.key, leaf_pem=self.leaf, chain_pem=self.chain, password=password)

    def in_(self, data: bytes, password: str | None) -> bool:
        return holds(data, key_pem=self.key, leaf_pem=self.leaf, chain_pem=self.chain, password=password)


@pytest.fixture(scope="module")
def parts() -> Parts:
    top = root("Root")
    middle = top.intermediate("Middle")
    return Parts(KeySpec.ecdsa(), middle, chain=middle.pem + top.pem)


@pytest.mark.parametrize("password", [None, "secret", "sch\u00f6n \u2713", "x" * 300])
def test_key_certificate_and_chain_come_out_in_order(parts: Parts, password: str | None) -> None:
    found = pkcs12.load_pkcs12(parts.packed(password), password.encode() if password else None)
    assert found.cert is not None
    assert found.cert.friendly_name == b"a.example"
    chain = b"".join(one.certificate.public_bytes(Encoding.PEM) for one in found.additional_certs)
    assert chain == parts.chain
    assert parts.in_(parts.packed(password), password)


def test_an_rsa_key_and_a_certificate_without_a_chain() -> None:
    parts = Parts(KeySpec.rsa(), root("Root"), chain=b"")
    assert parts.in_(parts.packed("secret"), "secret")


def test_only_the_right_password_opens_it(parts: Parts) -> None:
    data = parts.packed("secret")
    assert not any(parts.in_(data, password) for password in ("Secret", "", None))
    assert not parts.in_(parts.packed(None), "secret")
    assert not parts.in_(b"\x30\x00", None)


def test_another_version_of_the_certificate_is_not_the_same(parts: Parts) -> None:
    other = Parts(KeySpec.ecdsa(), root("Root"), chain=parts.chain)
    assert not other.in_(parts.packed("secret"), "secret")
    shorter = Parts.__new__(Parts)
    shorter.key, shorter.leaf, shorter.chain = parts.key, parts.leaf, b""
    assert not shorter.in_(parts.packed("secret"), "secret")


def test_another_key_beside_the_same_certificate_is_not_the_same(parts: Parts) -> None:
    other = generate_key(KeySpec.ecdsa())
    data = parts.packed("secret")
    assert not holds(data, key_pem=other, leaf_pem=parts.leaf, chain_pem=parts.chain, password="secret")


def test_the_algorithms_are_those_of_today(parts: Parts) -> None:
    data = parts.packed("secret")
    assert PBES2 in data
    assert AES_256 in data
    assert SHA_256 in data
    assert OLD not in data
    assert SHA_1 not in data
    assert parts.key.splitlines()[1] not in data


def test_what_is_no_key_of_a_certificate_is_refused(parts: Parts) -> None:
    edwards = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    with pytest.raises(ConfigError, match="neither RSA nor ECDSA"):
        pkcs12_of("a", key_pem=edwards, leaf_pem=parts.leaf, chain_pem=b"", password=None)
    with pytest.raises(ConfigError, match="cannot be read"):
        pkcs12_of("a", key_pem=b"-----BEGIN X-----", leaf_pem=parts.leaf, chain_pem=b"", password=None)
