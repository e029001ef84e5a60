"""What the CA sent, read with distrust: JSON, URLs, times, text for a terminal.

Every reader here either gives a value of the promised type or raises ProtocolViolation (RFC 8555 section 10 treats the
server's answers as input from the network like any other).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeGuard
from urllib.parse import urljoin, urlsplit

from acmectl.errors import ConfigError, ProtocolViolation
from acmectl.identifiers import Identifier

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_URL = 4096
MAX_TEXT = 2000
MAX_LIST = 10_000
_SHOWN_SEGMENT = 24


def plain_text(text: str, limit: int = MAX_TEXT) -> str:
    """``text`` on one line of at most ``limit`` characters, without those that could steer a terminal."""
    text = text[: limit * 2]
    if not text.isprintable():
        text = "".join(c if c.isprintable() else " " for c in text)
    clean = " ".join(text.split())
    return clean if len(clean) <= limit else clean[: limit - 3] + "..."


def redacted(url: str) -> str:
    """``url`` for messages and logs: no user information, no query, long path segments cut (they may be secrets)."""
    try:
        parts = urlsplit(url)
        host = parts.netloc.rpartition("@")[2]
        segments = (s if len(s) < _SHOWN_SEGMENT else s[:6] + "..." for s in parts.path.split("/"))
        return plain_text(f"{parts.scheme}://{host}{'/'.join(segments)}{'?...' if parts.query else ''}", 300)
    except ValueError:
        return "(malformed URL)"


def is_https_url(url: object) -> TypeGuard[str]:
    """True for an absolute https URL of visible ASCII characters with a host and without user information."""
    if not isinstance(url, str) or len(url) > MAX_URL or not url.isascii() or not url.isprintable() or " " in url:
        return False
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return False
    return parts.scheme == "https" and bool(parts.hostname) and "@" not in parts.netloc and port != 0


def check_url(url: object, where: str) -> str:
    """``url`` itself when it is an acceptable https URL (RFC 8555 section 6.1). Raises: ProtocolViolation."""
    if not is_https_url(url):
        shown = redacted(url) if isinstance(url, str) else type(url).__name__
        raise ProtocolViolation(f"The CA sent a URL for {where} that is not https: {shown}")
    return url


def absolute_url(base: str, reference: str, where: str) -> str:
    """``reference`` from a header, relative to ``base``, as an absolute https URL. Raises: ProtocolViolation."""
    try:
        return check_url(urljoin(base, reference), where)
    except ValueError:
        raise ProtocolViolation(f"The CA sent a malformed URL for {where}.") from None


def parse_time(value: object) -> datetime | None:
    """An RFC 3339 time as an aware UTC datetime; None when it is not one."""
    if not isinstance(value, str) or "T" not in value.upper():
        return None
    try:
        moment = datetime.fromisoformat(value.upper())
        return moment.astimezone(UTC) if moment.tzinfo is not None else None
    except (ValueError, OverflowError):
        return None


def format_time(moment: datetime) -> str:
    """An aware datetime as RFC 3339 in UTC, whole seconds."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def loads(body: bytes | str, where: str) -> object:
    """The JSON value in ``body``. Raises: ProtocolViolation."""
    try:
        value: object = json.loads(body)
    except (ValueError, RecursionError):
        raise ProtocolViolation(f"The CA's answer for {where} is not JSON.", hint=_html_hint(body)) from None
    return value


def _html_hint(body: bytes | str) -> str | None:
    start = body[:200].lstrip()[:1]
    if start in {b"<", "<"}:
        return "It looks like a web page: is the server's URL the URL of an ACME directory?"
    return None


@dataclass(frozen=True, slots=True)
class JsonObject:
    """A JSON object from the CA. ``where`` names it in messages. JSON null counts as absent everywhere."""

    fields: Mapping[str, object]
    where: str

    @classmethod
    def from_body(cls, body: bytes | str, where: str) -> JsonObject:
        """Parse ``body``. Raises: ProtocolViolation when it is no JSON object."""
        return cls.of(loads(body, where), where)

    @classmethod
    def of(cls, value: object, where: str) -> JsonObject:
        """Wrap ``value``. Raises: ProtocolViolation when it is no JSON object."""
        if not isinstance(value, Mapping):
            raise ProtocolViolation(f"The CA's answer for {where} is not a JSON object.")
        return cls(value, where)

    def _wrong(self, name: str, expected: str) -> ProtocolViolation:
        return ProtocolViolation(f"The CA's answer for {self.where} has no valid '{name}': expected {expected}.")

    def optional_text(self, name: str) -> str | None:
        """A string as it came, or None."""
        value = self.fields.get(name)
        if value is None:
            return None
        if not isinstance(value, str):
            raise self._wrong(name, "a string")
        return value

    def text(self, name: str) -> str:
        """A string as it came."""
        value = self.optional_text(name)
        if value is None:
            raise self._wrong(name, "a string")
        return value

    def optional_url(self, name: str) -> str | None:
        """An https URL, or None."""
        value = self.optional_text(name)
        return None if not value else check_url(value, f"'{name}' of {self.where}")

    def url(self, name: str) -> str:
        """An https URL."""
        return check_url(self.text(name), f"'{name}' of {self.where}")

    def optional_flag(self, name: str) -> bool | None:
        """A boolean, or None."""
        value = self.fields.get(name)
        if value is not None and not isinstance(value, bool):
            raise self._wrong(name, "true or false")
        return value

    def time(self, name: str) -> datetime | None:
        """An aware UTC datetime; None when absent or unreadable, because times in ACME objects only inform."""
        return parse_time(self.fields.get(name))

    def items(self, name: str) -> list[object]:
        """A list; empty when absent."""
        value = self.fields.get(name)
        if value is None:
            return []
        if not isinstance(value, list) or len(value) > MAX_LIST:
            raise self._wrong(name, f"a list of at most {MAX_LIST} entries")
        return value

    def texts(self, name: str) -> tuple[str, ...]:
        """A list of strings; empty when absent."""
        values = self.items(name)
        if not all(isinstance(value, str) for value in values):
            raise self._wrong(name, "a list of strings")
        return tuple(str(value) for value in values)

    def urls(self, name: str) -> tuple[str, ...]:
        """A list of https URLs; empty when absent."""
        return tuple(check_url(value, f"'{name}' of {self.where}") for value in self.items(name))

    def optional_child(self, name: str) -> JsonObject | None:
        """An object inside this one, or None."""
        value = self.fields.get(name)
        return None if value is None else JsonObject.of(value, f"'{name}' of {self.where}")

    def children(self, name: str) -> Iterator[JsonObject]:
        """Objects in a list inside this one."""
        for value in self.items(name):
            yield JsonObject.of(value, f"'{name}' of {self.where}")


def read_identifier(source: JsonObject) -> Identifier:
    """An identifier object (RFC 8555 section 9.7.7, RFC 8738 section 3). Raises: ProtocolViolation."""
    kind, value = source.text("type"), source.text("value")
    try:
        if kind == "dns":
            return Identifier.dns(value)
        if kind == "ip":
            return Identifier.ip(value)
    except ConfigError as error:
        raise ProtocolViolation(f"The CA sent a malformed identifier in {source.where}: {error}") from error
    raise ProtocolViolation(f"The CA sent an identifier of type '{plain_text(kind, 40)}' in {source.where}.")
