"""Accounts at a CA: open, register, show, update, unregister (RFC 8555 section 7.3)."""

from __future__ import annotations

import re
import socket
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from acmectl.acme.jws import AccountKey
from acmectl.acme.problem import ProblemType
from acmectl.actions.key_file import kept_nowhere, read_account_key, refuse_shared_key
from acmectl.actions.settle import settle
from acmectl.config.values import shown
from acmectl.errors import Aborted, ConfigError, ServerProblem
from acmectl.events import AccountRegistered, Notice
from acmectl.storage.references import References
from acmectl.storage.rollovers import RolloverStore

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from acmectl.acme.client import AcmeClient
    from acmectl.acme.resources import Account, DirectoryMeta
    from acmectl.actions.requests import AccountRequest, EabCredentials
    from acmectl.actions.services import Services
    from acmectl.storage.accounts import StoredAccount

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)
_EMAIL = re.compile(r"^[^@\s,<>]+@[^@\s,<>.]+(\.[^@\s,<>.]+)+$")
_NEW = 10.0  # seconds in which a CA may not know an account's key everywhere
_GONE = {ProblemType.ACCOUNT_DOES_NOT_EXIST, ProblemType.UNAUTHORIZED}


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenAccount:
    """An account that can be worked with. ``created`` when this run registered it."""

    client: AcmeClient
    stored: StoredAccount
    created: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountInfo:
    """What the CA says of an account. ``contact`` are URLs such as ``mailto:admin@example.org``."""

    server: str
    id: str
    url: str
    thumbprint: str
    contact: tuple[str, ...]
    status: str
    name: str | None = None


def open_account(services: Services, request: AccountRequest) -> OpenAccount:
    """The account to use at the CA, registered now if there is none.

    Raises: ConfigError when several fit and nobody can choose, or something needed to register was not given.
    """
    if request.key_path is not None:
        return open_with_key(services, request, request.key_path)
    services.accounts.link_earlier(request.server)
    stored = choose_account(services, request)
    if stored is None:
        return register(services, request)
    services.network.remember_trust(request.server)
    client = client_of(services, stored)
    refuse_shared_key(request.not_key, client.key)
    return OpenAccount(client=client, stored=stored)


def open_with_key(services: Services, request: AccountRequest, path: Path, *, registers: bool = True) -> OpenAccount:
    """The account of the key in the file ``path``, registered now if the CA does not know it. Nothing is kept here.

    Raises: ConfigError for a key that cannot be used, and as ``open_account``; without ``registers`` also when the CA
    does not know the key.
    """
    key = read_account_key(services, path)
    refuse_shared_key(request.not_key, key)
    client = services.network.client(request.server, key)
    account = client.find_account()
    created = account is None
    if account is None:
        if not registers:
            raise ConfigError(f"The CA at {request.server} has no account with the key {path}.")
        client, account = _new_account(services, request, key)
        services.observe(AccountRegistered(server=request.server, url=account.url))
    stored = kept_nowhere(key, server=request.server, url=account.url, path=path)
    return OpenAccount(client=client, stored=stored, created=created)


def choose_account(services: Services, request: AccountRequest) -> StoredAccount | None:
    """The stored account that ``request`` means, or None when the CA has none here. Raises: ConfigError, Aborted."""
    if request.account_id is not None:
        return _settled(services, services.accounts.get(request.server, request.account_id))
    listing = services.accounts.list(request.server)
    for skipped in listing.skipped:
        services.observe(Notice(text=skipped.reason, level="warning"))
    stored = listing.accounts
    if len(stored) <= 1:
        return _settled(services, stored[0]) if stored else None
    if not services.person.interactive:
        raise ConfigError(
            f"There are {len(stored)} accounts for {request.server}: {', '.join(map(_told, stored))}.",
            hint="Choose one with --account, by its id or name.",
        )
    labels = [account.label for account in stored]
    chosen = stored[services.person.choose("Which account should be used?", labels, flag="--account")]
    return _settled(services, chosen)


def _told(stored: StoredAccount) -> str:
    return f"{stored.id} ({stored.name})" if stored.name else stored.id


def _settled(services: Services, stored: StoredAccount) -> StoredAccount:
    """The account, unless it is not known which key it has. Raises: ConfigError."""
    if RolloverStore(services.layout).concerns(stored.id):
        raise ConfigError(
            f"The account {stored.id} cannot be used before the change of its key, which was interrupted, is finished.",
            hint=f"acmectl account rollover --server {stored.server} finishes it.",
        )
    return stored


def register(services: Services, request: AccountRequest) -> OpenAccount:
    """A new account with a new key, or with the one in a file that was named.

    Raises: ConfigError when something needed was not given, AcmeError.
    """
    check_name(services, request)
    key = read_account_key(services, request.key_path) if request.key_path is not None else None
    client, account = _new_account(services, request, key)
    stored = keep(services, request, client.key, account.url)
    services.observe(AccountRegistered(server=request.server, url=account.url))
    return OpenAccount(client=client, stored=stored, created=True)


def keep(services: Services, request: AccountRequest, key: AccountKey, url: str) -> StoredAccount:
    """Write an account that the CA has into the tree. Called with the store locked. Raises: StorageError."""
    warn_of_ed25519(services, key)
    stored = services.accounts.save(
        request.server,
        key_jwk_json=key.jwk_json(),
        public_pem=key.public_pem(),
        uri=url,
        creation_dt=services.clock.now(),
        creation_host=socket.gethostname(),
        name=request.name,
    )
    services.network.remember_trust(request.server)
    return stored


def warn_of_ed25519(services: Services, key: AccountKey) -> None:
    """Say that certbot cannot use the account, if that is so."""
    if key.algorithm == "EdDSA":
        services.observe(Notice(text="certbot cannot use this account: it reads no Ed25519 keys.", level="warning"))


def check_name(services: Services, request: AccountRequest, *, own: str | None = None) -> None:
    """Refuse a name that cannot be one, or that another account than ``own`` (an id) has. Raises: ConfigError."""
    if request.name is None:
        return
    if not _NAME.fullmatch(request.name):
        raise ConfigError(
            f"{shown(request.name)} cannot be the name of an account.",
            hint="Use up to 64 letters, digits, dots, dashes and underscores.",
        )
    taken = [one for one in services.accounts.list(request.server).accounts if one.name == request.name]
    if taken and taken[0].id != own:
        raise ConfigError(f"The account {taken[0].id} at {request.server} has the name {request.name} already.")


def _new_account(services: Services, request: AccountRequest, key: AccountKey | None) -> tuple[AcmeClient, Account]:
    """Register ``key`` (None: a new one) once everything that the CA asks for is there."""
    meta = services.network.client(request.server).directory().meta
    _check_binding(request, meta)
    wanted = meta.external_account_required or not request.eab_where_required
    eab = _binding(services, request.eab) if request.eab is not None and wanted else None
    agree(services, request, meta)
    email = _email(services, request)
    client = services.network.client(request.server, key or AccountKey.generate(request.key_kind))
    try:
        account = client.new_account([f"mailto:{address}" for address in email], agree_tos=True, eab=eab)
    except ServerProblem as error:
        if eab is not None:
            error.hint = error.hint or (
                "If it is about the external account binding: see that --eab-kid, --eab-hmac-key and --eab-hmac-alg "
                "are what the CA gave. Some can be used once, or for some days."
            )
        raise
    return client, account


def register_only(services: Services, request: AccountRequest) -> OpenAccount:
    """As the command ``register``: refuses when there is an account already. Raises: ConfigError."""
    with services.lock():
        settle(services, request.server)
        if request.name is None and services.accounts.list(request.server).accounts:
            raise ConfigError(
                f"There is an account for {request.server} already.",
                hint="acmectl update_account changes its e-mail address; acmectl unregister gives it up; "
                "--account-name NAME makes another one beside it.",
            )
        return register(services, request)


def show(services: Services, request: AccountRequest) -> AccountInfo:
    """The account as the CA has it. Raises: ConfigError when there is none here, AcmeError."""
    if RolloverStore(services.layout).pending(request.server):
        with services.lock():
            settle(services, request.server)
    stored = existing_account(services, request)
    client = services.network.client(stored.server, AccountKey.from_jwk_json(stored.key_jwk_json))
    account = client.find_account()
    if account is None:
        raise ConfigError(
            f"The CA at {stored.server} does not know the account {stored.id}.",
            hint="If it was deactivated, acmectl unregister removes what is left of it here.",
        )
    return AccountInfo(
        server=stored.server,
        id=stored.id,
        url=account.url,
        thumbprint=client.key.thumbprint(),
        contact=account.contact,
        status=account.status,
        name=stored.name,
    )


def update(services: Services, request: AccountRequest) -> tuple[str, ...]:
    """Replace the contacts; gives the e-mail addresses that the account has now. Raises: ConfigError, AcmeError."""
    with services.lock():
        settle(services, request.server)
        stored = existing_account(services, request)
        email = request.email
        if not email and not request.without_email:
            if not services.person.interactive:
                raise ConfigError(
                    "update_account needs to know the new e-mail address.",
                    hint="Give it with --email, or remove it with --register-unsafely-without-email.",
                )
            email = _ask_email(services, "New e-mail address (empty: none)")
        check_email(email)
        client_of(services, stored).update_account([f"mailto:{address}" for address in email])
        return tuple(email)


def unregister(services: Services, request: AccountRequest) -> StoredAccount:
    """Deactivate the account at the CA, then delete it here. Raises: ConfigError, Aborted, AcmeError."""
    with services.lock():
        settle(services, request.server)
        stored = existing_account(services, request)
        question = f"Deactivate the account {stored.id} at {stored.server} and delete it here? It cannot be undone."
        if not services.person.yes_no(question, default=True, yes="Deactivate", no="Abort"):
            raise Aborted("The account was left as it is.")
        try:
            client_of(services, stored).deactivate_account()
        except ServerProblem as error:
            if error.problem.code not in _GONE:
                raise
            services.observe(
                Notice(
                    text=f"The CA does not accept the account any more ({error.problem.detail}); deleted here.",
                    level="warning",
                )
            )
        services.accounts.remove(stored)
        return stored


def check_email(addresses: Sequence[str]) -> None:
    """Refuse what cannot be an e-mail address. Raises: ConfigError."""
    for address in addresses:
        if not _EMAIL.match(address) or not address.isprintable():
            raise ConfigError(f"{address!r} is not an e-mail address.", hint="Give it as name@example.org.")


def existing_account(services: Services, request: AccountRequest) -> StoredAccount:
    """As ``choose_account``, where there must be one. Raises: ConfigError, Aborted."""
    stored = choose_account(services, request)
    if stored is None:
        raise ConfigError(
            f"There is no account for {request.server}.",
            hint="acmectl register makes one; --server says which CA is meant.",
        )
    return stored


def client_of(services: Services, stored: StoredAccount) -> AcmeClient:
    """A client that works with the account. Raises: ConfigError when its key cannot be read."""
    client = services.network.client(
        stored.server, AccountKey.from_jwk_json(stored.key_jwk_json), account_url=stored.uri
    )
    with suppress(OSError):
        if abs(services.clock.now().timestamp() - stored.directory.stat().st_mtime) < _NEW:
            client.expect_new_key()
    return client


def _check_binding(request: AccountRequest, meta: DirectoryMeta) -> None:
    """RFC 8555 section 7.3.4: a CA may require that an account is bound to one it knows already."""
    if meta.external_account_required and request.eab is None:
        raise ConfigError(
            f"The CA at {request.server} requires external account binding: give --eab-kid and --eab-hmac-key.",
            hint="The CA's web site shows both for your account there.",
        )


def _binding(services: Services, eab: EabCredentials) -> tuple[str, str, str]:
    """Key identifier, HMAC key and algorithm, as AcmeClient takes them. Raises: ConfigError."""
    references = References(environ=services.environ, error=ConfigError, kinds=("env", "file", "systemd"))
    hmac_key = references.follow("--eab-hmac-key", eab.hmac_key)
    services.keep_secret(hmac_key)
    return eab.kid, hmac_key, eab.alg


def agree(services: Services, request: AccountRequest, meta: DirectoryMeta) -> None:
    """RFC 8555 section 7.3.3: nobody agrees to terms but the person. Raises: ConfigError, Aborted."""
    if meta.terms_of_service is None or request.agree_tos:
        return
    if not services.person.interactive:
        raise ConfigError(
            f"The CA's terms of service must be agreed to: {meta.terms_of_service}",
            hint="Read them, then give --agree-tos.",
        )
    services.person.say(f"The terms of service of the CA are at\n{meta.terms_of_service}")
    if not services.person.yes_no("Do you agree to them?", flag="--agree-tos"):
        raise Aborted("The CA's terms of service were not agreed to.")


def _email(services: Services, request: AccountRequest) -> tuple[str, ...]:
    email = request.email
    if not email and not request.without_email and services.person.interactive:
        email = _ask_email(services, "E-mail address for the account (empty: none)")
    check_email(email)
    return email


def _ask_email(services: Services, question: str) -> tuple[str, ...]:
    """Addresses from the person, who is asked again about one that cannot be right."""
    return _split(
        services.person.ask(question, flag="--email", default="", check=lambda text: check_email(_split(text)))
    )


def _split(text: str) -> tuple[str, ...]:
    return tuple(part for part in re.split(r"[,\s]+", text.strip()) if part)
