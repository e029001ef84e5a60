"""Builds the collaborators of the actions from the settings, once per run."""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING

from acmectl import __version__
from acmectl.actions.hook_process import HookRunner
from acmectl.actions.network import Network
from acmectl.actions.services import Services
from acmectl.plugin import registry
from acmectl.storage.accounts import AccountStore
from acmectl.storage.directories import prepare_directories
from acmectl.storage.layout import Layout
from acmectl.storage.lineages import LineageStore
from acmectl.storage.locks import StoreLocks
from acmectl.storage.order_ledger import OrderLedger
from acmectl.storage.pending import PendingStore
from acmectl.storage.trust import RememberedTrust

if TYPE_CHECKING:
    from pathlib import Path

    from acmectl.cli.app import App
    from acmectl.config.settings import Settings


def layout_of(settings: Settings) -> Layout:
    """The three directories of this run."""
    return Layout(
        config_dir=settings.directory("config_dir"),
        work_dir=settings.directory("work_dir"),
        logs_dir=settings.directory("logs_dir"),
    )


def build_services(app: App, *, writes: bool = True) -> Services:
    """Everything that the actions need. ``writes``: make the directories that are missing. Raises: StorageError."""
    settings = app.settings
    layout = layout_of(settings)
    if writes:
        prepare_directories(layout, strict=settings.flag("strict_permissions"), hooks=not settings.flag("dry_run"))
    network = Network(
        clock=app.clock,
        interrupts=app.interrupts,
        trust=RememberedTrust(layout),
        environ=app.environ,
        user_agent=user_agent(settings),
        ca_bundle=settings.path("ca_bundle"),
        no_verify=settings.flag("no_verify_ssl"),
    )
    hooks = HookRunner(
        clock=app.clock,
        interrupts=app.interrupts,
        observe=app.console.observe,
        environ=app.environ,
        attended=app.prompts.interactive,
        timeout=float(settings.integer("hook_timeout")),
    )
    return Services(
        layout=layout,
        clock=app.clock,
        interrupts=app.interrupts,
        observe=app.console.observe,
        person=app.prompts,
        network=network,
        accounts=AccountStore(layout),
        lineages=LineageStore(layout),
        pending=PendingStore(layout),
        orders=OrderLedger(layout),
        hooks=hooks,
        lock=lambda: StoreLocks(
            layout,
            timeout=float(settings.integer("lock_timeout")),
            clock=app.clock,
            on_wait=lambda path, pid: app.console.note(_waiting(path, pid)),
        ),
        load_authenticator=registry.load,
        keep_secret=app.log.redaction.add,
        environ=app.environ,
        tree_options=tree_options(settings),
    )


def tree_options(settings: Settings) -> tuple[str, ...]:
    """The options that a command needs to work on the same tree; none for the default one."""
    dests = ("config_dir", "work_dir", "logs_dir")
    given = [
        (settings.table.by_dest[dest].name, str(settings.directory(dest))) for dest in dests if settings.is_set(dest)
    ]
    return tuple(word for pair in given for word in pair)


def _waiting(path: Path, pid: int) -> str:
    return f"Waiting for {f'process {pid}' if pid else 'another process'}, which holds {path}."


def user_agent(settings: Settings) -> str:
    """The User-Agent header (RFC 8555 section 6.1). An empty one given on purpose stays empty."""
    given = settings.text("user_agent")
    if given is not None:
        return given
    comment = settings.text("user_agent_comment")
    parts = "; ".join(part for part in (platform.system(), settings.verb, comment) if part)
    return f"acmectl/{__version__} ({parts}) Python/{platform.python_version()}"
