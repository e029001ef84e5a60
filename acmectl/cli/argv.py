"""The command line as certbot reads it: options in any place and abbreviated, one verb anywhere among them.

No option's value is ever taken for a verb, because values are taken off before verbs are looked for.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from acmectl.config.options import OptionRow, OptionTable


class ArgumentError(Exception):
    """A command line that cannot be read; ``hint`` says what was probably meant."""

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


class UnknownOptionError(ArgumentError):
    """A flag that no row has. ``name`` is the flag as written."""

    def __init__(self, name: str, hint: str | None = None) -> None:
        super().__init__(f"There is no option {_shown(name)}.", hint)
        self.name = name


class Occurrence:
    """One option on the command line. ``text`` is None for flags; ``positive`` is False for ``--no-x``."""

    __slots__ = ("positive", "row", "text")

    def __init__(self, row: OptionRow, positive: bool, text: str | None) -> None:
        self.row = row
        self.positive = positive
        self.text = text


class CommandLine:
    """What stands on a command line: options in order, and the words that belong to none."""

    __slots__ = ("occurrences", "words")

    def __init__(self, occurrences: Sequence[Occurrence], words: Sequence[str]) -> None:
        self.occurrences = tuple(occurrences)
        self.words = tuple(words)

    def has(self, name: str) -> bool:
        """True when the option with the long name ``name`` is there."""
        return any(occurrence.row.name == name for occurrence in self.occurrences)

    def texts(self, dest: str) -> list[str]:
        """The texts given for a destination, in order."""
        return [o.text for o in self.occurrences if o.row.destination == dest and o.text is not None]


def read(argv: Sequence[str], table: OptionTable) -> CommandLine:
    """Take a command line apart. Raises: ArgumentError."""
    occurrences: list[Occurrence] = []
    words: list[str] = []
    index = 0
    while index < len(argv):
        token = argv[index]
        index += 1
        if token == "--":  # noqa: S105 - no password
            words += argv[index:]
            break
        if token.startswith("--"):
            index = _long(token, argv, index, table, occurrences)
        elif token.startswith("-") and len(token) > 1:
            index = _cluster(token, argv, index, table, occurrences)
        else:
            words.append(token)
    return CommandLine(occurrences, words)


def _long(token: str, argv: Sequence[str], index: int, table: OptionTable, occurrences: list[Occurrence]) -> int:
    name, equals, value = token.partition("=")
    row, positive, full = _resolve(name, table)
    if row.takes_value and positive:
        if not equals:
            value = _next(full, argv, index, table)
            index += 1
        occurrences.append(Occurrence(row, positive, value))
    elif equals:
        raise ArgumentError(f"{full} takes no value, but {_shown(token)} gives it one.")
    else:
        occurrences.append(Occurrence(row, positive, None))
    return index


def _cluster(token: str, argv: Sequence[str], index: int, table: OptionTable, occurrences: list[Occurrence]) -> int:
    rest = token[1:]
    while rest:
        name, rest = "-" + rest[0], rest[1:]
        found = table.exact(name)
        if found is None:
            raise UnknownOptionError(token if name == token[:2] else f"{name} in {token}", _single_dash(token, table))
        row, positive = found
        if not row.takes_value:
            occurrences.append(Occurrence(row, positive, None))
            continue
        if rest:
            value = rest.removeprefix("=")
        else:
            value = _next(name, argv, index, table)
            index += 1
        occurrences.append(Occurrence(row, positive, value))
        break
    return index


def _resolve(name: str, table: OptionTable) -> tuple[OptionRow, bool, str]:
    found = table.exact(name)
    if found is None:
        meanings = table.by_prefix(name)
        if len(meanings) > 1:
            raise ArgumentError(f"{_shown(name)} may mean {', '.join(meanings)}.", "Write the option in full.")
        if not meanings:
            raise UnknownOptionError(name, _suggestion(name, table))
        name = meanings[0]
        found = table.exact(name)
    if found is None:  # by_prefix gives names of the table only
        raise UnknownOptionError(name)
    return (*found, name)


def _next(name: str, argv: Sequence[str], index: int, table: OptionTable) -> str:
    if index >= len(argv):
        raise ArgumentError(f"{name} needs a value, and there is none.")
    value = argv[index]
    if _looks_like_option(value, table):
        equals = "=" if name.startswith("--") else ""
        raise ArgumentError(
            f"{name} needs a value, but the option {_shown(value)} follows.",
            f"If that is the value, write {name}{equals}{_shown(value)}" if value != "--" else None,
        )
    return value


def _looks_like_option(token: str, table: OptionTable) -> bool:
    if len(token) < 2 or token[0] != "-" or " " in token:
        return False
    # A base64url key or a negative number may begin with a dash; only what can be an option is taken for one.
    return token[1] == "-" or table.exact(token[:2]) is not None


def _single_dash(token: str, table: OptionTable) -> str | None:
    name = "-" + token.partition("=")[0]
    return f"Did you mean {name}?" if table.exact(name) else None


def _suggestion(name: str, table: OptionTable) -> str | None:
    import difflib

    found = difflib.get_close_matches(name, table.long_names(), n=1, cutoff=0.6)
    return f"Did you mean {found[0]}?" if found else None


def _shown(text: str) -> str:
    safe = "".join(c if c.isprintable() else "?" for c in text)
    return safe if len(safe) <= 60 else safe[:57] + "..."
