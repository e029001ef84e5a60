"""Questions to the person at the terminal."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, TypeVar

from acmectl.errors import Aborted, ConfigError, PluginError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import TextIO

    from acmectl.cli.console import Console
    from acmectl.interrupts import Interrupts

T = TypeVar("T")

_CANCEL = ("c", "C")
_PATIENCE = 36_000.0  # seconds; whoever does not answer for ten hours has left, and the locks are wanted by others


class Prompts:
    """Asks, or under -n answers with the default or says which flag gives the answer. Implements plugin.api.Terminal.

    Every question raises: Aborted when the person cancels or the input ends, Interrupted on a signal, ConfigError when
    nobody can be asked and there is no default. Where the input is no terminal, its end takes a default of ``choose``
    and ``yes_no`` as Enter does. ``flag`` is what a message tells to use instead of answering.
    """

    def __init__(
        self,
        console: Console,
        interrupts: Interrupts,
        *,
        interactive: bool,
        stdin: TextIO | None = None,
        patience: float = _PATIENCE,
    ) -> None:
        """``patience`` is how many seconds a question at a terminal waits for its answer."""
        self._patience = patience
        self._console = console
        self._interrupts = interrupts
        self._interactive = interactive
        self._stdin = stdin

    @property
    def interactive(self) -> bool:
        """False under -n, -q, --json and in renew."""
        return self._interactive

    def say(self, text: str = "") -> None:
        """Print lines as they are: never wrapped. Control characters are taken out."""
        self._console.lines(text)

    def pause(self, text: str) -> None:
        """Show ``text`` and wait for Enter. Raises: PluginError under -n, Aborted at end of input, Interrupted."""
        if not self._interactive:
            raise PluginError(
                "Somebody would have to press Enter here, and this run asks nothing.",
                hint="Run it at a terminal, without -n, -q and --json.",
            )
        self._console.lines(text)
        self._read("", "press Enter to go on")

    def choose(
        self, question: str, choices: Sequence[str], *, default: int | None = None, flag: str | None = None
    ) -> int:
        """The index of one of ``choices``; ``c`` cancels. Enter alone takes ``default`` where there is one."""
        if not self._interactive:
            return self._unasked(question, default, flag)
        self._console.lines(question)
        self._list(choices)
        tail = f" (Enter: {default + 1})" if default is not None else ""
        while True:
            prompt = f"Number from 1 to {len(choices)}, or c to cancel{tail}: "
            answer = self._read(prompt, question, flag, presumed=default is not None)
            if answer in _CANCEL:
                raise Aborted(f"Cancelled at: {_short(question)}")
            if not answer and default is not None:
                return default
            if answer.isdecimal() and 1 <= int(answer) <= len(choices):
                return int(answer) - 1
            self._console.lines("That is none of them.")

    def choose_many(self, question: str, choices: Sequence[str], *, flag: str | None = None) -> tuple[int, ...]:
        """Indices of some of ``choices``, in their order; Enter alone means all, ``c`` cancels."""
        if not self._interactive:
            return self._unasked(question, None, flag)
        self._console.lines(question)
        self._list(choices)
        while True:
            answer = self._read("Numbers separated by commas or spaces, Enter for all, c to cancel: ", question, flag)
            if answer in _CANCEL:
                raise Aborted(f"Cancelled at: {_short(question)}")
            words = answer.replace(",", " ").split()
            if all(word.isdecimal() and 1 <= int(word) <= len(choices) for word in words):
                picked = {int(word) - 1 for word in words}
                return tuple(index for index in range(len(choices)) if index in picked or not words)
            self._console.lines("One of these is no number in the list.")

    def ask(
        self,
        question: str,
        *,
        default: str | None = None,
        flag: str | None = None,
        check: Callable[[str], object] | None = None,
    ) -> str:
        """A line of text, stripped; ``c`` cancels. ``check`` raises ConfigError to have the question asked again."""
        if not self._interactive:
            return self._unasked(question, default, flag)
        while True:
            answer = self._read(f"{question} (c to cancel): ", question, flag)
            if answer in _CANCEL:
                raise Aborted(f"Cancelled at: {_short(question)}")
            if not answer and default is None:
                continue
            answer = answer or default or ""
            try:
                if check is not None:
                    check(answer)
            except ConfigError as error:
                self._console.lines(f"{error.message} {error.hint or ''}".rstrip())
                continue
            return answer

    def yes_no(
        self, question: str, *, default: bool | None = None, flag: str | None = None, yes: str = "Yes", no: str = "No"
    ) -> bool:
        """A decision; answered by the whole word or its first letter. Enter alone takes ``default``."""
        if not self._interactive:
            return self._unasked(question, default, flag)
        shown = {True: f" (Enter: {yes})", False: f" (Enter: {no})", None: ""}[default]
        self._console.lines(question)
        while True:
            prompt = f"({yes[:1].upper()}){yes[1:]}/({no[:1].upper()}){no[1:]}{shown}: "
            answer = self._read(prompt, question, flag, presumed=default is not None)
            if not answer and default is not None:
                return default
            for word, meaning in ((yes, True), (no, False)):
                if answer and answer.lower() in (word.lower(), word[:1].lower()):
                    return meaning

    def _list(self, choices: Sequence[str]) -> None:
        for number, text in enumerate(choices, 1):
            self._console.lines(f"{number:>3}: {text}")

    def _unasked(self, question: str, default: T | None, flag: str | None) -> T:
        if default is not None:
            return default
        hint = f"Use {flag}." if flag else "Run it at a terminal, without -n, -q and --json."
        raise ConfigError(f"This run asks nothing, but an answer is needed: {_short(question)}", hint=hint)

    def _read(self, prompt: str, question: str, flag: str | None = None, *, presumed: bool = False) -> str:
        """One line of input without its newline, stripped.

        ``presumed``: where the input is no terminal and has ended, as under cron, that counts as Enter alone.
        """
        stream = self._stdin if self._stdin is not None else sys.stdin
        self._console.lines(prompt, end="")
        try:
            with self._interrupts.interruptible():
                if stream is not None and stream.isatty():
                    answered = self._interrupts.wait_readable(stream.fileno(), self._patience)
                    if not answered:
                        raise Aborted(f"Nobody answered: {_short(question)}", hint=self._hint(flag))
                line = stream.readline() if stream is not None else ""
        except (OSError, ValueError, UnicodeDecodeError) as error:
            raise Aborted(f"The answer could not be read: {_short(question)}", hint=self._hint(flag)) from error
        if not line:
            self._console.lines()
            if presumed and (stream is None or not stream.isatty()):
                self._console.warning("Nobody is there to answer, so the default was taken; -n asks nothing.")
                return ""
            raise Aborted(f"The input ended before this was answered: {_short(question)}", hint=self._hint(flag))
        return line.strip()

    def _hint(self, flag: str | None) -> str | None:
        return f"Use {flag}." if flag else None


def _short(question: str) -> str:
    """The first line of a question, for a message."""
    return question.strip().partition("\n")[0]
