import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from acmectl.errors import ConfigError
from acmectl.pki.keys import KeySpec, generate_key, public_bytes_of, spec_of

ED25519 = ed25519.Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


@pytest.mark.parametrize(
    ("short", "expected"),
    [
        ("ec256", KeySpec(type="ecdsa", curve="secp256r1")),
        ("EC384", KeySpec(type="ecdsa", curve="secp384r1")),
        ("ec521", KeySpec(type="ecdsa", curve="secp521r1")),
        ("rsa2048", KeySpec(type="rsa", size=2048)),
        ("rsa3072", KeySpec(type="rsa", size=3072)),
        (" rsa4096 ", KeySpec(type="rsa", size=4096)),
    ],
)
def test_short_forms_name_a_kind_of_key(short, expected):
    assert KeySpec.from_short(short) == expected


@pytest.mark.parametrize("text", ["", "rsa", "rsa1024", "rsa2047", "rsa99999", "ec255", "dsa2048", "rsa2048\x1b[0m"])
def test_other_short_forms_are_refused_in_one_printable_line(text):
    with pytest.raises(ConfigError) as caught:
        KeySpec.from_short(text)
    assert caught.value.message.isprintable()


def test_an_unknown_curve_is_refused():
    with pytest.raises(ConfigError, match="brainpool"):
        KeySpec.ecdsa("brainpoolP256r1")


@pytest.mark.parametrize("spec", [KeySpec(type="rsa", size=1024), KeySpec(type="rsa"), KeySpec(type="ecdsa")])
def test_a_key_that_no_ca_takes_is_not_made(spec):
    with pytest.raises(ConfigError):
        generate_key(spec)


@pytest.mark.parametrize("short", ["ec256", "ec384", "ec521", "rsa2048", "rsa3072"])
def test_a_made_key_is_pkcs8_and_reads_back_as_its_kind(short):
    pem = generate_key(KeySpec.from_short(short))
    assert pem.startswith(b"-----BEGIN PRIVATE KEY-----\n")
    assert spec_of(pem) == KeySpec.from_short(short)
    expected = (
        load_pem_private_key(pem, None).public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    )
    assert public_bytes_of(pem) == expected


def test_keys_in_the_older_formats_are_read():
    rsa_key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    ec_key = ec.generate_private_key(ec.SECP384R1())
    pkcs1 = rsa_key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    sec1 = ec_key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    assert spec_of(pkcs1) == KeySpec(type="rsa", size=2048)
    assert spec_of(sec1) == KeySpec(type="ecdsa", curve="secp384r1")


def test_a_small_rsa_key_that_exists_can_still_be_described():
    key = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    assert spec_of(pem).size == 1024


def test_a_key_with_a_passphrase_is_refused_by_that_reason():
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))
    with pytest.raises(ConfigError, match="passphrase"):
        spec_of(pem)


@pytest.mark.parametrize("data", [b"", b"nonsense", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"])
def test_what_is_no_private_key_is_refused(data):
    with pytest.raises(ConfigError, match="cannot be read"):
        public_bytes_of(data)


def test_a_kind_that_cannot_be_certified_is_refused():
    with pytest.raises(ConfigError, match="neither RSA nor ECDSA"):
        spec_of(ED25519)


def test_a_kind_of_key_reads_well():
    assert str(KeySpec.rsa(3072)) == "RSA 3072"
    assert str(KeySpec.ecdsa()) == "ECDSA secp256r1"
