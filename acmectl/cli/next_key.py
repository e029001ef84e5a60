"""How the TLSA records of a lineage read: text for the console, an object for --json."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from acmectl.actions.tlsa_records import TlsaRecords


def records_text(found: TlsaRecords) -> str:
    """The records to have in DNS, one a line, and what happens next."""
    lines = [f"TLSA records for {found.name}:", *(f"  {record.line}" for record in found.records)]
    if found.wildcards:
        lines.append(
            f"  For the hosts of {', '.join(found.wildcards)} they are yours to name; --tlsa-name does so here."
        )
    if found.staged is None:
        lines.append("No next key is staged yet; the next run of acmectl renew does so.")
    elif found.usable_from is None:
        lines.append(
            "The next key is used by the first renewal after its record has been seen at every name server for its TTL."
        )
    else:
        lines.append(f"The next key is used by the first renewal after {found.usable_from:%Y-%m-%d %H:%M:%S} UTC.")
    return "\n".join(lines)


def records_json(found: TlsaRecords | None) -> dict[str, object] | None:
    """The records for --json; None for a lineage that stages no key."""
    if found is None:
        return None
    return {
        "current_sha256": found.current,
        "next_sha256": found.staged,
        "staged": _text(found.staged_at),
        "seen": _text(found.seen),
        "ttl": found.ttl,
        "usable_from": _text(found.usable_from),
        "wildcards": list(found.wildcards),
        "records": [
            {
                "name": record.name,
                "type": "TLSA",
                "value": record.value,
                "key": "next" if record.is_next else "current",
                "line": record.line,
                "checked": [{"server": one.server, "problem": one.problem} for one in record.checked],
            }
            for record in found.records
        ],
    }


def _text(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment is not None else None
