"""certbot's installers: what is left of them is the reload, and every other way in says what to do instead."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.cli import Acmectl
from tests.integration.servers.nginx import Nginx
from tests.integration.servers.pebble import Pebble
from tests.integration.servers.process import wait_until
from tests.integration.servers.static import static_server
from tests.integration.test_web_servers_hooks import NAME, NginxDaemon, hook_path, running


def given_by_certbot(acmectl: Acmectl, **values: str) -> None:
    """Write values into the renewal file as certbot would."""
    conf = acmectl.config / "renewal" / f"{NAME}.conf"
    text = conf.read_text()
    lines = "".join(f"{key} = {value}\n" for key, value in values.items())
    conf.write_text(text.replace("[renewalparams]\n", f"[renewalparams]\n{lines}"))


@pytest.mark.parametrize("kind", ["nginx", "apache"])
def test_a_lineage_with_an_installer_reloads_its_server_after_the_other_hooks(
    acmectl: Acmectl, pebble: Pebble, public_folder: Path, kind: str, tmp_path: Path
) -> None:
    with running(kind, public_folder, pebble.http_port) as daemon:
        acmectl.certonly(NAME, options=("--webroot", "-w", str(public_folder)))
        daemon.add_https(acmectl.live(NAME, "fullchain"), acmectl.live(NAME, "privkey"))
        first = tmp_path / "first"
        given_by_certbot(acmectl, installer=kind, renew_hook=f"echo deployed > {first}")
        done = acmectl.run("renew", "--force-renewal", env=daemon.env).ok()
        assert f"{daemon.hook}: Reloaded." in done.out
        assert first.exists()
        new = acmectl.certificate(NAME).serial_number
        wait_until(lambda: daemon.serial() == new, "the new certificate is served")
        assert acmectl.params(NAME)["installer"] == kind

        daemon.write_broken_config()
        broken = acmectl.run("renew", "--force-renewal", env=daemon.env)
        assert broken.code == 1
        assert "The configuration is broken" in broken.err
        assert acmectl.version(NAME) == 3
        listed = acmectl.run("certificates", "--json", server=False).ok().json
        assert listed["certificates"][0]["deploy_owed"] == [f"installer {kind}"]


def test_the_shipped_hook_given_as_deploy_hook_too_runs_once(
    acmectl: Acmectl, pebble: Pebble, public_folder: Path
) -> None:
    with Nginx(public_folder, pebble.http_port) as server:
        daemon = NginxDaemon(server)
        options = ("--deploy-hook", hook_path(acmectl, daemon.hook), "--installer", "nginx")
        argv = ("certonly", "-n", "--agree-tos", "--webroot", "-w", str(public_folder), *options, "-d", NAME)
        assert acmectl.run(*argv, env=daemon.env).ok().out.count(f"{daemon.hook}: Reloaded.") == 1


def test_an_installer_that_nobody_knows_leaves_the_deployment_owed(
    acmectl: Acmectl, pebble: Pebble, public_folder: Path
) -> None:
    with static_server(public_folder, pebble.http_port):
        acmectl.certonly(NAME, options=("--webroot", "-w", str(public_folder)))
        given_by_certbot(acmectl, installer="postfix")
        done = acmectl.run("renew", "--force-renewal")
    assert done.code == 1
    assert "There is no installer 'postfix'" in done.err
    assert "reconfigure --cert-name" in done.err
    assert acmectl.version(NAME) == 2


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (("certonly", "-n", "--nginx", "-d", NAME), "--nginx: acmectl does not edit"),
        (("run", "-n", "--apache", "-d", NAME), "--apache: acmectl does not edit"),
        (("certonly", "-n", "-a", "nginx", "-d", NAME), "--authenticator: acmectl does not edit"),
        (("-n", "-a", "standalone", "-i", "nginx", "-d", NAME), "'run' with the installer 'nginx'"),
        (("certonly", "-n", "--standalone", "-i", "postfix", "-d", NAME), "there is no installer 'postfix'"),
        (("install", "--cert-name", NAME), "installs no certificate"),
        (("install", "--cert-name", NAME, "-i", "nginx"), "installs no certificate"),
        (("enhance", "--hsts", "--cert-name", NAME), "does not edit a web server's configuration"),
        (("rollback", "--checkpoints", "1"), "rollback --cert-name NAME"),
    ],
)
def test_what_certbot_does_to_web_servers_is_refused_with_what_to_do_instead(
    acmectl: Acmectl, argv: tuple[str, ...], said: str
) -> None:
    done = acmectl.run(*argv)
    assert done.code == 1
    assert said in done.err
    assert acmectl.account_dirs() == []


def test_installer_null_is_no_installer(acmectl: Acmectl) -> None:
    assert acmectl.run("install", "-i", "null", "--cert-name", NAME).ok().err == ""
    acmectl.run("run", "-n", "--agree-tos", "--standalone", "-i", "null", "-d", NAME).ok()
    assert acmectl.params(NAME)["installer"] == "null"
    acmectl.run("renew", "--force-renewal").ok()
    assert acmectl.version(NAME) == 2


def test_the_advice_is_a_command_for_a_new_certificate_and_another_for_one_that_is_there(
    acmectl: Acmectl, pebble: Pebble, public_folder: Path
) -> None:
    new = acmectl.run("certonly", "-n", "--nginx", "-d", NAME).failed().err
    assert "acmectl certonly --webroot " in new
    assert f"--installer nginx -d {NAME}" in new
    with static_server(public_folder, pebble.http_port):
        acmectl.certonly(NAME, options=("--webroot", "-w", str(public_folder)))
    there = acmectl.run("certonly", "-n", "--nginx", "-d", NAME, "--force-renewal").failed().err
    assert f"acmectl reconfigure -n --cert-name {NAME} --webroot " in there
    assert "nginx-reload" in there
    assert acmectl.version(NAME) == 1
