"""certonly on an existing certificate: what is kept, what is not, and that it is said."""

from __future__ import annotations

from tests.integration.cli import Acmectl

NAME = "again.example"
HOOKS = ("--pre-hook", "true", "--deploy-hook", "true", "--hook-timeout", "77")
KEY = ("--key-type", "rsa", "--rsa-key-size", "3072", "--reuse-key")


def test_stored_options_are_kept_the_key_starts_anew_and_both_are_said(acmectl: Acmectl) -> None:
    acmectl.certonly(NAME, options=("--standalone", *HOOKS, *KEY))
    first = acmectl.certificate(NAME).public_key()
    done = acmectl.run("certonly", "-n", "--force-renewal", "-d", NAME, "--pre-hook", "echo new").ok()
    kept = next(line for line in done.out.splitlines() if line.startswith("Kept as they were stored:"))
    for option in ("--authenticator", "--deploy-hook", "--hook-timeout"):
        assert option in kept
    assert "--pre-hook" not in kept
    assert "--server" not in kept
    assert "Not kept, because certonly chooses the key anew: --rsa-key-size, --reuse-key." in done.out
    params = acmectl.params(NAME)
    assert (params["pre_hook"], params["renew_hook"]) == ("echo new", "true")
    assert "reuse_key" not in params
    assert "rsa_key_size" not in params
    second = acmectl.certificate(NAME).public_key()
    assert (first.key_size, second.key_size) == (3072, 2048)
    assert params["key_type"] == "rsa"


def test_the_kept_options_are_in_the_json_result_and_silent_under_quiet(acmectl: Acmectl) -> None:
    acmectl.certonly(NAME, options=("--standalone", *HOOKS))
    again = ("certonly", "-n", "--force-renewal", "-d", NAME)
    found = acmectl.run(*again, "--json").ok().json
    assert found["reset_options"] == []
    assert {"--deploy-hook", "--pre-hook", "--hook-timeout", "--authenticator"} <= set(found["kept_options"])
    assert acmectl.run(*again, "-q").ok().out == ""


def test_a_new_certificate_and_one_that_is_left_alone_say_nothing_of_it(acmectl: Acmectl) -> None:
    new = acmectl.certonly(NAME, options=("--standalone", *HOOKS))
    kept = acmectl.run("certonly", "-n", "-d", NAME).ok()
    assert "Kept as" not in new.out + kept.out
