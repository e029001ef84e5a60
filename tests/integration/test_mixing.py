"""Several authenticators in one certificate: who answers for what, and where it is remembered."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.cli import Acmectl
from tests.integration.hosts import dns_hooks, notes
from tests.integration.servers.dns_lab import DnsLab
from tests.integration.servers.pebble import Pebble
from tests.integration.servers.static import static_server

NAMES = ("-d", "mix.example", "-d", "*.mix.example", "-d", "www.mix.example")


@pytest.fixture
def by_dns(tmp_path: Path, pebble: Pebble) -> tuple[str, ...]:
    """Hooks for manual that answer dns-01, without the flags that choose it."""
    flags = dns_hooks(tmp_path, pebble.dns)
    return flags[flags.index("--manual-auth-hook") :]


def renew_anew(acmectl: Acmectl, pebble: Pebble, folder: Path) -> None:
    """Renew, all three names by challenges; ``answered`` then tells of that alone."""

    def renew() -> None:
        (folder / "auth").unlink(missing_ok=True)
        acmectl.run("renew", "--force-renewal").ok()

    pebble.authorized_anew(renew, 3)
    assert acmectl.version("mix.example") >= 2


def answered(folder: Path) -> list[str]:
    return sorted(row["CERTBOT_DOMAIN"] for row in notes(folder / "auth"))


def test_webroot_for_names_and_dns_for_the_wildcard_in_one_order(
    acmectl: Acmectl, pebble: Pebble, public_folder: Path, tmp_path: Path, by_dns: tuple[str, ...]
) -> None:
    with static_server(public_folder, pebble.http_port):
        argv = ("certonly", "-n", "--agree-tos", "--webroot", "-w", str(public_folder), *NAMES)
        mixed = ("--authenticator-for", "*.mix.example=manual", "--preferred-challenges", "dns,http")
        acmectl.run(*argv, *mixed, *by_dns).ok()
        assert sorted(acmectl.names("mix.example")) == ["*.mix.example", "mix.example", "www.mix.example"]
        assert answered(tmp_path) == ["mix.example", "www.mix.example"]
        assert acmectl.params("mix.example")["authenticator"] == "webroot"
        assert "manual_auth_hook" not in acmectl.params("mix.example")
        assert "authenticator_for" not in acmectl.params("mix.example")

        renew_anew(acmectl, pebble, tmp_path)
        assert answered(tmp_path) == ["mix.example", "www.mix.example"]


def test_webroot_for_one_name_only_is_remembered_too(
    acmectl: Acmectl, pebble: Pebble, public_folder: Path, tmp_path: Path, by_dns: tuple[str, ...]
) -> None:
    with static_server(public_folder, pebble.http_port):
        argv = ("certonly", "-n", "--agree-tos", "--manual", *by_dns, "--preferred-challenges", "dns,http")
        mixed = ("--authenticator-for", "www.mix.example=webroot", "-w", str(public_folder))
        acmectl.run(*argv, *mixed, *NAMES).ok()
        params = acmectl.params("mix.example")
        assert params["authenticator"] == "manual"
        assert not {"webroot_path", "webroot_map"} & set(params)
        assert answered(tmp_path) == ["mix.example", "mix.example"]
        renew_anew(acmectl, pebble, tmp_path)
    assert answered(tmp_path) == ["mix.example", "mix.example"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--authenticator-for", "mix.example"), "is not PATTERN=AUTHENTICATOR"),
        (("--authenticator-for", "mix.example=dns-nothing"), "There is no authenticator called 'dns-nothing'"),
        (("--authenticator-for", "mix.example=nginx"), "does not edit the configuration of nginx"),
        (("--authenticator-for", "mix.example=dns-lexicon:work"), "no credentials called work"),
    ],
)
def test_a_choice_that_cannot_be_is_refused_before_an_account_is_made(
    acmectl: Acmectl, options: tuple[str, ...], said: str
) -> None:
    done = acmectl.run("certonly", "-n", "--agree-tos", "--standalone", "-d", "mix.example", *options).failed()
    assert said in done.err
    assert acmectl.account_dirs() == []


def test_two_accounts_at_one_provider_in_one_certificate(dns_lab: DnsLab, dns_pebble: Pebble, tmp_path: Path) -> None:
    limited = dns_lab.rfc2136(tmp_path / "limited.ini", key="limited-key")
    work = dns_lab.rfc2136(tmp_path / "work.ini")
    names = ("-d", "www.example.test", "-d", "other.example.test", "-d", "x.second.test")
    with dns_lab.acmectl(dns_pebble, tmp_path) as acmectl:
        argv = ("certonly", "-n", "--agree-tos", "-a", "dns-rfc2136", "--dns-rfc2136-credentials", str(limited), *names)
        refused = acmectl.run(*argv).failed()
        assert "other.example.test" in refused.out + refused.err
        mixed = ("--dns-credentials", f"work={work}", "--authenticator-for", "www.example.test=dns-rfc2136")
        patterns = (
            "--authenticator-for",
            "*.example.test=dns-rfc2136:work",
            "--authenticator-for",
            "*.test=dns-rfc2136:work",
        )
        acmectl.run(*argv, *mixed, *patterns).ok()
        assert len(acmectl.names("www.example.test")) == 3
        acmectl.run("renew", "--force-renewal").ok()
        assert acmectl.version("www.example.test") == 2
        left = {name for zone in ("example.test", "second.test") for name, _ in dns_lab.all_txt(zone)}
        assert not left & {f"_acme-challenge.{name}" for name in names[1::2]}
