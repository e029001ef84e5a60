"""Finishes or takes back what a killed run left half-done. Only ever called with the store locked."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from acmectl.errors import LineageDamaged, LineageNotFound, StorageError
from acmectl.storage import archive
from acmectl.storage.atomic import fsync_dir, is_temporary, replace_symlink, telling
from acmectl.storage.layout import KINDS, TEMPORARY_PREFIX
from acmectl.storage.lineage import PINNED, SECOND_KEY, read_conf, second_links
from acmectl.storage.places import Places, standard_places
from acmectl.storage.switch import dispose, go_live

if TYPE_CHECKING:
    from acmectl.storage.layout import Layout
    from acmectl.storage.lineage import Lineage, SecondLinks
    from acmectl.storage.renewal_conf import RenewalConf


def heal(layout: Layout, name: str) -> list[str]:
    """Make the lineage ``name`` whole as far as its files allow; one line of text per thing that was done.

    A lineage that stays damaged is no error here; reading it tells. Raises: StorageError when the disk refuses.
    """
    done: list[str] = []
    standard = standard_places(layout, name)
    with telling(f"tidy up the certificate {name}"):
        if _unlink(f"{standard.conf}.new"):
            done.append(f"removed {standard.conf}.new, which an interrupted run had left behind")
        if os.path.lexists(standard.next_dir):
            dispose(standard.next_dir, standard.live_dir)
            done.append("removed the remains of an interrupted switch")
        try:
            conf, places = read_conf(layout, name)
        except (LineageDamaged, LineageNotFound):
            return done
        listing = archive.scan(places.archive)
        for path in listing.temporaries:
            _unlink(path)
            done.append(f"removed {path}, which an interrupted run had left behind")
        _undo_certbots_switch(places, done)
        # A saved version of an order in flight goes live with its own renewal file, by whoever resumes the order.
        in_flight = os.path.lexists(layout.pending(name) / "order.json")
        _roll_forward(conf, places, listing, done, only_torn=in_flight)
        if listing.unfinished and _live_versions(places):
            archive.clear_unfinished(places.archive)
    return done


def find_remains(layout: Layout) -> frozenset[str]:
    """Names of the lineages for which a killed run left a temporary name in ``renewal`` or ``live``."""
    found = set()
    for directory, before, after in (
        (layout.renewal_root, "", ".conf.new"),
        (layout.live_root, f"{TEMPORARY_PREFIX}.", ""),
    ):
        with suppress(OSError):
            found |= {
                name[len(before) : len(name) - len(after)]
                for name in os.listdir(directory)
                if name.startswith(before) and name.endswith(after)
            }
    return frozenset(found)


def needs_healing(lineage: Lineage) -> bool:
    """Whether the directories of a lineage that can be read show anything for ``heal`` to do."""
    try:
        live = os.listdir(lineage.places.live_dir)
        listing = archive.scan(lineage.places.archive)
    except (OSError, StorageError):
        return False
    if lineage.is_switching or listing.temporaries or listing.unfinished:
        return True
    if _second_is_elsewhere(lineage.second, listing, lineage.version):
        return True
    if (listing.latest or 0) > lineage.version and lineage.pinned is None:
        return True
    if lineage.pinned not in {None, lineage.version}:
        return True
    return any(name.startswith("previous_") or is_temporary(name) for name in live)


def _undo_certbots_switch(places: Places, done: list[str]) -> None:
    """certbot keeps the old links as ``previous_<kind>.pem`` while it replaces them; all four mean it did not end."""
    directory = places.live_dir
    try:
        names = set(os.listdir(directory))
    except (FileNotFoundError, NotADirectoryError):
        return
    for name in names:
        if is_temporary(name):
            _unlink(f"{directory}/{name}")
            done.append("removed the remains of an interrupted switch")
    noted = [kind for kind in KINDS if f"previous_{kind}.pem" in names]
    if not noted:
        return
    if len(noted) == len(KINDS):
        for kind in KINDS:
            with suppress(OSError):
                replace_symlink(places.live[kind], os.readlink(f"{directory}/previous_{kind}.pem"))
        fsync_dir(directory)
        done.append("took back a switch that certbot had not finished")
    else:
        done.append("removed what a switch of certbot's had left behind")
    for kind in noted:
        _unlink(f"{directory}/previous_{kind}.pem")
    fsync_dir(directory)


def _roll_forward(
    conf: RenewalConf, places: Places, listing: archive.ArchiveListing, done: list[str], *, only_torn: bool
) -> None:
    live = _live_versions(places)
    together = len(set(live)) == 1 and len(live) == len(KINDS)
    second = second_links(conf, places)
    torn = not together or _second_is_elsewhere(second, listing, live[0])
    if only_torn and not torn:
        return
    value = conf.own.get(PINNED)
    pinned = value if isinstance(value, int) and not isinstance(value, bool) else None
    if pinned is not None:
        candidates = [pinned] if pinned in listing.complete and (torn or set(live) != {pinned}) else []
    else:
        # Links that differ have to come together even if nothing is newer than the newest of them.
        floor = max(live, default=0) + (0 if torn else 1)
        candidates = sorted((number for number in listing.complete if number >= floor), reverse=True)
    if not candidates or (live and not _links_only(places)):
        return
    # A version of certbot's has no second certificate, which is no reason to take it from the servers that use it.
    keeps = pinned is None and second is not None and conf.own.get(SECOND_KEY) == second.key_type
    for number in candidates:
        if archive.is_sound(places.archive, number):
            go_live(places, number, second=listing.second_type(number), keep_second=keeps)
            done.append(f"version {number}, which an earlier run had saved, is now live")
            return


def _second_is_elsewhere(second: SecondLinks | None, listing: archive.ArchiveListing, number: int) -> bool:
    """Whether the live version ``number`` has a second certificate that its links do not all lead to."""
    key_type = listing.second_type(number)
    if key_type is None or number not in listing.complete:
        return False
    return second is None or second.key_type != key_type or second.version != number


def _live_versions(places: Places) -> list[int]:
    """The versions that the links of the four kinds name; a kind without such a link is left out."""
    found = []
    for kind, path in places.live.items():
        with suppress(OSError):
            parsed = archive.parse_version_file(os.path.basename(os.readlink(path)))
            if parsed and parsed[0] == kind:
                found.append(parsed[1])
    return found


def _links_only(places: Places) -> bool:
    return all(os.path.islink(path) or not os.path.lexists(path) for path in places.live.values())


def _unlink(path: str) -> bool:
    try:
        os.unlink(path)
    except FileNotFoundError:
        return False
    return True
