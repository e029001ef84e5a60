"""An account whose key lies in a file of the person's own (--account-key): read, used, and kept nowhere."""

from __future__ import annotations

import base64
import os
import stat
from typing import TYPE_CHECKING

from acmectl.acme.jws import AccountKey
from acmectl.errors import ConfigError
from acmectl.events import Notice
from acmectl.storage.accounts import StoredAccount, account_id

if TYPE_CHECKING:
    from pathlib import Path

    from acmectl.actions.services import Services

_MAX_KEY_FILE = 1 << 16  # bytes
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def read_account_key(services: Services, path: Path) -> AccountKey:
    """The key in ``path``: PEM (PKCS#1, SEC 1, PKCS#8) or JWK. Warns when others than its owner may use the file.

    Raises: ConfigError when it cannot be read, is encrypted or is no key that ACME can use.
    """
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_KEY_FILE)
            mode = os.fstat(file.fileno()).st_mode
    except OSError as error:
        raise ConfigError(f"The account key {path} cannot be read: {error.strerror}.") from error
    try:
        key = AccountKey.from_jwk_json(data.decode()) if data.lstrip()[:1] == b"{" else AccountKey.from_pem(data)
    except UnicodeDecodeError:
        raise ConfigError(f"The account key {path} is neither PEM nor a JWK.") from None
    except ConfigError as error:
        raise ConfigError(f"The account key {path} cannot be used: {error.message}", hint=error.hint) from None
    if stat.S_ISREG(mode) and mode & _OTHERS:
        text = f"The account key {path} has mode {stat.S_IMODE(mode):04o}: others than its owner can use it."
        services.observe(Notice(text=text, level="warning"))
    return key


def refuse_shared_key(spki: bytes | None, account_key: AccountKey) -> None:
    """Refuse a certificate for the account's own key (RFC 8555 section 11.1). ``spki``: SubjectPublicKeyInfo DER.

    Raises: ConfigError.
    """
    if spki is None:
        return
    body = b"".join(line for line in account_key.public_pem().splitlines() if not line.startswith(b"-----"))
    if base64.b64decode(body) == spki:
        raise ConfigError(
            "The CSR has the account's key, and CAs refuse that.",
            hint="Make a key for the certificate alone and a CSR with it.",
        )


def kept_nowhere(key: AccountKey, *, server: str, url: str, path: Path) -> StoredAccount:
    """The account as the actions speak of it; its ``directory`` is the key file and its key is left out."""
    return StoredAccount(
        id=account_id(key.public_pem()),
        server=server,
        directory=path,
        uri=url,
        key_jwk_json="",
        creation_dt="",
        creation_host="",
    )
