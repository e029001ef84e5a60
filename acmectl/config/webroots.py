"""Which name is served from which webroot: the order of -w and -d matters."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from acmectl.errors import ConfigError
from acmectl.identifiers import Identifier, ordered, parse_any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from acmectl.config.settings import Given


@dataclass(frozen=True, slots=True, kw_only=True)
class Webroots:
    """Names in order (DNS names first), the directory of each as far as known, and the directories in order."""

    identifiers: tuple[Identifier, ...]
    webroot_map: dict[str, str]
    webroot_path: tuple[str, ...]


def resolve(named: Iterable[Given]) -> Webroots:
    """Names and their webroots from -d, --ip-address, -w and --webroot-map in the order given.

    A name belongs to the nearest -w before it. With a single -w the names may stand before it; with several, a name
    before the first is an error. Names from elsewhere (``named`` ends with those) belong to the last -w. What
    --webroot-map says wins, and its names count as given. Directories become absolute.

    Raises: ConfigError for a bad name or a name before several webroots, and for a malformed map.
    """
    names: list[Identifier] = []
    followed: dict[str, str] = {}
    mapped: dict[str, str] = {}
    paths: list[str] = []
    for given in named:
        if given.dest == "webroot_path":
            paths.append(os.path.abspath(given.text))  # noqa: PTH100 - links are meant to stay
        elif given.dest == "webroot_map":
            for identifier, path in read_map(given.text).items():
                names.append(identifier)
                mapped.setdefault(identifier.value, path)
        else:
            identifier = Identifier.ip(given.text) if given.dest == "ip_address" else Identifier.dns(given.text)
            names.append(identifier)
            if paths:
                followed.setdefault(identifier.value, paths[-1])
    unplaced = [name for name in names if name.value not in followed and name.value not in mapped]
    if unplaced and len(set(paths)) > 1:
        raise ConfigError(
            f"{unplaced[0]} stands before the first of several webroots, so it is not clear which one is meant.",
            hint="Put -w DIR before the names it is for.",
        )
    if paths:
        followed.update((name.value, paths[-1]) for name in unplaced)
    identifiers = ordered(names)
    webroot_map = {
        name.value: mapped.get(name.value) or followed[name.value]
        for name in identifiers
        if name.value in mapped or name.value in followed
    }
    return Webroots(identifiers=identifiers, webroot_map=webroot_map, webroot_path=tuple(dict.fromkeys(paths)))


def read_map(text: str) -> dict[Identifier, str]:
    """The names of a --webroot-map and their directories, absolute. Raises: ConfigError."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"--webroot-map is not JSON: {error}.", hint=_EXAMPLE) from error
    if not isinstance(found, dict):
        raise ConfigError("--webroot-map is not a JSON object.", hint=_EXAMPLE)
    result: dict[Identifier, str] = {}
    for key, path in found.items():
        if not isinstance(path, str) or not path:
            raise ConfigError(f"--webroot-map has no directory for '{key}'.", hint=_EXAMPLE)
        for name in filter(None, (part.strip() for part in key.split(","))):
            result.setdefault(parse_any(name), os.path.abspath(path))  # noqa: PTH100 - links are meant to stay
    return result


_EXAMPLE = """Write it like this: --webroot-map '{"a.example,b.example": "/srv/www"}'"""
