"""One row of a table of bad input: what is run, in which state, and what must come of it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.integration.cli import PROGRAM, Acmectl, Outcome, picture
from tests.integration.crash.ground import Ground


@dataclass(frozen=True, slots=True, kw_only=True)
class Bad:
    """``words`` must all be in the one line (or its hint); ``code`` is the exit status.

    ``server`` and ``bundle`` None mean Pebble's. ``may_change`` are beginnings of relative paths that may come or go.
    """

    args: Sequence[str]
    words: Sequence[str]
    code: int = 1
    server: str | None = None
    bundle: str | None = None
    directories: Sequence[str] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    may_change: Sequence[str] = ()
    never: Sequence[str] = ()
    without_privilege: bool = False


Case = Callable[[Ground], Bad]


def tree(site: Path) -> dict[str, tuple[str, int, bytes]]:
    """What must not change: everything except logs."""
    return {path: row for path, row in picture(site).items() if path.split("/")[0] != "logs" and path != "home"}


def run(acmectl: Acmectl, bad: Bad) -> Outcome:
    """Run it with no standard input."""
    assert acmectl.pebble is not None
    argv = [*(bad.directories or acmectl.directories)]
    argv += ["--server", bad.server or acmectl.pebble.directory_url]
    argv += ["--ca-bundle", bad.bundle or str(acmectl.pebble.ca_bundle), *bad.args]
    command = [PROGRAM, *argv]
    if bad.without_privilege and os.geteuid() == 0:
        # Root without the right to write everywhere is refused like anybody else.
        drop = "-dac_override,-dac_read_search,-fowner"
        command = ["setpriv", f"--bounding-set={drop}", f"--inh-caps={drop}", "--", *command]
    done = subprocess.run(
        command,
        env=acmectl.environ(bad.env),
        cwd=acmectl.cwd,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=120,
    )
    return Outcome(
        argv=tuple(argv),
        code=done.returncode,
        out=done.stdout.decode(errors="surrogateescape"),
        err=done.stderr.decode(errors="surrogateescape"),
    )


def check(place: Ground, bad: Bad) -> None:
    """Run it and look: the exit status, one clear line with the words, no traceback, nothing left behind; asserts."""
    before = tree(place.site)
    done = run(place.acmectl, bad)
    told = str(done)
    assert done.code == bad.code, told
    assert "Traceback" not in done.out + done.err, told
    assert "Internal error" not in done.err, told
    lines = done.err.splitlines()
    errors = [number for number, line in enumerate(lines) if line.startswith("Error: ")]
    assert len(errors) == 1, told
    said = "\n".join(lines[errors[0] : errors[0] + 2])
    assert len(lines[errors[0]]) < 400, told
    for word in bad.words:
        assert word in said, f"{word!r} is not in {said!r}\n{told}"
    for word in bad.never:
        assert word not in done.out + done.err, f"{word!r}\n{told}"
    after = tree(place.site)
    changed = sorted(
        path
        for path in before.keys() | after.keys()
        if before.get(path) != after.get(path) and not path.startswith(tuple(bad.may_change))
    )
    assert not changed, f"changed: {changed}\n{told}"
    assert place.leftovers() == [], told


@contextmanager
def read_only(folder: Path) -> Iterator[Path]:
    """``folder`` while nobody may write to it."""
    mode = folder.stat().st_mode
    folder.chmod(0o555)
    try:
        yield folder
    finally:
        folder.chmod(mode)
