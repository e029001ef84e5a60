"""Apache httpd's configuration as a tree of directives and sections, with its includes and its variables."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from acmectl.actions.config_files import BoundedReader, files_below, included, is_dir

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_WORD = re.compile(r""""((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)'|(\S+)""")
_VARIABLE = re.compile(r"\$\{(\w+)\}")
_ASSIGNMENT = re.compile(r"\s*(?:export\s+)?(\w+)=(\S*)\s*")
_TRANSPARENT = ("ifmodule", "ifversion", "ifdefine", "iffile", "ifdirective", "ifsection")
_DEEPEST = 32  # sections in sections
_MOST_INCLUDES = 12  # files that include files


@dataclass(slots=True, kw_only=True)
class Directive:
    """``Name args`` or ``<Name args>``; the name in lower case. ``block`` is None for the first kind."""

    name: str
    args: tuple[str, ...]
    block: list[Directive] | None = field(default=None, repr=False)


class ApacheParser:
    """Reads one configuration. What depends on a module or a version is taken to be there; what is negated is not."""

    def __init__(self, config: str) -> None:
        self._reader = BoundedReader()
        self._server_root = str(Path(config).parent)
        self._variables: dict[str, str] = self._debian_variables(config)
        self.top = self._file(config, 0)

    def _debian_variables(self, config: str) -> dict[str, str]:
        """What Debian's ``envvars`` beside the file sets, as far as that is plain."""
        text = self._reader.text(Path(config).parent / "envvars") or ""
        found = [match for line in text.splitlines() if (match := _ASSIGNMENT.fullmatch(line))]
        return {match[1]: match[2].replace("$SUFFIX", "").strip("\"'") for match in found}

    def _file(self, path: str, depth: int) -> list[Directive]:
        text = self._reader.text(path)
        return [] if text is None else self._tree(text, depth)

    def _tree(self, text: str, depth: int) -> list[Directive]:
        top: list[Directive] = []
        stack: list[tuple[str, list[Directive]]] = [("", top)]
        for line in _lines(text):
            if line.startswith("</"):
                if len(stack) > 1:
                    stack.pop()
            elif line.startswith("<"):
                if len(stack) > _DEEPEST:
                    break
                name, args = self._words(line[1:].rstrip().removesuffix(">"))
                stack.append((name, self._opened(name, args, stack[-1][1])))
            else:
                self._simple(*self._words(line), stack[-1][1], depth)
        return top

    @staticmethod
    def _opened(name: str, args: tuple[str, ...], parent: list[Directive]) -> list[Directive]:
        """Where the directives of a new section go: among its neighbours, nowhere, or into a section of its own."""
        if name in _TRANSPARENT:
            return [] if args and args[0].startswith("!") else parent
        block: list[Directive] = []
        parent.append(Directive(name=name, args=args, block=block))
        return block

    def _simple(self, name: str, args: tuple[str, ...], into: list[Directive], depth: int) -> None:
        if name in ("include", "includeoptional") and args:
            into += self._included(args[0], depth)
        elif name == "define" and len(args) > 1:
            self._variables[args[0]] = args[1]
        elif name == "serverroot" and args and is_dir(args[0]):
            self._server_root = args[0]
        elif name:
            into.append(Directive(name=name, args=args))

    def _included(self, pattern: str, depth: int) -> Iterator[Directive]:
        if depth >= _MOST_INCLUDES:
            return
        for found in included(self._server_root, pattern):
            for path in files_below(found) if is_dir(found) else [found]:
                yield from self._file(path, depth + 1)

    def _words(self, line: str) -> tuple[str, tuple[str, ...]]:
        words = [next(part for part in match.groups() if part is not None) for match in _WORD.finditer(line)]
        words = [_replaced(word, self._variables) for word in words]
        return (words[0].lower(), tuple(words[1:])) if words else ("", ())


def _lines(text: str) -> Iterator[str]:
    """Logical lines: continued with a backslash, stripped, without comments and empty ones."""
    for line in re.sub(r"\\\r?\n", " ", text).splitlines():
        stripped = line.strip()
        if stripped and not stripped.startswith("#"):
            yield stripped


def _replaced(word: str, variables: Mapping[str, str]) -> str:
    return _VARIABLE.sub(lambda match: variables.get(match[1], match[0]), word)
