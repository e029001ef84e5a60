"""account: what is done to an account beyond making and showing it. One word says what."""

from __future__ import annotations

from typing import TYPE_CHECKING

from acmectl.cli.requests import account_of
from acmectl.cli.wiring import build_services
from acmectl.config.settings import Source
from acmectl.config.values import shown
from acmectl.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from acmectl.cli.app import App


def run(app: App) -> ExitCode:
    """Dispatch on the word after ``account``. Raises: AcmectlError."""
    words = app.settings.arguments
    does = f"There is {' and '.join(_ACTIONS)}."
    if not words:
        raise UsageError("account needs to know what to do.", hint=does)
    if words[0] not in _ACTIONS or len(words) > 1:
        wrong = words[0] if words[0] not in _ACTIONS else words[1]
        raise UsageError(f"account cannot do {shown(wrong)}.", hint=does)
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


_ACTIONS: dict[str, Callable[[App], ExitCode]] = {"rollover": _rollover}
