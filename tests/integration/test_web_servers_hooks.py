"""The ready-made deploy hooks, each with the real daemon: tested, reloaded, left alone."""

from __future__ import annotations

import os
import shutil
import subprocess
import sysconfig
import zipfile
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.integration.cli import Acmectl
from tests.integration.hosts import script
from tests.integration.servers.apache import Apache
from tests.integration.servers.nginx import Nginx
from tests.integration.servers.pebble import Pebble
from tests.integration.servers.process import accepts, free_port, wait_until
from tests.integration.tls import served_certificate

NAME = "a.example"


class Daemon(ABC):
    """A web server that answers http and, once it has a certificate, https; with the hook that reloads it."""

    hook: str
    prefix: str
    process_name: str

    def __init__(self, server: Nginx | Apache) -> None:
        self.server = server
        self.https_port = free_port()

    @property
    @abstractmethod
    def config(self) -> Path:
        """Its configuration file."""

    @abstractmethod
    def add_https(self, certificate: Path, key: Path) -> None:
        """Have it serve https too."""

    @property
    def env(self) -> dict[str, str]:
        """What tells the hook about this instance."""
        return {f"{self.prefix}_CONFIG": str(self.config)}

    @property
    def pid_file(self) -> Path:
        """Where the process keeps its id."""
        return self.server.folder / f"{self.process_name}.pid"

    def serial(self) -> int:
        """The serial number of what a TLS client is shown."""
        return served_certificate(self.https_port, NAME).serial_number

    def write_broken_config(self) -> None:
        """Something that it does not understand, at the end."""
        self.config.write_text(self.config.read_text() + "\nnonsense on;\n")


class NginxDaemon(Daemon):
    hook, prefix, process_name = "nginx-reload", "NGINX_RELOAD", "nginx"

    @property
    def config(self) -> Path:
        return self.server.folder / "nginx.conf"

    def add_https(self, certificate: Path, key: Path) -> None:
        assert isinstance(self.server, Nginx)
        lines = f"listen 127.0.0.1:{self.https_port} ssl; ssl_certificate {certificate}; ssl_certificate_key {key};"
        self.server.http_lines = f"server {{ {lines} root {self.server.root}; }}"
        self.server.reload()


class ApacheDaemon(Daemon):
    hook, prefix, process_name = "apache-reload", "APACHE_RELOAD", "apache"

    @property
    def config(self) -> Path:
        return self.server.folder / "apache.conf"

    def add_https(self, certificate: Path, key: Path) -> None:
        assert isinstance(self.server, Apache)
        self.server.server_lines = (
            f"Listen 127.0.0.1:{self.https_port}\n<VirtualHost 127.0.0.1:{self.https_port}>\nSSLEngine on\n"
            f"SSLCertificateFile {certificate}\nSSLCertificateKeyFile {key}\n</VirtualHost>"
        )
        self.server.reload()


@contextmanager
def running(kind: str, root: Path, port: int | None = None) -> Iterator[Daemon]:
    if kind == "nginx":
        with Nginx(root, port) as nginx:
            yield NginxDaemon(nginx)
    else:
        with Apache(root, port) as apache:
            yield ApacheDaemon(apache)


@pytest.fixture(params=["nginx", "apache"])
def daemon(request: pytest.FixtureRequest, pebble: Pebble, public_folder: Path) -> Iterator[Daemon]:
    """One that answers where Pebble validates http-01."""
    with running(request.param, public_folder, pebble.http_port) as found:
        yield found


def hook_path(acmectl: Acmectl, name: str) -> str:
    return acmectl.run("hook-path", name, server=False).ok().out.strip()


def run_hook(hook: str, env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a hook as a deploy hook is run, away from its daemon's folder."""
    environ = {**os.environ, "PATH": f"{os.environ['PATH']}:/usr/sbin", **env}
    return subprocess.run(
        [hook], env=environ, cwd="/", stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60
    )


def issue_and_serve(acmectl: Acmectl, daemon: Daemon, *options: str) -> None:
    webroot = ("--webroot", "-w", str(daemon.server.root))
    argv = ("certonly", "-n", "--agree-tos", *webroot, *options, "-d", NAME)
    done = acmectl.run(*argv, env=daemon.env).ok()
    assert f"{daemon.hook}: Reloaded." in done.out
    daemon.add_https(acmectl.live(NAME, "fullchain"), acmectl.live(NAME, "privkey"))
    assert daemon.serial() == acmectl.certificate(NAME).serial_number


def owed(acmectl: Acmectl) -> list[str]:
    listed = acmectl.run("renew", "--json", server=False)
    rows: list[str] = listed.json["lineages"][0]["deploy_owed"]
    return rows


def test_after_a_renewal_clients_are_shown_the_new_certificate(acmectl: Acmectl, daemon: Daemon) -> None:
    issue_and_serve(acmectl, daemon, "--deploy-hook", hook_path(acmectl, daemon.hook))
    before = daemon.serial()
    done = acmectl.run("renew", "--force-renewal", env=daemon.env).ok()
    assert f"{daemon.hook}: Reloaded." in done.out
    new = acmectl.certificate(NAME).serial_number
    assert new != before
    wait_until(lambda: daemon.serial() == new, f"{daemon.hook}: the new certificate is served")


def test_a_broken_configuration_leaves_the_daemon_alone_and_the_hook_owed(acmectl: Acmectl, daemon: Daemon) -> None:
    acmectl.run("register", "-n", "--agree-tos").ok()
    copied = acmectl.config / "renewal-hooks" / "deploy" / daemon.hook
    shutil.copy(hook_path(acmectl, daemon.hook), copied)
    issue_and_serve(acmectl, daemon)
    before = daemon.serial()
    sound = daemon.config.read_text()
    daemon.write_broken_config()

    done = acmectl.run("renew", "--force-renewal", env=daemon.env).failed()
    said = [line for line in done.err.splitlines() if "The configuration is broken" in line]
    assert len(said) == 1, done
    assert "nonsense" in said[0]
    assert str(daemon.config) in said[0]
    new = acmectl.certificate(NAME).serial_number
    assert daemon.serial() == before != new
    assert owed(acmectl) == [str(copied)]
    # Nothing has changed for the better: still owed.
    acmectl.run("renew", "--retry-deploy", env=daemon.env).failed()
    assert daemon.serial() == before

    daemon.config.write_text(sound)
    done = acmectl.run("renew", "--retry-deploy", env=daemon.env).ok()
    assert f"{daemon.hook}: Reloaded." in done.out
    wait_until(lambda: daemon.serial() == new, f"{daemon.hook}: the new certificate is served")
    assert owed(acmectl) == []


def test_a_daemon_that_does_not_run_is_not_started(acmectl: Acmectl, daemon: Daemon) -> None:
    daemon.server.process.stop()
    hook = hook_path(acmectl, daemon.hook)
    for env in (daemon.env, {**daemon.env, f"{daemon.prefix}_PID_FILE": str(daemon.pid_file)}):
        done = run_hook(hook, env)
        assert (done.returncode, done.stderr) == (0, "")
        assert "does not run; it was not started" in done.stdout
    assert not accepts(daemon.server.port)


def test_a_process_that_has_inherited_the_number_in_the_pid_file_is_left_alone(
    acmectl: Acmectl, daemon: Daemon, tmp_path: Path
) -> None:
    alien = subprocess.Popen(["sleep", "600"])
    try:
        pid_file = tmp_path / "pid"
        pid_file.write_text(f"{alien.pid}\n")
        done = run_hook(hook_path(acmectl, daemon.hook), {**daemon.env, f"{daemon.prefix}_PID_FILE": str(pid_file)})
        assert done.returncode == 0, done
        assert "does not run" in done.stdout
        # SIGTERM is what ends it, not a signal of the hook's that came first.
        alien.terminate()
        assert alien.wait(30) == -15
    finally:
        alien.kill()


def test_a_pid_file_that_is_named_is_used(acmectl: Acmectl, daemon: Daemon, tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    shutil.move(daemon.pid_file, pid_file)
    hook = hook_path(acmectl, daemon.hook)
    assert "does not run" in run_hook(hook, daemon.env).stdout
    done = run_hook(hook, {**daemon.env, f"{daemon.prefix}_PID_FILE": str(pid_file)})
    assert done.stdout == f"{daemon.hook}: Reloaded.\n", done


def test_where_systemd_runs_the_daemon_systemd_reloads_it(acmectl: Acmectl, daemon: Daemon, tmp_path: Path) -> None:
    calls = tmp_path / "calls"
    # Stands for systemd, which tests do not have: one unit is active, and its reload fails if the file says so.
    verdicts = f"""
        "is-active --quiet web.service") ;;
        "reload web.service") if [ -e {tmp_path}/fail ]; then echo "Job failed."; exit 1; fi ;;
        *) exit 3 ;;"""
    script(tmp_path / "systemctl", f'echo "$*" >> {calls}\ncase "$*" in {verdicts}\nesac')
    env = {**daemon.env, "PATH": f"{tmp_path}:{os.environ['PATH']}:/usr/sbin"}
    hook = hook_path(acmectl, daemon.hook)
    assert run_hook(hook, {**env, f"{daemon.prefix}_UNIT": "other.service"}).stdout == f"{daemon.hook}: Reloaded.\n"
    assert calls.read_text() == "is-active --quiet other.service\n"
    calls.unlink()
    env[f"{daemon.prefix}_UNIT"] = "web.service"
    done = run_hook(hook, env)
    assert done.stdout == f"{daemon.hook}: Reloaded by systemctl reload web.service.\n", done
    assert calls.read_text() == "is-active --quiet web.service\nreload web.service\n"
    (tmp_path / "fail").touch()
    done = run_hook(hook, env)
    assert done.returncode == 1
    assert done.stderr == f"{daemon.hook}: systemctl reload web.service failed: Job failed.\n"
    calls.unlink()
    # systemd is not even asked when the configuration is broken.
    daemon.write_broken_config()
    assert run_hook(hook, env).returncode == 1
    assert not calls.exists()


@pytest.mark.parametrize("name", ["nginx-reload", "apache-reload"])
def test_a_program_that_is_missing_is_told_in_one_line(acmectl: Acmectl, name: str) -> None:
    variable = name.upper().replace("-", "_") + "_BINARY"
    done = run_hook(hook_path(acmectl, name), {variable: "/nowhere/httpd"})
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "/nowhere/httpd" in done.stderr
    assert variable in done.stderr


def test_hook_path_lists_the_hooks_and_refuses_other_names(acmectl: Acmectl) -> None:
    listed = acmectl.run("hook-path", "-q", server=False).ok().out.splitlines()
    assert [Path(line.split()[0]).name for line in listed] == ["nginx-reload", "apache-reload"]
    found = acmectl.run("hook-path", "--json", server=False).ok().json
    assert [os.access(row["path"], os.X_OK) for row in found["hooks"]] == [True, True]
    refused = acmectl.run("hook-path", "lighttpd", server=False).failed(2)
    assert refused.errors == ["There is no hook 'lighttpd'. There are nginx-reload and apache-reload."]


def test_the_wheel_carries_the_hooks_as_programs(tmp_path: Path) -> None:
    checkout = Path(__file__).resolve().parents[2]
    hatchling = Path(sysconfig.get_path("scripts")) / "hatchling"
    subprocess.run([hatchling, "build", "-t", "wheel", "-d", tmp_path], cwd=checkout, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as content:
        modes = {one.filename: one.external_attr >> 16 & 0o111 for one in content.infolist()}
    assert {name: mode for name, mode in modes.items() if name.startswith("acmectl/hooks/")} == {
        "acmectl/hooks/nginx-reload": 0o111,
        "acmectl/hooks/apache-reload": 0o111,
    }
