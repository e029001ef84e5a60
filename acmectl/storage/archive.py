"""The versions of a lineage in its archive directory: ``<kind><N>.pem``, four kinds per version.

A version may have a second certificate for the same names, with a key of the other type: its four files are called
``<kind>-<type><N>.pem``. They get their names before the other four do, so that a version whose four usual files are
there has either all eight or never had more than four.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from dataclasses import dataclass, field

from acmectl.storage.atomic import (
    Permissions,
    fsync_dir,
    is_temporary,
    read_file,
    stage_file,
    telling,
)
from acmectl.storage.layout import KINDS, SECOND_KINDS, TEMPORARY_PREFIX

UNFINISHED = f"{TEMPORARY_PREFIX}-unfinished"
"""File that marks an archive directory of ours as part of a first issuance that has not ended."""

KEPT_VERSIONS = 5
_VERSION_FILE = re.compile(r"((?:privkey|cert|chain|fullchain)(?:-rsa|-ecdsa)?)([1-9][0-9]{0,8})\.pem")
_INHERITED_MODE = 0o074  # of an older key's mode: group read, write, execute and others' read


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateFiles:
    """The four files of one certificate, PEM. ``fullchain`` is ``cert`` followed by ``chain``."""

    privkey: bytes = field(repr=False)
    cert: bytes
    chain: bytes
    fullchain: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionFiles(CertificateFiles):
    """The files of one version. ``second`` are those of a second certificate, whose key has ``second_type``."""

    second: CertificateFiles | None = None
    second_type: str | None = None

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds in the order in which files get their names: the last one ends the version."""
        return version_kinds(self.second_type)

    def of(self, kind: str) -> bytes:
        """The bytes of one kind."""
        base, dash, _key_type = kind.partition("-")
        content: bytes = getattr(self.second if dash else self, base)
        return content


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveListing:
    """What lies in an archive directory: the numbers by kind. ``second`` has the kinds of second certificates."""

    versions: dict[str, frozenset[int]]
    second: dict[str, frozenset[int]] = field(default_factory=dict)
    temporaries: tuple[str, ...] = ()
    unfinished: bool = False
    is_empty: bool = True

    @property
    def next_version(self) -> int:
        """1 + the highest number of any kind."""
        every = (*self.versions.values(), *self.second.values())
        return 1 + max((max(numbers) for numbers in every if numbers), default=0)

    @property
    def complete(self) -> frozenset[int]:
        """The numbers present in all four kinds, and in all or none of the kinds of a second certificate."""
        whole = frozenset.intersection(*self.versions.values())
        for kinds in SECOND_KINDS.values() if self.second else ():
            found = [self.second.get(kind, frozenset()) for kind in kinds]
            whole -= frozenset.union(*found) - frozenset.intersection(*found)
        return whole

    @property
    def latest(self) -> int | None:
        """The highest complete number."""
        return max(self.complete, default=None)

    def second_type(self, number: int) -> str | None:
        """The type of the second key of version ``number``, if all four files of a second certificate are there."""
        for key_type, kinds in SECOND_KINDS.items() if self.second else ():
            if all(number in self.second.get(kind, ()) for kind in kinds):
                return key_type
        return None

    def all_kinds(self) -> dict[str, frozenset[int]]:
        """The numbers by kind; those of second certificates come last."""
        return {**self.versions, **self.second}


def version_kinds(second_type: str | None) -> tuple[str, ...]:
    """The kinds of a version in the order in which its files get their names."""
    return KINDS if second_type is None else (*SECOND_KINDS[second_type], *KINDS)


def parse_version_file(name: str) -> tuple[str, int] | None:
    """Kind and number of a file name such as ``cert3.pem``; None for any other name."""
    match = _VERSION_FILE.fullmatch(name)
    return (match[1], int(match[2])) if match else None


def version_path(archive_dir: str, kind: str, number: int) -> str:
    """Path of one file of a version."""
    return f"{archive_dir}/{kind}{number}.pem"


def scan(archive_dir: str) -> ArchiveListing:
    """List an archive directory; a missing one is empty. Raises: StorageError."""
    with telling(f"list {archive_dir}"):
        try:
            names = os.listdir(archive_dir)
        except FileNotFoundError:
            names = []
    found: dict[str, set[int]] = {kind: set() for kind in KINDS}
    second: dict[str, set[int]] = {}
    temporaries = []
    for name in names:
        match = _VERSION_FILE.fullmatch(name)
        if match:
            kind = match[1]
            (found[kind] if kind in found else second.setdefault(kind, set())).add(int(match[2]))
        elif is_temporary(name):
            temporaries.append(f"{archive_dir}/{name}")
    return ArchiveListing(
        versions={kind: frozenset(numbers) for kind, numbers in found.items()},
        second={kind: frozenset(numbers) for kind, numbers in second.items()},
        temporaries=tuple(temporaries),
        unfinished=UNFINISHED in names,
        is_empty=not names,
    )


def read_version(archive_dir: str, number: int) -> VersionFiles:
    """The files of a version. Raises: StorageError."""
    second_type = second_type_of(archive_dir, number)
    with telling(f"read version {number} in {archive_dir}"):
        content = {kind: read_file(version_path(archive_dir, kind, number)) for kind in KINDS}
        if second_type is None:
            return VersionFiles(**content, second=None, second_type=None)
        kinds = zip(KINDS, SECOND_KINDS[second_type], strict=True)
        second = {kind: read_file(version_path(archive_dir, name, number)) for kind, name in kinds}
    return VersionFiles(**content, second=CertificateFiles(**second), second_type=second_type)


def second_type_of(archive_dir: str, number: int) -> str | None:
    """The type of the second key of version ``number``, or None if it has no second certificate."""
    for key_type, kinds in SECOND_KINDS.items():
        if all(os.path.lexists(version_path(archive_dir, kind, number)) for kind in kinds):
            return key_type
    return None


def key_permissions(older_key: str | None) -> Permissions:
    """Mode and group of a new key: 0600, and what the older key ``older_key`` granted to group and others' readers."""
    if older_key is None:
        return Permissions(mode=0o600)
    try:
        status = os.stat(older_key)
    except OSError:
        return Permissions(mode=0o600)
    return Permissions(mode=0o600 | (status.st_mode & _INHERITED_MODE), gid=status.st_gid)


def write_version(
    archive_dir: str, number: int, files: VersionFiles, key: Permissions, second_key: Permissions | None = None
) -> None:
    """Write one version into an existing directory, durably; nothing of it stays when that fails. Raises: StorageError.

    All bytes are on disk before the first of the names appears, so no name ever stands for half a file.
    """
    staged: list[tuple[str, str]] = []
    placed: list[str] = []
    with telling(f"save version {number} in {archive_dir}"):
        try:
            for kind in files.kinds:
                path = version_path(archive_dir, kind, number)
                permissions = None
                if kind.startswith("privkey"):
                    permissions = key if kind == "privkey" else second_key or key
                staged.append((stage_file(path, files.of(kind), permissions=permissions), path))
            for temporary, path in staged:
                os.rename(temporary, path)
                placed.append(path)
            fsync_dir(archive_dir)
        except BaseException:
            for path in [temporary for temporary, _ in staged] + placed[::-1]:
                with suppress(OSError):
                    os.unlink(path)
            raise


def is_sound(archive_dir: str, number: int) -> bool:
    """Whether the files of a version belong together: key, certificate and chain, of a second certificate too."""
    from acmectl.errors import AcmectlError
    from acmectl.pki.chain import verify_lineage

    try:
        files = read_version(archive_dir, number)
        return all(
            verify_lineage(one.cert, one.chain, one.fullchain, one.privkey) is None
            for one in (files, files.second)
            if one is not None
        )
    except AcmectlError:
        return False


def mark_unfinished(archive_dir: str) -> None:
    """Mark the directory as ours until its first version is live. Raises: StorageError."""
    with telling(f"write to {archive_dir}"):
        os.close(os.open(f"{archive_dir}/{UNFINISHED}", os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))


def clear_unfinished(archive_dir: str) -> None:
    """Take the mark away, if it is there."""
    with suppress(OSError):
        os.unlink(f"{archive_dir}/{UNFINISHED}")


def prune(archive_dir: str, latest: int, *, keep: int = KEPT_VERSIONS) -> tuple[int, ...]:
    """Remove the versions below ``latest - keep``; the numbers that were removed. Raises: StorageError."""
    listing = scan(archive_dir)
    # The usual kinds go first: without them nothing takes the rest for a version.
    kinds = listing.all_kinds()
    old = sorted({number for numbers in kinds.values() for number in numbers if number < latest - keep})
    removed = set()
    with telling(f"remove old versions in {archive_dir}"):
        needed = _linked_to(archive_dir, listing, latest - keep)
        for number in old:
            for kind, numbers in kinds.items():
                path = version_path(archive_dir, kind, number)
                if number in numbers and os.path.basename(path) not in needed:
                    os.unlink(path)
                    removed.add(number)
    return tuple(sorted(removed))


def _linked_to(archive_dir: str, listing: ArchiveListing, oldest: int) -> frozenset[str]:
    """Names of the files that versions from ``oldest`` on link to, as certbot's first releases did to reuse a key."""
    needed: set[str] = set()
    for kind, numbers in listing.versions.items():
        for number in numbers:
            path = version_path(archive_dir, kind, number)
            hops = 0
            while number >= oldest and hops < len(numbers) and os.path.islink(path):
                path = os.path.join(archive_dir, os.readlink(path))
                needed.add(os.path.basename(path))
                hops += 1
    return frozenset(needed)
