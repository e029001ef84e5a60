"""Where a record belongs: through aliases, to the zone and its authoritative servers (RFC 8555 section 8.4, RFC 1034).

The name of a challenge is never asked of a resolver, which would remember for a while that it is not there: the zone's
own servers are asked, and only their addresses come from the resolver.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from acmectl.dns.question import Outcome, Reply, Server, ask
from acmectl.errors import NameServerError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from acmectl.dns.resolver import Resolver

_Answer = tuple[Reply, str, tuple[Server, ...], "str | None"]
_MOST_ALIASES = 16
_MOST_CUTS = 8
_SHORT = 3.0  # seconds for one server while there are others to ask


class AliasError(NameServerError):
    """Aliases that lead nowhere: the record has no place, whatever else is known of the name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where the value for ``asked`` is to be put: at ``name`` in ``zone``, which ``servers`` answer for.

    ``chain`` has the aliases on the way, from ``asked`` to ``name``; both alone when there is none. ``unconfirmed``
    tells why the zone's servers could not be asked, so that the resolver's word had to do.
    """

    asked: str
    name: str
    zone: str
    servers: tuple[Server, ...] = field(repr=False, default=())
    chain: tuple[str, ...] = ()
    unconfirmed: str | None = None


class ZoneFinder:
    """Finds places. Safe for use from several threads; remembers zones for its own life."""

    def __init__(self, resolver: Resolver, *, aliases: Mapping[str, str] | None = None) -> None:
        """``aliases`` are known beforehand: record name to record name, for those that cannot be looked up."""
        self._resolver = resolver
        self._aliases = dict(aliases or {})
        self._zones: dict[str, str] = {}
        self._servers: dict[str, tuple[Server, ...]] = {}
        self._silent: set[str] = set()
        self._lock = threading.Lock()

    def locate(self, name: str) -> Place:
        """The place of the record ``name``. Raises: AliasError with the chain of aliases, NameServerError."""
        chain = [name]
        try:
            return self._at_the_end(chain)
        except AliasError:
            raise
        except NameServerError as error:
            if len(chain) == 1:
                raise
            raise AliasError(
                f"{name} is an alias (CNAME), and where it points no record can be put: {_shown(chain)}. "
                f"{error.message}",
                hint=error.hint,
            ) from error

    def _at_the_end(self, chain: list[str]) -> Place:
        """Follow the aliases from the one name in ``chain``, which gets those on the way."""
        name = chain[0]
        while True:
            given = self._aliases.get(chain[-1])
            answer: _Answer = (Reply(outcome=Outcome.ALIAS, alias=given), "", (), None)
            if given is None:
                answer = self._ask_zone(chain)
            reply, zone, servers, doubt = answer
            if reply.alias is None:
                return Place(
                    asked=name, name=chain[-1], zone=zone, servers=servers, chain=tuple(chain), unconfirmed=doubt
                )
            if reply.alias in chain:
                raise AliasError(
                    f"{name}: its aliases (CNAME) go round in a circle: {_shown((*chain, reply.alias))}.",
                    hint="Correct the CNAME records.",
                )
            chain.append(reply.alias)
            if len(chain) > _MOST_ALIASES:
                raise AliasError(f"{name}: there are too many aliases (CNAME): {_shown(chain)}.")

    def servers(self, zone: str) -> tuple[Server, ...]:
        """All addresses of the authoritative servers of ``zone``. Raises: NameServerError when there is none."""
        with self._lock:
            known = self._servers.get(zone)
        if known is None:
            hosts = self._resolver.ask(zone, "NS").values
            known = tuple(Server(address=address, host=host) for host in hosts for address in self._addresses(host))
            if not known:
                why = f"none of {', '.join(hosts)} has an address" if hosts else "it has no NS records"
                raise NameServerError(
                    f"The name servers of the zone {zone} are not known: {why}.", hint="Check the zone's delegation."
                )
            with self._lock:
                self._servers[zone] = known
        return known

    def _addresses(self, host: str) -> tuple[str, ...]:
        """None for a server whose address is not to be had: the CA will use the others too."""
        try:
            return self._resolver.addresses(host)
        except NameServerError:
            return ()

    def zone_of(self, name: str) -> str:
        """The zone that ``name`` lies in, as the resolver knows it. Raises: NameServerError when there is none."""
        labels = name.split(".")
        for start in range(len(labels)):
            candidate = ".".join(labels[start:])
            with self._lock:
                known = self._zones.get(candidate)
            if known is None:
                known = self._apex(candidate)
            if known:
                with self._lock:
                    self._zones.update({".".join(labels[i:]): known for i in range(start + 1)})
                return known
        raise NameServerError(
            f"No zone was found for {name}.", hint="Check that the name is registered and delegated (dig SOA)."
        )

    def _apex(self, candidate: str) -> str | None:
        reply = self._resolver.ask(candidate, "SOA")
        if reply.outcome is Outcome.FOUND:
            return candidate
        if reply.zone and (candidate == reply.zone or candidate.endswith(f".{reply.zone}")):
            return reply.zone
        return None

    def _ask_zone(self, chain: list[str]) -> _Answer:
        """What the servers of its zone say about the last name of ``chain``; further down where they delegate it."""
        name = chain[-1]
        parent = name.partition(".")[2]
        zone = self.zone_of(parent or name)
        for _ in range(_MOST_CUTS):
            servers = self.servers(zone)
            said: list[tuple[Server, Reply]] = []
            # One that was silent once would cost every other name the same time.
            for server in sorted(servers, key=lambda one: one.address in self._silent):
                reply = ask(server, name, "CNAME", timeout=_SHORT)
                if reply.outcome is Outcome.SILENT:
                    with self._lock:
                        self._silent.add(server.address)
                if reply.outcome is Outcome.FOUND:
                    return Reply(outcome=Outcome.ALIAS, alias=reply.values[0]), zone, servers, None
                if reply.outcome.is_usable or reply.outcome is Outcome.REFERRAL:
                    break
                said.append((server, reply))
            else:
                return self._by_the_resolver(chain, zone, servers, said)
            if reply.outcome is not Outcome.REFERRAL or reply.zone is None or reply.zone == zone:
                return reply, zone, servers, None
            zone = reply.zone
        raise NameServerError(f"{_shown(chain)}: its delegation goes on and on.", hint="Check the NS records.")

    def _by_the_resolver(
        self, chain: list[str], zone: str, servers: tuple[Server, ...], said: list[tuple[Server, Reply]]
    ) -> _Answer:
        what = "; ".join(f"{server}: {reply.describe()}" for server, reply in said)
        if not all(reply.outcome in (Outcome.SILENT, Outcome.UNREACHABLE) for _, reply in said):
            raise NameServerError(
                f"{_shown(chain)}: the name servers of the zone {zone} do not answer for it: {what}.",
                hint="Check the zone's NS records, here and in its parent zone.",
            )
        # Port 53 may be closed to the outside while the resolver is allowed through.
        reply = self._resolver.ask(chain[-1], "CNAME")
        alias = reply.values[0] if reply.outcome is Outcome.FOUND else None
        return Reply(outcome=reply.outcome, alias=alias), self.zone_of(chain[-1]), servers, what


def _shown(chain: list[str] | tuple[str, ...]) -> str:
    return " -> ".join(chain)
