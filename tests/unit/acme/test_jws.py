"""Account keys and signed requests."""

import copy
import hashlib
import hmac
import json
import pickle
import subprocess
import sys

import josepy
import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, padding, rsa, x25519
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from acmectl.acme.base64url import b64url, unb64url
from acmectl.acme.jws import AccountKey, eab, key_change_payload, sign_request
from acmectl.errors import ConfigError
from tests.unit.acme.fakes import decode

KINDS = {
    "rsa2048": "RS256",
    "rsa3072": "RS256",
    "ec256": "ES256",
    "ec384": "ES384",
    "ec521": "ES512",
    "ed25519": "EdDSA",
}
URL = "https://ca.example/new-order"

# RFC 7517 appendix A.2 / RFC 7638 section 3.1 name the thumbprint of this key.
RFC7638_N = (
    "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMs"
    "tn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5haj"
    "rn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"
)


@pytest.fixture(scope="module", params=list(KINDS))
def key(request):
    return AccountKey.generate(request.param)


def verify(key: AccountKey, data: bytes, signature: bytes) -> None:
    """Check a JWS signature with the public key from its PEM."""
    public = serialization.load_pem_public_key(key.public_pem())
    if isinstance(public, rsa.RSAPublicKey):
        public.verify(signature, data, padding.PKCS1v15(), hashes.SHA256())
    elif isinstance(public, ec.EllipticCurvePublicKey):
        half = len(signature) // 2
        assert half == (public.curve.key_size + 7) // 8
        digest = {256: hashes.SHA256(), 384: hashes.SHA384(), 521: hashes.SHA512()}[public.curve.key_size]
        der = encode_dss_signature(int.from_bytes(signature[:half]), int.from_bytes(signature[half:]))
        public.verify(der, data, ec.ECDSA(digest))
    else:
        public.verify(signature, data)


def test_every_kind_of_key_signs_what_its_public_key_verifies(key):
    body = json.loads(sign_request(key, URL, {"a": 1}, nonce="n1", kid="https://ca.example/acct/1"))
    assert set(body) == {"protected", "payload", "signature"}
    verify(key, f"{body['protected']}.{body['payload']}".encode(), decode(body["signature"]))


def test_every_kind_of_key_survives_its_jwk(key):
    again = AccountKey.from_jwk_json(key.jwk_json())
    assert again == key
    assert again.public_pem() == key.public_pem()
    assert again.public_jwk() == key.public_jwk()
    verify(key, b"data", again.sign(b"data"))


def test_the_algorithm_is_the_one_of_the_key(key):
    assert key.algorithm in KINDS.values()
    header = json.loads(decode(json.loads(sign_request(key, URL, None, nonce="n", kid=None))["protected"]))
    assert header["alg"] == key.algorithm


@pytest.mark.parametrize(("kind", "algorithm"), KINDS.items())
def test_kinds_and_algorithms_belong_together(kind, algorithm):
    assert AccountKey.generate(kind).algorithm == algorithm


def test_a_request_of_an_account_carries_kid_and_never_jwk(key):
    header = json.loads(decode(json.loads(sign_request(key, URL, {}, nonce="n1", kid="https://k"))["protected"]))
    assert header == {"alg": key.algorithm, "url": URL, "nonce": "n1", "kid": "https://k"}


def test_a_request_without_an_account_carries_the_public_jwk_alone(key):
    header = json.loads(decode(json.loads(sign_request(key, URL, {}, nonce="n1", kid=None))["protected"]))
    assert header["jwk"] == key.public_jwk()
    assert "kid" not in header
    assert not {"d", "p", "q"} & set(header["jwk"])


def test_post_as_get_has_an_empty_payload_and_an_empty_object_has_not(key):
    assert json.loads(sign_request(key, URL, None, nonce="n", kid="k"))["payload"] == ""
    assert json.loads(sign_request(key, URL, {}, nonce="n", kid="k"))["payload"] == b64url(b"{}")


def test_a_repr_shows_nothing_but_the_thumbprint(key):
    assert repr(key) == f"AccountKey({key.thumbprint()})"
    private = json.loads(key.jwk_json())["d"]
    assert private not in repr(key) + str(key) + repr(vars(key))


def test_a_key_cannot_be_pickled_or_copied(key):
    with pytest.raises(TypeError):
        pickle.dumps(key)
    with pytest.raises(TypeError):
        copy.deepcopy(key)


def test_the_thumbprint_is_the_one_of_rfc_7638(key):
    canonical = json.dumps(key.public_jwk(), sort_keys=True, separators=(",", ":"))
    assert key.thumbprint() == b64url(hashlib.sha256(canonical.encode()).digest())


def test_the_example_of_rfc_7638_gives_its_thumbprint():
    canonical = json.dumps({"e": "AQAB", "kty": "RSA", "n": RFC7638_N}, separators=(",", ":"))
    assert b64url(hashlib.sha256(canonical.encode()).digest()) == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"


def test_the_ed25519_key_of_rfc_8037_gives_its_thumbprint_and_signature():
    # RFC 8037 appendices A.1, A.3 and A.4.
    key = AccountKey.from_jwk_json(
        '{"kty":"OKP","crv":"Ed25519","d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A",'
        '"x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}'
    )
    assert key.thumbprint() == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
    data = b"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc"
    assert b64url(key.sign(data)) == (
        "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"
    )


def test_the_public_pem_is_subject_public_key_info_with_a_newline(key):
    assert key.public_pem().startswith(b"-----BEGIN PUBLIC KEY-----\n")
    assert key.public_pem().endswith(b"-----END PUBLIC KEY-----\n")


def test_an_rsa_jwk_without_its_primes_is_read_too():
    key = AccountKey.generate("rsa2048")
    fields = json.loads(key.jwk_json())
    slim = {name: fields[name] for name in ("kty", "n", "e", "d")}
    assert AccountKey.from_jwk_json(json.dumps(slim)) == key


@pytest.mark.parametrize("member", ["n", "e", "d", "p", "q", "dp", "dq", "qi"])
def test_an_rsa_jwk_with_one_damaged_member_never_signs(member):
    # A wrong CRT parameter gives the private key away in its first signature.
    fields = json.loads(AccountKey.generate("rsa2048").jwk_json())
    number = int.from_bytes(decode(fields[member]), "big") ^ 4
    fields[member] = b64url(number.to_bytes((number.bit_length() + 7) // 8, "big"))
    with pytest.raises(ConfigError):
        AccountKey.from_jwk_json(json.dumps(fields))


@pytest.mark.parametrize("kind", ["ec256", "ec384", "ec521"])
@pytest.mark.parametrize("member", ["x", "y", "d"])
def test_an_ec_jwk_with_one_damaged_member_is_refused(kind, member):
    fields = json.loads(AccountKey.generate(kind).jwk_json())
    octets = bytearray(decode(fields[member]))
    octets[-1] ^= 4
    fields[member] = b64url(bytes(octets))
    with pytest.raises(ConfigError):
        AccountKey.from_jwk_json(json.dumps(fields))


@pytest.mark.parametrize("kind", ["rsa2048", "ec256", "ec384", "ec521"])
def test_public_keys_are_written_as_josepy_writes_them(kind):
    key = AccountKey.generate(kind)
    assert josepy.JWK.from_json(json.loads(key.jwk_json())).public_key().to_json() == key.public_jwk()


@pytest.mark.parametrize("kind", ["rsa2048", "ec256", "ed25519"])
def test_a_plain_key_is_read_and_used_without_importing_josepy(kind):
    script = (
        "import sys; from acmectl.acme.jws import AccountKey, sign_request as s; "
        "k = AccountKey.from_jwk_json(sys.stdin.read()); s(k, 'https://a/', {}, nonce='n', kid=None); "
        "print(k.thumbprint(), 'josepy' in sys.modules)"
    )
    key = AccountKey.generate(kind)
    done = subprocess.run([sys.executable, "-c", script], input=key.jwk_json(), capture_output=True, text=True)
    assert done.stdout.split() == [key.thumbprint(), "False"]


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "5", "null", "{}", '{"kty":"RSA"}', '{"kty":"oct","k":"AAAA"}', '{"kty":"EC","crv":"P-256"}',
     '{"kty":"OKP","crv":"Ed448","d":"AA","x":"AA"}', '{"kty":"OKP","crv":"Ed25519","d":"AA","x":"AA"}',
     '{"kty":"OKP","crv":"Ed25519"}', '{"kty":"RSA","n":1,"e":2}', '{"kty":["RSA"]}', "[" * 100_000],
)  # fmt: skip
def test_a_malformed_jwk_is_one_clear_error(text):
    with pytest.raises(ConfigError):
        AccountKey.from_jwk_json(text)


def test_a_public_jwk_is_no_account_key():
    for kind in ("rsa2048", "ec256", "ed25519"):
        with pytest.raises(ConfigError):
            AccountKey.from_jwk_json(json.dumps(AccountKey.generate(kind).public_jwk()))


def test_errors_about_keys_do_not_quote_them():
    secret = b64url(b"CANARY" * 10)
    with pytest.raises(ConfigError) as caught:
        AccountKey.from_jwk_json(json.dumps({"kty": "OKP", "crv": "Ed25519", "d": secret, "x": secret}))
    assert secret not in str(caught.value)
    assert caught.value.__suppress_context__


@pytest.mark.parametrize(
    "short", ["rsa1024", "rsa8192", "rsa", "ec512", "dsa", "", "RSA2048", "rsa20480", "rsa\u066248"]
)
def test_a_key_that_no_ca_would_take_is_refused(short):
    with pytest.raises(ConfigError):
        AccountKey.generate(short)


@pytest.mark.parametrize(
    "make",
    [
        lambda: rsa.generate_private_key(65537, 1024),
        lambda: ec.generate_private_key(ec.SECP256K1()),
        lambda: dsa.generate_private_key(2048),
        x25519.X25519PrivateKey.generate,
    ],
)
def test_a_pem_key_without_a_signature_algorithm_in_acme_is_refused(make):
    pem = make().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    with pytest.raises(ConfigError):
        AccountKey.from_pem(pem)


def test_pem_keys_are_read_and_encrypted_or_broken_ones_refused():
    private = ec.generate_private_key(ec.SECP384R1())
    plain = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
    assert AccountKey.from_pem(plain).algorithm == "ES384"
    locked = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"pw")
    )
    with pytest.raises(ConfigError, match="encrypted"):
        AccountKey.from_pem(locked)
    with pytest.raises(ConfigError):
        AccountKey.from_pem(plain[:100])


@pytest.mark.parametrize(("alg", "digest"), [("HS256", "sha256"), ("HS384", "sha384"), ("HS512", "sha512")])
@pytest.mark.parametrize("pad", ["", "=="])
def test_external_account_binding_signs_the_public_jwk_with_the_cas_key(alg, digest, pad, key):
    secret = b"0123456789abcdef"
    bound = eab("kid-1", b64url(secret) + pad, alg, key.public_jwk(), URL)
    assert json.loads(decode(str(bound["protected"]))) == {"alg": alg, "kid": "kid-1", "url": URL}
    assert json.loads(decode(str(bound["payload"]))) == key.public_jwk()
    expected = hmac.digest(secret, f"{bound['protected']}.{bound['payload']}".encode(), digest)
    assert decode(str(bound["signature"])) == expected


def test_an_eab_key_in_the_plain_base64_alphabet_is_understood():
    secret = b"\xfb\xef\xff" * 6
    plain = eab("k", "++//" * 6, "HS256", {"kty": "x"}, URL)
    assert plain == eab("k", "--__" * 6, "HS256", {"kty": "x"}, URL)
    assert secret[:3] == unb64url("--__")


@pytest.mark.parametrize(
    ("kid", "secret", "alg"),
    [("k", "QUJD", "HS1"), ("k", "QUJD", "none"), ("k", "CANARY!!", "HS256"), ("k", "", "HS256"), ("", "QUJD", "HS256"),
     ("k", "CANARYCANARYA\u00e9", "HS256"), ("k", "CANAR", "HS256")],
)  # fmt: skip
def test_a_malformed_eab_is_refused_without_quoting_the_key(kid, secret, alg):
    with pytest.raises(ConfigError) as caught:
        eab(kid, secret, alg, {}, URL)
    assert "CANAR" not in str(caught.value)


def test_a_key_change_is_signed_by_the_new_key_and_names_the_old_one():
    old, new = AccountKey.generate("ec256"), AccountKey.generate("rsa2048")
    inner = key_change_payload(old, new, account_url="https://ca.example/acct/1", url="https://ca.example/kc")
    header = json.loads(decode(str(inner["protected"])))
    assert header == {"alg": "RS256", "jwk": new.public_jwk(), "url": "https://ca.example/kc"}
    payload = json.loads(decode(str(inner["payload"])))
    assert payload == {"account": "https://ca.example/acct/1", "oldKey": old.public_jwk()}
    verify(new, f"{inner['protected']}.{inner['payload']}".encode(), decode(str(inner["signature"])))
