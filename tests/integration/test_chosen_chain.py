"""--preferred-chain by fingerprint and by key identifier, in chains of one, two and three intermediates."""

from __future__ import annotations

import subprocess

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256

from tests.integration.cli import Acmectl
from tests.integration.servers.pebble import Pebble, PebbleConfig


@pytest.fixture(scope="module", params=[1, 2, 3])
def rooted_pebble(request):
    with Pebble(PebbleConfig(alternate_roots=2, chain_length=request.param, nonce_reject=0)) as server:
        yield server


@pytest.fixture
def program(rooted_pebble, tmp_path):
    with Acmectl(rooted_pebble, tmp_path) as found:
        yield found


def chain(program, name):
    return x509.load_pem_x509_certificates(program.live(name, "chain").read_bytes())


def fingerprint_by_openssl(folder, certificate):
    """With colons and in capitals, as people find it."""
    from cryptography.hazmat.primitives.serialization import Encoding

    path = folder / "one.pem"
    path.write_bytes(certificate.public_bytes(Encoding.PEM))
    said = subprocess.run(["openssl", "x509", "-in", path, "-noout", "-fingerprint", "-sha256"], capture_output=True)
    return said.stdout.decode().strip().partition("=")[2]


def key_id(certificate):
    return certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest.hex()


def test_a_chain_is_found_by_what_is_in_it_and_kept_at_renewals(rooted_pebble, program, tmp_path):
    roots = [x509.load_pem_x509_certificate(pem) for pem in rooted_pebble.roots()]
    name = roots[2].subject.rfc4514_string().removeprefix("CN=")
    program.certonly("name.example", options=("--standalone", "--preferred-chain", name))
    wanted = chain(program, "name.example")
    assert wanted[-1].issuer == roots[2].subject
    assert len(wanted) == rooted_pebble.config.chain_length
    ways = {
        "top": fingerprint_by_openssl(tmp_path, wanted[-1]),
        "bottom": f"sha256:{wanted[0].fingerprint(SHA256()).hex()}",
        # The root itself is not sent: the topmost certificate names its key.
        "root": f"keyid:{key_id(roots[2])}",
    }
    if len(wanted) > 1:  # one intermediate alone has the same key under each root, so that the default has it too
        ways["ski"] = key_id(wanted[-1])
    for way, text in ways.items():
        done = program.certonly(f"{way}.example", options=("--standalone", "--preferred-chain", text))
        assert "its default is used" not in done.err, text
        assert chain(program, f"{way}.example") == wanted, text
        assert program.params(f"{way}.example")["preferred_chain"] == text
    program.run("renew", "--cert-name", "top.example", "--force-renewal").ok()
    assert program.version("top.example") == 2
    assert chain(program, "top.example") == wanted


def test_what_is_not_there_is_a_warning_and_what_is_no_fingerprint_an_error(rooted_pebble, program):
    roots = [x509.load_pem_x509_certificate(pem) for pem in rooted_pebble.roots()]
    unsent = roots[2].fingerprint(SHA256()).hex()
    done = program.certonly("a.example", options=("--standalone", "--preferred-chain", unsent))
    assert "fingerprint" in done.err
    assert unsent[:40] in done.err
    assert chain(program, "a.example")[-1].issuer == roots[0].subject
    orders = rooted_pebble.orders()
    refused = program.certonly("b.example", options=("--standalone", "--preferred-chain", "sha256:abcd"), code=1)
    assert refused.errors == [
        "--preferred-chain: sha256: is followed by 64 hexadecimal digits, with or without colons."
    ]
    assert rooted_pebble.orders() == orders
