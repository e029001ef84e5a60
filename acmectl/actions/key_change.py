"""Changing an account's key so that a run killed at any moment costs nothing (RFC 8555 section 7.3.5).

The new key is on disk before the CA hears of it. Whoever comes after a killed run asks the CA which key it has, sends
the change again if it is the old one, and then does what is left to do here. Sending it again is what makes this safe:
a first request that is still on its way cannot win after the new key has been thrown away.
"""

from __future__ import annotations

import socket
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from acmectl.acme.jws import AccountKey
from acmectl.acme.problem import ProblemType
from acmectl.errors import AcmeError, ConfigError, LineageDamaged, RateLimited, ServerProblem
from acmectl.events import Notice
from acmectl.storage.lineage import read_conf
from acmectl.storage.rollovers import Rollover, RolloverStore

if TYPE_CHECKING:
    from collections.abc import Callable

    from acmectl.acme.client import AcmeClient
    from acmectl.acme.resources import Account
    from acmectl.actions.services import Services
    from acmectl.storage.accounts import StoredAccount
    from acmectl.storage.renewal_conf import RenewalConf

_SETTLES = 8.0  # seconds in which a CA may not know a change yet that it has made (Let's Encrypt: 5)
_PAUSE = 1.0
_NOT_OFFERED = (404, 405, 501)
_SERVER_ERROR = 500
_CONFLICT = 409
_REFUSED = object()


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyChanged:
    """An account with its new key. ``previous_id`` is the id that it had; ``renewal_files`` the lineages whose file
    names the new one now; ``finished_earlier``: an earlier run had begun it."""

    server: str
    previous_id: str
    id: str
    url: str
    thumbprint: str
    renewal_files: tuple[str, ...] = ()
    finished_earlier: bool = False


def change(services: Services, stored: StoredAccount, new_key: AccountKey) -> KeyChanged:
    """Give the account ``new_key``, at the CA and here. Called with the store locked.

    Raises: ConfigError when the CA offers no key change, ServerProblem when it refuses, both with nothing changed;
    AcmeError when it is not known what the CA did, and StorageError, which the next run resolves.
    """
    from acmectl.storage.accounts import account_id

    client = services.network.client(
        stored.server, AccountKey.from_jwk_json(stored.key_jwk_json), account_url=stored.uri
    )
    if client.directory().key_change is None:
        raise _not_offered(stored.server)
    journal = RolloverStore(services.layout)
    rollover = Rollover(
        server=stored.server,
        old_id=stored.id,
        new_id=account_id(new_key.public_pem()),
        account_url=stored.uri,
        new_key_jwk_json=new_key.jwk_json(),
    )
    journal.write(rollover)
    refusal = _send(services, client, rollover, new_key)
    if refusal is not None:
        journal.drop(rollover)
        raise _explained(refusal, stored.server)
    return _complete(services, rollover, new_key)


def finish(services: Services, rollover: Rollover) -> KeyChanged | None:
    """Finish a key change that a killed run has begun; None when the account keeps its key, which is told.

    Called with the store locked. Raises: AcmeError when the CA cannot be asked; StorageError.
    """
    try:
        new_key = AccountKey.from_jwk_json(rollover.new_key_jwk_json)
    except ConfigError:
        RolloverStore(services.layout).drop(rollover)
        return None
    refusal = _ask(services, rollover, new_key)
    if refusal is None:
        done = replace(_complete(services, rollover, new_key), finished_earlier=True)
        text = f"Finished the key change of the account at {done.server} that an earlier run had begun: now {done.id}."
        services.observe(Notice(text=text))
        return done
    RolloverStore(services.layout).drop(rollover)
    text = f"The account {rollover.old_id} at {rollover.server} keeps its key: the change that was begun has failed"
    services.observe(Notice(text=f"{text} ({refusal.message})", level="warning"))
    return None


def _ask(services: Services, rollover: Rollover, new_key: AccountKey) -> AcmeError | ConfigError | None:
    """Which key has the CA? None: the new one, now at the latest. Raises: AcmeError when it cannot be asked."""
    if _knows(services, rollover, new_key):
        return None
    old = next((one for one in services.accounts.list(rollover.server).accounts if one.id == rollover.old_id), None)
    if old is None:
        return ConfigError("the account is no longer here")
    old_key = AccountKey.from_jwk_json(old.key_jwk_json)
    if not _knows(services, rollover, old_key):
        return ConfigError("the CA does not know the account")
    client = services.network.client(rollover.server, old_key, account_url=rollover.account_url)
    return _send(services, client, rollover, new_key)


def _send(
    services: Services, client: AcmeClient, rollover: Rollover, new_key: AccountKey
) -> AcmeError | ConfigError | None:
    """Ask the CA for the change; None when it was made, else why not. Raises: AcmeError when that is not known."""
    try:
        client.change_key(new_key)
    except (AcmeError, ConfigError) as error:
        refusal = error
    else:
        return None
    deadline = services.clock.monotonic() + (_SETTLES if _in_doubt(refusal) else 0.0)
    while True:
        try:
            if _knows(services, rollover, new_key):
                return None
        except AcmeError as error:
            error.hint = "Run the command again: it asks the CA which key it has and finishes the change."
            raise
        if services.clock.monotonic() >= deadline:
            return refusal
        services.clock.sleep(_PAUSE)


def _in_doubt(error: AcmeError | ConfigError) -> bool:
    """Whether the CA may have made the change all the same: the answer was lost, or an earlier request had done it."""
    if not isinstance(error, ServerProblem):
        return isinstance(error, AcmeError)
    if error.status in _NOT_OFFERED or isinstance(error, RateLimited):
        return False
    by_then_the_old_key_is_wrong = error.problem.code in {ProblemType.MALFORMED, ProblemType.UNAUTHORIZED}
    return error.status >= _SERVER_ERROR or error.status == _CONFLICT or by_then_the_old_key_is_wrong


def _knows(services: Services, rollover: Rollover, key: AccountKey) -> bool:
    """Whether the CA knows the account by ``key``. Raises: AcmeError when that cannot be said."""
    client = services.network.client(rollover.server, key, account_url=rollover.account_url)
    found = _unless_refused(client.find_account)
    if found is not _REFUSED:
        return found is not None
    # Some CAs refuse this question in words of their own, of a key that they know, too.
    return _unless_refused(client.account) is not _REFUSED


def _unless_refused(ask: Callable[[], Account | None]) -> Account | None | object:
    try:
        return ask()
    except RateLimited:
        raise
    except ServerProblem as error:
        if error.status >= _SERVER_ERROR:
            raise
        return _REFUSED


def _complete(services: Services, rollover: Rollover, new_key: AccountKey) -> KeyChanged:
    """What is left to do here once the CA has the new key; may be begun again at any point. Raises: StorageError."""
    accounts = services.accounts
    accounts.link_earlier(rollover.server)
    here = {one.id: one for one in accounts.list(rollover.server).accounts}
    old = here.get(rollover.old_id)
    if rollover.new_id not in here:
        if old is not None:
            accounts.rekey(old, key_jwk_json=new_key.jwk_json(), public_pem=new_key.public_pem())
        else:
            accounts.save(
                rollover.server,
                key_jwk_json=new_key.jwk_json(),
                public_pem=new_key.public_pem(),
                uri=rollover.account_url,
                creation_dt=services.clock.now(),
                creation_host=socket.gethostname(),
            )
    changed = _rename_in_renewal_files(services, rollover)
    accounts.discard(rollover.server, rollover.old_id)
    RolloverStore(services.layout).drop(rollover)
    return KeyChanged(
        server=rollover.server,
        previous_id=rollover.old_id,
        id=rollover.new_id,
        url=rollover.account_url,
        thumbprint=new_key.thumbprint(),
        renewal_files=changed,
    )


def _rename_in_renewal_files(services: Services, rollover: Rollover) -> tuple[str, ...]:
    """Make the renewal files that name the old id name the new one, each in one step. Raises: StorageError."""
    changed: list[str] = []
    needle = rollover.old_id.encode("ascii")
    for name in services.lineages.names():
        path = services.layout.renewal_conf(name)
        try:
            if needle not in path.read_bytes():
                continue
        except OSError:
            continue  # unreadable for renew too, which says so
        try:
            conf, _places = read_conf(services.layout, name)
        except LineageDamaged as error:
            text = f"{error.message} It names the account {rollover.old_id}, which is {rollover.new_id} now."
            services.observe(Notice(text=text, level="warning"))
            continue
        if conf.text("account") == rollover.old_id and _same_ca(services, conf, rollover.server):
            services.lineages.write_conf(name, replace(conf, params={**conf.params, "account": rollover.new_id}))
            changed.append(name)
    return tuple(changed)


def _same_ca(services: Services, conf: RenewalConf, server: str) -> bool:
    """Whether a renewal file is about the CA; its earlier API shares its accounts, by links."""
    stored = conf.text("server")
    if stored is None or stored == server:
        return True
    with suppress(ConfigError, OSError):
        directories = {services.layout.accounts_dir(url).resolve() for url in (stored, server)}
        return len(directories) == 1
    return False


def _explained(error: AcmeError | ConfigError, server: str) -> AcmeError | ConfigError:
    if isinstance(error, ServerProblem) and error.status in _NOT_OFFERED:
        return _not_offered(server)
    if error.hint is None:
        error.hint = "The account keeps its present key."
    return error


def _not_offered(server: str) -> ConfigError:
    return ConfigError(
        f"The CA at {server} does not offer to change an account's key.",
        hint="Nothing was changed. A new account has a new key: acmectl register, then --account ID.",
    )
