"""adopt: look at a tree that certbot made, and make it the one that acmectl works in by itself."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from acmectl.actions.adopt_hooks import CERTBOTS_TREE, HOOK_KEYS, check_directory_hooks, check_words
from acmectl.actions.adopt_lineage import LineageChecker
from acmectl.actions.adoption import CheckedTree, Finding, Weight
from acmectl.actions.config_files import is_dir
from acmectl.config.directories import ADOPTED
from acmectl.config.sources import read_entries
from acmectl.errors import AcmectlError, ConfigError
from acmectl.plugin.credentials import refusal
from acmectl.storage.adopted import remove_adopted, write_adopted
from acmectl.storage.layout import Layout
from acmectl.storage.lineages import LineageStore
from acmectl.storage.locks import lock_holders

if TYPE_CHECKING:
    from collections.abc import Iterator

    from acmectl.actions.renewing import CompleteRenewal
    from acmectl.actions.services import Services
    from acmectl.config.directories import Directories

_CERTBOTS_WORK, _CERTBOTS_LOGS = Path("/var/lib/letsencrypt"), Path("/var/log/letsencrypt")


@dataclass(frozen=True, slots=True, kw_only=True)
class Adopted:
    """``path`` names the tree; ``changed`` is False where it did already."""

    path: Path
    tree: Layout
    changed: bool


def layout_of_tree(
    config_dir: Path, directories: Directories, *, work_dir: Path | None = None, logs_dir: Path | None = None
) -> Layout:
    """The three directories that belong together: as given, as certbot has them, as the tree itself says, or ours."""
    own = directories.own or directories
    if config_dir == directories.config_dir:
        work, logs = directories.work_dir, directories.logs_dir
    elif config_dir == CERTBOTS_TREE:
        work, logs = _CERTBOTS_WORK, _CERTBOTS_LOGS
    else:
        stored = _stored_directories(config_dir)
        work, logs = stored.get("work_dir", own.work_dir), stored.get("logs_dir", own.logs_dir)
    return Layout(config_dir=config_dir, work_dir=work_dir or work, logs_dir=logs_dir or logs)


def check(services: Services, complete: CompleteRenewal) -> CheckedTree:
    """Everything that stands in the way of renewing the lineages of ``services.layout``. Only reads.

    Raises: ConfigError where there is no tree; StorageError when it cannot be listed.
    """
    layout = services.layout
    if not any(is_dir(path) for path in (layout.renewal_root, layout.accounts_root, layout.live_root)):
        raise ConfigError(
            f"{layout.config_dir} is no tree of certbot's: it has neither renewal, live nor accounts.",
            hint="Give the directory that certbot calls its config-dir: acmectl adopt DIR.",
        )
    for path in (layout.renewal_root, layout.live_root, layout.archive_root, layout.accounts_root):
        if path.exists() and not os.access(path, os.R_OK | os.X_OK):
            # Else everything would look as if it were not there.
            raise ConfigError(f"{path} may not be looked into.", hint="Run it as root, or as the owner of the tree.")
    checker = LineageChecker(services, complete)
    lineages = tuple(checker.check(name) for name in services.lineages.names())
    commands: dict[Path, tuple[str, ...]] = {}
    for lineage in lineages:
        try:
            conf = services.lineages.renewal_conf(lineage.name)
        except AcmectlError:
            continue
        commands[lineage.conf_path] = tuple(text for key in HOOK_KEYS if (text := conf.text(key)))
    findings = [
        *_locks(layout),
        *_files_of_cli_ini(layout),
        *check_directory_hooks(layout),
        *check_words(layout, commands),
    ]
    return CheckedTree(layout=layout, lineages=lineages, findings=tuple(findings))


def apply(tree: Layout, directories: Directories) -> Adopted:
    """Make ``tree`` the default one from now on; nothing below it is touched.

    Raises: ConfigError when another tree was adopted or there are certificates in acmectl's own; StorageError.
    """
    own = directories.own or directories
    path = own.config_dir / ADOPTED
    if directories.own is not None and not _same(directories.config_dir, tree.config_dir):
        raise ConfigError(
            f"{directories.config_dir} was adopted already, by {path}.",
            hint="acmectl adopt --undo gives it up; its files stay as they are.",
        )
    if _same(own.config_dir, tree.config_dir):
        if directories.own is None:
            return Adopted(path=path, tree=tree, changed=False)
        raise ConfigError(f"{own.config_dir} is acmectl's own tree.", hint="acmectl adopt --undo goes back to it.")
    names = LineageStore(Layout(config_dir=own.config_dir, work_dir=own.work_dir, logs_dir=own.logs_dir)).names()
    if names:
        raise ConfigError(
            f"acmectl has certificates of its own in {own.config_dir}, which would no longer be renewed: "
            f"{', '.join(names[:3])}{' ...' if len(names) > 3 else ''}.",
            hint="Name the other tree in each command with --config-dir, --work-dir and --logs-dir; or obtain these "
            "certificates there, and delete them here.",
        )
    present = (directories.config_dir, directories.work_dir, directories.logs_dir)
    if directories.own is not None and present == (tree.config_dir, tree.work_dir, tree.logs_dir):
        return Adopted(path=path, tree=tree, changed=False)
    write_adopted(path, tree)
    return Adopted(path=path, tree=tree, changed=True)


def undo(directories: Directories) -> Adopted | None:
    """Go back to acmectl's own tree; None when none was adopted. Raises: StorageError."""
    own = directories.own or directories
    path = own.config_dir / ADOPTED
    if not remove_adopted(path):
        return None
    tree = Layout(config_dir=own.config_dir, work_dir=own.work_dir, logs_dir=own.logs_dir)
    return Adopted(path=path, tree=tree, changed=True)


def _locks(layout: Layout) -> Iterator[Finding]:
    for path, pid in lock_holders(layout):
        who = f"process {pid}" if pid else "another process"
        what = f"{who} holds this lock now; acmectl waits for it, as it would for another acmectl"
        yield Finding(weight=Weight.NOTE, path=path, what=what)


def _files_of_cli_ini(layout: Layout) -> Iterator[Finding]:
    """Files with credentials that the tree's cli.ini names."""
    path = layout.config_dir / "cli.ini"
    try:
        entries = read_entries(path, required=False)
    except AcmectlError:
        return  # whoever reads the settings of the tree tells of it
    for entry in entries:
        if not entry.key.replace("_", "-").endswith("-credentials") or not entry.text:
            continue
        reason = refusal(entry.text)
        if reason is not None:
            yield Finding(
                weight=Weight.WARNING,
                path=Path(entry.text),
                what=f"{entry.origin} names it, and it {reason}; acmectl refuses it",
                todo=f"chmod 600 {entry.text}",
            )


def _stored_directories(config_dir: Path) -> dict[str, Path]:
    """The work and logs directories that renewal files note, where all that note one agree and it exists."""
    store = LineageStore(Layout(config_dir=config_dir, work_dir=config_dir, logs_dir=config_dir))
    noted: dict[str, set[str]] = {"work_dir": set(), "logs_dir": set()}
    for name in store.names():
        try:
            conf = store.renewal_conf(name)
        except AcmectlError:
            continue
        for key, found in noted.items():
            text = conf.text(key)
            if text is not None:
                found.add(text)
    paths = {key: Path(next(iter(found))) for key, found in noted.items() if len(found) == 1}
    return {key: path for key, path in paths.items() if path.is_absolute() and is_dir(path)}


def _same(one: Path, other: Path) -> bool:
    return os.path.realpath(one) == os.path.realpath(other)
