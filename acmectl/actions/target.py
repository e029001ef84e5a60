"""Which lineage gets a version, and for which identifiers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from acmectl.acme.ari import ari_certificate_id
from acmectl.errors import ConfigError, LineageDamaged
from acmectl.pki.summary import summary

if TYPE_CHECKING:
    from acmectl.identifiers import Identifier
    from acmectl.storage.lineage import Lineage


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Which lineage gets a version, and for which identifiers; ``existing`` is None for a new lineage.

    ``second_type`` is set where this is about the second certificate of the version: the type of its key.
    """

    name: str
    identifiers: tuple[Identifier, ...]
    existing: Lineage | None = None
    deploy_hooks: tuple[str, ...] = ()
    second_type: str | None = None

    @property
    def is_second(self) -> bool:
        """Whether this is about the second certificate of the version."""
        return self.second_type is not None

    def present(self, kind: str) -> bytes | None:
        """The live file (PEM) of what the new certificate takes the place of; None where there is nothing such.

        A second certificate of which something is missing counts as none: a new version makes it whole.
        Raises: LineageDamaged.
        """
        if self.existing is None:
            return None
        if self.second_type is None:
            return self.existing.read(kind)
        second = self.existing.second
        if second is None or second.key_type != self.second_type:
            return None
        try:
            return self.existing.read(f"{kind}-{self.second_type}")
        except LineageDamaged:
            return None

    @property
    def has_new_names(self) -> bool:
        """True unless a certificate for all of these names is there already."""
        if self.existing is None:
            return True
        return not set(self.identifiers) <= set(summary(self.existing.read("cert")).identifiers)

    @property
    def replaces(self) -> str | None:
        """The certificate that the new one takes the place of, as ARI names it (RFC 9773 section 5)."""
        cert_pem = self.present("cert")
        if cert_pem is None:
            return None
        try:
            present = summary(cert_pem)
        except ConfigError:
            if not self.is_second:
                raise
            return None
        shared = set(present.identifiers) & set(self.identifiers)
        return ari_certificate_id(present.aki, present.serial) if present.aki and shared else None
