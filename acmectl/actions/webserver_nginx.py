"""nginx's configuration, read to say where the answers to http-01 are looked for. Runs and changes nothing.

It is read and not asked for with ``nginx -T``, which opens log files and resolves names as a start of nginx would.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from acmectl.actions.config_files import BoundedReader, is_file
from acmectl.actions.nginx_syntax import Directive, parse
from acmectl.actions.web_places import (
    BELOW,
    PROBE,
    Place,
    folder_of_answers,
    may_match,
    name_matches,
    unknown,
    web_root,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

CONFIGS = ("/etc/nginx/nginx.conf", "/usr/local/etc/nginx/nginx.conf", "/usr/local/nginx/conf/nginx.conf")
VARIABLE = "NGINX_RELOAD_CONFIG"
"""Names the configuration file, for the shipped hook too."""

_PASSES = ("proxy_pass", "fastcgi_pass", "uwsgi_pass", "scgi_pass", "grpc_pass", "memcached_pass")
_REDIRECT = re.compile(r"(?P<scheme>https?|\$scheme)://(?P<host>[^/$?:]+|\$\{?\w+\}?)(?::\d+)?(?P<rest>.*)", re.DOTALL)
_SAME_HOST = ("$host", "$server_name", "$http_host")
_SAME_PATH = ("$request_uri", "$uri", "$uri$is_args$args", "$1", "/$1")
_MOST_REDIRECTS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class _Server:
    """A server block. ``listens``: address, port and whether it speaks TLS there."""

    directives: tuple[Directive, ...]
    names: tuple[str, ...]
    listens: tuple[tuple[str, int, bool], ...]
    default_for: frozenset[tuple[str, int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Request:
    """What the CA asks for, as far as it decides anything."""

    name: str
    port: int
    tls: bool = False
    redirects: int = 0


class NginxSites:
    """The sites of one nginx."""

    def __init__(self, config: str | Path) -> None:
        """``config``: its nginx.conf, read with all that it includes; never raises."""
        top = parse(str(config), BoundedReader())
        http = Directive(name="http", args=(), block=[one for block in _named(top, "http") for one in block])
        self._http = [one for one in http.block or () if one.block is None]
        self._servers = [_server(one) for one in http.inside("server")]

    def __bool__(self) -> bool:
        return bool(self._servers)

    def place(self, name: str, *, port: int = 80) -> Place:
        """Where a request for ``name`` at ``port`` finds the answers; redirects within this nginx are followed."""
        return self._find(_Request(name=name.lower(), port=port))

    def _find(self, request: _Request) -> Place:
        servers = self._chosen(request)
        if not servers:
            return unknown(f"no server of nginx listens on port {request.port}" if not request.tls else _NO_TLS)
        places = list(dict.fromkeys(self._in_server(server, request) for server in servers))
        return places[0] if len(places) == 1 else unknown("several servers of nginx may answer for it")

    def _chosen(self, request: _Request) -> list[_Server]:
        """The servers that answer: by name where one has it, else the default one of each address."""
        by_address: dict[tuple[str, int], list[_Server]] = {}
        for server in self._servers:
            for address, port, tls in server.listens:
                if (tls or port == 443) if request.tls else port == request.port:
                    by_address.setdefault((address, port), []).append(server)
        ranks = {
            id(server): max((name_matches(one, request.name) for one in server.names), default=0)
            for servers in by_address.values()
            for server in servers
        }
        best = max(ranks.values(), default=0)
        chosen: dict[int, _Server] = {}
        for where, servers in by_address.items():
            if best:
                named = [server for server in servers if ranks[id(server)] == best]
                chosen |= {id(server): server for server in named[:1]}
            elif servers:
                default = [server for server in servers if where in server.default_for]
                chosen[id((default or servers)[0])] = (default or servers)[0]
        if not best and any(_regex_may_match(server, request.name) for server in self._servers):
            return []
        return list(chosen.values())

    def _in_server(self, server: _Server, request: _Request) -> Place:
        found = self._in_context(server.directives, request)
        if found is not None:
            return found
        return self._in_location(server.directives, self._http, request)

    def _in_context(self, directives: Sequence[Directive], request: _Request) -> Place | None:
        """What return, rewrite and if say before any file is looked for; None when they leave the request alone."""
        for one in directives:
            if one.name == "return":
                return self._returned(one.args, request)
            if one.name == "rewrite" and len(one.args) > 1:
                hit = may_match(one.args[0], PROBE)
                if hit is False:
                    continue
                if hit and one.args[1].startswith(("http://", "https://", "$scheme://")):
                    return self._redirected(one.args[1].rstrip("?"), request)
                return unknown("nginx rewrites its addresses")
            if one.name == "if" and one.block is not None and _condition(" ".join(one.args), request):
                found = self._in_context(one.block, request)
                if found is not None:
                    return found
        return None

    def _returned(self, args: tuple[str, ...], request: _Request) -> Place:
        for word in args:
            if _REDIRECT.fullmatch(word):
                return self._redirected(word, request)
        return unknown(f"nginx answers everything there with 'return {' '.join(args)}'")

    def _redirected(self, target: str, request: _Request) -> Place:
        match = _REDIRECT.fullmatch(target)
        if match is None or request.redirects >= _MOST_REDIRECTS:
            return unknown(f"nginx redirects everything to {target}")
        host = match["host"].replace("{", "").replace("}", "")
        same_host = host in _SAME_HOST
        if match["rest"] not in _SAME_PATH or (not same_host and "$" in host):
            return unknown(f"nginx redirects everything to {target}")
        tls = request.tls if match["scheme"] == "$scheme" else match["scheme"] == "https"
        name = request.name if same_host else host.lower()
        followed = self._find(_Request(name=name, port=request.port, tls=tls, redirects=request.redirects + 1))
        if followed.why_not is not None:
            return unknown(f"nginx redirects everything to {target}, and there {followed.why_not}")
        return followed

    def _in_location(
        self, directives: Sequence[Directive], outer: Sequence[Directive], request: _Request, uri: str = ""
    ) -> Place:
        """The place by the directives of a server or a location; ``outer`` are those that it inherits."""
        location = _location(directives)
        if isinstance(location, Place):
            return location
        if location is not None:
            found = self._in_context(location.block or (), request)
            if found is not None:
                return found
            inherited = [*outer, *(one for one in directives if one.name in _INHERITED)]
            place_uri = location.args[-1] if len(location.args) == 1 or location.args[0] == "^~" else ""
            return self._in_location(location.block or (), inherited, request, place_uri)
        return _files_of(directives, outer, uri)


_INHERITED = ("root", "auth_basic")
_NO_TLS = "no server of nginx speaks https for it"


def _files_of(directives: Sequence[Directive], outer: Sequence[Directive], uri: str) -> Place:
    own = {one.name: one for one in directives if one.block is None}
    passed = next((name for name in _PASSES if name in own), None)
    if passed is not None:
        return unknown(f"nginx passes its requests on ({passed} {' '.join(own[passed].args)})")
    everything = {one.name: one for one in (*outer, *directives) if one.block is None}
    if "internal" in own or ("deny" in own and own["deny"].args == ("all",)):
        return unknown("nginx refuses requests there")
    if "auth_basic" in everything and everything["auth_basic"].args != ("off",):
        return unknown("nginx asks for a password")
    tried = own.get("try_files")
    if tried is not None and not any("$uri" in arg or "$request_uri" in arg for arg in tried.args):
        return unknown(f"nginx tries other files (try_files {' '.join(tried.args)})")
    if "alias" in own and own["alias"].args:
        if not uri or not BELOW.startswith(uri):
            return unknown("nginx finds its files by an alias")
        return folder_of_answers(own["alias"].args[0] + BELOW[len(uri) :])
    root = everything.get("root")
    return web_root(root.args[0]) if root is not None and root.args else unknown("nginx has no root for it")


def _location(directives: Sequence[Directive]) -> Directive | Place | None:
    """The location that nginx chooses for a challenge, None where there is none, a Place where it is not clear."""
    longest: Directive | None = None
    regular: list[Directive] = []
    for one in directives:
        if one.name != "location" or one.block is None or not one.args:
            continue
        modifier, uri = (one.args[0], one.args[-1]) if len(one.args) > 1 else ("", one.args[0])
        if modifier in ("~", "~*"):
            regular.append(one)
        elif modifier in ("", "^~") and PROBE.startswith(uri) and (longest is None or len(uri) > len(longest.args[-1])):
            longest = one
    if longest is not None and longest.args[0] == "^~":
        return longest
    for one in regular:
        hit = may_match(one.args[1], PROBE, ignore_case=one.args[0] == "~*")
        if hit is None:
            return unknown(f"it is not clear whether 'location {' '.join(one.args)}' of nginx is meant")
        if hit:
            return one
    return longest


def _condition(text: str, request: _Request) -> bool:
    """Whether an ``if`` holds; those that ask for what is not known here do not."""
    match = re.fullmatch(r"\(?\s*\$(\w+)\s+(!?=|!?~\*?)\s+(.*?)\s*\)?", text)
    if match is None:
        return False
    variable, operator, wanted = match.groups()
    values = {
        **dict.fromkeys(("host", "http_host", "server_name"), request.name),
        **dict.fromkeys(("request_uri", "uri"), PROBE),
        "scheme": "https" if request.tls else "http",
        "https": "on" if request.tls else "",
        "server_port": "443" if request.tls else str(request.port),
        "request_method": "GET",
    }
    if variable not in values:
        return False
    if "~" in operator:
        hit = may_match(wanted, values[variable], ignore_case=operator.endswith("*"))
        return hit is not None and hit is not operator.startswith("!")
    return (values[variable] == wanted) is not operator.startswith("!")


def _named(directives: Sequence[Directive], name: str) -> list[list[Directive]]:
    return [one.block for one in directives if one.name == name and one.block is not None]


def _server(block: Directive) -> _Server:
    directives = tuple(block.block or ())
    listens: list[tuple[str, int, bool]] = []
    defaults: set[tuple[str, int]] = set()
    old_tls = any(one.name == "ssl" and one.args == ("on",) for one in directives)
    for one in block.inside("listen"):
        if not one.args or one.args[0].startswith("unix:") or "quic" in one.args:
            continue
        address, port = _address(one.args[0])
        listens.append((address, port, old_tls or "ssl" in one.args))
        if "default_server" in one.args or "default" in one.args:
            defaults.add((address, port))
    if not any(block.inside("listen")):
        listens.append(("*", 80, False))
    names = tuple(name for one in block.inside("server_name") for name in one.args)
    return _Server(directives=directives, names=names, listens=tuple(listens), default_for=frozenset(defaults))


def _address(text: str) -> tuple[str, int]:
    if text.isdecimal():
        return "*", int(text[:6])
    host, colon, port = text.rpartition(":")
    if colon and port.isdecimal() and not host.endswith(":"):
        return host, int(port[:6])
    return text, 80


def _regex_may_match(server: _Server, name: str) -> bool:
    return any(one.startswith("~") and may_match(one.lstrip("~*"), name) is not False for one in server.names)


def config_path(environ: Mapping[str, str], params: Mapping[str, object]) -> str | None:
    """nginx.conf: what VARIABLE names, else certbot's ``nginx_server_root``, else the usual one that there is."""
    given = environ.get(VARIABLE)
    root = params.get("nginx_server_root")
    candidates = [given] if given else [f"{root}/nginx.conf"] if isinstance(root, str) and root != "None" else CONFIGS
    return next((path for path in candidates if is_file(path)), None)
