"""reconfigure: change how a certificate is renewed, once a trial has shown that it works."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from acmectl.actions.reconfigure import ReconfigureRequest, Wishes, reconfigure
from acmectl.cli.checks import checked_name, validate_hooks
from acmectl.cli.next_key import records_json, records_text
from acmectl.cli.requests import as_trial, certificate_request
from acmectl.cli.wiring import build_services
from acmectl.config.restored import restore
from acmectl.config.settings import Source
from acmectl.errors import ConfigError, ExitCode

if TYPE_CHECKING:
    from pathlib import Path

    from acmectl.actions.reconfigure import Change, Reconfigured
    from acmectl.cli.app import App
    from acmectl.config.settings import Settings
    from acmectl.identifiers import Identifier
    from acmectl.storage.renewal_conf import RenewalConf


def run(app: App) -> ExitCode:
    """Try the changes, save them, and say what they were. Raises: AcmectlError."""
    settings, emptied = _without_empty(app.settings)
    app = replace(app, settings=settings)
    validate_hooks(app)
    rows = settings.table.by_dest.values()
    request = ReconfigureRequest(
        cert_name=checked_name(settings),
        save=not settings.flag("dry_run"),
        secret_keys=frozenset(key for row in rows if row.secret for key in (row.stored, row.own) if key),
    )
    done = reconfigure(
        build_services(app),
        request,
        lambda conf, identifiers, path: _wishes(app, conf, identifiers, path, emptied),
    )
    app.console.status(_sentence(done, settings))
    if done.tlsa is not None:
        app.console.status(records_text(done.tlsa))
    for failure in done.hook_failures:
        app.console.error(failure.message, hint=failure.hint)
    app.console.result("reconfigured", as_json(done))
    return ExitCode.FAILED if done.hook_failures else ExitCode.OK


def _wishes(
    app: App, conf: RenewalConf, identifiers: tuple[Identifier, ...], path: Path, emptied: frozenset[str]
) -> Wishes:
    settings = _of_this_ca(app.settings, conf, path)
    conf = _without_overruled(settings, conf, emptied)
    lasting = certificate_request(replace(app, settings=settings), conf, identifiers, origin=str(path))
    deploy = settings.flag("run_deploy_hooks")
    if not deploy and settings.is_set("deploy_hook") and app.prompts.interactive:
        question = "Should the trial run the deploy hooks too, with the certificate that is live now?"
        deploy = app.prompts.yes_no(question, default=False, flag="--run-deploy-hooks")
    return Wishes(lasting=lasting, trial=as_trial(app, lasting, run_deploy_hooks=deploy))


def _without_empty(settings: Settings) -> tuple[Settings, frozenset[str]]:
    """Texts that are given as nothing on the command line take a stored value away; the keys of those."""
    emptied = set()
    for dest, row in settings.table.by_dest.items():
        if row.kind == "text" and settings.source(dest) is Source.FLAG and settings.value(dest) == "":
            emptied |= {key for key in (row.stored, row.own) if key}
            settings = settings.with_value(dest, row.default, Source.DEFAULT, "")
    return settings, frozenset(emptied)


def _of_this_ca(settings: Settings, conf: RenewalConf, path: Path) -> Settings:
    """The settings without any that name a CA or an account where the renewal file does. Raises: ConfigError."""
    table = settings.table.by_dest
    stripped = settings.with_value("dry_run", False, Source.DEFAULT, "")
    for key, dests in (("server", ("server", "staging")), ("account", ("account",))):
        if conf.text(key) is not None:
            for dest in dests:
                stripped = stripped.with_value(dest, table[dest].default, Source.DEFAULT, "")
    params = {key: value if isinstance(value, str) else list(value) for key, value in conf.params.items()}
    stored = restore(stripped, params=params, own=conf.own, origin=str(path))
    name = path.name.removesuffix(".conf")
    for key, dest, what in (("server", "server", "CA"), ("server", "staging", "CA"), ("account", "account", "account")):
        if conf.text(key) is None or settings.source(dest) is not Source.FLAG:
            continue
        if dest == "staging":
            same = not settings.flag("staging") or "staging" in stored.required_text("server")
        else:
            same = settings.text(dest) == stored.text(dest)
        if not same:
            raise ConfigError(
                f"reconfigure does not change the {what} of a certificate, so {settings.origin(dest)} cannot be used.",
                hint=f"To get a certificate from there: acmectl renew --cert-name {name} --force-renewal with the same "
                "option.",
            )
    return stripped


def _without_overruled(settings: Settings, conf: RenewalConf, emptied: frozenset[str]) -> RenewalConf:
    """The renewal file without what the options given now take the place of under another key."""
    gone = set(emptied)
    webroot_map = conf.webroot_map
    if settings.is_set("webroot_path") or settings.is_set("webroot_map"):
        gone.add("challenge_dir")
    if settings.is_set("challenge_dir"):
        gone.add("webroot_path")
        webroot_map = {}
    before, after = conf.text("authenticator"), settings.text("authenticator")
    if after is not None and before != after:
        gone |= {row.own for row in settings.table.rows if row.own is not None and row.plugin == before}
    return replace(
        conf,
        params={key: value for key, value in conf.params.items() if key not in gone},
        webroot_map=webroot_map,
        own={key: value for key, value in conf.own.items() if key not in gone},
    )


def _sentence(done: Reconfigured, settings: Settings) -> str:
    if not done.changes:
        return f"The trial was successful, and nothing was changed: {done.path} says all that already."
    changes = "; ".join(_told(change) for change in done.changes)
    if settings.flag("dry_run"):
        return f"The trial was successful; without --dry-run this would be changed in {done.path}: {changes}"
    return f"The trial was successful, and {done.path} is changed: {changes}"


def _told(change: Change) -> str:
    old, new = (text if text is not None else "(not set)" for text in (change.old, change.new))
    return " ".join(f"{change.key}: {old or '(empty)'} -> {new or '(empty)'}".split())


def as_json(done: Reconfigured) -> dict[str, object]:
    """The result for --json."""
    return {
        "name": done.name,
        "path": str(done.path),
        "saved": done.saved,
        "changes": [{"key": one.key, "old": one.old, "new": one.new} for one in done.changes],
        "trial": {"server": done.server, "finalized": done.finalized},
        "hook_failures": [failure.message for failure in done.hook_failures],
        "tlsa": records_json(done.tlsa),
    }
