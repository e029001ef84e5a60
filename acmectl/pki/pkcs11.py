"""Private keys in PKCS#11 tokens: found, read as far as they are public, and signed with. The one room of that library.

A process has one login at a token for all its sessions, so one thread at a time works with tokens.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from acmectl.errors import ConfigError
from acmectl.pki.pkcs11_uri import DEFAULT_MODULE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from acmectl.pki.pkcs11_uri import TokenUri

EXTRA = "pkcs11"

_CURVES: dict[str, ec.EllipticCurve] = {  # by the object identifiers of RFC 5480 section 2.1.1.1, without their tag
    "2a8648ce3d030107": ec.SECP256R1(),
    "2b81040022": ec.SECP384R1(),
    "2b81040023": ec.SECP521R1(),
}
# DigestInfo of SHA-256 (RFC 8017 section 9.2, note 1), for tokens that do not hash.
_SHA256_INFO = bytes.fromhex("3031300d060960864801650304020105000420")

_lock = threading.RLock()
_refused: set[tuple[str, str]] = set()
"""Tokens, by module and serial number, that have refused a PIN in this process: they lock after a few."""


class ExtraMissing(ConfigError):
    """The library is not installed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenKey:
    """A private key in a token, usable while ``open_key`` is entered. ``spki``: SubjectPublicKeyInfo DER.

    ``private`` signs and knows its public half; it can do nothing else that a private key of cryptography can.
    """

    private: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey = field(repr=False)
    spki: bytes = field(repr=False)


@contextmanager
def open_key(uri: TokenUri, pin: str | None) -> Iterator[TokenKey]:
    """The key that ``uri`` names, logged in with ``pin`` (None: without), until the end of the block.

    A wrong PIN is tried once in a process. Raises: ConfigError for everything that is wrong with module, token, PIN or
    key; ExtraMissing.
    """
    try:
        import pkcs11
    except ImportError as error:
        raise ExtraMissing("Keys in PKCS#11 tokens need a library that is not installed (python-pkcs11).") from error
    with _lock, _output_kept_clean():
        module = uri.module_path or DEFAULT_MODULE
        session = None
        try:
            token = _token(uri, module)
            session = log_in(token, module, pin)
            yield _key(session, token, uri, module, pin)
        except pkcs11.PKCS11Error as error:
            raise ConfigError(f"The PKCS#11 module {module} reports {_named(error)}.") from error
        finally:
            if session is not None:
                session.close()


@contextmanager
def _output_kept_clean() -> Iterator[None]:
    """Send what a module prints to standard error: standard output has the result, which programs read."""
    try:
        ours = os.dup(1)
    except OSError:  # there is no standard output
        yield
        return
    try:
        with suppress(OSError):  # nor a standard error
            os.dup2(2, 1)
        yield
    finally:
        # What C still holds back must not come out later.
        ctypes.CDLL(None).fflush(None)
        os.dup2(ours, 1)
        os.close(ours)


def _named(error: Exception) -> str:
    text = " ".join(str(error).split())
    return type(error).__name__ + (f" ({text[:200]})" if text and text.isprintable() else "")


def _token(uri: TokenUri, module: str) -> Any:
    import pkcs11

    try:
        library = pkcs11.lib(module)
        slots = library.get_slots(token_present=True)
    except RuntimeError as error:  # PKCS11Error is one, and older releases raise it itself for a file that is no module
        raise ConfigError(
            f"The PKCS#11 module {module} cannot be used: {_named(error)}.",
            hint="Name the token's module in the URI: ?module-path=/PATH/MODULE.so"
            if uri.module_path is None
            else "Look at module-path and at the module's own configuration.",
        ) from error
    present = [token for token in map(_present, slots) if token is not None]
    fitting = [token for token in present if _fits(token, uri)]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        serials = ", ".join(_shown(token.serial) for token in fitting)
        raise ConfigError(
            f"{len(fitting)} tokens fit the PKCS#11 URI; their serial numbers are {serials}.",
            hint="Add serial=NUMBER to the URI.",
        )
    labels = ", ".join(sorted(_shown(token.label) for token in present)) or "none"
    wanted = f"has no token with {uri.wanted_token}" if uri.wanted_token else "has no token"
    raise ConfigError(f"The PKCS#11 module {module} {wanted}.", hint=f"Tokens that are there: {labels}.")


def _present(slot: Any) -> Any | None:
    import pkcs11

    try:
        token = slot.get_token()
    except (pkcs11.TokenNotPresent, pkcs11.TokenNotRecognised, pkcs11.DeviceRemoved):
        return None
    return token if token.flags & pkcs11.TokenFlag.TOKEN_INITIALIZED else None


def _fits(token: Any, uri: TokenUri) -> bool:
    pairs = (
        (uri.token, token.label),
        (uri.serial, _text(token.serial)),
        (uri.manufacturer, token.manufacturer_id),
        (uri.model, token.model),
        (uri.slot_id, token.slot.slot_id),
    )
    return all(wanted is None or wanted == present for wanted, present in pairs)


def log_in(token: Any, module: str, pin: str | None) -> Any:
    """A session at ``token``; ``pin`` None is for tokens that need none. Raises: ConfigError, PKCS11Error."""
    import pkcs11

    flags, label = token.flags, _shown(token.label)
    if pin is None:
        if flags & pkcs11.TokenFlag.LOGIN_REQUIRED:
            raise ConfigError(
                f"The token {label} needs a PIN, and the PKCS#11 URI does not say where it lies.",
                hint="Add pin-source=file:/PATH behind the question mark of the URI.",
            )
        return token.open()
    known = (module, _text(token.serial))
    if known in _refused:
        raise ConfigError(f"The token {label} has refused its PIN in this run already; it is not tried again.")
    if flags & pkcs11.TokenFlag.USER_PIN_LOCKED:
        raise ConfigError(f"The PIN of the token {label} is locked.", hint="Unlock it with the token's own tool.")
    if flags & pkcs11.TokenFlag.USER_PIN_FINAL_TRY:
        raise ConfigError(
            f"One wrong PIN more would lock the token {label}, so it is not tried.",
            hint="Log in once by hand, such as with pkcs11-tool --login --test, and look at what pin-source leads to.",
        )
    try:
        return token.open(user_pin=pin)
    except (pkcs11.PinIncorrect, pkcs11.PinInvalid, pkcs11.PinLenRange) as error:
        _refused.add(known)
        raise ConfigError(
            f"The token {label} refuses the PIN; it was tried once.", hint="Look at what pin-source leads to."
        ) from error
    except pkcs11.PinLocked as error:
        _refused.add(known)
        raise ConfigError(
            f"The PIN of the token {label} is locked.", hint="Unlock it with the token's own tool."
        ) from error


def _key(session: Any, token: Any, uri: TokenUri, module: str, pin: str | None) -> TokenKey:
    from pkcs11 import Attribute, KeyType, ObjectClass

    found = _objects(session, ObjectClass.PRIVATE_KEY, object=uri.object, id=uri.id)
    label = _shown(token.label)
    if not found:
        raise ConfigError(
            f"The token {label} has no private key with {uri.wanted_key}.",
            hint=f"Make one: pkcs11-tool --module {module} --token-label '{label}' --login --keypairgen --key-type "
            "EC:prime256v1 --id 01 --label NAME",
        )
    if len(found) > 1:
        ids = ", ".join(sorted(_attribute(key, Attribute.ID, b"").hex() or "none" for key in found))
        raise ConfigError(
            f"The token {label} has {len(found)} private keys with {uri.wanted_key}; their IDs are {ids}.",
            hint="Add id=%XX to the URI.",
        )
    key = found[0]
    kind = _attribute(key, Attribute.KEY_TYPE, None)
    public = _public_key(session, key)
    if public is None:
        raise ConfigError(
            f"The token {label} has no public key and no certificate beside the private key with {uri.wanted_key}.",
            hint="Store the public key there too, with the same ID.",
        )
    login = pin if _attribute(key, Attribute.ALWAYS_AUTHENTICATE, False) else None
    spki = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if kind == KeyType.RSA and isinstance(public, rsa.RSAPublicKey):
        hashing = _mechanism("SHA256_RSA_PKCS") in token.slot.get_mechanisms()
        return TokenKey(private=cast("rsa.RSAPrivateKey", _RsaKey(key, public, login, hashing=hashing)), spki=spki)
    if kind == KeyType.EC and isinstance(public, ec.EllipticCurvePublicKey):
        return TokenKey(private=cast("ec.EllipticCurvePrivateKey", _EcKey(key, public, login)), spki=spki)
    raise ConfigError(f"The key with {uri.wanted_key} in the token {label} is neither RSA nor ECDSA.")


def _mechanism(name: str) -> Any:
    from pkcs11 import Mechanism

    return Mechanism[name]


def _objects(session: Any, kind: Any, *, object: str | None, id: bytes | None) -> list[Any]:  # noqa: A002 - the URI's words
    from pkcs11 import Attribute

    wanted: dict[Any, Any] = {Attribute.CLASS: kind}
    if object is not None:
        wanted[Attribute.LABEL] = object
    if id is not None:
        wanted[Attribute.ID] = id
    return list(session.get_objects(wanted))


def _attribute(thing: Any, name: Any, default: Any) -> Any:
    import pkcs11

    try:
        return thing[name]
    except (pkcs11.AttributeTypeInvalid, pkcs11.AttributeSensitive, pkcs11.FunctionFailed):
        return default


def _public_key(session: Any, key: Any) -> Any | None:
    """The public half: an object of its own, what the private key tells itself, or a certificate with the same ID."""
    from pkcs11 import Attribute, ObjectClass

    id = _attribute(key, Attribute.ID, b"")  # noqa: A001 - the word for it
    label = _attribute(key, Attribute.LABEL, None)
    beside = {"id": id, "object": None} if id else {"id": None, "object": label}
    candidates = [*_objects(session, ObjectClass.PUBLIC_KEY, **beside), key] if id or label else [key]
    for candidate in candidates:
        public = _numbers(candidate)
        if public is not None:
            return public
    for certificate in _objects(session, ObjectClass.CERTIFICATE, **beside) if id or label else ():
        der = _attribute(certificate, Attribute.VALUE, b"")
        try:
            return x509.load_der_x509_certificate(der).public_key()
        except ValueError:
            continue
    return None


def _numbers(thing: Any) -> Any | None:
    from pkcs11 import Attribute

    try:
        modulus = _attribute(thing, Attribute.MODULUS, b"")
        exponent = _attribute(thing, Attribute.PUBLIC_EXPONENT, b"")
        if modulus and exponent:
            return rsa.RSAPublicNumbers(int.from_bytes(exponent, "big"), int.from_bytes(modulus, "big")).public_key()
        point = _attribute(thing, Attribute.EC_POINT, b"")
        curve = _CURVES.get(_attribute(thing, Attribute.EC_PARAMS, b"")[2:].hex())
        if not point or curve is None:
            return None
        # An OCTET STRING around the point (PKCS#11 v2.40, section 2.3.3 of the mechanisms); some give the point alone.
        wrapped = point[0] == 0x04 and len(point) - 2 - (point[1] == 0x81) == 1 + 2 * ((curve.key_size + 7) // 8)
        plain = point[2 + (point[1] == 0x81) :] if wrapped else point
        return ec.EllipticCurvePublicKey.from_encoded_point(curve, plain)
    except (ValueError, IndexError, UnsupportedAlgorithm):
        return None


class _RsaKey:
    """Signs as an RSA key of cryptography does: PKCS#1 v1.5 with SHA-256."""

    def __init__(self, key: Any, public: Any, pin: str | None, *, hashing: bool) -> None:
        self._key, self._public, self._pin, self._hashing = key, public, pin, hashing
        self.key_size = public.key_size

    def public_key(self) -> Any:
        return self._public

    def sign(self, data: bytes, _padding: object, _algorithm: object) -> bytes:
        more = {} if self._pin is None else {"pin": self._pin}
        name = "SHA256_RSA_PKCS" if self._hashing else "RSA_PKCS"
        text = data if self._hashing else _SHA256_INFO + _sha256(data)
        signature: bytes = self._key.sign(text, mechanism=_mechanism(name), **more)
        return signature


class _EcKey:
    """Signs as an elliptic curve key of cryptography does, with SHA-256: a token gives r and s one behind the other."""

    def __init__(self, key: Any, public: Any, pin: str | None) -> None:
        self._key, self._public, self._pin = key, public, pin
        self.curve, self.key_size = public.curve, public.curve.key_size

    def public_key(self) -> Any:
        return self._public

    def sign(self, data: bytes, _algorithm: object) -> bytes:
        more = {} if self._pin is None else {"pin": self._pin}
        pair = self._key.sign(_sha256(data), mechanism=_mechanism("ECDSA"), **more)
        half = len(pair) // 2
        return encode_dss_signature(int.from_bytes(pair[:half], "big"), int.from_bytes(pair[half:], "big"))


rsa.RSAPrivateKey.register(_RsaKey)
ec.EllipticCurvePrivateKey.register(_EcKey)


def _sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def _text(value: object) -> str:
    return value.decode("utf-8", "replace").strip() if isinstance(value, bytes) else str(value).strip()


def _shown(value: object) -> str:
    return "".join(c if c.isprintable() else "?" for c in _text(value)[:80])
