import hashlib
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from acmectl.errors import ConfigError
from acmectl.identifiers import parse_any
from acmectl.pki.certificate import read_certificate
from acmectl.pki.chain import verify_lineage
from acmectl.pki.keys import KeySpec, generate_key, public_bytes_of
from acmectl.pki.summary import looks_whole, summary
from acmectl.pki.token_file import key_file
from tests.unit.pki.authority import NOW, root

ROOT = root("Root")
KEY = generate_key(KeySpec.ecdsa())
RSA = generate_key(KeySpec.rsa())
NAMES = [parse_any(text) for text in ("z.example", "a.example", "192.0.2.7", "2001:db8::7")]
LEAF = ROOT.leaf(KEY, NAMES)


def test_a_certificate_tells_its_facts():
    info = read_certificate(LEAF)
    parsed = x509.load_pem_x509_certificate(LEAF)
    der = parsed.public_bytes(Encoding.DER)
    assert info.serial == parsed.serial_number
    assert info.not_before == NOW - timedelta(days=1)
    assert info.not_after == NOW + timedelta(days=89)
    assert info.identifiers == tuple(NAMES)
    assert info.key_type == "ECDSA"
    assert info.issuer_cn == "Root"
    assert info.subject_cn is None
    assert info.fingerprint_sha256 == hashlib.sha256(der).hexdigest()
    assert info.aki == x509.SubjectKeyIdentifier.from_public_key(ROOT.key.public_key()).digest
    assert info.spki == public_bytes_of(KEY)
    assert info.ocsp_urls == ("http://ocsp.example",)
    assert info.crl_urls == ("http://crl.example/1.crl",)
    assert info.der == der


def test_der_and_pem_and_a_chain_read_the_same():
    info = read_certificate(LEAF)
    assert read_certificate(info.der) == info
    assert read_certificate(b"some text\n" + LEAF + ROOT.pem) == info


def test_an_rsa_certificate_is_called_so():
    assert read_certificate(ROOT.leaf(RSA, NAMES)).key_type == "RSA"


def test_text_from_a_certificate_cannot_steer_a_terminal():
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "evil\x1b[2J")])
    info = read_certificate(ROOT.leaf(KEY, [], subject=subject, extra=[x509.DNSName("a\x1b[2J.example")]))
    assert info.subject_cn == "evil?[2J"
    assert info.identifiers[0].value == "a?[2j.example"
    assert summary(ROOT.leaf(KEY, [], extra=[x509.DNSName("a\x1b[2J.example")])).identifiers == info.identifiers


@pytest.mark.parametrize("data", [b"", b"x", KEY, LEAF[:200], b"0" * ((1 << 20) + 1)])
def test_what_is_no_certificate_is_refused(data):
    with pytest.raises(ConfigError, match="certificate"):
        read_certificate(data)
    with pytest.raises(ConfigError, match="certificate"):
        summary(data)


def test_a_certificate_of_an_unknown_version_is_refused():
    der = read_certificate(LEAF).der
    with pytest.raises(ConfigError, match="certificate"):
        read_certificate(der.replace(b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x0a", 1))


@pytest.mark.parametrize("key", [KEY, RSA], ids=["ecdsa", "rsa"])
def test_the_quick_reading_agrees_with_the_thorough_one(key):
    for pem in (ROOT.leaf(key, NAMES), ROOT.pem, ROOT.leaf(key, NAMES, days=20000)):
        quick, full = summary(pem), read_certificate(pem)
        for fact in ("serial", "not_before", "not_after", "identifiers", "key_type", "aki", "spki"):
            assert getattr(quick, fact) == getattr(full, fact), fact


@pytest.mark.parametrize("key", [KEY, RSA], ids=["ecdsa", "rsa"])
def test_a_whole_lineage_looks_whole(key):
    leaf = ROOT.leaf(key, NAMES)
    assert looks_whole(leaf, ROOT.pem, leaf + ROOT.pem, key)
    assert looks_whole(leaf, b"", leaf, key)
    assert looks_whole(leaf, ROOT.pem, leaf + ROOT.pem, key, leaf=summary(leaf))
    in_token = key_file("pkcs11:object=a", summary(leaf).spki)
    assert looks_whole(leaf, ROOT.pem, leaf + ROOT.pem, in_token)
    assert verify_lineage(leaf, ROOT.pem, leaf + ROOT.pem, in_token) is None


def test_a_lineage_with_something_foreign_does_not_look_whole():
    other_root = root("Other")
    namesake = root("Root")
    other_key = generate_key(KeySpec.ecdsa())
    assert not looks_whole(LEAF, ROOT.pem, LEAF, KEY)
    assert not looks_whole(LEAF, ROOT.pem, LEAF + ROOT.pem, other_key)
    assert not looks_whole(LEAF, ROOT.pem, LEAF + ROOT.pem, b"")
    assert not looks_whole(LEAF, ROOT.pem, LEAF + ROOT.pem, RSA)
    in_token = key_file("pkcs11:object=a", public_bytes_of(RSA))
    assert not looks_whole(LEAF, ROOT.pem, LEAF + ROOT.pem, in_token)
    assert verify_lineage(LEAF, ROOT.pem, LEAF + ROOT.pem, in_token) == "privkey.pem does not belong to cert.pem"
    assert not looks_whole(LEAF, other_root.pem, LEAF + other_root.pem, KEY)
    assert not looks_whole(LEAF, namesake.pem, LEAF + namesake.pem, KEY)
    assert not looks_whole(b"x", ROOT.pem, b"x" + ROOT.pem, KEY)
