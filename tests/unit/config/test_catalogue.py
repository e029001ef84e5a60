"""CAs by short name: what the name means, and when the table is read at all."""

from __future__ import annotations

import subprocess
import sys

import pytest

from acmectl.cli.requests import ca_of
from acmectl.config.catalogue import CATALOGUE, known, profile_limit, staging_of
from acmectl.config.settings import Source
from acmectl.errors import ConfigError, UsageError
from tests.unit.cli.lines import at_home, settings

GOOGLE = "https://dv.acme-v02.api.pki.goog/directory"
GOOGLE_TEST = "https://dv.acme-v02.test-api.pki.goog/directory"
STAGING = "https://acme-staging-v02.api.letsencrypt.org/directory"


@pytest.fixture(autouse=True)
def home(monkeypatch, tmp_path):
    return at_home(monkeypatch, tmp_path)


@pytest.mark.parametrize("word", ["google", "Google", " google "])
def test_a_short_name_becomes_the_url_at_the_door(word):
    given = settings("certonly", "--server", word)
    assert given.text("server") == GOOGLE
    assert given.stored()["server"] == GOOGLE
    assert given.source("server") is Source.FLAG


def test_so_it_does_in_a_file_and_in_the_environment(home, monkeypatch):
    (home / "cli.ini").write_text("server = google\n")
    assert settings("certonly").text("server") == GOOGLE
    monkeypatch.setenv("ACMECTL_SERVER", "google-test")
    assert settings("certonly").text("server") == GOOGLE_TEST


def test_several_are_kept_in_their_order_and_each_once(home, monkeypatch):
    (home / "cli.ini").write_text("server = zerossl, google\n")
    assert settings("certonly").items("servers")[1] == GOOGLE
    monkeypatch.setenv("ACMECTL_SERVER", "google,https://ca.example/dir")
    assert settings("certonly").items("servers") == (GOOGLE, "https://ca.example/dir")
    given = settings("certonly", "--server", "google-test", "--server", "google,google-test")
    assert given.items("servers") == (GOOGLE_TEST, GOOGLE)
    assert given.text("server") == GOOGLE_TEST
    assert given.own_stored()["servers"] == (GOOGLE_TEST, GOOGLE)
    alone = settings("certonly", "--server", "google", "--server", "google")
    assert (alone.items("servers"), alone.text("server")) == ((), GOOGLE)
    assert alone.is_set("servers")


def test_staging_by_short_name_and_by_flag_agree():
    given = settings("certonly", "--server", "letsencrypt-staging", "--staging")
    assert ca_of(given).server == STAGING


def test_a_name_that_is_not_known_is_told_with_the_nearest_and_where_it_stands(home):
    with pytest.raises(UsageError, match=r"--server: 'letsencrpyt' is neither .* mean letsencrypt"):
        settings("certonly", "--server", "letsencrpyt")
    with pytest.raises(UsageError, match="--server: the CA is missing"):
        settings("certonly", "--server", " , ")
    (home / "cli.ini").write_text("email = a@a.example\nserver = qqqqqqq\n")
    with pytest.raises(UsageError, match=r"cli\.ini line 2: 'qqqqqqq' is neither [^(]*$"):
        settings("certonly")


def test_a_ca_that_is_gone_and_one_without_a_common_url_are_answered():
    with pytest.raises(ConfigError, match="Buypass Go SSL ended 2025-10"):
        settings("certonly", "--server", "buypass")
    with pytest.raises(ConfigError, match="https://acm-acme-enroll"):
        settings("certonly", "--server", "aws")


def test_each_row_says_what_can_be_used():
    names = [ca.name for ca in CATALOGUE]
    assert len(set(names)) == len(names)
    for ca in CATALOGUE:
        assert sum(what is not None for what in (ca.url, ca.url_like, ca.ended)) == 1
        assert ca.url is None or ca.url.startswith("https://")
        assert ca.staging is None or known(staging_of(ca.url)) is not None


@pytest.mark.parametrize(
    ("server", "staging"),
    [
        ("https://acme-v02.api.letsencrypt.org/directory", STAGING),
        (STAGING, STAGING),
        (GOOGLE, GOOGLE_TEST),
        (GOOGLE_TEST, GOOGLE_TEST),
    ],
)
def test_a_dry_run_goes_to_what_the_ca_has_for_it(server, staging):
    ca = ca_of(settings("renew", "--dry-run").with_renewal({"server": server}, "a.conf"))
    assert ca.server == staging
    assert ca.finalize


def test_a_dry_run_of_another_ca_is_not_finalized():
    ca = ca_of(settings("renew", "--dry-run").with_renewal({"server": "https://ca.example/dir"}, "a.conf"))
    assert ca.server == "https://ca.example/dir"
    assert not ca.finalize


@pytest.mark.parametrize(
    ("server", "loaded"), [((), False), (("--server", "https://ca.example/dir"), False), (("--server", "google"), True)]
)
def test_the_table_is_read_for_a_short_name_only(server, loaded):
    script = (
        "import sys; from acmectl.cli import params; from acmectl.config.options import table;"
        "params.settings_of(params.parse(sys.argv[1:], table()));"
        "print('acmectl.config.catalogue' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, "certonly", *server], capture_output=True, text=True, check=True
    )
    assert done.stdout == f"{loaded}\n"


def test_how_many_names_a_profile_allows_is_known_where_the_ca_says_so():
    for url in ("https://acme-v02.api.letsencrypt.org/directory", STAGING):
        allowed = {
            name: limit.names
            for name in (None, "classic", "tlsserver", "shortlived")
            if (limit := profile_limit(url, name))
        }
        assert allowed == {None: 100, "classic": 100, "tlsserver": 25, "shortlived": 25}
        assert profile_limit(url, "gold") is None
    assert profile_limit(GOOGLE, None) is None
    assert profile_limit("https://ca.example/dir", "classic") is None
