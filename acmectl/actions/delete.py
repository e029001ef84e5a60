"""delete: remove lineages, after asking."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from acmectl.errors import Aborted, ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from acmectl.actions.services import Services
    from acmectl.storage.deleting import Deleted


class ChooseMany(Protocol):
    """Lets the person pick from a list."""

    def __call__(self, question: str, choices: Sequence[str], *, flag: str | None = None) -> tuple[int, ...]: ...


def delete(services: Services, name: str | None, *, choose_many: ChooseMany) -> list[Deleted]:
    """Remove the lineage ``name``, or those that are picked.

    Raises: LineageNotFound, ConfigError, Aborted, StorageError.
    """
    with services.lock():
        names = [name] if name is not None else _picked(services, choose_many)
        what = "the certificate " + ", ".join(names)
        if not services.person.yes_no(f"Delete {what} with all its files?", default=True):
            raise Aborted("Nothing was deleted.")
        return [services.lineages.delete(one) for one in names]


def _picked(services: Services, choose_many: ChooseMany) -> list[str]:
    if not services.person.interactive:
        raise ConfigError("delete needs to know which certificate is meant.", hint="Name it with --cert-name NAME.")
    names = services.lineages.names()
    if not names:
        raise ConfigError("There are no certificates here.")
    return [names[index] for index in choose_many("Which certificates should be deleted?", names, flag="--cert-name")]
