"""Where the files of one lineage lie: by its renewal file, else by the layout."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from acmectl.errors import LineageDamaged
from acmectl.storage.archive import parse_version_file
from acmectl.storage.layout import KINDS, SECOND_KINDS

if TYPE_CHECKING:
    from acmectl.storage.layout import Layout
    from acmectl.storage.renewal_conf import RenewalConf


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Paths of one lineage, absolute. ``live`` has the path of each kind's link."""

    name: str
    conf: str
    live: dict[str, str]
    archive: str
    live_root: str

    @property
    def live_dir(self) -> str:
        """The directory of the link ``fullchain.pem``."""
        return os.path.dirname(self.live["fullchain"])

    def live_path(self, kind: str) -> str:
        """The live link of ``kind``; those of a second certificate lie beside ``fullchain.pem``."""
        return self.live.get(kind) or f"{self.live_dir}/{kind}.pem"

    @property
    def is_standard(self) -> bool:
        """Whether the four links lie in ``live/<name>`` under their usual names, where directories may be swapped."""
        directory = f"{self.live_root}/{self.name}"
        return all(path == f"{directory}/{kind}.pem" for kind, path in self.live.items())

    @property
    def next_dir(self) -> str:
        """Where the next live directory is built."""
        return f"{self.live_root}/.acmectl.{self.name}"


def standard_places(layout: Layout, name: str) -> Places:
    """The places of a lineage that has no renewal file yet."""
    live_dir = str(layout.live(name))
    return Places(
        name=name,
        conf=str(layout.renewal_conf(name)),
        live={kind: f"{live_dir}/{kind}.pem" for kind in KINDS},
        archive=str(layout.archive(name)),
        live_root=str(layout.live_root),
    )


def places_of(layout: Layout, name: str, conf: RenewalConf, conf_path: str) -> Places:
    """The places that the renewal file names. Raises: LineageDamaged when it lacks one."""
    live = {}
    base = str(layout.config_dir)
    root = conf.root
    for kind in KINDS:
        path = root.get(kind)
        if not isinstance(path, str) or not path:
            raise LineageDamaged(f"The renewal file {conf_path} does not say where {kind}.pem is.")
        live[kind] = path if path[0] == "/" else f"{base}/{path}"
    archive = conf.root.get("archive_dir")
    if not isinstance(archive, str) or not archive:
        archive = f"{base}/archive/{name}"
    elif archive[0] != "/":
        archive = f"{base}/{archive}"
    return Places(name=name, conf=conf_path, live=live, archive=archive.rstrip("/"), live_root=f"{base}/live")


def root_keys(places: Places) -> dict[str, str]:
    """The keys at the head of a renewal file that name the places."""
    return {"archive_dir": places.archive, **{kind: places.live[kind] for kind in _CONF_ORDER}}


def linked_versions(places: Places) -> dict[str, int]:
    """The number that the live link of each kind points to.

    Raises: LineageDamaged when one is no link, dangles, or points to something that is not a version of its kind.
    """
    versions = {}
    path = ""
    try:
        for kind, path in places.live.items():
            target = os.readlink(path)
            os.stat(path)  # a link that leads nowhere must not pass
            found = parse_version_file(target[target.rfind("/") + 1 :])
            if found is None or found[0] != kind:
                raise _damaged(places, f"{path} points to {target}, not to a {kind}N.pem")
            versions[kind] = found[1]
    except OSError as error:
        raise _damaged(places, _why_no_link(path, error)) from None
    return versions


def linked_second(places: Places, key_type: str) -> dict[str, int] | None:
    """The number that each live link of the second certificate with a key of ``key_type`` points to.

    A kind whose link is missing or leads nowhere is left out. None when there is no such link at all: what else may
    have such a name is somebody's own.
    """
    versions = {}
    links = 0
    for kind in SECOND_KINDS[key_type]:
        path = places.live_path(kind)
        with suppress(OSError):
            target = os.readlink(path)
            found = parse_version_file(target[target.rfind("/") + 1 :])
            if found is not None and found[0] == kind:
                links += 1
                os.stat(path)
                versions[kind] = found[1]
    return versions if links else None


def _why_no_link(path: str, error: OSError) -> str:
    if not os.path.lexists(path):
        return f"{path} is missing" if isinstance(error, FileNotFoundError) else f"{path}: {error.strerror}"
    if not os.path.islink(path):
        return f"{path} is not a symbolic link"
    target = os.readlink(path)
    if isinstance(error, FileNotFoundError):
        return f"{path} points to {target}, which does not exist"
    return f"{path} points to {target}, which cannot be used: {error.strerror}"


def _damaged(places: Places, what: str) -> LineageDamaged:
    return LineageDamaged(f"The certificate {places.name} is damaged: {what}.")


_CONF_ORDER = ("cert", "privkey", "chain", "fullchain")
