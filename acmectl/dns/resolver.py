"""The resolvers of this machine, or those that the user names: they find servers, and are never asked for answers."""

from __future__ import annotations

import ipaddress
import threading
from typing import TYPE_CHECKING

from acmectl.dns.question import Outcome, Reply, Server, ask
from acmectl.errors import ConfigError, NameServerError

if TYPE_CHECKING:
    from collections.abc import Sequence

_TRIES = 2
_FINAL = (Outcome.FOUND, Outcome.ALIAS, Outcome.NO_DATA, Outcome.NO_NAME)


def parse_server(text: str) -> Server:
    """A resolver as given: ``192.0.2.1``, ``192.0.2.1:5353``, ``2001:db8::1``, ``[2001:db8::1]:5353``.

    Raises: ConfigError.
    """
    address, port = text.strip(), "53"
    if address.startswith("["):
        address, bracket, rest = address[1:].partition("]")
        port = port if bracket and not rest else rest.removeprefix(":") if rest.startswith(":") else ""
    elif address.count(":") == 1:
        address, _, port = address.partition(":")
    try:
        number = int(port)
        if not 0 < number < 65536:
            raise ValueError
        return Server(address=str(ipaddress.ip_address(address)), port=number)
    except ValueError:
        raise ConfigError(
            f"{text!r} is no address of a resolver.",
            hint="Give an IP address, such as 192.0.2.1 or [2001:db8::1]:5353.",
        ) from None


class Resolver:
    """Recursive look-ups. Safe for use from several threads; remembers addresses for its own life."""

    def __init__(self, servers: Sequence[Server] = ()) -> None:
        """``servers`` empty: those of the system (/etc/resolv.conf), read when the first question is asked."""
        self._given = tuple(servers)
        self._addresses: dict[str, tuple[str, ...]] = {}
        self._silent: set[Server] = set()
        self._lock = threading.Lock()

    def ask(self, name: str, kind: str) -> Reply:
        """The answer of the first resolver that has one. Raises: NameServerError when none has."""
        failures: list[str] = []
        broken = True
        for attempt in range(_TRIES):
            # One that was silent once would cost every other question the same time.
            for server in sorted(self._servers(), key=lambda one: one in self._silent):
                reply = ask(server, name, kind, recursive=True)
                if reply.outcome in _FINAL:
                    return reply
                if reply.outcome is Outcome.SILENT:
                    with self._lock:
                        self._silent.add(server)
                broken = broken and reply.outcome is Outcome.BROKEN
                if attempt == 0:
                    failures.append(f"{server}: {reply.describe()}")
        if failures and broken:
            raise NameServerError(
                f"The resolvers find no answer for {name} ({kind}): {'; '.join(failures)}.",
                hint=f"The name servers of {name} may be out of order, or delegated to wrongly.",
            )
        raise NameServerError(
            f"No resolver could look up {name} ({kind}): {'; '.join(failures)}.",
            hint="Check this machine's DNS (/etc/resolv.conf), or name a resolver with --dns-resolver ADDRESS.",
        )

    def addresses(self, host: str) -> tuple[str, ...]:
        """IPv4 and IPv6 addresses of ``host``; empty when it has none. Raises: NameServerError."""
        with self._lock:
            known = self._addresses.get(host)
        if known is None:
            found: list[str] = []
            for kind in ("A", "AAAA"):
                reply = self._through_aliases(host, kind)
                found += [value for value in reply.values if _is_address(value)]
            known = tuple(found)
            with self._lock:
                self._addresses[host] = known
        return known

    def _through_aliases(self, host: str, kind: str) -> Reply:
        seen = {host}
        reply = self.ask(host, kind)
        while reply.alias is not None and reply.alias not in seen:
            seen.add(reply.alias)
            reply = self.ask(reply.alias, kind)
        return reply

    def _servers(self) -> tuple[Server, ...]:
        if not self._given:
            self._given = _of_the_system()
        return self._given


def _of_the_system() -> tuple[Server, ...]:
    import dns.exception
    import dns.resolver

    try:
        system = dns.resolver.Resolver(configure=True)
    except (dns.exception.DNSException, OSError) as error:
        raise NameServerError(
            f"This machine's resolvers are not known: {error}.", hint="Name one with --dns-resolver ADDRESS."
        ) from error
    return tuple(Server(address=str(address), port=system.port) for address in system.nameservers)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
