"""Reads the plain renewal files, which are nearly all, and changes values in them, without ConfigObj; says None to
every other one.

Importing ConfigObj and running it over a thousand files costs more than everything else a listing does. So what is
accepted here is narrow: one key or section per line, no comment behind a value, no quotes but a pair around a whole
value or in the midst of it, no repetition. Whatever this reader accepts, ConfigObj reads to the same values.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

Value = str | list[str]

# One line: key and value (plain, or with a quote, comma or number sign in it), or a section, or a comment, or nothing.
# All lines in one call, without a step back, is what makes it fast.
_LINE = re.compile(
    r"^ *+(?:"
    r"([^ '\"=\[\]#,\n][^'\"=#,\n]*+)= *+(?:([^'\"#,\n]*+)|([^\n]*+))"
    r"|(\[\[?)([A-Za-z0-9_.:-]+)(\]\]?) *+"
    r"|#[^\n]*+"
    r"|)\n",
    re.MULTILINE,
)

_BARE = re.compile(r"[^ '\"#,%$\[\]=\\]+")


class PlainConf:
    """The values of a file: root keys, then sections, each with its keys and its subsections."""

    __slots__ = ("root", "sections", "subsections")

    def __init__(self) -> None:
        self.root: dict[str, Value] = {}
        self.sections: dict[str, dict[str, Value]] = {}
        self.subsections: dict[tuple[str, str], dict[str, Value]] = {}


def parse_plain(data: bytes) -> PlainConf | None:
    """The content of a plain file, or None where ConfigObj has to look at it."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return None
    if not text.endswith("\n"):
        text += "\n"
    lines = _LINE.findall(text)
    # Tabs and the characters that only some programs take for the end of a line are not printable.
    if len(lines) != text.count("\n") or not text.replace("\n", "").isprintable():
        return None
    conf = PlainConf()
    current = conf.root
    section = ""
    for padded, plain, special, opening, name, closing in lines:
        if padded:
            value = _special_value(special.rstrip()) if special else plain.rstrip()
            key = padded.rstrip()
            if value is None or key in current:
                return None
            current[key] = value
        elif name:
            if len(opening) != len(closing):
                return None
            if len(opening) == 1:
                section = name
            entered = _enter(conf, section, None if opening == "[" else name)
            if entered is None:
                return None
            current = entered
    return conf if _no_name_twice(conf) else None


def _enter(conf: PlainConf, section: str, child: str | None) -> dict[str, Value] | None:
    """The empty content of a section or of its child; None where it has been before or has no parent."""
    content: dict[str, Value] = {}
    if child is None:
        return content if conf.sections.setdefault(section, content) is content else None
    if not section:
        return None
    return content if conf.subsections.setdefault((section, child), content) is content else None


def _no_name_twice(conf: PlainConf) -> bool:
    """A key and a section of one name are an error to ConfigObj."""
    if not conf.root.keys().isdisjoint(conf.sections):
        return False
    return not any(child in conf.sections[parent] for parent, child in conf.subsections)


def _special_value(raw: str) -> Value | None:
    """A value with a quote, a comma or a number sign in it."""
    first = raw[0]
    if first in "'\"":
        inner = raw[1:-1]
        return inner if len(raw) > 1 and raw[-1] == first and first not in inner else None
    if "#" in raw:
        return None
    if "," not in raw:
        return raw  # quotes inside a bare value are part of it
    if raw == ",":
        return []
    # One comma at the end marks a list of one; any other empty element is ConfigObj's to judge.
    elements = [element.strip() for element in raw.removesuffix(",").split(",")]
    return elements if all(element and element[0] not in "'\"" for element in elements) else None


def with_values(data: bytes, changes: Mapping[str, Mapping[str, str | None]]) -> bytes | None:
    """``data`` with values of sections set, or removed where None; every other line stays as it is.

    None where ``data`` is not plain, a value needs more than single quotes, or a section would be left empty.
    """
    before = parse_plain(data)
    if before is None:
        return None
    wanted: dict[str, dict[str, Value]] = {}
    for section, values in changes.items():
        merged = {**before.sections.get(section, {}), **values}
        wanted[section] = {key: value for key, value in merged.items() if value is not None}
        if not wanted[section]:
            return None
    changed = _changed_lines(data.decode("utf-8").removesuffix("\n").split("\n"), changes)
    after = ("\n".join(changed) + "\n").encode("utf-8")
    # Whatever went wrong above, what is written says what it was meant to say and nothing else has changed.
    read = parse_plain(after)
    if read is None or read.root != before.root or read.subsections != before.subsections:
        return None
    return after if read.sections == {**before.sections, **wanted} else None


def _changed_lines(lines: list[str], changes: Mapping[str, Mapping[str, str | None]]) -> list[str]:
    todo = {section: dict(values) for section, values in changes.items()}
    changed: list[str] = []
    ends: dict[str, int] = {}  # where the last key of a section is, in ``changed``
    section = ""
    for line in lines:
        text = line.strip()
        if text.startswith("["):
            section = "" if text.startswith("[[") else text[1:-1]
        elif text and not text.startswith("#") and section in todo:
            key = text.partition("=")[0].rstrip()
            if key in todo[section]:
                value = todo[section].pop(key)
                if value is None:
                    continue
                line = f"{key} = {_quoted(value)}"  # noqa: PLW2901 - the line that takes its place
        elif section not in todo or section in ends:
            changed.append(line)
            continue
        changed.append(line)
        if section in todo:
            ends[section] = len(changed)
    for section, end in sorted(ends.items(), key=lambda item: -item[1]):
        changed[end:end] = _key_lines(todo.pop(section))
    for section, values in todo.items():
        changed += [f"[{section}]", *_key_lines(values)]
    return changed


def _key_lines(values: Mapping[str, str | None]) -> list[str]:
    return [f"{key} = {_quoted(value)}" for key, value in values.items() if value is not None]


def _quoted(value: str) -> str:
    return value if _BARE.fullmatch(value) else f"'{value}'"
