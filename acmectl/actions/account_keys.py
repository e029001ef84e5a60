"""Account keys into the tree and out of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from acmectl.acme.jws import AccountKey
from acmectl.actions.accounts import check_name, existing_account, keep
from acmectl.actions.key_file import read_account_key
from acmectl.actions.settle import settle
from acmectl.errors import ConfigError
from acmectl.storage.accounts import account_id
from acmectl.storage.outputs import check_free, write_new

if TYPE_CHECKING:
    from pathlib import Path

    from acmectl.actions.requests import AccountRequest
    from acmectl.actions.services import Services
    from acmectl.storage.accounts import StoredAccount


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportedKey:
    """``data`` is the private key as it was asked for; ``path`` the file that it was written to, if any."""

    stored: StoredAccount
    data: bytes = field(repr=False)
    path: Path | None = None


def import_key(services: Services, request: AccountRequest, path: Path) -> StoredAccount:
    """Keep the account whose key lies in ``path`` (PEM or JWK): one that the CA has already. The file stays.

    Raises: ConfigError when the key cannot be used or the CA does not know it, AcmeError, StorageError.
    """
    with services.lock():
        settle(services, request.server)
        key = read_account_key(services, path)
        check_name(services, request, own=account_id(key.public_pem()))
        account = services.network.client(request.server, key).find_account()
        if account is None:
            raise ConfigError(
                f"The CA at {request.server} has no account with the key {path}.",
                hint=f"acmectl register --account-key {path} makes one.",
            )
        if account.status != "valid":
            raise ConfigError(f"The account with the key {path} is {account.status} at the CA; it cannot be used.")
        services.accounts.link_earlier(request.server)
        return keep(services, request, key, account.url)


def export_key(services: Services, request: AccountRequest, *, form: str, path: Path | None) -> ExportedKey:
    """The private key of the account as ``pem`` (PKCS#8) or ``jwk``, in a new file of mode 0600 where there is a path.

    Raises: ConfigError when there is no such account, StorageError.
    """
    stored = existing_account(services, request)
    key = AccountKey.from_jwk_json(stored.key_jwk_json)
    data = key.private_pem() if form == "pem" else f"{key.jwk_json()}\n".encode()
    if path is not None:
        check_free([path])
        write_new({path: data}, secret=True)
    return ExportedKey(stored=stored, data=data, path=path)
