"""--key-type rsa,ecdsa: two certificates for the same names, one version, by Pebble, nginx and certbot."""

from __future__ import annotations

import os
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from tests.integration.cli import KINDS, Acmectl

NAME = "two.example"
TWO = ("--standalone", "--key-type", "rsa,ecdsa")


def second(kind: str) -> str:
    return f"{kind}-ecdsa"


def certificates(acmectl: Acmectl, name: str = NAME) -> tuple[x509.Certificate, x509.Certificate]:
    """Both live certificates, each with its key, as one version."""
    found = []
    numbers = set()
    for suffix, key_type in (("", rsa.RSAPrivateKey), ("-ecdsa", ec.EllipticCurvePrivateKey)):
        links = {kind: os.readlink(acmectl.live(name, f"{kind}{suffix}")) for kind in KINDS}
        numbers |= {Path(target).stem.removeprefix(f"{kind}{suffix}") for kind, target in links.items()}
        key = load_pem_private_key(acmectl.live(name, f"privkey{suffix}").read_bytes(), None)
        assert isinstance(key, key_type)
        leaf = x509.load_pem_x509_certificate(acmectl.live(name, f"cert{suffix}").read_bytes())
        assert leaf.public_key() == key.public_key()
        assert acmectl.live(name, f"fullchain{suffix}").read_bytes() == (
            acmectl.live(name, f"cert{suffix}").read_bytes() + acmectl.live(name, f"chain{suffix}").read_bytes()
        )
        found.append(leaf)
    assert numbers == {str(acmectl.version(name))}
    return found[0], found[1]


def live_files(acmectl: Acmectl, name: str = NAME) -> set[str]:
    return {path.name for path in (acmectl.config / "live" / name).iterdir()}


def test_both_are_obtained_and_renewed_as_one_version(acmectl: Acmectl) -> None:
    acmectl.certonly(NAME, f"www.{NAME}", options=(*TWO, "--elliptic-curve", "secp384r1"))
    first = certificates(acmectl)
    assert {leaf.public_key().key_size for leaf in first} == {2048, 384}  # type: ignore[union-attr]
    assert acmectl.params(NAME)["key_type"] == "rsa"
    assert acmectl.renewal(NAME)["acmectl"]["second_key"] == '"ecdsa"'
    assert not (acmectl.work / "pending").exists() or list((acmectl.work / "pending").iterdir()) == []
    acmectl.run("renew").ok()
    assert certificates(acmectl) == first
    acmectl.run("renew", "--force-renewal").ok()
    again = certificates(acmectl)
    assert acmectl.version(NAME) == 2
    assert not {leaf.serial_number for leaf in again} & {leaf.serial_number for leaf in first}
    assert {leaf.public_key().key_size for leaf in again} == {2048, 384}  # type: ignore[union-attr]
    names = [leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value for leaf in again]
    assert names[0] == names[1]
