"""nginx's configuration as a tree of directives: words, blocks and includes, and nothing of their meaning."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from acmectl.actions.config_files import included

if TYPE_CHECKING:
    from collections.abc import Iterator

    from acmectl.actions.config_files import BoundedReader

_TOKEN = re.compile(
    r"""\s+|\#[^\n]*
    |(?P<mark>[{};])
    |"(?P<double>(?:[^"\\]|\\.)*)"|'(?P<single>(?:[^'\\]|\\.)*)'
    |(?P<word>(?:\$\{|\\.|[^\s;{}"'\#\\])(?:\$\{|\\.|[^\s;{\\])*)""",
    re.VERBOSE | re.DOTALL,
)
_DEEPEST = 32  # blocks in blocks
_MOST_INCLUDES = 12  # files that include files
_LUA = "_by_lua_block"


@dataclass(slots=True, kw_only=True)
class Directive:
    """``name args;`` or ``name args { block }``; ``block`` is None for the first kind."""

    name: str
    args: tuple[str, ...]
    block: list[Directive] | None = field(default=None, repr=False)

    def inside(self, *names: str) -> Iterator[Directive]:
        """The directives of its block that have one of ``names``."""
        return (one for one in self.block or () if one.name in names)


def parse(path: str, reader: BoundedReader) -> list[Directive]:
    """The directives of a configuration file with everything that it includes; what cannot be read is left out.

    Paths of includes are relative to the file's folder, as those of nginx.conf are.
    """
    return _file(path, str(Path(path).parent), reader, 0)


def _file(path: str, base: str, reader: BoundedReader, depth: int) -> list[Directive]:
    text = reader.text(path)
    return [] if text is None else _tree(text, base, reader, depth)


def _tree(text: str, base: str, reader: BoundedReader, depth: int) -> list[Directive]:
    top: list[Directive] = []
    stack = [top]
    words: list[str] = []
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:  # a quote that is never closed
            break
        position = match.end()
        mark = match["mark"]
        if mark is None:
            words += [part for part in (match["double"], match["single"], match["word"]) if part is not None]
        elif mark == "}":
            if len(stack) > 1:
                stack.pop()
            words = []
        elif mark == "{" and words and words[0].endswith(_LUA):
            position = _past_block(text, position)
            words = []
        elif mark == "{":
            opened = Directive(name=words[0] if words else "", args=tuple(words[1:]), block=[])
            if len(stack) > _DEEPEST:
                break
            stack[-1].append(opened)
            stack.append(opened.block if opened.block is not None else [])
            words = []
        else:
            if words[:1] == ["include"] and len(words) > 1:
                stack[-1] += _included(words[1], base, reader, depth)
            elif words:
                stack[-1].append(Directive(name=words[0], args=tuple(words[1:])))
            words = []
    return top


def _included(pattern: str, base: str, reader: BoundedReader, depth: int) -> list[Directive]:
    if depth >= _MOST_INCLUDES:
        return []
    return [directive for one in included(base, pattern) for directive in _file(one, base, reader, depth + 1)]


def _past_block(text: str, position: int) -> int:
    """Behind the bracket that closes a block of another language."""
    depth = 1
    for match in re.compile(r"[{}]").finditer(text, position):
        depth += 1 if match[0] == "{" else -1
        if depth == 0:
            return match.end()
    return len(text)
