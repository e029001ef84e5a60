import hashlib

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
