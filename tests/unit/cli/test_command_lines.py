"""What command lines mean: verbs anywhere, abbreviations, clusters, values that look like something else."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import pytest

from acmectl.config.options import table
from acmectl.config.settings import Source
from acmectl.errors import AcmectlError, ConfigError, UsageError
from tests.unit.cli.lines import at_home, settings

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    at_home(monkeypatch, tmp_path)
    (tmp_path / "x.csr").write_text("x")
    return tmp_path


UNDERSTOOD = [
    # The verb, anywhere, and never an option's value.
    ("", "certonly", {}),
    ("certonly", "certonly", {}),
    ("auth", "certonly", {}),
    ("run", "certonly", {}),
    ("everything", "certonly", {}),
    ("renew", "renew", {}),
    ("-n renew", "renew", {"non_interactive": True}),
    ("-d domain.example.com --manual --preferred-challenges dns certonly", "certonly",
     {"domains": ("domain.example.com",), "manual": True, "preferred_challenges": ("dns-01",)}),
    ("--cert-name run", "certonly", {"cert_name": "run"}),
    ("-d run certonly", "certonly", {"domains": ("run",)}),
    ("-d renew -d certonly", "certonly", {"domains": ("renew", "certonly")}),
    ("--cert-name delete certificates", "certificates", {"cert_name": "delete"}),
    ("--cert-name=renew delete", "delete", {"cert_name": "renew"}),
    ("-drenew", "certonly", {"domains": ("renew",)}),
    ("--deploy-hook renew certonly", "certonly", {"deploy_hook": "renew"}),
    ("-- renew", "renew", {}),
    # Several names.
    ("-d a.example -d b.example", "certonly", {"domains": ("a.example", "b.example")}),
    ("-d a.example,b.example", "certonly", {"domains": ("a.example", "b.example")}),
    ("-d 'a.example, b.example' --domain c.example", "certonly", {"domains": ("a.example", "b.example", "c.example")}),
    ("--domains a.example,,", "certonly", {"domains": ("a.example",)}),
    ("--ip-address 192.0.2.1 --ip-address 2001:db8::1", "certonly", {"ip_address": ("192.0.2.1", "2001:db8::1")}),
    # Abbreviations: certbot's options first.
    ("--preferred-challenge http", "certonly", {"preferred_challenges": ("http-01",)}),
    ("--preferred-chal dns,http", "certonly", {"preferred_challenges": ("dns-01", "http-01")}),
    ("--domai a.example", "certonly", {"domains": ("a.example",)}),
    ("--force-r", "certonly", {"force_renewal": True}),
    ("--keep", "certonly", {"keep_until_expiring": True}),
    ("--reinst", "certonly", {"keep_until_expiring": True}),
    ("--renew-by-default", "certonly", {"force_renewal": True}),
    ("--no-reuse", "certonly", {"reuse_key": False}),
    ("--test", "certonly", {"staging": True}),
    ("--dry", "certonly", {"dry_run": True}),
    ("--webroot-p /srv", "certonly", {"webroot_path": ("/srv",)}),
    ("--lock 5", "certonly", {"lock_timeout": 5}),
    ("--pref 1", UsageError, "--preferred-chain"),
    ("--challenge /srv/acme", "certonly", {"challenge_dir": "/srv/acme"}),
    ("--acme-dir=/srv/acme", "certonly", {"challenge_dir": "/srv/acme"}),
    # Short options, alone and in clusters.
    ("-nvd x.example", "certonly", {"non_interactive": True, "verbose": 1, "domains": ("x.example",)}),
    ("-vvv", "certonly", {"verbose": 3}),
    ("-v -n -v", "certonly", {"verbose": 2}),
    ("-nvdx.example", "certonly", {"domains": ("x.example",)}),
    ("-d=x.example", "certonly", {"domains": ("x.example",)}),
    ("-qn", "certonly", {"quiet": True, "non_interactive": True}),
    ("-a standalone", "certonly", {"authenticator": "standalone"}),
    ("-m a@example.org,b@example.org", "certonly", {"email": ("a@example.org", "b@example.org")}),
    ("-i null --standalone", "certonly", {"installer": "null", "authenticator": "standalone"}),
    # Values: with =, empty, beginning with a dash, negative, last one wins.
    ("--cert-name=a=b", "certonly", {"cert_name": "a=b"}),
    ("--user-agent ''", "certonly", {"user_agent": ""}),
    ("--user-agent=", "certonly", {"user_agent": ""}),
    ("--eab-hmac-key=-abc --eab-kid k", "certonly", {"eab_hmac_key": "-abc"}),
    ("--eab-hmac-key -Zbc_", "certonly", {"eab_hmac_key": "-Zbc_"}),
    ("--pre-hook '-x y'", "certonly", {"pre_hook": "-x y"}),
    ("--pre-hook 'echo --dry-run renew'", "certonly", {"pre_hook": "echo --dry-run renew", "dry_run": False}),
    ("--fullchain-path - --csr x.csr", "certonly", {"fullchain_path": "-"}),
    ("--cert-name a --cert-name b", "certonly", {"cert_name": "b"}),
    ("--reuse-key --no-reuse-key", "certonly", {"reuse_key": False}),
    ("--no-reuse-key --reuse-key", "certonly", {"reuse_key": True}),
    ("--rsa-key-size 4096 --key-type rsa", "certonly", {"rsa_key_size": 4096, "key_type": "rsa"}),
    ("--reason KeyCompromise --cert-name x revoke", "revoke", {"reason": "keycompromise"}),
    ("--timer-interval 90m renew", "renew", {"timer_interval": 5400}),
    # Options that only switch off, options with three states.
    ("--no-autorenew", "certonly", {"autorenew": False}),
    ("", "certonly", {"autorenew": True, "directory_hooks": True, "preflight": None, "delete_after_revoke": None}),
    ("--no-directory-hooks", "certonly", {"directory_hooks": False}),
    ("--no-preflight", "certonly", {"preflight": False}),
    ("--preflight", "certonly", {"preflight": True}),
    ("--no-delete-after-revoke --cert-name x revoke", "revoke", {"delete_after_revoke": False}),
    # Every option with every verb.
    ("plugins --standalone -d a.example --email x@example.org", "plugins", {"domains": ("a.example",)}),
    ("certificates --deploy-hook true", "certificates", {"deploy_hook": "true"}),
    ("plugins standalone", "plugins", {}),
    # The authenticator, however it is chosen.
    ("--standalone", "certonly", {"authenticator": "standalone"}),
    ("--webroot -a webroot", "certonly", {"authenticator": "webroot"}),
    ("--dns-cloudflare --dns-cloudflare-credentials /x", "certonly",
     {"authenticator": "dns-cloudflare", "dns_cloudflare_credentials": "/x"}),
    ("--nginx", "certonly", {"authenticator": "nginx", "installer": "nginx"}),
    ("--configurator null", "certonly", {"authenticator": "null", "installer": "null"}),
    # Short key types.
    ("--key-type ec384", "certonly", {"key_type": "ecdsa", "elliptic_curve": "secp384r1"}),
    ("--key-type rsa4096", "certonly", {"key_type": "rsa", "rsa_key_size": 4096}),
    ("--key-type rsa4096 --rsa-key-size 4096", "certonly", {"key_type": "rsa", "rsa_key_size": 4096}),
    # certbot's old and hidden options.
    ("-t --text --no-self-upgrade --os-packages-only", "certonly", {}),
    ("--renew-hook x", "certonly", {"deploy_hook": "x"}),
    ("--no-random-sleep-on-renew renew", "renew", {"random_sleep_on_renew": False}),
    ("--redirect --no-hsts --checkpoints 3", "certonly", {}),
]  # fmt: skip

REFUSED = [
    ("--nope", UsageError, "There is no option --nope"),
    ("--hlep", UsageError, "--hlep"),
    ("-Z", UsageError, "There is no option -Z"),
    ("-nZ", UsageError, "-Z in -nZ"),
    ("foo", UsageError, "There is no command 'foo'"),
    ("example.com", UsageError, "There is no command 'example.com'"),
    ("certonly renew", UsageError, "Two commands are given: certonly and renew"),
    ("certonly a.example", UsageError, "takes no argument"),
    ("run auth", UsageError, "Two commands"),
    ("update_symlinks", UsageError, "There is no command"),
    ("--cert-name", UsageError, "--cert-name needs a value"),
    ("--cert-name --dry-run", UsageError, "--cert-name needs a value, but the option --dry-run follows"),
    ("--cert-name --dry-rnu", UsageError, "--cert-name needs a value"),
    ("-d -n", UsageError, "-d needs a value"),
    ("-nd", UsageError, "-d needs a value"),
    ("--cert-name --", UsageError, "--cert-name needs a value"),
    ("--dry-run=yes", UsageError, "--dry-run takes no value"),
    ("--no-reuse-key=1", UsageError, "--no-reuse-key takes no value"),
    ("--d a.example", UsageError, "may mean"),
    ("--key-type rsaa", UsageError, "did you mean rsa?"),
    ("--key-type RSA", UsageError, "--key-type: 'RSA' is not one of"),
    ("--elliptic-curve p256", UsageError, "--elliptic-curve"),
    ("--preferred-challenges tls-sni-01", UsageError, "--preferred-challenges"),
    ("--preferred-challenges http,ftp", UsageError, "'ftp'"),
    ("--reason compromised revoke", UsageError, "--reason"),
    ("--rsa-key-size big", UsageError, "--rsa-key-size: 'big' is not a whole number"),
    ("--rsa-key-size 2048.5", UsageError, "not a whole number"),
    ("--rsa-key-size -5", UsageError, "too small"),
    ("--max-log-backups -1", UsageError, "--max-log-backups: -1 is too small"),
    ("--http-01-port 70000", UsageError, "too large"),
    ("--http-01-port 0", UsageError, "too small"),
    ("--jobs 0", UsageError, "too small"),
    ("--timer-interval soon", UsageError, "not a time"),
    ("-d ''", UsageError, "-d"),
    ("--config-dir ''", UsageError, "--config-dir"),
    ("-c missing.ini", UsageError, "does not exist"),
    ("--csr missing.csr", UsageError, "cannot be read"),
    ("--manual-public-ip-logging-ok", UsageError, "There is no option"),
    ("--user-agent-comment 'x (y)'", UsageError, "parentheses"),
    ("-n --force-interactive", ConfigError, "contradict"),
    ("renew --force-interactive", ConfigError, "renew"),
    ("renew -d a.example", ConfigError, "renew takes the names"),
    ("renew --csr x.csr", ConfigError, "--csr"),
    ("--csr x.csr --allow-subset-of-names", ConfigError, "--allow-subset-of-names"),
    ("--csr x.csr --key pkcs11:object=a", ConfigError, "--csr and --key"),
    ("delete --key pkcs11:object=a", ConfigError, "--key can only be used with"),
    ("renew --key pkcs11:object=a", ConfigError, "renew needs --cert-name"),
    ("--key pkcs11:object=a --new-key", ConfigError, "--key and --new-key"),
    ("--key pkcs11:object=a --no-reuse-key", ConfigError, "--key and --no-reuse-key"),
    ("-d '*.a.example' --allow-subset-of-names", ConfigError, "wildcard"),
    ("certificates --dry-run", ConfigError, "--dry-run"),
    ("--staging --server https://ca.example/dir", ConfigError, "--staging"),
    ("--http-01-port 443", ConfigError, "same port"),
    ("revoke", ConfigError, "revoke needs either"),
    ("revoke --cert-name a --cert-path b", ConfigError, "revoke needs either"),
    ("--webroot --standalone", ConfigError, "Two authenticators"),
    ("-a webroot --standalone", ConfigError, "webroot (--authenticator) and standalone (--standalone)"),
    ("--nginx -i null", ConfigError, "Two installers"),
    ("--key-type ec256 --elliptic-curve secp384r1", ConfigError, "--elliptic-curve says secp384r1"),
    ("-w /srv --challenge-dir /srv/acme", ConfigError, "--challenge-dir"),
]


@pytest.mark.parametrize(("line", "verb", "values"), UNDERSTOOD, ids=[row[0] or "nothing" for row in UNDERSTOOD])
def test_a_command_line_means_what_certbot_takes_it_for(
    line: str, verb: str | type[AcmectlError], values: dict[str, object] | str
) -> None:
    if not isinstance(values, dict):
        assert isinstance(verb, type)
        with pytest.raises(verb, match=values):
            settings(*shlex.split(line))
        return
    found = settings(*shlex.split(line))
    assert found.verb == verb
    assert {dest: found.value(dest) for dest in values} == values


@pytest.mark.parametrize(
    ("line", "asks"),
    [
        ("", True),
        ("--force-interactive", True),
        ("-q --force-interactive", False),
        ("--json --force-interactive", False),
        ("-n", False),
        ("renew", False),
    ],
)
def test_quiet_and_json_never_ask(line: str, asks: bool) -> None:
    assert settings(*line.split()).interactive is asks


@pytest.mark.parametrize(("line", "error", "text"), REFUSED, ids=[row[0] for row in REFUSED])
def test_what_cannot_be_understood_is_refused_in_one_line(line: str, error: type[AcmectlError], text: str) -> None:
    with pytest.raises(error) as caught:
        settings(*shlex.split(line))
    said = f"{caught.value.message} {caught.value.hint or ''}"
    assert text.removeprefix("-d") in said
    assert "\n" not in said
    assert caught.value.exit_code == (2 if error is UsageError else 1)


def test_a_mistyped_option_or_command_is_answered_with_the_nearest_one() -> None:
    for line, near in (("--standalon3", "--standalone"), ("--dryrun", "--dry-run"), ("certonyl", "certonly")):
        with pytest.raises(UsageError) as caught:
            settings(line)
        assert caught.value.hint == f"Did you mean {near}?"


def test_a_bare_name_as_command_is_answered_with_how_names_are_given() -> None:
    with pytest.raises(UsageError) as caught:
        settings("example.com")
    assert caught.value.hint is not None
    assert "-d example.com" in caught.value.hint


def test_the_source_and_origin_of_a_flag_are_known() -> None:
    found = settings("--key-type", "rsa", "--no-reuse-key", "-d", "a.example")
    assert found.source("key_type") is Source.FLAG
    assert found.origin("key_type") == "--key-type"
    assert found.origin("reuse_key") == "--no-reuse-key"
    assert found.is_set("reuse_key")
    assert not found.is_set("rsa_key_size")
    assert found.source("rsa_key_size") is Source.DEFAULT


def test_names_and_webroots_keep_their_order() -> None:
    found = settings("-w", "/one", "-d", "a.example,b.example", "-w", "/two", "--ip-address", "192.0.2.1")
    assert [(given.dest, given.text) for given in found.named] == [
        ("webroot_path", "/one"),
        ("domains", "a.example"),
        ("domains", "b.example"),
        ("webroot_path", "/two"),
        ("ip_address", "192.0.2.1"),
    ]


def test_relative_paths_become_absolute_when_they_are_given(home: Path) -> None:
    found = settings("--config-dir", "x", "--cert-path", "../c.pem", "-w", "www")
    assert found.directory("config_dir") == home / "x"
    assert found.text("cert_path") == str(home.parent / "c.pem")
    assert found.items("webroot_path") == (str(home / "www"),)


def test_options_without_effect_are_accepted_with_a_warning_each() -> None:
    found = settings("--no-self-upgrade", "--no-redirect", "--no-redirect")
    assert found.warnings == (
        "--no-self-upgrade is ignored: it has no effect any more.",
        "--no-redirect is ignored: acmectl does not edit the configuration of web servers.",
    )


def test_what_is_stored_is_what_was_given_by_the_keys_of_renewal_files() -> None:
    found = settings("--deploy-hook", "x", "--preferred-challenges", "dns", "--no-autorenew", "--key-type", "ec384",
                     "--standalone", "--hook-timeout", "5", "--dry-run", "--eab-kid", "k")  # fmt: skip
    stored = found.stored()
    assert stored.pop("config_dir") == found.text("config_dir")
    assert stored == {
        "renew_hook": "x",
        "pref_challs": ("dns-01",),
        "autorenew": False,
        "key_type": "ecdsa",
        "elliptic_curve": "secp384r1",
        "authenticator": "standalone",
    }
    assert found.own_stored() == {"hook_timeout": 5}


def test_a_renewal_file_beats_defaults_and_nothing_that_was_given() -> None:
    found = settings("--key-type", "rsa").with_renewal({"key_type": "ecdsa", "rsa_key_size": 3072}, "a.conf")
    assert (found.text("key_type"), found.integer("rsa_key_size")) == ("rsa", 3072)
    assert found.source("rsa_key_size") is Source.RENEWAL
    assert found.origin("rsa_key_size") == "a.conf"
    assert not found.is_set("rsa_key_size")


def test_the_options_of_a_plugin_come_without_its_prefix() -> None:
    assert settings("--manual-auth-hook", "x").plugin_values("manual") == {"auth_hook": "x", "cleanup_hook": None}
    assert settings("-w", "/srv").plugin_values("webroot") == {"path": ("/srv",), "map": None, "challenge_dir": None}


def test_certbots_options_are_never_made_ambiguous_by_our_own() -> None:
    options = table()
    certbots = [row for row in options.rows if row.certbot]
    for row in certbots:
        for name in row.names:
            for length in range(4, len(name) + 1):
                prefix = name[:length]
                meanings = options.by_prefix(prefix)
                assert all(options.by_dest[_dest(options, meaning)].certbot for meaning in meanings), prefix


def _dest(options: object, name: str) -> str:
    found = options.exact(name)  # type: ignore[attr-defined]
    assert found is not None
    return str(found[0].destination)
