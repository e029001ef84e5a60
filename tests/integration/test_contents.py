"""What a certificate is like beside its names: when it ends, and its common name."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from acmectl.acme.base64url import unb64url
from tests.integration.cli import Acmectl
from tests.integration.servers.acme2certifier import Acme2certifier
from tests.integration.servers.between import Between, LostError
from tests.integration.servers.pebble import Pebble, PebbleConfig, Profile

HOUR = timedelta(hours=1)
HERE_ALONE = ("--standalone", "--http-01-address", "127.0.0.1")


@pytest.fixture(scope="module")
def promoting_pebble():
    """It puts the CSR's common name, or else a name of its own choice, where such certificates have one."""
    profiles = {"plain": Profile(), "common": Profile(promote_common_name=True)}
    with Pebble(PebbleConfig(profiles=profiles, nonce_reject=0)) as server:
        yield server


@pytest.fixture
def program(promoting_pebble, tmp_path):
    with Acmectl(promoting_pebble, tmp_path) as found:
        yield found


def left(program, name):
    return program.certificate(name).not_valid_after_utc - datetime.now(UTC)


def subject(kind, path, *more):
    """What openssl says, whose versions differ in spaces."""
    command = ["openssl", kind, "-in", path, "-noout", "-subject", *more]
    said = subprocess.run(command, capture_output=True, check=True, text=True)
    return said.stdout.strip().removeprefix("subject=").replace(" ", "")


def test_a_duration_is_ordered_and_kept_for_renewals(program):
    program.certonly("a.example", options=("--standalone", "--not-after", "36h"))
    assert 35 * HOUR < left(program, "a.example") <= 36 * HOUR
    program.run("renew", "--cert-name", "a.example", "--force-renewal").ok()
    assert program.version("a.example") == 2
    assert 35 * HOUR < left(program, "a.example") <= 36 * HOUR
    # Taken out of the file, it is the CA's choice again.
    program.run("reconfigure", "-n", "--cert-name", "a.example", "--not-after", "").ok()
    program.run("renew", "--cert-name", "a.example", "--force-renewal").ok()
    assert left(program, "a.example") > 1000 * HOUR


def test_a_date_is_for_one_certificate_and_a_stored_duration_stays(program):
    end = datetime.now(UTC).replace(microsecond=0) + timedelta(days=3)
    two_keys = ("--standalone", "--key-type", "rsa,ecdsa")
    done = program.certonly("a.example", options=(*two_keys, "--not-after", f"{end:%Y-%m-%dT%H:%M:%S}"))
    assert program.certificate("a.example").not_valid_after_utc == end
    assert done.out.count("this certificate alone") == 1
    program.run("renew", "--cert-name", "a.example", "--force-renewal", "--not-after", "20d").ok()
    zoned = end.astimezone().isoformat()
    program.run("renew", "--cert-name", "a.example", "--force-renewal", "--not-after", zoned).ok()
    assert program.certificate("a.example").not_valid_after_utc == end
    program.run("renew", "--cert-name", "a.example", "--force-renewal").ok()
    assert 479 * HOUR < left(program, "a.example") <= 480 * HOUR
    refused = program.run("reconfigure", "-n", "--cert-name", "a.example", "--not-after", zoned).failed()
    assert len(refused.errors) == 1


@pytest.mark.parametrize("text", ["2020-01-31", "0d", "tomorrow", "20", "2020-01-31T00:00:00+02:00", "-3d", "9999999d"])
def test_an_end_that_cannot_be_is_refused_before_the_order(promoting_pebble, program, text):
    before = promoting_pebble.orders()
    done = program.certonly("a.example", options=("--standalone", f"--not-after={text}"), code=1)
    assert len(done.errors) == 1
    assert done.errors[0].startswith("--not-after: ")
    assert promoting_pebble.orders() == before


def test_an_order_in_flight_for_another_end_is_not_gone_on_with(promoting_pebble, program):
    def lost(_method, path):
        if "/authZ/" in path:
            raise LostError

    with Between(promoting_pebble) as server:
        options = ("--standalone", "--server", server.directory_url)
        program.run("register", "-n", "--agree-tos", *options[1:]).ok()
        passed = server.before
        for asked in ("10d", "36h"):
            before = promoting_pebble.orders()
            server.before = lost
            program.certonly("a.example", options=(*options, "--not-after", asked), code=1)
            assert list(program.work.glob("pending/a.example/order.json"))
            assert promoting_pebble.orders() == before + 1
        server.before = passed
        program.certonly("a.example", options=(*options, "--not-after", "36h"))
        assert promoting_pebble.orders() == before + 1
    assert 35 * HOUR < left(program, "a.example") <= 36 * HOUR


def test_a_ca_that_refuses_the_end_is_quoted_with_a_hint(promoting_pebble, program):
    """Scripted: Pebble takes every end, so its answer is changed on the way."""
    refusal = {"type": "urn:ietf:params:acme:error:malformed", "detail": "NotBefore and NotAfter are not supported"}

    def refusing(_method, path, answer):
        if not path.endswith("/order-plz") or answer.status != 201:
            return answer
        return replace(answer, status=400, body=json.dumps(refusal).encode())

    with Between(promoting_pebble) as server:
        server.after = refusing
        options = ("--standalone", "--server", server.directory_url, "--not-after", "20d")
        done = program.certonly("a.example", options=options, code=1)
    assert "NotBefore and NotAfter are not supported" in done.err
    assert "leave --not-after out" in done.err
    assert program.lineages() == []


def test_there_is_no_common_name_unless_it_is_asked_for(promoting_pebble, program):
    """Pebble looks at its profile and never at the CSR's subject, so the CSR is caught on its way."""

    def requested():
        payloads = [json.loads(unb64url(json.loads(body)["payload"]) or b"{}") for body in server.bodies if body]
        (program.folder / "csr.der").write_bytes(unb64url([one for one in payloads if "csr" in one][-1]["csr"]))
        return subject("req", program.folder / "csr.der", "-inform", "DER")

    names = ("b.example", "a.example")
    with Between(promoting_pebble) as server:
        plain = ("--standalone", "--server", server.directory_url, "--required-profile", "plain")
        program.certonly(*names, options=(*plain, "--cert-name", "none"))
        assert requested() == subject("x509", program.live("none")) == ""
        program.certonly(*names, options=(*plain, "--common-name", "A.example", "--cert-name", "named"))
        assert requested() == "CN=a.example"
        program.run("renew", "--server", server.directory_url, "--cert-name", "named", "--force-renewal").ok()
        assert program.version("named") == 2
        assert requested() == "CN=a.example"
        common = (*plain[:-1], "common")
        program.certonly(*names, options=(*common, "--common-name", "first", "--cert-name", "first"))
        assert requested() == "CN=b.example"
    assert subject("x509", program.live("first")) in ("CN=a.example", "CN=b.example")


@pytest.mark.parametrize(
    ("wish", "why"),
    [
        ("c.example", "is not one of the certificate's names"),
        ("127.0.0.1", "cannot be an IP address"),
        (f"{'long' * 15}.example", "is longer than 64 characters"),
    ],
)
def test_a_common_name_that_cannot_be_is_refused_before_the_order(promoting_pebble, program, wish, why):
    before = promoting_pebble.orders()
    options = ("--standalone", "--ip-address", "127.0.0.1", "--common-name", wish)
    done = program.certonly("a.example", f"{'long' * 15}.example", options=options, code=1)
    assert len(done.errors) == 1
    assert why in done.errors[0]
    assert promoting_pebble.orders() == before


def test_a_common_name_whose_name_is_given_up_goes_with_it(promoting_pebble, program):
    program.certonly(
        "a.example", "b.example", options=("--standalone", "--common-name", "b.example", "--cert-name", "x")
    )
    changed = program.certonly("a.example", options=("--standalone", "--cert-name", "x", "--renew-with-new-domains"))
    assert "b.example is not one of the names any more" in changed.err
    program.run("renew", "--cert-name", "x", "--force-renewal").ok()
    promoting_pebble.dns.add_a("e.example", "127.0.0.9")
    try:
        options = (*HERE_ALONE, "--allow-subset-of-names", "--common-name", "e.example", "--cert-name", "y")
        done = program.certonly("d.example", "e.example", options=options)
        assert "no common name" in done.err
        assert program.names("y") == ["d.example"]
    finally:
        promoting_pebble.dns.clear_a("e.example")


def test_a_csr_has_a_subject_of_its_own(program):
    (program.cwd / "x.csr").write_text("x")
    done = program.run("certonly", "-n", "--standalone", "--csr", "x.csr", "--common-name", "first").failed()
    assert "--common-name" in done.errors[0]


def test_another_ca_ignores_the_end_and_is_told_of_and_takes_the_common_name(tmp_path):
    with Acme2certifier() as server, server.acmectl(tmp_path) as program:
        options = ("--standalone", "-m", "me@example.com", "--not-after", "36h", "--common-name", "b.example.com")
        done = program.certonly("a.example.com", "b.example.com", options=options)
        assert len([line for line in done.err.splitlines() if "does as it likes" in line]) == 1
        assert left(program, "a.example.com") > 1000 * HOUR
        assert subject("x509", program.live("a.example.com")) == "CN=b.example.com"
