"""What adopt says of hooks without running them: programs that are not there, words that will not be found."""

from __future__ import annotations

import os
import re
import shlex
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from acmectl.actions.adoption import Finding, Weight
from acmectl.actions.config_files import is_file, read_config_file
from acmectl.actions.hook_process import search_path

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from acmectl.storage.layout import Layout
    from acmectl.storage.renewal_conf import RenewalConf

WHENS = ("pre", "deploy", "post")
HOOK_KEYS = {
    "pre_hook": "--pre-hook",
    "renew_hook": "--deploy-hook",
    "post_hook": "--post-hook",
    "manual_auth_hook": "--manual-auth-hook",
    "manual_cleanup_hook": "--manual-cleanup-hook",
}
"""Keys of ``[renewalparams]`` and the options that set them."""

CERTBOTS_TREE = Path("/etc/letsencrypt")
# Without these there is no renewal at all; the others fail after it.
_NEEDED = ("pre_hook", "manual_auth_hook")
_ASSIGNMENT = re.compile(r"\w+=\S*")
# What /bin/sh understands by itself, or begins a construct with: there is no program to look for.
_SHELL_WORDS = (
    ": . [ ! { } case cd command do echo eval exec exit export false for if kill printf read return set shift test "
    "trap true umask unset until wait while"
)
_OF_THE_SHELL = frozenset(_SHELL_WORDS.split())
_SEARCHES = re.compile(rb"\b(?:grep|egrep|fgrep|zgrep|awk|gawk|sed|rg|find|locate)\b")
_WORD = re.compile(rb"letsencrypt", re.IGNORECASE)
_PATH = re.compile(rb"/etc/letsencrypt\b")


def check_commands(conf: RenewalConf, conf_path: Path, command: str, environ: Mapping[str, str]) -> Iterator[Finding]:
    """The hooks of a renewal file whose program cannot be run. ``command`` begins one that changes the file."""
    for key, option in HOOK_KEYS.items():
        text = conf.text(key)
        program = _program(text) if text else None
        if program is None or shutil.which(program, path=search_path(environ)) is not None:
            continue
        weight = Weight.PROBLEM if key in _NEEDED else Weight.WARNING
        if is_file(program):
            what, todo = f"{key}: {program} is not executable", f"chmod +x {shlex.quote(program)}"
        else:
            what, todo = f"{key}: there is no {program}", f"{command} {option} COMMAND"
        yield Finding(weight=weight, path=conf_path, what=what, todo=todo)


def check_directory_hooks(layout: Layout) -> Iterator[Finding]:
    """Files in the hook directories that do not run, or whose interpreter is not there."""
    for path in _directory_hooks(layout):
        if not os.access(path, os.X_OK):
            yield Finding(
                weight=Weight.WARNING,
                path=path,
                what="it is not executable, so it does not run, as with certbot",
                todo=f"chmod +x {shlex.quote(str(path))}",
            )
            continue
        interpreter = _interpreter(path)
        if interpreter is not None and not is_file(interpreter):
            what = f"its interpreter {interpreter} does not exist, so it fails every renewal"
            todo = f"Install {interpreter}, or switch the hook off: chmod a-x {shlex.quote(str(path))}"
            yield Finding(weight=Weight.WARNING, path=path, what=what, todo=todo)


def check_words(layout: Layout, commands: Mapping[Path, tuple[str, ...]]) -> Iterator[Finding]:
    """Hooks that look for the word letsencrypt, or name /etc/letsencrypt, where the tree is not called that.

    ``commands`` are the hook commands of each renewal file.
    """
    if layout.config_dir == CERTBOTS_TREE:
        return
    seen: set[Path] = set()
    for path in _directory_hooks(layout):
        seen.add(path)
        yield from _words_in_file(layout, path)
    for conf_path, texts in commands.items():
        for text in texts:
            what = _what_it_names(layout, text.encode("utf-8", "surrogateescape"))
            if what is not None:
                yield _naming(layout, conf_path, f"the hook {text!r} {what}")
            program = Path(_program(text) or "")
            if program.is_absolute() and program not in seen:
                seen.add(program)
                yield from _words_in_file(layout, program)


def _words_in_file(layout: Layout, path: Path) -> Iterator[Finding]:
    found = read_config_file(path)
    if found is None or b"\0" in found.data[:1024]:
        return
    for number, line in enumerate(found.data.splitlines(), 1):
        what = None if line.lstrip().startswith(b"#") else _what_it_names(layout, line)
        if what is not None:
            yield _naming(layout, path, f"line {number} {what}")
            return


def _what_it_names(layout: Layout, line: bytes) -> str | None:
    if _PATH.search(line):
        return "names /etc/letsencrypt"
    if b"letsencrypt" not in bytes(layout.config_dir) and _WORD.search(line) and _SEARCHES.search(line):
        return "searches for the word letsencrypt, which server configurations will not have"
    return None


def _naming(layout: Layout, path: Path, what: str) -> Finding:
    todo = f"Let it use $RENEWED_LINEAGE, or name {layout.config_dir} there."
    return Finding(weight=Weight.WARNING, path=path, what=f"{what}, while this tree is {layout.config_dir}", todo=todo)


def _directory_hooks(layout: Layout) -> Iterator[Path]:
    for when in WHENS:
        try:
            entries = sorted(layout.hooks_dir(when).iterdir())
        except OSError:
            continue
        yield from (path for path in entries if not path.name.endswith("~") and is_file(path))


def _interpreter(path: Path) -> str | None:
    found = read_config_file(path)
    if found is None or not found.data.startswith(b"#!"):
        return None
    words = found.data.partition(b"\n")[0][2:].decode("utf-8", "replace").split()
    return words[0] if words and words[0].startswith("/") else None


def _program(command: str) -> str | None:
    """The program that a hook command starts; None where only a shell could tell."""
    for word in command.split():
        if _ASSIGNMENT.fullmatch(word):
            continue
        plain = word.rstrip(";&|")
        if not plain or plain in _OF_THE_SHELL or not re.fullmatch(r"[\w./+@%:,-]+", plain):
            return None
        return plain
    return None
