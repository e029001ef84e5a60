"""Where a web server looks for the answers to http-01: what its configuration says of one name."""

from __future__ import annotations

import re
from dataclasses import dataclass

BELOW = "/.well-known/acme-challenge/"
PROBE = BELOW + "x" * 43
"""A path such as the CA asks for."""

_LONGEST = 200  # characters of a regular expression that is tried
# A repetition of something that repeats may take for ever.
_NESTED = re.compile(r"[+*}]\??\)+\??[+*{]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Exactly one of three: the web root; the folder of the answers themselves; why there is no telling."""

    webroot: str | None = None
    challenge_dir: str | None = None
    why_not: str | None = None


def unknown(why: str) -> Place:
    """No place; ``why`` completes a sentence that starts with the name."""
    return Place(why_not=printable(why))


def folder_of_answers(path: str, *, where: str = "the folder of its challenges") -> Place:
    """The place for a folder that the server shows as ``/.well-known/acme-challenge/``."""
    problem = _no_path(path, where)
    if problem is not None:
        return problem
    folder = path.rstrip("/") or "/"
    end = BELOW.rstrip("/")
    if folder.endswith(end) and folder != end:
        return Place(webroot=folder.removesuffix(end))
    return Place(challenge_dir=folder)


def web_root(path: str) -> Place:
    """The place for a document root."""
    return _no_path(path, "its document root") or Place(webroot=path.rstrip("/") or "/")


def _no_path(path: str, what: str) -> Place | None:
    if "$" in path or "%{" in path:
        return unknown(f"{what} depends on variables ({path})")
    if not path.startswith("/") or not path.isprintable():
        return unknown(f"{what} is not an absolute path ({path})")
    return None


def may_match(pattern: str, text: str, *, ignore_case: bool = False) -> bool | None:
    """Whether a regular expression of a configuration matches; None where that cannot be said."""
    if len(pattern) > _LONGEST or _NESTED.search(pattern):
        return None
    try:
        return re.search(pattern, text, re.IGNORECASE if ignore_case else 0) is not None
    except (re.error, RecursionError, OverflowError):
        return None


def name_matches(pattern: str, name: str) -> int:
    """How well a server's name fits: 0 not at all; the whole name is best, then ``*.x``, then ``x.*``."""
    pattern = pattern.lower().rstrip(".")
    if pattern == name or (pattern.startswith(".") and pattern[1:] == name):
        return 3000
    if pattern.startswith(("*.", ".")) and name.endswith(pattern.lstrip("*")):
        return 2000 + len(pattern)
    if pattern.endswith(".*") and name.startswith(pattern[:-1]):
        return 1000 + len(pattern)
    return 0


def printable(text: str) -> str:
    """One line without control characters, of bounded length."""
    line = "".join(c if c.isprintable() else "?" for c in " ".join(text.split()))
    return line if len(line) <= 200 else line[:197] + "..."
