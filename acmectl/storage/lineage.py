"""One lineage as it lies on disk, read without changing anything."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from acmectl.errors import LineageDamaged, LineageNotFound
from acmectl.storage.archive import CertificateFiles, VersionFiles
from acmectl.storage.atomic import read_file
from acmectl.storage.layout import KINDS, SECOND_KINDS
from acmectl.storage.places import linked_second, linked_versions, places_of
from acmectl.storage.renewal_conf import read

if TYPE_CHECKING:
    from acmectl.storage.layout import Layout
    from acmectl.storage.places import Places
    from acmectl.storage.renewal_conf import RenewalConf

PINNED = "pinned"
"""Key of ``[acmectl]`` in a renewal file: the version that shall stay live."""

REVOKED = "revoked"
"""Key of ``[acmectl]`` in a renewal file: when this program revoked the certificate (ISO text)."""

REVOKED_SECOND = "revoked_second"
"""The same of the second certificate, where it was revoked alone."""

SECOND_KEY = "second_key"
"""Key of ``[acmectl]`` in a renewal file: the type of the second key that each new version gets (rsa or ecdsa)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SecondLinks:
    """The live links of a second certificate, whose key has ``key_type``.

    ``versions`` is the number by kind; a kind whose link is missing or leads nowhere is left out.
    """

    key_type: str
    versions: dict[str, int]

    @property
    def version(self) -> int | None:
        """The version that all four links lead to; None if they do not."""
        numbers = set(self.versions.values())
        return numbers.pop() if len(numbers) == 1 and len(self.versions) == len(KINDS) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Lineage:
    """A lineage whose renewal file can be read and whose four live links lead to files.

    ``versions`` is the number that each kind's link points to. They differ only between the death of a switch and the
    next locked run. ``second`` is there when links of a second certificate are live.
    """

    name: str
    conf: RenewalConf
    places: Places = field(repr=False)
    versions: dict[str, int]
    second: SecondLinks | None = None

    @property
    def second_lags(self) -> bool:
        """Whether a second certificate is live that is not of the live version: certbot renews the first alone."""
        return self.second is not None and self.second.version != self.version

    @property
    def version(self) -> int:
        """The live version; of links that differ, the certificate's."""
        return self.versions["cert"]

    @property
    def is_switching(self) -> bool:
        """Whether a switch of the links was interrupted."""
        return len(set(self.versions.values())) > 1

    @property
    def conf_path(self) -> Path:
        """The renewal file."""
        return Path(self.places.conf)

    @property
    def live_dir(self) -> Path:
        """The directory of the live links."""
        return Path(self.places.live_dir)

    @property
    def archive_dir(self) -> Path:
        """The directory of the versions."""
        return Path(self.places.archive)

    @property
    def cert_path(self) -> Path:
        """Live link of the certificate."""
        return Path(self.places.live["cert"])

    @property
    def chain_path(self) -> Path:
        """Live link of the chain."""
        return Path(self.places.live["chain"])

    @property
    def fullchain_path(self) -> Path:
        """Live link of certificate and chain."""
        return Path(self.places.live["fullchain"])

    @property
    def privkey_path(self) -> Path:
        """Live link of the private key."""
        return Path(self.places.live["privkey"])

    @property
    def pinned(self) -> int | None:
        """The version that the renewal file pins, if any."""
        value = self.conf.own.get(PINNED)
        return value if isinstance(value, int) and not isinstance(value, bool) else None

    def read(self, kind: str) -> bytes:
        """The live file of one kind (PEM), also of those of the second certificate. Raises: LineageDamaged."""
        path = self.places.live_path(kind)
        try:
            return read_file(path)
        except OSError as error:
            raise LineageDamaged(
                f"The certificate {self.name} cannot be used: {path}: {error.strerror or error}."
            ) from error

    def read_all(self) -> VersionFiles:
        """The four live files, without those of a second certificate. Raises: LineageDamaged."""
        content = {kind: self.read(kind) for kind in KINDS}
        return VersionFiles(**content, second=None, second_type=None)

    def read_second(self) -> CertificateFiles | None:
        """The four live files of the second certificate, if there is one. Raises: LineageDamaged."""
        if self.second is None:
            return None
        kinds = zip(KINDS, SECOND_KINDS[self.second.key_type], strict=True)
        return CertificateFiles(**{kind: self.read(name) for kind, name in kinds})


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokenLineage:
    """A renewal file that leads to no usable lineage; ``reason`` is one line."""

    name: str
    path: Path
    reason: str


def read_lineage(layout: Layout, name: str) -> Lineage:
    """The lineage ``name``.

    Raises: LineageNotFound; LineageDamaged, saying which file and why; StorageError when the system refuses to read.
    """
    conf, places = read_conf(layout, name)
    return lineage_at(name, conf, places)


def lineage_at(name: str, conf: RenewalConf, places: Places) -> Lineage:
    """The lineage whose renewal file is read already. Raises: LineageDamaged."""
    versions = linked_versions(places)
    return Lineage(name=name, conf=conf, places=places, versions=versions, second=second_links(conf, places))


def second_links(conf: RenewalConf, places: Places) -> SecondLinks | None:
    """The live links of a second certificate: of the key type that the renewal file says, else whichever are there."""
    wanted = conf.own.get(SECOND_KEY)
    for key_type, kinds in SECOND_KINDS.items():
        if key_type == wanted or os.path.lexists(f"{places.live_dir}/{kinds[-1]}.pem"):
            versions = linked_second(places, key_type)
            if versions is not None:
                return SecondLinks(key_type=key_type, versions=versions)
    return None


def read_conf(layout: Layout, name: str) -> tuple[RenewalConf, Places]:
    """The renewal file of the lineage ``name`` and the places that it names.

    Raises: LineageNotFound, LineageDamaged, StorageError.
    """
    path = f"{layout.config_dir}/renewal/{name}.conf"
    try:
        conf = read(path)
    except FileNotFoundError:
        raise LineageNotFound(
            f"There is no certificate named {name}.", hint="List the names with the certificates command."
        ) from None
    return conf, places_of(layout, name, conf, path)
