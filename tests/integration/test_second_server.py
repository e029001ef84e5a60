"""Everything that acme2certifier supports, against a real one: nothing may depend on the habits of one ACME server.

Its own habits are tested here too: its chain ends with the root, and it wants an e-mail address.
"""

from __future__ import annotations

import json
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from tests.integration.cli import Acmectl, picture
from tests.integration.servers.acme2certifier import Acme2certifier, Config
from tests.integration.servers.nginx import Nginx
from tests.integration.servers.static import static_server

TERMS = "https://ca.example/terms"
SECRET = "ZndUSkZvVldvMEFiRzQ5VWNCdERtNkNBNnBTcTl4czNKVEVxdUZiaEdpZXZNUVJBVmRuSFREcDJYX2s3X0NxTA"
EAB = ("--eab-kid", "kid-1", "--eab-hmac-key", SECRET)
CHANGE_TXT = """\
#!/usr/bin/env python3
import json, os, urllib.request
body = {"host": f"_acme-challenge.{os.environ['CERTBOT_DOMAIN']}.", "value": os.environ["CERTBOT_VALIDATION"]}
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
opener.open(urllib.request.Request("URL", json.dumps(body).encode(), method="POST"), timeout=10).close()
"""


@pytest.fixture(scope="module")
def server() -> Iterator[Acme2certifier]:
    profiles = {"long": "https://ca.example/long", "short": "https://ca.example/short"}
    with Acme2certifier(Config(profiles=profiles, terms=TERMS, prevalidated=("known.example.com",))) as running:
        yield running


@pytest.fixture
def program(server: Acme2certifier, tmp_path: Path) -> Iterator[Acmectl]:
    with server.acmectl(tmp_path) as acmectl:
        yield acmectl


@pytest.fixture
def acmectl(program: Acmectl) -> Acmectl:
    """With an account."""
    program.run("register", "-n", "--agree-tos", "-m", "me@example.com").ok()
    return program


def later(acmectl: Acmectl, *args: str) -> tuple[dict[str, object], list[str]]:
    """The result of a run that is told nothing about the CA, and the requests that it made."""
    server = acmectl.pebble
    assert server is not None
    before = len(server.requests())
    content = acmectl.run(*args, "--json", server=False, env={"REQUESTS_CA_BUNDLE": str(server.ca_bundle)}).ok().json
    return content, [kind(request) for request in server.requests()[before:]]


def kind(request: str) -> str:
    """``POST /acme/order/x/finalize`` as ``order/finalize``."""
    words = request.split("/acme/")[-1].split("/")
    return "/".join([words[0], *words[2:]])


def account_url(acmectl: Acmectl) -> str:
    (folder,) = acmectl.account_dirs()
    return str(json.loads((folder / "regr.json").read_text())["uri"])


# One test alone gives an account up: from the second on, this server stumbles over a constraint of its own database.
def test_an_account_is_made_shown_changed_and_given_up(acmectl: Acmectl) -> None:
    first = account_url(acmectl)
    shown = acmectl.run("show_account").ok().out
    assert first in shown
    assert "me@example.com" in shown
    acmectl.run("update_account", "-n", "-m", "you@example.com").ok()
    assert "you@example.com" in acmectl.run("show_account").ok().out
    acmectl.certonly("kept.example.com")
    assert account_url(acmectl) == first
    (folder,) = acmectl.account_dirs()
    kept = {path: path.read_bytes() for path in folder.iterdir()}
    acmectl.run("unregister", "-n").ok()
    assert acmectl.account_dirs() == []

    folder.mkdir(parents=True, exist_ok=True)
    for path, content in kept.items():
        path.write_bytes(content)
        path.chmod(0o600)
    done = acmectl.certonly("dead.example.com", code=1)
    assert done.errors == ["The CA refused the request (accountDoesNotExist): accountDoesNotExist"]


def test_an_account_gets_a_new_key_and_goes_on(acmectl: Acmectl) -> None:
    acmectl.certonly("roll.example.com")
    first = account_url(acmectl)
    acmectl.run("account", "rollover", "-n").ok()
    assert account_url(acmectl) == first
    later(acmectl, "renew", "--force-renewal")
    assert acmectl.version("roll.example.com") == 2


def test_without_an_e_mail_address_it_refuses_and_is_quoted(program: Acmectl) -> None:
    done = program.certonly("nobody.example.com", code=1)
    assert done.errors == ["The CA refused the request (malformed): Contact information is missing"]


def test_names_and_addresses_are_certified_by_http_01(acmectl: Acmectl, server: Acme2certifier) -> None:
    acmectl.certonly("a.example.com", "b.example.com", options=("--standalone", "--ip-address", "127.0.0.1"))
    assert acmectl.names("a.example.com") == ["a.example.com", "b.example.com", "127.0.0.1"]
    acmectl.certonly(options=("--standalone", "--ip-address", "127.0.0.1", "--ip-address", server.address6))
    assert acmectl.names("127.0.0.1") == ["127.0.0.1", server.address6]
    listed = acmectl.run("certificates", "--json", server=False).ok().json
    assert {one["name"] for one in listed["certificates"]} == {"127.0.0.1", "a.example.com"}


def test_names_and_addresses_are_certified_by_tls_alpn_01(acmectl: Acmectl, server: Acme2certifier) -> None:
    options = ("--standalone", "--preferred-challenges", "tls-alpn-01")
    with server.inside(), socket.create_server(("", 80)):
        acmectl.certonly("s.example.com", "t.example.com", options=options)
        addresses = ("--ip-address", "127.0.0.1", "--ip-address", server.address6)
        acmectl.certonly("u.example.com", options=(*options, *addresses))
        later(acmectl, "renew", "--force-renewal")
    assert acmectl.names("s.example.com") == ["s.example.com", "t.example.com"]
    assert acmectl.names("u.example.com") == ["u.example.com", "127.0.0.1", server.address6]
    assert (acmectl.version("s.example.com"), acmectl.version("u.example.com")) == (2, 2)


def test_one_static_answer_proves_every_name(acmectl: Acmectl, server: Acme2certifier, public_folder: Path) -> None:
    lines = acmectl.run("show_account", "--stateless", "--json").ok().json["static_answer"]["nginx"]
    with server.inside(), Nginx(public_folder, 80, server_lines=lines):
        acmectl.certonly("still.example.com", "more.example.com", options=("--stateless",))
        later(acmectl, "renew", "--force-renewal")
    assert acmectl.version("still.example.com") == 2


def test_an_order_without_challenges_needs_no_authenticator(acmectl: Acmectl, server: Acme2certifier) -> None:
    acmectl.certonly("a.known.example.com", options=("--preauthorized",))
    _, requests = later(acmectl, "renew", "--force-renewal")
    assert acmectl.version("a.known.example.com") == 2
    assert "finalize" in " ".join(requests)
    assert "chall" not in requests
    done = acmectl.certonly("a.unknown.example.com", options=("--preauthorized",), code=1)
    wanted = "The CA wants control of a.unknown.example.com to be proved: nothing is authorized in advance there."
    assert done.errors == [wanted]


# Pebble takes no EdDSA: this is where such an account does everything.
@pytest.mark.parametrize("kind", ["ed25519", "ec384"])
def test_an_account_key_of_each_kind_signs_all_that_there_is(
    program: Acmectl, server: Acme2certifier, tmp_path: Path, kind: str
) -> None:
    new = ("register", "-n", "--agree-tos", "-m", "me@example.com", "--account-key-type", kind)
    program.run(*new, "--account-name", "first").ok()
    program.certonly("eddsa.example.com")
    first = account_url(program)
    program.run("account", "rollover", "-n").ok()
    path = tmp_path / "account.pem"
    program.run("account", "export", "-o", str(path)).ok()
    command = ("openssl", "pkey", "-in", str(path), "-noout", "-text")
    read = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert {"ed25519": "ED25519 Private-Key", "ec384": "P-384"}[kind] in read
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    with server.acmectl(elsewhere) as other:
        other.run("account", "import", str(path)).ok()
        assert account_url(other) == first
        other.certonly("elsewhere.example.com")
    later(program, "renew", "--force-renewal")
    revoke = ("revoke", "-n", "--cert-name", "eddsa.example.com", "--delete-after-revoke")
    program.run(*revoke, "--reason", "superseded").ok()
    assert program.lineages() == []
    # Beside it there may be another.
    program.run("register", "-n", "--agree-tos", "-m", "you@example.com", "--account-name", "second").ok()
    program.certonly("second.example.com", options=("--standalone", "--account", "second"))
    program.certonly("first.example.com", options=("--standalone", "--account", "first"))
    urls = {json.loads((folder / "regr.json").read_text())["uri"]: folder.name for folder in program.account_dirs()}
    assert program.params("first.example.com")["account"] == urls.pop(first)
    assert program.params("second.example.com")["account"] == urls.popitem()[1]


def test_what_it_has_not_is_said_in_one_line(acmectl: Acmectl) -> None:
    done = acmectl.run("account", "orders").failed(1)
    assert done.errors == ["This CA does not list the orders of an account."]
    done = acmectl.run("account", "agree", "-n", "--agree-tos").failed(1)
    assert done.errors == ["The CA refused the request (malformed): Unknown request"]
    assert "only where one has refused a request for its terms" in done.err


@pytest.mark.parametrize(
    ("key", "bits"), [(("rsa", "--rsa-key-size", "3072"), 3072), (("ecdsa", "--elliptic-curve", "secp384r1"), 384)]
)
def test_each_kind_of_key_is_certified(acmectl: Acmectl, key: tuple[str, ...], bits: int) -> None:
    acmectl.certonly("key.example.com", options=("--standalone", "--key-type", *key))
    public = acmectl.certificate("key.example.com").public_key()
    assert isinstance(public, rsa.RSAPublicKey | ec.EllipticCurvePublicKey)
    assert public.key_size == bits


def test_a_webroot_and_a_trial_of_it(acmectl: Acmectl, server: Acme2certifier, public_folder: Path) -> None:
    with server.inside(), static_server(public_folder, 80):
        acmectl.certonly("web.example.com", options=("--webroot", "-w", str(public_folder)))
        assert acmectl.names("web.example.com") == ["web.example.com"]
        later(acmectl, "renew", "--force-renewal")
    assert acmectl.version("web.example.com") == 2
    before = picture(acmectl.config / "archive")
    content, _ = later(acmectl, "reconfigure", "-n", "--cert-name", "web.example.com", "--standalone")
    assert {one["key"]: one["new"] for one in content["changes"]}["authenticator"] == "standalone"
    assert picture(acmectl.config / "archive") == before
    assert acmectl.params("web.example.com")["authenticator"] == "standalone"


def test_a_wildcard_by_dns_01(acmectl: Acmectl, server: Acme2certifier) -> None:
    options = ["--manual", "--preferred-challenges", "dns"]
    for hook, verb in (("auth", "set-txt"), ("cleanup", "clear-txt")):
        path = acmectl.folder / hook
        path.write_text(CHANGE_TXT.replace("URL", f"{server.dns.management_url}/{verb}"))
        path.chmod(0o755)
        options += [f"--manual-{hook}-hook", str(path)]
    acmectl.certonly("*.wild.example.com", options=options)
    assert acmectl.names("wild.example.com") == ["*.wild.example.com"]
    later(acmectl, "renew", "--force-renewal")
    assert acmectl.version("wild.example.com") == 2


def test_a_csr_of_ones_own_is_certified_and_renewed(acmectl: Acmectl) -> None:
    make = "openssl req -new -newkey rsa:2048 -nodes -keyout key -subj / -addext subjectAltName=DNS:csr.example.com"
    subprocess.run([*make.split(), "-out", "csr"], cwd=acmectl.cwd, check=True, capture_output=True)
    acmectl.run("certonly", "-n", "--standalone", "--csr", "csr", "--cert-name", "own").ok()
    later(acmectl, "renew", "--force-renewal")
    assert acmectl.names("own") == ["csr.example.com"]
    assert len(list((acmectl.config / "archive" / "own").glob("cert*.pem"))) == 2


def test_a_certificate_without_the_feature_that_was_asked_for_is_told_of(acmectl: Acmectl) -> None:
    """It leaves out what --must-staple has put into the CSR."""
    done = acmectl.certonly("staple.example.com", options=("--standalone", "--must-staple"))
    assert done.err.count("The CA has left out the TLS feature status_request (--must-staple)") == 1


def test_a_name_that_fails_is_left_out_when_a_subset_is_allowed(acmectl: Acmectl, server: Acme2certifier) -> None:
    with server.inside():
        server.dns.add_a("gone.sub.example.com", "192.0.2.1")
    options = ("--standalone", "--allow-subset-of-names")
    done = acmectl.certonly("here.sub.example.com", "gone.sub.example.com", options=options)
    assert "Going on without gone.sub.example.com" in done.err
    assert acmectl.names("here.sub.example.com") == ["here.sub.example.com"]


def test_its_chain_ends_with_the_root_and_is_kept_as_it_came(acmectl: Acmectl) -> None:
    acmectl.certonly("chain.example.com")
    chain = x509.load_pem_x509_certificates(acmectl.live("chain.example.com", "chain").read_bytes())
    assert len(chain) == 2
    assert chain[-1].subject == chain[-1].issuer
    acmectl.certificate("chain.example.com").verify_directly_issued_by(chain[0])


def test_renewal_asks_for_the_window_and_names_what_it_replaces(acmectl: Acmectl, server: Acme2certifier) -> None:
    acmectl.certonly("ari.example.com")
    content, requests = later(acmectl, "renew")
    assert requests[-1] == "renewal-info"
    (one,) = content["lineages"]
    assert one["ari"]["start"] < one["ari"]["end"]
    forced, _ = later(acmectl, "renew", "--force-renewal")
    assert forced["lineages"][0]["name"] == "ari.example.com"
    assert acmectl.version("ari.example.com") == 2
    assert "'replaces'" not in server.log_text()  # it does not echo it: the order must not depend on that
    _, requests = later(acmectl, "renew")
    assert requests.count("renewal-info") == 1


def test_profiles_are_ordered_by_name_and_unknown_ones_refused(acmectl: Acmectl) -> None:
    acmectl.certonly("short.example.com", options=("--standalone", "--required-profile", "short"))
    done = acmectl.certonly("none.example.com", options=("--standalone", "--required-profile", "nope"), code=1)
    assert "rofile" in done.errors[0]
    done = acmectl.certonly("any.example.com", options=("--standalone", "--preferred-profile", "nope"))
    assert "'nope'" in done.out
    assert acmectl.lineages() == ["any.example.com", "short.example.com"]


def test_a_trial_leaves_nothing(acmectl: Acmectl) -> None:
    acmectl.certonly("trial.example.com", options=("--standalone", "--dry-run"))
    assert acmectl.lineages() == []
    acmectl.certonly("tried.example.com")
    before = picture(acmectl.config / "live")
    acmectl.run("renew", "--dry-run").ok()
    assert picture(acmectl.config / "live") == before


def test_revocation_by_the_account_alone(acmectl: Acmectl) -> None:
    acmectl.certonly("gone.example.com")
    live = acmectl.live("gone.example.com"), acmectl.live("gone.example.com", "privkey")
    by_key = ("revoke", "-n", "--cert-path", str(live[0]), "--key-path", str(live[1]), "--no-delete-after-revoke")
    # RFC 8555 section 7.6 lets the certificate's own key sign; this server takes accounts only.
    refused = acmectl.run(*by_key, "--reason", "keycompromise").failed(1)
    assert "Leave out --key-path" in refused.err
    revoke = ("revoke", "-n", "--cert-name", "gone.example.com", "--no-delete-after-revoke")
    acmectl.run(*revoke, "--reason", "superseded").ok()
    again = acmectl.run(*revoke).ok()
    assert "was revoked already" in again.out


def test_a_name_that_cannot_be_proved_is_told_and_leaves_nothing(acmectl: Acmectl, server: Acme2certifier) -> None:
    with server.inside():
        server.dns.add_a("elsewhere.example.com", "192.0.2.1")  # there is no way to it
    before = len(server.requests())
    done = acmectl.certonly("elsewhere.example.com", code=1)
    assert "elsewhere.example.com" in done.err
    # It says at once that the challenge is lost, and nothing of it in the order: that is not waited for.
    assert [kind(request) for request in server.requests()[before:]].count("order") == 1
    assert acmectl.lineages() == []
    assert list((acmectl.config / "live").glob("*/*.pem")) == []


def test_it_is_restarted_and_knows_the_account(acmectl: Acmectl, server: Acme2certifier) -> None:
    first = account_url(acmectl)
    server.stop()
    assert acmectl.certonly("down.example.com", code=1).errors
    server.start()
    acmectl.certonly("back.example.com")
    assert account_url(acmectl) == first


@pytest.fixture(scope="module")
def bound() -> Iterator[Acme2certifier]:
    with Acme2certifier(Config(eab_keys={"kid-1": SECRET})) as running:
        yield running


def test_an_account_is_bound_to_one_elsewhere(bound: Acme2certifier, tmp_path: Path) -> None:
    with bound.acmectl(tmp_path) as acmectl:
        acmectl.run("register", "-n", "--agree-tos", "-m", "me@example.com", *EAB).ok()
        acmectl.certonly("bound.example.com")
        assert acmectl.names("bound.example.com") == ["bound.example.com"]
        later(acmectl, "renew", "--force-renewal")
        assert acmectl.version("bound.example.com") == 2
        for path in acmectl.folder.rglob("*"):
            assert not path.is_file() or SECRET.encode() not in path.read_bytes(), path


@pytest.mark.parametrize(
    "options",
    [(), ("--eab-kid", "kid-2", *EAB[2:]), (*EAB[:3], SECRET[:-8] + "AAAAAAAA")],
    ids=["none", "unknown", "wrong key"],
)
def test_an_account_that_is_not_bound_is_refused(
    bound: Acme2certifier, tmp_path: Path, options: tuple[str, ...]
) -> None:
    with bound.acmectl(tmp_path) as acmectl:
        done = acmectl.run("register", "-n", "--agree-tos", "-m", "me@example.com", *options).failed(1)
        assert len(done.errors) == 1
        assert options or "--eab-kid" in done.err
        assert acmectl.account_dirs() == []


def test_a_record_that_stays_is_printed_and_relied_on(tmp_path: Path) -> None:
    config = Config(persist=True, caa_identities=("ca.example",))
    with Acme2certifier(config) as persisting, persisting.acmectl(tmp_path) as acmectl:
        acmectl.run("register", "-n", "--agree-tos", "-m", "me@example.com").ok()
        names = ("stays.example.com", "*.stays.example.com")
        lines = acmectl.run("dns-record", *(part for name in names for part in ("-d", name))).ok().out.splitlines()
        (text,) = [line for line in lines if line.startswith("_validation-persist.stays.example.com. ")]
        _, value, _ = text.split('"')
        assert value.startswith(f"ca.example; accounturi={account_url(acmectl)}")
        # The only name server there knows neither zones nor CAA records.
        options = ("-a", "dns-persist", "--no-dns-propagation-check", "--no-caa-check")
        done = acmectl.certonly(*names, options=options, code=1)
        assert "acmectl dns-record -d 'stays.example.com'" in done.out + done.err
        with persisting.inside():
            persisting.dns.add_txt("_validation-persist.stays.example.com", value)
        acmectl.certonly(*names, options=options)
        later(acmectl, "renew", "--force-renewal")
        assert acmectl.version("stays.example.com") == 2
        assert acmectl.names("stays.example.com") == sorted(names)
