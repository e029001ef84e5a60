"""Configuration files: certbot's cli.ini syntax, which looks like INI and is not.

``key = value``, ``key: value``, ``key value`` or ``key`` alone (true); whole-line comments with ``#`` or ``;``,
comments after a value only behind white space; ``[section]`` and ``---`` lines mean nothing; one layer of quotes is
taken off.
Keys are long option names, their unambiguous prefixes included, with dashes or underscores.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from acmectl.config.leftovers import leftover
from acmectl.config.values import BadValueError, boolean, convert, nearest, shown
from acmectl.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from acmectl.config.options import OptionRow, OptionTable, Value

_LINE = re.compile(r"(?P<key>[^\s=:;#]+)\s*(?:(?P<separator>[=:])|(?=\s)|$)\s*(?P<value>.*)")
_VALUE = re.compile(r"""(?P<quote>["']?)(?P<text>.*?)(?P=quote)(?:\s+[#;].*)?\s*""")
_MOST_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A key of a file, as written. ``text`` is None for a key alone on its line."""

    key: str
    text: str | None
    path: Path
    line: int

    @property
    def origin(self) -> str:
        """Where it is, for messages."""
        return f"{self.path} line {self.line}"


@dataclass(frozen=True, slots=True, kw_only=True)
class FileValue:
    """What a file says of one option. ``blocked``: it says false, which keeps files of lower rank from saying true."""

    row: OptionRow
    value: Value
    origin: str
    positive: bool = True
    blocked: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FileValues:
    """All files put together, by destination, and what is worth a warning."""

    values: dict[str, FileValue]
    warnings: tuple[str, ...]


def read_entries(path: Path, *, required: bool) -> list[Entry]:
    """The entries of a file in order; of a key given twice only the last. None at all where a file is missing.

    Raises: UsageError when it cannot be read, is ``required`` and missing, or is not a text.
    """
    try:
        with path.open("rb") as file:
            data = file.read(_MOST_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError) as error:
        if not required:
            return []
        raise UsageError(f"The configuration file {_plain(path)} does not exist.") from error
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise UsageError(f"The configuration file {_plain(path)} cannot be read: {reason}.") from error
    if len(data) > _MOST_BYTES:
        raise UsageError(f"{_plain(path)} is too large for a configuration file.")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise UsageError(f"{_plain(path)} line {line}: this is not UTF-8 text.") from error
    return parse_entries(text, path)


def _plain(path: Path) -> str:
    return "".join(character if character.isprintable() else "?" for character in str(path))


def parse_entries(text: str, path: Path) -> list[Entry]:
    """The entries of a file's text; ``path`` is for messages. Raises: UsageError naming file and line."""
    entries: dict[str, Entry] = {}
    for number, raw in enumerate(text.split("\n"), 1):
        line = raw.strip()
        if not line or line[0] in "#;[" or line.startswith("---"):
            continue
        match = _LINE.fullmatch(line)
        if match is None:
            raise UsageError(f"{_plain(path)} line {number}: {shown(line)} is not 'key = value'.")
        found = _VALUE.fullmatch(match["value"])
        value = found["text"] if found else match["value"]
        if value.startswith(("#", ";")) and not (found and found["quote"]):
            value = ""
        alone = not value and match["separator"] is None
        key = match["key"]
        entries.pop(key, None)
        entries[key] = Entry(key=key, text=None if alone else value, path=path, line=number)
    return list(entries.values())


def merge(files: Iterable[Sequence[Entry]], table: OptionTable) -> FileValues:
    """Put entries together, the highest rank last. Raises: UsageError."""
    values: dict[str, FileValue] = {}
    warnings: list[str] = []
    for entries in files:
        for entry in entries:
            old = leftover(flag_name(entry))
            if old is not None:
                warnings.append(f"{entry.origin}: {shown(entry.key)} is ignored: {old}.")
                continue
            row, positive = find(entry, table)
            if row.deprecated is not None:
                warnings.append(f"{entry.origin}: {row.name} is ignored: {row.deprecated}.")
                continue
            found = interpret(entry, row, positive)
            earlier = values.get(row.destination)
            if not found.blocked:
                values[row.destination] = found
            elif earlier is not None and earlier.positive is positive:
                del values[row.destination]
    return FileValues(values=values, warnings=tuple(warnings))


def flag_name(entry: Entry) -> str:
    """The long flag that an entry's key stands for, perhaps abbreviated."""
    return "--" + entry.key.removeprefix("--").replace("_", "-")


def find(entry: Entry, table: OptionTable) -> tuple[OptionRow, bool]:
    """The option that an entry's key names, and False when the key is one that switches off. Raises: UsageError."""
    name = flag_name(entry)
    found = table.exact(name)
    if found is None:
        meanings = table.by_prefix(name) if len(name) > len("--") else []
        if len(meanings) > 1:
            several = ", ".join(meaning[2:] for meaning in meanings)
            raise UsageError(f"{entry.origin}: {shown(entry.key)} may mean {several}.")
        found = table.exact(meanings[0]) if meanings else None
    if found is None:
        near = nearest(name, table.long_names())
        raise UsageError(
            f"{entry.origin}: there is no option {shown(entry.key)}.",
            hint=f"Did you mean {near[2:]}?" if near else None,
        )
    if not found[0].in_files:
        raise UsageError(f"{entry.origin}: {found[0].name[2:]} cannot be set in a file.")
    return found


def interpret(entry: Entry, row: OptionRow, positive: bool) -> FileValue:
    """The value of an entry for its option. Raises: UsageError naming file, line and key."""
    try:
        if row.kind == "flag":
            said = True if entry.text is None else boolean(entry.text)
            if not said and positive and row.stored is not None:
                # As certbot has it, "no" is an answer where renewal files have one of their own: it goes before theirs.
                return FileValue(row=row, value=False, origin=entry.origin)
            return FileValue(row=row, value=positive, origin=entry.origin, positive=positive, blocked=not said)
        if row.kind == "count":
            return FileValue(row=row, value=_count(entry), origin=entry.origin)
        if entry.text is None or (entry.text == "" and row.kind != "text"):
            raise BadValueError("a value is missing")
        if row.collects and entry.text.startswith("["):
            raise BadValueError("write the values separated by commas, without brackets")
        return FileValue(row=row, value=convert(row, entry.text), origin=entry.origin)
    except BadValueError as error:
        raise UsageError(f"{entry.origin}: {entry.key}: {error}.") from error


def _count(entry: Entry) -> int:
    if entry.text is None:
        return 1
    if entry.text.isdecimal() and entry.text.isascii():
        return int(entry.text[:9])
    return int(boolean(entry.text))
