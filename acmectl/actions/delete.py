"""delete: remove lineages, after asking."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from acmectl.actions.in_use import find_uses
from acmectl.actions.outputs import every_path
from acmectl.errors import ConfigError, StorageError
from acmectl.events import Notice
from acmectl.storage.reissues import ReissueStore

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from acmectl.actions.in_use import Use
    from acmectl.actions.services import Services
    from acmectl.storage.deleting import Deleted


class ChooseMany(Protocol):
    """Lets the person pick from a list."""

    def __call__(self, question: str, choices: Sequence[str], *, flag: str | None = None) -> tuple[int, ...]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Deletion:
    """What was removed, which configuration still names it, and the files beside the live links, which stay."""

    deleted: tuple[Deleted, ...]
    uses: tuple[Use, ...]
    left: tuple[Path, ...] = ()


def delete(services: Services, name: str | None, *, choose_many: ChooseMany) -> Deletion:
    """Remove the lineage ``name``, or those that are picked; what still names its files is told before.

    Nothing is deleted when the person says no.

    Raises: LineageNotFound, ConfigError, Aborted (a question was cancelled), StorageError.
    """
    with services.lock():
        names = [name] if name is not None else _picked(services, choose_many)
        uses = tell_uses(services, names)
        what = "the certificate " + ", ".join(names)
        if not services.person.yes_no(f"Delete {what} with all its files?", default=True):
            services.observe(Notice(text="Nothing was deleted."))
            return Deletion(deleted=(), uses=uses)
        left = outputs_left(services, names)
        deleted = tuple(services.lineages.delete(one) for one in names)
        tell_left(services, left)
        return Deletion(deleted=deleted, uses=uses, left=left)


def outputs_left(services: Services, names: Sequence[str]) -> tuple[Path, ...]:
    """The files beside the live links of these lineages that are there now: they are the user's, and stay."""
    found: list[Path] = []
    for name in names:
        with suppress(StorageError):  # a damaged renewal file is deleted as well, whatever it says
            found += (path for _step, path in every_path(services.lineages.renewal_conf(name).own))
    return tuple(path for path in found if path.exists())


def tell_left(services: Services, left: Sequence[Path]) -> None:
    """Say which files with a private key are still there."""
    for path in left:
        services.observe(Notice(text=f"{path} is left, with its private key: remove it where nothing uses it."))


def tell_uses(services: Services, names: Sequence[str]) -> tuple[Use, ...]:
    """Warn of every line that names the files of these lineages, for they are about to go."""
    uses = find_uses(services.lineages, [name for name in names if services.lineages.exists(name)])
    for use in uses:
        services.observe(Notice(text=str(use), level="warning"))
    for name in ReissueStore(services.layout).names():
        if name in names:
            text = (
                f"A certificate of {name} is still to be revoked: acmectl revoke --reissue --cert-name {name} does it."
            )
            services.observe(Notice(text=text, level="warning"))
    return uses


def _picked(services: Services, choose_many: ChooseMany) -> list[str]:
    if not services.person.interactive:
        raise ConfigError("delete needs to know which certificate is meant.", hint="Name it with --cert-name NAME.")
    names = services.lineages.names()
    if not names:
        raise ConfigError("There are no certificates here.")
    return [names[index] for index in choose_many("Which certificates should be deleted?", names, flag="--cert-name")]
