"""register, show_account, update_account, unregister: the account at the CA."""

from __future__ import annotations

from typing import TYPE_CHECKING

from acmectl.actions import accounts
from acmectl.cli.requests import account_of
from acmectl.cli.static_answer import as_text, static_answer
from acmectl.cli.wiring import build_services
from acmectl.errors import ExitCode

if TYPE_CHECKING:
    from acmectl.cli.app import App


def run(app: App) -> ExitCode:
    """Dispatch on the verb. Raises: AcmectlError."""
    return {"register": _register, "show_account": _show, "update_account": _update, "unregister": _unregister}[
        app.settings.verb
    ](app)


def _register(app: App) -> ExitCode:
    opened = accounts.register_only(build_services(app), account_of(app))
    stored = opened.stored
    app.console.status(f"The account lies in {stored.directory}.")
    app.console.result(
        "account", {"server": stored.server, "id": stored.id, "name": stored.name, "url": stored.uri, "created": True}
    )
    return ExitCode.OK


def _show(app: App) -> ExitCode:
    info = accounts.show(build_services(app, writes=False), account_of(app))
    contacts = [contact.removeprefix("mailto:") for contact in info.contact]
    label = "Email contacts:" if len(contacts) > 1 else "Email contact:"
    app.console.status(
        f"Account at {info.server}:\n"
        f"  Account URL: {info.url}\n"
        f"  Account Thumbprint: {info.thumbprint}\n"
        f"{f'  Account Name: {info.name}{chr(10)}' if info.name else ''}"
        f"  {label} {', '.join(contacts) or 'none'}"
    )
    stateless = app.settings.flag("stateless")
    if stateless:
        app.console.status(as_text(info.thumbprint))
    app.console.result(
        "account",
        {
            "server": info.server,
            "id": info.id,
            "name": info.name,
            "url": info.url,
            "thumbprint": info.thumbprint,
            "contact": list(info.contact),
            "status": info.status,
            **({"static_answer": static_answer(info.thumbprint)} if stateless else {}),
        },
    )
    return ExitCode.OK


def _update(app: App) -> ExitCode:
    addresses = accounts.update(build_services(app), account_of(app))
    if addresses:
        app.console.status(f"The account's e-mail address was updated to {', '.join(addresses)}.")
    else:
        app.console.status("The account's e-mail address was removed.")
    app.console.result("account", {"email": list(addresses)})
    return ExitCode.OK


def _unregister(app: App) -> ExitCode:
    stored = accounts.unregister(build_services(app), account_of(app))
    app.console.status(f"The account {stored.id} at {stored.server} was deactivated and deleted here.")
    app.console.result("account", {"server": stored.server, "id": stored.id, "deactivated": True})
    return ExitCode.OK
