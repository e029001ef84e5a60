"""PKCS#11 URIs (RFC 7512): which key in which token, by which module, and where its PIN lies. Loads no library."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import quote_from_bytes, unquote_to_bytes

from acmectl.errors import ConfigError

SCHEME = "pkcs11:"
DEFAULT_MODULE = "p11-kit-proxy.so"
"""Every module that is registered with p11-kit, as the dynamic linker finds it."""

PIN_SOURCES = ("file", "env", "systemd", "cmd")
_NAMES = {"token", "manufacturer", "model", "serial", "slot-id", "object", "id", "type"}
_QUERIES = {"module-path", "pin-source"}
# RFC 7512 section 2.3: pk11-pchar and pk11-qchar.
_PATH_VALUE = re.compile(r"(?:[A-Za-z0-9._~:\[\]@!$'()*+,=&-]|%[0-9A-Fa-f]{2})*")
_QUERY_VALUE = re.compile(r"(?:[A-Za-z0-9._~:\[\]@!$'()*+,=/?|-]|%[0-9A-Fa-f]{2})*")
_PATH_SAFE = "._~:[]@!$'()*+,=&-"
_QUERY_SAFE = "._~:[]@!$'()*+,=/?|-"
_EXAMPLE = "pkcs11:token=NAME;object=LABEL?module-path=/PATH/MODULE.so&pin-source=file:/PATH/PIN"


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenUri:
    """``text`` is the URI as it was given. What is None may be anything.

    ``module_path`` is absolute; ``pin_source`` is a reference such as ``file:/etc/pin``, never the PIN.
    """

    text: str
    token: str | None = None
    manufacturer: str | None = None
    model: str | None = None
    serial: str | None = None
    slot_id: int | None = None
    object: str | None = None
    id: bytes | None = None
    module_path: str | None = None
    pin_source: str | None = None

    @property
    def for_servers(self) -> str:
        """The URI that others load the key by: the PIN's file is theirs to read too, the module is theirs to choose."""
        texts = {
            "token": self.token,
            "manufacturer": self.manufacturer,
            "model": self.model,
            "serial": self.serial,
            "slot-id": None if self.slot_id is None else str(self.slot_id),
            "object": self.object,
        }
        parts = [f"{name}={quote_from_bytes(text.encode(), _PATH_SAFE)}" for name, text in texts.items() if text]
        if self.id is not None:
            parts.append("id=" + "".join(f"%{octet:02X}" for octet in self.id))
        query = ""
        if self.pin_source is not None and self.pin_source.startswith("file:"):
            query = f"?pin-source={quote_from_bytes(self.pin_source.encode(), _QUERY_SAFE)}"
        return f"{SCHEME}{';'.join([*parts, 'type=private'])}{query}"

    @property
    def wanted_key(self) -> str:
        """The key in words, for messages."""
        words = [] if self.object is None else [f"the label {self.object}"]
        words += [] if self.id is None else [f"the ID {self.id.hex()}"]
        return " and ".join(words)

    @property
    def wanted_token(self) -> str:
        """The token in words, for messages."""
        texts = (
            ("label", self.token),
            ("serial number", self.serial),
            ("manufacturer", self.manufacturer),
            ("model", self.model),
            ("slot", self.slot_id),
        )
        return " and ".join(f"the {name} {text}" for name, text in texts if text is not None)


def parse(text: str, where: str) -> TokenUri:
    """The URI ``text``, which ``where`` gives. Raises: ConfigError, whose message never quotes the URI's values."""
    if not text[: len(SCHEME)].lower() == SCHEME:
        raise ConfigError(f"{where} is no PKCS#11 URI: it does not begin with {SCHEME}", hint=f"Write {_EXAMPLE}")
    path, _, query = text[len(SCHEME) :].partition("?")
    found = _attributes(path, ";", _PATH_VALUE, _NAMES, where)
    asked = _attributes(query, "&", _QUERY_VALUE, _QUERIES, where)
    if found.pop("type", b"private") != b"private":
        raise ConfigError(f"{where}: type is not private, but a certificate needs a private key.")
    if not found.get("object") and not found.get("id"):
        raise ConfigError(
            f"{where} names no key: neither object nor id is in the PKCS#11 URI.", hint=f"Write {_EXAMPLE}"
        )
    words = {name: _decoded(name, value, where) for name, value in found.items() if name != "id"}
    slot = words.get("slot-id")
    if slot is not None and re.fullmatch(r"[0-9]{1,10}", slot) is None:
        raise ConfigError(f"{where}: slot-id is no number.")
    return TokenUri(
        text=text,
        token=words.get("token"),
        manufacturer=words.get("manufacturer"),
        model=words.get("model"),
        serial=words.get("serial"),
        slot_id=None if slot is None else int(slot),
        object=words.get("object"),
        id=found.get("id"),
        module_path=_module(asked.get("module-path"), where),
        pin_source=_pin_source(asked.get("pin-source"), where),
    )


def _attributes(text: str, separator: str, value: re.Pattern[str], known: set[str], where: str) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for part in text.split(separator) if text else ():
        name, equals, raw = part.partition("=")
        if name == "pin-value":
            raise ConfigError(
                f"{where}: a PIN does not belong there: others would see it.",
                hint="Write it to a file of mode 0600 and give pin-source=file:/PATH instead of pin-value.",
            )
        if not equals or name not in known:
            shown = name if re.fullmatch(r"[a-z0-9_-]{1,40}", name) else "something else"
            raise ConfigError(
                f"{where}: the PKCS#11 URI has {shown}, which is not one of {', '.join(sorted(known))}.",
                hint="The path is separated by semicolons, what follows the question mark by &.",
            )
        if name in found:
            raise ConfigError(f"{where}: the PKCS#11 URI has {name} twice.")
        if value.fullmatch(raw) is None:
            raise ConfigError(
                f"{where}: the value of {name} has a character that a PKCS#11 URI must write as %XX.",
                hint="A blank is %20, a slash in the path %2F, a semicolon %3B.",
            )
        found[name] = unquote_to_bytes(raw)
    return found


def _decoded(name: str, value: bytes, where: str) -> str:
    try:
        text = value.decode()
    except UnicodeDecodeError:
        text = "\n"
    if not text.isprintable():
        raise ConfigError(f"{where}: the value of {name} is no printable text.")
    return text


def _module(value: bytes | None, where: str) -> str | None:
    if value is None:
        return None
    path = _decoded("module-path", value, where)
    if not path.startswith("/"):
        raise ConfigError(f"{where}: module-path is no absolute path.")
    return path


def _pin_source(value: bytes | None, where: str) -> str | None:
    if value is None:
        return None
    text = _decoded("pin-source", value, where)
    kind, colon, rest = text.partition(":")
    if text.startswith("/"):
        return f"file:{text}"
    if not colon or kind not in PIN_SOURCES or not rest.strip():
        raise ConfigError(
            f"{where}: pin-source does not say where the PIN lies.",
            hint="Write file:/PATH, env:NAME, systemd:NAME or cmd:COMMAND.",
        )
    if kind == "file" and not rest.startswith("/"):
        raise ConfigError(f"{where}: the file of pin-source is no absolute path.", hint="Write pin-source=file:/PATH.")
    return text
