"""Certificate chains as a CA sends them (RFC 8555 section 9.1), checked before anything relies on them."""

from __future__ import annotations

import base64
import binascii
import itertools
import re
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from acmectl.errors import AcmectlError, ConfigError, ProtocolViolation
from acmectl.pki import names
from acmectl.pki.certificate import load_certificate, spki_of
from acmectl.pki.chain_wish import parse_chain_wish
from acmectl.pki.csr import spki_beside

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from datetime import datetime

    from acmectl.identifiers import Identifier
    from acmectl.pki.chain_wish import ChainWish

MAX_CHAIN = 1 << 20  # bytes
MAX_CERTIFICATES = 20
CLOCK_TOLERANCE = timedelta(hours=1)

_BLOCK = re.compile(rb"-----BEGIN ([A-Z0-9 ]{1,40})-----([A-Za-z0-9+/=\s]*)-----END \1-----")


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedChain:
    """A verified chain, PEM with 64-column lines and nothing else: ``fullchain`` is ``leaf`` followed by ``chain``.

    ``chain`` is empty when the CA sent the certificate alone.
    """

    fullchain: bytes = field(repr=False)
    leaf: bytes = field(repr=False)
    chain: bytes = field(repr=False)


def split_chain(pem: bytes) -> list[bytes]:
    """The certificates in ``pem``, in order, each as normalised PEM; text around them is dropped.

    Raises: ProtocolViolation when there is none, too many, too long, or something that is not a certificate.
    """
    if len(pem) > MAX_CHAIN:
        raise ProtocolViolation(f"The CA sent a certificate chain of more than {MAX_CHAIN} bytes.")
    begins = pem.count(b"-----BEGIN ")
    if begins > MAX_CERTIFICATES:
        raise ProtocolViolation(f"The CA sent a chain of more than {MAX_CERTIFICATES} certificates.")
    blocks = _BLOCK.findall(pem)
    if not blocks:
        raise ProtocolViolation("The CA sent something that is not a certificate chain in PEM.")
    if len(blocks) != begins:
        raise ProtocolViolation("The CA sent a certificate chain that is cut off or damaged.")
    return [_normalised(label, body) for label, body in blocks]


def normalise(pem: bytes) -> bytes:
    """``pem`` with nothing but certificates in 64-column lines. Raises: ProtocolViolation."""
    return b"".join(split_chain(pem))


def _normalised(label: bytes, body: bytes) -> bytes:
    if label != b"CERTIFICATE":
        raise ProtocolViolation(f"The CA sent a {label.decode('ascii')} where certificates were expected.")
    try:
        der = base64.b64decode(b"".join(body.split()), validate=True)
        return x509.load_der_x509_certificate(der).public_bytes(Encoding.PEM)
    except (binascii.Error, *names.MALFORMED) as error:
        raise ProtocolViolation("The CA sent a certificate chain with a certificate that cannot be read.") from error


def verify_issued(chain_pem: bytes, spki: bytes, identifiers: Collection[Identifier], now: datetime) -> IssuedChain:
    """Check that the CA sent what was ordered and give it normalised.

    The certificate's key must be ``spki`` (SubjectPublicKeyInfo DER), its names exactly ``identifiers`` in any order,
    each certificate must be signed by the next (a root at the end is tolerated, a certificate alone too), and ``now``
    (aware UTC) must lie within its validity, with an hour's tolerance for a clock that is behind.

    Raises: ProtocolViolation saying what is wrong.
    """
    parts = split_chain(chain_pem)
    certificates = [load_certificate(part) for part in parts]
    leaf = certificates[0]
    try:
        if spki_of(leaf) != spki:
            raise ProtocolViolation("The CA sent a certificate for another key than ours.")
        _check_names(leaf, identifiers)
    except names.MALFORMED as error:
        raise ProtocolViolation("The CA sent a certificate that cannot be understood.") from error
    _check_order(certificates)
    _check_dates(leaf, now)
    return IssuedChain(fullchain=b"".join(parts), leaf=parts[0], chain=b"".join(parts[1:]))


def _check_names(leaf: x509.Certificate, identifiers: Collection[Identifier]) -> None:
    found, others = names.identifiers_of(leaf.extensions)
    missing = [identifier.value for identifier in identifiers if identifier not in found]
    extra = [identifier.value for identifier in found if identifier not in identifiers] + list(others)
    if missing:
        raise ProtocolViolation(f"The CA sent a certificate without {_few(missing)}.")
    if extra:
        raise ProtocolViolation(f"The CA sent a certificate for more than was ordered: {_few(extra)}.")


def _check_order(certificates: list[x509.Certificate]) -> None:
    for number, (lower, upper) in enumerate(itertools.pairwise(certificates), start=1):
        if not _issued_by(lower, upper):
            raise ProtocolViolation(
                f"The CA sent a broken chain: certificate {number} was not issued by certificate {number + 1}."
            )


def _issued_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (InvalidSignature, *names.MALFORMED):
        return False
    return True


def _check_dates(leaf: x509.Certificate, now: datetime) -> None:
    hint = "Check this machine's clock."
    if leaf.not_valid_before_utc > now + CLOCK_TOLERANCE:
        start = leaf.not_valid_before_utc.strftime("%Y-%m-%d %H:%M:%S UTC")
        raise ProtocolViolation(f"The CA sent a certificate that is not valid before {start}.", hint=hint)
    if leaf.not_valid_after_utc <= now:
        end = leaf.not_valid_after_utc.strftime("%Y-%m-%d %H:%M:%S UTC")
        raise ProtocolViolation(f"The CA sent a certificate that ended on {end}.", hint=hint)


def verify_lineage(cert_pem: bytes, chain_pem: bytes, fullchain_pem: bytes, privkey_pem: bytes) -> str | None:
    """What is wrong with the four files of a lineage, in a few words, or None.

    Checks that the key (or the CSR that stands in its place) belongs to the certificate, that fullchain is cert and
    chain, and that the first certificate of chain (which may be empty) signed the certificate.
    """
    if fullchain_pem != cert_pem + chain_pem:
        return "fullchain.pem is not cert.pem followed by chain.pem"
    try:
        leaf = load_certificate(cert_pem)
        spki = spki_of(leaf)
    except (ConfigError, *names.MALFORMED):
        return "cert.pem cannot be read as a certificate"
    try:
        if spki_beside(privkey_pem) != spki:
            return "privkey.pem does not belong to cert.pem"
    except ConfigError as error:
        return f"privkey.pem: {error.message}"
    if not chain_pem.strip():
        return None
    try:
        issuer = load_certificate(chain_pem)
    except ConfigError:
        return "chain.pem cannot be read as a certificate"
    return None if _issued_by(leaf, issuer) else "cert.pem was not signed by the first certificate of chain.pem"


def choose_chain(chains: Iterable[bytes], preferred: str | None) -> tuple[bytes, bool]:
    """The chain (PEM) that ``preferred`` names, and whether there is one.

    It names a chain by the common name that issued its topmost certificate, by the SHA-256 fingerprint of a
    certificate in it, or by a key identifier (``chain_wish``).

    ``chains`` gives the default first and is read no further than needed; without a match the default is given with
    False. Without a preference the default is a match. An alternate that cannot be read is passed over.

    Raises: ProtocolViolation when ``chains`` is empty; ConfigError for a ``preferred`` that cannot be understood.
    """
    default: bytes | None = None
    wish = None if preferred is None else parse_chain_wish(preferred)
    for chain in chains:
        if default is None:
            default = chain
        if wish is None or _is_wanted(chain, wish):
            return chain, True
    if default is None:
        raise ProtocolViolation("The CA offered no certificate chain.")
    return default, False


def _is_wanted(chain_pem: bytes, wish: ChainWish) -> bool:
    if topmost_issuer(chain_pem) == wish.name:
        return True
    if wish.fingerprint is None and wish.key_id is None:
        return False
    try:
        certificates = [load_certificate(part) for part in split_chain(chain_pem)]
        if wish.fingerprint is not None:
            return any(one.fingerprint(SHA256()) == wish.fingerprint for one in certificates)
        found = [key_id for one in certificates if (key_id := _subject_key_id(one)) is not None]
        above = _authority_key_id(certificates[-1])
    except (AcmectlError, *names.MALFORMED):
        return False
    return wish.key_id in found or wish.key_id == above


def _subject_key_id(certificate: x509.Certificate) -> bytes | None:
    try:
        return certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    except x509.ExtensionNotFound:
        return None


def _authority_key_id(certificate: x509.Certificate) -> bytes | None:
    try:
        return certificate.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier
    except x509.ExtensionNotFound:
        return None


def topmost_issuer(chain_pem: bytes) -> str | None:
    """Common name of the issuer of the last certificate in ``chain_pem``; None without one or when unreadable."""
    try:
        return names.common_name(load_certificate(split_chain(chain_pem)[-1]).issuer)
    except (AcmectlError, *names.MALFORMED):
        return None


def _few(values: list[str]) -> str:
    shown = ", ".join(values[:5])
    return shown if len(values) <= 5 else f"{shown} and {len(values) - 5} more"
