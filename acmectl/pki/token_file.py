"""What stands in ``privkeyN.pem`` when the private key lies elsewhere: a CSR, or the name of a key in a PKCS#11 token.

For the latter it is the form of the OpenSSL provider pkcs11-provider, so that servers which use that provider can load
the file as if it were the key. The public key follows it: nobody needs the token to see which certificate it is for.
Loads no library, because the list of certificates needs it.
"""

from __future__ import annotations

import base64
import binascii

from acmectl.errors import ConfigError

REQUEST = b"-----BEGIN CERTIFICATE REQUEST-----"
_LABEL = b"PKCS#11 PROVIDER URI"
_DESCRIPTION = b"PKCS#11 Provider URI v1.0"
_PUBLIC = b"PUBLIC KEY"
_REMARK = b"""\
The private key of this certificate lies in a PKCS#11 token. This file says in which one and holds no secret.
"""
_SEQUENCE, _VISIBLE_STRING, _UTF8_STRING = 0x30, 0x1A, 0x0C


def is_token_key(privkey_pem: bytes) -> bool:
    """Whether a ``privkeyN.pem`` names a key in a token."""
    return b"-----BEGIN " + _LABEL + b"-----" in privkey_pem and b"PRIVATE KEY-----" not in privkey_pem


def is_external_key(privkey_pem: bytes) -> bool:
    """Whether a ``privkeyN.pem`` holds no private key because that lies elsewhere: a CSR or the name of a token's."""
    return is_token_key(privkey_pem) or (REQUEST in privkey_pem and b"PRIVATE KEY-----" not in privkey_pem)


def key_file(uri: str, spki: bytes) -> bytes:
    """A ``privkeyN.pem`` for the key that ``uri`` (RFC 7512) names; ``spki``: SubjectPublicKeyInfo DER."""
    body = _element(_VISIBLE_STRING, _DESCRIPTION) + _element(_UTF8_STRING, uri.encode())
    return _REMARK + _pem(_LABEL, _element(_SEQUENCE, body)) + _pem(_PUBLIC, spki)


def uri_in(privkey_pem: bytes) -> str:
    """The URI in such a file. Raises: ConfigError."""
    der = _block(privkey_pem, _LABEL)
    try:
        content = _content(der, _SEQUENCE)[0]
        description, rest = _content(content, _VISIBLE_STRING)
        uri, rest = _content(rest, _UTF8_STRING)
        text = uri.decode()
        if description == _DESCRIPTION and not rest and text.isprintable():
            return text
    except (IndexError, ValueError):
        pass
    raise ConfigError("The private key cannot be read: its file names a key in a PKCS#11 token in an unknown form.")


def public_part(privkey_pem: bytes) -> bytes:
    """The public key (SubjectPublicKeyInfo DER) in such a file. Raises: ConfigError."""
    return _block(privkey_pem, _PUBLIC)


def _pem(label: bytes, der: bytes) -> bytes:
    text = base64.b64encode(der)
    lines = [text[start : start + 64] for start in range(0, len(text), 64)]
    return b"\n".join([b"-----BEGIN " + label + b"-----", *lines, b"-----END " + label + b"-----", b""])


def _block(pem: bytes, label: bytes) -> bytes:
    begin, end = b"-----BEGIN " + label + b"-----", b"-----END " + label + b"-----"
    start = pem.find(begin)
    stop = pem.find(end, start)
    if start < 0 or stop < 0:
        what = label.decode()
        raise ConfigError(f"The private key cannot be read: its file names a key in a token and has no {what}.")
    try:
        return base64.b64decode(b"".join(pem[start + len(begin) : stop].split()), validate=True)
    except binascii.Error as error:
        raise ConfigError("The private key cannot be read: its file is damaged.") from error


def _element(tag: int, content: bytes) -> bytes:
    length = len(content)
    if length < 0x80:
        return bytes([tag, length]) + content
    octets = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(octets)]) + octets + content


def _content(der: bytes, tag: int) -> tuple[bytes, bytes]:
    """Content of the first element, which must have ``tag``, and what follows it. Raises: ValueError, IndexError."""
    if der[0] != tag:
        raise ValueError
    length, start = der[1], 2
    if length & 0x80:
        count = length & 0x7F
        length, start = int.from_bytes(der[2 : 2 + count], "big"), 2 + count
    if not length or len(der) < start + length:
        raise ValueError
    return der[start : start + length], der[start + length :]
