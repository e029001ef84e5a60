"""What a person may name a chain by: an issuer, the fingerprint of a certificate in it, or a key identifier."""

from __future__ import annotations

import re
from dataclasses import dataclass

from acmectl.errors import ConfigError

_DIGITS = re.compile(r"(?:[0-9a-f]{2}:?)*[0-9a-f]{2}", re.IGNORECASE)
_PREFIXED = re.compile(r"\s*(sha256|ski|keyid):(.*)", re.IGNORECASE | re.DOTALL)
_FINGERPRINT, _KEY_ID = 32, 20  # bytes: SHA-256; the usual key identifier (RFC 5280 section 4.2.1.2, RFC 7093)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainWish:
    """``name`` is what was given, which may always be an issuer's common name.

    ``fingerprint`` is the SHA-256 of the DER of a certificate in the chain. ``key_id`` is a subject key identifier in
    the chain, or the authority key identifier of its topmost certificate: that of a root which is not sent.
    """

    name: str
    fingerprint: bytes | None = None
    key_id: bytes | None = None


def parse_chain_wish(text: str) -> ChainWish:
    """``CN``, 64 or 40 hexadecimal digits (colons or not), ``sha256:DIGITS``, ``ski:DIGITS``, ``keyid:DIGITS``.

    Raises: ConfigError for a prefix that something else follows.
    """
    prefixed = _PREFIXED.fullmatch(text)
    digits = (prefixed[2] if prefixed is not None else text).strip()
    raw = bytes.fromhex(digits.replace(":", "")) if _DIGITS.fullmatch(digits) else None
    if prefixed is not None and prefixed[1].lower() == "sha256":
        if raw is None or len(raw) != _FINGERPRINT:
            raise ConfigError(
                "--preferred-chain: sha256: is followed by 64 hexadecimal digits, with or without colons."
            )
        return ChainWish(name=text, fingerprint=raw)
    if prefixed is not None:
        if raw is None:
            raise ConfigError(
                f"--preferred-chain: {prefixed[1].lower()}: is followed by hexadecimal digits, with or without colons."
            )
        return ChainWish(name=text, key_id=raw)
    if raw is not None and len(raw) == _FINGERPRINT:
        return ChainWish(name=text, fingerprint=raw)
    if raw is not None and len(raw) == _KEY_ID:
        return ChainWish(name=text, key_id=raw)
    return ChainWish(name=text)
