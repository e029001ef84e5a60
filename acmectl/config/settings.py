"""Settings: every option's value for this run, and where it came from. Frozen; built once at the door."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import IntEnum
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from acmectl.config.options import OptionTable, Value


class Source(IntEnum):
    """Where a value came from; the greater beats the lesser."""

    DEFAULT = 0
    RENEWAL = 1
    FILE = 2
    ENVIRONMENT = 3
    FLAG = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """One option as it was given: its destination and the text."""

    dest: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Values by destination (see config.options), their sources, the verb and its arguments.

    ``origins`` tells a person where a value was given: ``--key-type``, ``ACMECTL_KEY_TYPE``, ``/etc/x/cli.ini line 3``.
    ``named`` has the names and webroots (-d, --ip-address, -w, --webroot-map) in the order in which they count.
    ``warnings`` are lines about options that are accepted and ignored.
    """

    verb: str
    arguments: tuple[str, ...] = ()
    table: OptionTable = field(repr=False)
    values: Mapping[str, Value] = field(repr=False)
    sources: Mapping[str, Source] = field(repr=False)
    origins: Mapping[str, str] = field(repr=False)
    named: tuple[Given, ...] = ()
    files: tuple[Path, ...] = ()
    warnings: tuple[str, ...] = ()

    def value(self, dest: str) -> Value:
        """The value, whatever its type. Raises: KeyError for a destination that is no option."""
        return self.values[dest]

    def source(self, dest: str) -> Source:
        """Where the value came from."""
        return self.sources.get(dest, Source.DEFAULT)

    def origin(self, dest: str) -> str:
        """Where the value was given, for messages; the flag's name for a default."""
        return self.origins.get(dest) or self.table.by_dest[dest].name

    def is_set(self, dest: str) -> bool:
        """True when the user gave it by flag, environment or file; a renewal file's value does not count."""
        return self.source(dest) >= Source.FILE

    def text(self, dest: str) -> str | None:
        """A text or choice, None where it was not given and has no default."""
        value = self.values[dest]
        if value is not None and not isinstance(value, str):
            raise TypeError(f"{dest} is not a text")
        return value

    def required_text(self, dest: str) -> str:
        """A text that has a default. Raises: TypeError if it is None all the same."""
        value = self.text(dest)
        if value is None:
            raise TypeError(f"{dest} has no value")
        return value

    def flag(self, dest: str) -> bool:
        """A flag; one with three states counts as False while it is not set."""
        return self.tristate(dest) is True

    def tristate(self, dest: str) -> bool | None:
        """A flag that may be unset (None), such as ``delete_after_revoke``."""
        value = self.values[dest]
        if value is not None and not isinstance(value, bool):
            raise TypeError(f"{dest} is not a flag")
        return value

    def integer(self, dest: str) -> int:
        """A number (seconds for timeouts and intervals). Raises: TypeError where there is none."""
        value = self.values[dest]
        if isinstance(value, bool) or not isinstance(value, int):
            raise TypeError(f"{dest} is not a number")
        return value

    def items(self, dest: str) -> tuple[str, ...]:
        """All values of an option that collects; empty when it was not given."""
        value = self.values[dest]
        if value is None:
            return ()
        if not isinstance(value, tuple):
            raise TypeError(f"{dest} does not collect values")
        return value

    def path(self, dest: str) -> Path | None:
        """A path, absolute; ``-`` stays ``-``. None where it was not given."""
        value = self.text(dest)
        return None if value is None else Path(value)

    def directory(self, dest: str) -> Path:
        """One of ``config_dir``, ``work_dir``, ``logs_dir``, absolute."""
        return Path(self.required_text(dest))

    @property
    def interactive(self) -> bool:
        """False under -n, -q and --json, and for renew."""
        if any(self.flag(dest) for dest in ("non_interactive", "quiet", "json")):
            return False
        return self.verb != "renew" or self.flag("force_interactive")

    @property
    def stdout_reserved(self) -> bool:
        """True when standard output carries the result alone (``--json``, ``--fullchain-path -``)."""
        return self.flag("json") or bool(self.printed)

    @property
    def printed(self) -> tuple[str, ...]:
        """Which of the files of ``certonly --csr`` go to standard output, by destination."""
        if self.verb != "certonly" or self.text("csr") is None:
            return ()
        return tuple(dest for dest in ("cert_path", "chain_path", "fullchain_path") if self.text(dest) == "-")

    @property
    def keeps_nothing(self) -> bool:
        """True for a certificate that comes with its own CSR and account key and is not stored: no trace is left."""
        given = self.text("csr") is not None and self.text("account_key") is not None
        return given and self.text("cert_name") is None

    @property
    def verbosity(self) -> int:
        """How many -v, or --verbose-level."""
        level = self.values["verbose_level"]
        return level if isinstance(level, int) else self.integer("verbose")

    def stored(self) -> dict[str, Value]:
        """What the user set that belongs into ``[renewalparams]``, by the keys used there."""
        return {
            row.stored: self.values[dest]
            for dest, row in self.table.by_dest.items()
            if row.stored is not None and self.is_set(dest)
        }

    def own_stored(self) -> dict[str, Value]:
        """What the user set that belongs into the section ``[acmectl]`` alone, by the keys used there."""
        return {
            row.own: self.values[dest]
            for dest, row in self.table.by_dest.items()
            if row.own is not None and row.stored is None and self.is_set(dest)
        }

    def plugin_values(self, plugin: str) -> dict[str, Value]:
        """The options of one plugin, defaults included, by their renewal-file names without the plugin's prefix."""
        prefix = plugin.replace("-", "_") + "_"
        return {
            (row.stored or row.own or dest).removeprefix(prefix): self.values[dest]
            for dest, row in self.table.by_dest.items()
            if row.plugin == plugin
        }

    def with_renewal(self, values: Mapping[str, Value], origin: str) -> Settings:
        """The same settings over the values of a renewal file (by destination): they beat defaults and nothing else."""
        new = {dest: value for dest, value in values.items() if not self.is_set(dest)}
        return replace(
            self,
            values=MappingProxyType({**self.values, **new}),
            sources=MappingProxyType({**self.sources, **dict.fromkeys(new, Source.RENEWAL)}),
            origins=MappingProxyType({**self.origins, **dict.fromkeys(new, origin)}),
        )

    def with_value(self, dest: str, value: Value, source: Source, origin: str) -> Settings:
        """The same settings with one value more or changed."""
        return replace(
            self,
            values=MappingProxyType({**self.values, dest: value}),
            sources=MappingProxyType({**self.sources, dest: source}),
            origins=MappingProxyType({**self.origins, dest: origin}),
        )
