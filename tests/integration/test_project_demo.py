"""``make demo`` in a copy of the checkout."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.servers.process import accepts
from tests.integration.servers.requirements import pebble_programs

CHECKOUT = Path(__file__).resolve().parents[2]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy with what the demo needs."""
    for folder in ("tools", "tests"):
        shutil.copytree(CHECKOUT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def demo(checkout: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run it; Pebble is on PATH."""
    path = f"{pebble_programs().pebble.parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        [sys.executable, "-m", "tools.demo"],
        cwd=checkout,
        env={**os.environ, "PATH": path, "PYTHONPATH": str(checkout), **environ},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_the_demo_works_twice_in_a_row_and_stops_what_it_started(checkout: Path) -> None:
    for _ in range(2):
        result = demo(checkout)

        assert result.returncode == 0, result.stdout + result.stderr
        commands = re.findall(r"^\$ acmectl (\S+)", result.stdout, re.MULTILINE)
        assert commands == ["certonly", "certonly", "certificates", "renew", "revoke"]
        live = checkout / ".demo" / "config" / "live" / "webroot.demo.test"
        assert (live / "cert.pem").readlink().name == "cert2.pem"
        assert f"deployed {live}" in (checkout / ".demo" / "deployed").read_text()
        (port,) = set(re.findall(r"https://127\.0\.0\.1:(\d+)/dir", result.stdout))
        assert not accepts(int(port))


def test_a_demo_that_fails_says_at_which_command(checkout: Path) -> None:
    result = demo(checkout, ACMECTL_KEY_TYPE="quantum")

    assert result.returncode == 1
    assert result.stderr.splitlines()[-1].startswith("error: acmectl certonly ended with status")
