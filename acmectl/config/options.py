"""The one table of options: flags, cli.ini keys, environment names and renewal-file keys all come from it.

This module and the ``rows_*`` modules are data alone and load in a few milliseconds, because ``--help`` needs them.
That is why a row is a plain class and its kind a string: importing dataclasses, enum or typing costs more than all.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Literal, NoReturn

    Kind = Literal[
        "action", "flag", "count", "text", "int", "duration", "path", "file", "csv", "list", "paths", "choice"
    ]
    Value = bool | int | str | tuple[str, ...] | None

ENVIRONMENT_PREFIX = "ACMECTL_"
EVERY_VERB = ("*",)


class OptionRow:
    """One option; immutable.

    ``names`` give a value (or True), ``off`` are the flags that set False. The first long name is its own.
    ``kind`` says how text becomes a value: ``csv`` splits at commas and collects, ``list`` and ``paths`` collect,
    ``duration`` is in seconds, ``file`` is a path that must be readable, ``action`` acts at once and has no value.
    ``topics`` are help topics, the first one is its section in the complete list. ``verbs`` show it in their help;
    every verb accepts it. ``stored`` is its key in ``[renewalparams]`` of a renewal file, ``own`` its key in the
    section ``[acmectl]``; with both the section has what certbot's part cannot hold. ``certbot``: certbot knows it too.
    ``deprecated`` is why it is ignored. ``several``: it may be more than one of the choices, with commas between.
    ``expand`` maps spellings to the value that is kept. ``plugin`` owns it; ``selects`` is the plugin that a flag
    chooses. ``variable`` is an environment variable that gives the value besides ``ACMECTL_*``.
    """

    __slots__ = (
        "certbot",
        "choices",
        "default",
        "deprecated",
        "dest",
        "expand",
        "help",
        "hidden",
        "ignore_case",
        "in_files",
        "kind",
        "maximum",
        "metavar",
        "minimum",
        "names",
        "off",
        "own",
        "plugin",
        "secret",
        "selects",
        "several",
        "stored",
        "topics",
        "variable",
        "verbs",
    )  # fmt: skip

    def __init__(
        self,
        *,
        names: tuple[str, ...],
        help: str,  # noqa: A002 - the word for it everywhere else
        topics: tuple[str, ...],
        kind: Kind = "text",
        dest: str = "",
        off: tuple[str, ...] = (),
        default: Value = None,
        metavar: str = "",
        choices: tuple[str, ...] = (),
        ignore_case: bool = False,
        expand: tuple[tuple[str, str], ...] = (),
        minimum: int | None = None,
        maximum: int | None = None,
        verbs: tuple[str, ...] = EVERY_VERB,
        stored: str | None = None,
        own: str | None = None,
        hidden: bool = False,
        deprecated: str | None = None,
        certbot: bool = True,
        in_files: bool = True,
        secret: bool = False,
        plugin: str | None = None,
        selects: str | None = None,
        several: bool = False,
        variable: str | None = None,
    ) -> None:
        self.names: tuple[str, ...] = names
        self.help: str = help
        self.topics: tuple[str, ...] = topics
        self.kind: Kind = kind
        self.dest: str = dest
        self.off: tuple[str, ...] = off
        self.default: Value = default
        self.metavar: str = metavar
        self.choices: tuple[str, ...] = choices
        self.ignore_case: bool = ignore_case
        self.expand: tuple[tuple[str, str], ...] = expand
        self.minimum: int | None = minimum
        self.maximum: int | None = maximum
        self.verbs: tuple[str, ...] = verbs
        self.stored: str | None = stored
        self.own: str | None = own
        self.hidden: bool = hidden
        self.deprecated: str | None = deprecated
        self.certbot: bool = certbot
        self.in_files: bool = in_files
        self.secret: bool = secret
        self.plugin: str | None = plugin
        self.selects: str | None = selects
        self.several: bool = several
        self.variable: str | None = variable

    def __setattr__(self, name: str, value: object) -> None:
        if hasattr(self, name):
            self._refuse(name)
        object.__setattr__(self, name, value)

    def _refuse(self, name: str) -> NoReturn:
        raise AttributeError(f"rows of the option table are immutable: {name}")

    def __repr__(self) -> str:
        return f"OptionRow({self.name})"

    @property
    def name(self) -> str:
        """The long name that messages use, such as ``--key-type``."""
        return next((name for name in (*self.names, *self.off) if name.startswith("--")), "")

    @property
    def destination(self) -> str:
        """The key of its value in Settings: the long name with underscores unless the row says otherwise."""
        return self.dest or self.name[2:].replace("-", "_")

    @property
    def takes_value(self) -> bool:
        """True when an argument follows the flag."""
        return self.kind not in ("action", "flag", "count")

    @property
    def collects(self) -> bool:
        """True when the option may be repeated and its values add up."""
        return self.kind in ("csv", "list", "paths")

    @property
    def environment(self) -> tuple[str, ...]:
        """Names of the environment variables that give its value, the first one found wins."""
        if not self.in_files:
            return ()
        own = ENVIRONMENT_PREFIX + self.destination.upper()
        return (own, self.variable) if self.variable else (own,)


class OptionTable:
    """Rows with look-up by flag name, prefix and destination."""

    def __init__(self, rows: tuple[OptionRow, ...]) -> None:
        self.rows = rows
        self.by_dest = {row.destination: row for row in rows}
        self._by_name = {name: (row, True) for row in rows for name in row.names}
        self._by_name.update({name: (row, False) for row in rows for name in row.off})

    def exact(self, name: str) -> tuple[OptionRow, bool] | None:
        """The row of a flag name with its dashes, and False when the name is one that switches off."""
        return self._by_name.get(name)

    def by_prefix(self, prefix: str) -> list[str]:
        """The long names that ``prefix`` may stand for; one per meaning.

        certbot's options are tried first and the others only when none of them fits, so that an option which acmectl
        adds never makes an abbreviation of certbot's ambiguous.
        """
        for certbot in (True, False):
            meanings: dict[tuple[str, bool], str] = {}
            for name, (row, positive) in self._by_name.items():
                if row.certbot is certbot and name.startswith(prefix):
                    meanings.setdefault((row.destination, positive), name)
            if meanings:
                return sorted(meanings.values())
        return []

    def long_names(self) -> list[str]:
        """Every long name that is no secret of the trade, for suggestions."""
        return [name for name, (row, _) in self._by_name.items() if name.startswith("--") and not row.hidden]

    def extended(self, more: tuple[OptionRow, ...]) -> OptionTable:
        """A table with ``more`` rows too; a name that is taken keeps its first meaning."""
        new = tuple(row for row in more if not any(name in self._by_name for name in row.names))
        return OptionTable(self.rows + new) if new else self


def table() -> OptionTable:
    """The built-in options."""
    from acmectl.config import (
        rows_account,
        rows_certificate,
        rows_challenges,
        rows_dns,
        rows_general,
        rows_outputs,
        rows_plugins,
        rows_token,
    )

    parts = (
        rows_certificate,
        rows_token,
        rows_outputs,
        rows_general,
        rows_challenges,
        rows_dns,
        rows_account,
        rows_plugins,
    )
    return OptionTable(tuple(row for part in parts for row in part.ROWS))
