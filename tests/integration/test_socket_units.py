"""The units of docs/systemd.md that open ports for standalone, under a real systemd."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.servers.pebble import Pebble
from tests.integration.servers.process import accepts
from tests.integration.servers.systemd import Systemd

SERVICE, SOCKET = "acmectl-renew.service", "acmectl-http.socket"
PAGE = (Path(__file__).resolve().parents[2] / "docs" / "systemd.md").read_text()
LIVE = "/etc/acmectl/live/a.example/cert.pem"


@pytest.fixture
def machine() -> Iterator[tuple[Systemd, Pebble]]:
    """A machine with a certificate by standalone, its timer and the units of the page, for Pebble's port."""
    with Systemd() as systemd, Pebble() as pebble:
        systemd.path("/etc/ca.pem").write_text(pebble.ca_bundle.read_text())
        systemd.path("/etc/acmectl").mkdir(parents=True)
        systemd.path("/etc/acmectl/cli.ini").write_text("ca-bundle = /etc/ca.pem\n")
        systemd.acmectl(
            *("certonly", "-n", "--agree-tos", "--server", pebble.directory_url, "--standalone"),
            *("--http-01-port", str(pebble.http_port), "-d", "a.example"),
        )
        systemd.acmectl("enable-timer")
        unit, drop_in = re.findall(r"```systemd\n(.*?)```", PAGE, re.DOTALL)
        assert "ListenStream=80\n" in unit
        units = systemd.path("/etc/systemd/system")
        (units / SOCKET).write_text(unit.replace("ListenStream=80\n", f"ListenStream={pebble.http_port}\n"))
        (units / f"{SERVICE}.d").mkdir()
        (units / f"{SERVICE}.d" / "sockets.conf").write_text(drop_in)
        systemd.run("systemctl", "daemon-reload")
        yield systemd, pebble


def test_the_port_is_open_during_a_renewal_only(machine):
    systemd, pebble = machine
    assert not accepts(pebble.http_port)
    conf = systemd.path("/etc/acmectl/renewal/a.example.conf")
    conf.write_text("renew_before_expiry = 100 years\n" + conf.read_text())
    pebble.authorized_anew(lambda: systemd.run("systemctl", "start", SERVICE))
    assert systemd.path(LIVE).readlink().name != "cert1.pem", "\n".join(systemd.journal(SERVICE))
    log = systemd.path("/var/log/acmectl/acmectl.log").read_text()
    # A socket of its own would be one for each family.
    assert f"standalone: answering on [::]:{pebble.http_port}\n" in log
    assert systemd.show(SOCKET, "ActiveState", "Result") == {"ActiveState": "inactive", "Result": "success"}
    assert not accepts(pebble.http_port)
