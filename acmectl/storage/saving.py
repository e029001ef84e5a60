"""Writing a lineage: a version into the archive, its renewal file, going live. Called with the store locked."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from acmectl.errors import LineageDamaged, LineageNotFound, StorageError
from acmectl.storage import archive, renewal_conf
from acmectl.storage.atomic import Permissions, fsync_dir, make_dir, read_file, stage_file, storage_error, telling
from acmectl.storage.layout import SECOND_KINDS
from acmectl.storage.lineage import read_conf
from acmectl.storage.places import Places, root_keys, standard_places
from acmectl.storage.switch import go_live, is_version_link

if TYPE_CHECKING:
    from acmectl.storage.archive import VersionFiles
    from acmectl.storage.layout import Layout
    from acmectl.storage.renewal_conf import RenewalConf


def places_for_writing(layout: Layout, name: str) -> Places:
    """Where the lineage lies by its renewal file; a new or broken one where the layout says."""
    try:
        return read_conf(layout, name)[1]
    except (LineageNotFound, LineageDamaged):
        return standard_places(layout, name)


def check_free(layout: Layout, name: str) -> None:
    """Make sure that a new lineage ``name`` can be stored. Raises: StorageError naming what stands in the way."""
    places = standard_places(layout, name)
    if os.path.lexists(places.conf):
        raise StorageError(f"A certificate named {name} exists already ({places.conf}).")
    if not renewal_conf.holds(places.archive):
        raise StorageError(f"The path {places.archive!r} has a character that a renewal file cannot hold.")
    ours = archive.scan(places.archive).unfinished or os.path.lexists(layout.pending(name))
    for directory in (places.live_dir, places.archive):
        if directory == places.archive and ours:
            continue
        with telling(f"list {directory}"):
            if os.path.lexists(directory) and not (os.path.isdir(directory) and not _what_counts(directory)):
                raise StorageError(
                    f"A new certificate named {name} cannot be stored: {directory} exists and is not empty.",
                    hint="Move it away, or choose another name with --cert-name.",
                )


def _what_counts(directory: str) -> list[str]:
    """What lies in a directory without the links of a second certificate that certbot's delete leaves behind."""
    with os.scandir(directory) as entries:
        return [entry.name for entry in entries if not (is_version_link(entry) and not os.path.exists(entry.path))]


def save(layout: Layout, name: str, files: VersionFiles) -> int:
    """Write ``files`` into the archive as the next version and say its number. Raises: StorageError."""
    places = places_for_writing(layout, name)
    first = not os.path.lexists(places.conf)
    with telling(f"create {places.archive}"):
        make_dir(layout.archive_root, 0o700)
        created = make_dir(places.archive, 0o777)
    try:
        listing = archive.scan(places.archive)
        if first and not listing.unfinished:
            archive.mark_unfinished(places.archive)
        for path in listing.temporaries:
            with suppress(FileNotFoundError):
                os.unlink(path)
        number = _remove_remains(places.archive, listing, files)
        older = _older_key(places, listing)
        older_second = _older_key(places, listing, files.second_type) if files.second_type is not None else None
        key, second_key = archive.key_permissions(older), archive.key_permissions(older_second or older)
        archive.write_version(places.archive, number, files, key, second_key)
    except BaseException:
        if created:
            archive.clear_unfinished(places.archive)
            with suppress(OSError):
                os.rmdir(places.archive)
        raise
    return number


def _remove_remains(directory: str, listing: archive.ArchiveListing, files: VersionFiles) -> int:
    """The number to use: that of a killed run's attempt to save these very keys, whose files go, else the next one."""
    number = listing.next_version
    last = number - 1
    present = listing.all_kinds()
    first = files.kinds[0]
    if last in present.get(first, ()) and last not in listing.complete:
        for kind in (first, "privkey"):
            path = archive.version_path(directory, kind, last)
            with telling(f"read {path}"):
                if last in present[kind] and read_file(path) != files.of(kind):
                    return number
        with telling(f"remove the incomplete version {last} in {directory}"):
            # The first key last: while it is there the rest is known to be ours.
            for kind in reversed(files.kinds):
                if last in present.get(kind, ()):
                    os.unlink(archive.version_path(directory, kind, last))
        return last
    return number


def write_conf(layout: Layout, name: str, conf: RenewalConf) -> None:
    """Write the renewal file, keeping what ``conf`` does not speak of. Raises: StorageError."""
    places = places_for_writing(layout, name)
    existing, mode = _existing(places.conf)
    data = renewal_conf.render(replace(conf, root={**root_keys(places), **conf.root}), existing)
    if data == existing:
        return
    permissions = Permissions(mode=mode) if mode is not None else None
    directory = os.path.dirname(places.conf)
    with telling(f"write {places.conf}"):
        make_dir(directory, 0o755)
        # The name that certbot uses and clears away as well.
        staged = stage_file(places.conf, data, permissions=permissions, temporary=f"{places.conf}.new")
        try:
            os.rename(staged, places.conf)
        except OSError:
            with suppress(OSError):
                os.unlink(staged)
            raise
        fsync_dir(directory)


def activate(layout: Layout, name: str, number: int) -> None:
    """Make version ``number`` the live one, durably, in one step: with its second certificate or without one.

    Raises: StorageError, LineageDamaged.
    """
    places = places_for_writing(layout, name)
    listing = archive.scan(places.archive)
    if number not in listing.complete:
        raise LineageDamaged(f"Version {number} of the certificate {name} is not complete in {places.archive}.")
    go_live(places, number, second=listing.second_type(number))
    archive.clear_unfinished(places.archive)


def adopt_saved(
    layout: Layout,
    name: str,
    key_pem: bytes,
    conf: RenewalConf,
    version: int,
    second: tuple[str, bytes] | None = None,
) -> int | None:
    """Finish a killed run that had saved its certificate: write ``conf``, go live, and say the number.

    ``second`` is the type and the PEM of the second key.
    """
    places = places_for_writing(layout, name)
    listing = archive.scan(places.archive)
    keys = {"privkey": key_pem} if second is None else {"privkey": key_pem, SECOND_KINDS[second[0]][0]: second[1]}
    for number in sorted(listing.complete, reverse=True):
        if number < version:
            break
        if listing.second_type(number) != (None if second is None else second[0]):
            continue
        with telling(f"read version {number} in {places.archive}"):
            if any(read_file(archive.version_path(places.archive, kind, number)) != key for kind, key in keys.items()):
                continue
        if archive.is_sound(places.archive, number):
            write_conf(layout, name, conf)
            activate(layout, name, number)
            return number
    return None


def _older_key(places: Places, listing: archive.ArchiveListing, key_type: str | None = None) -> str | None:
    """The key before this one; ``key_type`` is that of a second one."""
    kind = "privkey" if key_type is None else SECOND_KINDS[key_type][0]
    if os.path.exists(places.live_path(kind)):
        return places.live_path(kind)
    number = max(listing.all_kinds().get(kind, ()), default=None)
    return None if number is None else archive.version_path(places.archive, kind, number)


def _existing(path: str) -> tuple[bytes | None, int | None]:
    try:
        return read_file(path), os.stat(path).st_mode & 0o7777
    except FileNotFoundError:
        return None, None
    except OSError as error:
        raise storage_error(f"read {path}", error) from error
