"""Several CAs: ``--server`` given more than once, or URLs and short names with commas between them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from acmectl.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence


def read_servers(texts: Sequence[str], origin: str) -> tuple[str, ...]:
    """The directory URLs that ``texts`` name, in order, each once; ``origin`` tells where they were given.

    Raises: UsageError, ConfigError as ``catalogue.directory_url``.
    """
    words = [word.strip() for text in texts for word in text.split(",")]
    given = [word for word in words if word]
    if not given:
        raise UsageError(f"{origin}: the CA is missing.")
    if all("://" in word for word in given):
        return tuple(dict.fromkeys(given))
    from acmectl.config.catalogue import directory_url

    return tuple(dict.fromkeys(directory_url(word, origin) for word in given))
