"""The main job: a certificate by every authenticator, for one name and for many, from a strict Pebble."""

import ipaddress
import stat
import subprocess
from datetime import UTC, datetime, timedelta

import pytest

from tests.integration.cli import KINDS, Acmectl
from tests.integration.hosts import dns_hooks, file_hooks, notes
from tests.integration.servers.nginx import Nginx
from tests.integration.servers.pebble import Pebble, PebbleConfig
from tests.integration.servers.static import static_server


@pytest.fixture(scope="module")
def patient_pebble():
    """One that refuses no nonce, for every refused one costs a request."""
    with Pebble(PebbleConfig(nonce_reject=0)) as server:
        yield server


def issued_by(pebble, acmectl, name):
    """Whether Pebble knows the live certificate as valid."""
    status = pebble.cert_status(acmectl.certificate(name).serial_number)
    return status is not None and status.status == "Valid"


def test_webroot_behind_a_real_nginx_gets_a_certificate(pebble, acmectl, public_folder):
    root = public_folder / "www"
    root.mkdir(mode=0o755)
    (root / "index.html").write_text("hello")
    with Nginx(root, pebble.http_port) as nginx:
        acmectl.certonly("a.example", "b.example", options=("--webroot", "-w", str(root)))
        fetched = [line for line in nginx.access_log() if "/.well-known/acme-challenge/" in line and " 200 " in line]
    assert len(fetched) >= 2
    assert issued_by(pebble, acmectl, "a.example")
    assert acmectl.names("a.example") == ["a.example", "b.example"]
    assert [path.name for path in root.iterdir()] == ["index.html"]
    params = acmectl.params("a.example")
    assert params["authenticator"] == "webroot"
    assert params["webroot_path"] == [str(root)]
    assert params["webroot_map"] == {"a.example": str(root), "b.example": str(root)}


def test_each_name_is_answered_below_the_webroot_given_before_it(pebble, acmectl, public_folder):
    first, second = public_folder / "first", public_folder / "second"
    for root in (first, second):
        root.mkdir(mode=0o755)
    by_host = f"""
        if ($host = c.example) {{ set $root {second}; }}
        if ($host != c.example) {{ set $root {first}; }}
        location /.well-known/ {{ root $root; }}
    """
    with Nginx(public_folder, pebble.http_port, server_lines=by_host):
        options = ("--webroot", "-w", str(first), "-d", "a.example", "-d", "b.example", "-w", str(second))
        acmectl.certonly("c.example", options=options)
    assert acmectl.params("a.example")["webroot_map"] == {
        "a.example": str(first),
        "b.example": str(first),
        "c.example": str(second),
    }


def test_a_directory_that_nginx_aliases_takes_the_bare_token_files(pebble, acmectl, public_folder):
    folder = public_folder / "challenges"
    folder.mkdir(mode=0o755)
    alias = f"location /.well-known/acme-challenge/ {{ alias {folder}/; }}"
    with Nginx(public_folder, pebble.http_port, server_lines=alias):
        acmectl.certonly("alias.example", options=("--webroot", "--challenge-dir", str(folder)))
        assert list(folder.iterdir()) == []
        # The directory is remembered, so a renewal needs nothing said again.
        acmectl.run("renew", "--force-renewal").ok()
    assert acmectl.version("alias.example") == 2
    assert list(folder.iterdir()) == []


def test_standalone_gets_a_certificate_whose_files_are_as_certbot_lays_them_out(pebble, acmectl):
    done = acmectl.certonly("s.example")
    assert issued_by(pebble, acmectl, "s.example")
    for label, kind in (("Certificate is saved at:", "fullchain"), ("Key is saved at:", "privkey")):
        line = next(line for line in done.out.splitlines() if line.startswith(label))
        assert line.removeprefix(label).strip() == str(acmectl.live("s.example", kind))
    archive = acmectl.config / "archive" / "s.example"
    for kind in KINDS:
        assert acmectl.live("s.example", kind).readlink().as_posix() == f"../../archive/s.example/{kind}1.pem"
    cert, chain, fullchain = (acmectl.live("s.example", kind).read_bytes() for kind in KINDS[:3])
    assert fullchain == cert + chain
    assert stat.S_IMODE((archive / "privkey1.pem").stat().st_mode) == 0o600
    assert stat.S_IMODE((acmectl.config / "archive").stat().st_mode) == 0o700
    assert stat.S_IMODE(acmectl.logs.stat().st_mode) == 0o700
    assert not list(acmectl.work.rglob("key.pem"))


def test_the_certificate_chains_up_to_the_root_of_the_ca(pebble, acmectl):
    acmectl.certonly("chain.example")
    root = acmectl.folder / "root.pem"
    root.write_bytes(pebble.roots()[0])
    chain, cert = acmectl.live("chain.example", "chain"), acmectl.live("chain.example")
    command = ["openssl", "verify", "-CAfile", str(root), "-untrusted", str(chain), str(cert)]
    assert subprocess.run(command, capture_output=True).returncode == 0


def test_standalone_answers_for_an_ip_address(pebble, acmectl):
    acmectl.certonly("ip.example", options=("--standalone", "--ip-address", "127.0.0.1"))
    assert acmectl.names("ip.example") == ["ip.example", str(ipaddress.ip_address("127.0.0.1"))]


def test_manual_hooks_answer_http_01_and_are_told_what_they_need(pebble, acmectl, public_folder):
    with static_server(public_folder, pebble.http_port):
        acmectl.certonly("a.example", "b.example", options=file_hooks(acmectl.folder, public_folder))
    assert issued_by(pebble, acmectl, "a.example")
    auth, cleanup = notes(acmectl.folder / "auth"), notes(acmectl.folder / "cleanup")
    assert {row["CERTBOT_DOMAIN"] for row in auth} == {"a.example", "b.example"}
    assert [row["CERTBOT_REMAINING_CHALLENGES"] for row in auth] == ["1", "0"]
    for row in auth:
        assert row["CERTBOT_IDENTIFIER"] == row["CERTBOT_DOMAIN"]
        assert row["CERTBOT_VALIDATION"].startswith(row["CERTBOT_TOKEN"] + ".")
        assert set(row["CERTBOT_ALL_DOMAINS"].split(",")) == {"a.example", "b.example"}
        assert row["CERTBOT_ALL_IDENTIFIERS"] == row["CERTBOT_ALL_DOMAINS"]
        assert "CERTBOT_AUTH_OUTPUT" not in row
    outputs = {row["CERTBOT_DOMAIN"]: row["CERTBOT_AUTH_OUTPUT"] for row in cleanup}
    assert outputs == {"a.example": "kept a.example", "b.example": "kept b.example"}
    assert not [path for path in public_folder.rglob("*") if path.is_file()]
    params = acmectl.params("a.example")
    assert params["manual_auth_hook"] == str(acmectl.folder / "auth.sh")
    assert params["pref_challs"] == ["http-01"]


def test_manual_hooks_answer_dns_01_for_a_wildcard_and_its_base(pebble, acmectl):
    acmectl.certonly("wild.example", "*.wild.example", options=dns_hooks(acmectl.folder, pebble.dns))
    assert acmectl.names("wild.example") == ["*.wild.example", "wild.example"]
    auth, cleanup = notes(acmectl.folder / "auth"), notes(acmectl.folder / "cleanup")
    assert [row["CERTBOT_DOMAIN"] for row in auth] == ["wild.example", "wild.example"]
    assert len({row["CERTBOT_VALIDATION"] for row in auth}) == 2
    assert all("CERTBOT_TOKEN" not in row for row in auth)
    assert len(cleanup) == 2
    # The stored hooks renew it without anybody there.

    def renew():
        (acmectl.folder / "auth").unlink(missing_ok=True)
        acmectl.run("renew", "--force-renewal").ok()

    pebble.authorized_anew(renew, 2)
    assert acmectl.version("wild.example") >= 2
    assert len(notes(acmectl.folder / "auth")) == 2


def test_a_manual_hook_that_fails_fails_its_name_and_no_validation_is_wasted(pebble, acmectl, public_folder):
    before = len(pebble.requests())
    with static_server(public_folder, pebble.http_port):
        flags = file_hooks(acmectl.folder, public_folder)
        broken = acmectl.folder / "auth.sh"
        broken.write_text('#!/bin/sh\n[ "$CERTBOT_DOMAIN" != bad.example ] || { echo why >&2; exit 7; }\n')
        done = acmectl.certonly("good.example", "bad.example", options=flags, code=1)
    assert "Identifier: bad.example" in done.out
    assert "good.example" not in done.out.partition("could not confirm")[2]
    assert "exit status 7" in done.out
    assert done.err.count("Error: ") == 1
    assert not [line for line in pebble.requests()[before:] if "/chalZ/" in line]
    assert acmectl.lineages() == []


@pytest.mark.parametrize(("count", "most"), [(1, 12), (10, 60), (100, 230)])
def test_a_certificate_costs_few_requests_once_there_is_an_account(patient_pebble, tmp_path, count, most):
    names = [f"n{number}.example" for number in range(count)]
    with Acmectl(patient_pebble, tmp_path) as acmectl:
        acmectl.run("register", "-n", "--agree-tos").ok()
        before = len(patient_pebble.requests())
        acmectl.certonly(*names)
        spent = patient_pebble.requests()[before:]
        assert acmectl.names("n0.example") == sorted(names)
    assert len(spent) <= most, "\n".join(spent)
    if count == 1:
        assert sum(not line.endswith("/my-order/") for line in spent) == 7, "\n".join(spent)
    assert sum(1 for line in spent if line.endswith("/order-plz")) == 1


def test_a_hundred_names_are_issued_while_nonces_are_refused(pebble, acmectl):
    names = [f"h{number}.example" for number in range(100)]
    done = acmectl.certonly(*names)
    assert "for h0.example and 99 more" in done.out
    assert acmectl.names("h0.example") == sorted(names)


def test_the_reported_expiry_is_that_of_the_certificate(acmectl):
    done = acmectl.certonly("when.example")
    not_after = acmectl.certificate("when.example").not_valid_after_utc
    assert f"expires on {not_after:%Y-%m-%d}." in done.out
    assert not_after - datetime.now(UTC) > timedelta(days=80)
