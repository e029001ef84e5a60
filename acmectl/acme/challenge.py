"""Challenges: their types, the token check, the key authorization (RFC 8555 section 8, RFC 8737)."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Protocol

from acmectl.errors import ProtocolViolation

# At least 128 bits of base64url, as RFC 8555 section 8.3 asks; it becomes a file name, so nothing else may pass.
TOKEN = re.compile(r"[A-Za-z0-9_-]{22,512}")


class ChallengeType(StrEnum):
    """Challenge types that acmectl can answer. Challenges of other types are read and left alone."""

    HTTP_01 = "http-01"
    DNS_01 = "dns-01"
    DNS_ACCOUNT_01 = "dns-account-01"
    DNS_PERSIST_01 = "dns-persist-01"
    TLS_ALPN_01 = "tls-alpn-01"


class HasThumbprint(Protocol):
    """An account key, as far as a key authorization needs it."""

    def thumbprint(self) -> str:
        """RFC 7638 thumbprint, base64url."""
        ...


def check_token(token: str | None) -> str:
    """``token`` itself when it is one (RFC 8555 section 8.3). Raises: ProtocolViolation before anything uses it."""
    if token is None or not TOKEN.fullmatch(token):
        raise ProtocolViolation("The CA sent a challenge token that is not base64url of at least 128 bits.")
    return token


def key_authorization(token: str | None, key: HasThumbprint) -> str:
    """``token.thumbprint`` (RFC 8555 section 8.1). Raises: ProtocolViolation when the token is malformed."""
    return f"{check_token(token)}.{key.thumbprint()}"
