"""A certificate whose web roots are lost or gone: which names are concerned, and the command that repairs it."""

from __future__ import annotations

import os
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

from acmectl.actions.takeover import PLACEHOLDER, SERVERS, Surroundings, few, find, map_option

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from acmectl.identifiers import Identifier
    from acmectl.storage.renewal_conf import RenewalConf


@dataclass(frozen=True, slots=True, kw_only=True)
class WebrootDamage:
    """``what`` is wrong (one sentence without the file), what to put for DIR (``note``), and the repairing command."""

    what: str
    note: str
    command: str


def find_damage(
    lineage_name: str,
    identifiers: Sequence[Identifier],
    webroot_map: Mapping[str, str],
    *,
    challenge_dir: str | None = None,
    conf: RenewalConf | None = None,
    surroundings: Surroundings | None = None,
) -> WebrootDamage | None:
    """What keeps webroot from answering for the names; None when each has a folder that is there.

    ``webroot_map`` says which folder each name would use. Only reads; never raises.
    """
    surroundings = surroundings or Surroundings()
    start = ["acmectl", "reconfigure", "-n", *surroundings.options, "--cert-name", lineage_name, "--webroot"]
    if challenge_dir is not None:
        if os.path.isdir(challenge_dir):  # noqa: PTH112
            return None
        what = f"the challenge directory {challenge_dir} does not exist"
        note = f"Create it again, or put for {PLACEHOLDER} the folder that takes its place."
        return WebrootDamage(what=what, note=note, command=shlex.join([*start, "--challenge-dir", PLACEHOLDER]))
    names = [name.value for name in identifiers]
    lost = [name for name in names if name not in webroot_map]
    gone = [name for name in names if name in webroot_map and not os.path.isdir(webroot_map[name])]  # noqa: PTH112
    if not lost and not gone:
        return None
    parts = [f"there is no web root for {few(lost)}"] if lost else []
    for folder in dict.fromkeys(webroot_map[name] for name in gone):
        users = [name for name in gone if webroot_map[name] == folder]
        parts.append(f"the web root {folder} of {few(users)} does not exist")
    concerned = [name for name in identifiers if name.value in lost or name.value in gone]
    roots = _roots_by_server(concerned, conf, surroundings)
    if PLACEHOLDER in roots.values():
        note = f"For {PLACEHOLDER} put the folder that the web server shows on port 80"
        note += "." if len(set(roots.values())) == 1 else f" for {few([n for n in roots if roots[n] == PLACEHOLDER])}."
    else:
        note = "The folder was read from the web server's configuration."
    if len(concerned) == len(names) and len(set(roots.values())) == 1:
        options = ["-w", next(iter(roots.values()))]
    else:
        options = ["--webroot-map", map_option(roots)]
    return WebrootDamage(what="; ".join(parts), note=note, command=shlex.join([*start, *options]))


def _roots_by_server(
    identifiers: Sequence[Identifier], conf: RenewalConf | None, surroundings: Surroundings
) -> dict[str, str]:
    """The web root of each name by the only web server that knows one; DIR where none does or two disagree."""
    found: dict[str, set[str]] = {name.value: set() for name in identifiers}
    for server in SERVERS:
        for name, place in find(identifiers, server, conf=conf, surroundings=surroundings).places.items():
            if place.webroot is not None:
                found[name].add(place.webroot)
    return {name: next(iter(roots)) if len(roots) == 1 else PLACEHOLDER for name, roots in found.items()}
