"""Orders in flight: ``<work>/pending/<name>/``, written before finalize, gone once the certificate is live.

A run that died after finalize finds here the key and the order's URL, and downloads instead of ordering again. The
record of a second certificate lies in ``second/`` inside, and goes with that of the first.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from acmectl.identifiers import Identifier, IdentifierType
from acmectl.storage.atomic import (
    Permissions,
    is_real_dir,
    is_temporary,
    make_dir,
    read_file,
    remove_tree,
    storage_error,
    telling,
    write_file,
)

if TYPE_CHECKING:
    from pathlib import Path

    from acmectl.storage.layout import Layout

_KEY = "key.pem"
_ORDER = "order.json"
_SECOND = "second"
_SECRET = Permissions(mode=0o600)
_FORMAT = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingOrder:
    """An order that has been or is about to be finalized.

    ``key_request`` is the caller's own words for the key that was asked for; ``version`` is the lowest number that its
    certificate can have in the archive; ``created`` is aware UTC.
    """

    order_url: str
    server: str
    account_url: str
    identifiers: tuple[Identifier, ...]
    profile: str | None
    key_request: str
    csr_der: bytes = field(repr=False)
    created: datetime
    finalized: bool = False
    version: int = 1

    def matches(
        self,
        *,
        server: str,
        account_url: str,
        identifiers: tuple[Identifier, ...],
        profile: str | None,
        key_request: str,
    ) -> bool:
        """Whether a request asks for just what this order is for; the order of the names does not count."""
        return (
            self.server == server
            and self.account_url == account_url
            and frozenset(self.identifiers) == frozenset(identifiers)
            and self.profile == profile
            and self.key_request == key_request
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingRecord:
    """A pending order and its certificate key (PKCS#8 PEM)."""

    order: PendingOrder
    key_pem: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingFound:
    """What ``PendingStore.load`` found; ``reason`` says why a record that is there cannot be used."""

    record: PendingRecord | None = None
    reason: str | None = None


class PendingStore:
    """The orders in flight of all lineages."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout

    def _directory(self, name: str, *, second: bool) -> Path:
        directory = self._layout.pending(name)
        return directory / _SECOND if second else directory

    def save(self, name: str, record: PendingRecord, *, second: bool = False) -> None:
        """Write key and order of the lineage ``name``, replacing an older record; durable on return.

        Raises: StorageError.
        """
        directory = self._directory(name, second=second)
        with telling(f"save the pending order in {directory}"):
            make_dir(self._layout.pending_root, 0o700, exact=True)
            if second:
                make_dir(directory.parent, 0o700, exact=True)
            if not make_dir(directory, 0o700, exact=True):
                _remove_temporaries(directory)
            write_file(directory / _KEY, record.key_pem, permissions=_SECRET)
            write_file(directory / _ORDER, _encode(record), permissions=_SECRET)

    def mark_finalized(self, name: str, record: PendingRecord, *, second: bool = False) -> PendingRecord:
        """Note that the CA was asked to finalize; the record as it now is. Raises: StorageError."""
        marked = replace(record, order=replace(record.order, finalized=True))
        path = self._directory(name, second=second) / _ORDER
        with telling(f"write {path}"):
            write_file(path, _encode(marked), permissions=_SECRET)
        return marked

    def load(self, name: str, *, second: bool = False) -> PendingFound:
        """The pending order of the lineage ``name``. A record that cannot be used is no error: ``reason`` tells.

        Raises: StorageError when the system refuses to read it.
        """
        directory = self._directory(name, second=second)
        try:
            order = read_file(directory / _ORDER)
            key_pem = read_file(directory / _KEY)
        except (FileNotFoundError, NotADirectoryError):
            if not is_real_dir(directory):
                return PendingFound()
            return PendingFound(reason=f"The pending order in {directory} is incomplete.")
        except OSError as error:
            raise storage_error(f"read the pending order in {directory}", error) from error
        try:
            return PendingFound(record=PendingRecord(order=_decode(order, key_pem), key_pem=key_pem))
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
            return PendingFound(reason=f"The pending order in {directory} cannot be used: {_why(error)}.")

    def drop(self, name: str, *, second: bool = False) -> bool:
        """Remove the record of the lineage ``name``, and that of its second certificate; True if there was one.

        ``second``: that alone. Raises: StorageError.
        """
        directory = self._directory(name, second=second)
        if not os.path.lexists(directory):
            return False
        with telling(f"remove {directory}"):
            if is_real_dir(directory):
                # The order first: a key alone is a record that nobody uses.
                _unlink_if_there(directory / _ORDER)
                remove_tree(directory)
            else:
                os.unlink(directory)
        return True

    def names(self) -> list[str]:
        """Names of the lineages with an order in flight. A key without an order is none."""
        root = self._layout.pending_root
        try:
            return sorted(name for name in os.listdir(root) if os.path.lexists(root / name / _ORDER))
        except FileNotFoundError:
            return []
        except OSError as error:
            raise storage_error(f"list {self._layout.pending_root}", error) from error


def _unlink_if_there(path: Path) -> None:
    path.unlink(missing_ok=True)


def _remove_temporaries(directory: Path) -> None:
    for entry in os.listdir(directory):
        if is_temporary(entry):
            _unlink_if_there(directory / entry)


def _encode(record: PendingRecord) -> bytes:
    import base64
    import json

    order = record.order
    content = {
        "format": _FORMAT,
        "order_url": order.order_url,
        "server": order.server,
        "account_url": order.account_url,
        "identifiers": [{"type": str(i.type), "value": i.value} for i in order.identifiers],
        "profile": order.profile,
        "key_request": order.key_request,
        "csr": base64.b64encode(order.csr_der).decode("ascii"),
        "created": order.created.astimezone(UTC).isoformat(),
        "finalized": order.finalized,
        "version": order.version,
        # Two files cannot be replaced in one step; this tells a key from the one of the record before.
        "key_sha256": _digest(record.key_pem),
    }
    return (json.dumps(content, indent=1) + "\n").encode("ascii")


def _decode(data: bytes, key_pem: bytes) -> PendingOrder:
    import base64
    import json

    content = json.loads(data)
    if content["format"] != _FORMAT:
        raise ValueError("it was written by another version of acmectl")
    if content["key_sha256"] != _digest(key_pem):
        raise ValueError("its key is another order's")
    created = datetime.fromisoformat(content["created"])
    if created.tzinfo is None:
        raise ValueError("its time has no zone")
    profile = content["profile"]
    return PendingOrder(
        order_url=_text(content, "order_url"),
        server=_text(content, "server"),
        account_url=_text(content, "account_url"),
        identifiers=tuple(Identifier(IdentifierType(i["type"]), _text(i, "value")) for i in content["identifiers"]),
        profile=None if profile is None else _text(content, "profile"),
        key_request=_text(content, "key_request"),
        csr_der=base64.b64decode(content["csr"], validate=True),
        created=created.astimezone(UTC),
        finalized=content["finalized"] is True,
        version=int(content["version"]),
    )


def _text(content: dict[str, object], key: str) -> str:
    value = content[key]
    if not isinstance(value, str):
        raise TypeError(f"{key} is not text")
    return value


def _digest(data: bytes) -> str:
    import hashlib

    return hashlib.sha256(data).hexdigest()


def _why(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"it lacks {error}"
    first = (str(error).splitlines() or ["?"])[0]
    return "".join(c if c.isprintable() else "?" for c in first)
