"""Which authenticator answers for which name: ``--authenticator-for PATTERN=NAME[:CREDENTIALS]``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from acmectl.config.values import shown
from acmectl.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

NONE = "none"
"""Takes away the choices that a renewal file has."""

_CHOICE = re.compile(r"(?P<pattern>[^=\s]+)=(?P<name>[a-z0-9][a-z0-9-]*)(?::(?P<credentials>[\w.-]+))?", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """``pattern`` is a name or address, or ``*.x``; ``credentials`` the name of named ones."""

    pattern: str
    authenticator: str
    credentials: str | None = None

    def fits(self, identifier: str) -> bool:
        """True for the name itself; for ``*.x`` also for every name below x, wildcards included."""
        return identifier == self.pattern or (
            self.pattern.startswith("*.") and identifier.removeprefix("*.").endswith(self.pattern[1:])
        )


def parse_choices(texts: Sequence[str], origin: str) -> tuple[Choice, ...]:
    """Choices in their order. Raises: ConfigError naming ``origin``."""
    found = []
    if tuple(texts) == (NONE,):
        return ()
    for text in texts:
        match = _CHOICE.fullmatch(text.strip())
        if match is None:
            raise ConfigError(
                f"{origin}: {shown(text)} is not PATTERN=AUTHENTICATOR.",
                hint="Write it like '*.example.org=dns-cloudflare' or 'example.org=dns-cloudflare:work'.",
            )
        found.append(
            Choice(
                pattern=match["pattern"].lower().rstrip("."),
                authenticator=match["name"],
                credentials=match["credentials"],
            )
        )
    return tuple(found)


def choice_for(choices: Sequence[Choice], identifier: str) -> Choice | None:
    """The first choice that fits ``identifier``; None where the default authenticator answers."""
    return next((choice for choice in choices if choice.fits(identifier)), None)


def parse_pairs(texts: Sequence[str], origin: str, meaning: str) -> dict[str, str]:
    """``NAME=VALUE`` texts as a mapping. ``meaning`` is the right form, for messages. Raises: ConfigError."""
    pairs = {}
    for text in texts:
        name, equals, value = (part.strip() for part in text.partition("="))
        if not (name and equals and value):
            raise ConfigError(f"{origin}: {shown(text)} is not {meaning}.")
        pairs[name] = value
    return pairs
