"""The test servers themselves: what is proved with them is worth as much as they are."""

from __future__ import annotations

import signal
import ssl
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.integration.servers.nginx import Nginx
from tests.integration.servers.pebble import Pebble, PebbleConfig
from tests.integration.servers.process import ServerError, ServerProcess, accepts, free_port, wait_until
from tests.integration.servers.static import static_server

CHECKOUT = Path(__file__).resolve().parents[2]


def fetch(url: str, ca_bundle: Path | None = None) -> bytes:
    context = ssl.create_default_context(cafile=str(ca_bundle)) if ca_bundle else None
    with urllib.request.urlopen(url, timeout=10, context=context) as answer:
        content: bytes = answer.read()
        return content


def test_pebble_comes_back_on_the_same_ports_after_a_stop() -> None:
    with Pebble() as pebble:
        pebble.stop()
        assert not accepts(pebble.port)
        pebble.start()
        assert b"newOrder" in fetch(pebble.directory_url, pebble.ca_bundle)


def test_a_paused_pebble_accepts_and_stays_silent() -> None:
    with Pebble() as pebble:
        pebble.pause()
        assert accepts(pebble.port)
        with pytest.raises(OSError, match="timed out"):
            urllib.request.urlopen(
                pebble.directory_url, timeout=0.3, context=ssl.create_default_context(cafile=str(pebble.ca_bundle))
            )
        pebble.resume()
        assert fetch(pebble.directory_url, pebble.ca_bundle)


def test_pebble_shows_its_requests_without_those_to_its_management(pebble: Pebble) -> None:
    before = pebble.requests().count("GET /dir")
    fetch(pebble.directory_url, pebble.ca_bundle)
    assert pebble.requests().count("GET /dir") == before + 1
    assert not [line for line in pebble.requests() if "roots" in line]


def test_every_chain_of_pebble_has_a_root_of_its_own() -> None:
    with Pebble(PebbleConfig(alternate_roots=2)) as pebble:
        assert len(set(pebble.roots())) == 3
        assert len(pebble.intermediates()) == 3


def test_pebble_says_nothing_of_a_certificate_it_does_not_know(pebble: Pebble) -> None:
    assert pebble.cert_status(0xBAD) is None


START_AND_DIE = """
import os, signal
from tests.integration.servers.pebble import Pebble
pebble = Pebble().__enter__()
print(pebble.port, pebble.dns.management_port, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_servers_end_with_the_tests_even_when_those_are_killed() -> None:
    result = subprocess.run(
        [sys.executable, "-c", START_AND_DIE], cwd=CHECKOUT, capture_output=True, text=True, timeout=60
    )
    assert result.returncode == -signal.SIGKILL, result.stderr
    ports = [int(word) for word in result.stdout.split()]
    assert len(ports) == 2
    wait_until(lambda: not any(accepts(port) for port in ports), "the end of the servers")


def test_a_server_that_does_not_start_shows_what_it_said(tmp_path: Path) -> None:
    process = ServerProcess("broken", ["sh", "-c", "echo no such luck; exit 3"], log=tmp_path / "log")
    with pytest.raises(ServerError, match=r"(?s)broken ended at once with status 3.*no such luck"):
        process.start(lambda: False)
    assert process not in ServerProcess.alive


def test_a_port_is_handed_out_once() -> None:
    ports = [free_port() for _ in range(50)]
    assert len(set(ports)) == 50


def test_nginx_serves_a_folder_and_reloads_its_configuration(public_folder: Path) -> None:
    (public_folder / "page.txt").write_text("hello")
    with Nginx(public_folder) as nginx:
        assert fetch(f"{nginx.url}/page.txt") == b"hello"
        nginx.server_lines = "location /moved/ { return 301 /page.txt; }"
        with pytest.raises(urllib.error.HTTPError):
            fetch(f"{nginx.url}/moved/")
        nginx.reload()
        wait_until(lambda: answers(f"{nginx.url}/moved/"), "the new configuration")
        assert any("GET /page.txt" in line for line in nginx.access_log())


def answers(url: str) -> bool:
    try:
        return fetch(url) == b"hello"
    except urllib.error.HTTPError:
        return False


def test_the_small_web_server_serves_a_folder(tmp_path: Path) -> None:
    (tmp_path / "page.txt").write_text("hello")
    port = free_port()
    with static_server(tmp_path, port):
        assert fetch(f"http://127.0.0.1:{port}/page.txt") == b"hello"
    assert not accepts(port)


TESTS_OF_ANOTHER = """
from tests.integration.servers.requirements import require

def test_with_a_server_that_is_nowhere():
    require("no-such-server")

def test_without():
    pass
"""


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize(("required", "status"), [("", 0), ("1", 1)])
def test_a_test_without_its_server_is_listed_and_fails_where_servers_are_required(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int, required: str, status: int
) -> None:
    (tmp_path / "test_another.py").write_text(TESTS_OF_ANOTHER)
    monkeypatch.setenv("REQUIRE_SERVERS", required)
    command = [sys.executable, "-m", "pytest", "-p", "tests.conftest", "-n", str(workers), "--rootdir", str(tmp_path)]

    result = subprocess.run(
        [*command, str(tmp_path)], cwd=CHECKOUT, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL
    )

    assert result.returncode == status, result.stdout
    assert "no-such-server is not installed" in result.stdout
    assert ("NOT RUN for want of a server: 1" in result.stdout) is (not required)


LEFT_OUT = """
import unittest

def test_that_leaves_itself_out():
    raise unittest.SkipTest("because")
"""


def test_no_way_of_leaving_a_test_out_passes_where_servers_are_required(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "test_another.py").write_text(LEFT_OUT)
    monkeypatch.setenv("REQUIRE_SERVERS", "1")
    command = [sys.executable, "-m", "pytest", "-p", "tests.conftest", "-n", "1", "--rootdir", str(tmp_path)]

    result = subprocess.run([*command, str(tmp_path)], cwd=CHECKOUT, capture_output=True, text=True, timeout=120)

    assert result.returncode == 1, result.stdout
    assert "test_that_leaves_itself_out" in result.stdout
