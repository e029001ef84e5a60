"""Options that installed plugins bring along, as rows for the table. A plugin is imported only when it is named."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from acmectl.config.options import OptionRow

if TYPE_CHECKING:
    from collections.abc import Iterable

    from acmectl.config.options import Kind, OptionTable, Value
    from acmectl.config.settings import Settings
    from acmectl.plugin.api import Option

_KINDS: dict[str, Kind] = {"text": "text", "integer": "int", "flag": "flag", "path": "path", "list": "list"}


def extended(table: OptionTable, words: Iterable[str]) -> OptionTable:
    """The table with the options of the installed plugins that ``words`` name.

    A word names a plugin when it is its name, or a flag that is its name or starts with it and a dash.

    Raises: PluginError when a plugin so named cannot be loaded.
    """
    from acmectl.plugin import registry

    given = {word.partition("=")[0].replace("_", "-") for word in words} | set(words)
    for name in registry.names():
        if any(word in (name, f"--{name}") or word.startswith(f"--{name}-") for word in given):
            table = table.extended(rows_of(name, registry.load(name).options))
    return table


def with_plugins(settings: Settings, names: Iterable[str]) -> Settings:
    """Settings that know the options of the installed plugins ``names``, with their defaults where nothing was given.

    A name that no plugin has is left to whoever needs the plugin. Raises: PluginError when one cannot be loaded.
    """
    from acmectl.plugin import registry

    table = settings.table
    for name in sorted(set(names) - set(registry.BUILT_IN)):
        if name in registry.names():
            table = table.extended(rows_of(name, registry.load(name).options))
    new = {dest: row.default for dest, row in table.by_dest.items() if dest not in settings.values}
    return replace(settings, table=table, values=MappingProxyType({**new, **settings.values})) if new else settings


def rows_of(plugin: str, options: Iterable[Option]) -> tuple[OptionRow, ...]:
    """Rows for the options of a plugin, and the flag ``--<plugin>`` that selects it."""
    selector = OptionRow(
        names=(f"--{plugin}",),
        kind="flag",
        default=False,
        help=f"short for --authenticator {plugin}",
        topics=(plugin,),
        verbs=(),
        certbot=False,
        selects=plugin,
    )
    return (selector, *(_row(plugin, option) for option in options))


def _row(plugin: str, option: Option) -> OptionRow:
    name = f"--{plugin}-{option.name.replace('_', '-')}"
    kind = _KINDS[option.kind]
    return OptionRow(
        names=(name,),
        kind=kind,
        default=_default(option.default),
        help=option.help,
        metavar=option.metavar or ("" if kind == "flag" else option.name.rpartition("-")[2].upper()),
        topics=(plugin,),
        verbs=(),
        stored=None if option.secret else name[2:].replace("-", "_"),
        certbot=False,
        secret=option.secret,
        plugin=plugin,
        variable=option.env,
    )


def _default(value: object) -> Value:
    if value is None or isinstance(value, bool | int | str):
        return value
    return tuple(str(item) for item in value) if isinstance(value, list | tuple) else str(value)
