"""Which authenticators a request needs, with their options: the default one, and others for some of the names."""

from __future__ import annotations

import os
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from acmectl.actions.requests import AuthenticatorRequest, MixedAuthenticator
from acmectl.actions.shipped_hooks import reload_hook
from acmectl.config.mixing import Choice, choice_for, parse_choices, parse_pairs
from acmectl.config.webroots import Webroots, resolve
from acmectl.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Collection

    from acmectl.cli.app import App
    from acmectl.config.settings import Settings
    from acmectl.identifiers import Identifier
    from acmectl.plugin.api import DnsSettings
    from acmectl.storage.renewal_conf import JsonValue, RenewalConf

_DNS = "dns-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """The default authenticator's name, and the choices for some names."""

    default: str
    choices: tuple[Choice, ...] = ()

    def name_for(self, identifier: Identifier) -> str:
        """The authenticator that answers for ``identifier``."""
        choice = choice_for(self.choices, identifier.value)
        return self.default if choice is None else choice.authenticator

    @property
    def others(self) -> frozenset[str]:
        """Names of the authenticators that are not the default."""
        return frozenset(choice.authenticator for choice in self.choices) - {self.default}

    @property
    def all(self) -> frozenset[str]:
        """Names of all authenticators that may be needed."""
        return self.others | {self.default}


def named_authenticators(settings: Settings, conf: RenewalConf | None) -> set[str]:
    """Every authenticator that the command line, the files or the renewal file name, whatever comes of it."""
    texts = [settings.text("authenticator"), *settings.items("authenticator_for")]
    if conf is not None:
        stored = conf.own.get("authenticator_for")
        texts += [conf.text("authenticator"), *(map(str, stored) if isinstance(stored, list) else ())]
    return {text.rpartition("=")[2].partition(":")[0] for text in texts if text}


def selection_of(
    app: App, settings: Settings, conf: RenewalConf | None, identifiers: tuple[Identifier, ...]
) -> Selection:
    """The authenticators that were asked for. Raises: ConfigError, with the way to do without certbot's plugins."""
    choices = parse_choices(settings.items("authenticator_for"), settings.origin("authenticator_for"))
    for choice in choices:
        if reload_hook(choice.authenticator) is not None:
            raise _no_web_server(settings.origin("authenticator_for"), choice.authenticator, conf, identifiers)
    name = settings.text("authenticator")
    if name is not None and settings.is_set("authenticator") and reload_hook(name) is not None:
        raise _no_web_server(settings.origin("authenticator"), name, conf, identifiers)
    return Selection(default=name if name is not None else _asked_authenticator(app), choices=choices)


def _asked_authenticator(app: App) -> str:
    from acmectl.plugin import registry

    if not app.prompts.interactive:
        raise ConfigError(
            "No authenticator was chosen.", hint="Choose one, such as --webroot -w DIR, --standalone or --manual."
        )
    names = registry.names()
    return names[app.prompts.choose("How should control of the names be proved?", names, flag="--authenticator")]


def _no_web_server(
    origin: str, name: str, conf: RenewalConf | None, identifiers: tuple[Identifier, ...]
) -> ConfigError:
    from acmectl.actions.takeover import advice, as_options, find, server_of

    server = server_of(name)
    command = note = ""
    if server is not None and conf is not None:
        taken = advice(Path(str(conf.root.get("cert", ""))).parent.name, identifiers, server, conf=conf)
        command, note = taken.command, taken.note
    elif server is not None:
        options, note = as_options(find(identifiers, server))
        names = [word for one in identifiers for word in ("--ip-address" if one.is_ip else "-d", one.value)]
        command = shlex.join(["acmectl", "certonly", "--webroot", *options, "--installer", name, *names])
    return ConfigError(
        f"{origin}: acmectl does not edit the configuration of {name}.", hint=f"{note} Do it by web root: {command}"
    )


def webroots_of(
    app: App,
    settings: Settings,
    conf: RenewalConf | None,
    identifiers: tuple[Identifier, ...],
    selection: Selection,
) -> Webroots:
    """The web roots of the names that webroot answers for: given now, else stored, else asked for.

    Raises: ConfigError.
    """
    given = resolve(app.settings.named)
    if given.webroot_path or conf is None:
        paths, known = given.webroot_path, dict(given.webroot_map)
    else:
        # A map given alone speaks of its own names and of no others.
        stored_paths, stored_map = _stored_webroots(conf)
        paths, known = stored_paths, {**stored_map, **given.webroot_map}
    named = {name.value for name in identifiers}
    webroot_map = {name: path for name, path in known.items() if name in named}
    asked: str | None = None
    if settings.text("challenge_dir") is None:
        needed = {name.value for name in identifiers if selection.name_for(name) == "webroot"}
        for name in sorted(needed - webroot_map.keys()):
            if paths:
                webroot_map[name] = paths[-1]
            elif app.prompts.interactive:
                asked = webroot_map[name] = _asked_webroot(app, name, asked)
    return Webroots(identifiers=identifiers, webroot_map=webroot_map, webroot_path=paths)


def _stored_webroots(conf: RenewalConf) -> tuple[tuple[str, ...], dict[str, str]]:
    """Where webroot answers for some names only, certbot would not keep its values, so they lie in our section."""
    paths, webroot_map = conf.own.get("webroot_path"), conf.own.get("webroot_map")
    return (
        tuple(conf.texts("webroot_path")) or (tuple(map(str, paths)) if isinstance(paths, list) else ()),
        {str(k): str(v) for k, v in webroot_map.items()} | dict(conf.webroot_map)
        if isinstance(webroot_map, dict)
        else dict(conf.webroot_map),
    )


def _asked_webroot(app: App, name: str, default: str | None) -> str:
    """The absolute path of an existing directory, from the person, who is asked again about anything else."""

    def absolute(text: str) -> str:
        path = os.path.abspath(os.path.expanduser(text))  # noqa: PTH100, PTH111 - links are meant to stay
        if not Path(path).is_dir():
            raise ConfigError(f"{path} is not a directory.")
        return path

    question = f"Document root of {name}" + (f" (Enter: {default})" if default is not None else "")
    return absolute(app.prompts.ask(question, default=default, flag="--webroot-path", check=absolute))


def default_request(settings: Settings, selection: Selection, webroots: Webroots) -> AuthenticatorRequest:
    """The default authenticator with its options."""
    name = selection.default
    return AuthenticatorRequest(name=name, options=_options(settings, name, webroots))


def mixed_requests(settings: Settings, selection: Selection, webroots: Webroots) -> tuple[MixedAuthenticator, ...]:
    """The others, in the order of their patterns. Raises: ConfigError for credentials that have no file."""
    files = parse_pairs(
        settings.items("dns_credentials"), settings.origin("dns_credentials"), "NAME=FILE, such as work=/etc/dns.ini"
    )
    return tuple(
        MixedAuthenticator(pattern=choice, authenticator=_chosen(settings, choice, files, webroots))
        for choice in selection.choices
    )


def _chosen(settings: Settings, choice: Choice, files: dict[str, str], webroots: Webroots) -> AuthenticatorRequest:
    options = _options(settings, choice.authenticator, webroots)
    if choice.credentials is not None:
        if choice.credentials not in files:
            raise ConfigError(
                f"{settings.origin('authenticator_for')}: there are no credentials called {choice.credentials}.",
                hint=f"Give their file with --dns-credentials {choice.credentials}=FILE.",
            )
        options["credentials"] = os.path.abspath(os.path.expanduser(files[choice.credentials]))  # noqa: PTH100, PTH111
    return AuthenticatorRequest(name=choice.authenticator, options=options)


def _options(settings: Settings, authenticator: str, webroots: Webroots) -> dict[str, object]:
    prefix = authenticator.replace("-", "_") + "_"
    options: dict[str, object] = {}
    for dest, row in settings.table.by_dest.items():
        if row.plugin == authenticator:
            options[(row.stored or row.own or dest).removeprefix(prefix)] = settings.value(dest)
    if authenticator == "webroot":
        options["map"] = dict(webroots.webroot_map)
        options["path"] = list(webroots.webroot_path)
    return options


def foreign_keys(settings: Settings, selection: Selection) -> Collection[str]:
    """Keys of ``[renewalparams]`` that belong to authenticators other than the default: certbot would drop them."""
    return {
        row.stored
        for row in settings.table.by_dest.values()
        if row.stored is not None and row.plugin in selection.others
    }


def own_values(given: Settings, selection: Selection, webroots: Webroots) -> dict[str, JsonValue]:
    """What is kept in the section ``[acmectl]``: acmectl's own options, and those of the other authenticators."""
    foreign = foreign_keys(given, selection)
    found = {**given.own_stored(), **{key: value for key, value in given.stored().items() if key in foreign}}
    values: dict[str, JsonValue] = {
        key: list(value) if isinstance(value, tuple) else value for key, value in found.items() if value is not None
    }
    if "webroot" in selection.others:
        values["webroot_path"] = list(webroots.webroot_path)
        values["webroot_map"] = dict(webroots.webroot_map)
    return values


def dns_settings(settings: Settings, selection: Selection) -> DnsSettings | None:
    """How records are found and waited for; None where no authenticator works by DNS. Raises: ConfigError."""
    return dns_settings_of(settings) if any(name.startswith(_DNS) for name in selection.all) else None


def dns_settings_of(settings: Settings) -> DnsSettings:
    """How records are found and waited for. Raises: ConfigError."""
    from acmectl.dns.resolver import parse_server
    from acmectl.plugin.api import DnsSettings

    resolvers = settings.items("dns_resolver")
    for text in resolvers:
        parse_server(text)
    aliases = parse_pairs(
        settings.items("dns_alias"), settings.origin("dns_alias"), "NAME=RECORD, such as example.org=x.example.net"
    )
    seconds = settings.value("dns_propagation_seconds")
    return DnsSettings(
        resolvers=resolvers,
        aliases={f"_acme-challenge.{_plain(name)}": _plain(record) for name, record in aliases.items()},
        check=settings.flag("dns_propagation_check"),
        timeout=float(settings.integer("dns_propagation_timeout")),
        fixed=float(seconds) if isinstance(seconds, int) else None,
    )


def _plain(name: str) -> str:
    return name.lower().rstrip(".").removeprefix("*.")
