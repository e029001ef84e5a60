"""What adopt found, as values."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from acmectl.actions.certbot_timers import CertbotTimer
    from acmectl.actions.due import Due
    from acmectl.identifiers import Identifier
    from acmectl.storage.layout import Layout


class Weight(StrEnum):
    """How much a finding matters: a problem stands in the way of renewals."""

    PROBLEM = "problem"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing about one file. ``what`` is half a sentence about ``path``; ``todo`` a command or what to do."""

    weight: Weight
    path: Path
    what: str
    todo: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedLineage:
    """One renewal file. What could not be read is None or empty."""

    name: str
    conf_path: Path
    findings: tuple[Finding, ...] = ()
    identifiers: tuple[Identifier, ...] = ()
    authenticator: str | None = None
    server: str | None = None
    not_after: datetime | None = None
    due: Due | None = None

    @property
    def renewable(self) -> bool:
        """Whether acmectl can renew it as it is."""
        return all(finding.weight is not Weight.PROBLEM for finding in self.findings)


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedTree:
    """A tree. ``findings`` are those that concern no single lineage."""

    layout: Layout
    lineages: tuple[CheckedLineage, ...]
    findings: tuple[Finding, ...]
    timers: tuple[CertbotTimer, ...] = ()

    @property
    def renewable(self) -> bool:
        """Whether acmectl can renew everything in it."""
        whole = all(finding.weight is not Weight.PROBLEM for finding in self.findings)
        return whole and all(lineage.renewable for lineage in self.lineages)
