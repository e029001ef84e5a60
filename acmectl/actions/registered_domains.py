"""Registered domains: what a CA counts certificates per. The one place that knows of the public suffix list."""

from __future__ import annotations

import ipaddress
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from publicsuffixlist import PublicSuffixList

_IPV6_PREFIX = 64


class RegisteredDomains:
    """Looks up registered domains; reading the list takes 50 ms, so that it is read for the first name."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._list: PublicSuffixList | None = None
        self._known: dict[str, str] = {}

    def of(self, name: str) -> str:
        """The registered domain of a DNS name, with or without ``*.``; of an IP address itself, or its /64 network.

        The list's private part counts too: whoever has a name below a dynamic DNS service has a domain of their own.
        A name that is a public suffix stands for itself.
        """
        known = self._known.get(name)
        if known is None:
            known = self._known[name] = _network_of(name) or self._looked_up(name.removeprefix("*."))
        return known

    def _looked_up(self, name: str) -> str:
        with self._lock:
            if self._list is None:
                from publicsuffixlist import PublicSuffixList

                self._list = PublicSuffixList()
            return self._list.privatesuffix(name) or name


def _network_of(name: str) -> str | None:
    if ":" not in name and not name[-1:].isdigit():
        return None
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return None
    if address.version == 4:
        return str(address)
    return str(ipaddress.ip_network((address, _IPV6_PREFIX), strict=False))
