"""What the authoritative servers of a name say, for plugins that only look."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from acmectl.dns.question import Said, ask, said
from acmectl.dns.resolver import Resolver, parse_server
from acmectl.dns.zones import ZoneFinder
from acmectl.workers import first_error, run_each

if TYPE_CHECKING:
    from acmectl.interrupts import Interrupts
    from acmectl.plugin.api import DnsSettings

_WORKERS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """The answers of all servers for ``name``, to which aliases may have led from the name that was asked for.

    Names are absolute, without trailing dot.
    """

    name: str
    zone: str
    answers: tuple[Said, ...]


def look_at(name: str, kind: str, settings: DnsSettings, interrupts: Interrupts) -> Looked:
    """Ask every authoritative server of ``name`` for its records of type ``kind`` (TXT, CAA, CNAME).

    Raises: NameServerError when the zone or its servers cannot be found; Interrupted.
    """
    finder = ZoneFinder(Resolver([parse_server(text) for text in settings.resolvers]), aliases=settings.aliases)
    with interrupts.interruptible():
        place = finder.locate(name)
    replies = first_error(
        run_each(
            lambda server: said(server, ask(server, place.name, kind)),
            place.servers,
            workers=_WORKERS,
            interrupts=interrupts,
        )
    )
    return Looked(name=place.name, zone=place.zone, answers=tuple(replies))


def alias_of(name: str, settings: DnsSettings, interrupts: Interrupts) -> str | None:
    """Where the CNAME of ``name`` leads, at its end; None when there is none. Raises: NameServerError, Interrupted."""
    finder = ZoneFinder(Resolver([parse_server(text) for text in settings.resolvers]))
    with interrupts.interruptible():
        place = finder.locate(name)
    return place.name if place.name != name else None
