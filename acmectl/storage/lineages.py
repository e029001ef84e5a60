"""The lineages of an installation: find, save, go live, prune, delete.

Reading takes no lock and changes nothing. Everything that writes is called with ``StoreLocks`` held, one thread per
lineage. The caller verifies a certificate before it is saved; here it is only stored. The modules that write are
imported when something is written, so that a listing does not wait for them.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from acmectl.errors import ConfigError, StorageError
from acmectl.storage.atomic import storage_error
from acmectl.storage.layout import check_lineage_name
from acmectl.storage.lineage import BrokenLineage, Lineage, read_conf, read_lineage

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from acmectl.identifiers import Identifier
    from acmectl.storage.archive import VersionFiles
    from acmectl.storage.deleting import Deleted
    from acmectl.storage.layout import Layout
    from acmectl.storage.notes import Note
    from acmectl.storage.renewal_conf import JsonValue, RenewalConf

_SUFFIX = ".conf"


@dataclass(frozen=True, slots=True, kw_only=True)
class Matches:
    """Lineages that a request for certain identifiers may mean.

    ``identical`` has the very same identifiers; ``subset`` is the largest that lacks some of the requested ones.
    """

    identical: Lineage | None = None
    subset: Lineage | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A lineage opened for writing, and one line per thing that had to be healed."""

    lineage: Lineage | BrokenLineage
    healed: tuple[str, ...] = ()


class LineageStore:
    """All lineages below one configuration directory."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self._renewal = str(layout.renewal_root)

    # Reading

    def names(self) -> list[str]:
        """Names of all lineages, sorted by the bytes of their renewal files' names, as certbot does."""
        try:
            found = os.listdir(self._renewal)
        except FileNotFoundError:
            return []
        except OSError as error:
            raise storage_error(f"list {self._renewal}", error) from error
        files = [name for name in found if name.endswith(_SUFFIX) and name[0] != "."]
        files.sort(key=os.fsencode)
        return [name[: -len(_SUFFIX)] for name in files]

    def exists(self, name: str) -> bool:
        """Whether a renewal file of that name exists, sound or broken."""
        return os.path.lexists(f"{self._renewal}/{name}{_SUFFIX}")

    def get(self, name: str) -> Lineage:
        """The lineage ``name``.

        Raises: LineageNotFound; LineageDamaged, saying which file and why; ConfigError for what is no name at all.
        """
        return read_lineage(self.layout, check_lineage_name(name))

    def all(self) -> Iterator[Lineage | BrokenLineage]:
        """Every lineage in the order of ``names``; one that cannot be read never hides the others."""
        for name in self.names():
            yield self._look(name)

    def matching(self, identifiers: Collection[Identifier]) -> Matches:
        """The lineages that a request for ``identifiers`` may mean; broken ones are passed over.

        Of several identical ones the last counts, of several subsets the largest, and the first of equals.
        """
        from acmectl.pki.summary import summary

        wanted = frozenset(identifiers)
        identical: Lineage | None = None
        subset: Lineage | None = None
        largest = 0
        for lineage in self.all():
            if isinstance(lineage, BrokenLineage):
                continue
            try:
                held = frozenset(summary(lineage.read("cert")).identifiers)
            except (StorageError, ConfigError):
                continue
            if held == wanted:
                identical = lineage
            elif held < wanted and len(held) > largest:
                subset, largest = lineage, len(held)
        return Matches(identical=identical, subset=subset)

    def choose_name(self, requested: str) -> str:
        """``requested`` if no renewal file has that name, else the first free of ``-0001``, ``-0002``, ...

        Raises: ConfigError when it cannot be a name.
        """
        name = check_lineage_name(requested)
        number = 0
        while self.exists(name):
            number += 1
            name = check_lineage_name(f"{requested}-{number:04d}")
        return name

    def check_free(self, name: str) -> None:
        """Make sure that a new lineage ``name`` can be stored; to be asked before an order is spent.

        What a killed run of ours left behind does not stand in the way.

        Raises: StorageError naming the directory that does; ConfigError when it cannot be a name.
        """
        from acmectl.storage import saving

        saving.check_free(self.layout, check_lineage_name(name))

    def next_version(self, name: str) -> int:
        """The number that the next ``save`` will use. Raises: StorageError."""
        from acmectl.storage import archive, saving

        return archive.scan(saving.places_for_writing(self.layout, name).archive).next_version

    def renewal_conf(self, name: str) -> RenewalConf:
        """The renewal file alone, whatever the links are like. Raises: LineageNotFound, StorageError."""
        return read_conf(self.layout, check_lineage_name(name))[0]

    def kept_versions(self, name: str) -> tuple[int, ...]:
        """Numbers of the versions that all files are kept of, ascending. Raises: StorageError."""
        from acmectl.storage import archive, saving

        return tuple(sorted(archive.scan(saving.places_for_writing(self.layout, name).archive).complete))

    def read_version(self, name: str, number: int) -> VersionFiles:
        """The files of a kept version, with those of its second certificate. Raises: StorageError."""
        from acmectl.storage import archive, saving

        return archive.read_version(saving.places_for_writing(self.layout, name).archive, number)

    # Writing, with the store locked

    def heal(self, name: str) -> list[str]:
        """Finish or take back what a killed run left half-done; one line per thing done. Raises: StorageError."""
        from acmectl.storage import healing

        return healing.heal(self.layout, name)

    def open(self, name: str) -> Opened:
        """The lineage ``name``, healed if need be. Raises: LineageNotFound, StorageError, ConfigError."""
        from acmectl.storage import healing

        check_lineage_name(name)
        healed = tuple(healing.heal(self.layout, name))
        try:
            return Opened(lineage=read_lineage(self.layout, name), healed=healed)
        except StorageError:
            if not self.exists(name):
                raise
            return Opened(lineage=self._look(name), healed=healed)

    def open_all(self, names: Iterable[str] | None = None) -> Iterator[Opened]:
        """Every lineage, or those in ``names``, healed if need be; one that cannot be read never hides the others."""
        from acmectl.storage import healing

        remains = healing.find_remains(self.layout)
        for name in self.names() if names is None else names:
            lineage = self._look(name)
            if isinstance(lineage, Lineage) and name not in remains and not healing.needs_healing(lineage):
                yield Opened(lineage=lineage)
                continue
            try:
                healed = tuple(healing.heal(self.layout, name))
            except StorageError as error:
                yield Opened(lineage=self._broken(name, error))
            else:
                yield Opened(lineage=self._look(name) if healed else lineage, healed=healed)

    def save(self, name: str, files: VersionFiles) -> int:
        """Write ``files`` into the archive as the next version and say its number; durable, and not yet live.

        The key gets 0600, and what the previous key granted to its group and to others' readers, and its group.

        Raises: StorageError, with nothing of the version left behind.
        """
        from acmectl.storage import saving

        return saving.save(self.layout, check_lineage_name(name), files)

    def write_conf(self, name: str, conf: RenewalConf) -> None:
        """Write the renewal file; root keys that ``conf`` lacks are kept or, for a new lineage, filled in.

        An existing file keeps its mode, unknown sections and comments. Raises: StorageError, the old file still there.
        """
        from acmectl.storage import saving

        saving.write_conf(self.layout, check_lineage_name(name), conf)

    def update_own(self, name: str, values: Mapping[str, JsonValue]) -> None:
        """Set keys of our own section of the renewal file; None removes. Raises: LineageNotFound, StorageError."""
        conf, _ = read_conf(self.layout, name)
        own = {key: value for key, value in {**conf.own, **values}.items() if value is not None}
        self.write_conf(name, replace(conf, own=own))

    def update_notes(self, name: str, values: Mapping[str, JsonValue], *, ari_retry_after: str | None = None) -> None:
        """``update_own``, with certbot's note of when ARI may be asked again. Raises: LineageNotFound, StorageError."""
        conf, _ = read_conf(self.layout, name)
        own = {key: value for key, value in {**conf.own, **values}.items() if value is not None}
        ari = dict(conf.ari) if ari_retry_after is None else {**conf.ari, "ari_retry_after": ari_retry_after}
        self.write_conf(name, replace(conf, own=own, ari=ari))

    def write_notes(self, notes: Sequence[Note]) -> None:
        """``update_notes`` for many lineages, much faster. A note may be lost with the power, a file never is.

        Raises: LineageNotFound, StorageError.
        """
        from acmectl.storage.notes import write_notes

        for note in write_notes(self.layout, notes):
            self.update_notes(note.name, note.own, ari_retry_after=note.ari_retry_after)

    def activate(self, name: str, number: int) -> None:
        """Make version ``number`` the live one, durably, in one step. Raises: StorageError, LineageDamaged."""
        from acmectl.storage import saving

        saving.activate(self.layout, name, number)

    def prune(self, name: str, latest: int) -> tuple[int, ...]:
        """Remove versions more than five below ``latest``; the numbers removed. Raises: StorageError."""
        from acmectl.storage import archive, saving

        return archive.prune(saving.places_for_writing(self.layout, name).archive, latest)

    def adopt_saved(
        self,
        name: str,
        key_pem: bytes,
        conf: RenewalConf,
        *,
        version: int,
        second: tuple[str, bytes] | None = None,
    ) -> int | None:
        """Finish a killed run that had saved its certificate: write ``conf``, go live, and say the number.

        It is ours if it is whole, its key is ``key_pem`` and its number is ``version`` or higher; ``second`` are type
        and PEM of its second key. None when there is no such version. Raises: StorageError.
        """
        from acmectl.storage import saving

        return saving.adopt_saved(self.layout, name, key_pem, conf, version, second)

    def delete(self, name: str) -> Deleted:
        """Remove a lineage, sound, broken or never finished. Raises: LineageNotFound, StorageError."""
        from acmectl.storage import deleting

        return deleting.delete(self.layout, check_lineage_name(name), self.names())

    def _look(self, name: str) -> Lineage | BrokenLineage:
        try:
            return read_lineage(self.layout, name)
        except StorageError as error:
            return self._broken(name, error)

    def _broken(self, name: str, error: StorageError) -> BrokenLineage:
        return BrokenLineage(name=name, path=Path(self._renewal, name + _SUFFIX), reason=error.message)
