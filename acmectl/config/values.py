"""From text to value, by the row of the option table."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from acmectl.config.options import OptionRow, Value

_TRUE = frozenset({"true", "yes", "on", "1"})
_FALSE = frozenset({"false", "no", "off", "0"})
_DURATION = re.compile(r"(\d{1,9})\s*([smhdw]?)", re.ASCII)
_INTEGER = re.compile(r"[+-]?\d{1,18}", re.ASCII)
_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_SHOWN = 60


class BadValueError(ValueError):
    """A text that is no value of its option; the message ends the sentence ``--option: ...``."""


def convert(row: OptionRow, text: str) -> Value:
    """The value of ``text`` for an option; a tuple for options that collect. Raises: BadValueError."""
    if "\0" in text:
        raise BadValueError("a NUL character cannot be part of a value")
    match row.kind:
        case "flag":
            return boolean(text)
        case "int" | "count":
            return _in_range(row, _integer(text))
        case "duration":
            return _in_range(row, _duration(text))
        case "path":
            return _path(text)
        case "file":
            return _readable(_path(text))
        case "choice":
            return ",".join(_choice(row, item) for item in _items(text)) if row.several else _choice(row, text)
        case "csv":
            return tuple(_choice(row, item) if row.choices else item for item in _items(text))
        case "paths":
            return (_path(text),)
        case "list":
            if not text:
                raise BadValueError("the value is empty")
            return (text,)
        case _:
            return text


def boolean(text: str) -> bool:
    """true, yes, on, 1 or false, no, off, 0 in any case. Raises: BadValueError."""
    word = text.strip().lower()
    if word in _TRUE:
        return True
    if word in _FALSE:
        return False
    raise BadValueError(f"{shown(text)} is neither true nor false")


def nearest(word: str, possibilities: Iterable[str]) -> str | None:
    """What ``word`` was probably meant to be."""
    import difflib

    found = difflib.get_close_matches(word, list(possibilities), n=1, cutoff=0.6)
    return found[0] if found else None


def shown(text: str) -> str:
    """``text`` in quotes, shortened and safe for a terminal."""
    safe = "".join(c if c.isprintable() else "?" for c in text)
    return f"'{safe if len(safe) <= _SHOWN else safe[: _SHOWN - 3] + '...'}'"


def _items(text: str) -> list[str]:
    items = [item.strip() for item in text.split(",")]
    if not any(items):
        raise BadValueError("the value is empty")
    return [item for item in items if item]


def _integer(text: str) -> int:
    if not _INTEGER.fullmatch(text.strip()):
        raise BadValueError(f"{shown(text)} is not a whole number")
    return int(text)


def _duration(text: str) -> int:
    match = _DURATION.fullmatch(text.strip().lower())
    if match is None:
        raise BadValueError(f"{shown(text)} is not a time such as 90s, 30m, 12h or 1d")
    return int(match[1]) * _UNITS[match[2]]


def _in_range(row: OptionRow, number: int) -> int:
    if row.minimum is not None and number < row.minimum:
        raise BadValueError(f"{number} is too small, the least is {row.minimum}")
    if row.maximum is not None and number > row.maximum:
        raise BadValueError(f"{number} is too large, the most is {row.maximum}")
    return number


def _path(text: str) -> str:
    if not text:
        raise BadValueError("the value is empty")
    if text == "-":
        return text
    path = Path(text)
    try:
        # cli.ini and the environment know no shell that would have expanded it.
        path = path.expanduser()
    except RuntimeError as error:
        raise BadValueError(f"{shown(text)} names a home directory that is not known") from error
    import os

    return os.path.abspath(path)  # noqa: PTH100 - resolve() would follow links that are meant to stay


def _readable(path: str) -> str:
    try:
        with Path(path).open("rb"):
            return path
    except OSError as error:
        raise BadValueError(f"{shown(path)} cannot be read: {error.strerror}") from error


def _choice(row: OptionRow, text: str) -> str:
    word = text.lower() if row.ignore_case else text
    if word not in row.choices:
        near = nearest(word, row.choices)
        meant = f" (did you mean {near}?)" if near else ""
        raise BadValueError(f"{shown(text)} is not one of {', '.join(row.choices)}{meant}")
    return dict(row.expand).get(word, word)
