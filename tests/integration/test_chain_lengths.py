"""Chains of every length under several roots: what is saved is what openssl accepts."""

from __future__ import annotations

import dataclasses
import subprocess
from pathlib import Path

import pytest
from cryptography import x509

from tests.integration.cli import Acmectl
from tests.integration.servers.between import Answer, Between
from tests.integration.servers.pebble import Pebble, PebbleConfig


def openssl(*args: str) -> str:
    done = subprocess.run(("openssl", *args), capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def shown(path: Path) -> list[str]:
    """The certificates of a PEM file as openssl counts them: the subject of each, by its hash."""
    store = openssl("storeutl", "-noout", "-certs", str(path))
    assert "Total found: " in store
    return [subject for subject in store.splitlines() if subject.endswith(": Certificate")]


@pytest.mark.parametrize("length", [1, 2, 3])
def test_each_chain_is_saved_whole_and_verified_by_openssl(tmp_path: Path, length: int) -> None:
    with Pebble(PebbleConfig(chain_length=length, alternate_roots=2)) as pebble, Acmectl(pebble, tmp_path) as acmectl:
        roots = [x509.load_pem_x509_certificate(pem) for pem in pebble.roots()]
        assert len({root.subject for root in roots}) == 3
        for number, (root, pem) in enumerate(zip(roots, pebble.roots(), strict=True)):
            name = f"n{number}.example"
            chosen = ("--preferred-chain", root.subject.rfc4514_string().removeprefix("CN=")) if number else ()
            acmectl.certonly(name, options=("--standalone", *chosen))
            for version in (1, 2):
                verified(acmectl, tmp_path, name, length, pem)
                assert acmectl.version(name) == version
                if version == 1:
                    acmectl.run("renew", "--force-renewal", "--cert-name", name).ok()


def verified(acmectl: Acmectl, folder: Path, name: str, length: int, root_pem: bytes) -> None:
    """openssl accepts what is live, under this root alone, with no certificate too few and none too many."""
    live = {kind: acmectl.live(name, kind) for kind in ("cert", "chain", "fullchain", "privkey")}
    root = folder / "root.pem"
    root.write_bytes(root_pem)
    assert live["fullchain"].read_bytes() == live["cert"].read_bytes() + live["chain"].read_bytes()
    counts = {kind: len(shown(live[kind])) for kind in ("cert", "fullchain")}
    assert counts == {"cert": 1, "fullchain": 1 + length}
    strict = ("verify", "-no-CApath", "-no-CAstore", "-CAfile", str(root), "-verify_hostname", name, "-show_chain")
    told = openssl(*strict, "-untrusted", str(live["chain"]), str(live["cert"]))
    # Every certificate of the file is on the way to the root, in the order of the file.
    path = [line for line in told.splitlines() if line.startswith("depth=")]
    assert len(path) == 1 + length + 1
    chain = x509.load_pem_x509_certificates(live["fullchain"].read_bytes())
    for below, above in zip(chain, [*chain[1:], x509.load_pem_x509_certificate(root_pem)], strict=True):
        below.verify_directly_issued_by(above)
    assert subprocess.run(("openssl", *strict, str(live["cert"])), capture_output=True).returncode != 0
    key = openssl("pkey", "-in", str(live["privkey"]), "-pubout")
    assert openssl("x509", "-in", str(live["cert"]), "-noout", "-pubkey") == key


# Scripted: Pebble always sends an intermediate. A CA whose root signs certificates itself sends the certificate alone.
def test_a_certificate_that_comes_alone_has_an_empty_chain(pebble: Pebble, acmectl: Acmectl) -> None:
    def alone(_method: str, path: str, answer: Answer) -> Answer:
        if not path.startswith("/certZ/") or answer.status != 200:
            return answer
        first, end, rest = answer.body.partition(b"-----END CERTIFICATE-----\n")
        assert rest
        return dataclasses.replace(answer, body=first + end)

    with Between(pebble) as between:
        between.after = alone
        acmectl.certonly("alone.example", options=("--standalone", "--server", between.directory_url))
        for version in (1, 2):
            assert acmectl.version("alone.example") == version
            assert acmectl.live("alone.example", "chain").read_bytes() == b""
            live = {kind: acmectl.live("alone.example", kind) for kind in ("cert", "fullchain")}
            assert live["fullchain"].read_bytes() == live["cert"].read_bytes()
            assert len(shown(live["fullchain"])) == 1
            (listed,) = acmectl.run("certificates", "--json", server=False).ok().json["certificates"]
            assert listed["status"].startswith("VALID")
            if version == 1:
                acmectl.run("renew", "--force-renewal", "--server", between.directory_url).ok()
