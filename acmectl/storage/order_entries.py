"""What stands in the order ledger, one entry a line; apart from its file, which most runs never open."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum


class Kind(StrEnum):
    """What happened."""

    ORDER = "order"
    CERTIFICATE = "certificate"
    FAILURE = "failure"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """Something that a CA counts. ``at`` is aware UTC, ``server`` the directory URL, ``names`` are sorted texts.

    An order and a certificate have all names of the certificate, a failure those whose validation failed. ``order``
    is its URL. ``exempt``: it was ordered as a replacement (RFC 9773 section 5) and counts to no limit. ``renewal``: a
    certificate for the very names was there already.
    """

    at: datetime
    kind: Kind
    server: str
    account: str
    names: tuple[str, ...]
    order: str = ""
    exempt: bool = False
    renewal: bool = False


def line_of(entry: Entry) -> bytes:
    """The line of JSON for ``entry``."""
    content: dict[str, object] = {
        "at": entry.at.astimezone(UTC).isoformat(timespec="seconds"),
        "kind": str(entry.kind),
        "server": entry.server,
        "account": entry.account,
        "names": list(entry.names),
        "order": entry.order,
        "exempt": entry.exempt,
        "renewal": entry.renewal,
    }
    return json.dumps(content, separators=(",", ":")).encode() + b"\n"


def entry_of(line: bytes) -> Entry | None:
    """What a line of JSON says; None for what is no entry. Keys that nobody knows are passed over."""
    try:
        content = json.loads(line)
        at = datetime.fromisoformat(content["at"])
        texts = (content["server"], content["account"], content["order"])
        names, flags = content["names"], (content["exempt"], content["renewal"])
        entry = Entry(
            at=at.astimezone(UTC) if at.tzinfo is not None else at.replace(tzinfo=UTC),
            kind=Kind(content["kind"]),
            server=texts[0],
            account=texts[1],
            names=tuple(names),
            order=texts[2],
            exempt=flags[0],
            renewal=flags[1],
        )
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return None
    sound = isinstance(names, list) and all(isinstance(text, str) for text in (*texts, *names))
    return entry if sound and all(isinstance(flag, bool) for flag in flags) else None
