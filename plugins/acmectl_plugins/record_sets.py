"""What the plugs for Route 53 and Google Cloud DNS share: both know only how to replace all values under a name.

So the values that are there are read first and kept. Two programs may do that at the same moment; once a change has
spread, the values are read again, and those that somebody overwrote are put back.
"""

from __future__ import annotations

import re
from abc import abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from acmectl.plugin.api import PluginError
from acmectl.plugin.dns import DnsProvider, TxtRecord

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from acmectl.plugin.api import Context

_ROUNDS = 3
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 5.0  # seconds between two questions whether a change has spread
_STRING = re.compile(r'"((?:[^"\\]|\\.)*)"')
_MOST_IN_A_STRING = 255  # octets (RFC 1035 section 3.3)
_LONGEST_LINE = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class HostedZone:
    """A public zone of the account. ``name`` without trailing dot; ``key`` is what the service calls it."""

    name: str
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordSet:
    """All TXT values under one name, as zone files write them (in quotation marks). ``ttl`` in seconds."""

    values: tuple[str, ...]
    ttl: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A name's values before and after; None for no values at all. ``name`` without trailing dot."""

    name: str
    old: RecordSet | None
    new: RecordSet | None


@dataclass(slots=True)
class _Edit:
    """What is to become of the values of one name. The values stand as they are in a record, without marks."""

    ttl: int
    added: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)

    def applied_to(self, old: RecordSet | None) -> RecordSet | None:
        """The values afterwards, ``old`` itself when there is nothing to do. Its TTL stays: it may be another's."""
        there = old.values if old is not None else ()
        plain = {unquoted(value) for value in there}
        kept = tuple(value for value in there if unquoted(value) not in self.removed)
        missing = tuple(quoted(value) for value in self.added if value not in plain)
        if not missing and kept == there:
            return old
        values = kept + missing
        return RecordSet(values=values, ttl=old.ttl if old is not None else self.ttl) if values else None


class ConflictError(PluginError):
    """The service refused a change because the values were not, or no longer, as the change supposed."""


class RecordSetProvider(DnsProvider):
    """Collects changes and sends them by ``commit``, for each zone together. ``service`` is its name in messages."""

    service: ClassVar[str]

    def __init__(self, options: Mapping[str, object], credentials: Mapping[str, str], context: Context) -> None:
        super().__init__(options, credentials, context)
        self._edits: dict[str, dict[str, _Edit]] = {}
        self._zones: dict[str, list[HostedZone]] | None = None

    @abstractmethod
    def hosted_zones(self) -> list[HostedZone]:
        """The public zones of the account. Raises: PluginError."""

    @abstractmethod
    def record_sets(self, zone: HostedZone, names: Sequence[str]) -> dict[str, RecordSet]:
        """The TXT values under ``names``, those without any left out. Raises: PluginError."""

    @abstractmethod
    def send(self, zone: HostedZone, changes: Sequence[Change]) -> list[str]:
        """Make ``changes``; the names by which ``is_pending`` knows them. Raises: ConflictError, PluginError."""

    @abstractmethod
    def is_pending(self, zone: HostedZone, change: str) -> bool:
        """Whether some name servers do not know ``change`` yet. Raises: PluginError."""

    def find_zone(self, name: str) -> str:
        """The account's longest public zone that ``name`` lies in. Raises: PluginError when there is none, or two."""
        return self._zone(name).name

    def add(self, record: TxtRecord) -> None:
        """Have the value put there by ``commit``."""
        edit = self._edit(record)
        if record.value in edit.removed:
            edit.removed.remove(record.value)
        if record.value not in edit.added:
            edit.added.append(record.value)

    def remove(self, record: TxtRecord) -> None:
        """Have the value taken away by ``commit``."""
        edit = self._edit(record)
        if record.value in edit.added:
            edit.added.remove(record.value)
        if record.value not in edit.removed:
            edit.removed.append(record.value)

    def commit(self) -> None:
        """Send all changes; wait for those that add until all name servers have them. Raises: PluginError."""
        edits, self._edits = self._edits, {}
        waits = any(edit.added for zone in edits.values() for edit in zone.values())
        for _ in range(_ROUNDS):
            sent = self._send(edits)
            if not sent or not waits:
                return
            self._wait(sent)
        if self._send(edits):
            self.context.warn(
                f"Something else keeps overwriting TXT values in {', '.join(edits)}: "
                f"they were put back {_ROUNDS} times."
            )

    def _edit(self, record: TxtRecord) -> _Edit:
        return self._edits.setdefault(record.zone, {}).setdefault(record.name, _Edit(ttl=record.ttl))

    def _zone(self, name: str) -> HostedZone:
        if self._zones is None:
            zones: dict[str, list[HostedZone]] = {}
            for zone in self.hosted_zones():
                zones.setdefault(zone.name, []).append(zone)
            self._zones = zones
        labels = name.split(".")
        for start in range(len(labels)):
            found = self._zones.get(".".join(labels[start:]), [])
            if len(found) > 1:
                raise PluginError(
                    f"{self.service}: {len(found)} public zones are called {found[0].name}: "
                    f"{', '.join(zone.key for zone in found)}.",
                    hint="Delete those whose name servers are not the ones that the domain is delegated to.",
                )
            if found:
                return found[0]
        known = ", ".join(sorted(self._zones)[:5]) or "none at all"
        raise PluginError(
            f"{self.service}: there is no public zone for {name} in this account.",
            hint=f"Zones seen: {known}{', ...' if len(self._zones) > 5 else ''}. Check which account is used.",
        )

    def _send(self, edits: Mapping[str, Mapping[str, _Edit]]) -> list[tuple[HostedZone, str]]:
        """Every zone is tried. Raises: PluginError for the first that failed."""
        sent: list[tuple[HostedZone, str]] = []
        first: PluginError | None = None
        for name, zone_edits in edits.items():
            try:
                zone = self._zone(name)
                sent += [(zone, change) for change in self._send_to(zone, zone_edits)]
            except PluginError as error:
                first = first or error
        if first is not None:
            raise first
        return sent

    def _send_to(self, zone: HostedZone, edits: Mapping[str, _Edit]) -> list[str]:
        refused: list[Change] = []
        while True:
            there = self.record_sets(zone, list(edits))
            changes = [
                Change(name=name, old=there.get(name), new=new)
                for name, edit in edits.items()
                if (new := edit.applied_to(there.get(name))) is not there.get(name)
            ]
            if not changes:
                return []
            try:
                return self.send(zone, changes)
            except ConflictError:
                # Somebody else was faster; if nothing has changed, it is refused for another reason.
                if changes == refused:
                    raise
                refused = changes

    def _wait(self, sent: Sequence[tuple[HostedZone, str]]) -> None:
        """Until everything has spread, or the patience is over. Never a verdict: the name servers are asked later."""
        fixed = self.context.dns.fixed
        limit = self.context.dns.timeout if fixed is None else fixed
        started = self.context.clock.monotonic()
        pause = _FIRST_PAUSE
        pending = list(sent)
        while pending:
            try:
                pending = [(zone, change) for zone, change in pending if self.is_pending(zone, change)]
            except PluginError as error:
                self.context.warn(f"{error.message} So {self.service} cannot tell when the records have spread.")
                return
            passed = self.context.clock.monotonic() - started
            if not pending:
                return
            if passed >= limit:
                self.context.warn(
                    f"After {passed:.0f} seconds {self.service} still has not told all of its name servers. Going on "
                    "all the same; --dns-propagation-timeout allows more time."
                )
                return
            self.context.progress(f"{self.service} to tell its name servers", passed)
            self.context.clock.sleep(min(pause, limit - passed))
            pause = min(pause * 1.5, _LONGEST_PAUSE)


def quoted(value: str) -> str:
    """``value`` as zone files write it, in strings of at most 255 octets (RFC 1035 section 5.1). ASCII only."""
    parts = [value[start : start + _MOST_IN_A_STRING] for start in range(0, len(value), _MOST_IN_A_STRING)] or [""]
    return " ".join('"' + re.sub(r'(["\\])', r"\\\1", part) + '"' for part in parts)


def unquoted(text: str) -> str:
    """The value that ``text`` of a zone file stands for."""
    if not text.startswith('"'):
        return text
    return "".join(re.sub(r"\\(.)", r"\1", part) for part in _STRING.findall(text))


def line(text: object) -> str:
    """Somebody else's words as one short line that a terminal can show."""
    words = " ".join(str(text).split())
    clean = "".join(character if character.isprintable() else "?" for character in words)
    return clean if len(clean) <= _LONGEST_LINE else f"{clean[:_LONGEST_LINE]}..."
