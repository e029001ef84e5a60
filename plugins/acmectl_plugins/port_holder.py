"""Which process holds a TCP port, as far as Linux tells (proc(5): /proc/net/tcp, /proc/PID/fd)."""

from __future__ import annotations

import contextlib
from pathlib import Path

_LISTEN = "0A"


def holder_of(port: int, proc: Path = Path("/proc")) -> str | None:
    """The process that listens on ``port``, as ``nginx (pid 812)``; None when the system does not tell."""
    inodes = _listening(port, proc)
    if not inodes:
        return None
    links = {f"socket:[{inode}]" for inode in inodes}
    for process in sorted(int(entry.name) for entry in proc.iterdir() if entry.name.isdigit()):
        if _holds(proc / str(process) / "fd", links):
            return f"{_name(proc / str(process))} (pid {process})"
    return None


def _listening(port: int, proc: Path) -> set[str]:
    inodes = set()
    for table in ("tcp", "tcp6"):
        with contextlib.suppress(OSError):
            for line in (proc / "net" / table).read_text("ascii", "replace").splitlines()[1:]:
                columns = line.split()
                if len(columns) > 9 and columns[3] == _LISTEN and int(columns[1].rpartition(":")[2], 16) == port:
                    inodes.add(columns[9])
    return inodes - {"0"}


def _holds(descriptors: Path, links: set[str]) -> bool:
    with contextlib.suppress(OSError):  # other users' processes, and those that have just ended
        for descriptor in descriptors.iterdir():
            with contextlib.suppress(OSError):
                if str(descriptor.readlink()) in links:
                    return True
    return False


def _name(process: Path) -> str:
    try:
        name = (process / "comm").read_text("utf-8", "replace").strip()
    except OSError:
        return "a process"
    return "".join(c if c.isprintable() else "?" for c in name) or "a process"
