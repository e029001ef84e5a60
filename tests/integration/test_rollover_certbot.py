"""account rollover on a tree that certbot uses too."""

from acmectl.acme.jws import AccountKey
from tests.integration.test_e2e_certbot import both, calm_pebble, certbot_script

__all__ = ["both", "calm_pebble", "certbot_script"]


def test_certbot_goes_on_with_the_new_key_of_its_own_account(calm_pebble, both):
    acmectl, run = both
    ca = ("--server", calm_pebble.directory_url, "--http-01-port", str(calm_pebble.http_port))
    made = run("certonly", "--standalone", "--agree-tos", "--register-unsafely-without-email", "-d", "c.example", *ca)
    assert made.returncode == 0, made.stdout + made.stderr
    (before,) = acmectl.account_dirs()
    acmectl.run("account", "rollover", "-n", "--account-key-type", "ec256").ok()
    (after,) = acmectl.account_dirs()
    assert after.name != before.name
    shown = run("show_account", *ca)
    assert shown.returncode == 0, shown.stdout + shown.stderr
    assert AccountKey.from_jwk_json((after / "private_key.json").read_text()).thumbprint() in shown.stdout
    renewed = run("renew", "--force-renewal", "--no-random-sleep-on-renew")
    assert renewed.returncode == 0, renewed.stdout + renewed.stderr
    assert acmectl.version("c.example") == 2
    assert acmectl.params("c.example")["account"] == after.name
