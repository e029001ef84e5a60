"""HTTP as the rest of the room sees it: one request, one response, one method to send."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

_LINK = re.compile(r"<([^<>]*)>([^<]*)")
_REL = re.compile(r";\s*rel\s*=\s*(?:\"([^\"]*)\"|([^\s;,]+))", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One HTTP request. ``idempotent``: sending it again after a lost answer does no harm."""

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = field(default=None, repr=False)
    idempotent: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """One HTTP answer. Header names are lower case; ``url`` is the one that answered, after redirects."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)
    url: str = ""

    def header(self, name: str) -> str | None:
        """The header ``name`` in any case, or None. Repeated headers are joined with a comma."""
        return self.headers.get(name.lower())

    def links(self, relation: str) -> list[str]:
        """Targets of Link headers of one relation type (RFC 8288), as they came: perhaps relative, unchecked."""
        found = []
        for target, parameters in _LINK.findall((self.header("link") or "")[:65_536]):
            rel = _REL.search(parameters)
            if rel and relation in (rel.group(1) or rel.group(2) or "").lower().split():
                found.append(target)
        return found


class Transport(Protocol):
    """Whatever can send a request."""

    def send(self, request: Request) -> Response:
        """Send ``request`` and give the answer, whatever its status. Raises: TransportError, Interrupted."""
        ...
