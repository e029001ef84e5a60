"""All static checks, side by side: ``make lint``. The tests run them too (tests/integration/test_project_lint.py)."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
MAX_LINES = 400
ROOMS = ("acmectl", "plugins")
BIN = Path(sys.executable).parent


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What one check had to say; ``text`` is empty when it is content."""

    name: str
    ok: bool
    text: str
    seconds: float


COMMANDS: dict[str, tuple[str, ...]] = {
    "ruff check": (str(BIN / "ruff"), "check", "--quiet", "--output-format", "concise", "."),
    "ruff format": (str(BIN / "ruff"), "format", "--check", "--quiet", "."),
    "mypy": (str(BIN / "mypy"), "--no-error-summary"),
    "import contracts": (str(BIN / "lint-imports"), "--no-cache", "--no-logo"),
    "file sizes": (sys.executable, "-m", "tools.lint", "sizes"),
    "generated files": (sys.executable, "-m", "tools.generate", "--check"),
}


def oversized(folders: Sequence[Path]) -> list[str]:
    """One line for each Python file below ``folders`` that has grown too long to be read in one go."""
    lines = []
    for path in sorted(file for folder in folders for file in folder.rglob("*.py")):
        count = len(path.read_text(encoding="utf-8").splitlines())
        if count > MAX_LINES:
            lines.append(f"{path}: {count} lines, {MAX_LINES} at most: split it by what its parts know")
    return lines


def run(name: str) -> Finding:
    """Run one check on the checkout."""
    return in_folder(CHECKOUT, name)


def in_folder(folder: Path, name: str) -> Finding:
    """Run one check on another copy of the project."""
    started = time.monotonic()
    environ = {**os.environ, "PYTHONPATH": f"{folder}{os.pathsep}{folder / 'plugins'}"}
    result = subprocess.run(
        COMMANDS[name], cwd=folder, env=environ, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300
    )
    text = (result.stdout + result.stderr).strip() if result.returncode else ""
    return Finding(name=name, ok=result.returncode == 0, text=text, seconds=time.monotonic() - started)


def main(arguments: Sequence[str]) -> int:
    """Run everything, or with ``sizes`` that check alone."""
    if list(arguments) == ["sizes"]:
        lines = oversized([CHECKOUT / room for room in ROOMS])
        print("\n".join(lines))
        return 1 if lines else 0
    with ThreadPoolExecutor() as pool:
        findings = list(pool.map(run, COMMANDS))
    for finding in findings:
        print(f"{'ok  ' if finding.ok else 'FAIL'} {finding.name} ({finding.seconds:.1f} s)")
        if finding.text:
            print("\n".join(f"     {line}" for line in finding.text.splitlines()))
    return 0 if all(finding.ok for finding in findings) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
