import hashlib
import ipaddress
import re
import subprocess

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from acmectl.identifiers import parse_any
from acmectl.pki.tls_alpn import ACME_IDENTIFIER, build


@pytest.mark.parametrize("name", ["a.example", "192.0.2.1", "2001:db8::1"])
def test_the_certificate_names_only_the_identifier_and_carries_the_digest(name):
    key_pem, certificate_pem = build(parse_any(name), "token.thumbprint")
    certificate = x509.load_pem_x509_certificate(certificate_pem)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [str(entry.value) for entry in names] == [name]
    acme = certificate.extensions.get_extension_for_oid(ACME_IDENTIFIER)
    assert acme.critical
    assert acme.value.value == b"\x04\x20" + hashlib.sha256(b"token.thumbprint").digest()
    public = load_pem_private_key(key_pem, None).public_key()
    assert public.public_bytes(
        Encoding.DER, PublicFormat.SubjectPublicKeyInfo
    ) == certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    certificate.verify_directly_issued_by(certificate)


@pytest.mark.parametrize("name", ["a.example", "xn--fsq.example", "192.0.2.1", "2001:db8::1"])
def test_both_extensions_are_those_of_rfc_8737_byte_by_byte(name):
    _key, certificate_pem = build(parse_any(name), "token.thumbprint")
    der = x509.load_pem_x509_certificate(certificate_pem).public_bytes(Encoding.DER)
    # Extension ::= SEQUENCE { 1.3.6.1.5.5.7.1.31, TRUE, OCTET STRING { OCTET STRING (SIZE (32)) } }
    digest = hashlib.sha256(b"token.thumbprint").digest()
    identifier = bytes.fromhex("06082b0601050507011f0101ff04220420") + digest
    # Extension ::= SEQUENCE { 2.5.29.17, OCTET STRING { SEQUENCE { dNSName [2] or iPAddress [7] } } }
    if name.endswith("example"):
        general = b"\x82" + bytes([len(name)]) + name.encode("ascii")
    else:
        packed = ipaddress.ip_address(name).packed
        general = b"\x87" + bytes([len(packed)]) + packed
    names = b"\x30" + bytes([len(general)]) + general
    alternative = bytes.fromhex("0603551d11") + b"\x04" + bytes([len(names)]) + names
    both = b"".join(b"\x30" + bytes([len(one)]) + one for one in (alternative, identifier))
    # [3] { SEQUENCE { these two and no others } }
    sequence = b"\x30" + _length(both) + both
    assert b"\xa3" + _length(sequence) + sequence in der
    assert der.count(identifier) == 1


def _length(content: bytes) -> bytes:
    return bytes([len(content)]) if len(content) < 128 else b"\x81" + bytes([len(content)])


def test_openssl_reads_the_certificate_as_we_mean_it():
    _key, certificate_pem = build(parse_any("2001:db8::1"), "token.thumbprint")
    text = subprocess.run(
        ["openssl", "x509", "-noout", "-text", "-fingerprint"], input=certificate_pem, capture_output=True, check=True
    ).stdout.decode()
    assert "IP Address:2001:DB8:0:0:0:0:0:1" in text
    assert re.search(r"(1\.3\.6\.1\.5\.5\.7\.1\.31|acmeIdentifier): critical", text)
    assert text.count("X509v3") == 2  # "X509v3 extensions" and the alternative name
    assert subprocess.run(["openssl", "asn1parse"], input=certificate_pem, capture_output=True).returncode == 0
