"""Which stored options certonly says that it kept."""

from __future__ import annotations

from acmectl.cli import params
from acmectl.cli.kept import Carried, carried
from acmectl.config.options import table
from acmectl.storage.renewal_conf import RenewalConf

STORED = {
    "authenticator": "standalone",
    "server": "https://ca.example/dir",
    "http01_port": "8080",
    "reuse_key": "True",
    "pre_hook": "None",
    "preferred_chain": "Root",
}


def kept(*argv: str) -> Carried:
    settings = params.settings_of(params.parse(["certonly", "-n", "-d", "a.example", *argv], table()))
    conf = RenewalConf(params=STORED, own={"hook_timeout": 5, "backoff": {}})
    return carried(settings, conf, reset=("reuse_key", "rsa_key_size"))


def test_what_is_stored_and_not_given_is_kept() -> None:
    found = kept()
    assert set(found.kept) == {"--authenticator", "--http-01-port", "--preferred-chain", "--hook-timeout"}
    assert found.reset == ("--reuse-key",)


def test_what_is_given_again_is_not_said() -> None:
    found = kept("--preferred-chain", "Other", "--hook-timeout", "9", "--reuse-key", "--standalone")
    assert found == Carried(kept=("--http-01-port",))


def test_another_authenticator_leaves_the_options_of_the_first_behind() -> None:
    assert "--http-01-port" not in kept("--webroot", "-w", "/").kept


def test_nothing_to_say_is_no_sentence() -> None:
    assert Carried().sentences() == []
