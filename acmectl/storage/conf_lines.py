"""Reads the plain renewal files, which are nearly all, without ConfigObj; says None to every other one.

Importing ConfigObj and running it over a thousand files costs more than everything else a listing does. So what is
accepted here is narrow: one key or section per line, no comment behind a value, no quotes but a pair around a whole
value, no repetition. Whatever this reader accepts, ConfigObj reads to the same values.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

Value = str | list[str]

_KEY = re.compile(r"[^\s'\"=\[\]#,][^'\"=#,]*")
_SECTION = re.compile(r"(\[\[?)([A-Za-z0-9_.:-]+)(\]\]?)")
_SPECIAL = re.compile(r"['\"#,]")


@dataclass(slots=True)
class PlainConf:
    """The values of a file: root keys, then sections, each with its keys and its subsections."""

    root: dict[str, Value] = field(default_factory=dict)
    sections: dict[str, dict[str, Value]] = field(default_factory=dict)
    subsections: dict[tuple[str, str], dict[str, Value]] = field(default_factory=dict)


def parse_plain(data: bytes) -> PlainConf | None:
    """The content of a plain file, or None where ConfigObj has to look at it."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return None
    conf = PlainConf()
    current = conf.root
    section = ""
    for line in text.split("\n"):
        if not line.isprintable():
            return None
        bare = line.strip()
        if not bare or bare[0] == "#":
            continue
        if bare[0] == "[":
            match = _SECTION.fullmatch(bare)
            if match is None or len(match[1]) != len(match[3]):
                return None
            entered = _enter(conf, section, match[2], nested=len(match[1]) > 1)
            if entered is None:
                return None
            section, current = entered
            continue
        key, separator, raw = bare.partition("=")
        key = key.rstrip()
        if not separator or key in current or not _KEY.fullmatch(key):
            return None
        value = _value(raw.strip())
        if value is None:
            return None
        current[key] = value
    return conf if _no_name_twice(conf) else None


def _enter(conf: PlainConf, section: str, name: str, *, nested: bool) -> tuple[str, dict[str, Value]] | None:
    content: dict[str, Value] = {}
    if nested:
        if not section or (section, name) in conf.subsections:
            return None
        conf.subsections[section, name] = content
        return section, content
    if name in conf.sections:
        return None
    conf.sections[name] = content
    return name, content


def _no_name_twice(conf: PlainConf) -> bool:
    """A key and a section of one name are an error to ConfigObj."""
    if not conf.root.keys().isdisjoint(conf.sections):
        return False
    return not any(child in conf.sections[parent] for parent, child in conf.subsections)


def _value(raw: str) -> Value | None:
    if not _SPECIAL.search(raw):
        return raw
    first = raw[0]
    if first in "'\"":
        inner = raw[1:-1]
        return inner if len(raw) > 1 and raw[-1] == first and first not in inner else None
    if "'" in raw or '"' in raw or "#" in raw:
        return None
    if raw == ",":
        return []
    # One comma at the end marks a list of one; any other empty element is ConfigObj's to judge.
    elements = [element.strip() for element in raw.removesuffix(",").split(",")]
    return elements if all(elements) else None
