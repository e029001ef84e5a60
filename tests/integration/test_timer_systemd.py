"""The units under a real systemd: the timer starts a service that renews, reloads and copies within its walls."""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509

from tests.integration.servers.pebble import Pebble
from tests.integration.servers.process import free_port, wait_until
from tests.integration.servers.requirements import require
from tests.integration.servers.systemd import Systemd

SERVICE, TIMER = "acmectl-renew.service", "acmectl-renew.timer"
DOCS = Path(__file__).resolve().parents[2] / "docs" / "systemd.md"
NAME = "site.example"
LIVE = f"/etc/acmectl/live/{NAME}"
COPY = "/etc/elsewhere/site.pem"

NGINX = """\
user www-data;
pid /run/nginx.pid;
events {{}}
http {{
    access_log off;
    server {{ listen 127.0.0.1:{http}; root /srv/site; }}
    {tls}
}}
"""
TLS = """\
server {{
        listen 127.0.0.1:{port} ssl; ssl_certificate {live}/fullchain.pem; ssl_certificate_key {live}/privkey.pem;
    }}"""
# What a deploy hook does on many a machine, and what it notes of the walls around it.
DEPLOY = f"""\
#!/bin/sh
set -e
nginx -t
systemctl reload nginx
cp "$RENEWED_LINEAGE/fullchain.pem" {COPY}
chown www-data {COPY}
grep -E '^(CapEff|NoNewPrivs|Seccomp):' /proc/self/status > /var/lib/walls
for path in /usr/local/bin/x ~root/x /etc/systemd/system/x.service /etc/passwd; do
    if (: >> "$path") 2>/dev/null; then echo "open: $path" >> /var/lib/walls; fi
done
"""


class Machine:
    """A machine with nginx that shows /srv/site to the CA and serves the certificate of site.example."""

    def __init__(self, systemd: Systemd, pebble: Pebble) -> None:
        self.systemd = systemd
        self.pebble = pebble
        self.tls_port = free_port()
        for folder in ("/srv/site", str(Path(COPY).parent)):
            systemd.path(folder).mkdir(parents=True, exist_ok=True)
        self.write("/usr/local/lib/deploy", DEPLOY, mode=0o755)
        self.write("/etc/ca.pem", pebble.ca_bundle.read_text())
        self._configure(tls="")
        systemd.run("systemctl", "start", "nginx")
        systemd.acmectl(
            *("certonly", "-n", "--agree-tos", "--server", pebble.directory_url, "--ca-bundle", "/etc/ca.pem"),
            *("--webroot", "-w", "/srv/site", "-d", NAME),
            *("--deploy-hook", "/usr/local/lib/deploy"),
        )
        self._configure(tls=TLS.format(port=self.tls_port, live=LIVE))
        systemd.run("systemctl", "reload", "nginx")
        systemd.acmectl("enable-timer")

    def write(self, path: str, text: str, *, mode: int = 0o644) -> None:
        file = self.systemd.path(path)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(mode)

    def _configure(self, *, tls: str) -> None:
        self.write("/etc/nginx/nginx.conf", NGINX.format(http=self.pebble.http_port, tls=tls))

    @property
    def version(self) -> int:
        target = self.systemd.path(f"{LIVE}/cert.pem").readlink().name
        return int("".join(filter(str.isdigit, target)))

    def make_due(self) -> None:
        path = self.systemd.path(f"/etc/acmectl/renewal/{NAME}.conf")
        path.write_text("renew_before_expiry = 100 years\n" + path.read_text())

    def not_due(self) -> None:
        path = self.systemd.path(f"/etc/acmectl/renewal/{NAME}.conf")
        path.write_text(path.read_text().replace("renew_before_expiry = 100 years\n", ""))

    def serial(self) -> int:
        """Of the live certificate."""
        return x509.load_pem_x509_certificate(self.systemd.path(f"{LIVE}/cert.pem").read_bytes()).serial_number

    def served(self) -> int:
        """Serial of the certificate that nginx serves."""
        pem = ssl.get_server_certificate(("127.0.0.1", self.tls_port))
        return x509.load_pem_x509_certificate(pem.encode()).serial_number


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    require("nginx")
    with Systemd() as systemd, Pebble() as pebble:
        yield Machine(systemd, pebble)


@pytest.fixture
def due(machine: Machine) -> Iterator[Machine]:
    """The machine with its certificate due, and without drop-ins afterwards."""
    machine.make_due()
    yield machine
    machine.not_due()
    machine.systemd.run("sh", "-c", f"rm -rf /etc/systemd/system/{SERVICE}.d; systemctl daemon-reload")
    machine.systemd.run("systemctl", "reset-failed", SERVICE, check=False)


def test_the_timer_is_enabled_and_waits(machine: Machine) -> None:
    systemd = machine.systemd
    assert systemd.run("systemctl", "is-enabled", TIMER).stdout.strip() == "enabled"
    assert systemd.run("systemctl", "is-active", TIMER).stdout.strip() == "active"
    shown = systemd.show(
        TIMER, "Persistent", "FixedRandomDelay", "RandomizedDelayUSec", "NextElapseUSecRealtime", "Unit"
    )
    assert shown["Persistent"] == shown["FixedRandomDelay"] == "yes"
    assert shown["RandomizedDelayUSec"] == "30min"
    assert shown["NextElapseUSecRealtime"]
    assert shown["Unit"] == SERVICE


def test_enabling_it_again_changes_nothing_but_the_calendar(machine: Machine) -> None:
    systemd = machine.systemd
    service, timer = (systemd.path(f"/etc/systemd/system/{unit}") for unit in (SERVICE, TIMER))
    before = service.read_text(), timer.read_text()
    next_run = systemd.show(TIMER, "NextElapseUSecRealtime")
    systemd.acmectl("enable-timer", "--timer-interval", "1h")
    assert "*-*-* *:" in systemd.show(TIMER, "TimersCalendar")["TimersCalendar"]
    assert systemd.show(TIMER, "NextElapseUSecRealtime") != next_run
    systemd.acmectl("enable_timer")
    assert systemd.show(TIMER, "NextElapseUSecRealtime") == next_run
    assert (service.read_text(), timer.read_text()) == before
    assert "*-*-* *:" not in systemd.show(TIMER, "TimersCalendar")["TimersCalendar"]


def test_units_of_another_directory_are_not_replaced(machine: Machine) -> None:
    service = machine.systemd.path(f"/etc/systemd/system/{SERVICE}")
    before = service.read_text()
    refused = machine.systemd.acmectl("enable-timer", "--config-dir", "/etc/letsencrypt", check=False)
    assert refused.returncode == 1
    assert "does not renew what is in /etc/letsencrypt" in refused.stderr
    assert service.read_text() == before


def test_the_service_renews_reloads_and_copies_within_its_walls(due: Machine) -> None:
    before = due.version, due.serial()
    due.systemd.run("systemctl", "start", SERVICE)
    assert due.version == before[0] + 1, "\n".join(due.systemd.journal(SERVICE))
    assert due.serial() != before[1]
    wait_until(lambda: due.served() == due.serial(), "nginx serves the new certificate")
    assert due.systemd.path(COPY).read_bytes() == due.systemd.path(f"{LIVE}/fullchain.pem").read_bytes()
    assert due.systemd.path(COPY).owner() == "www-data"
    walls = dict(line.split(":\t") for line in due.systemd.path("/var/lib/walls").read_text().splitlines())
    assert walls == {"CapEff": "00000000000004ff", "NoNewPrivs": "1", "Seccomp": "2"}
    assert "All renewals succeeded:" in due.systemd.journal(SERVICE)


def test_a_failed_renewal_makes_the_unit_fail_and_says_why_in_the_journal(due: Machine) -> None:
    due.write("/etc/acmectl/renewal-hooks/pre/fail", "#!/bin/sh\nexit 7\n", mode=0o755)
    try:
        assert due.systemd.run("systemctl", "start", SERVICE, check=False).returncode != 0
    finally:
        due.systemd.run("rm", "/etc/acmectl/renewal-hooks/pre/fail")
    shown = due.systemd.show(SERVICE, "Result", "ExecMainStatus")
    assert shown == {"Result": "exit-code", "ExecMainStatus": "1"}
    assert any(line.startswith(f"Error: {NAME}: ") for line in due.systemd.journal(SERVICE))


def test_stopping_the_service_in_mid_run_still_runs_the_post_hooks(due: Machine) -> None:
    systemd = due.systemd
    due.write("/etc/acmectl/renewal-hooks/pre/wait", "#!/bin/sh\necho > /var/lib/pre\nsleep 600\n", mode=0o755)
    due.write("/etc/acmectl/renewal-hooks/post/note", "#!/bin/sh\necho > /var/lib/post\n", mode=0o755)
    try:
        version = due.version
        # What the test before left: a backoff, which a lineage named on the command line would ignore.
        conf = systemd.path(f"/etc/acmectl/renewal/{NAME}.conf")
        conf.write_text(re.sub(r"(?m)^backoff = .*\n", "", conf.read_text()))
        systemd.run("systemctl", "start", "--no-block", SERVICE)
        wait_until(systemd.path("/var/lib/pre").exists, "the pre hook runs")
        systemd.run("systemctl", "stop", SERVICE)
        assert systemd.path("/var/lib/post").exists()
        assert systemd.show(SERVICE, "ActiveState", "NRestarts")["ActiveState"] in ("inactive", "failed")
        assert due.version == version
        assert systemd.run("pgrep", "-f", "sleep 600", check=False).stdout == ""
    finally:
        systemd.run("sh", "-c", "rm /etc/acmectl/renewal-hooks/*/*")


def test_the_documented_strict_drop_in_still_lets_it_renew_and_reload(due: Machine) -> None:
    before = due.version
    due.write(f"/etc/systemd/system/{SERVICE}.d/strict.conf", drop_in())
    due.systemd.run("systemctl", "daemon-reload")
    conf = due.systemd.path(f"/etc/acmectl/renewal/{NAME}.conf")
    conf.write_text(re.sub(r"(?m)^backoff = .*\n", "", conf.read_text()))
    due.systemd.run("systemctl", "start", SERVICE, check=False)
    assert due.version == before + 1, "\n".join(due.systemd.journal(SERVICE))
    # The copy to another directory of /etc is what it forbids, so that hook is owed.
    assert due.systemd.path(COPY).read_bytes() != due.systemd.path(f"{LIVE}/fullchain.pem").read_bytes()
    assert any("Read-only file system" in line for line in due.systemd.journal(SERVICE))
    due.systemd.path(f"/etc/systemd/system/{SERVICE}.d/strict.conf").unlink()
    due.not_due()
    due.systemd.run("systemctl", "daemon-reload")
    due.systemd.acmectl("renew", "--retry-deploy")
    assert due.systemd.path(COPY).read_bytes() == due.systemd.path(f"{LIVE}/fullchain.pem").read_bytes()


def drop_in() -> str:
    """The strict drop-in as docs/systemd.md shows it."""
    match = re.search(r"```ini\n(# strict\.conf\n.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)
    assert match is not None
    return match[1]


def test_the_examples_in_the_papers_are_accepted_by_systemd(machine: Machine) -> None:
    """Every drop-in for the service that docs/systemd.md shows is loaded without a word."""
    examples = re.findall(r"```ini\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)
    assert len(examples) >= 2
    for number, text in enumerate(examples):
        unit = TIMER if "[Timer]" in text else SERVICE
        machine.write(f"/var/lib/verify/{number}/{unit}.d/example.conf", text)
        systemd_run = machine.systemd.run(
            "sh",
            "-c",
            f"cp /etc/systemd/system/acmectl-renew.* /var/lib/verify/{number}/ && "
            f"systemd-analyze verify /var/lib/verify/{number}/{unit}",
        )
        assert systemd_run.stdout + systemd_run.stderr == "", text
