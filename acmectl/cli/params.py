"""One flat click command made from the option table, and the Settings that come out of it.

click decides which source wins (flag, environment, file, default) and tells where a value came from; the table decides
what a text means. certbot's way of writing command lines is undone before click sees them (see argv).
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from acmectl.cli import argv as command_line
from acmectl.cli import group, plugin_options
from acmectl.config import conflicts, key_types, selection, sources
from acmectl.config.directories import directories_here
from acmectl.config.servers import read_servers
from acmectl.config.settings import Given, Settings, Source
from acmectl.config.values import BadValueError, convert, nearest, shown
from acmectl.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from acmectl.cli.argv import CommandLine, Occurrence
    from acmectl.config.directories import Directories
    from acmectl.config.options import OptionRow, OptionTable, Value
    from acmectl.config.sources import FileValues

if TYPE_CHECKING:
    _ParamType = click.ParamType[object]
else:  # generic for type checkers alone in the older versions of click
    _ParamType = click.ParamType

_NAMED = ("webroot_path", "webroot_map", "domains", "ip_address")
_SOURCES = {
    ParameterSource.COMMANDLINE: Source.FLAG,
    ParameterSource.ENVIRONMENT: Source.ENVIRONMENT,
    ParameterSource.DEFAULT_MAP: Source.FILE,
}


class RowType(_ParamType):
    """A click type whose values are made by a row of the option table."""

    def __init__(self, row: OptionRow) -> None:
        self.row = row
        self.name = row.kind

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> object:
        """The value of a text; what is no text comes from a file and is a value already."""
        if not isinstance(value, str):
            return value
        try:
            return convert(self.row, value)
        except BadValueError as error:
            self.fail(str(error), param, ctx)

    def split_envvar_value(self, rv: str) -> Sequence[str]:
        """The whole variable: the row splits it where it is to be split."""
        return [rv]


@dataclass(frozen=True, slots=True, kw_only=True)
class Parsed:
    """A command line with the table that reads it and the command it names."""

    table: OptionTable
    line: CommandLine
    verb: group.Verb
    arguments: tuple[str, ...]


def parse(argv: Sequence[str], table: OptionTable) -> Parsed:
    """Read the command line, with the options of plugins that it names. Raises: UsageError, PluginError."""
    table = _named_plugins(argv, table)
    line = read(argv, table)
    table = _with_plugins(table, [*line.texts("authenticator"), *line.texts("configurator")])
    verb, arguments = _verb(line.words)
    return Parsed(table=table, line=line, verb=verb, arguments=arguments)


def read(argv: Sequence[str], table: OptionTable) -> CommandLine:
    """Take the command line apart. Raises: UsageError."""
    try:
        return command_line.read(argv, table)
    except command_line.ArgumentError as error:
        raise UsageError(str(error), hint=error.hint) from error


def _named_plugins(argv: Sequence[str], table: OptionTable) -> OptionTable:
    """The table with the options of plugins when there are options in ``argv`` that only a plugin can know."""
    try:
        command_line.read(argv, table)
    except command_line.UnknownOptionError:
        return plugin_options.extended(table, argv)
    except command_line.ArgumentError:
        pass
    return table


def _with_plugins(table: OptionTable, chosen: Sequence[str | None]) -> OptionTable:
    """The table with the options of chosen plugins that it does not know yet."""
    known = {row.selects for row in table.rows}
    new = [name for name in chosen if name and name not in known and name != "null"]
    return plugin_options.extended(table, new) if new else table


def _verb(words: Sequence[str]) -> tuple[group.Verb, tuple[str, ...]]:
    if not words:
        return group.VERBS[group.DEFAULT_VERB], ()
    verb = group.find(words[0])
    if verb is None:
        near = nearest(words[0], group.words())
        hint = f"Did you mean {near}?" if near else None
        if hint is None and "." in words[0] and words[0].isprintable():
            hint = f"Names are given with -d: acmectl certonly -d {words[0]}"
        raise UsageError(f"There is no command {shown(words[0])}.", hint=hint)
    if len(words) > 1 and not verb.arguments:
        if group.find(words[1]):
            raise UsageError(f"Two commands are given: {words[0]} and {words[1]}.")
        raise UsageError(f"{words[0]} takes no argument, but {shown(words[1])} is given.")
    return verb, tuple(words[1:])


def settings_of(parsed: Parsed) -> Settings:
    """Settings from the command line, the environment and the configuration files.

    Raises: UsageError for what cannot be understood, ConfigError for what cannot be done, PluginError.
    """
    environ = os.environ
    directories = directories_here(environ)
    table, files, paths = _files(parsed, environ, directories)
    warnings = [
        f"{o.row.name if o.positive else o.row.off[0]} is ignored: {o.row.deprecated}."
        for o in parsed.line.occurrences
        if o.row.deprecated is not None
    ]
    values, found, origins = _resolve(table, parsed.line.occurrences, files)
    if "server" in found:
        _take_servers(parsed.line, values, found, origins)
    value = values["config_dir"]
    directories = directories.beside(value if isinstance(value, str) else None)
    for dest, path in (
        ("config_dir", directories.config_dir),
        ("work_dir", directories.work_dir),
        ("logs_dir", directories.logs_dir),
    ):
        if values[dest] is None:
            values[dest] = str(path)
    if parsed.verb.like == "renew":
        for dest in ("domains", "ip_address"):
            if found.get(dest) in (Source.FILE, Source.ENVIRONMENT):
                values[dest] = None
                del found[dest], origins[dest]
    settings = Settings(
        verb=parsed.verb.like,
        arguments=parsed.arguments,
        table=table,
        values=MappingProxyType(values),
        sources=MappingProxyType(found),
        origins=MappingProxyType(origins),
        named=_named(parsed.line.occurrences, values, found),
        files=tuple(paths),
        warnings=tuple(dict.fromkeys((*files.warnings, *warnings))),
    )
    settings = key_types.with_key_type(selection.with_selection(settings))
    conflicts.check(settings)
    return settings


def _take_servers(
    line: CommandLine, values: dict[str, Value], found: dict[str, Source], origins: dict[str, str]
) -> None:
    """``server`` becomes the first CA of those that were given, ``servers`` all of them if they are several.

    Raises: UsageError, ConfigError.
    """
    texts = line.texts("server") if found["server"] is Source.FLAG else [str(values["server"])]
    servers = read_servers(texts, origins["server"])
    values["server"] = servers[0]
    values["servers"] = servers if len(servers) > 1 else ()
    found["servers"], origins["servers"] = found["server"], origins["server"]


def _files(
    parsed: Parsed, environ: Mapping[str, str], directories: Directories
) -> tuple[OptionTable, FileValues, list[Path]]:
    """Read the user's cli.ini and the files of -c, which may name the configuration directory, then cli.ini there."""
    given = parsed.line.texts("config_file")
    if not given and environ.get("ACMECTL_CONFIG_FILE"):
        given = [environ["ACMECTL_CONFIG_FILE"]]
    named = [_path(text, parsed.table, "config_dir") or Path(text) for text in given]
    upper = [(directories.user_file, sources.read_entries(directories.user_file, required=False))]
    upper += [(path, sources.read_entries(path, required=True)) for path in named]
    table = _with_plugins(parsed.table, [environ.get("ACMECTL_AUTHENTICATOR")])
    table = _with_file_plugins(table, [entries for _, entries in upper])
    config_dir = _config_dir(parsed, environ, directories, sources.merge([entries for _, entries in upper], table))
    lower = config_dir / "cli.ini"
    files = [] if lower in [path for path, _ in upper] else [(lower, sources.read_entries(lower, required=False))]
    files += upper
    table = _with_file_plugins(table, [entries for _, entries in files])
    return table, sources.merge([entries for _, entries in files], table), [path for path, found in files if found]


def _config_dir(parsed: Parsed, environ: Mapping[str, str], directories: Directories, files: FileValues) -> Path:
    given = [*parsed.line.texts("config_dir"), environ.get("ACMECTL_CONFIG_DIR", "")]
    text = given[-2] if len(given) > 1 else given[0]
    if text:
        # One that is no path is refused when all options are read.
        return _path(text, parsed.table, "config_dir") or directories.config_dir
    found = files.values.get("config_dir")
    return Path(str(found.value)) if found is not None else directories.config_dir


def _path(text: str, table: OptionTable, dest: str) -> Path | None:
    try:
        return Path(str(convert(table.by_dest[dest], text)))
    except BadValueError:
        return None


def _with_file_plugins(table: OptionTable, files: Sequence[Sequence[sources.Entry]]) -> OptionTable:
    for entries in files:
        for entry in entries:
            name = sources.flag_name(entry)
            if table.exact(name) is None and not table.by_prefix(name):
                table = plugin_options.extended(table, [name])
            elif name in ("--authenticator", "--configurator"):
                table = _with_plugins(table, [entry.text])
    return table


def _resolve(
    table: OptionTable, occurrences: Sequence[Occurrence], files: FileValues
) -> tuple[dict[str, Value], dict[str, Source], dict[str, str]]:
    """Values, sources and origins by destination; click says which source won."""
    # An option that nobody mentions keeps its default, and making all of them ready for click takes a while.
    mentioned = {occurrence.row.destination for occurrence in occurrences} | files.values.keys()
    rows = [
        row
        for row in table.rows
        if row.kind != "action"
        and row.deprecated is None
        and (row.destination in mentioned or any(name in os.environ for name in row.environment))
    ]
    command = click.Command(
        "acmectl",
        params=[
            click.Option(
                [f"--{row.destination}", row.destination],
                type=RowType(row),
                multiple=row.collects,
                envvar=list(row.environment) or None,
            )
            for row in rows
        ],
        add_help_option=False,
    )
    given = {dest: found.value for dest, found in files.values.items()}
    context = click.Context(command, info_name="acmectl", default_map=given)
    try:
        with context.scope(cleanup=False):
            command.parse_args(context, _plain(occurrences))
    except click.BadParameter as error:
        raise UsageError(_bad_value(error, context, table)) from error
    except click.ClickException as error:
        raise UsageError(error.format_message()) from error
    values: dict[str, Value] = {row.destination: row.default for row in table.rows}
    found: dict[str, Source] = {}
    origins: dict[str, str] = {}
    for row in rows:
        dest = row.destination
        source = _source(context, dest)
        if source is Source.DEFAULT:
            continue
        value = context.params[dest]
        values[dest] = tuple(item for items in value for item in _tuple(items)) if row.collects else value
        found[dest] = source
        origins[dest] = _origin(row, source, files, occurrences)
    return values, found, origins


def _plain(occurrences: Sequence[Occurrence]) -> list[str]:
    """Arguments for click: one spelling per option, a value with each; the last of those that do not collect."""
    arguments: list[str] = []
    single: dict[str, str] = {}
    for occurrence in occurrences:
        row, dest = occurrence.row, occurrence.row.destination
        if row.kind == "action" or row.deprecated is not None:
            continue
        if row.kind == "count":
            single[dest] = str(int(single.get(dest, "0")) + 1)
        elif row.collects:
            arguments.append(f"--{dest}={occurrence.text}")
        elif occurrence.text is None:
            single[dest] = "true" if occurrence.positive else "false"
        else:
            single[dest] = occurrence.text
    return arguments + [f"--{dest}={text}" for dest, text in single.items()]


def _source(context: click.Context, dest: str) -> Source:
    source = context.get_parameter_source(dest)
    return _SOURCES.get(source, Source.DEFAULT) if source is not None else Source.DEFAULT


def _origin(row: OptionRow, source: Source, files: FileValues, occurrences: Sequence[Occurrence]) -> str:
    if source is Source.FILE:
        return files.values[row.destination].origin
    if source is Source.ENVIRONMENT:
        return next((name for name in row.environment if os.environ.get(name)), row.environment[0])
    last = [occurrence for occurrence in occurrences if occurrence.row.destination == row.destination][-1]
    return row.name if last.positive else row.off[0]


def _bad_value(error: click.BadParameter, context: click.Context, table: OptionTable) -> str:
    dest = error.param.name if error.param is not None and error.param.name else ""
    row = table.by_dest.get(dest)
    if row is None:
        return error.format_message()
    source = _source(context, dest)
    name = row.name
    if source is Source.ENVIRONMENT:
        name = next((variable for variable in row.environment if os.environ.get(variable)), name)
    return f"{name}: {error.message}."


def _tuple(items: object) -> tuple[str, ...]:
    return items if isinstance(items, tuple) else (str(items),)


def _named(
    occurrences: Sequence[Occurrence], values: Mapping[str, Value], found: Mapping[str, Source]
) -> tuple[Given, ...]:
    """Names and webroots in the order that counts: those of the command line as they stand there, then the others."""
    order: list[Given] = []
    for occurrence in occurrences:
        dest = occurrence.row.destination
        if dest in _NAMED and found.get(dest) is Source.FLAG and occurrence.text is not None:
            value = convert(occurrence.row, occurrence.text)
            texts = value if isinstance(value, tuple) else (occurrence.text,)
            order += [Given(dest=dest, text=text) for text in texts]
    for dest in _NAMED:
        value = values[dest]
        if value is not None and found.get(dest) not in (None, Source.FLAG):
            texts = value if isinstance(value, tuple) else (str(value),)
            order += [Given(dest=dest, text=text) for text in texts]
    return tuple(order)
