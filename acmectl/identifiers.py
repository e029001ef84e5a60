"""Identifiers: what a certificate is for (RFC 8555 section 9.7.7, RFC 8738)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from acmectl.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable

_LABEL = re.compile(r"^[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?$")
_MAX_NAME = 253
_MAX_LABEL = 63


class IdentifierType(StrEnum):
    """Identifier types registered with IANA that acmectl orders."""

    DNS = "dns"
    IP = "ip"


@dataclass(frozen=True, slots=True, order=True)
class Identifier:
    """A DNS name (lower-case A-labels, no trailing dot, may start with ``*.``) or an IP address (canonical text)."""

    type: IdentifierType
    value: str

    def __str__(self) -> str:
        return self.value

    @property
    def is_wildcard(self) -> bool:
        """True for ``*.example.org``."""
        return self.value.startswith("*.")

    @property
    def is_ip(self) -> bool:
        """True for an IPv4 or IPv6 address."""
        return self.type is IdentifierType.IP

    @property
    def base(self) -> str:
        """The value without a leading ``*.``: the name that an authorization is for (RFC 8555 section 7.1.4)."""
        return self.value.removeprefix("*.")

    @classmethod
    def dns(cls, text: str) -> Identifier:
        """Parse a DNS name as given by a person: lower-cased, one trailing dot removed.

        Raises: ConfigError when it is not a host name or wildcard that a CA could certify.
        """
        name = text.strip().lower()
        if name.startswith(("http://", "https://")):
            raise ConfigError(f"{_shown(text)} is a URL, not a domain name.", hint="Give the host name alone.")
        name = name.removesuffix(".")
        if _is_ip_address(name):
            raise ConfigError(f"{_shown(text)} is an IP address, not a domain name.", hint=f"Use --ip-address {name}.")
        if not name.isascii():
            raise ConfigError(f"{_shown(text)} has characters outside ASCII.", hint=_a_label_hint(name))
        if not name:
            raise ConfigError("A domain name is empty.")
        if len(name) > _MAX_NAME:
            raise ConfigError(f"{_shown(text)} is longer than {_MAX_NAME} characters.")
        _check_labels(name, text)
        return cls(IdentifierType.DNS, name)

    @classmethod
    def ip(cls, text: str) -> Identifier:
        """Parse an IPv4 or IPv6 address (RFC 8738). Raises: ConfigError."""
        import ipaddress

        try:
            address = ipaddress.ip_address(text.strip().removeprefix("[").removesuffix("]"))
        except ValueError:
            raise ConfigError(f"{_shown(text)} is not an IP address.") from None
        return cls(IdentifierType.IP, address.compressed)


def parse_any(text: str) -> Identifier:
    """An identifier of either type from its text. Raises: ConfigError."""
    return Identifier.ip(text) if _is_ip_address(text.strip()) else Identifier.dns(text)


def ordered(identifiers: Iterable[Identifier]) -> tuple[Identifier, ...]:
    """DNS names first, then IP addresses, each in the given order, without repetitions."""
    unique = tuple(dict.fromkeys(identifiers))
    return tuple(i for i in unique if not i.is_ip) + tuple(i for i in unique if i.is_ip)


def _is_ip_address(text: str) -> bool:
    if ":" not in text and not text[-1:].isdigit():
        return False  # and the module, which takes a while to load, is not needed for names
    import ipaddress

    try:
        ipaddress.ip_address(text.removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    return True


def _check_labels(name: str, text: str) -> None:
    labels = name.split(".")
    if labels[0] == "*":
        if len(labels) == 1:
            raise ConfigError("'*' alone is not a domain name.")
        labels = labels[1:]
    for label in labels:
        if not label:
            raise ConfigError(f"{_shown(text)} is not a domain name: it has an empty label.")
        if len(label) > _MAX_LABEL:
            raise ConfigError(f"{_shown(text)} is not a domain name: a label is longer than {_MAX_LABEL} characters.")
        if label == "*":
            raise ConfigError(f"{_shown(text)} is not a domain name: '*' may only be the whole first label.")
        if not _LABEL.match(label):
            bad = _shown(label, quote=False)
            raise ConfigError(f"{_shown(text)} is not a domain name: '{bad}' is not a valid label.")


def _a_label_hint(name: str) -> str:
    try:
        return f"Use its ASCII form: {name.encode('idna').decode('ascii')}"
    except UnicodeError:
        return "Use its ASCII form (xn--...)."


def _shown(text: str, *, quote: bool = True) -> str:
    """Text safe for a terminal, shortened."""
    clean = "".join(c if c.isprintable() else "?" for c in text)
    if len(clean) > 80:
        clean = clean[:77] + "..."
    return f"'{clean}'" if quote else clean
