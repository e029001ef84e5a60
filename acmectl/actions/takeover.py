"""The command that takes a certificate over from certbot's nginx or apache plugin, made from the server's own files."""

from __future__ import annotations

import json
import os
import shlex
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

from acmectl.actions import webserver_apache, webserver_nginx
from acmectl.actions.shipped_hooks import reload_hook
from acmectl.actions.web_places import Place, unknown
from acmectl.actions.webserver_apache import ApacheSites
from acmectl.actions.webserver_nginx import NginxSites

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from acmectl.identifiers import Identifier
    from acmectl.storage.renewal_conf import RenewalConf

Server = Literal["nginx", "apache"]
SERVERS: tuple[Server, ...] = ("nginx", "apache")
PLACEHOLDER = "DIR"
_HTTP = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeoverAdvice:
    """``command`` is one line for a shell; ``note`` says what to put for DIR, or what it was read from."""

    command: str
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What the configuration of ``title`` says: the place of each name. ``path`` is None where it was not found."""

    title: str
    path: str | None
    places: Mapping[str, Place]

    @property
    def complete(self) -> bool:
        """Whether every name has one."""
        return all(place.why_not is None for place in self.places.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """``options`` name the tree in commands where it is not the default; ``environ`` may name the server's files."""

    options: tuple[str, ...] = ()
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ, repr=False)


def server_of(authenticator: str | None) -> Server | None:
    """The web server whose configuration certbot's plugin of that name edits."""
    return next((server for server in SERVERS if server == authenticator), None)


def advice(
    lineage_name: str,
    identifiers: Sequence[Identifier],
    server: Server,
    *,
    conf: RenewalConf | None = None,
    surroundings: Surroundings | None = None,
) -> TakeoverAdvice:
    """The ``reconfigure`` that has the certificate renewed by web root and the server reloaded after it.

    ``conf`` is its renewal file, whose own deploy hook stays. Only reads; never raises.
    """
    surroundings = surroundings or Surroundings()
    found = find(identifiers, server, conf=conf, surroundings=surroundings)
    options, note = as_options(found)
    words = ["acmectl", "reconfigure", "-n", *surroundings.options, "--cert-name", lineage_name, "--webroot", *options]
    return TakeoverAdvice(command=shlex.join([*words, *_deploy_hook(server, conf)]), note=note)


def find(
    identifiers: Sequence[Identifier],
    server: Server,
    *,
    conf: RenewalConf | None = None,
    surroundings: Surroundings | None = None,
) -> Found:
    """Where the server looks for the answers for each name. Only reads; never raises."""
    environ = (surroundings or Surroundings()).environ
    params = conf.params if conf is not None else {}
    if server == "nginx":
        title, path = "nginx", webserver_nginx.config_path(environ, params)
    else:
        title, path = "Apache", webserver_apache.config_path(environ, params)
    sites = _sites(server, path) if path is not None else None
    places: dict[str, Place] = {}
    for name in identifiers:
        if name.is_wildcard:
            places[name.value] = unknown("a wildcard needs a DNS challenge")
        elif sites:
            places[name.value] = _existing(sites.place(name.value, port=_port(conf)))
        else:
            lost = f"the configuration of {title} was not found" if path is None else f"{path} shows no sites"
            places[name.value] = unknown(lost)
    return Found(title=title, path=path, places=places)


@lru_cache(maxsize=4)
def _sites(server: Server, path: str) -> NginxSites | ApacheSites:
    """The sites of a server, read once in a run that asks for many certificates."""
    return NginxSites(path) if server == "nginx" else ApacheSites(path)


def as_options(found: Found) -> tuple[tuple[str, ...], str]:
    """The words for the webroot authenticator, DIR where the place is not known, and a note on them."""
    places = found.places
    unclear = {name: place.why_not for name, place in places.items() if place.why_not is not None}
    folders = {place.challenge_dir or "" for place in places.values()}
    roots = {place.webroot or "" for place in places.values()}
    if len(folders) == 1 and "" not in folders:
        options: tuple[str, ...] = ("--challenge-dir", *folders)
    elif len(roots) == 1:
        options = ("-w", *(roots if "" not in roots else {PLACEHOLDER}))
    else:
        alone = {name: "its challenges have a folder of their own" for name, one in places.items() if one.challenge_dir}
        unclear |= alone
        options = ("--webroot-map", map_option({name: one.webroot or PLACEHOLDER for name, one in places.items()}))
    if not unclear:
        return options, f"The folder was read from {found.path}."
    reasons = "; ".join(f"{names}: {why}" for names, why in _grouped(unclear).items())
    note = (
        f"For {PLACEHOLDER} put the folder that {found.title} shows on port 80 ({reasons}). "
        "docs/web-servers.md has a location for the challenges."
    )
    return options, note


def map_option(folders: Mapping[str, str]) -> str:
    """The value of --webroot-map that says which name has which folder."""
    by_folder: dict[str, list[str]] = {}
    for name, folder in folders.items():
        by_folder.setdefault(folder, []).append(name)
    return json.dumps({",".join(names): folder for folder, names in by_folder.items()}, ensure_ascii=False)


def few(names: Sequence[str]) -> str:
    """Three names and how many more."""
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _grouped(reasons: Mapping[str, str | None]) -> dict[str, str]:
    """The reasons, each told once, by the names that have it."""
    by_reason: dict[str, list[str]] = {}
    for name, why in reasons.items():
        by_reason.setdefault(why or "", []).append(name)
    return {few(names): why for why, names in by_reason.items()}


def _existing(place: Place) -> Place:
    folder = place.webroot or place.challenge_dir
    if folder is not None and not os.path.isdir(folder):  # noqa: PTH112
        return unknown(f"the folder {folder} of its configuration does not exist")
    return place


def _port(conf: RenewalConf | None) -> int:
    text = conf.text("http01_port") if conf is not None else None
    return int(text) if text is not None and text.isdecimal() and text.isascii() else _HTTP


def _deploy_hook(server: Server, conf: RenewalConf | None) -> list[str]:
    """The options that have the server reloaded; a deploy hook that is there already goes on running."""
    hook = shlex.quote(str(reload_hook(server)))
    present = conf.text("renew_hook") if conf is not None else None
    if not present or present == hook:
        return ["--deploy-hook", hook]
    if conf is not None and conf.text("installer") == server:
        return []  # the installer's part is done by the very hook
    return ["--deploy-hook", f"{present} && {hook}"]
