"""A key with its certificates as PKCS#12 (RFC 7292)."""

from __future__ import annotations

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    pkcs12,
)

from acmectl.errors import ConfigError
from acmectl.pki.keys import load_private_key

# As many as OpenSSL's tools use; the file's mode is what protects it first.
_ROUNDS = 20_000


def pkcs12_of(name: str, *, key_pem: bytes, leaf_pem: bytes, chain_pem: bytes, password: str | None) -> bytes:
    """PKCS#12 (DER) with the key, its certificate and the chain above it; ``name`` is its friendly name.

    With a ``password`` it is encrypted by PBES2 with AES-256-CBC and has a MAC by HMAC-SHA-256; with None nothing is
    encrypted, and the MAC is by the empty password.

    Raises: ConfigError when the key can be no certificate's.
    """
    key = load_private_key(key_pem, trusted=True)
    if not isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
        raise ConfigError("The private key is neither RSA nor ECDSA.")
    encryption: KeySerializationEncryption = NoEncryption()
    if password is not None:
        builder = PrivateFormat.PKCS12.encryption_builder().kdf_rounds(_ROUNDS)
        builder = builder.key_cert_algorithm(pkcs12.PBES.PBESv2SHA256AndAES256CBC).hmac_hash(hashes.SHA256())
        encryption = builder.build(password.encode())
    return pkcs12.serialize_key_and_certificates(
        name.encode(),
        key,
        x509.load_pem_x509_certificate(leaf_pem),
        _certificates(chain_pem),
        encryption,
    )


def holds(data: bytes, *, key_pem: bytes, leaf_pem: bytes, chain_pem: bytes, password: str | None) -> bool:
    """Whether the PKCS#12 ``data`` has this very key, certificate and chain below this password."""
    try:
        found = pkcs12.load_pkcs12(data, password.encode() if password is not None else None)
    except ValueError:
        return False
    if found.key is None or found.cert is None:
        return False
    wanted = [x509.load_pem_x509_certificate(leaf_pem), *_certificates(chain_pem)]
    if [found.cert.certificate, *(one.certificate for one in found.additional_certs)] != wanted:
        return False
    mine = load_private_key(key_pem, trusted=True).public_key()
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return found.key.public_key().public_bytes(*form) == mine.public_bytes(*form)


def _certificates(chain_pem: bytes) -> list[x509.Certificate]:
    return x509.load_pem_x509_certificates(chain_pem) if chain_pem.strip() else []
