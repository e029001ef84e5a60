"""TLSA records as the authoritative servers of their names have them (RFC 6698)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from acmectl.dns.question import Outcome, Reply, Said, ask
from acmectl.dns.question import said as told
from acmectl.dns.resolver import Resolver, parse_server
from acmectl.dns.zones import ZoneFinder
from acmectl.errors import NameServerError
from acmectl.workers import first_error, run_each

if TYPE_CHECKING:
    from collections.abc import Sequence

    from acmectl.interrupts import Interrupts

_WORKERS = 8
_TIMEOUT = 3.0  # seconds for one server
_NEVER = (Outcome.REFUSED, Outcome.LAME)


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """The answers for one name. ``ttl``: seconds, the largest that was seen; ``problem``: nobody could be asked."""

    name: str
    said: tuple[Said, ...] = ()
    ttl: int = 0
    problem: str | None = None


def look_at(
    names: Sequence[str], resolvers: Sequence[str], interrupts: Interrupts, *, all_or_nothing: bool = False
) -> tuple[Looked, ...]:
    """Ask every authoritative server of each of ``names`` (absolute, no trailing dot), many at once.

    ``resolvers`` find the servers; none given: those of the system. What goes wrong is in the answers. Servers that do
    not know the zone, or that this machine has no route to, are left out where another one answers. ``all_or_nothing``:
    after the first name that cannot be looked up no more are asked, for DNS that is out of order takes long to fail.

    Raises: ConfigError for what is no resolver; Interrupted.
    """
    finder = ZoneFinder(Resolver([parse_server(text) for text in resolvers]))
    failed: list[str] = []

    def look(name: str) -> Looked:
        if failed and all_or_nothing:
            return Looked(name=name, problem=failed[0])
        found = _look(finder, name)
        problems = (found.problem, *(one.problem for one in found.said))
        failed.extend(problem for problem in problems if problem is not None)
        return found

    return tuple(first_error(run_each(look, names, workers=_WORKERS, interrupts=interrupts)))


def _look(finder: ZoneFinder, name: str) -> Looked:
    try:
        place = finder.locate(name)
    except NameServerError as error:
        return Looked(name=name, problem=error.message.rstrip("."))
    if place.unconfirmed is not None:
        return Looked(name=name, problem=f"no name server of {place.zone} answers: {place.unconfirmed}")
    replies = [(server, ask(server, place.name, "TLSA", timeout=_TIMEOUT)) for server in place.servers]
    if any(reply.outcome.is_usable for _, reply in replies):
        replies = [(server, reply) for server, reply in replies if not _is_no_matter(reply)]
    return Looked(
        name=name,
        said=tuple(told(server, reply) for server, reply in replies),
        ttl=max((reply.ttl or 0 for _, reply in replies), default=0),
    )


def _is_no_matter(reply: Reply) -> bool:
    """Nobody gets an old answer from a server that never answers for the zone."""
    no_route = reply.outcome is Outcome.UNREACHABLE and "unreachable" in reply.detail.lower()
    return reply.outcome in _NEVER or no_route
