"""CAs by short name, and what a CA says of itself."""

from __future__ import annotations

import base64

import pytest

from tests.integration.cli import Acmectl
from tests.integration.servers.hostile import HostileServer, answer, dribble
from tests.integration.servers.lets_encrypt import lets_encrypt
from tests.integration.servers.pebble import GOOGLE, Pebble, PebbleConfig, Profile

GOOGLE_URL = "https://dv.acme-v02.api.pki.goog/directory"
LETS_ENCRYPT_URL = "https://acme-v02.api.letsencrypt.org/directory"
SECRET = base64.urlsafe_b64encode(b"0123456789abcdef" * 4).rstrip(b"=").decode()


@pytest.fixture(scope="module")
def rich():
    config = PebbleConfig(
        eab_keys={"kid-1": SECRET},
        profiles={"six-days": Profile(description="short ones \x1b[31m"), "usual": Profile()},
        caa_identities=("ca.example", "other.example"),
    )
    with Pebble(config) as server:
        yield server


def test_the_list_needs_no_network_and_no_directory(tmp_path):
    with Acmectl(None, tmp_path) as acmectl:
        done = acmectl.run("ca").ok()
        assert "* letsencrypt\n" in done.out
        assert f"Directory: {GOOGLE_URL}\n" in done.out
        assert "* buypass\nCA: Buypass Go SSL\nEnded: 2025-10\n" in done.out
        assert not acmectl.config.exists()
        rows = {row["name"]: row for row in acmectl.run("ca", "--json").ok().json["cas"]}
    assert rows["google"]["url"] == GOOGLE_URL
    assert (rows["google"]["eab"], rows["google"]["staging"]) == (True, "google-test")
    assert rows["letsencrypt"]["limits"][1] == {
        "what": "certificates per registered domain",
        "count": 50,
        "seconds": 604800,
    }


@pytest.mark.parametrize("by", ["argument", "option"])
def test_a_ca_shows_what_it_offers(rich, tmp_path, by):
    with Acmectl(rich, tmp_path) as acmectl:
        words = ("ca", rich.directory_url) if by == "argument" else ("ca",)
        out = acmectl.run(*words).ok().out
        assert f"Directory: {rich.directory_url}\n" in out
        assert "Terms of service: data:text/plain" in out
        assert "External account binding: required (--eab-kid, --eab-hmac-key)\n" in out
        assert "CAA identities: ca.example, other.example\n" in out
        assert "  six-days: short ones " in out
        assert "\x1b" not in out
        assert f"Change of account keys: https://127.0.0.1:{rich.port}/" in out
        assert f"Renewal information (ARI): https://127.0.0.1:{rich.port}/" in out
        assert "Authorization before an order: not offered\n" in out
        seen = acmectl.run(*words, "--json").ok().json
        assert seen["schema"] == "acmectl.ca/1"
        assert seen["external_account_required"] is True
        assert set(seen["profiles"]) == {"six-days", "usual"}
        assert seen["caa_identities"] == ["ca.example", "other.example"]
        assert seen["endpoints"]["newAuthz"] is None
        assert seen["endpoints"]["newAccount"].endswith("/sign-me-up")
        assert seen["known_as"] is None
        assert acmectl.account_dirs() == []


def test_by_short_name_the_ca_itself_is_asked_and_the_table_adds_what_it_knows(rich, tmp_path):
    with Acmectl(rich, tmp_path) as acmectl, lets_encrypt(rich) as (env, asked):
        trust = ("--ca-bundle", str(rich.ca_bundle))
        done = acmectl.run("ca", "google", *trust, env=env, server=False).ok()
        assert asked == [f"{GOOGLE[0]}:443"]
        assert "* google\nCA: Google Trust Services\n" in done.out
        assert "Challenges: http-01, dns-01, tls-alpn-01, dns-persist-01\n" in done.out
        seen = acmectl.run("ca", "google", "--json", *trust, env=env, server=False).ok().json
        assert seen["url"] == GOOGLE_URL
        assert seen["known_as"]["name"] == "google"


def test_what_is_stored_is_the_url(pebble, tmp_path):
    with Acmectl(pebble, tmp_path) as acmectl, lets_encrypt(pebble) as (env, _asked):
        trust = ("--ca-bundle", str(pebble.ca_bundle), "--http-01-port", str(pebble.http_port))
        flags = ("--server", "letsencrypt", "--agree-tos", "--standalone", "-d", "a.example")
        acmectl.run("certonly", "-n", *flags, *trust, env=env, server=False).ok()
        assert acmectl.params("a.example")["server"] == LETS_ENCRYPT_URL
        (account,) = acmectl.account_dirs()
        assert account.parent == acmectl.config / "accounts" / "acme-v02.api.letsencrypt.org" / "directory"
        # The short name and the URL are one CA: the same account is used.
        acmectl.run("renew", "--force-renewal", "--server", "LetsEncrypt", *trust, env=env, server=False).ok()
        assert acmectl.account_dirs() == [account]
        assert acmectl.version("a.example") == 2


def test_a_dry_run_of_a_google_certificate_asks_google_s_test(rich, tmp_path):
    eab = {"ACMECTL_EAB_KID": "kid-1", "ACMECTL_EAB_HMAC_KEY": SECRET}
    with Acmectl(rich, tmp_path) as acmectl, lets_encrypt(rich) as (proxy, asked):
        trust = ("--ca-bundle", str(rich.ca_bundle), "--http-01-port", str(rich.http_port))
        flags = ("--server", "google", "--agree-tos", "--standalone", "-d", "a.example")
        env = {**proxy, **eab}
        acmectl.run("certonly", "-n", *flags, *trust, env=env, server=False).ok()
        assert set(asked) == {f"{GOOGLE[0]}:443"}
        asked.clear()
        acmectl.run("renew", "--dry-run", *trust, env=env, server=False).ok()
        assert f"{GOOGLE[1]}:443" in asked
        assert acmectl.version("a.example") == 1
        assert acmectl.params("a.example")["server"] == GOOGLE_URL


@pytest.mark.parametrize(
    ("server", "code", "words"),
    [("gogle", 2, "google"), ("buypass", 1, "ended 2025-10"), ("harica", 1, "https://acme-v02.harica.gr/")],
)
def test_a_name_that_cannot_be_used_is_one_line(tmp_path, server, code, words):
    with Acmectl(None, tmp_path) as acmectl:
        for argv in (("certonly", "-n", "--standalone", "-d", "a.example", "--server", server), ("ca", server)):
            done = acmectl.run(*argv).failed(code)
            assert len(done.errors) == 1
            assert words in done.errors[0]
        assert not acmectl.config.exists()


@pytest.mark.parametrize(
    "url",
    [
        "https://[::1",
        "https://127.0.0.1:99999/dir",
        "https://me:s3cret@127.0.0.1/dir",
        "https://",
        "ftp://ca.example/dir",
    ],
)
def test_a_url_that_cannot_be_used_is_one_line(tmp_path, url):
    with Acmectl(None, tmp_path) as acmectl:
        for argv in (("certonly", "-n", "--standalone", "-d", "a.example", "--server", url), ("ca", url)):
            done = acmectl.run(*argv).failed()
            assert len(done.errors) == 1
            assert ("is not an https URL" in done.err) is url.startswith("ftp:")
            assert "s3cret" not in done.err


def redirect(target):
    return answer(status=302, headers={"Location": target})


@pytest.mark.parametrize(
    ("action", "words"),
    [
        (answer(b"<html>Welcome</html>"), "URL of an ACME directory"),
        (answer({"hello": "world"}), "URL of an ACME directory"),
        (answer([]), "URL of an ACME directory"),
        (answer(b""), "URL of an ACME directory"),
        (answer(status=404), "URL of an ACME directory"),
        (answer(status=403), "HTTP 403"),
        (redirect("https://elsewhere.example/dir"), "redirects the request elsewhere"),
        (redirect("http://127.0.0.1/dir"), "redirects the request elsewhere"),
        (redirect("/dir"), "redirects in circles"),
        (dribble(b"HTTP/1.1 200 X\r\n\r\n", b"x" * 200_000, 0.001), "more than 1048576 octets"),
        (answer(status=503, headers={"Retry-After": "7200"}), "overloaded"),
    ],
    ids=["page", "json", "list", "nothing", "not found", "forbidden", "away", "http", "loop", "oversize", "overload"],
)
def test_a_server_that_is_no_ca_is_one_line(tmp_path, action, words):
    with HostileServer({"/dir": action}) as server, Acmectl(None, tmp_path) as acmectl:
        trust = ("--ca-bundle", str(server.ca_bundle))
        done = acmectl.run("ca", f"{server.url}/dir", *trust).failed()
        assert len(done.errors) == 1
        assert words in done.err
        assert not acmectl.config.exists()
