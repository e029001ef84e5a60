"""What to do with a request for a certificate, given the lineages there are: one pure function."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from acmectl.identifiers import Identifier


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What was asked for: names, perhaps a lineage, and the switches that settle doubts beforehand.

    ``key``: the URI of a key in a PKCS#11 token, empty for a key in a file, None where nobody spoke of it.
    ``second_key``: the type of the second key, None where nobody asked for one.
    ``next_key`` is what a certificate that is kept is to have from now on (actions.next_key.turn).
    """

    identifiers: tuple[Identifier, ...] = ()
    cert_name: str | None = None
    expand: bool = False
    force_renewal: bool = False
    keep_until_expiring: bool = False
    duplicate: bool = False
    renew_with_new_domains: bool = False
    dry_run: bool = False
    key: str | None = None
    second_key: str | None = None
    next_key: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """A lineage as the decision needs it. ``due``: its certificate should be renewed now.

    ``key``: the URI of its key in a PKCS#11 token, empty for a key in a file. ``second_key``: its second key's type.
    """

    name: str
    identifiers: tuple[Identifier, ...]
    due: bool
    key: str = ""
    second_key: str | None = None


class Doubt(StrEnum):
    """What only a person, or a switch, can settle."""

    KEEP_OR_RENEW = "keep-or-renew"
    EXPAND = "expand"
    CHANGE_NAMES = "change-names"


@dataclass(frozen=True, slots=True, kw_only=True)
class New:
    """Make a new lineage; ``name`` when the person chose it, else the store chooses."""

    name: str | None
    identifiers: tuple[Identifier, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Renew:
    """Replace the certificate of ``lineage``; ``identifiers`` differ from its present ones when names change."""

    lineage: str
    identifiers: tuple[Identifier, ...]
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Keep:
    """Leave ``lineage`` as it is."""

    lineage: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """Put ``doubt`` to the person; yes leads to ``if_yes``. Without a person see ``unattended``."""

    doubt: Doubt
    lineage: str
    present: tuple[Identifier, ...]
    if_yes: Renew


@dataclass(frozen=True, slots=True, kw_only=True)
class NeedNames:
    """No identifiers were given and none follow from a lineage."""


Plan = New | Renew | Keep | Ask | NeedNames


def decide(wanted: Wanted, known: Sequence[Known]) -> Plan:
    """The plan for ``wanted``; ``known`` is sorted by lineage name (as certbot sorts renewal files)."""
    if wanted.cert_name is not None:
        return _by_name(wanted, wanted.cert_name, known)
    if not wanted.identifiers:
        return NeedNames()
    new = New(name=None, identifiers=wanted.identifiers)
    if wanted.duplicate:
        return new
    names = set(wanted.identifiers)
    identical = [lineage for lineage in known if set(lineage.identifiers) == names]
    if identical:
        return _identical(wanted, identical[-1])
    smaller = [lineage for lineage in known if lineage.identifiers and set(lineage.identifiers) < names]
    if not smaller:
        return new
    largest = max(smaller, key=lambda lineage: len(lineage.identifiers))
    expand = Renew(lineage=largest.name, identifiers=wanted.identifiers, reason="the certificate gets more names")
    if wanted.expand or wanted.force_renewal:
        return expand
    return Ask(doubt=Doubt.EXPAND, lineage=largest.name, present=largest.identifiers, if_yes=expand)


def _by_name(wanted: Wanted, name: str, known: Sequence[Known]) -> Plan:
    existing = next((lineage for lineage in known if lineage.name == name), None)
    if existing is None:
        return New(name=name, identifiers=wanted.identifiers) if wanted.identifiers else NeedNames()
    if not wanted.identifiers or set(wanted.identifiers) == set(existing.identifiers):
        return _identical(wanted, existing)
    change = Renew(lineage=name, identifiers=wanted.identifiers, reason="the certificate gets other names")
    if wanted.renew_with_new_domains:
        return change
    return Ask(doubt=Doubt.CHANGE_NAMES, lineage=name, present=existing.identifiers, if_yes=change)


def _identical(wanted: Wanted, existing: Known) -> Plan:
    identifiers = wanted.identifiers or existing.identifiers

    def renew(reason: str) -> Renew:
        return Renew(lineage=existing.name, identifiers=identifiers, reason=reason)

    if wanted.force_renewal:
        return renew("renewal was forced")
    if wanted.dry_run:
        return renew("this is a dry run")
    if existing.due:
        return renew("the certificate is due for renewal")
    if wanted.key is not None and wanted.key != existing.key:
        return renew("another key was named for the certificate")
    if wanted.second_key is not None and wanted.second_key != existing.second_key:
        return renew("the certificate gets a second key")
    if wanted.keep_until_expiring:
        return Keep(lineage=existing.name)
    again = renew("you asked for it")
    return Ask(doubt=Doubt.KEEP_OR_RENEW, lineage=existing.name, present=existing.identifiers, if_yes=again)
