"""Private keys of certificates: which kind, how they are made, what can be read from them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_public_key,
    load_pem_private_key,
)

from acmectl.errors import ConfigError
from acmectl.pki.token_file import is_token_key, public_part

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes, PublicKeyTypes

KeyKind = Literal["rsa", "ecdsa"]
CurveName = Literal["secp256r1", "secp384r1", "secp521r1"]

MINIMUM_RSA_SIZE = 2048
MAXIMUM_RSA_SIZE = 8192
DEFAULT_RSA_SIZE = 2048
DEFAULT_CURVE: CurveName = "secp256r1"

_CURVES: dict[str, type[ec.EllipticCurve]] = {
    "secp256r1": ec.SECP256R1,
    "secp384r1": ec.SECP384R1,
    "secp521r1": ec.SECP521R1,
}
_SHORT_CURVES: dict[str, CurveName] = {"ec256": "secp256r1", "ec384": "secp384r1", "ec521": "secp521r1"}
_SHORT_RSA = re.compile(r"rsa([0-9]{3,5})")
_MAX_KEY_FILE = 1 << 16


@dataclass(frozen=True, slots=True, kw_only=True)
class KeySpec:
    """What kind of key: ``type`` rsa with ``size`` in bits, or ecdsa with ``curve`` (RFC 5480 names)."""

    type: KeyKind
    size: int | None = None
    curve: CurveName | None = None

    @classmethod
    def rsa(cls, size: int = DEFAULT_RSA_SIZE) -> KeySpec:
        """An RSA key of ``size`` bits. Raises: ConfigError when no CA would take it."""
        spec = cls(type="rsa", size=size)
        spec.check()
        return spec

    @classmethod
    def ecdsa(cls, curve: str = DEFAULT_CURVE) -> KeySpec:
        """A key on ``curve``: secp256r1, secp384r1 or secp521r1. Raises: ConfigError for any other."""
        for known in _SHORT_CURVES.values():
            if curve == known:
                return cls(type="ecdsa", curve=known)
        raise ConfigError(f"Elliptic curve '{_shown(curve)}' is not supported.", hint=f"Use {', '.join(_CURVES)}.")

    @classmethod
    def from_short(cls, text: str) -> KeySpec:
        """A key from its short form: ec256, ec384, ec521, rsa2048, rsa3072, rsa4096. Raises: ConfigError."""
        short = text.strip().lower()
        if short in _SHORT_CURVES:
            return cls.ecdsa(_SHORT_CURVES[short])
        if match := _SHORT_RSA.fullmatch(short):
            return cls.rsa(int(match[1]))
        raise ConfigError(
            f"'{_shown(text)}' is not a key type.", hint="Use rsa, ecdsa, ec256, ec384, rsa2048, rsa3072 or rsa4096."
        )

    def check(self) -> None:
        """Say whether a key of this kind can be made. Raises: ConfigError."""
        if self.type == "ecdsa":
            if self.curve not in _CURVES:
                raise ConfigError("An ECDSA key needs a curve.", hint=f"Use {', '.join(_CURVES)}.")
            return
        if self.size is None or self.size < MINIMUM_RSA_SIZE:
            raise ConfigError(
                f"An RSA key of {self.size} bits is too small: at least {MINIMUM_RSA_SIZE} bits are needed.",
                hint="CAs accept 2048, 3072 and 4096.",
            )
        if self.size > MAXIMUM_RSA_SIZE or self.size % 8:
            raise ConfigError(
                f"An RSA key of {self.size} bits is not accepted by CAs.", hint="CAs accept 2048, 3072 and 4096."
            )

    def __str__(self) -> str:
        return f"RSA {self.size}" if self.type == "rsa" else f"ECDSA {self.curve}"


def generate_key(spec: KeySpec) -> bytes:
    """A new private key: PKCS#8 PEM without passphrase. Raises: ConfigError for an RSA key under 2048 bits."""
    spec.check()
    key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
    if spec.type == "rsa":
        key = rsa.generate_private_key(public_exponent=65537, key_size=spec.size or DEFAULT_RSA_SIZE)
    else:
        key = ec.generate_private_key(_CURVES[spec.curve or DEFAULT_CURVE]())
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def load_private_key(private_pem: bytes, *, trusted: bool = False) -> PrivateKeyTypes:
    """The key in ``private_pem`` (PKCS#8, PKCS#1 or SEC 1, no passphrase).

    ``trusted`` skips the primality checks of RSA keys (100 times faster): for reading, never for signing.

    Raises: ConfigError when it is no private key or has a passphrase.
    """
    if len(private_pem) > _MAX_KEY_FILE:
        raise ConfigError("The private key cannot be read: it is too long.")
    if is_token_key(private_pem):
        raise ConfigError(
            "The private key lies in a PKCS#11 token: it cannot be used as a file.", hint="See docs/pkcs11.md."
        )
    try:
        return load_pem_private_key(private_pem, None, unsafe_skip_rsa_key_validation=trusted)
    except TypeError as error:
        raise ConfigError("The private key is protected by a passphrase.", hint="Remove the passphrase.") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ConfigError("The private key cannot be read: it is not a PEM private key.") from error


def spec_of(private_pem: bytes) -> KeySpec:
    """What kind of key ``private_pem`` is or, in a token, names.

    Raises: ConfigError when unreadable, or neither RSA nor a known curve.
    """
    if is_token_key(private_pem):
        key: PrivateKeyTypes | PublicKeyTypes = _public_in_file(private_pem)
    else:
        key = load_private_key(private_pem, trusted=True)
    if isinstance(key, rsa.RSAPrivateKey | rsa.RSAPublicKey):
        return KeySpec(type="rsa", size=key.key_size)
    if isinstance(key, ec.EllipticCurvePrivateKey | ec.EllipticCurvePublicKey):
        return KeySpec.ecdsa(key.curve.name)
    raise ConfigError("The private key is neither RSA nor ECDSA.")


def public_bytes_of(private_pem: bytes) -> bytes:
    """The public half as SubjectPublicKeyInfo DER. Raises: ConfigError when the private key is unreadable.

    Of a key in a token its file has the public half, and nobody asks the token.
    """
    if is_token_key(private_pem):
        return _public_in_file(private_pem).public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    key = load_private_key(private_pem, trusted=True)
    try:
        return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ConfigError("The private key cannot be read: its public half is not valid.") from error


def _public_in_file(token_pem: bytes) -> PublicKeyTypes:
    try:
        return load_der_public_key(public_part(token_pem))
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ConfigError("The private key cannot be read: the public key in its file is not valid.") from error


def _shown(text: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in text[:80])
