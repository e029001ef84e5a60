"""adopt: check a tree that certbot made, make it acmectl's, and switch certbot's timers off."""

from __future__ import annotations

import os
import shlex
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from acmectl.actions import adopt
from acmectl.actions.adopt_hooks import CERTBOTS_TREE
from acmectl.actions.adoption import CheckedTree, Finding, Weight
from acmectl.actions.certbot_timers import Machine, disable, find_timers
from acmectl.actions.config_files import is_file
from acmectl.cli import params
from acmectl.cli.prompts import Prompts
from acmectl.cli.requests import certificate_request
from acmectl.cli.wiring import build_services
from acmectl.config.directories import directories_here
from acmectl.config.settings import Source
from acmectl.errors import AcmectlError, ConfigError, ExitCode, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from acmectl.actions.adopt import Adopted
    from acmectl.actions.adoption import CheckedLineage
    from acmectl.actions.certbot_timers import CertbotTimer
    from acmectl.cli.app import App
    from acmectl.config.directories import Directories
    from acmectl.config.settings import Settings
    from acmectl.storage.layout import Layout

_DESTS = ("config_dir", "work_dir", "logs_dir")


def run(app: App) -> ExitCode:
    """Check and report; with --apply, --undo or --disable-certbot-timer do that. Raises: AcmectlError."""
    settings = app.settings
    directories = directories_here(app.environ)
    machine = Machine(uid=os.geteuid())
    if settings.flag("undo"):
        if settings.flag("apply"):
            raise UsageError("--apply and --undo contradict each other.")
        return _undo(app, directories)
    checked, becomes_default = _checked(app, directories)
    timers = find_timers(machine)
    _report(app, checked)
    adopted = _apply(app, checked, directories) if settings.flag("apply") else None
    off, left = _timers(app, machine, timers)
    if not (settings.flag("apply") or becomes_default):
        command = shlex.join(["acmectl", "adopt", str(checked.layout.config_dir), "--apply"])
        app.console.status(f"To have acmectl work in this tree from now on: {command}")
    elif adopted is not None:
        app.console.status("acmectl renews by itself after this: acmectl enable-timer")
    app.console.result("adopt", as_json(checked, adopted=adopted, off=off, on=left))
    bad = sum(not lineage.renewable for lineage in checked.lineages)
    if bad:
        app.console.error(f"{bad} of {len(checked.lineages)} certificates cannot be renewed by acmectl as they are.")
    elif not checked.renewable:
        app.console.error(f"acmectl cannot renew in {checked.layout.config_dir} as it is.")
    failed = settings.flag("disable_certbot_timer") and bool(left)
    return ExitCode.FAILED if failed or not checked.renewable else ExitCode.OK


def _checked(app: App, directories: Directories) -> tuple[CheckedTree, bool]:
    """What was found, and whether the tree is the default one or about to be."""
    settings = app.settings
    tree = adopt.layout_of_tree(
        _directory(settings),
        directories,
        work_dir=settings.path("work_dir") if settings.is_set("work_dir") else None,
        logs_dir=settings.path("logs_dir") if settings.is_set("logs_dir") else None,
    )
    default = tree.config_dir == directories.config_dir
    found: list[Finding] = []
    try:
        of_tree = _settings_of(app, tree)
        found += [_note(tree, warning) for warning in of_tree.warnings]
    except AcmectlError as error:
        todo = "Correct it: with a cli.ini that cannot be understood no command runs."
        found.append(
            Finding(weight=Weight.PROBLEM, path=tree.config_dir / "cli.ini", what=error.message.rstrip("."), todo=todo)
        )
        of_tree = _moved(settings, tree)
    found += _users_file(app)
    silent = Prompts(app.console, app.interrupts, interactive=False)
    there = replace(app, settings=of_tree, prompts=silent)
    services = build_services(there, writes=False)
    if default or settings.flag("apply"):
        services = replace(services, tree_options=())
    checked = adopt.check(services, lambda conf, names, path: certificate_request(there, conf, names, origin=str(path)))
    return replace(checked, findings=(*found, *checked.findings)), default


def _directory(settings: Settings) -> Path:
    """The tree that is meant: the argument, else --config-dir, else certbot's. Raises: UsageError."""
    if len(settings.arguments) > 1:
        raise UsageError("adopt takes one directory.")
    if settings.arguments:
        return Path(os.path.abspath(settings.arguments[0]))  # noqa: PTH100 - links are meant to stay
    return settings.directory("config_dir") if settings.is_set("config_dir") else CERTBOTS_TREE


def _settings_of(app: App, tree: Layout) -> Settings:
    """What renew would go by in that tree, its cli.ini included. Raises: UsageError, ConfigError, PluginError."""
    words = ["renew", "-n"]
    for option, path in (
        ("--config-dir", tree.config_dir),
        ("--work-dir", tree.work_dir),
        ("--logs-dir", tree.logs_dir),
    ):
        words += [option, str(path)]
    for path_text in app.settings.items("config_file"):
        words += ["--config", path_text]
    return params.settings_of(params.parse(words, app.settings.table))


def _moved(settings: Settings, tree: Layout) -> Settings:
    for dest, path in zip(_DESTS, (tree.config_dir, tree.work_dir, tree.logs_dir), strict=True):
        settings = settings.with_value(dest, str(path), Source.FLAG, settings.table.by_dest[dest].name)
    return settings


def _note(tree: Layout, warning: str) -> Finding:
    return Finding(weight=Weight.NOTE, path=tree.config_dir / "cli.ini", what=warning.rstrip("."))


def _users_file(app: App) -> Iterator[Finding]:
    """certbot's own file of the user, which has another name with acmectl."""
    ours = directories_here(app.environ).user_file
    theirs = ours.parent.parent / "letsencrypt" / "cli.ini"
    if is_file(theirs) and not is_file(ours):
        todo = shlex.join(["install", "-D", "-m", "600", str(theirs), str(ours)])
        yield Finding(weight=Weight.WARNING, path=theirs, what=f"certbot reads it; acmectl reads {ours}", todo=todo)


def _apply(app: App, checked: CheckedTree, directories: Directories) -> Adopted:
    broken = next(
        (one for one in checked.findings if one.weight is Weight.PROBLEM and one.path.name == "cli.ini"), None
    )
    if broken is not None:
        raise ConfigError(f"The tree is not adopted, for {broken.what}.", hint=broken.todo)
    adopted = adopt.apply(checked.layout, directories)
    tree = adopted.tree
    if adopted.changed:
        app.console.status(
            f"acmectl works in {tree.config_dir} from now on (state in {tree.work_dir}, logs in {tree.logs_dir}); "
            f"{adopted.path} says so.\nTo undo it: acmectl adopt --undo"
        )
    else:
        app.console.status(f"acmectl works in {tree.config_dir} already.")
    return adopted


def _undo(app: App, directories: Directories) -> ExitCode:
    undone = adopt.undo(directories)
    if undone is None:
        app.console.status("No tree was adopted.")
    else:
        app.console.status(
            f"{undone.path} is removed: acmectl works in {undone.tree.config_dir} again.\n"
            "If a timer of acmectl's renews the other tree: systemctl disable --now acmectl-renew.timer"
        )
    app.console.result("adopt", {"undone": undone is not None})
    return ExitCode.OK


def _timers(
    app: App, machine: Machine, timers: tuple[CertbotTimer, ...]
) -> tuple[list[CertbotTimer], list[CertbotTimer]]:
    """Switch certbot's timers off, or say how; which are off now, and which still on."""
    console = app.console
    if not app.settings.flag("disable_certbot_timer"):
        for timer in timers:
            console.status(f"certbot renews too, by {timer}.\n  {timer.disable}")
        if timers and not any(timer.by_hand for timer in timers):
            console.status("acmectl adopt --disable-certbot-timer does that.")
        return [], list(timers)
    off: list[CertbotTimer] = []
    left: list[CertbotTimer] = []
    for timer in timers:
        try:
            disable(machine, timer)
        except AcmectlError as error:
            console.error(error.message, hint=error.hint)
            left.append(timer)
        else:
            console.status(f"Switched off: {timer}.\n  To switch it on again: {timer.enable}")
            off.append(timer)
    if not timers:
        console.status("Nothing was found that runs certbot's renewals.")
    return off, left


def _report(app: App, checked: CheckedTree) -> None:
    lines = [f"The certificates in {checked.layout.config_dir}:" if checked.lineages else "There are no certificates."]
    for lineage in checked.lineages:
        lines += _lineage_lines(lineage)
    lines += [line for finding in checked.findings for line in _finding_lines(finding)]
    app.console.status("\n".join(lines))


def _lineage_lines(lineage: CheckedLineage) -> list[str]:
    when = ""
    if lineage.due is not None and lineage.not_after is not None:
        when = f"; expires on {lineage.not_after:%Y-%m-%d}"
        if lineage.due.due:
            when += f", due now: {lineage.due.why}"
        elif lineage.due.at is not None:
            when += f", due from {lineage.due.at:%Y-%m-%d}"
    verdict = "can be renewed" if lineage.renewable else "cannot be renewed"
    lines = [f"  {lineage.name}: {verdict}{when}"]
    for finding in lineage.findings:
        lines += _finding_lines(finding)
    return lines


def _finding_lines(finding: Finding) -> list[str]:
    lines = [f"    {finding.weight}: {finding.path}: {finding.what}."]
    return lines + [f"      {line}" for line in (finding.todo or "").splitlines()]


def as_json(
    checked: CheckedTree, *, adopted: Adopted | None, off: list[CertbotTimer], on: list[CertbotTimer]
) -> dict[str, object]:
    """The result for --json."""
    layout = checked.layout
    return {
        "config_dir": str(layout.config_dir),
        "work_dir": str(layout.work_dir),
        "logs_dir": str(layout.logs_dir),
        "renewable": checked.renewable,
        "lineages": [
            {
                "name": one.name,
                "path": str(one.conf_path),
                "renewable": one.renewable,
                "identifiers": [{"type": str(i.type), "value": i.value} for i in one.identifiers],
                "authenticator": one.authenticator,
                "server": one.server,
                "not_after": one.not_after.isoformat() if one.not_after is not None else None,
                "due": one.due.due if one.due is not None else None,
                "due_at": one.due.at.isoformat() if one.due is not None and one.due.at is not None else None,
                "findings": [_finding_as_json(finding) for finding in one.findings],
            }
            for one in checked.lineages
        ],
        "findings": [_finding_as_json(finding) for finding in checked.findings],
        "adopted": None if adopted is None else {"path": str(adopted.path), "changed": adopted.changed},
        "certbot_timers": [
            {
                "kind": timer.kind,
                "where": timer.where,
                "line": timer.line,
                "user": timer.user,
                "on": timer in on,
                "disable": timer.disable,
                "enable": timer.enable,
                "by_hand": timer.by_hand,
            }
            for timer in (*off, *on)
        ],
    }


def _finding_as_json(finding: Finding) -> dict[str, object]:
    return {
        "weight": str(finding.weight),
        "path": str(finding.path),
        "what": finding.what,
        "todo": finding.todo,
    }
