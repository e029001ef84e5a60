"""The record of dns-persist-01 (draft-ietf-acme-dns-persist), in both forms that CAs read today, as pure functions.

Drafts 00 and 01 name the account by its URL; draft 02 by a hash over name, key thumbprint and URL (section 10). A CA of
draft 02 says ``accountHashPrefix`` and ``issuerDomainNames`` in its directory; others are taken for draft 01.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

LABEL = "_validation-persist"
_ANY_NAME = "*"


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """The account that a record speaks for. ``hash_prefix`` is the CA's ``accountHashPrefix``, None for draft 01.

    ``thumbprint`` is the base64url one of RFC 7638.
    """

    account_url: str
    thumbprint: str
    hash_prefix: str | None = None

    def uris(self, name: str) -> tuple[str, ...]:
        """What ``accounturi`` may be in a record for ``name``, the one to write first."""
        if self.hash_prefix is None:
            return (self.account_url,)
        return tuple(
            f"{self.hash_prefix}sha-256/{account_hash(domain, self.thumbprint, self.account_url)}"
            for domain in (name, _ANY_NAME)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PersistRecord:
    """What a record says. ``until`` is aware UTC; ``wildcard`` means ``policy=wildcard``."""

    issuer: str
    account_uri: str
    wildcard: bool = False
    until: datetime | None = None

    def text(self) -> str:
        """The TXT value."""
        parts = [self.issuer, f"accounturi={self.account_uri}"]
        if self.wildcard:
            parts.append("policy=wildcard")
        if self.until is not None:
            parts.append(f"persistUntil={int(self.until.timestamp())}")
        return "; ".join(parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class PersistFacts:
    """What a challenge of this type comes with: whose record it must be, and under which names of the CA."""

    owner: Owner
    issuers: tuple[str, ...]


def record_name(name: str) -> str:
    """Absolute name of the record for ``name``, a wildcard or not; without trailing dot."""
    return f"{LABEL}.{name.removeprefix('*.')}"


def account_hash(domain: str, thumbprint: str, account_url: str) -> str:
    """The hash of draft 02 section 10, base64url. ``domain``: lower-case A-labels, no ``*.``; ``*`` for any name."""
    octets = domain.encode("ascii")
    data = bytes([len(octets)]) + octets + thumbprint.encode("ascii") + account_url.encode("utf-8")
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode("ascii")


def parse(text: str) -> PersistRecord | None:
    """What a TXT value says (issue-value grammar of RFC 8659); None for what is malformed."""
    issuer, *rest = (part.strip() for part in text.split(";"))
    found: dict[str, str] = {}
    for part in rest:
        tag, equals, value = part.partition("=")
        tag = tag.strip().lower()
        if not equals or not tag or tag in found:
            return None
        found[tag] = value.strip()
    if not issuer or "accounturi" not in found:
        return None
    until: datetime | None = None
    if "persistuntil" in found:
        try:
            until = datetime.fromtimestamp(int(found["persistuntil"]), UTC)
        except (ValueError, OverflowError, OSError):
            return None
    return PersistRecord(
        issuer=issuer.lower().rstrip("."),
        account_uri=found["accounturi"],
        wildcard=found.get("policy", "").lower() == "wildcard",
        until=until,
    )


def why_not(values: Sequence[str], name: str, *, owner: Owner, issuers: Sequence[str], now: datetime) -> str | None:
    """Why none of the TXT ``values`` lets the CA issue for ``name``; None when one does. ``issuers``: any will do."""
    wanted = {issuer.lower() for issuer in issuers}
    reasons: list[str] = []
    for value in values:
        record = parse(value)
        if record is None:
            reasons.append("a value is malformed")
        elif record.issuer not in wanted:
            reasons.append(f"it is for another CA ({record.issuer})")
        elif record.account_uri not in owner.uris(name.removeprefix("*.")):
            reasons.append("it is for another account")
        elif record.until is not None and record.until <= now:
            reasons.append(f"it ended on {record.until:%Y-%m-%d}")
        elif name.startswith("*.") and not record.wildcard:
            reasons.append("it has no policy=wildcard")
        else:
            return None
    return "; ".join(dict.fromkeys(reasons)) or "there is no such record"


def ends(values: Sequence[str], *, owner: Owner, name: str) -> datetime | None:
    """When the last record of this account ends; None when one never does, or there is none."""
    own = [r for r in map(parse, values) if r is not None and r.account_uri in owner.uris(name.removeprefix("*."))]
    times = [record.until for record in own]
    return max((time for time in times if time is not None), default=None) if all(times) else None
