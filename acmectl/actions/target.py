"""Which lineage gets a version, and for which identifiers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from acmectl.acme.ari import ari_certificate_id
from acmectl.pki.summary import summary

if TYPE_CHECKING:
    from acmectl.identifiers import Identifier
    from acmectl.storage.lineage import Lineage


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Which lineage gets a version, and for which identifiers; ``existing`` is None for a new lineage."""

    name: str
    identifiers: tuple[Identifier, ...]
    existing: Lineage | None = None
    deploy_hooks: tuple[str, ...] = ()

    @property
    def has_new_names(self) -> bool:
        """True unless a certificate for all of these names is there already."""
        if self.existing is None:
            return True
        return not set(self.identifiers) <= set(summary(self.existing.read("cert")).identifiers)

    @property
    def replaces(self) -> str | None:
        """The certificate that the new one takes the place of, as ARI names it (RFC 9773 section 5)."""
        if self.existing is None:
            return None
        present = summary(self.existing.read("cert"))
        shared = set(present.identifiers) & set(self.identifiers)
        return ari_certificate_id(present.aki, present.serial) if present.aki and shared else None
