"""Base64url without padding (RFC 7515 section 2), the form in which ACME writes octets."""

from __future__ import annotations

import base64


def b64url(data: bytes) -> str:
    """Base64url without padding (RFC 7515 section 2)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def unb64url(text: str) -> bytes:
    """Bytes of base64url, with or without padding. Raises: ValueError."""
    if not text.isascii():
        raise ValueError("not base64url")
    body = text.rstrip("=")
    return base64.b64decode(body + "=" * (-len(body) % 4), altchars=b"-_", validate=True)
