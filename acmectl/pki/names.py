"""Identifiers to and from subjectAltName entries (RFC 5280 section 4.2.1.6)."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.x509.oid import NameOID

from acmectl.identifiers import Identifier, IdentifierType

if TYPE_CHECKING:
    from collections.abc import Iterable


MALFORMED = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)
"""What the cryptography library raises, at the first look or at any later one, for bytes that are no proper X.509."""


def alternative_names(identifiers: Iterable[Identifier]) -> x509.SubjectAlternativeName:
    """The extension that asks for ``identifiers``, in their order."""
    return x509.SubjectAlternativeName(
        [
            x509.IPAddress(ipaddress.ip_address(identifier.value))
            if identifier.is_ip
            else x509.DNSName(identifier.value)
            for identifier in identifiers
        ]
    )


def identifiers_of(extensions: x509.Extensions) -> tuple[tuple[Identifier, ...], tuple[str, ...]]:
    """The identifiers named by subjectAltName, in its order, and the kinds of its other entries."""
    try:
        names = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return (), ()
    found: list[Identifier] = []
    others: list[str] = []
    for name in names:
        if isinstance(name, x509.DNSName):
            found.append(Identifier(IdentifierType.DNS, printable(name.value).lower()))
        elif isinstance(name, x509.IPAddress):
            if isinstance(name.value, ipaddress.IPv4Address | ipaddress.IPv6Address):
                found.append(Identifier(IdentifierType.IP, name.value.compressed))
            else:
                others.append("IP network")
        else:
            others.append(_KINDS.get(type(name), "name of another kind"))
    return tuple(dict.fromkeys(found)), tuple(dict.fromkeys(others))


_KINDS: dict[type[x509.GeneralName], str] = {
    x509.RFC822Name: "e-mail address",
    x509.UniformResourceIdentifier: "URI",
    x509.DirectoryName: "directory name",
    x509.OtherName: "other name",
    x509.RegisteredID: "registered ID",
}


def common_name(name: x509.Name) -> str | None:
    """The first common name, safe for a terminal, or None."""
    for attribute in name.get_attributes_for_oid(NameOID.COMMON_NAME):
        value = attribute.value
        return printable(value.decode("utf-8", "replace") if isinstance(value, bytes) else value)
    return None


def printable(text: str) -> str:
    """``text`` with every character that could steer a terminal replaced by ``?``."""
    return text if text.isprintable() else "".join(c if c.isprintable() else "?" for c in text)


def wants_stapling(extensions: x509.Extensions) -> bool:
    """Whether they have the TLS feature status_request (RFC 7633 section 4.2.3.1), known as must-staple."""
    try:
        features = extensions.get_extension_for_class(x509.TLSFeature).value
    except x509.ExtensionNotFound:
        return False
    return x509.TLSFeatureType.status_request in features
