"""What CRLs (RFC 5280 section 5) and OCSP responders (RFC 6960) say of certificates, believed only when signed.

Where a list or an answer cannot be relied on, whatever the reason, NotUsableError says why; the certificate's state is
then unknown.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID

from acmectl.errors import ConfigError
from acmectl.pki import names
from acmectl.pki.certificate import load_certificate

if TYPE_CHECKING:
    from collections.abc import Iterable

_AHEAD = timedelta(minutes=10)  # by which the CA's clock may be ahead of ours
_WITHOUT_NEXT = timedelta(hours=1)
_BROKEN = (*names.MALFORMED, InvalidSignature, UnsupportedAlgorithm)
_UNDERSTOOD = {ExtensionOID.ISSUING_DISTRIBUTION_POINT, ExtensionOID.CRL_NUMBER, ExtensionOID.AUTHORITY_KEY_IDENTIFIER}


class NotUsableError(Exception):
    """A list or an answer that says nothing reliable; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """What the CA says. ``revoked`` maps serial numbers to the time of their revocation; times are aware UTC.

    Every serial number that was asked for and is not in it is not revoked. It holds until ``until``.
    """

    revoked: dict[int, datetime]
    until: datetime


def issuer_among(cert_pem: bytes, chain_pem: bytes) -> bytes:
    """The certificate of ``chain_pem`` that issued the one in ``cert_pem``, PEM. Raises: NotUsableError."""
    leaf = _certificate(cert_pem)
    try:
        for candidate in x509.load_pem_x509_certificates(chain_pem):
            if candidate.subject == leaf.issuer:
                leaf.verify_directly_issued_by(candidate)
                return candidate.public_bytes(serialization.Encoding.PEM)
    except (*_BROKEN, TypeError):
        raise NotUsableError("the chain does not fit the certificate") from None
    raise NotUsableError("the chain does not have the certificate's issuer")


def read_crl(data: bytes, issuer_pem: bytes, serials: Iterable[int], *, url: str, now: datetime) -> Statement:
    """What the CRL in ``data`` (DER or PEM), fetched from ``url``, says of the issuer's certificates ``serials``.

    Raises: NotUsableError for one that is stale, for something else, or not signed by the issuer.
    """
    issuer = _certificate(issuer_pem)
    try:
        load = x509.load_pem_x509_crl if data.lstrip().startswith(b"-----BEGIN") else x509.load_der_x509_crl
        crl = load(data)
        if crl.issuer != issuer.subject:
            raise NotUsableError("it is another CA's")
        _check_usage(issuer)
        if not crl.is_signature_valid(_issuer_key(issuer)):
            raise NotUsableError("its signature is wrong")
        until = _fresh(crl.last_update_utc, crl.next_update_utc, now)
        if until is None:
            raise NotUsableError("it does not say how long it holds")
        _check_scope(crl, url)
        revoked: dict[int, datetime] = {}
        for serial in serials:
            entry = crl.get_revoked_certificate_by_serial_number(serial)
            if entry is not None and _counts(entry):
                revoked[serial] = entry.revocation_date_utc
    except (*_BROKEN, TypeError):
        raise NotUsableError("it cannot be read") from None
    return Statement(revoked=revoked, until=until)


def ocsp_request(cert_pem: bytes, issuer_pem: bytes) -> bytes:
    """The DER of the question about one certificate. Raises: NotUsableError."""
    try:
        # SHA-1 only names the issuer here, and many responders know no other hash (RFC 5019 section 2.1.1).
        builder = ocsp.OCSPRequestBuilder().add_certificate(
            _certificate(cert_pem),
            _certificate(issuer_pem),
            hashes.SHA1(),  # noqa: S303
        )
        return builder.build().public_bytes(serialization.Encoding.DER)
    except (*_BROKEN, TypeError):
        raise NotUsableError("the certificate cannot be asked about") from None


def read_ocsp(data: bytes, cert_pem: bytes, issuer_pem: bytes, *, now: datetime) -> Statement:
    """What a responder's answer (DER) says of a certificate. Raises: NotUsableError, also when it does not know."""
    issuer = _certificate(issuer_pem)
    serial = _certificate(cert_pem).serial_number
    try:
        answer = ocsp.load_der_ocsp_response(data)
        if answer.response_status is not ocsp.OCSPResponseStatus.SUCCESSFUL:
            raise NotUsableError(f"the responder answers {answer.response_status.name}")
        signer = _responder(answer, issuer, now)
        _verify(signer, answer.signature, answer.tbs_response_bytes, answer.signature_hash_algorithm)
        for one in answer.responses:
            # The answer is about what was asked, and that was asked with SHA-1.
            asked = one.serial_number == serial and isinstance(one.hash_algorithm, hashes.SHA1)
            if asked and one.issuer_key_hash == _key_hash(issuer):
                return _statement(one, serial, now)
    except (*_BROKEN, TypeError):
        raise NotUsableError("the answer cannot be read, or its signature is wrong") from None
    raise NotUsableError("the answer is about another certificate")


def _statement(one: ocsp.OCSPSingleResponse, serial: int, now: datetime) -> Statement:
    until = _fresh(one.this_update_utc, one.next_update_utc, now) or now + _WITHOUT_NEXT
    if one.certificate_status is ocsp.OCSPCertStatus.UNKNOWN:
        raise NotUsableError("the responder does not know the certificate")
    revoked = one.revocation_time_utc if one.certificate_status is ocsp.OCSPCertStatus.REVOKED else None
    return Statement(revoked={} if revoked is None else {serial: revoked}, until=until)


def _certificate(pem: bytes) -> x509.Certificate:
    try:
        return load_certificate(pem)
    except ConfigError as error:
        raise NotUsableError("a certificate cannot be read") from error


def _issuer_key(
    issuer: x509.Certificate,
) -> rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | ed448.Ed448PublicKey:
    key = issuer.public_key()
    if isinstance(key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | ed448.Ed448PublicKey):
        return key
    raise NotUsableError("its issuer's key is of an unknown kind")


def _check_usage(issuer: x509.Certificate) -> None:
    """RFC 5280 section 6.3.3 (f): a CA that may not sign lists has signed none."""
    try:
        usage = issuer.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        return
    if not usage.crl_sign:
        raise NotUsableError("its issuer must not sign lists")


def _fresh(start: datetime, end: datetime | None, now: datetime) -> datetime | None:
    """``end``, if now lies between the two."""
    if start > now + _AHEAD:
        raise NotUsableError("it is from the future")
    if end is None:
        if start < now - timedelta(days=1):
            raise NotUsableError("it is too old")
        return None
    if end <= now:
        raise NotUsableError(f"it held until {end.astimezone(UTC):%Y-%m-%d %H:%M} UTC")
    return end


def _check_scope(crl: x509.CertificateRevocationList, url: str) -> None:
    """RFC 5280 section 6.3.3 (b): the list must be about the certificates that name ``url``, and all of a kind."""
    for extension in crl.extensions:
        if extension.critical and extension.oid not in _UNDERSTOOD:
            raise NotUsableError("it has a critical extension that is not understood")
        scope = extension.value
        if not isinstance(scope, x509.IssuingDistributionPoint):
            continue
        if scope.indirect_crl or scope.only_contains_ca_certs or scope.only_contains_attribute_certs:
            raise NotUsableError("it is about other certificates")
        named = [name.value for name in scope.full_name or () if isinstance(name, x509.UniformResourceIdentifier)]
        if scope.full_name is not None and url not in named:
            raise NotUsableError("it is the list of another place")


def _counts(entry: x509.RevokedCertificate) -> bool:
    try:
        reason = entry.extensions.get_extension_for_class(x509.CRLReason).value.reason
    except x509.ExtensionNotFound:
        return True
    return reason is not x509.ReasonFlags.remove_from_crl


def _responder(answer: ocsp.OCSPResponse, issuer: x509.Certificate, now: datetime) -> x509.Certificate:
    """Who signed: the issuer itself, or somebody that it has appointed (RFC 6960 section 4.2.2.2)."""
    if _is_named(answer, issuer):
        return issuer
    for candidate in answer.certificates:
        if not _is_named(answer, candidate):
            continue
        candidate.verify_directly_issued_by(issuer)
        try:
            usages = candidate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        except x509.ExtensionNotFound:
            continue
        valid = candidate.not_valid_before_utc <= now + _AHEAD and now < candidate.not_valid_after_utc
        if valid and ExtendedKeyUsageOID.OCSP_SIGNING in usages:
            return candidate
    raise NotUsableError("whoever answers may not speak for the CA")


def _is_named(answer: ocsp.OCSPResponse, certificate: x509.Certificate) -> bool:
    if answer.responder_name is not None:
        return answer.responder_name == certificate.subject
    return answer.responder_key_hash == _key_hash(certificate)


def _key_hash(certificate: x509.Certificate) -> bytes:
    """SHA-1 over the bits of the public key without its algorithm: what a SubjectKeyIdentifier is made of, too."""
    return x509.SubjectKeyIdentifier.from_public_key(certificate.public_key()).digest


def _verify(signer: x509.Certificate, signature: bytes, signed: bytes, algorithm: hashes.HashAlgorithm | None) -> None:
    """Raises: InvalidSignature, NotUsableError."""
    key = _issuer_key(signer)
    if isinstance(key, ed25519.Ed25519PublicKey | ed448.Ed448PublicKey):
        key.verify(signature, signed)
    elif algorithm is None:
        raise NotUsableError("the answer is signed in an unknown way")
    elif isinstance(key, rsa.RSAPublicKey):
        key.verify(signature, signed, padding.PKCS1v15(), algorithm)
    else:
        key.verify(signature, signed, ec.ECDSA(algorithm))
