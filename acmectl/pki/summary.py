"""The few facts that a long list of certificates needs, read without the cryptography library.

Importing that library costs more than reading a thousand certificates here. Nothing in this module verifies a
signature: it is for certificates that were verified when they were stored (see ``chain``).
"""

from __future__ import annotations

import binascii
import ipaddress
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING

from acmectl.errors import ConfigError
from acmectl.identifiers import Identifier, IdentifierType
from acmectl.pki.token_file import is_token_key, public_part

if TYPE_CHECKING:
    from collections.abc import Callable

_BEGIN = b"-----BEGIN CERTIFICATE-----"
_END = b"-----END CERTIFICATE-----"
_MAX_LENGTH = 1 << 20  # bytes of PEM

_INTEGER, _BIT_STRING, _OCTET_STRING, _OID, _SEQUENCE = 0x02, 0x03, 0x04, 0x06, 0x30
_UTC_TIME, _GENERALIZED_TIME = 0x17, 0x18
_VERSION, _EXTENSIONS = 0xA0, 0xA3
_DNS_NAME, _URI, _IP_ADDRESS = 0x82, 0x86, 0x87
_DISTRIBUTION_POINT, _FULL_NAME = 0xA0, 0xA0
_KEY_IDENTIFIER = 0x80

_SUBJECT_KEY, _ALTERNATIVE_NAMES, _AUTHORITY_KEY = b"\x55\x1d\x0e", b"\x55\x1d\x11", b"\x55\x1d\x23"
_CRL_POINTS, _AUTHORITY_ACCESS = b"\x55\x1d\x1f", b"\x2b\x06\x01\x05\x05\x07\x01\x01"
_OCSP = b"\x2b\x06\x01\x05\x05\x07\x30\x01"
_KEY_TYPES = {
    b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01": "RSA",
    b"\x2a\x86\x48\xce\x3d\x02\x01": "ECDSA",
    b"\x2b\x65\x70": "Ed25519",
    b"\x2b\x65\x71": "Ed448",
}
_YEAR_PIVOT = 50  # RFC 5280 section 4.1.2.5.1


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateSummary:
    """The facts of one certificate. Times are aware UTC; ``issuer`` and ``subject`` DER names; ``spki`` DER.

    ``key_type`` is RSA, ECDSA, Ed25519, Ed448 or UNKNOWN; ``aki`` and ``ski`` are key identifiers. ``crl_urls`` and
    ``ocsp_urls`` are where the CA tells of revocations, of any scheme.
    """

    serial: int
    not_before: datetime
    not_after: datetime
    identifiers: tuple[Identifier, ...]
    key_type: str
    aki: bytes | None
    ski: bytes | None
    crl_urls: tuple[str, ...]
    ocsp_urls: tuple[str, ...]
    spki: bytes = field(repr=False)
    issuer: bytes = field(repr=False)
    subject: bytes = field(repr=False)


def summary(pem: bytes) -> CertificateSummary:
    """The facts of the first certificate in ``pem``. Raises: ConfigError when there is none or it is malformed."""
    try:
        return _read(_der(pem))
    except (ValueError, IndexError, OverflowError, binascii.Error) as error:
        raise ConfigError("The certificate cannot be read: it is not a certificate in PEM.") from error


def looks_whole(
    cert_pem: bytes,
    chain_pem: bytes,
    fullchain_pem: bytes,
    privkey_pem: bytes,
    *,
    leaf: CertificateSummary | None = None,
) -> bool:
    """Whether the four files of a lineage plainly belong together, short of verifying the signature.

    False means "look closer" (``chain.verify_lineage`` says what is wrong, if anything), not "damaged". ``leaf`` is the
    summary of ``cert_pem`` where the caller has it already.
    """
    if fullchain_pem != cert_pem + chain_pem:
        return False
    try:
        leaf = leaf or summary(cert_pem)
        if not _key_carries(privkey_pem, leaf.spki):
            return False
        if not chain_pem.strip():
            return True
        issuer = _issuer(chain_pem)
    except ConfigError:
        return False
    return leaf.issuer == issuer.subject and (leaf.aki is None or issuer.ski is None or leaf.aki == issuer.ski)


@lru_cache(maxsize=32)
def _issuer(chain_pem: bytes) -> CertificateSummary:
    # The certificates of a machine come from a handful of issuers.
    return summary(chain_pem)


def _key_carries(privkey_pem: bytes, spki: bytes) -> bool:
    """Whether the private key holds the public key of ``spki`` as bytes, as RSA keys must and EC keys mostly do."""
    if is_token_key(privkey_pem):
        return _public_part_is(privkey_pem, spki)
    start = privkey_pem.find(b"PRIVATE KEY-----")
    end = privkey_pem.find(b"-----END", start)
    if start < 0 or end < 0:
        return False
    try:
        key = binascii.a2b_base64(privkey_pem[start + 16 : end])
        outer = _expect(spki, 0, len(spki), _SEQUENCE)
        _tag, _start, algorithm_end = _next(spki, outer[0], outer[1])
        bits = _expect(spki, algorithm_end, outer[1], _BIT_STRING)
        point = spki[bits[0] + 1 : bits[1]]
        if point[:1] == b"\x30":  # RSAPublicKey: the modulus is what the private key repeats
            sequence = _expect(point, 0, len(point), _SEQUENCE)
            modulus = _expect(point, sequence[0], sequence[1], _INTEGER)
            point = point[modulus[0] : modulus[1]]
    except (ValueError, IndexError):
        return False
    return len(point) >= 32 and point in key  # shorter than any key in use


def _public_part_is(token_pem: bytes, spki: bytes) -> bool:
    try:
        return public_part(token_pem) == spki
    except ConfigError:
        return False


def _der(pem: bytes) -> bytes:
    start = pem.find(_BEGIN, 0, _MAX_LENGTH)
    end = pem.find(_END, start, _MAX_LENGTH)
    if start < 0 or end < 0:
        raise ValueError
    return binascii.a2b_base64(pem[start + len(_BEGIN) : end])


def _next(der: bytes, position: int, limit: int) -> tuple[int, int, int]:
    """Tag, start and end of the value at ``position``, which must end by ``limit`` (X.690 section 8.1)."""
    tag, length = der[position], der[position + 1]
    start = position + 2
    if length & 0x80:
        count = length & 0x7F
        if not 1 <= count <= 4:  # four bytes of length are 4 GiB
            raise ValueError
        length = int.from_bytes(der[start : start + count], "big")
        start += count
    end = start + length
    if end > limit:
        raise ValueError
    return tag, start, end


def _expect(der: bytes, position: int, limit: int, wanted: int) -> tuple[int, int]:
    tag, start, end = _next(der, position, limit)
    if tag != wanted:
        raise ValueError
    return start, end


def _read(der: bytes) -> CertificateSummary:
    outer_start, outer_end = _expect(der, 0, len(der), _SEQUENCE)
    position, limit = _expect(der, outer_start, outer_end, _SEQUENCE)
    if der[position] == _VERSION:
        position = _next(der, position, limit)[2]
    serial = _expect(der, position, limit, _INTEGER)
    algorithm = _expect(der, serial[1], limit, _SEQUENCE)
    issuer = _expect(der, algorithm[1], limit, _SEQUENCE)
    validity = _expect(der, issuer[1], limit, _SEQUENCE)
    subject = _expect(der, validity[1], limit, _SEQUENCE)
    spki = _expect(der, subject[1], limit, _SEQUENCE)
    not_before, after_position = _time(der, validity[0], validity[1])
    not_after, _end = _time(der, after_position, validity[1])
    extensions = _extensions(der, spki[1], limit)
    return CertificateSummary(
        serial=int.from_bytes(der[serial[0] : serial[1]], "big", signed=True),
        not_before=not_before,
        not_after=not_after,
        identifiers=_identifiers(extensions.get(_ALTERNATIVE_NAMES)),
        key_type=_key_type(der, spki[0], spki[1]),
        aki=_authority_key(extensions.get(_AUTHORITY_KEY)),
        ski=_subject_key(extensions.get(_SUBJECT_KEY)),
        crl_urls=_urls(_crl_urls, extensions.get(_CRL_POINTS)),
        ocsp_urls=_urls(_ocsp_urls, extensions.get(_AUTHORITY_ACCESS)),
        spki=der[subject[1] : spki[1]],
        issuer=der[issuer[0] : issuer[1]],
        subject=der[subject[0] : subject[1]],
    )


def _time(der: bytes, position: int, limit: int) -> tuple[datetime, int]:
    tag, start, end = _next(der, position, limit)
    text = der[start:end].decode("ascii")
    if tag == _UTC_TIME:
        text = ("19" if int(text[:2]) >= _YEAR_PIVOT else "20") + text
    elif tag != _GENERALIZED_TIME:
        raise ValueError
    if len(text) != 15 or text[14] != "Z" or not text[:14].isdigit():  # YYYYMMDDHHMMSSZ
        raise ValueError
    moment = datetime.fromisoformat(f"{text[:8]}T{text[8:14]}+00:00")
    return moment, end


def _key_type(der: bytes, position: int, limit: int) -> str:
    algorithm = _expect(der, position, limit, _SEQUENCE)
    oid = _expect(der, algorithm[0], algorithm[1], _OID)
    return _KEY_TYPES.get(der[oid[0] : oid[1]], "UNKNOWN")


def _extensions(der: bytes, position: int, limit: int) -> dict[bytes, bytes]:
    found: dict[bytes, bytes] = {}
    while position < limit:
        tag, start, end = _next(der, position, limit)
        if tag == _EXTENSIONS:
            item, last = _expect(der, start, end, _SEQUENCE)
            while item < last:
                inner, item_end = _expect(der, item, last, _SEQUENCE)
                oid = _expect(der, inner, item_end, _OID)
                tag, start, value_end = _next(der, oid[1], item_end)
                if tag != _OCTET_STRING:  # the critical flag comes first
                    start, value_end = _expect(der, value_end, item_end, _OCTET_STRING)
                found[der[oid[0] : oid[1]]] = der[start:value_end]
                item = item_end
        position = end
    return found


def _identifiers(value: bytes | None) -> tuple[Identifier, ...]:
    if value is None:
        return ()
    position, limit = _expect(value, 0, len(value), _SEQUENCE)
    found: list[Identifier] = []
    while position < limit:
        tag, start, end = _next(value, position, limit)
        if tag == _DNS_NAME:
            text = value[start:end].decode("ascii").lower()
            if not text.isprintable():
                text = "".join(c if c.isprintable() else "?" for c in text)
            found.append(Identifier(IdentifierType.DNS, text))
        elif tag == _IP_ADDRESS and end - start in (4, 16):
            found.append(Identifier(IdentifierType.IP, ipaddress.ip_address(value[start:end]).compressed))
        position = end
    return tuple(dict.fromkeys(found))


def _authority_key(value: bytes | None) -> bytes | None:
    if value is None:
        return None
    position, limit = _expect(value, 0, len(value), _SEQUENCE)
    if position == limit:
        return None
    tag, start, end = _next(value, position, limit)
    return value[start:end] if tag == _KEY_IDENTIFIER else None


def _subject_key(value: bytes | None) -> bytes | None:
    if value is None:
        return None
    start, end = _expect(value, 0, len(value), _OCTET_STRING)
    return value[start:end]


def _urls(read: Callable[[bytes], tuple[str, ...]], value: bytes | None) -> tuple[str, ...]:
    if value is None:
        return ()
    try:
        return read(value)
    except (ValueError, IndexError):
        return ()  # nothing that a certificate is needed for depends on it


def _crl_urls(value: bytes) -> tuple[str, ...]:
    """The full names of the distribution points (RFC 5280 section 4.2.1.13)."""
    found: list[str] = []
    position, limit = _expect(value, 0, len(value), _SEQUENCE)
    while position < limit:
        start, end = _expect(value, position, limit, _SEQUENCE)
        position = end
        if start < end and value[start] == _DISTRIBUTION_POINT:
            name_start, name_end = _expect(value, start, end, _DISTRIBUTION_POINT)
            tag, item, last = _next(value, name_start, name_end)
            while tag == _FULL_NAME and item < last:
                kind, text, item = _next(value, item, last)
                if kind == _URI:
                    found.append(_url(value[text:item]))
    return tuple(found)


def _ocsp_urls(value: bytes) -> tuple[str, ...]:
    """The responders that the certificate names (RFC 5280 section 4.2.2.1)."""
    found: list[str] = []
    position, limit = _expect(value, 0, len(value), _SEQUENCE)
    while position < limit:
        start, position = _expect(value, position, limit, _SEQUENCE)
        method = _expect(value, start, position, _OID)
        tag, text, end = _next(value, method[1], position)
        if tag == _URI and value[method[0] : method[1]] == _OCSP:
            found.append(_url(value[text:end]))
    return tuple(found)


def _url(octets: bytes) -> str:
    text = octets.decode("ascii", "replace")
    return "".join(character if character.isprintable() else "?" for character in text)
