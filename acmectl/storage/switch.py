"""Going live: all four links of a lineage, or eight with a second certificate, move to another version in one step.

The next live directory is built beside the old one and the two are exchanged by one system call. Where the file system
or a mount point refuses that, the links are renamed over one by one; a run that dies among them is rolled forward.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from typing import TYPE_CHECKING

from acmectl.errors import LineageDamaged
from acmectl.storage.archive import parse_version_file, version_kinds, version_path
from acmectl.storage.atomic import (
    fsync_dir,
    is_real_dir,
    make_dir,
    remove_tree,
    stage_file,
    telling,
    temporary_name,
    write_file,
)
from acmectl.storage.exchange import exchange
from acmectl.storage.layout import KINDS, SECOND_KINDS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from acmectl.storage.places import Places

README = b"""\
The four files here are links to the current version of one certificate:

  privkey.pem    its private key: keep it secret
  fullchain.pem  the certificate followed by the CA's chain: what most servers want
  chain.pem      the CA's chain alone
  cert.pem       the certificate alone

If there are files with -rsa or -ecdsa in their names as well, they are those of a
second certificate for the same names, with a key of that type.

Let servers read them from here. Do not move, rename or edit them: a renewal would
no longer find them, and servers would go on with the old certificate.
"""
LIVE_README = b"""\
Each directory here holds the current files of one certificate. See the README in it.
Do not move or rename them; to get rid of one, use the delete command.
"""

_FILE_NAMES = {f"{kind}.pem" for kind in KINDS}
_SECOND_NAMES = {f"{kind}.pem": kind for kinds in SECOND_KINDS.values() for kind in kinds}
_REFUSALS = {
    errno.ENOSYS,
    errno.EINVAL,
    errno.EXDEV,
    errno.EBUSY,
    errno.ENOTSUP,
    errno.EPERM,
    errno.EACCES,
    errno.EMLINK,
}


class _NoExchange(Exception):
    """The directory holds something that cannot be carried over, so it must stay what it is."""


def go_live(places: Places, number: int, *, second: str | None = None, keep_second: bool = False) -> None:
    """Point the links at version ``number``, which must be complete in the archive; durable on return.

    ``second`` is the type of the version's second key, if it has one. If not, links of a second certificate go, unless
    ``keep_second``: then they stay what they are.

    Raises: LineageDamaged when something that is not a link stands in a link's place; StorageError.
    """
    kinds = version_kinds(second)
    with telling(f"switch {places.live_dir} to version {number}"):
        _refuse_what_is_no_link(places, kinds)
        targets = {kind: _target(places, kind, number) for kind in kinds}
        if second is None and keep_second:
            targets = {**second_targets(places), **targets}
        if places.is_standard:
            if not os.path.lexists(places.live_dir):
                _first_time(places, targets)
                return
            if is_real_dir(places.live_dir) and _exchange(places, targets):
                return
        _rename_links(places, targets)


def dispose(next_dir: str, live_dir: str) -> None:
    """Remove the directory that a switch leaves over, moving to the live one whatever only this one has."""
    if not os.path.isdir(live_dir):
        remove_tree(next_dir)
        return
    with os.scandir(next_dir) as entries:
        found = list(entries)
    for entry in found:
        home = f"{live_dir}/{entry.name}"
        if is_version_link(entry) or (os.path.lexists(home) and not entry.is_dir(follow_symlinks=False)):
            os.unlink(entry.path)
        elif not os.path.lexists(home):
            os.rename(entry.path, home)
    os.rmdir(next_dir)


def is_version_link(entry: os.DirEntry[str]) -> bool:
    """Whether this is one of the links that a switch moves, or something in the place of one of the usual four."""
    if entry.name in _FILE_NAMES:
        return True
    kind = _SECOND_NAMES.get(entry.name)
    return kind is not None and entry.is_symlink() and _leads_to_version(entry.path, kind)


def _leads_to_version(path: str, kind: str) -> bool:
    found = parse_version_file(os.path.basename(os.readlink(path)))
    return found is not None and found[0] == kind


def second_targets(places: Places) -> dict[str, str]:
    """What the links of second certificates say now, by kind."""
    found = {}
    for kind in _SECOND_NAMES.values():
        path = places.live_path(kind)
        if os.path.islink(path) and _leads_to_version(path, kind):
            found[kind] = os.readlink(path)
    return found


def _refuse_what_is_no_link(places: Places, kinds: Iterable[str]) -> None:
    for path in map(places.live_path, kinds):
        try:
            mode = os.lstat(path).st_mode
        except FileNotFoundError:
            continue
        if not stat.S_ISLNK(mode):
            raise LineageDamaged(
                f"The certificate {places.name} is damaged: {path} is not a symbolic link.",
                hint="Move that file away and run the command again.",
            )


def _target(places: Places, kind: str, number: int) -> str:
    """What the link shall say: the directory that it names now if that is the archive, else certbot's usual one."""
    path = places.live_path(kind)
    # Relative links are resolved from where the directory really is, which may be behind a link of the administrator's.
    directory = os.path.realpath(os.path.dirname(path))
    candidates = [f"../../archive/{places.name}"]
    with suppress(OSError):
        candidates.insert(0, os.path.dirname(os.readlink(path)))
    archive = os.path.realpath(places.archive)
    for candidate in candidates:
        if os.path.realpath(os.path.join(directory, candidate)) == archive:
            return f"{candidate}/{kind}{number}.pem"
    return os.path.relpath(version_path(archive, kind, number), directory)


def _first_time(places: Places, targets: dict[str, str]) -> None:
    make_dir(places.live_root, 0o700)
    remove_tree(places.next_dir)
    os.mkdir(places.next_dir, 0o777)
    try:
        if not os.path.lexists(f"{places.live_root}/README"):
            # Staged in a directory that is this lineage's own, so that whoever heals it knows whose it is.
            os.rename(stage_file(f"{places.next_dir}/README", LIVE_README), f"{places.live_root}/README")
        for kind, target in targets.items():
            os.symlink(target, f"{places.next_dir}/{kind}.pem")
        write_file(f"{places.next_dir}/README", README)
        os.rename(places.next_dir, places.live_dir)
    except BaseException:
        with suppress(OSError):
            remove_tree(places.next_dir)
        raise
    fsync_dir(places.live_root)


def _exchange(places: Places, targets: dict[str, str]) -> bool:
    """Build the next directory and swap; False, with nothing changed, where that cannot be done here."""
    next_dir = places.next_dir
    try:
        if os.path.lexists(next_dir):
            dispose(next_dir, places.live_dir)
        _build(places, targets)
        exchange(next_dir, places.live_dir)
    except BaseException as error:
        with suppress(OSError):
            remove_tree(next_dir)
        if isinstance(error, _NoExchange) or (isinstance(error, OSError) and error.errno in _REFUSALS):
            return False
        raise
    try:
        fsync_dir(places.live_root)
    finally:
        # The switch is done; what cannot be tidied now is tidied by the next run.
        with suppress(OSError):
            dispose(next_dir, places.live_dir)
    return True


def _build(places: Places, targets: dict[str, str]) -> None:
    next_dir = places.next_dir
    old = os.stat(places.live_dir)
    os.mkdir(next_dir, 0o700)
    with os.scandir(places.live_dir) as entries:
        for entry in entries:
            if not is_version_link(entry):
                _carry_over(entry, next_dir)
    for kind, target in targets.items():
        path = f"{next_dir}/{kind}.pem"
        os.symlink(target, path)
        with suppress(FileNotFoundError):
            _keep_owner(path, os.lstat(places.live_path(kind)))
    _keep_owner(next_dir, old)
    _copy_attributes(places.live_dir, next_dir)
    os.chmod(next_dir, stat.S_IMODE(old.st_mode))
    fsync_dir(next_dir)


def _carry_over(entry: os.DirEntry[str], next_dir: str) -> None:
    if not entry.is_file(follow_symlinks=False) and not entry.is_symlink():
        raise _NoExchange
    # A hard link keeps owner, mode, times, attributes and a writer's open descriptor.
    os.link(entry.path, f"{next_dir}/{entry.name}", follow_symlinks=False)


def _keep_owner(path: str, old: os.stat_result) -> None:
    new = os.lstat(path)
    if (new.st_uid, new.st_gid) != (old.st_uid, old.st_gid):
        os.chown(path, old.st_uid, old.st_gid, follow_symlinks=False)


def _copy_attributes(source: str, destination: str) -> None:
    """Give the new directory the old one's access control lists and labels."""
    try:
        wanted = os.listxattr(source)
        present = os.listxattr(destination)
    except OSError as error:
        if error.errno == errno.ENOTSUP:
            return
        raise
    for name in present:
        if name not in wanted:
            os.removexattr(destination, name)
    for name in wanted:
        value = os.getxattr(source, name)
        if name not in present or os.getxattr(destination, name) != value:
            os.setxattr(destination, name, value)


def _rename_links(places: Places, targets: dict[str, str]) -> None:
    staged: list[tuple[str, str]] = []
    try:
        for kind, target in targets.items():
            path = places.live_path(kind)
            temporary = os.path.join(os.path.dirname(path), temporary_name())
            os.symlink(target, temporary)
            staged.append((temporary, path))
            # A link's owner means little; it is no reason not to switch.
            with suppress(FileNotFoundError, PermissionError):
                _keep_owner(temporary, os.lstat(path))
        # Those of a second certificate that goes are unlinked first, and the usual four are renamed last: until these
        # are done, whoever heals sees that the version is newer than they say.
        for kind in second_targets(places).keys() - targets.keys():
            os.unlink(places.live_path(kind))
        while staged:
            os.rename(*staged[0])
            del staged[0]
    finally:
        for temporary, _ in staged:
            with suppress(OSError):
                os.unlink(temporary)
    for directory in {os.path.dirname(places.live_path(kind)) for kind in targets}:
        fsync_dir(directory)
