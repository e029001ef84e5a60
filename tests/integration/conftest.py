"""For integration tests: folders that servers can read, a Pebble, and the servers' logs beside a failure."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.cli import Acmectl
from tests.integration.servers.dns_lab import DnsLab
from tests.integration.servers.pebble import Pebble
from tests.integration.servers.process import ServerProcess

LOG_CHARACTERS = 6000


@pytest.fixture
def public_folder() -> Iterator[Path]:
    """A temporary folder that every user can enter and read (pytest's own is for its owner alone)."""
    with tempfile.TemporaryDirectory(prefix="acmectl-public-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


@pytest.fixture(scope="session")
def pebble() -> Iterator[Pebble]:
    """One Pebble for all tests that need nothing special of it: strict, 15 % bad nonces, no authorization reuse."""
    with Pebble() as server:
        yield server


@pytest.fixture
def acmectl(pebble: Pebble, tmp_path: Path) -> Iterator[Acmectl]:
    """The program with fresh directories, for that Pebble."""
    with Acmectl(pebble, tmp_path) as program:
        yield program


@pytest.fixture(scope="session")
def dns_lab() -> Iterator[DnsLab]:
    """One DNS world for all tests of a process; see servers/dns_lab.py."""
    with DnsLab() as lab:
        yield lab


@pytest.fixture(scope="session")
def dns_pebble(dns_lab: DnsLab) -> Iterator[Pebble]:
    """A Pebble in that world: it validates what the servers there say."""
    with dns_lab.pebble() as server:
        yield server


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Logs of servers that earlier tests have stopped are of no interest."""
    ServerProcess.forget_logs()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Add the end of the logs of the servers that the failed test used."""
    report: pytest.TestReport = yield
    if report.failed:
        for name, text in ServerProcess.log_texts().items():
            report.sections.append((f"log of {name}", text[-LOG_CHARACTERS:]))
    return report
