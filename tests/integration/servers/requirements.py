"""What a test needs from the machine. Where it is not there the test is reported NOT RUN, and in CI fails.

In CI ``REQUIRE_SERVERS=1`` is set.
"""

from __future__ import annotations

import functools
import os
import shutil
import unittest

from tools import get_pebble

# Programs that a person installs by one command (make servers), and what else they may be called.
SBIN = "/usr/local/sbin:/usr/sbin:/sbin"

NOT_RUN = "NOT RUN: "
"""How the reason of a test that was not run starts; tests/conftest.py collects them by it."""


class ServerMissingError(Exception):
    """A program that a test needs is not on this machine, and the run is one where it has to be."""


def servers_are_required() -> bool:
    """Whether a test that cannot be run is a failure."""
    return os.environ.get("REQUIRE_SERVERS", "") not in ("", "0")


def not_run(reason: str) -> None:
    """Report the test that runs now as NOT RUN for ``reason``; where servers are required, fail it."""
    if servers_are_required():
        raise ServerMissingError(f"{reason}, and REQUIRE_SERVERS is set")
    raise unittest.SkipTest(NOT_RUN + reason)


def find_program(name: str) -> str | None:
    """Absolute path of ``name``, looked for on PATH and where servers are installed."""
    return shutil.which(name) or shutil.which(name, path=SBIN)


def require(*names: str) -> None:
    """Go on only if every program in ``names`` is installed."""
    for name in names:
        if find_program(name) is None:
            not_run(f"{name} is not installed")


def require_root() -> None:
    """Go on only as root."""
    if os.geteuid() != 0:
        not_run("it has to be run by root")


@functools.cache
def pebble_programs() -> get_pebble.Programs:
    """Pebble and its challenge server, built if need be: never a reason not to run a test."""
    return get_pebble.get()
