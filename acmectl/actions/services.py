"""The collaborators of the actions, wired once at the door. Only this room receives them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from acmectl.actions.hook_process import HookRunner
    from acmectl.actions.network import Network
    from acmectl.clock import Clock
    from acmectl.events import Observer
    from acmectl.interrupts import Interrupts
    from acmectl.plugin.api import Authenticator
    from acmectl.storage.accounts import AccountStore
    from acmectl.storage.layout import Layout
    from acmectl.storage.lineages import LineageStore
    from acmectl.storage.order_ledger import OrderLedger
    from acmectl.storage.pending import PendingStore


class Person(Protocol):
    """Whoever started the program, if anybody is there. ``flag`` names the option that answers beforehand."""

    @property
    def interactive(self) -> bool:
        """False when nobody may be asked; then a question without a default is an error that names its flag."""
        ...

    def ask(
        self,
        question: str,
        *,
        default: str | None = None,
        flag: str | None = None,
        check: Callable[[str], object] | None = None,
    ) -> str:
        """A line of text. Raises: Aborted, ConfigError when nobody is there and there is no default."""
        ...

    def yes_no(
        self, question: str, *, default: bool | None = None, flag: str | None = None, yes: str = "Yes", no: str = "No"
    ) -> bool:
        """A decision. Raises: Aborted, ConfigError when nobody is there and there is no default."""
        ...

    def choose(
        self, question: str, choices: Sequence[str], *, default: int | None = None, flag: str | None = None
    ) -> int:
        """The index of one of ``choices``. Raises: Aborted, ConfigError as above."""
        ...

    def say(self, text: str = "") -> None:
        """Lines for the person, as they are."""
        ...

    def pause(self, text: str) -> None:
        """Show ``text`` and wait for Enter. Raises: Aborted, PluginError when nobody is there."""
        ...


LoadAuthenticator = Callable[[str], "type[Authenticator]"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """What the actions work with.

    ``keep_secret`` is given texts that no log may show.
    ``tree_options`` are the words that name this tree in a command that is shown, where it is not the default one.
    """

    layout: Layout
    clock: Clock
    interrupts: Interrupts
    observe: Observer
    person: Person
    network: Network
    accounts: AccountStore
    lineages: LineageStore
    pending: PendingStore
    orders: OrderLedger
    hooks: HookRunner
    lock: Callable[[], AbstractContextManager[object]]
    load_authenticator: LoadAuthenticator
    environ: Mapping[str, str] = field(repr=False)
    tree_options: tuple[str, ...] = ()
    keep_secret: Callable[[str], None] = lambda _text: None
