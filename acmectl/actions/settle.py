"""The door to what killed runs have left to others, accounts' keys and DNS records: cheap where there is nothing."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from acmectl.errors import AcmectlError, Interrupted
from acmectl.storage.rollovers import RolloverStore

if TYPE_CHECKING:
    from acmectl.actions.key_change import KeyChanged
    from acmectl.actions.services import Services


def settle(services: Services, server: str) -> list[KeyChanged]:
    """Finish the key changes that killed runs have begun with accounts at ``server``.

    Called with the store locked, before an account is chosen. Raises: AcmeError when the CA cannot be asked;
    StorageError.
    """
    begun = RolloverStore(services.layout).pending(server)
    if not begun:
        return []
    from acmectl.actions.key_change import finish

    return [done for rollover in begun if (done := finish(services, rollover)) is not None]


def settle_all(services: Services, *, but: str | None = None) -> None:
    """As ``settle`` for every CA, and DNS records are taken away; what fails becomes a warning and stops nothing else.

    Certificates that were to be revoked and are not yet are told of, ``but`` for one that is being seen to.

    An account whose key is still in question then is refused when it is chosen.
    """
    _tell_unfinished(services, but)
    if os.path.isdir(services.layout.dns_records) and os.listdir(services.layout.dns_records):  # noqa: PTH112, PTH208
        from acmectl.actions.dns_leftovers import take_away_left

        take_away_left(services)
    begun = RolloverStore(services.layout).pending()
    if not begun:
        return
    from acmectl.actions.key_change import finish

    for rollover in begun:
        try:
            finish(services, rollover)
        except Interrupted:
            raise
        except AcmectlError as error:
            from acmectl.events import Notice

            text = f"The change of an account key at {rollover.server} could not be finished: {error.message}"
            services.observe(Notice(text=text, level="warning"))


def _tell_unfinished(services: Services, but: str | None) -> None:
    if not os.path.isdir(f"{services.layout.work_dir}/reissues"):  # noqa: PTH112
        return
    from acmectl.events import Notice
    from acmectl.storage.reissues import ReissueStore

    for name in ReissueStore(services.layout).names():
        if name != but:
            text = f"A certificate of {name} is still to be revoked: acmectl revoke --reissue --cert-name {name}"
            services.observe(Notice(text=text, level="warning"))
