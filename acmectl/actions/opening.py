"""A lineage that is about to be changed: what killed runs left half-done in it is finished first, and told."""

from __future__ import annotations

from typing import TYPE_CHECKING

from acmectl.errors import LineageDamaged
from acmectl.events import LineageHealed
from acmectl.storage.lineage import BrokenLineage

if TYPE_CHECKING:
    from acmectl.actions.services import Services
    from acmectl.storage.lineage import Lineage


def open_healed(services: Services, name: str) -> Lineage | BrokenLineage:
    """The lineage ``name``, healed. Called with the store locked. Raises: LineageNotFound, StorageError."""
    opened = services.lineages.open(name)
    for what in opened.healed:
        services.observe(LineageHealed(lineage=name, what=what))
    return opened.lineage


def open_sound(services: Services, name: str) -> Lineage:
    """As ``open_healed``. Raises: LineageDamaged for one that cannot be used even so."""
    lineage = open_healed(services, name)
    if isinstance(lineage, BrokenLineage):
        raise LineageDamaged(lineage.reason)
    return lineage
