"""Preferred challenges in a renewal file: certbot stops at one that it does not know, so those lie in [acmectl]."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_UNKNOWN_TO_CERTBOT = ("tls-alpn-01", "dns-account-01", "dns-persist-01")


def for_certbot(wanted: Sequence[str]) -> tuple[str, ...]:
    """Those that certbot knows: what ``pref_challs`` may hold."""
    return tuple(one for one in wanted if one not in _UNKNOWN_TO_CERTBOT)


def still_ours(stored: object, certbots: str | Sequence[str]) -> bool:
    """Whether the list in our section counts; not when certbot has been told something else since."""
    if not isinstance(stored, list):
        return False
    seen = certbots.split(",") if isinstance(certbots, str) else certbots
    return all(one.strip() in stored for one in seen if one.strip())
