"""certbot's plugin for RFC 2136 and dns-rfc2136 take each other's credentials files and renewal files as they are."""

from __future__ import annotations

import fcntl

import pytest

from benchmarks.programs import CERTBOT_VERSION, TOOLS, BenchmarkError, environment
from tests.integration.cli import Run
from tests.integration.servers.dns_lab import RESOLVER
from tests.integration.servers.pebble import PebbleConfig
from tests.integration.servers.requirements import not_run

PLUGIN = "certbot-dns-rfc2136"


@pytest.fixture(scope="module")
def script():
    wanted = [f"{name}=={CERTBOT_VERSION}" for name in ("certbot", PLUGIN)]
    TOOLS.mkdir(exist_ok=True)
    with (TOOLS / f"{PLUGIN}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            return environment(f"{PLUGIN}-venv", wanted, None) / "bin" / "certbot"
        except (BenchmarkError, OSError) as error:
            not_run(f"{PLUGIN} could not be installed from PyPI ({' '.join(str(error).split())[-300:]})")


@pytest.fixture(scope="module")
def kind_pebble(dns_lab):
    """certbot gives up at the second bad nonce."""
    with dns_lab.pebble(PebbleConfig(nonce_reject=0, dns_server=f"{RESOLVER}:53")) as server:
        yield server


def test_a_lineage_goes_from_certbot_to_acmectl_and_back(dns_lab, kind_pebble, script, tmp_path):
    with dns_lab.acmectl(kind_pebble, tmp_path) as acmectl:

        def certbot(*arguments):
            argv = [*arguments, *acmectl.directories, "--non-interactive", "--no-random-sleep-on-renew"]
            env = acmectl.environ({"REQUESTS_CA_BUNDLE": str(kind_pebble.ca_bundle), "PYTHONWARNINGS": "ignore"})
            return Run(argv, [*dns_lab.prefix, str(script), *argv], env=env, cwd=acmectl.cwd).wait().ok()

        credentials = dns_lab.rfc2136(tmp_path / "rfc2136.ini", port="53")
        certbot(
            *("certonly", "--server", kind_pebble.directory_url, "--agree-tos", "--register-unsafely-without-email"),
            *("--authenticator", "dns-rfc2136", "--dns-rfc2136-credentials", str(credentials)),
            *("--dns-rfc2136-propagation-seconds", "3", "-d", "both.second.test", "-d", "*.both.second.test"),
        )
        params = acmectl.params("both.second.test")
        dns_lab.forget()
        env = {"REQUESTS_CA_BUNDLE": str(kind_pebble.ca_bundle)}
        acmectl.run("renew", "-n", "--force-renewal", server=False, env=env).ok()
        assert acmectl.version("both.second.test") == 2
        assert acmectl.names("both.second.test") == ["*.both.second.test", "both.second.test"]
        kept = ("authenticator", "dns_rfc2136_credentials", "dns_rfc2136_propagation_seconds", "account", "server")
        assert {key: acmectl.params("both.second.test")[key] for key in kept} == {key: params[key] for key in kept}
        dns_lab.forget()
        certbot("renew", "--force-renewal")
        assert acmectl.version("both.second.test") == 3
        assert dns_lab.all_txt("second.test") == set()
