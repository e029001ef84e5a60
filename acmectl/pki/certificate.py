"""Certificates as values (RFC 5280). For long lists see ``summary``, which needs no cryptography library."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import AuthorityInformationAccessOID

from acmectl.errors import ConfigError
from acmectl.pki import names

if TYPE_CHECKING:
    from datetime import datetime

    from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes

    from acmectl.identifiers import Identifier

MAX_CERTIFICATE = 1 << 20  # bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateInfo:
    """What acmectl reads from a certificate. Times are aware UTC; text is safe for a terminal.

    ``key_type`` is RSA, ECDSA, Ed25519, Ed448 or UNKNOWN; ``spki`` SubjectPublicKeyInfo DER; ``aki`` the key identifier
    of the authority (RFC 9773 section 4.1 names renewal information by it); ``fingerprint_sha256`` lower hex.
    ``must_staple``: servers have to send an OCSP answer with it (RFC 7633).
    """

    serial: int
    not_before: datetime
    not_after: datetime
    identifiers: tuple[Identifier, ...]
    key_type: str
    issuer_cn: str | None
    subject_cn: str | None
    fingerprint_sha256: str
    aki: bytes | None
    spki: bytes = field(repr=False)
    ocsp_urls: tuple[str, ...] = ()
    crl_urls: tuple[str, ...] = ()
    must_staple: bool = False
    der: bytes = field(repr=False)


def read_certificate(data: bytes) -> CertificateInfo:
    """What the first certificate in ``data`` (PEM or DER) says.

    Raises: ConfigError when there is none or it is broken.
    """
    certificate = load_certificate(data)
    try:
        return _read(certificate)
    except names.MALFORMED as error:
        raise ConfigError("The certificate cannot be read: a part of it is malformed.") from error


def load_certificate(data: bytes) -> x509.Certificate:
    """The first certificate in ``data`` (PEM or DER). Raises: ConfigError."""
    if len(data) > MAX_CERTIFICATE:
        raise ConfigError(f"The certificate cannot be read: it is longer than {MAX_CERTIFICATE} bytes.")
    try:
        if b"-----BEGIN" in data:
            return x509.load_pem_x509_certificate(data)
        return x509.load_der_x509_certificate(data)
    except names.MALFORMED as error:
        raise ConfigError("This is not a certificate in PEM or DER.") from error


def spki_of(certificate: x509.Certificate) -> bytes:
    """The certificate's public key as SubjectPublicKeyInfo DER. Raises: names.MALFORMED."""
    return certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _read(certificate: x509.Certificate) -> CertificateInfo:
    extensions = certificate.extensions
    identifiers, _others = names.identifiers_of(extensions)
    public_key = certificate.public_key()
    return CertificateInfo(
        serial=certificate.serial_number,
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
        identifiers=identifiers,
        key_type=_key_type(public_key),
        issuer_cn=names.common_name(certificate.issuer),
        subject_cn=names.common_name(certificate.subject),
        fingerprint_sha256=certificate.fingerprint(hashes.SHA256()).hex(),
        aki=_authority_key(extensions),
        spki=public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        ocsp_urls=_ocsp_urls(extensions),
        crl_urls=_crl_urls(extensions),
        must_staple=names.wants_stapling(extensions),
        der=certificate.public_bytes(Encoding.DER),
    )


def _key_type(key: CertificatePublicKeyTypes) -> str:
    if isinstance(key, rsa.RSAPublicKey):
        return "RSA"
    if isinstance(key, ec.EllipticCurvePublicKey):
        return "ECDSA"
    if isinstance(key, ed25519.Ed25519PublicKey):
        return "Ed25519"
    return "Ed448" if isinstance(key, ed448.Ed448PublicKey) else "UNKNOWN"


def _authority_key(extensions: x509.Extensions) -> bytes | None:
    try:
        return extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier
    except x509.ExtensionNotFound:
        return None


def _ocsp_urls(extensions: x509.Extensions) -> tuple[str, ...]:
    try:
        access = extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
    except x509.ExtensionNotFound:
        return ()
    return tuple(
        names.printable(entry.access_location.value)
        for entry in access
        if entry.access_method == AuthorityInformationAccessOID.OCSP
        and isinstance(entry.access_location, x509.UniformResourceIdentifier)
    )


def _crl_urls(extensions: x509.Extensions) -> tuple[str, ...]:
    try:
        points = extensions.get_extension_for_class(x509.CRLDistributionPoints).value
    except x509.ExtensionNotFound:
        return ()
    return tuple(
        names.printable(name.value)
        for point in points
        for name in point.full_name or ()
        if isinstance(name, x509.UniformResourceIdentifier)
    )
