"""A second look at a certificate that would be kept: the CA may know better, or have revoked it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from acmectl.actions.due import parse_before_expiry, renewal_due
from acmectl.storage.lineage import BrokenLineage

if TYPE_CHECKING:
    from acmectl.actions.services import Services


def due_after_all(services: Services, name: str) -> bool:
    """Whether the lineage ``name`` is due by the CA's suggestion (RFC 9773), which is asked for and kept, or revoked.

    A CA that cannot be asked changes nothing. Raises: StorageError, Interrupted.
    """
    from acmectl.actions.revocations import known_revocations
    from acmectl.actions.scan import scan
    from acmectl.actions.suggestions import ask

    (snapshot,) = scan(services, [name], touch=False)
    now = services.clock.now()
    if isinstance(snapshot, BrokenLineage) or not snapshot.autorenew or now >= snapshot.not_after:
        return False
    return any(
        renewal_due(
            not_before=one.not_before,
            not_after=one.not_after,
            now=now,
            before_expiry=parse_before_expiry(one.before_expiry) if one.before_expiry is not None else None,
            revoked=known_revocations([one]).get(name),
            ari=ask(services, [one], workers=1, keep=True).get(name),
            # A person is here now; nobody knows when the next one comes.
            wake_up=timedelta(0),
        ).due
        for one in (snapshot, snapshot.second)
        if one is not None
    )
