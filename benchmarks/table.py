"""Rows of figures, and how they are shown."""

from __future__ import annotations

import os
import platform
import re
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.programs import Program


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One measure. ``limit`` and ``stretch`` are what it should be: a ratio to certbot, or with ``absolute`` a figure.

    ``shown`` formats one figure. ``note`` stands in the last column. ``lego`` is its figures, or why there are none.
    """

    name: str
    acmectl: Sequence[float]
    certbot: Sequence[float] = ()
    lego: Sequence[float] | str = ()
    limit: float | None = None
    stretch: float | None = None
    absolute: bool = False
    at_least: bool = False
    shown: Callable[[float], str] = field(default=lambda value: f"{value:.2f} s")
    note: str = ""

    def cells(self, *, with_lego: bool) -> list[str]:
        """The row as Markdown cells."""
        ours = statistics.median(self.acmectl)
        theirs = statistics.median(self.certbot) if self.certbot else None
        ratio = ours / theirs if theirs else None
        value = ours if self.absolute else ratio
        return [
            self.name,
            self.shown(ours),
            self.shown(theirs) if theirs is not None else "-",
            *([self._lego()] if with_lego else []),
            f"{ratio:.3f}" if ratio is not None else "-",
            self._target(self.limit, value),
            self._target(self.stretch, value),
            self.note,
        ]

    def _lego(self) -> str:
        if isinstance(self.lego, str):
            return self.lego
        return self.shown(statistics.median(self.lego)) if self.lego else "-"

    def _target(self, target: float | None, value: float | None) -> str:
        if target is None or value is None:
            return "-"
        met = value >= target if self.at_least else value <= target
        text = self.shown(target) if self.absolute else f"{target:g}"
        return f"{text} {'met' if met else '**missed**'}"


def markdown(rows: Sequence[Row]) -> str:
    """The rows as a table; a column for lego where any of them has a figure for it, or says why not."""
    with_lego = any(row.lego for row in rows)
    head = ["measure", "acmectl", "certbot", *(["lego"] if with_lego else []), "ratio", "must", "stretch"]
    line = ["---", *["---:"] * (len(head) - 3), "---", "---"]
    lines = [[*head, "runs and notes"], [*line, "---"], *(row.cells(with_lego=with_lego) for row in rows)]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def milliseconds(seconds: float) -> str:
    """Seconds, shown as milliseconds."""
    return f"{seconds * 1e3:.0f} ms"


def megabytes(octets: float) -> str:
    """Octets, shown as MB."""
    return f"{octets / 1e6:.1f} MB"


def kilobytes(octets: float) -> str:
    """Octets, shown as kB."""
    return f"{octets / 1e3:.1f} kB"


def whole(count: float) -> str:
    """A count."""
    return f"{count:.0f}"


def facts(programs: Sequence[Program], pebble: str) -> str:
    """What the figures were measured on, in one line."""
    model = "unknown processor"
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file() and (found := re.search(r"model name\s*:\s*(.+)", cpuinfo.read_text())):
        model = found[1]
    versions = ", ".join(f"{program.name} {program.version}" for program in programs)
    return (
        f"{datetime.now(UTC):%Y-%m-%d}; {len(os.sched_getaffinity(0))} cores, {model}; {platform.system()} "
        f"{platform.release()}; Python {platform.python_version()}; {versions}; Pebble {pebble}; "
        f"load before the start {os.getloadavg()[0]:.1f}"
    )


def replace_section(readme: Path, group: str, text: str) -> None:
    """Put ``text`` between the markers of ``group`` in a Markdown file."""
    start, end = f"<!-- {group}: start -->", f"<!-- {group}: end -->"
    before, found, rest = readme.read_text(encoding="utf-8").partition(start)
    _, closing, after = rest.partition(end)
    if not found or not closing:
        raise ValueError(f"{readme} has no markers for {group}")
    readme.write_text(f"{before}{start}\n{text}\n{end}{after}", encoding="utf-8")
