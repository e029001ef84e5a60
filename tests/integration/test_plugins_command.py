"""``acmectl plugins NAME``: options, credentials and an example, for people and for programs."""

from __future__ import annotations

import shlex

import pytest

from tests.integration.cli import Acmectl


@pytest.fixture
def program(tmp_path):
    with Acmectl(None, tmp_path) as program:
        yield program


def details(program, name):
    (one,) = program.run("plugins", name, "--json").ok().json["plugins"]
    return one


def test_a_dns_provider_shows_its_options_its_credentials_and_an_example(program):
    out = program.run("plugins", "dns-ovh").ok().out
    for words in (
        "  --dns-ovh-credentials FILE\n",
        "  --dns-ovh-propagation-seconds SECONDS\n",
        "  dns_ovh_endpoint\n      which API: ovh-eu, ovh-ca",
        "  dns_ovh_consumer_key\n",
        "  # /etc/acmectl/dns-ovh.ini\n  dns_ovh_endpoint = ovh-eu\n",
        "  acmectl certonly --authenticator dns-ovh --dns-ovh-credentials /etc/acmectl/dns-ovh.ini -d",
    ):
        assert words in out
    assert "* webroot" not in out


def test_programs_get_the_same(program):
    one = details(program, "dns-cloudflare")
    assert [row["flags"][0] for row in one["options"]] == [
        "--dns-cloudflare-credentials",
        "--dns-cloudflare-propagation-seconds",
    ]
    assert {entry["key"]: (entry["required"], entry["secret"]) for entry in one["credentials"]} == {
        "dns_cloudflare_api_token": (False, True),
        "dns_cloudflare_email": (False, False),
        "dns_cloudflare_api_key": (False, True),
    }
    assert one["example"]["credentials_file"][0].startswith("dns_cloudflare_api_token = ")
    assert all(line.startswith("# ") for line in one["example"]["credentials_file"][1:])


def test_a_provider_that_takes_any_key_says_so(program):
    assert details(program, "dns-lexicon")["other_credentials"] is True
    assert "other keys are handed on" in program.run("plugins", "dns-lexicon").ok().out


@pytest.mark.parametrize("name", ["webroot", "standalone", "manual"])
def test_the_others_show_the_options_that_they_have(program, name):
    one = details(program, name)
    assert one["credentials"] == []
    assert one["options"]
    out = program.run("plugins", name).ok().out
    for row in one["options"]:
        assert row["flags"][0] in out
        assert row["help"] in out


def test_every_example_is_a_command_line_that_is_understood(program):
    names = [one["name"] for one in program.run("plugins", "--json").ok().json["plugins"] if one["problem"] is None]
    assert {"dns-lexicon", "dns-cloudflare", "dns-rfc2136", "webroot"} <= set(names)
    for name in ("dns-lexicon", "dns-cloudflare", "dns-gandi", "webroot", "standalone", "manual"):
        words = shlex.split(details(program, name)["example"]["command"])
        assert words[:2] == ["acmectl", "certonly"]
        done = program.run(*words[1:], "-n", "--server", "https://127.0.0.1:1/", "--agree-tos")
        assert done.code == 1, str(done)  # 2 would be words that are not understood


def test_without_a_name_the_list_is_short(program):
    plugins = program.run("plugins", "--json").ok().json["plugins"]
    assert not any("options" in one for one in plugins)
    assert "Options:" not in program.run("plugins").ok().out


def test_a_name_that_nobody_has_is_an_error(program):
    assert "There is no authenticator called 'dns-nosuch'" in program.run("plugins", "dns-nosuch").failed().err
