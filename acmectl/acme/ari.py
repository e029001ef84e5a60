"""Certificate identifiers for renewal information (RFC 9773 section 4.1)."""

from __future__ import annotations

from acmectl.acme.base64url import b64url


def ari_certificate_id(aki: bytes, serial: int) -> str:
    """The identifier of a certificate in renewalInfo URLs and in ``replaces`` (RFC 9773 section 4.1).

    ``aki``: the keyIdentifier of its Authority Key Identifier extension; ``serial``: its serial number. The serial is
    encoded as the content of a DER INTEGER, so one whose top bit is set starts with a zero octet.

    Raises: ValueError for an empty ``aki`` or a negative ``serial``.
    """
    if not aki or serial < 0:
        raise ValueError("no authority key identifier, or a negative serial number")
    return f"{b64url(aki)}.{b64url(serial.to_bytes(serial.bit_length() // 8 + 1, 'big'))}"
