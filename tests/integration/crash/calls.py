"""The system calls by which a run changes its directories, found by strace, and a run that is hit at one of them."""

from __future__ import annotations

import re
import subprocess
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.integration.cli import PROGRAM, Acmectl, Outcome
from tests.integration.servers.requirements import find_program

CALLS = (
    *("openat", "write", "fsync", "fdatasync", "ftruncate"),
    *("rename", "renameat", "renameat2", "link", "linkat", "symlink", "symlinkat"),
    *("unlink", "unlinkat", "rmdir", "mkdir", "mkdirat"),
    *("chmod", "fchmod", "fchmodat", "chown", "fchown", "lchown", "fchownat"),
)
_LINE = re.compile(r"(?P<thread>\d+) +(?P<call>\w+)\((?P<rest>.*)")
_TEMPORARY = re.compile(r"\.acmectl-[0-9a-f]{12}\.tmp")
_TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")
_ACCOUNT = re.compile(r"\b[0-9a-f]{32}\b")
_PORT = re.compile(r"127\.0\.0\.1:[0-9]+")
_PATH = re.compile(r'"((?:[^"\\]|\\.)*)"|<(/[^>]*)>')
_FAULT = re.compile(r"killed by SIGKILL|\(INJECTED\)")
_IN_VAIN = re.compile(r"= -1 E(?!.*INJECTED)")


@dataclass(frozen=True, slots=True)
class Point:
    """One call of the main thread: the ``k``-th of its kind, and what it does, the same in every run."""

    call: str
    k: int
    what: str

    def __str__(self) -> str:
        return f"{self.call} #{self.k}: {self.what}"


def points(trace: str, folder: Path) -> list[Point]:
    """The calls in ``trace`` (strace -f -y) that change something below ``folder``, in their order.

    Left out: lines written to the log, and calls that the system refused, for they change nothing.
    """
    found: list[Point] = []
    counts: Counter[str] = Counter()
    seen: Counter[tuple[str, str]] = Counter()
    main = None
    for line in trace.splitlines():
        match = _LINE.match(line)
        if match is None:
            continue
        main = main or match["thread"]
        if match["thread"] != main:
            continue
        call, rest = match["call"], match["rest"]
        counts[call] += 1
        if (call == "openat" and "O_CREAT" not in rest) or _IN_VAIN.search(rest):
            continue
        # What is written is not looked at: it may mention any path.
        arguments = rest.split(">", 1)[0] + ">" if call == "write" else rest.split(") = ")[0]
        paths = [one or two for one, two in _PATH.findall(arguments)]
        ours = [_plain(path, folder) for path in paths if Path(path).is_relative_to(folder) or not path.startswith("/")]
        if not any(Path(path).is_relative_to(folder) for path in paths):
            continue
        words = " ".join(dict.fromkeys(ours))
        if call == "write" and words.startswith("logs/"):
            continue
        seen[call, words] += 1
        found.append(Point(call, counts[call], f"{words} ({seen[call, words]})"))
    return found


def _plain(path: str, folder: Path) -> str:
    return plain(path.removeprefix(f"{folder}/") if path != str(folder) else ".")


def plain(path: str) -> str:
    """``path`` without what differs from run to run."""
    path = _TOKEN.sub("TOKEN", _TEMPORARY.sub("TEMPORARY", path))
    return _ACCOUNT.sub("ACCOUNT", _PORT.sub("CA", path))


def traced(acmectl: Acmectl, trace: Path, args: Sequence[str], *, fault: str | None = None) -> Outcome:
    """Run acmectl below strace; ``fault`` is an ``inject`` expression. What it did is in the file ``trace``."""
    strace = find_program("strace")
    assert strace is not None
    options = ["-f", "-qq", "-y", "-s", "0", "-o", str(trace), "-e", f"trace={','.join(CALLS)}"]
    if fault is not None:
        options += ["-e", f"inject={fault}"]
    # Its filter makes a run twice as fast, and loses signals.
    speed = [] if fault is not None and "signal=" in fault else ["--seccomp-bpf"]
    # Threads would tear the lines of the trace apart, and look-ups make no two runs alike.
    argv = [*acmectl.directories, *acmectl.ca, "--no-caa-check", *args]
    done = subprocess.run(
        [strace, *speed, *options, PROGRAM, *argv],
        env=acmectl.environ(),
        cwd=acmectl.cwd,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
    )
    return Outcome(argv=tuple(argv), code=done.returncode, out=done.stdout, err=done.stderr)


def hit(trace: Path, folder: Path) -> Point | None:
    """The call that was struck; None when the run never came that far, or what was struck changes nothing of ours."""
    text = trace.read_text()
    if not _FAULT.search(text):
        return None
    lines = [line for line in text.splitlines() if _LINE.match(line)]
    main = lines[0].split()[0]
    lines = [line for line in lines if line.split()[0] == main]
    injected = [number for number, line in enumerate(lines) if "(INJECTED)" in line]
    last = injected[0] if injected else len(lines) - 1
    before, found = points("\n".join(lines[:last]), folder), points("\n".join(lines[: last + 1]), folder)
    return found[-1] if len(found) > len(before) else None
