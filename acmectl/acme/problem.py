"""Problem documents: how a CA says what went wrong (RFC 7807, RFC 8555 section 6.7)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from acmectl.acme.wire import JsonObject, is_https_url, plain_text, read_identifier
from acmectl.errors import ProtocolViolation
from acmectl.identifiers import Identifier

_URN = "urn:ietf:params:acme:error:"
_MAX_SUBPROBLEMS = 1000
_SHOWN_SUBPROBLEMS = 20


class ProblemType(StrEnum):
    """Error types that acmectl knows by name (RFC 8555 section 6.7, RFC 9773 section 7, profiles)."""

    ACCOUNT_DOES_NOT_EXIST = "accountDoesNotExist"
    ALREADY_REPLACED = "alreadyReplaced"
    ALREADY_REVOKED = "alreadyRevoked"
    BAD_CSR = "badCSR"
    BAD_NONCE = "badNonce"
    BAD_PUBLIC_KEY = "badPublicKey"
    BAD_REVOCATION_REASON = "badRevocationReason"
    BAD_SIGNATURE_ALGORITHM = "badSignatureAlgorithm"
    CAA = "caa"
    COMPOUND = "compound"
    CONNECTION = "connection"
    DNS = "dns"
    EXTERNAL_ACCOUNT_REQUIRED = "externalAccountRequired"
    INCORRECT_RESPONSE = "incorrectResponse"
    INVALID_CONTACT = "invalidContact"
    INVALID_PROFILE = "invalidProfile"
    MALFORMED = "malformed"
    ORDER_NOT_READY = "orderNotReady"
    RATE_LIMITED = "rateLimited"
    REJECTED_IDENTIFIER = "rejectedIdentifier"
    SERVER_INTERNAL = "serverInternal"
    TLS = "tls"
    UNAUTHORIZED = "unauthorized"
    UNSUPPORTED_CONTACT = "unsupportedContact"
    UNSUPPORTED_IDENTIFIER = "unsupportedIdentifier"
    USER_ACTION_REQUIRED = "userActionRequired"


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One problem document. Texts are safe for a terminal; ``instance`` is an https URL or None."""

    type: str = "about:blank"
    title: str = ""
    detail: str = ""
    status: int = 0
    identifier: Identifier | None = None
    subproblems: tuple[Problem, ...] = ()
    instance: str | None = None

    @property
    def code(self) -> str:
        """The type without ACME's URN prefix, such as ``rateLimited``."""
        return self.type.removeprefix(_URN)

    @classmethod
    def from_json(cls, value: object) -> Problem:
        """Read a problem document, leaving out whatever is malformed in it. Never raises."""
        return cls._read(value, nested=False)

    @classmethod
    def _read(cls, value: object, *, nested: bool) -> Problem:
        if not isinstance(value, Mapping):
            return cls(detail="The CA sent a malformed problem document.")
        status = value.get("status")
        instance = value.get("instance")
        inner = value.get("subproblems")
        # RFC 8555 section 6.7.1: subproblems do not nest.
        inner = inner[:_MAX_SUBPROBLEMS] if isinstance(inner, list) and not nested else []
        return cls(
            type=_text(value.get("type"), 200) or "about:blank",
            title=_text(value.get("title"), 200),
            detail=_text(value.get("detail")),
            status=status if isinstance(status, int) and not isinstance(status, bool) and 0 <= status <= 999 else 0,
            identifier=_identifier(value.get("identifier")),
            subproblems=tuple(cls._read(entry, nested=True) for entry in inner if isinstance(entry, Mapping)),
            instance=instance if is_https_url(instance) else None,
        )

    def describe(self) -> str:
        """The problem on one line: title, detail, then each subproblem as ``name: detail``."""
        main = " :: ".join(part for part in (self.title, self.detail) if part) or self.code
        if not self.subproblems:
            return main
        shown = "; ".join(sub._short() for sub in self.subproblems[:_SHOWN_SUBPROBLEMS])
        more = len(self.subproblems) - _SHOWN_SUBPROBLEMS
        return f"{main} ({shown}{f'; and {more} more' if more > 0 else ''})"

    def _short(self) -> str:
        text = self.detail or self.title or self.code
        return f"{self.identifier}: {text}" if self.identifier else text


def _text(value: object, limit: int = 2000) -> str:
    return plain_text(value, limit) if isinstance(value, str) else ""


def _identifier(value: object) -> Identifier | None:
    if not isinstance(value, Mapping):
        return None
    try:
        return read_identifier(JsonObject(value, "a problem"))
    except ProtocolViolation:
        return None
