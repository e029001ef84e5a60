"""What a CA offers, from its directory (RFC 8555 section 7.1.1). No account is needed and none is made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from acmectl.config.catalogue import KnownCa, known
from acmectl.errors import StorageError

if TYPE_CHECKING:
    from acmectl.acme.resources import Directory
    from acmectl.actions.limits import Usage
    from acmectl.actions.services import Services


@dataclass(frozen=True, slots=True, kw_only=True)
class CaOffer:
    """``directory`` is what the CA says now; ``known`` what the catalogue says of it, if it is there.

    ``used`` is what is used most of its limits, as far as this machine knows.
    """

    directory: Directory
    known: KnownCa | None
    used: tuple[Usage, ...] = ()


def look_at(services: Services, server: str) -> CaOffer:
    """Fetch the directory whose URL is ``server``. Raises: ConfigError when it is not https, AcmeError."""
    ca = known(server)
    return CaOffer(
        directory=services.network.client(server).directory(), known=ca, used=_used(services, server, ca) if ca else ()
    )


def _used(services: Services, server: str, ca: KnownCa) -> tuple[Usage, ...]:
    try:
        entries = services.orders.entries() if ca.limits else ()
    except StorageError:
        return ()  # of another user, in whose place nobody counts
    if not entries:
        return ()
    from acmectl.actions.limits import busiest
    from acmectl.actions.registered_domains import RegisteredDomains

    return tuple(busiest(ca.limits, entries, server, services.clock.now(), RegisteredDomains().of))
