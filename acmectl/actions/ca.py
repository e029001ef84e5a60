"""What a CA offers, from its directory (RFC 8555 section 7.1.1). No account is needed and none is made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from acmectl.config.catalogue import KnownCa, known

if TYPE_CHECKING:
    from acmectl.acme.resources import Directory
    from acmectl.actions.services import Services


@dataclass(frozen=True, slots=True, kw_only=True)
class CaOffer:
    """``directory`` is what the CA says now; ``known`` what the catalogue says of it, if it is there."""

    directory: Directory
    known: KnownCa | None


def look_at(services: Services, server: str) -> CaOffer:
    """Fetch the directory whose URL is ``server``. Raises: ConfigError when it is not https, AcmeError."""
    return CaOffer(directory=services.network.client(server).directory(), known=known(server))
