"""The orders of an account, where the CA lists them (RFC 8555 section 7.1.2.1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from acmectl.actions.accounts import client_of, existing_account
from acmectl.errors import ServerProblem

if TYPE_CHECKING:
    from collections.abc import Iterator

    from acmectl.acme.client import AcmeClient
    from acmectl.acme.resources import Order
    from acmectl.actions.requests import AccountRequest
    from acmectl.actions.services import Services
    from acmectl.storage.accounts import StoredAccount


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedOrder:
    """An order of the list; ``problem`` says why the CA does not show it, and then there is no ``order``."""

    url: str
    order: Order | None = None
    problem: str | None = None


def account_orders(services: Services, request: AccountRequest) -> tuple[StoredAccount, tuple[ListedOrder, ...]]:
    """The account, and its orders as the CA lists them. Raises: ConfigError for a CA that has no list, AcmeError."""
    stored = existing_account(services, request)
    return stored, tuple(_read(client_of(services, stored)))


def _read(client: AcmeClient) -> Iterator[ListedOrder]:
    for url in client.orders():
        try:
            yield ListedOrder(url=url, order=client.order(url))
        except ServerProblem as error:
            # CAs forget old orders before they take them off the list.
            yield ListedOrder(url=url, problem=error.problem.describe())
