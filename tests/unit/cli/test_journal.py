"""Standard error as systemd's journal reads it."""

from __future__ import annotations

import os
import subprocess
import sys

CODE = """
from acmectl.cli.console import Console
console = Console()
console.error("it failed\\nin two lines", hint="do this")
console.warning("look out")
console.note("a note")
"""


def printed(journal: bool) -> list[str]:
    read_end, write_end = os.pipe()
    status = os.fstat(write_end)
    environ = {**os.environ, "JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}" if journal else "1:2"}
    with os.fdopen(read_end) as reader:
        subprocess.run([sys.executable, "-c", CODE], stderr=write_end, env=environ, check=True)
        os.close(write_end)
        return reader.read().splitlines()


def test_each_line_carries_its_priority_where_the_journal_reads_it() -> None:
    assert printed(journal=True) == [
        "<3>Error: it failed",
        "<3>in two lines",
        "<6>do this",
        "<4>Warning: look out",
        "<6>a note",
    ]


def test_no_line_carries_one_elsewhere_though_the_variable_is_inherited() -> None:
    assert printed(journal=False) == ["Error: it failed", "in two lines", "do this", "Warning: look out", "a note"]
