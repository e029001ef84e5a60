"""Apache httpd's configuration, read to say where the answers to http-01 are looked for. Runs and changes nothing."""

from __future__ import annotations

import fnmatch
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from acmectl.actions.apache_syntax import ApacheParser
from acmectl.actions.config_files import is_file
from acmectl.actions.web_places import BELOW, PROBE, Place, folder_of_answers, may_match, unknown, web_root

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from acmectl.actions.apache_syntax import Directive

CONFIGS = (
    "/etc/apache2/apache2.conf",
    "/etc/httpd/conf/httpd.conf",
    "/etc/apache2/httpd.conf",
    "/usr/local/etc/apache24/httpd.conf",
)
VARIABLE = "APACHE_RELOAD_CONFIG"
"""Names the configuration file, for the shipped hook too."""

_TARGET = re.compile(r"(?P<scheme>https?)://(?P<host>[^/%$:]+|%\{\w+\})(?::\d+)?(?P<rest>.*)", re.DOTALL)
_SAME_HOST = ("%{HTTP_HOST}", "%{SERVER_NAME}")
_SAME_PATH = ("/", "%{REQUEST_URI}", "/$1", "$1")
_WHOLE = ("permanent", "temp", "seeother", "301", "302", "303", "307", "308")
_ANSWERING = ("redirect", "redirectpermanent", "redirecttemp", "redirectmatch")
_MOST_REDIRECTS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class _Host:
    """A virtual host. ``addresses``: address and port."""

    directives: tuple[Directive, ...]
    addresses: tuple[tuple[str, int | None], ...]
    names: tuple[str, ...]
    tls: bool


class ApacheSites:
    """The sites of one Apache httpd."""

    def __init__(self, config: str | Path) -> None:
        """``config``: its configuration file, read with all that it includes; never raises."""
        top = ApacheParser(str(config)).top
        self._main = tuple(one for one in top if one.block is None)
        self._hosts = [_host(one) for one in top if one.name == "virtualhost"]

    def __bool__(self) -> bool:
        return bool(self._hosts) or any(one.name == "documentroot" for one in self._main)

    def place(self, name: str, *, port: int = 80) -> Place:
        """Where a request for ``name`` at ``port`` finds the answers; redirects within this Apache are followed."""
        return self._find(name.lower(), port, tls=False, redirects=0)

    def _find(self, name: str, port: int, *, tls: bool, redirects: int) -> Place:
        hosts = self._chosen(name, port, tls=tls)
        if not hosts:
            if tls:
                return unknown("no virtual host of Apache speaks https for it")
            hosts = [_Host(directives=(), addresses=(), names=(), tls=False)]
        places = list(dict.fromkeys(self._in_host(host, name, port, redirects) for host in hosts))
        return places[0] if len(places) == 1 else unknown("several virtual hosts of Apache may answer for it")

    def _chosen(self, name: str, port: int, *, tls: bool) -> list[_Host]:
        """The virtual hosts that answer: by name where one has it, else the first of each address."""
        by_address: dict[tuple[str, int | None], list[_Host]] = {}
        for host in self._hosts:
            for address in host.addresses:
                fits = (host.tls or address[1] == 443) if tls else address[1] in (port, None) and not host.tls
                if fits:
                    by_address.setdefault(address, []).append(host)
        named: dict[int, _Host] = {}
        first: dict[int, _Host] = {}
        for hosts in by_address.values():
            found = next((host for host in hosts if _has_name(host, name)), None)
            if found is not None:
                named[id(found)] = found
            first[id(hosts[0])] = hosts[0]
        return list((named or first).values())

    def _in_host(self, host: _Host, name: str, port: int, redirects: int) -> Place:
        directives = (*self._main, *host.directives)
        target = _redirect(host.directives) or _rewrite(host.directives)
        if target is not None:
            return self._redirected(target, name, port, redirects)
        passed = None if _is_kept_from_proxies(directives) else _passed(host.directives)
        if passed is not None:
            return unknown(f"Apache passes its requests on ({passed})")
        # In a virtual host its own aliases are looked at before those of the whole server.
        for one in (*host.directives, *self._main):
            found = _alias(one)
            if found is not None:
                return found
        roots = [one.args[0] for one in directives if one.name == "documentroot" and one.args]
        return web_root(roots[-1]) if roots else unknown("Apache has no document root for it")

    def _redirected(self, target: str, name: str, port: int, redirects: int) -> Place:
        match = _TARGET.fullmatch(target)
        if match is None or redirects >= _MOST_REDIRECTS or match["rest"] not in _SAME_PATH:
            return unknown(f"Apache redirects everything to {target}")
        host = name if match["host"] in _SAME_HOST else match["host"].lower()
        if "%" in host:
            return unknown(f"Apache redirects everything to {target}")
        followed = self._find(host, port, tls=match["scheme"] == "https", redirects=redirects + 1)
        if followed.why_not is not None:
            return unknown(f"Apache redirects everything to {target}, and there {followed.why_not}")
        return followed


def _host(section: Directive) -> _Host:
    directives = tuple(section.block or ())
    names = [arg for one in directives if one.name in ("servername", "serveralias") for arg in one.args]
    return _Host(
        directives=directives,
        addresses=tuple(_address(arg) for arg in section.args),
        names=tuple(name.partition("://")[2] or name for name in names),
        tls=any(one.name == "sslengine" and one.args[:1] and one.args[0].lower() == "on" for one in directives),
    )


def _address(text: str) -> tuple[str, int | None]:
    host, colon, port = text.rpartition(":")
    if colon and port.isdecimal():
        return host, int(port[:6])
    return (host, None) if colon and port == "*" else (text, None)


def _has_name(host: _Host, name: str) -> bool:
    return any(fnmatch.fnmatchcase(name, one.lower().partition(":")[0]) for one in host.names)


def _alias(one: Directive) -> Place | None:
    """The place that an Alias gives, if it concerns challenges."""
    if one.name == "alias" and len(one.args) == 2:
        path, folder = one.args
        if path == "/" or not (BELOW.startswith(path.rstrip("/") + "/")):
            return None
        rest = BELOW[len(path.rstrip("/")) :].strip("/")
        return folder_of_answers(f"{folder}/{rest}" if rest else folder, where="the folder of its alias")
    if one.name == "aliasmatch" and one.args and may_match(one.args[0], PROBE) is not False:
        return unknown("Apache finds its files by an AliasMatch")
    return None


def _redirect(directives: Sequence[Directive]) -> str | None:
    """Where Redirect and RedirectMatch send a challenge to; None where they leave it alone."""
    for one in directives:
        if one.name not in _ANSWERING:
            continue
        args = [arg for arg in one.args if arg.lower() not in _WHOLE]
        if len(args) == 2 and one.name == "redirectmatch":
            if may_match(args[0], PROBE) is not False:
                return args[1]
        elif len(args) == 2 and PROBE.startswith(args[0]):
            return args[1] if args[0] == "/" else f"{args[1]} (from {args[0]})"
    return None


def _rewrite(directives: Sequence[Directive]) -> str | None:
    """Where a RewriteRule that goes elsewhere sends a challenge to; None where all of them leave it alone."""
    if not any(one.name == "rewriteengine" and one.args[:1] and one.args[0].lower() == "on" for one in directives):
        return None
    spared = False
    for one in directives:
        if one.name == "rewritecond" and len(one.args) > 1:
            spared = spared or _spares_challenges(one.args)
        elif one.name == "rewriterule" and len(one.args) > 1:
            concerned, spared = not spared, False
            hit = may_match(one.args[0].lstrip("!"), PROBE)
            if concerned and hit is not (one.args[0].startswith("!")):
                if one.args[1] == "-":
                    if len(one.args) > 2 and re.search(r"\b(END|L|last)\b", one.args[2]):
                        return None
                    continue
                return one.args[1]
    return None


def _spares_challenges(args: Sequence[str]) -> bool:
    """Whether a RewriteCond keeps its rule from challenges, or from plain http."""
    test, pattern = args[0], args[1]
    if test == "%{REQUEST_URI}":
        hit = may_match(pattern.lstrip("!"), PROBE)
        return hit is not None and hit is pattern.startswith("!")
    return test.startswith("%{REQUEST_FILENAME}") and pattern.startswith("!-")


def _passed(directives: Sequence[Directive]) -> str | None:
    for one in directives:
        if one.name == "proxypass" and len(one.args) > 1 and PROBE.startswith(one.args[0].rstrip("/") + "/"):
            return None if one.args[1] == "!" else f"ProxyPass {' '.join(one.args[:2])}"
        if one.name == "proxypassmatch" and one.args and may_match(one.args[0], PROBE) is not False:
            return f"ProxyPassMatch {one.args[0]}"
        if one.name == "location" and one.block and one.args[:1] == ("/",):
            inner = next((two for two in one.block if two.name == "proxypass" and two.args), None)
            if inner is not None:
                return f"ProxyPass {inner.args[0]}"
    return None


def _is_kept_from_proxies(directives: Sequence[Directive]) -> bool:
    """Whether mod_proxy is told to leave challenges alone, as docs/web-servers.md does it."""
    return any(
        one.name in ("setenvif", "setenvifnocase")
        and one.args[:1]
        and one.args[0].lower() == "request_uri"
        and "no-proxy" in one.args[2:]
        and may_match(one.args[1], PROBE)
        for one in directives
    )


def config_path(environ: Mapping[str, str], params: Mapping[str, object]) -> str | None:
    """The configuration file: what VARIABLE names, else below certbot's ``apache_server_root``, else a usual one."""
    given = environ.get(VARIABLE)
    root = params.get("apache_server_root")
    if given:
        candidates: tuple[str, ...] = (given,)
    elif isinstance(root, str) and root != "None":
        candidates = tuple(f"{root}/{name}" for name in ("apache2.conf", "conf/httpd.conf", "httpd.conf"))
    else:
        candidates = CONFIGS
    return next((path for path in candidates if is_file(path)), None)
