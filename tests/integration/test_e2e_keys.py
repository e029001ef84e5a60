"""Keys of certificates: every kind, reused, replaced, and what is refused."""

import base64
import json

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa


def key_of(acmectl, name):
    return serialization.load_pem_private_key(acmectl.live(name, "privkey").read_bytes(), None)


def kind_of(acmectl, name):
    """``rsa2048``, ``secp256r1``..., the same for the key file and the certificate."""
    key = key_of(acmectl, name)
    assert key.public_key() == acmectl.certificate(name).public_key()
    if isinstance(key, rsa.RSAPrivateKey):
        return f"rsa{key.key_size}"
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return key.curve.name


@pytest.mark.parametrize(
    ("flags", "kind", "stored"),
    [
        ((), "secp256r1", {"key_type": "ecdsa"}),
        (("--key-type", "rsa"), "rsa2048", {"key_type": "rsa"}),
        (("--key-type", "rsa", "--rsa-key-size", "4096"), "rsa4096", {"key_type": "rsa", "rsa_key_size": "4096"}),
        (("--elliptic-curve", "secp384r1"), "secp384r1", {"key_type": "ecdsa", "elliptic_curve": "secp384r1"}),
        (("--elliptic-curve", "secp521r1"), "secp521r1", {"key_type": "ecdsa", "elliptic_curve": "secp521r1"}),
        (("--key-type", "ec256"), "secp256r1", {"key_type": "ecdsa", "elliptic_curve": "secp256r1"}),
        (("--key-type", "ec384"), "secp384r1", {"key_type": "ecdsa", "elliptic_curve": "secp384r1"}),
        (("--key-type", "rsa2048"), "rsa2048", {"key_type": "rsa", "rsa_key_size": "2048"}),
        (("--key-type", "rsa4096"), "rsa4096", {"key_type": "rsa", "rsa_key_size": "4096"}),
    ],
    ids=["default", "rsa", "rsa-4096", "p384", "p521", "ec256", "ec384", "rsa2048", "rsa4096"],
)
def test_the_key_is_of_the_kind_that_was_asked_for(acmectl, flags, kind, stored):
    acmectl.certonly("key.example", options=("--standalone", *flags))
    assert kind_of(acmectl, "key.example") == kind
    params = acmectl.params("key.example")
    assert {name: params.get(name) for name in stored} == stored


def test_a_renewal_makes_a_new_key_of_the_same_kind(acmectl):
    acmectl.certonly("r.example", options=("--standalone", "--key-type", "rsa", "--rsa-key-size", "3072"))
    acmectl.certonly("e.example", options=("--standalone", "--elliptic-curve", "secp384r1"))
    before = [key_of(acmectl, name).public_key() for name in ("r.example", "e.example")]
    acmectl.run("renew", "--force-renewal").ok()
    assert [acmectl.version(name) for name in ("r.example", "e.example")] == [2, 2]
    assert [kind_of(acmectl, name) for name in ("r.example", "e.example")] == ["rsa3072", "secp384r1"]
    assert not [key for key in before if key in (key_of(acmectl, n).public_key() for n in ("r.example", "e.example"))]


def test_a_reused_key_stays_until_a_new_one_is_asked_for_and_goes_on_being_reused(acmectl):
    acmectl.certonly("reuse.example", options=("--standalone", "--reuse-key"))
    first = acmectl.live("reuse.example", "privkey").read_bytes()
    acmectl.run("renew", "--force-renewal").ok()
    assert acmectl.version("reuse.example") == 2
    assert acmectl.live("reuse.example", "privkey").read_bytes() == first
    assert not (acmectl.config / "archive" / "reuse.example" / "privkey2.pem").is_symlink()
    acmectl.run("renew", "--force-renewal", "--new-key").ok()
    second = acmectl.live("reuse.example", "privkey").read_bytes()
    assert second != first
    acmectl.run("renew", "--force-renewal").ok()
    assert acmectl.live("reuse.example", "privkey").read_bytes() == second
    assert acmectl.params("reuse.example")["reuse_key"] == "True"


def test_another_kind_of_key_for_a_lineage_that_reuses_its_key_is_refused_before_an_order(pebble, acmectl):
    acmectl.certonly("reuse.example", options=("--standalone", "--reuse-key"))
    before = len(pebble.requests())
    options = ("--standalone", "--reuse-key", "--force-renewal", "--key-type", "rsa", "--cert-name", "reuse.example")
    done = acmectl.certonly("reuse.example", options=options, code=1)
    assert "--new-key" in done.err
    assert not [line for line in pebble.requests()[before:] if line.endswith("/order-plz")]
    assert acmectl.version("reuse.example") == 1


def test_certonly_changes_the_kind_of_key_only_when_the_certificate_is_named(acmectl):
    acmectl.certonly("kind.example")
    rsa_options = ("--standalone", "--force-renewal", "--key-type", "rsa")
    done = acmectl.certonly("kind.example", options=rsa_options, code=1)
    assert "--cert-name" in done.err
    acmectl.certonly("kind.example", options=(*rsa_options, "--cert-name", "kind.example"))
    assert kind_of(acmectl, "kind.example") == "rsa2048"
    # Without a word about keys the lineage keeps its kind.
    acmectl.certonly("kind.example", options=("--standalone", "--force-renewal"))
    assert kind_of(acmectl, "kind.example") == "rsa2048"
    assert acmectl.params("kind.example")["key_type"] == "rsa"


def test_an_rsa_key_below_2048_bits_is_refused_before_anything_is_done(pebble, acmectl):
    before = len(pebble.requests())
    options = ("--standalone", "--key-type", "rsa", "--rsa-key-size", "1024")
    done = acmectl.certonly("weak.example", options=options, code=1)
    assert len(done.errors) == 1
    assert "2048" in done.err
    assert pebble.requests()[before:] == []


def test_an_rsa_key_size_sizes_a_new_account_key_too(acmectl):
    acmectl.run("register", "-n", "--agree-tos", "--rsa-key-size", "3072").ok()
    (account,) = acmectl.account_dirs()
    modulus = json.loads((account / "private_key.json").read_text())["n"]
    assert len(base64.urlsafe_b64decode(modulus + "==")) * 8 == 3072
