"""The lineages of an installation: find, save, go live, prune, delete.

Reading takes no lock and changes nothing. Everything that writes is called with ``StoreLocks`` held, one thread per
lineage. The caller verifies a certificate before it is saved; here it is only stored.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from acmectl.errors import ConfigError, LineageDamaged, LineageNotFound, StorageError
from acmectl.storage import archive, renewal_conf
from acmectl.storage.atomic import (
    Permissions,
    fsync_dir,
    make_dir,
    read_file,
    stage_file,
    storage_error,
    telling,
)
from acmectl.storage.deleting import Deleted, delete
from acmectl.storage.healing import heal, is_sound
from acmectl.storage.layout import check_lineage_name
from acmectl.storage.lineage import BrokenLineage, Lineage, read_conf, read_lineage
from acmectl.storage.places import Places, root_keys, standard_places
from acmectl.storage.switch import go_live

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from acmectl.identifiers import Identifier
    from acmectl.storage.archive import VersionFiles
    from acmectl.storage.layout import Layout
    from acmectl.storage.renewal_conf import JsonValue, RenewalConf

_SUFFIX = ".conf"


@dataclass(frozen=True, slots=True, kw_only=True)
class Matches:
    """Lineages that a request for certain identifiers may mean.

    ``identical`` has the very same identifiers; ``subset`` is the largest that lacks some of the requested ones.
    """

    identical: Lineage | None = None
    subset: Lineage | None = None


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
            try:
                yield read_lineage(self.layout, name)
            except StorageError as error:
                path = Path(self._renewal, name + _SUFFIX)
                yield BrokenLineage(name=name, path=path, reason=error.message)

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

        Raises: StorageError naming the directory that does.
        """
        places = standard_places(self.layout, check_lineage_name(name))
        if os.path.lexists(places.conf):
            raise StorageError(f"A certificate named {name} exists already ({places.conf}).")
        ours = archive.scan(places.archive).unfinished or os.path.lexists(self.layout.pending(name))
        for directory in (places.live_dir, places.archive):
            if directory == places.archive and ours:
                continue
            with telling(f"list {directory}"):
                if os.path.lexists(directory) and not (os.path.isdir(directory) and not os.listdir(directory)):
                    raise StorageError(
                        f"A new certificate named {name} cannot be stored: {directory} exists and is not empty.",
                        hint="Move it away, or choose another name with --cert-name.",
                    )

    def next_version(self, name: str) -> int:
        """The number that the next ``save`` will use. Raises: StorageError."""
        return archive.scan(self._places(name).archive).next_version

    # Writing, with the store locked

    def heal(self, name: str) -> list[str]:
        """Finish or take back what a killed run left half-done; one line per thing done. Raises: StorageError."""
        return heal(self.layout, name)

    def save(self, name: str, files: VersionFiles) -> int:
        """Write ``files`` into the archive as the next version and say its number; durable, and not yet live.

        The key gets 0600, and what the previous key granted to its group and to others' readers, and its group.

        Raises: StorageError, with nothing of the version left behind.
        """
        places = self._places(name)
        first = not os.path.lexists(places.conf)
        with telling(f"create {places.archive}"):
            make_dir(self.layout.archive_root, 0o700)
            created = make_dir(places.archive, 0o777)
        try:
            listing = archive.scan(places.archive)
            if first and not listing.unfinished:
                archive.mark_unfinished(places.archive)
            number = listing.next_version
            archive.write_version(places.archive, number, files, archive.key_permissions(_older_key(places, listing)))
        except BaseException:
            if created:
                _remove_created(places.archive)
            raise
        return number

    def write_conf(self, name: str, conf: RenewalConf) -> None:
        """Write the renewal file; root keys that ``conf`` lacks are kept or, for a new lineage, filled in.

        An existing file keeps its mode, unknown sections and comments. Raises: StorageError, the old file still there.
        """
        places = self._places(name)
        existing, mode = _existing(places.conf)
        root = {**root_keys(places), **conf.root}
        data = renewal_conf.render(replace(conf, root=root), existing)
        if data == existing:
            return
        permissions = Permissions(mode=mode) if mode is not None else None
        with telling(f"write {places.conf}"):
            make_dir(self._renewal, 0o755)
            # The name that certbot uses and clears away as well.
            staged = stage_file(places.conf, data, permissions=permissions, temporary=f"{places.conf}.new")
            try:
                os.rename(staged, places.conf)
            except OSError:
                os.unlink(staged)
                raise
            fsync_dir(self._renewal)

    def update_own(self, name: str, values: Mapping[str, JsonValue]) -> None:
        """Set keys of our own section of the renewal file; None removes. Raises: LineageNotFound, StorageError."""
        conf, _ = read_conf(self.layout, name)
        own = {key: value for key, value in {**conf.own, **values}.items() if value is not None}
        self.write_conf(name, replace(conf, own=own))

    def activate(self, name: str, number: int) -> None:
        """Make version ``number`` the live one, durably, in one step. Raises: StorageError, LineageDamaged."""
        places = self._places(name)
        if number not in archive.scan(places.archive).complete:
            raise LineageDamaged(f"Version {number} of the certificate {name} is not complete in {places.archive}.")
        go_live(places, number)
        archive.clear_unfinished(places.archive)

    def prune(self, name: str, latest: int) -> tuple[int, ...]:
        """Remove versions more than five below ``latest``; the numbers removed. Raises: StorageError."""
        return archive.prune(self._places(name).archive, latest)

    def adopt_saved(self, name: str, key_pem: bytes, conf: RenewalConf, *, version: int) -> int | None:
        """Finish a killed run that had saved its certificate: write ``conf``, go live, and say the number.

        It is ours if it is whole, its key is ``key_pem`` and its number is ``version`` or higher. None when there is no
        such version. Raises: StorageError.
        """
        places = self._places(name)
        for number in sorted(archive.scan(places.archive).complete, reverse=True):
            if number < version:
                break
            with telling(f"read version {number} in {places.archive}"):
                if read_file(archive.version_path(places.archive, "privkey", number)) != key_pem:
                    continue
            if is_sound(places.archive, number):
                self.write_conf(name, conf)
                self.activate(name, number)
                return number
        return None

    def delete(self, name: str) -> Deleted:
        """Remove a lineage, sound, broken or never finished. Raises: LineageNotFound, StorageError."""
        return delete(self.layout, check_lineage_name(name), self.names())

    def _places(self, name: str) -> Places:
        """Where the lineage lies; a new or broken one where the layout says."""
        try:
            return read_conf(self.layout, name)[1]
        except (LineageNotFound, LineageDamaged):
            return standard_places(self.layout, name)


def _older_key(places: Places, listing: archive.ArchiveListing) -> str | None:
    if os.path.exists(places.live["privkey"]):
        return places.live["privkey"]
    number = max(listing.versions["privkey"], default=None)
    return None if number is None else archive.version_path(places.archive, "privkey", number)


def _existing(path: str) -> tuple[bytes | None, int | None]:
    try:
        return read_file(path), os.stat(path).st_mode & 0o7777
    except FileNotFoundError:
        return None, None
    except OSError as error:
        raise storage_error(f"read {path}", error) from error


def _remove_created(directory: str) -> None:
    """Take back a directory that a failed first save has made."""
    archive.clear_unfinished(directory)
    try:
        os.rmdir(directory)
    except OSError:
        return
