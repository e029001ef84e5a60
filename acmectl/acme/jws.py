"""Account keys and signed requests (RFC 8555 section 6.2, RFC 7515, 7517, 7518, 7638, 8037).

JWKs are written by josepy where it knows the key type, and read by it where they are unusual. It is imported only then:
it takes as long to import as a request takes, and nearly every run reads a plain key and signs.
"""

from __future__ import annotations

import binascii
import hashlib
import hmac
import json
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from acmectl.acme.base64url import b64url, unb64url
from acmectl.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

    import josepy

_CURVES: dict[str, tuple[type[ec.EllipticCurve], str, type[hashes.HashAlgorithm]]] = {
    "secp256r1": (ec.SECP256R1, "ES256", hashes.SHA256),
    "secp384r1": (ec.SECP384R1, "ES384", hashes.SHA384),
    "secp521r1": (ec.SECP521R1, "ES512", hashes.SHA512),
}
_JWK_CURVES = {"secp256r1": "P-256", "secp384r1": "P-384", "secp521r1": "P-521"}
_CURVE_OF_SHORT = {"ec256": "secp256r1", "ec384": "secp384r1", "ec521": "secp521r1"}
_HMACS = {"HS256": "sha256", "HS384": "sha384", "HS512": "sha512"}
_RSA_BITS = range(2048, 4097)
_PKCS1 = padding.PKCS1v15()
_SHA256 = hashes.SHA256()

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


class AccountKey:
    """A private key that signs requests. Its repr shows the thumbprint only.

    Immutable and safe to use from several threads.
    """

    def __init__(self, private_key: PrivateKey) -> None:
        """Use ``private_key``. Raises: ConfigError when ACME has no signature algorithm for it."""
        self._key = private_key
        self.algorithm, self._signer = _signer_for(private_key)

    @classmethod
    def generate(cls, short: str) -> AccountKey:
        """A new key: ``rsa2048`` .. ``rsa4096``, ``ec256``, ``ec384``, ``ec521``, ``ed25519``. Raises: ConfigError."""
        if short in _CURVE_OF_SHORT:
            return cls(ec.generate_private_key(_CURVES[_CURVE_OF_SHORT[short]][0]()))
        if short == "ed25519":
            return cls(ed25519.Ed25519PrivateKey.generate())
        bits = short.removeprefix("rsa")
        if short.startswith("rsa") and bits.isascii() and bits.isdigit() and len(bits) == 4:
            _check_rsa_bits(int(bits))
            return cls(rsa.generate_private_key(65537, int(bits)))
        raise ConfigError(
            f"'{short}' is no kind of account key.", hint="Use rsa2048, rsa4096, ec256, ec384, ec521 or ed25519."
        )

    @classmethod
    def from_pem(cls, pem: bytes) -> AccountKey:
        """The key in an unencrypted PEM file of any usual form. Raises: ConfigError."""
        try:
            key = serialization.load_pem_private_key(pem, password=None)
        except TypeError:
            raise ConfigError("The private key is encrypted.", hint="Decrypt it first.") from None
        except (ValueError, UnsupportedAlgorithm):
            raise ConfigError("The private key is not a PEM private key that can be read.") from None
        return cls(_supported(key))

    @classmethod
    def from_jwk_json(cls, text: str) -> AccountKey:
        """The key in a JWK (RFC 7517; Ed25519: RFC 8037), as certbot stores it. Raises: ConfigError."""
        try:
            fields = json.loads(text)
            if not isinstance(fields, dict):
                raise TypeError("no object")
            if fields.get("kty") == "OKP":
                return cls(_ed25519_from(fields))
            readers: dict[object, Callable[[dict[str, object]], PrivateKey | None]] = {"RSA": _rsa_from, "EC": _ec_from}
            reader = readers.get(fields.get("kty"), _unusual)
            return cls(reader(fields) or _unusual(fields))
        except ConfigError:
            raise
        except (ValueError, TypeError, KeyError, AttributeError, UnsupportedAlgorithm, RecursionError):
            # The cause is dropped: its text may quote parts of the key.
            raise ConfigError("The account key is not a private JWK that can be read.") from None

    def jwk_json(self) -> str:
        """The private key as a JWK in JSON. Secret."""
        if isinstance(self._key, ed25519.Ed25519PrivateKey):
            return json.dumps({**self.public_jwk(), "d": b64url(self._key.private_bytes_raw())})
        return _jwk_of(self._key).json_dumps()

    def private_pem(self) -> bytes:
        """The private key as PKCS#8 in PEM, without passphrase. Secret."""
        return self._key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )

    def public_jwk(self) -> dict[str, str]:
        """The public key as a JWK (RFC 7517), its members those that RFC 7638 demands."""
        return dict(self._public_jwk)

    @cached_property
    def _public_jwk(self) -> dict[str, str]:
        public = self._key.public_key()
        if isinstance(public, ed25519.Ed25519PublicKey):
            return {"crv": "Ed25519", "kty": "OKP", "x": b64url(public.public_bytes_raw())}
        if isinstance(public, rsa.RSAPublicKey):
            numbers = public.public_numbers()
            return {"e": b64url(_octets(numbers.e)), "kty": "RSA", "n": b64url(_octets(numbers.n))}
        name, length = _JWK_CURVES[public.curve.name], (public.curve.key_size + 7) // 8
        point = public.public_numbers()
        x, y = (b64url(number.to_bytes(length, "big")) for number in (point.x, point.y))
        return {"crv": name, "kty": "EC", "x": x, "y": y}

    def public_pem(self) -> bytes:
        """SubjectPublicKeyInfo in PEM, with a newline at the end."""
        return self._key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )

    def thumbprint(self) -> str:
        """RFC 7638 thumbprint with SHA-256, base64url."""
        return self._thumbprint

    @cached_property
    def _thumbprint(self) -> str:
        # RFC 7638 section 3: the required members alone, in the order of their names, without blanks.
        canonical = json.dumps(self._public_jwk, sort_keys=True, separators=(",", ":"))
        return b64url(hashlib.sha256(canonical.encode("ascii")).digest())

    def sign(self, data: bytes) -> bytes:
        """The signature over ``data`` in the form that JWS wants (RFC 7518 section 3, RFC 8037 section 3.1)."""
        return self._signer(data)

    def __repr__(self) -> str:
        return f"AccountKey({self.thumbprint()})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, AccountKey) and self.thumbprint() == other.thumbprint()

    def __hash__(self) -> int:
        return hash(self.thumbprint())

    def __reduce__(self) -> str:
        # Pickles and copies of secrets have no use here and travel far.
        raise TypeError("an AccountKey cannot be pickled")


def sign_request(
    key: AccountKey, url: str, payload: Mapping[str, object] | None, *, nonce: str | None, kid: str | None
) -> bytes:
    """The body of a signed request: flattened JWS in JSON (RFC 8555 section 6.2).

    ``payload`` None makes a POST-as-GET (section 6.3). With ``kid`` (the account URL) the key is named by it, otherwise
    the public JWK is enclosed. ``nonce`` None leaves it out: right only inside a key change (section 7.3.5).
    """
    protected: dict[str, object] = {"alg": key.algorithm, "url": url}
    if nonce is not None:
        protected["nonce"] = nonce
    if kid is not None:
        protected["kid"] = kid
    else:
        protected["jwk"] = key.public_jwk()
    return json.dumps(_flattened(protected, payload, key.sign)).encode("ascii")


def key_change_payload(old: AccountKey, new: AccountKey, *, account_url: str, url: str) -> dict[str, object]:
    """The inner JWS of a key change, signed by the new key (RFC 8555 section 7.3.5)."""
    protected: dict[str, object] = {"alg": new.algorithm, "jwk": new.public_jwk(), "url": url}
    return _flattened(protected, {"account": account_url, "oldKey": old.public_jwk()}, new.sign)


def eab(kid: str, hmac_key: str, alg: str, public_jwk: Mapping[str, str], url: str) -> dict[str, object]:
    """The externalAccountBinding object (RFC 8555 section 7.3.4).

    ``hmac_key`` is base64url as CAs hand it out; ``alg`` is HS256, HS384 or HS512; ``url`` that of newAccount.

    Raises: ConfigError for an unknown ``alg`` or a key that is not base64.
    """
    digest = _HMACS.get(alg)
    if digest is None:
        raise ConfigError(f"'{alg}' is no algorithm for external account binding.", hint="Use HS256, HS384 or HS512.")
    try:
        secret = unb64url(hmac_key.strip().replace("+", "-").replace("/", "_"))
    except (ValueError, binascii.Error):
        secret = b""
    if not secret:
        # The key itself must not be quoted.
        raise ConfigError("The HMAC key for external account binding is not base64url.", hint="See --eab-hmac-key.")
    if not kid:
        raise ConfigError("The key identifier for external account binding is empty.", hint="See --eab-kid.")
    protected: dict[str, object] = {"alg": alg, "kid": kid, "url": url}
    return _flattened(protected, public_jwk, lambda data: hmac.digest(secret, data, digest))


def _flattened(
    protected: Mapping[str, object],
    payload: Mapping[str, object] | Mapping[str, str] | None,
    sign: Callable[[bytes], bytes],
) -> dict[str, object]:
    head = b64url(json.dumps(protected).encode("utf-8"))
    body = "" if payload is None else b64url(json.dumps(payload).encode("utf-8"))
    return {"protected": head, "payload": body, "signature": b64url(sign(f"{head}.{body}".encode("ascii")))}


def _signer_for(key: PrivateKey) -> tuple[str, Callable[[bytes], bytes]]:
    if isinstance(key, rsa.RSAPrivateKey):
        _check_rsa_bits(key.key_size)
        return "RS256", lambda data: key.sign(data, _PKCS1, _SHA256)
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return "EdDSA", key.sign
    if key.curve.name not in _CURVES:
        raise ConfigError(f"ACME has no signature algorithm for keys on the curve {key.curve.name}.")
    _, algorithm, digest = _CURVES[key.curve.name]
    scheme = ec.ECDSA(digest())
    length = (key.curve.key_size + 7) // 8

    def sign(data: bytes) -> bytes:
        r, s = decode_dss_signature(key.sign(data, scheme))
        return r.to_bytes(length, "big") + s.to_bytes(length, "big")

    return algorithm, sign


def _check_rsa_bits(bits: int) -> None:
    if bits not in _RSA_BITS:
        raise ConfigError(f"An RSA account key must have 2048 to 4096 bits, not {bits}.")


def _supported(key: object) -> PrivateKey:
    if isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey):
        return key
    raise ConfigError("The key is not an RSA, EC or Ed25519 private key.")


def _jwk_of(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> josepy.JWKRSA | josepy.JWKEC:
    import josepy

    if isinstance(key, rsa.RSAPrivateKey):
        return josepy.JWKRSA(key=josepy.ComparableRSAKey(key))
    return josepy.JWKEC(key=josepy.ComparableECKey(key))


def _unusual(fields: dict[str, object]) -> PrivateKey:
    """Whatever josepy can read. Raises: ValueError, ConfigError."""
    import josepy

    try:
        wrapper = getattr(josepy.JWK.from_json(fields), "key", None)
    except josepy.Error:
        raise ValueError("not a JWK that josepy knows") from None
    return _supported(getattr(wrapper, "_wrapped", wrapper))


def _octets(number: int) -> bytes:
    return number.to_bytes((number.bit_length() + 7) // 8, "big")


def _ec_from(fields: Mapping[str, object]) -> ec.EllipticCurvePrivateKey | None:
    """An EC key whose members have the lengths of RFC 7518 section 6.2; None otherwise. Raises: ValueError."""
    curve = next((_CURVES[name][0]() for name, known in _JWK_CURVES.items() if known == fields.get("crv")), None)
    members = [fields.get(name) for name in ("x", "y", "d")]
    if curve is None or not all(isinstance(member, str) for member in members):
        return None
    octets = [unb64url(str(member)) for member in members]
    if any(len(part) != (curve.key_size + 7) // 8 for part in octets):
        return None
    x, y, d = (int.from_bytes(part, "big") for part in octets)
    # Refuses a point that is not on the curve or does not belong to d.
    return ec.EllipticCurvePrivateNumbers(d, ec.EllipticCurvePublicNumbers(x, y, curve)).private_key()


def _ed25519_from(fields: Mapping[str, object]) -> ed25519.Ed25519PrivateKey:
    if fields.get("crv") != "Ed25519":
        raise ConfigError("The account key is an OKP key on a curve other than Ed25519.")
    key = ed25519.Ed25519PrivateKey.from_private_bytes(unb64url(str(fields["d"])))
    if key.public_key().public_bytes_raw() != unb64url(str(fields["x"])):
        raise ValueError("x does not belong to d")
    return key


def _rsa_from(fields: Mapping[str, object]) -> rsa.RSAPrivateKey | None:
    """An RSA key without the primality tests, which take 40 ms at 2048 bits and 260 ms at 4096; None if incomplete.

    What a damaged file could break is checked instead: a wrong CRT parameter would give the private key away in its
    first signature.
    """
    names = ("n", "e", "d", "p", "q", "dp", "dq", "qi")
    if not all(isinstance(fields.get(name), str) for name in names):
        return None
    n, e, d, p, q, dp, dq, qi = (int.from_bytes(unb64url(str(fields[name])), "big") for name in names)
    if p < 2 or q < 2 or p * q != n or dp != d % (p - 1) or dq != d % (q - 1) or (qi * q) % p != 1:
        raise ValueError("inconsistent RSA key")
    _check_rsa_bits(n.bit_length())
    public = rsa.RSAPublicNumbers(e, n)
    key = rsa.RSAPrivateNumbers(p, q, d, dp, dq, qi, public).private_key(unsafe_skip_rsa_key_validation=True)
    try:
        key.public_key().verify(key.sign(b"self-test", _PKCS1, _SHA256), b"self-test", _PKCS1, _SHA256)
    except InvalidSignature:
        raise ValueError("inconsistent RSA key") from None
    return key
