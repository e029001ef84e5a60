"""For all tests: a clean environment, and an honest list of what was not run."""

from __future__ import annotations

import os
from collections.abc import Iterable

import hypothesis
import pytest

from tests.integration.servers.requirements import NOT_RUN, require_root, servers_are_required

# A slow machine is no failure; on a shared one nothing is said about time.
hypothesis.settings.register_profile("acmectl", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("acmectl")

# What people export and what would change how acmectl finds its files, its trust and its way to the CA.
FOREIGN_VARIABLES = (
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "XDG_CONFIG_HOME",
    "XDG_DATA_HOME",
    "XDG_STATE_HOME",
    "XDG_CACHE_HOME",
    "RENEWED_LINEAGE",
    "RENEWED_DOMAINS",
)
FOREIGN_PREFIXES = ("ACMECTL_", "CERTBOT_")
PROXY_SUFFIX = "_PROXY"


def foreign_variables(names: Iterable[str]) -> list[str]:
    """Those of ``names`` that a test must not inherit."""
    return [
        name
        for name in names
        if name in FOREIGN_VARIABLES or name.startswith(FOREIGN_PREFIXES) or name.upper().endswith(PROXY_SUFFIX)
    ]


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in foreign_variables(os.environ):
        monkeypatch.delenv(name)


@pytest.fixture
def root() -> None:
    """For ``usefixtures``: the test can be run by root alone."""
    require_root()


def not_run_reports(reporter: pytest.TerminalReporter) -> dict[str, list[str]]:
    """Reason -> names of the tests that were not run for it."""
    by_reason: dict[str, list[str]] = {}
    for report in reporter.stats.get("skipped", []):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        reason = reason.removeprefix("Skipped: ").removeprefix(NOT_RUN)
        by_reason.setdefault(reason, []).append(report.nodeid)
    return by_reason


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Where servers are required, a test that was not run makes the run fail, however it was left out."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    is_worker = hasattr(session.config, "workerinput")
    if reporter is None or is_worker or exitstatus != pytest.ExitCode.OK or not servers_are_required():
        return
    if not_run_reports(reporter):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """End with the tests that were not run."""
    by_reason = not_run_reports(terminalreporter)
    if not by_reason:
        return
    count = sum(len(names) for names in by_reason.values())
    failure = servers_are_required()
    terminalreporter.section(f"NOT RUN for want of a server: {count}", red=failure, yellow=not failure)
    for reason, names in sorted(by_reason.items()):
        terminalreporter.write_line(f"{reason}:")
        for name in sorted(names):
            terminalreporter.write_line(f"    {name}")
    if failure:
        terminalreporter.write_line("REQUIRE_SERVERS is set: a test that is not run is a failure.", red=True)
    else:
        terminalreporter.write_line("make servers (as root) installs what is missing.")
