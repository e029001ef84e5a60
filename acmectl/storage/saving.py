"""Writing a lineage: a version into the archive, its renewal file, going live. Called with the store locked."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from acmectl.errors import LineageDamaged, LineageNotFound, StorageError
from acmectl.storage import archive, renewal_conf
from acmectl.storage.atomic import Permissions, fsync_dir, make_dir, read_file, stage_file, storage_error, telling
from acmectl.storage.lineage import read_conf
from acmectl.storage.places import Places, root_keys, standard_places
from acmectl.storage.switch import go_live

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
            if os.path.lexists(directory) and not (os.path.isdir(directory) and not os.listdir(directory)):
                raise StorageError(
                    f"A new certificate named {name} cannot be stored: {directory} exists and is not empty.",
                    hint="Move it away, or choose another name with --cert-name.",
                )


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
        number = _remove_remains(places.archive, listing, files.privkey)
        archive.write_version(places.archive, number, files, archive.key_permissions(_older_key(places, listing)))
    except BaseException:
        if created:
            archive.clear_unfinished(places.archive)
            with suppress(OSError):
                os.rmdir(places.archive)
        raise
    return number


def _remove_remains(directory: str, listing: archive.ArchiveListing, key_pem: bytes) -> int:
    """The number to use: that of a killed run's attempt to save this very key, whose files go, else the next one."""
    number = listing.next_version
    last = number - 1
    if last in listing.versions["privkey"] and last not in listing.complete:
        path = archive.version_path(directory, "privkey", last)
        with telling(f"read {path}"):
            if read_file(path) != key_pem:
                return number
        with telling(f"remove the incomplete version {last} in {directory}"):
            # The key last: while it is there the rest is known to be ours.
            for kind in sorted(listing.versions, key=lambda kind: kind == "privkey"):
                if last in listing.versions[kind]:
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
    """Make version ``number`` the live one, durably, in one step. Raises: StorageError, LineageDamaged."""
    places = places_for_writing(layout, name)
    if number not in archive.scan(places.archive).complete:
        raise LineageDamaged(f"Version {number} of the certificate {name} is not complete in {places.archive}.")
    go_live(places, number)
    archive.clear_unfinished(places.archive)


def adopt_saved(layout: Layout, name: str, key_pem: bytes, conf: RenewalConf, version: int) -> int | None:
    """Finish a killed run that had saved its certificate: write ``conf``, go live, and say the number."""
    places = places_for_writing(layout, name)
    for number in sorted(archive.scan(places.archive).complete, reverse=True):
        if number < version:
            break
        with telling(f"read version {number} in {places.archive}"):
            if read_file(archive.version_path(places.archive, "privkey", number)) != key_pem:
                continue
        if archive.is_sound(places.archive, number):
            write_conf(layout, name, conf)
            activate(layout, name, number)
            return number
    return None


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
