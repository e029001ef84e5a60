"""Accounts on disk: ``accounts/<host[:port]>/<path>/<id>/``, as certbot keeps them.

The key is text to this room (a private JWK); what it means is the protocol room's business.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from acmectl.errors import StorageError
from acmectl.storage.atomic import (
    Permissions,
    fsync_dir,
    is_temporary,
    make_dir,
    read_file,
    remove_tree,
    replace_symlink,
    stage_file,
    storage_error,
    telling,
    temporary_name,
    write_file,
)
from acmectl.storage.layout import account_path

if TYPE_CHECKING:
    from acmectl.storage.layout import Layout

_KEY = "private_key.json"
_REGISTRATION = "regr.json"
_META = "meta.json"
_FILES = (_KEY, _META, _REGISTRATION)
_KEY_MODE = 0o400
_NAME = "acmectl_name"  # the key in meta.json; certbot passes over it
_LIMIT = 1 << 20

# Let's Encrypt's first API is gone; accounts made there work at the second, and certbot goes on using them.
_EARLIER_SERVERS = {
    "acme-v02.api.letsencrypt.org/directory": "https://acme-v01.api.letsencrypt.org/directory",
    "acme-staging-v02.api.letsencrypt.org/directory": "https://acme-staging.api.letsencrypt.org/directory",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredAccount:
    """An account as it lies on disk.

    ``server`` is the CA's directory URL, ``uri`` the account's URL there, ``creation_dt`` text such as
    ``2026-11-21T07:19:35Z``.
    """

    id: str
    server: str
    directory: Path
    uri: str
    key_jwk_json: str = field(repr=False)
    creation_dt: str
    creation_host: str
    name: str | None = None

    @property
    def label(self) -> str:
        """How certbot names an account to a person, ``host@time (first 4 of the id)``, after the name if it has one."""
        named = f"{self.name}: " if self.name else ""
        return f"{named}{self.creation_host}@{self.creation_dt} ({self.id[:4]})"


@dataclass(frozen=True, slots=True, kw_only=True)
class SkippedAccount:
    """A directory that looks like an account and cannot be used; ``reason`` is one line."""

    path: Path
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountListing:
    """The accounts at one CA, sorted by id, and what had to be passed over."""

    accounts: tuple[StoredAccount, ...] = ()
    skipped: tuple[SkippedAccount, ...] = ()


def account_id(public_pem: bytes) -> str:
    """certbot's id of an account: MD5, in hex, of its public key (SubjectPublicKeyInfo PEM with its last newline)."""
    import hashlib

    return hashlib.md5(public_pem, usedforsecurity=False).hexdigest()


class AccountStore:
    """All accounts below one configuration directory. Everything that writes is called with the store locked."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout

    def list(self, server: str) -> AccountListing:
        """The accounts at the CA whose directory URL is ``server``.

        Where there is none, the ones at the CA's earlier API count (see ``link_earlier``). A broken entry never hides
        the others. Raises: StorageError when the directory cannot be listed; ConfigError when ``server`` is no URL.
        """
        listing = self._list(server, self._layout.accounts_dir(server))
        earlier = self._earlier(server)
        if listing.accounts or earlier is None:
            return listing
        inherited = self._list(server, self._layout.accounts_dir(earlier))
        return AccountListing(accounts=inherited.accounts, skipped=listing.skipped + inherited.skipped)

    def directory(self, server: str) -> Path:
        """Where the accounts at a CA are kept. Raises: ConfigError when ``server`` is no URL."""
        return self._layout.accounts_dir(server)

    def get(self, server: str, account: str) -> StoredAccount:
        """The account with the name or the id ``account``, or the only one whose id starts with it.

        Raises: StorageError when there is none, or when its files cannot be used.
        """
        listing = self.list(server)
        found = [one for one in listing.accounts if account and one.name == account]
        found = found or [one for one in listing.accounts if account and one.id.startswith(account)]
        if len(found) == 1:
            return found[0]
        for skipped in listing.skipped:
            if skipped.path.name == account:
                raise StorageError(skipped.reason)
        if found:
            raise StorageError(f"More than one account at {server} starts with {account}.")
        raise StorageError(f"There is no account {account} at {server}.", hint="See the accounts with show_account.")

    def save(
        self,
        server: str,
        *,
        key_jwk_json: str,
        public_pem: bytes,
        uri: str,
        creation_dt: datetime,
        creation_host: str,
        name: str | None = None,
    ) -> StoredAccount:
        """Write an account, or write the URL of a known one anew; durable on return.

        ``creation_dt`` is aware; a known account keeps its own and its ``creation_host``, and its name unless there is
        a new one. Raises: StorageError.
        """
        parent = self._layout.accounts_dir(server)
        directory = parent / account_id(public_pem)
        registration = _json({"body": {}, "uri": uri})
        with telling(f"save the account in {directory}"):
            self._make_parents(parent)
            self._sweep(parent)
            if (directory / _META).exists() and (directory / _KEY).exists():
                write_file(directory / _REGISTRATION, registration)
                known = _load(server, directory)
                if name is not None and isinstance(known, StoredAccount) and known.name != name:
                    more = _object(read_file(directory / _META, _LIMIT))
                    write_file(directory / _META, _json({**more, _NAME: name}))
            else:
                moment = creation_dt.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
                named = {} if name is None else {_NAME: name}
                meta = _json({"creation_dt": moment, "creation_host": creation_host, **named})
                contents = {_KEY: key_jwk_json.encode("utf-8"), _META: meta, _REGISTRATION: registration}
                _write_account(directory, contents)
        account = _load(server, directory)
        if isinstance(account, StoredAccount):
            return account
        raise StorageError(account.reason if account else f"The account {directory} has vanished.")

    def rekey(self, account: StoredAccount, *, key_jwk_json: str, public_pem: bytes) -> StoredAccount:
        """Write ``account`` with another key, and so below another id, whole or not at all; the old entry stays.

        Everything that its files say beside the key is kept. Raises: StorageError.
        """
        parent = account.directory.parent
        directory = parent / account_id(public_pem)
        with telling(f"save the account in {directory}"):
            contents = {name: read_file(account.directory / name, _LIMIT) for name in (_META, _REGISTRATION)}
            self._sweep(parent)
            _write_account(directory, {_KEY: key_jwk_json.encode("utf-8"), **contents})
        written = _load(account.server, directory)
        if isinstance(written, StoredAccount):
            return written
        raise StorageError(written.reason if written else f"The account {directory} has vanished.")

    def remove(self, account: StoredAccount) -> None:
        """Remove an account, the links that lead to it and directories that this leaves empty. Raises: StorageError."""
        self.discard(account.server, account.id)

    def discard(self, server: str, account: str) -> None:
        """As ``remove``, by id, whatever state the entry is in; what a killed removal has left goes too.

        Raises: StorageError.
        """
        directory = self._layout.accounts_dir(server)
        with telling(f"remove the account {directory / account}"):
            parents = [directory]
            earlier = self._earlier(server)
            if earlier is not None:
                parents.append(self._layout.accounts_dir(earlier))
            for parent in parents:
                path = parent / account
                if path.is_symlink():
                    path.unlink()
                elif path.is_dir() and self._is_inside(path):
                    # Gone in one step: a half-removed account would be reported as a damaged one for ever.
                    doomed = path.resolve().parent / temporary_name()
                    os.rename(path.resolve(), doomed)
                    fsync_dir(doomed.parent)
                    remove_tree(doomed)
                if parent.is_dir():
                    self._sweep(parent)
            # The earlier API's directory first: the other may be a link to it.
            for parent in reversed(parents):
                _remove_if_empty(parent)

    def link_earlier(self, server: str) -> bool:
        """Make the accounts of the CA's earlier API its own by links, as certbot does; True if something was linked.

        Raises: StorageError.
        """
        earlier = self._earlier(server)
        directory = self._layout.accounts_dir(server)
        if earlier is None or self._list(server, directory).accounts:
            return False
        source = self._layout.accounts_dir(earlier)
        accounts = self._list(server, source).accounts
        if not accounts:
            return False
        with telling(f"link {directory} to {source}"):
            self._make_parents(directory)
            try:
                directory.rmdir()
            except OSError:
                for account in accounts:
                    if not os.path.lexists(directory / account.id):
                        replace_symlink(directory / account.id, str(source / account.id))
            else:
                replace_symlink(directory, str(source))
        return True

    def _earlier(self, server: str) -> str | None:
        return _EARLIER_SERVERS.get(str(account_path(server)))

    def _list(self, server: str, directory: Path) -> AccountListing:
        try:
            names = sorted(os.listdir(directory))
        except (FileNotFoundError, NotADirectoryError):
            return AccountListing()
        except OSError as error:
            raise storage_error(f"list {directory}", error) from error
        accounts: list[StoredAccount] = []
        skipped: list[SkippedAccount] = []
        for name in names:
            loaded = None if name.startswith(".") else _load(server, directory / name)
            if isinstance(loaded, StoredAccount):
                accounts.append(loaded)
            elif loaded is not None:
                skipped.append(loaded)
        return AccountListing(accounts=tuple(accounts), skipped=tuple(skipped))

    def _make_parents(self, directory: Path) -> None:
        """Every directory from ``accounts`` down to ``directory``, each 0700."""
        below = directory.relative_to(self._layout.accounts_root)
        path = self._layout.accounts_root
        make_dir(path, 0o700)
        for part in below.parts:
            path = path / part
            make_dir(path, 0o700)

    def _is_inside(self, path: Path) -> bool:
        return path.resolve().is_relative_to(self._layout.accounts_root.resolve())

    @staticmethod
    def _sweep(directory: Path) -> None:
        for name in os.listdir(directory):
            if is_temporary(name):
                remove_tree(directory / name)


def _write_account(directory: Path, contents: dict[str, bytes]) -> None:
    """A new account appears whole: its directory is filled beside and renamed. Remains of an older one are replaced."""
    staging = directory.parent / temporary_name()
    staging.mkdir(0o700)
    try:
        for name, data in contents.items():
            permissions = Permissions(mode=_KEY_MODE) if name == _KEY else None
            os.rename(stage_file(staging / name, data, permissions=permissions), staging / name)
        if os.path.lexists(directory):
            # Files of an unusable entry may still be wanted by somebody, so only ours are written over.
            for name in _FILES:
                os.rename(staging / name, directory / name)
            fsync_dir(directory)
            staging.rmdir()
        else:
            fsync_dir(staging)
            os.rename(staging, directory)
    except BaseException:
        remove_tree(staging)
        raise
    fsync_dir(directory.parent)


def _load(server: str, directory: Path) -> StoredAccount | SkippedAccount | None:
    """The account in ``directory``; None for what was never meant to be one."""
    missing = [name for name in _FILES if not os.path.lexists(directory / name)]
    if len(missing) == len(_FILES):
        return None
    if missing:
        return SkippedAccount(path=directory, reason=f"The account {directory} has no {missing[0]}.")
    try:
        key = read_file(directory / _KEY, _LIMIT).decode("utf-8")
        _object(key)
        uri = _object(read_file(directory / _REGISTRATION, _LIMIT))["uri"]
        meta = _object(read_file(directory / _META, _LIMIT))
    except OSError as error:
        return SkippedAccount(path=directory, reason=f"The account {directory} cannot be read: {error.strerror}.")
    except (ValueError, KeyError):
        return SkippedAccount(path=directory, reason=f"The account {directory} has a damaged file.")
    if not isinstance(uri, str):
        return SkippedAccount(path=directory, reason=f"The account {directory} has no URL.")
    return StoredAccount(
        id=directory.name,
        server=server,
        directory=directory,
        uri=uri,
        key_jwk_json=key,
        creation_dt=_printable(meta.get("creation_dt")),
        creation_host=_printable(meta.get("creation_host")),
        name=_printable(meta[_NAME]) if isinstance(meta.get(_NAME), str) else None,
    )


def _object(text: str | bytes) -> dict[str, object]:
    try:
        content = json.loads(text)
    except RecursionError as error:
        raise ValueError("not an object") from error
    if not isinstance(content, dict):
        raise ValueError("not an object")  # noqa: TRY004 - the one thing that callers have to know: damaged
    return content


def _json(content: dict[str, object]) -> bytes:
    return json.dumps(content).encode("utf-8")


def _printable(value: object) -> str:
    text = value if isinstance(value, str) else "unknown"
    return "".join(character if character.isprintable() else "?" for character in text)


def _remove_if_empty(directory: Path) -> None:
    try:
        if directory.is_symlink():
            if not directory.exists():
                directory.unlink()
        else:
            directory.rmdir()
    except OSError:
        return
