"""Certificate signing requests (RFC 2986), as RFC 8555 section 7.4 wants them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

from acmectl.errors import ConfigError
from acmectl.identifiers import Identifier, ordered, parse_any
from acmectl.pki import names
from acmectl.pki.keys import MINIMUM_RSA_SIZE, KeySpec, load_private_key, public_bytes_of
from acmectl.pki.token_file import REQUEST

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes

MAX_CSR = 1 << 20  # bytes; nothing that a CA would take comes near
_MAX_COMMON_NAME = 64  # RFC 5280 appendix A.1, ub-common-name
_KEY_ELSEWHERE = b"""\
The private key of this certificate is kept elsewhere: no server can read it from here.
What follows is the request (CSR) that the certificate was made from.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class CsrInfo:
    """A CSR that a person brought: ``der``, the identifiers it asks for, its public key as SubjectPublicKeyInfo DER.

    ``key`` is None for a key that is neither RSA nor on a curve that public CAs take.
    """

    der: bytes = field(repr=False)
    identifiers: tuple[Identifier, ...]
    spki: bytes = field(repr=False)
    key: KeySpec | None = None
    must_staple: bool = False

    def in_place_of_key(self) -> bytes:
        """What a lineage has as ``privkeyN.pem`` when the key is kept elsewhere: a remark and the CSR in PEM."""
        return _KEY_ELSEWHERE + x509.load_der_x509_csr(self.der).public_bytes(Encoding.PEM)


def make_csr(
    private_pem: bytes, identifiers: Sequence[Identifier], *, must_staple: bool = False, common_name: str | None = None
) -> bytes:
    """A CSR (DER) for ``identifiers``, DNS names before IP addresses, with an empty subject unless ``common_name``.

    ``must_staple`` adds the TLS feature extension (RFC 7633).

    Raises: ConfigError when there is no identifier, the key is unusable or the common name is not one of the names.
    """
    if not identifiers:
        raise ConfigError("A certificate needs at least one name.")
    key = load_private_key(private_pem)
    if not isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
        raise ConfigError("The private key is neither RSA nor ECDSA.")
    return make_csr_with(key, identifiers, must_staple=must_staple, common_name=common_name)


def make_csr_with(
    key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey,
    identifiers: Sequence[Identifier],
    *,
    must_staple: bool = False,
    common_name: str | None = None,
) -> bytes:
    """The same with a key that is loaded already, or that signs where it lies."""
    wanted = ordered(identifiers)
    if not wanted:
        raise ConfigError("A certificate needs at least one name.")
    builder = x509.CertificateSigningRequestBuilder().subject_name(_subject(common_name, wanted))
    builder = builder.add_extension(names.alternative_names(wanted), critical=False)
    if must_staple:
        builder = builder.add_extension(x509.TLSFeature([x509.TLSFeatureType.status_request]), critical=False)
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)


def _subject(common_name: str | None, identifiers: Sequence[Identifier]) -> x509.Name:
    if common_name is None:
        return x509.Name([])
    check_common_name(common_name, identifiers)
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def check_common_name(name: str, identifiers: Sequence[Identifier]) -> None:
    """Refuse what cannot be the subject's common name of a certificate for ``identifiers``. Raises: ConfigError."""
    found = next((identifier for identifier in identifiers if identifier.value == name), None)
    if found is None:
        raise ConfigError(f"The common name {names.printable(name)} is not one of the certificate's names.")
    if found.is_ip:
        raise ConfigError(f"The common name cannot be an IP address, and {name} is one.")
    if len(name) > _MAX_COMMON_NAME:
        raise ConfigError(
            f"The common name {name} is longer than {_MAX_COMMON_NAME} characters.",
            hint="Choose a shorter one of the names, or none: clients look at the names and not at the common name.",
        )


def read_csr(data: bytes) -> CsrInfo:
    """What the CSR in ``data`` (PEM or DER) asks for; text around PEM is ignored.

    Raises: ConfigError when it is no CSR, its signature is wrong, its key is too weak, it names nothing or what cannot
    be ordered.
    """
    request = _parse(data)
    try:
        signed = request.is_signature_valid
        found, others = names.identifiers_of(request.extensions)
        common = names.common_name(request.subject)
        public_key = request.public_key()
        spki = public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        must_staple = names.wants_stapling(request.extensions)
    except names.MALFORMED as error:
        raise ConfigError("The CSR cannot be understood: a part of it is malformed or of an unknown kind.") from error
    if not signed:
        raise ConfigError("The CSR's signature is not valid: it was not made with the key that it carries.")
    key = _checked_key(public_key)
    if others:
        raise ConfigError(f"The CSR asks for a name that cannot be ordered: {', '.join(others)}.")
    values = [identifier.value for identifier in found]
    if common is not None and common.lower() not in values:
        values.insert(0, common)
    if not values:
        raise ConfigError("The CSR names nothing.", hint="It needs a subjectAltName extension.")
    return CsrInfo(
        der=request.public_bytes(Encoding.DER),
        identifiers=ordered(parse_any(value) for value in values),
        spki=spki,
        key=key,
        must_staple=must_staple,
    )


def is_in_place_of_key(privkey_pem: bytes) -> bool:
    """Whether a ``privkeyN.pem`` holds a CSR because the key is kept elsewhere."""
    return REQUEST in privkey_pem and b"PRIVATE KEY-----" not in privkey_pem


def spki_beside(privkey_pem: bytes) -> bytes:
    """The public key (SubjectPublicKeyInfo DER) of a ``privkeyN.pem``, be it a key or a CSR. Raises: ConfigError."""
    return read_csr(privkey_pem).spki if is_in_place_of_key(privkey_pem) else public_bytes_of(privkey_pem)


def _checked_key(public_key: CertificatePublicKeyTypes) -> KeySpec | None:
    if isinstance(public_key, rsa.RSAPublicKey):
        if public_key.key_size < MINIMUM_RSA_SIZE:
            raise ConfigError(
                f"The CSR's RSA key of {public_key.key_size} bits is too small: {MINIMUM_RSA_SIZE} are the least.",
                hint="Make another key and a CSR with it.",
            )
        return KeySpec(type="rsa", size=public_key.key_size)
    if isinstance(public_key, dsa.DSAPublicKey):
        raise ConfigError("The CSR has a DSA key, which no CA takes.", hint="Make an RSA or ECDSA key and another CSR.")
    if isinstance(public_key, ec.EllipticCurvePublicKey):
        try:
            return KeySpec.ecdsa(public_key.curve.name)
        except ConfigError:
            return None
    return None


def _parse(data: bytes) -> x509.CertificateSigningRequest:
    if len(data) > MAX_CSR:
        raise ConfigError(f"The CSR is longer than {MAX_CSR} bytes.")
    if not data.strip():
        raise ConfigError("The CSR is empty.")
    try:
        if b"-----BEGIN" in data:
            return x509.load_pem_x509_csr(data)
        return x509.load_der_x509_csr(data)
    except names.MALFORMED as error:
        raise ConfigError(_what_instead(data)) from error


def _what_instead(data: bytes) -> str:
    if b"-----BEGIN CERTIFICATE-----" in data:
        return "This is a certificate, not a CSR."
    if b"PRIVATE KEY-----" in data:
        return "This is a private key, not a CSR."
    return "This is not a CSR in PEM or DER."
