"""One tree, two programs: certbot from PyPI lists and renews what acmectl made, and the other way round."""

import os
import subprocess

import pytest

from tests.integration.cli import Acmectl
from tests.integration.servers import certbots
from tests.integration.servers.pebble import Pebble, PebbleConfig
from tests.integration.servers.static import static_server


@pytest.fixture(scope="module")
def certbot_script():
    return certbots.script(certbots.NEWEST)


@pytest.fixture(scope="module")
def calm_pebble():
    """certbot gives up at the second bad nonce."""
    with Pebble(PebbleConfig(nonce_reject=0)) as server:
        yield server


@pytest.fixture
def both(calm_pebble, certbot_script, tmp_path):
    """acmectl, and a function that runs certbot on the same directories."""
    with Acmectl(calm_pebble, tmp_path) as acmectl:

        def run(*args):
            environ = {**os.environ, "REQUESTS_CA_BUNDLE": str(calm_pebble.ca_bundle), "HOME": str(acmectl.home)}
            command = [str(certbot_script), *args, *acmectl.directories, "--non-interactive"]
            return subprocess.run(command, env=environ, cwd=acmectl.cwd, capture_output=True, text=True, timeout=120)

        yield acmectl, run


def test_certbot_lists_and_renews_what_acmectl_made(calm_pebble, both, public_folder):
    acmectl, run = both
    deployed = acmectl.folder / "deployed"
    hooks = ("--deploy-hook", f"echo $RENEWED_LINEAGE >> {deployed}")
    with static_server(public_folder, calm_pebble.http_port):
        acmectl.certonly("w.example", "www.w.example", options=("--webroot", "-w", str(public_folder), *hooks))
    acmectl.certonly("s.example", options=("--standalone", "--key-type", "rsa", "--rsa-key-size", "3072"))
    listed = run("certificates")
    assert listed.returncode == 0, listed.stderr
    assert "Certificate Name: w.example" in listed.stdout
    assert "Identifiers: w.example www.w.example" in listed.stdout
    assert "Certificate Name: s.example" in listed.stdout
    assert "VALID: 8" in listed.stdout
    assert "invalid" not in listed.stdout

    with static_server(public_folder, calm_pebble.http_port):
        renewed = run("renew", "--force-renewal", "--no-random-sleep-on-renew", "--cert-name", "w.example")
    assert renewed.returncode == 0, renewed.stdout + renewed.stderr
    renewed = run("renew", "--force-renewal", "--no-random-sleep-on-renew", "--cert-name", "s.example")
    assert renewed.returncode == 0, renewed.stdout + renewed.stderr
    assert (acmectl.version("w.example"), acmectl.version("s.example")) == (2, 2)
    assert acmectl.certificate("s.example").public_key().key_size == 3072
    assert deployed.read_text().splitlines() == [str(acmectl.config / "live" / "w.example")] * 2
    # One account for both programs, and acmectl goes on with what certbot left.
    assert len(acmectl.account_dirs()) == 1
    assert acmectl.params("w.example")["webroot_map"] == {
        "w.example": str(public_folder),
        "www.w.example": str(public_folder),
    }
    with static_server(public_folder, calm_pebble.http_port):
        acmectl.run("renew", "--force-renewal", "--cert-name", "w.example").ok()
    acmectl.run("renew", "--force-renewal", "--cert-name", "s.example").ok()
    assert (acmectl.version("w.example"), acmectl.version("s.example")) == (3, 3)
    found = acmectl.run("certificates", "--json").ok().json
    assert [one["name"] for one in found["certificates"]] == ["s.example", "w.example"]
    assert found["invalid"] == []


def test_acmectl_lists_renews_and_deletes_what_certbot_made(calm_pebble, both):
    acmectl, run = both
    ca = ("--server", calm_pebble.directory_url, "--http-01-port", str(calm_pebble.http_port))
    made = run("certonly", "--standalone", "--agree-tos", "--reuse-key", "-d", "c.example,www.c.example", *ca)
    assert made.returncode == 0, made.stdout + made.stderr
    key = acmectl.live("c.example", "privkey").read_bytes()
    account = acmectl.params("c.example")["account"]
    assert "Identifiers: c.example www.c.example" in acmectl.run("certificates").ok().out
    shown = acmectl.run("show_account", "-n", "--json").ok().json
    assert shown["id"] == account
    acmectl.run("renew", "--force-renewal", "--ca-bundle", str(calm_pebble.ca_bundle), server=False).ok()
    assert acmectl.version("c.example") == 2
    assert acmectl.live("c.example", "privkey").read_bytes() == key
    assert acmectl.params("c.example")["account"] == account
    assert run("certificates").stdout.count("Certificate Name:") == 1
    acmectl.run("delete", "-n", "--cert-name", "c.example").ok()
    assert list(acmectl.config.rglob("*c.example*")) == []


def test_each_program_respects_the_lock_of_the_other(both):
    acmectl, run = both
    with acmectl.holding_locks():
        refused = run("certificates")
    assert refused.returncode == 1
    assert "Another instance" in refused.stderr
    assert run("certificates").returncode == 0
