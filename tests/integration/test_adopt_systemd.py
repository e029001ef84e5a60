"""adopt --apply on a machine of its own: the tree becomes the default one, certbot's timers go, and all comes back."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from typing import Any

import pytest

from tests.integration.servers.pebble import Pebble
from tests.integration.servers.requirements import require
from tests.integration.servers.systemd import Systemd

NAME = "site.example"
TREE = "/etc/letsencrypt"
ADOPTED = "/etc/acmectl/adopted.ini"
UNITS = {
    # The package's, and one that somebody gave a name of his own.
    "certbot": "/usr/bin/certbot -q renew --no-random-sleep-on-renew",
    "tls-upkeep": "-/usr/local/bin/certbot-auto renew",
    "tidy-up": "/usr/bin/find /etc/letsencrypt -name renew",
}
CRON_D = """\
# certbot renew was once called differently
SHELL=/bin/sh
0 */12 * * * root test -x /usr/bin/certbot -a \\! -d /run/systemd/system && certbot -q renew
1 1 * * * root /usr/bin/acmectl --config-dir /etc/letsencrypt renew
"""
CRONTAB = "5 5 * * * true\n7 3 * * * /usr/bin/certbot renew --quiet\n"
SCRIPT = "#!/bin/sh\nset -e\ncertbot renew\n"
BACKUP = "#!/bin/sh\ntar cf /backup.tar /etc\ncertbot renew\n"


class Machine:
    """A machine with a tree of one certificate in /etc/letsencrypt, and certbot's renewals in every place."""

    def __init__(self, systemd: Systemd, pebble: Pebble) -> None:
        self.systemd = systemd
        systemd.path("/var/spool/cron/crontabs").mkdir(parents=True, exist_ok=True)
        self.write("/etc/ca.pem", pebble.ca_bundle.read_text())
        for folder in (TREE, "/var/lib/letsencrypt", "/var/log/letsencrypt"):
            systemd.path(folder).mkdir(parents=True, exist_ok=True)
        systemd.acmectl(
            *("certonly", "-n", "--agree-tos", "--server", pebble.directory_url, "--ca-bundle", "/etc/ca.pem"),
            *("--config-dir", TREE, "--work-dir", "/var/lib/letsencrypt", "--logs-dir", "/var/log/letsencrypt"),
            *("--standalone", "--http-01-port", str(pebble.http_port), "-d", NAME),
        )
        self.set_up_timers()

    def set_up_timers(self) -> None:
        for name, command in UNITS.items():
            self.write(f"/etc/systemd/system/{name}.service", f"[Service]\nType=oneshot\nExecStart={command}\n")
            timer = "[Timer]\nOnCalendar=2099-01-01\n[Install]\nWantedBy=timers.target\n"
            self.write(f"/etc/systemd/system/{name}.timer", timer)
        self.systemd.run("systemctl", "daemon-reload")
        self.systemd.run("systemctl", "enable", "--now", *(f"{name}.timer" for name in UNITS))
        self.write("/etc/cron.d/certbot", CRON_D, mode=0o640)
        self.write("/etc/cron.d/certbot.dpkg-old", CRON_D)
        self.write("/etc/cron.weekly/certbot", SCRIPT, mode=0o755)
        self.systemd.run("crontab", "-", text=CRONTAB)

    def write(self, path: str, text: str, *, mode: int = 0o644) -> None:
        file = self.systemd.path(path)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(mode)

    def read(self, path: str) -> str:
        return self.systemd.path(path).read_text()

    def mode(self, path: str) -> int:
        return self.systemd.path(path).stat().st_mode & 0o777

    def is_on(self, unit: str) -> bool:
        enabled = self.systemd.run("systemctl", "is-enabled", unit, check=False).stdout.strip() == "enabled"
        active = self.systemd.run("systemctl", "is-active", unit, check=False).stdout.strip() == "active"
        assert enabled is active
        return enabled

    def crontab(self) -> str:
        return self.systemd.run("crontab", "-l").stdout

    def adopt(self, *options: str, code: int = 0) -> dict[str, Any]:
        done = self.systemd.acmectl("adopt", "--json", *options, check=False)
        assert done.returncode == code, done.stdout + done.stderr
        report: dict[str, Any] = json.loads(done.stdout)
        return report


@pytest.fixture(scope="module")
def shared() -> Iterator[Machine]:
    require("crontab")
    with Systemd() as systemd, Pebble() as pebble:
        yield Machine(systemd, pebble)


@pytest.fixture
def machine(shared: Machine) -> Iterator[Machine]:
    """The machine, with no tree adopted before and after."""
    yield shared
    shared.systemd.path(ADOPTED).unlink(missing_ok=True)
    for path in ("/etc/acmectl/renewal/own.example.conf", f"{TREE}/cli.ini"):
        shared.systemd.path(path).unlink(missing_ok=True)


def test_looking_changes_nothing_and_tells_what_renews_besides(machine: Machine) -> None:
    report = machine.adopt()
    assert (report["config_dir"], report["work_dir"], report["logs_dir"]) == (
        TREE,
        "/var/lib/letsencrypt",
        "/var/log/letsencrypt",
    )
    assert [(one["name"], one["renewable"], one["findings"]) for one in report["lineages"]] == [(NAME, True, [])]
    found = {(one["kind"], one["where"], one["line"]) for one in report["certbot_timers"]}
    assert found == {
        ("systemd", "certbot.timer", None),
        ("systemd", "tls-upkeep.timer", None),
        ("cron", "/etc/cron.d/certbot", 3),
        ("script", "/etc/cron.weekly/certbot", None),
        ("crontab", "/var/spool/cron/crontabs/root", 2),
    }
    assert all(one["on"] for one in report["certbot_timers"])
    assert not machine.systemd.path(ADOPTED).exists()
    assert machine.is_on("certbot.timer")
    words = machine.systemd.acmectl("adopt").stdout
    assert "certbot renews too, by the systemd timer certbot.timer.\n  systemctl disable --now certbot.timer\n" in words


def test_the_tree_becomes_the_default_one_and_its_cli_ini_counts(machine: Machine) -> None:
    machine.write(f"{TREE}/cli.ini", "key-type = rsa\n")
    words = machine.systemd.acmectl("adopt", "--apply").stdout
    assert f"acmectl works in {TREE} from now on" in words
    assert "acmectl enable-timer" in words
    assert machine.mode(ADOPTED) == 0o644
    listed = machine.systemd.acmectl("certificates").stdout
    assert f"{TREE}/live/{NAME}/fullchain.pem" in listed
    machine.systemd.acmectl("renew", "--force-renewal", "--http-01-port", str(_port(machine)))
    assert "Key Type: RSA" in machine.systemd.acmectl("certificates").stdout
    assert not machine.systemd.path("/etc/acmectl/renewal").exists()
    assert not machine.systemd.path("/var/lib/acmectl").exists()
    # What is named wins, and has nothing of the adopted tree.
    other = machine.systemd.acmectl("certificates", "--config-dir", "/etc/other").stdout
    assert "There are no certificates here." in other
    machine.systemd.acmectl("enable-timer")
    assert f"--config-dir {TREE} --work-dir /var/lib/letsencrypt" in machine.read(
        "/etc/systemd/system/acmectl-renew.service"
    )
    assert "acmectl works in /etc/letsencrypt already" in machine.systemd.acmectl("adopt", "--apply").stdout


def _port(machine: Machine) -> int:
    """Where the CA looks, which the renewal file has; given again to show that options still work."""
    text = machine.read(f"{TREE}/renewal/{NAME}.conf")
    return int(text.split("http01_port = ")[1].split()[0])


def test_undone_it_is_as_before(machine: Machine) -> None:
    machine.systemd.acmectl("adopt", "--apply")
    done = machine.systemd.acmectl("adopt", "--undo")
    assert "acmectl works in /etc/acmectl again" in done.stdout
    assert not machine.systemd.path(ADOPTED).exists()
    assert "There are no certificates here." in machine.systemd.acmectl("certificates").stdout
    assert "No tree was adopted" in machine.systemd.acmectl("adopt", "--undo").stdout


def test_a_second_tree_and_certificates_of_its_own_stand_in_the_way(machine: Machine) -> None:
    machine.systemd.run("cp", "-a", TREE, "/etc/second")
    machine.systemd.acmectl("adopt", "--apply")
    before = machine.read(ADOPTED)
    failed = machine.systemd.acmectl("adopt", "/etc/second", "--apply", check=False)
    assert failed.returncode == 1
    assert f"{TREE} was adopted already, by {ADOPTED}." in failed.stderr
    assert machine.read(ADOPTED) == before
    machine.systemd.acmectl("adopt", "--undo")
    machine.write("/etc/acmectl/renewal/own.example.conf", "")
    failed = machine.systemd.acmectl("adopt", "--apply", check=False)
    assert failed.returncode == 1
    assert "certificates of its own in /etc/acmectl, which would no longer be renewed: own.example." in failed.stderr
    assert not machine.systemd.path(ADOPTED).exists()


def test_a_cli_ini_that_stops_every_command_is_not_adopted(machine: Machine) -> None:
    machine.write(f"{TREE}/cli.ini", "nonsense = 1\n")
    failed = machine.systemd.acmectl("adopt", "--apply", check=False)
    assert failed.returncode == 1
    assert f"The tree is not adopted, for {TREE}/cli.ini line 1: there is no option 'nonsense'" in failed.stderr
    assert not machine.systemd.path(ADOPTED).exists()
    machine.systemd.acmectl("certificates")


def test_a_file_that_says_nonsense_is_named_by_every_command(machine: Machine) -> None:
    machine.write(ADOPTED, "config-dir = relative\n")
    failed = machine.systemd.acmectl("certificates", check=False)
    assert failed.returncode == 2
    assert f"{ADOPTED} does not name the directories" in failed.stderr
    machine.systemd.acmectl("--version")


def test_certbots_timers_are_switched_off_and_on_again_as_told(machine: Machine) -> None:
    machine.write("/etc/cron.daily/backup", BACKUP, mode=0o755)
    failed = machine.systemd.acmectl("adopt", "--disable-certbot-timer", check=False)
    assert failed.returncode == 1  # the backup does more than renewing
    assert "/etc/cron.daily/backup does more than renewing, so it is left alone." in failed.stderr
    assert machine.mode("/etc/cron.daily/backup") == 0o755
    machine.systemd.path("/etc/cron.daily/backup").unlink()
    assert not machine.is_on("certbot.timer")
    assert not machine.is_on("tls-upkeep.timer")
    assert machine.is_on("tidy-up.timer")
    lines = machine.read("/etc/cron.d/certbot").splitlines()
    before = CRON_D.splitlines()
    assert lines == [*before[:2], f"# acmectl adopt: {before[2]}", before[3]]
    assert machine.mode("/etc/cron.d/certbot") == 0o640
    assert machine.mode("/etc/cron.weekly/certbot") == 0o644
    assert machine.crontab() == CRONTAB.replace("7 3", "# acmectl adopt: 7 3")
    assert machine.adopt("--disable-certbot-timer")["certbot_timers"] == []
    # The way back, as it was told.
    told = [line for line in failed.stdout.splitlines() if "To switch it on again: " in line]
    assert len(told) == 5
    for line in told:
        machine.systemd.run("sh", "-c", line.split(": ", 1)[1])
    assert machine.is_on("certbot.timer")
    assert machine.is_on("tls-upkeep.timer")
    assert machine.read("/etc/cron.d/certbot") == CRON_D
    assert machine.mode("/etc/cron.weekly/certbot") == 0o755
    assert machine.crontab() == CRONTAB


def test_the_commands_that_are_told_do_the_same(machine: Machine) -> None:
    for timer in machine.adopt()["certbot_timers"]:
        machine.systemd.run("sh", "-c", timer["disable"])
    assert machine.adopt()["certbot_timers"] == []
    assert f"# acmectl adopt: {shlex.split(CRON_D.splitlines()[2])[0]}" in machine.read("/etc/cron.d/certbot")
    machine.set_up_timers()
    assert len(machine.adopt()["certbot_timers"]) == 5


def test_somebody_who_may_not_look_is_told_so_and_nothing_else(machine: Machine) -> None:
    weak = ("setpriv", "--bounding-set=-dac_override,-dac_read_search")
    machine.systemd.run("chown", "daemon", f"{TREE}/live")
    done = machine.systemd.run(*weak, Systemd.PROGRAM, "adopt", check=False)
    machine.systemd.run("chown", "root", f"{TREE}/live")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"Error: {TREE}/live may not be looked into.\nRun it as root")


NGINX = """\
user www-data;
pid /run/nginx.pid;
events {{}}
http {{
    access_log off;
    include /etc/nginx/sites-enabled/*;
}}
"""
SITE = """\
server {{ listen 127.0.0.1:{port} default_server; root /var/www/nobody; }}
server {{ listen 127.0.0.1:{port}; server_name {name}; root /var/www/the-site; }}
"""


def test_nginx_where_the_system_has_it_is_read_and_reloaded_by_its_unit(machine: Machine) -> None:
    require("nginx")
    port = _port(machine)
    machine.write("/etc/nginx/nginx.conf", NGINX.format())
    machine.systemd.run("sh", "-c", "rm -f /etc/nginx/sites-enabled/*; mkdir -p /var/www/nobody /var/www/the-site")
    machine.write("/etc/nginx/sites-enabled/site", SITE.format(port=port, name=NAME))
    machine.systemd.run("systemctl", "start", "nginx")
    conf = f"{TREE}/renewal/{NAME}.conf"
    text = machine.read(conf)
    machine.write(conf, text.replace("authenticator = standalone", "authenticator = nginx\ninstaller = nginx"))
    machine.systemd.acmectl("adopt", "--apply", check=False)
    ((name, findings),) = [(one["name"], one["findings"]) for one in machine.adopt(code=1)["lineages"]]
    command = findings[0]["todo"].splitlines()[0]
    assert name == NAME
    assert command.startswith(
        f"acmectl reconfigure -n --cert-name {NAME} --webroot -w /var/www/the-site --deploy-hook "
    )
    machine.systemd.run("sh", "-c", command)
    assert machine.adopt(code=0)["renewable"] is True
    done = machine.systemd.acmectl("renew", "--force-renewal")
    assert "nginx-reload: Reloaded by systemctl reload nginx.service." in done.stdout
    machine.systemd.run("systemctl", "stop", "nginx")
