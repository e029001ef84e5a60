"""The contract of an authenticator, as tests that its author inherits.

::

    from acmectl.plugin.testing import AuthenticatorContract

    class TestMine(AuthenticatorContract):
        def make(self):
            return Mine({"credentials": "..."}, self.context)

        def visible(self, task):
            return task.record_value in ask_the_test_server(task.record_name)

The class needs nothing but pytest to run it. Every test says in words what went wrong.
"""

from __future__ import annotations

import base64
import hashlib
import logging
import re
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from acmectl.clock import SystemClock
from acmectl.identifiers import Identifier, parse_any
from acmectl.interrupts import Interrupts
from acmectl.plugin.api import Authenticator, ChallengeTask, Context, Option, PluginError
from acmectl.plugin.testing_lent import PlainHttp, run_program, run_shell

__all__ = [
    "AuthenticatorContract",
    "PlainHttp",
    "RecordedTerminal",
    "make_context",
    "make_task",
    "run_program",
    "run_shell",
]

KNOWN_CHALLENGES = ("http-01", "dns-01", "tls-alpn-01", "dns-account-01", "dns-persist-01")
_OPTION_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_NETWORK = ("socket.connect", "socket.bind", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto")


@dataclass
class RecordedTerminal:
    """A terminal that keeps what was said. ``on_pause`` stands for what the person does before pressing Enter."""

    interactive: bool = False
    lines: list[str] = field(default_factory=list)
    pauses: list[str] = field(default_factory=list)
    on_pause: Callable[[], None] = lambda: None

    def say(self, text: str = "") -> None:
        """Keep ``text``."""
        self.lines.extend(text.split("\n"))

    def pause(self, text: str) -> None:
        """Keep ``text`` and let the person act. Raises: PluginError when nobody is there."""
        if not self.interactive:
            raise PluginError("There is nobody at the terminal.")
        self.pauses.append(text)
        self.on_pause()


def make_context(*, terminal: RecordedTerminal | None = None, warn: Callable[[str], None] | None = None) -> Context:
    """What the engine would lend: the real clock, a shell, programs, the network, a terminal with nobody at it."""
    interrupts = Interrupts()
    return Context(
        clock=SystemClock(interrupts),
        interrupts=interrupts,
        terminal=terminal or RecordedTerminal(),
        run_hook=run_shell,
        run_program=run_program,
        http=PlainHttp(),
        warn=warn or logging.getLogger(__name__).warning,
        logger=logging.getLogger("acmectl.plugin"),
    )


def make_task(identifier: str | Identifier, kind: str, *, seed: str = "") -> ChallengeTask:
    """A challenge of type ``kind``; the same ``seed`` gives the same token."""
    wanted = parse_any(identifier) if isinstance(identifier, str) else identifier

    def text(purpose: str) -> str:
        digest = hashlib.sha256(f"{purpose} {wanted.value} {seed}".encode()).digest()
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode("ascii")

    token = text("token")
    return ChallengeTask(identifier=wanted, type=kind, token=token, key_authorization=f"{token}.{text('thumbprint')}")


class AuthenticatorContract(ABC):
    """What every authenticator must do. Derive, define ``make`` and ``visible``, and let pytest collect the class.

    ``identifiers`` are the names that tasks are made for. ``outlives_a_crash``: what was put in place stays there when
    the process dies (files, records), so that a new instance finds it. Set ``context`` in a fixture to use your own.
    """

    identifiers: tuple[str, ...] = ("a.example", "b.example", "www.a.example")
    outlives_a_crash: bool = True
    context: Context
    authenticator: Authenticator
    """The instance that a test works with, for ``visible`` to look at."""

    def setup_method(self) -> None:
        """Give each test a context of its own."""
        self.context = make_context()

    @abstractmethod
    def make(self) -> Authenticator:
        """A new instance with options that work, made with ``self.context``."""

    @abstractmethod
    def visible(self, task: ChallengeTask) -> bool:
        """Whether the CA would find the right answer now. Ask the way that the CA asks."""

    def residue(self) -> object:
        """Everything that the authenticator can leave behind, to be compared before and after."""
        return None

    def tasks(self) -> list[ChallengeTask]:
        """The challenges that the tests answer."""
        kind = self.make().challenge_types[0]
        return [make_task(identifier, kind) for identifier in self.identifiers]

    def test_it_says_what_it_is(self) -> None:
        plugin = self.make()
        _require(bool(plugin.summary.strip()) and "\n" not in plugin.summary, "summary must be one line")
        _require(bool(plugin.challenge_types), "challenge_types must name at least one challenge")
        for kind in plugin.challenge_types:
            _require(kind in KNOWN_CHALLENGES, f"challenge type {kind} is not one of {', '.join(KNOWN_CHALLENGES)}")

    def test_its_options_are_well_formed(self) -> None:
        options: Sequence[Option] = self.make().options
        for option in options:
            _require(
                bool(_OPTION_NAME.fullmatch(option.name)), f"option {option.name!r} must be lower-case-with-dashes"
            )
            _require(bool(option.help.strip()), f"option {option.name} needs a help text")
            _require(not (option.secret and option.default), f"secret option {option.name} must not have a default")
        names = [option.name for option in options]
        _require(len(names) == len(set(names)), "two options have the same name")

    def test_making_one_touches_nothing(self) -> None:
        before = self.residue()
        with _NetworkWatch() as watch:
            self.make()
        _require(not watch.seen, f"the constructor used the network: {', '.join(watch.seen)}")
        _require(self.residue() == before, "the constructor left something behind")

    def test_checking_leaves_nothing_behind(self) -> None:
        before = self.residue()
        self.make().check([task.identifier for task in self.tasks()])
        _require(self.residue() == before, "check left something behind")

    def test_answers_are_visible_until_they_are_cleaned_up(self) -> None:
        plugin, tasks, before = self._new(), self.tasks(), self.residue()
        try:
            plugin.present(tasks)
            plugin.wait(tasks)
            self._require_visible(tasks)
        finally:
            plugin.clean_up(tasks)
        self._require_gone(tasks)
        _require(self.residue() == before, "clean_up left something behind")

    def test_cleaning_up_twice_is_harmless(self) -> None:
        plugin, tasks = self._new(), self.tasks()
        plugin.present(tasks)
        plugin.clean_up(tasks)
        plugin.clean_up(tasks)
        self._require_gone(tasks)

    def test_cleaning_up_what_was_never_presented_is_harmless(self) -> None:
        before = self.residue()
        self.make().clean_up(self.tasks())
        _require(self.residue() == before, "clean_up changed something although nothing had been presented")

    def test_cleaning_up_one_answer_leaves_the_others(self) -> None:
        plugin, tasks = self._new(), self.tasks()
        plugin.present(tasks)
        try:
            plugin.clean_up(tasks[:1])
            self._require_gone(tasks[:1])
            self._require_visible(tasks[1:])
        finally:
            plugin.clean_up(tasks)

    def test_two_answers_for_one_name_stand_side_by_side(self) -> None:
        plugin = self._new()
        kind, name = plugin.challenge_types[0], self.identifiers[0]
        tasks = [make_task(name, kind, seed="one"), make_task(name, kind, seed="two")]
        try:
            plugin.present(tasks)
            plugin.wait(tasks)
            self._require_visible(tasks)
            plugin.clean_up(tasks[:1])
            self._require_visible(tasks[1:])
        finally:
            plugin.clean_up(tasks)
        self._require_gone(tasks)

    def test_one_instance_can_be_used_again(self) -> None:
        plugin, tasks = self._new(), self.tasks()
        for _round in range(2):
            plugin.present(tasks)
            try:
                self._require_visible(tasks)
            finally:
                plugin.clean_up(tasks)

    def test_what_a_crashed_run_left_is_no_obstacle(self) -> None:
        if not self.outlives_a_crash:
            return
        tasks, before = self.tasks(), self.residue()
        self._new().present(tasks)
        successor = self._new()
        successor.check([task.identifier for task in tasks])
        successor.present(tasks)
        self._require_visible(tasks)
        successor.clean_up(tasks)
        self._require_gone(tasks)
        _require(self.residue() == before, "the second run did not remove what the first had left")

    def test_its_hint_is_one_line_that_gives_nothing_away(self) -> None:
        plugin = self.make()
        for task in self.tasks():
            hint = plugin.failure_hint(task)
            if hint is not None:
                _require(bool(hint.strip()) and "\n" not in hint, "failure_hint must be one line or None")
                _require(task.key_authorization not in hint, "failure_hint must not show the key authorization")

    def test_its_repr_gives_no_secret_away(self) -> None:
        plugin = self.make()
        for option in plugin.options:
            value = plugin.settings.get(option.name.replace("-", "_"))
            if option.secret and value:
                _require(str(value) not in repr(plugin), f"repr shows the value of the secret option {option.name}")

    def _new(self) -> Authenticator:
        self.authenticator = self.make()
        return self.authenticator

    def _require_visible(self, tasks: Iterable[ChallengeTask]) -> None:
        for task in tasks:
            _require(self.visible(task), f"the answer for {task.identifier} is not where the CA looks for it")

    def _require_gone(self, tasks: Iterable[ChallengeTask]) -> None:
        for task in tasks:
            _require(not self.visible(task), f"the answer for {task.identifier} is still there after clean_up")


def _require(held: bool, message: str) -> None:
    if not held:
        raise AssertionError(message)


class _NetworkWatch:
    """Notes what Python's audit hooks (PEP 578) tell of the network while it is entered."""

    _installed = False
    _active: list[_NetworkWatch] = []  # noqa: RUF012 - audit hooks are for the whole process

    def __init__(self) -> None:
        self.seen: list[str] = []

    def __enter__(self) -> _NetworkWatch:
        if not _NetworkWatch._installed:
            sys.addaudithook(_NetworkWatch._note)
            _NetworkWatch._installed = True
        _NetworkWatch._active.append(self)
        return self

    def __exit__(self, *_details: object) -> None:
        _NetworkWatch._active.remove(self)

    @staticmethod
    def _note(event: str, _arguments: tuple[object, ...]) -> None:
        if _NetworkWatch._active and event in _NETWORK:
            for watch in _NetworkWatch._active:
                watch.seen.append(event)
