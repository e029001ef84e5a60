"""Reads the plain renewal files, which are nearly all, without ConfigObj; says None to every other one.

Importing ConfigObj and running it over a thousand files costs more than everything else a listing does. So what is
accepted here is narrow: one key or section per line, no comment behind a value, no quotes but a pair around a whole
value or in the midst of it, no repetition. Whatever this reader accepts, ConfigObj reads to the same values.
"""

from __future__ import annotations

import re

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
