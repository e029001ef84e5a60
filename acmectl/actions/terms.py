"""Agreeing to terms of service that have changed (RFC 8555 section 7.3.3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from acmectl.actions.accounts import agree, client_of, existing_account
from acmectl.errors import ServerProblem

if TYPE_CHECKING:
    from acmectl.acme.resources import Account
    from acmectl.actions.requests import AccountRequest
    from acmectl.actions.services import Services
    from acmectl.storage.accounts import StoredAccount


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreed:
    """``account`` is the account as the CA has it now; ``terms`` the URL of what was agreed to, if the CA names one."""

    stored: StoredAccount
    account: Account
    terms: str | None


def agree_again(services: Services, request: AccountRequest) -> Agreed:
    """Tell the CA that its present terms are agreed to, once the person has said so.

    Raises: ConfigError when nobody has said so or there is no account, Aborted, AcmeError.
    """
    stored = existing_account(services, request)
    client = client_of(services, stored)
    meta = client.directory().meta
    agree(services, request, meta)
    try:
        account = client.agree_to_terms()
    except ServerProblem as error:
        error.hint = error.hint or (
            "Some CAs take no agreement from an account that they have. It is needed only where one has refused a "
            "request for its terms; then the page that it named is the place."
        )
        raise
    return Agreed(stored=stored, account=account, terms=meta.terms_of_service)
