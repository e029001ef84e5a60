"""What the certificate itself shall be like, from the options that only acmectl has, checked before anything runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from acmectl.pki.chain_wish import parse_chain_wish

if TYPE_CHECKING:
    from acmectl.config.settings import Settings


def preferred_chain(settings: Settings) -> str | None:
    """The chain that is preferred. Raises: ConfigError for what can name none."""
    text = settings.text("preferred_chain")
    if text is not None:
        parse_chain_wish(text)
    return text
