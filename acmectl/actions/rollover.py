"""account rollover: a new key for an account (RFC 8555 section 7.3.5)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from acmectl.acme.jws import AccountKey
from acmectl.actions.accounts import existing_account, warn_of_ed25519
from acmectl.actions.key_change import KeyChanged, change
from acmectl.actions.settle import settle

if TYPE_CHECKING:
    from acmectl.actions.requests import AccountRequest
    from acmectl.actions.services import Services

_CURVES = {"P-256": "ec256", "P-384": "ec384", "P-521": "ec521"}


def rollover(services: Services, request: AccountRequest, *, key_kind: str | None = None) -> KeyChanged:
    """Give the account that ``request`` means a new key: of the kind that it has, or ``key_kind`` (see AccountKey).

    A change that a killed run had begun with it is finished instead. Raises: ConfigError, Aborted, AcmeError,
    StorageError.
    """
    with services.lock():
        finished = settle(services, request.server)
        for done in finished:
            if request.account_id and done.previous_id.startswith(request.account_id):
                return done
        services.accounts.link_earlier(request.server)
        stored = existing_account(services, request)
        for done in finished:
            if done.id == stored.id:
                return done
        services.network.remember_trust(request.server)
        kind = key_kind or kind_of(AccountKey.from_jwk_json(stored.key_jwk_json))
        new_key = AccountKey.generate(kind)
        changed = change(services, stored, new_key)
        warn_of_ed25519(services, new_key)
        return changed


def kind_of(key: AccountKey) -> str:
    """The kind of a key as ``AccountKey.generate`` knows it: ``rsa2048``, ``ec256``, ``ed25519`` ..."""
    jwk = key.public_jwk()
    if jwk["kty"] == "RSA":
        from acmectl.acme.base64url import unb64url

        return f"rsa{int.from_bytes(unb64url(jwk['n']), 'big').bit_length()}"
    return _CURVES.get(jwk["crv"], "ed25519")
