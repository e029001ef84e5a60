"""Certificates that are being replaced because they shall be revoked: ``<work>/reissues/<name>.json``.

It is there from before the new certificate is ordered until the old ones are revoked, so that the command, given again,
goes on and neither orders twice nor forgets the revocation.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from acmectl.errors import StorageError
from acmectl.storage.atomic import Permissions, fsync_dir, make_dir, read_file, storage_error, telling, write_file

if TYPE_CHECKING:
    from pathlib import Path

    from acmectl.storage.layout import Layout

_FORMAT = 1
_LIMIT = 1 << 22
_HIGHEST_REASON = 10  # RFC 5280 section 5.3.1
_SECRET = Permissions(mode=0o600)
_SUFFIX = ".json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reissue:
    """``certificates`` (PEM) are to be revoked at ``server`` (directory URL) with ``reason`` (RFC 5280 5.3.1).

    ``account_id`` is an account of the tree, ``account_key`` the path of a key that is not; both None where the
    certificate's own key signs. ``began`` is aware UTC.
    """

    certificates: tuple[str, ...]
    server: str
    reason: int
    account_id: str | None
    account_key: str | None
    began: datetime


class ReissueStore:
    """The replacements under way. What writes is called with the store locked."""

    def __init__(self, layout: Layout) -> None:
        self._root = layout.work_dir / "reissues"

    def names(self) -> list[str]:
        """Lineages whose replacement has not ended."""
        try:
            return sorted(name.removesuffix(_SUFFIX) for name in os.listdir(self._root) if name.endswith(_SUFFIX))
        except OSError:
            return []

    def load(self, name: str) -> Reissue | None:
        """What is under way for the lineage ``name``. Raises: StorageError when it cannot be read."""
        path = self._path(name)
        try:
            data = read_file(path, _LIMIT)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise storage_error(f"read {path}", error) from error
        try:
            content = json.loads(data)
            if content["format"] != _FORMAT:
                raise ValueError
            return _decoded(content)
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
            raise StorageError(
                f"{path}, which says what is still to be revoked, cannot be understood.",
                hint=f"Revoke the old certificate with acmectl revoke --cert-path, and remove {path}.",
            ) from None

    def save(self, name: str, reissue: Reissue) -> None:
        """Note what is about to happen; durable on return. Raises: StorageError."""
        content = {
            "format": _FORMAT,
            "began": reissue.began.isoformat(),
            "certificates": list(reissue.certificates),
            "server": reissue.server,
            "reason": reissue.reason,
            "account_id": reissue.account_id,
            "account_key": reissue.account_key,
        }
        path = self._path(name)
        with telling(f"write {path}"):
            make_dir(self._root, 0o700, exact=True)
            write_file(path, (json.dumps(content, indent=1) + "\n").encode("ascii"), permissions=_SECRET)

    def drop(self, name: str) -> bool:
        """Forget it, durably; True if there was one. Raises: StorageError."""
        path = self._path(name)
        if not os.path.lexists(path):
            return False
        with telling(f"remove {path}"):
            path.unlink(missing_ok=True)
            fsync_dir(self._root)
        return True

    def _path(self, name: str) -> Path:
        return self._root / f"{name}{_SUFFIX}"


def _decoded(content: dict[str, object]) -> Reissue:
    certificates, reason = content["certificates"], content["reason"]
    if not isinstance(certificates, list) or not certificates or not all(_text(one).isascii() for one in certificates):
        raise ValueError("nothing that can be revoked")
    if type(reason) is not int or not 0 <= reason <= _HIGHEST_REASON:
        raise ValueError("no reason")
    account_id, account_key = content["account_id"], content["account_key"]
    return Reissue(
        certificates=tuple(certificates),
        server=_text(content["server"]),
        reason=reason,
        account_id=None if account_id is None else _text(account_id),
        account_key=None if account_key is None else _text(account_key),
        began=_moment(_text(content["began"])),
    )


def _text(value: object) -> str:
    if not isinstance(value, str) or "\0" in value:
        raise TypeError("no text that was written here")
    return value


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
