"""The deploy ledger: per lineage and version, which deploy hooks are owed, kept in the renewal file's own section.

It is written before a version goes live, so a run that dies before or in a hook leaves the debt behind; each hook that
succeeds is struck off at once, so none runs twice for one version.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from acmectl.actions.backoff import Backoff

if TYPE_CHECKING:
    from datetime import datetime

    from acmectl.storage.lineages import LineageStore
    from acmectl.storage.renewal_conf import JsonValue

KEY = "deploy"
"""The key in the section ``[acmectl]``."""

ENDPOINT_CHECK = "--check-endpoint"
"""Stands in the ledger for the check whether the server serves the new certificate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Owed:
    """Deploy hooks (by command or path) that have not succeeded yet for ``version``."""

    version: int
    hooks: tuple[str, ...]
    backoff: Backoff = field(default_factory=Backoff)

    def to_json(self) -> JsonValue:
        """For the section ``[acmectl]``; None when nothing is owed any more."""
        if not self.hooks:
            return None
        return {"version": self.version, "owed": list(self.hooks), "backoff": self.backoff.to_json()}

    @classmethod
    def from_json(cls, content: object) -> Owed | None:
        """What is owed; None when nothing is, or the note is damaged."""
        if not isinstance(content, Mapping):
            return None
        version, hooks = content.get("version"), content.get("owed")
        if not isinstance(version, int) or not isinstance(hooks, list | tuple) or not hooks:
            return None
        return cls(
            version=version,
            hooks=tuple(hook for hook in hooks if isinstance(hook, str)),
            backoff=Backoff.from_json(content.get("backoff")),
        )


class Ledger:
    """The debts of one lineage while its hooks run."""

    def __init__(self, lineages: LineageStore, name: str, owed: Owed) -> None:
        self._lineages = lineages
        self._name = name
        self.owed = owed

    def settle(self, hook: str) -> None:
        """Strike ``hook`` off. Raises: StorageError."""
        left = tuple(one for one in self.owed.hooks if one != hook)
        if left != self.owed.hooks:
            self.owed = replace(self.owed, hooks=left)
            self._write()

    def postpone(self, now: datetime, reason: str) -> None:
        """Note that what is left has failed once more. Raises: StorageError."""
        if self.owed.hooks:
            self.owed = replace(self.owed, backoff=self.owed.backoff.failed(now, reason))
            self._write()

    def forget(self) -> None:
        """Drop all that is owed. Raises: StorageError."""
        self.owed = replace(self.owed, hooks=())
        self._write()

    def _write(self) -> None:
        self._lineages.update_own(self._name, {KEY: self.owed.to_json()})
