"""Removes a lineage: links, versions, pending order and, last, the renewal file, so that it can be repeated."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from acmectl.errors import LineageDamaged, LineageNotFound, StorageError
from acmectl.storage import archive, next_keys
from acmectl.storage.atomic import fsync_dir, is_real_dir, is_temporary, remove_tree, telling
from acmectl.storage.layout import KINDS
from acmectl.storage.lineage import read_conf
from acmectl.storage.pending import PendingStore
from acmectl.storage.places import Places, places_of, standard_places
from acmectl.storage.reissues import ReissueStore
from acmectl.storage.renewal_conf import read
from acmectl.storage.switch import second_targets

if TYPE_CHECKING:
    from collections.abc import Iterable

    from acmectl.storage.layout import Layout


@dataclass(frozen=True, slots=True, kw_only=True)
class Deleted:
    """What a deletion left in place because it is not the lineage's own: directories with other files, or links."""

    name: str
    kept: tuple[Path, ...] = ()


def delete(layout: Layout, name: str, others: Iterable[str]) -> Deleted:
    """Remove the lineage ``name``, also a broken one; ``others`` are the names of all lineages.

    Raises: LineageNotFound when there is nothing of that name; StorageError when another lineage uses the same archive
    or the disk refuses.
    """
    standard = standard_places(layout, name)
    try:
        _, places = read_conf(layout, name)
    except LineageNotFound:
        return _delete_unfinished(layout, standard)
    except LineageDamaged:
        # Nothing in the file can be relied on, so only what carries the lineage's own name goes.
        places = standard
    _refuse_a_shared_archive(layout, places, others)
    kept: list[Path] = []
    with telling(f"delete the certificate {name}"):
        _remove_live(places, kept)
        if os.path.lexists(places.next_dir):
            remove_tree(places.next_dir)
        _remove_archive(layout, places, kept)
        PendingStore(layout).drop(name)
        ReissueStore(layout).drop(name)
        for path in (f"{standard.conf}.new", standard.conf):
            with suppress(FileNotFoundError):
                os.unlink(path)
        fsync_dir(layout.renewal_root)
    return Deleted(name=name, kept=tuple(kept))


def _delete_unfinished(layout: Layout, places: Places) -> Deleted:
    """A first issuance that died before it had a renewal file."""
    listing = archive.scan(places.archive)
    pending = PendingStore(layout).drop(places.name)
    if not listing.unfinished and not pending:
        raise LineageNotFound(
            f"There is no certificate named {places.name}.", hint="List the names with the certificates command."
        )
    kept: list[Path] = []
    if listing.unfinished:
        with telling(f"delete the certificate {places.name}"):
            _remove_archive(layout, places, kept)
    return Deleted(name=places.name, kept=tuple(kept))


def _refuse_a_shared_archive(layout: Layout, places: Places, others: Iterable[str]) -> None:
    mine = os.path.realpath(places.archive)
    for other in others:
        if other == places.name:
            continue
        path = str(layout.renewal_conf(other))
        try:
            theirs = places_of(layout, other, read(path), path).archive
        except (StorageError, FileNotFoundError):
            continue
        if os.path.realpath(theirs) == mine:
            raise StorageError(
                f"The certificate {places.name} cannot be deleted: {other} uses the same directory {places.archive}.",
                hint="Give one of them an archive_dir of its own in its renewal file.",
            )


def _remove_live(places: Places, kept: list[Path]) -> None:
    directories = {os.path.dirname(path) for path in places.live.values()}
    for path in (*places.live.values(), *map(places.live_path, second_targets(places))):
        if os.path.islink(path):
            os.unlink(path)
        elif os.path.lexists(path):
            kept.append(Path(path))
    if len(directories) > 1:
        return
    directory = directories.pop()
    # A README or a temporary name elsewhere than under live/ may be anybody's.
    ours = ["README"] if places.is_standard else []
    with suppress(FileNotFoundError, NotADirectoryError):
        names = os.listdir(directory)
        ours += [name for name in names if is_temporary(name)]
        ours += [f"previous_{kind}.pem" for kind in KINDS if f"previous_{kind}.pem" in names]
    for name in ours:
        with suppress(FileNotFoundError, NotADirectoryError):
            os.unlink(f"{directory}/{name}")
    _remove_if_empty(directory, kept)


def _remove_archive(layout: Layout, places: Places, kept: list[Path]) -> None:
    directory = places.archive
    if directory == str(layout.archive(places.name)) and is_real_dir(directory):
        remove_tree(directory)
        return
    # A directory elsewhere, or behind a link, may hold more than this lineage: only its versions go.
    listing = archive.scan(directory)
    for kind, numbers in listing.all_kinds().items():
        for number in numbers:
            os.unlink(archive.version_path(directory, kind, number))
    for path in listing.temporaries:
        os.unlink(path)
    next_keys.drop(directory)
    archive.clear_unfinished(directory)
    _remove_if_empty(directory, kept)


def _remove_if_empty(directory: str, kept: list[Path]) -> None:
    if os.path.islink(directory):
        kept.append(Path(directory))
        return
    try:
        os.rmdir(directory)
    except (FileNotFoundError, NotADirectoryError):
        pass
    except OSError:
        kept.append(Path(directory))
