"""account: what is done to an account beyond making and showing it. One word says what."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from acmectl.cli.requests import account_of
from acmectl.cli.wiring import build_services
from acmectl.config.settings import Source
from acmectl.config.values import shown
from acmectl.errors import ConfigError, ExitCode, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from acmectl.actions.account_orders import ListedOrder
    from acmectl.cli.app import App
    from acmectl.storage.accounts import StoredAccount


def run(app: App) -> ExitCode:
    """Dispatch on the word after ``account``. Raises: AcmectlError."""
    words = app.settings.arguments
    does = f"There is {', '.join([*_ACTIONS][:-1])} and {[*_ACTIONS][-1]}."
    if not words:
        raise UsageError("account needs to know what to do.", hint=does)
    if words[0] not in _ACTIONS:
        raise UsageError(f"account cannot do {shown(words[0])}.", hint=does)
    takes = 1 if words[0] == "import" else 0
    if len(words) - 1 < takes:
        raise UsageError("account import needs the file with the key.", hint="acmectl account import FILE")
    if len(words) - 1 > takes:
        raise UsageError(f"account {words[0]} cannot do anything with {shown(words[1 + takes])}.")
    return _ACTIONS[words[0]](app)


def _rollover(app: App) -> ExitCode:
    from acmectl.actions.rollover import rollover

    settings = app.settings
    done = rollover(build_services(app), account_of(app), key_kind=settings.text("account_key_type"))
    how = "had been given a new key, which is in use now" if done.finished_earlier else "has a new key"
    app.console.status(
        f"The account at {done.server} {how}.\n"
        f"  Account URL: {done.url}\n"
        f"  Account Thumbprint: {done.thumbprint}\n"
        f"  Account ID: {done.id} (was {done.previous_id})"
    )
    if done.renewal_files:
        app.console.status(f"Renewal files that name it were updated: {len(done.renewal_files)}.")
    if settings.text("account") == done.previous_id and settings.source("account") is not Source.FLAG:
        app.console.warning(f"{settings.origin('account')} still names the account {done.previous_id}.")
    app.console.result(
        "account",
        {
            "server": done.server,
            "id": done.id,
            "previous_id": done.previous_id,
            "url": done.url,
            "thumbprint": done.thumbprint,
            "renewal_files": list(done.renewal_files),
            "finished_earlier": done.finished_earlier,
        },
    )
    return ExitCode.OK


def _import(app: App) -> ExitCode:
    from acmectl.actions.account_keys import import_key

    stored = import_key(build_services(app), account_of(app), Path(app.settings.arguments[1]).absolute())
    called = f" It is called {stored.name}." if stored.name else ""
    app.console.status(f"The account {stored.id} at {stored.server} lies in {stored.directory}.{called}")
    app.console.result("account", {**_object(stored), "created": False})
    return ExitCode.OK


def _export(app: App) -> ExitCode:
    from acmectl.actions.account_keys import export_key

    settings = app.settings
    path = settings.path("output")
    if path is not None and str(path) == "-":
        path = None
    if path is None and settings.flag("json"):
        raise ConfigError("JSON never has a private key in it.", hint="Name a file for the key: --output FILE.")
    form = settings.required_text("format")
    done = export_key(build_services(app, writes=False), account_of(app), form=form, path=path)
    if done.path is None:
        app.console.payload(done.data)
    else:
        app.console.status(f"The key of the account {done.stored.id} at {done.stored.server} is in {done.path}.")
    app.console.result("account", {**_object(done.stored), "format": form, "path": str(done.path)})
    return ExitCode.OK


def _orders(app: App) -> ExitCode:
    from acmectl.actions.account_orders import account_orders

    stored, listed = account_orders(build_services(app, writes=False), account_of(app))
    lines = [f"Orders of the account {stored.id} at {stored.server}: {len(listed)}"]
    for one in listed:
        lines += ["", f"* {one.url}"]
        if one.order is None:
            lines.append(f"Not shown by the CA: {one.problem}")
            continue
        lines += [
            f"Status: {one.order.status}",
            f"Identifiers: {' '.join(str(name) for name in one.order.identifiers)}",
        ]
        if one.order.expires is not None:
            lines.append(f"Expires: {one.order.expires:%Y-%m-%d %H:%M:%S} UTC")
        if one.order.error is not None:
            lines.append(f"Problem: {one.order.error.describe()}")
    app.console.status("\n".join(lines))
    app.console.result("account-orders", {**_object(stored), "orders": [_order_object(one) for one in listed]})
    return ExitCode.OK


def _agree(app: App) -> ExitCode:
    from acmectl.actions.terms import agree_again

    done = agree_again(build_services(app, writes=False), account_of(app))
    app.console.status(
        f"The CA at {done.stored.server} was told that its terms of service are agreed to.\n"
        f"  Terms of service: {done.terms or 'none'}\n"
        f"  Account URL: {done.stored.uri}\n"
        f"  Account status: {done.account.status}"
    )
    app.console.result(
        "account", {**_object(done.stored), "terms_of_service": done.terms, "status": str(done.account.status)}
    )
    return ExitCode.OK


def _object(stored: StoredAccount) -> dict[str, object]:
    return {"server": stored.server, "id": stored.id, "name": stored.name, "url": stored.uri}


def _order_object(one: ListedOrder) -> dict[str, object]:
    order = one.order
    if order is None:
        return {"url": one.url, "problem": one.problem}
    return {
        "url": one.url,
        "status": str(order.status),
        "identifiers": [{"type": str(name.type), "value": name.value} for name in order.identifiers],
        "expires": order.expires.isoformat() if order.expires else None,
        "certificate": order.certificate,
        "profile": order.profile,
        "problem": order.error.describe() if order.error else None,
    }


_ACTIONS: dict[str, Callable[[App], ExitCode]] = {
    "rollover": _rollover,
    "import": _import,
    "export": _export,
    "orders": _orders,
    "agree": _agree,
}
