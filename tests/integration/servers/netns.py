"""Network namespaces: real ports 53 and 80, addresses and resolvers of a test's own."""

from __future__ import annotations

import contextlib
import ctypes
import itertools
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Self

from tests.integration.servers.requirements import find_program, not_run, require, require_root

_CLONE_NEWNET = 0x40000000
_NAMES = Path("/run/netns")
_FILES = Path("/etc/netns")
_PREFIX = "acmectl-test"
_numbers = itertools.count()


class NetworkNamespace:
    """A network with nothing but its loopback interface, which has ``addresses`` too. Needs root.

    Inside ``with space.inside():`` the sockets of this thread are made there, and programs that it starts live there.
    ``space.prefix`` before a command line does the same for one program, which also gets ``/etc/resolv.conf`` with
    ``resolver``.
    """

    def __init__(self, *, addresses: Sequence[str] = (), resolver: str = "") -> None:
        self.name = f"{_PREFIX}-{os.getpid()}-{next(_numbers)}"
        self._addresses = addresses
        self._resolver = resolver

    def __enter__(self) -> Self:
        require_root()
        require("ip")
        _remove_left_ones()
        added = self._ip("netns", "add", self.name, check=False)
        if added.returncode:
            not_run(f"this machine makes no network namespaces ({added.stderr.strip()})")
        try:
            if self._resolver:
                folder = _FILES / self.name
                folder.mkdir(parents=True)
                (folder / "resolv.conf").write_text(f"nameserver {self._resolver}\n")
            with self.inside():
                self._ip("link", "set", "lo", "up")
                for address in self._addresses:
                    width = "128" if ":" in address else "8"
                    # Without nodad an IPv6 address cannot be used for a second.
                    flags = ("nodad",) if ":" in address else ()
                    self._ip("addr", "add", f"{address}/{width}", "dev", "lo", *flags)
        except BaseException:
            _remove(self.name)
            raise
        return self

    def __exit__(self, *_exc: object) -> None:
        _remove(self.name)

    @property
    def prefix(self) -> tuple[str, ...]:
        """What to put before a command line; the program keeps the process."""
        return (_ip_program(), "netns", "exec", self.name)

    @contextlib.contextmanager
    def inside(self) -> Iterator[None]:
        """This thread, and the threads and programs that it starts, are there until the end of the block."""
        with open("/proc/thread-self/ns/net", "rb") as outside, open(_NAMES / self.name, "rb") as there:
            _enter(there.fileno())
            try:
                yield
            finally:
                _enter(outside.fileno())

    @staticmethod
    def _ip(*arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        done = subprocess.run([_ip_program(), *arguments], capture_output=True, text=True)
        assert not check or done.returncode == 0, f"ip {' '.join(arguments)}: {done.stderr}"
        return done


def _ip_program() -> str:
    program = find_program("ip")
    assert program is not None
    return program


def _enter(descriptor: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(descriptor, _CLONE_NEWNET) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _remove(name: str) -> None:
    subprocess.run([_ip_program(), "netns", "del", name], capture_output=True)
    shutil.rmtree(_FILES / name, ignore_errors=True)


def _remove_left_ones() -> None:
    """Those of test processes that were killed."""
    for folder in (_NAMES, _FILES):
        for path in folder.glob(f"{_PREFIX}-*") if folder.is_dir() else ():
            pid = path.name.removeprefix(f"{_PREFIX}-").split("-")[0]
            if not Path(f"/proc/{pid}").exists():
                _remove(path.name)
