"""The TLSA records that a lineage with a staged next key should have, and whether DNS has them. Changes nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from acmectl.actions.next_key import Staging, staging_of, usable_from
from acmectl.errors import LineageDamaged
from acmectl.pki.tlsa import fingerprint, parse_record, record_value, would_match
from acmectl.storage import next_keys

if TYPE_CHECKING:
    from datetime import datetime

    from acmectl.actions.services import Services
    from acmectl.dns.tlsa import Looked


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """One name server: ``problem`` None when clients that ask it would take the key."""

    server: str
    problem: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsaRecord:
    """One record; ``name`` absolute without trailing dot, ``is_next``: for the staged key."""

    name: str
    value: str
    is_next: bool
    checked: tuple[Checked, ...] = ()

    @property
    def line(self) -> str:
        """As a line of a zone file, with the key as a comment."""
        return f"{self.name}. IN TLSA {self.value} ; {'next' if self.is_next else 'current'} key"

    @property
    def is_fine(self) -> bool:
        """False when a name server that was asked does not have it."""
        return all(one.problem is None for one in self.checked)


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsaRecords:
    """The records of a lineage. ``current`` and ``staged`` are SHA-256 of public keys in hex; no ``staged``: no key.

    ``seen``: since when the staged key's record is seen everywhere; ``usable_from``: when renewals may change to it.
    ``wildcards`` are names whose records only the administrator can name.
    """

    name: str
    current: str
    staged: str | None
    records: tuple[TlsaRecord, ...]
    wildcards: tuple[str, ...] = ()
    staged_at: datetime | None = None
    seen: datetime | None = None
    ttl: int | None = None
    usable_from: datetime | None = None


def tlsa_records(services: Services, name: str, *, check: bool = False) -> TlsaRecords | None:
    """The records of the lineage ``name``; None for one that stages no key. ``check``: ask the name servers.

    Raises: LineageNotFound, StorageError, ConfigError, Interrupted.
    """
    from acmectl.pki.keys import public_bytes_of
    from acmectl.pki.summary import summary

    lineage = services.lineages.get(name)
    staging = staging_of(lineage.conf.own)
    if staging is None:
        return None
    identifiers = summary(lineage.read("cert")).identifiers
    current = public_bytes_of(lineage.read("privkey"))
    try:
        key = next_keys.load(lineage.archive_dir)
    except LineageDamaged:
        key = None
    if key is not None and key.digest == fingerprint(current):
        key = None
    keys = [(current, False), *([(public_bytes_of(key.key_pem), True)] if key is not None else [])]
    owners = staging.owners(identifiers)
    looked = _looked(services, staging, owners) if check else {}
    return TlsaRecords(
        name=name,
        current=fingerprint(current),
        staged=key.digest if key is not None else None,
        records=tuple(
            TlsaRecord(
                name=owner,
                value=record_value(fingerprint(spki)),
                is_next=is_next,
                checked=_checked(looked.get(owner), spki),
            )
            for owner in owners
            for spki, is_next in keys
        ),
        wildcards=tuple(str(one) for one in identifiers if one.is_wildcard),
        staged_at=key.staged if key is not None else None,
        seen=key.seen if key is not None else None,
        ttl=key.ttl if key is not None and key.seen is not None else None,
        usable_from=usable_from(key) if key is not None else None,
    )


def _looked(services: Services, staging: Staging, owners: tuple[str, ...]) -> dict[str, Looked]:
    from acmectl.dns.tlsa import look_at

    return {one.name: one for one in look_at(owners, staging.resolvers, services.interrupts)}


def _checked(looked: Looked | None, spki: bytes) -> tuple[Checked, ...]:
    if looked is None:
        return ()
    if looked.problem is not None:
        return (Checked(server="DNS", problem=looked.problem),)
    found = []
    for one in looked.said:
        records = [record for text in one.values if (record := parse_record(text)) is not None]
        problem = one.problem
        if problem is None and not would_match(records, spki):
            problem = "it has others only" if records else "it is not there"
        found.append(Checked(server=one.server, problem=problem))
    return tuple(found)
