"""What goes to standard output and standard error, and nothing else writes there.

Status and results go to standard output, warnings and errors to standard error. When standard output carries the result
alone (``--json``, ``--fullchain-path -``) status is not printed anywhere and questions go to standard error.
"""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from acmectl.errors import StorageError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import TextIO

    from acmectl.errors import AcmectlError
    from acmectl.events import Event

RULE = " ".join("-" * 40)
INFO, WARNING, ERROR = 20, 30, 40
_WIDTH = 79
_RED = "\033[31m"
_RESET = "\033[0m"
_ERASE_LINE = "\r\033[K"
# Priorities as the journal reads them at the start of a line (sd-daemon); WARNING and ERROR are logging's levels.
_PRIORITIES: dict[int | None, str] = {WARNING: "<4>", ERROR: "<3>"}
_INFO_PRIORITY = "<6>"


def clean(text: str) -> str:
    """``text`` without control characters other than newline and tab, so that nobody's words can drive the terminal."""
    # A list of a thousand certificates is one text: looking at it letter by letter would take longer than reading them.
    if text.replace("\n", "").replace("\t", "").isprintable():
        return text
    return "".join(c if c.isprintable() or c in "\n\t" else "" if c == "\r" else "?" for c in text)


def wrapped(text: str, width: int = _WIDTH) -> str:
    """``text`` with long lines wrapped at blanks; words, paths and URLs are never broken."""
    import textwrap

    lines = []
    for line in text.splitlines():
        if len(line) <= width:
            lines.append(line)
            continue
        indent = " " * (len(line) - len(line.lstrip()))
        lines += textwrap.wrap(line, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
    return "\n".join(lines)


class Console:
    """The two output streams. Safe to use from several threads; a reader that goes away never stops the program."""

    def __init__(
        self,
        *,
        quiet: bool = False,
        json: bool = False,
        reserved: bool = False,
        out: TextIO | None = None,
        err: TextIO | None = None,
    ) -> None:
        self._out = out or _present(sys.stdout)
        self._err = err or _present(sys.stderr)
        self._journal = _is_journal(self._err)
        self._quiet = quiet
        self._json = json
        self._reserved = reserved or json
        self._lock = threading.RLock()
        self._hook_heading: tuple[str, str] | None = None
        self._progress_shown = False
        self._result_given = False
        self._logger: Callable[[int, str, bool], None] | None = None

    def log_to(self, logger: Callable[[int, str, bool], None]) -> None:
        """Copy everything to a log: called with a level of logging, the text, and whether it is on a stream already."""
        self._logger = logger

    @property
    def json(self) -> bool:
        """True when the result is to be one JSON object."""
        return self._json

    @property
    def quiet(self) -> bool:
        """True under -q."""
        return self._quiet

    def status(self, text: str = "") -> None:
        """A line (or several) for a person, on standard output, as it is. Not under -q and --json."""
        self._log(INFO, text)
        if not (self._quiet or self._reserved):
            self._print(self._out, clean(text))

    def frame(self, text: str) -> None:
        """A notification between two rules, wrapped to 79 columns, on standard output. Not under -q and --json."""
        self._log(INFO, text)
        if not (self._quiet or self._reserved):
            self._print(self._out, f"\n{RULE}\n{wrapped(clean(text))}\n{RULE}")

    def lines(self, text: str = "", *, end: str = "\n") -> None:
        """Lines that a person is asked to read or answer: standard output, or standard error when that is reserved."""
        self._print(self._err if self._reserved else self._out, clean(text), end=end)

    def info(self, text: str) -> None:
        """For the log, and for standard error under -v."""
        self._log(INFO, text, printed=False)

    def warning(self, text: str) -> None:
        """One line on standard error; only in the log under -q."""
        self._log(WARNING, text)
        if not self._quiet:
            self._print_error(WARNING, f"Warning: {clean(text)}")

    def error(self, text: str, *, hint: str | None = None) -> None:
        """One line on standard error, and one more for the hint."""
        self._log(ERROR, f"{text} {hint or ''}".rstrip())
        self._print_error(ERROR, f"Error: {clean(text)}")
        if hint:
            self._print_error(None, clean(hint))

    def note(self, text: str) -> None:
        """A line on standard error that is no warning (where the log lies). Not under -q and --json."""
        if not (self._quiet or self._reserved):
            self._print_error(None, clean(text))

    def log_line(self, text: str, *, warning: bool) -> None:
        """A message of the log on standard error; the log decided that it belongs there."""
        shown = clean(text)
        if warning:
            self._print_error(WARNING, f"Warning: {shown}")
        else:
            self._print_error(None, shown)

    def result(self, kind: str, content: Mapping[str, object]) -> None:
        """The result of the command as JSON with ``"schema": "acmectl.<kind>/1"``. Does nothing without --json.

        Raises: StorageError when standard output cannot be written.
        """
        if not self._json or self._result_given:
            return
        import json

        self._result_given = True
        text = json.dumps({"schema": f"acmectl.{kind}/1", **content}, indent=2, ensure_ascii=False)
        self.payload((text + "\n").encode("utf-8", "backslashreplace"))

    def payload(self, data: bytes) -> None:
        """Bytes for standard output as they are. Raises: StorageError when it cannot be written."""
        with self._lock:
            self._clear_progress()
            try:
                buffer = getattr(self._out, "buffer", None)
                if buffer is None:
                    self._out.write(data.decode("utf-8"))
                else:
                    self._out.flush()
                    buffer.write(data)
                self._out.flush()
            except BrokenPipeError:
                self._go_deaf(self._out)
            except OSError as error:
                raise StorageError(f"Standard output cannot be written: {error.strerror}.") from error

    def progress(self, text: str) -> None:
        """Show ``text`` on the terminal's last line until something else is printed; nothing where there is none."""
        if self._quiet or not _is_terminal(self._err):
            return
        with self._lock:
            self._write(self._err, _ERASE_LINE + clean(text)[:_WIDTH])
            self._progress_shown = True

    def close(self) -> None:
        """Flush; errors that come only now are too late to matter."""
        with self._lock:
            self._clear_progress()
            for stream in (self._out, self._err):
                try:
                    stream.flush()
                except OSError:
                    self._go_deaf(stream)
                except ValueError:  # the stream was closed by someone else
                    pass

    def failure(self, error: AcmectlError) -> None:
        """An error as the last thing that is said; under --json also as an object of kind ``error``."""
        from acmectl.cli import reports

        failures = reports.failures_of(error)
        if failures:
            self.status(reports.authorization_report(failures))
        if isinstance(error, UsageError) and error.hint:
            self.error(f"{error.message} {error.hint}")
        else:
            self.error(error.message, hint=error.hint)
        if self._json:
            self.result("error", reports.error_object(error))

    def observe(self, event: Event) -> None:
        """Render an event (see acmectl.events)."""
        from acmectl.cli import reports

        with self._lock:
            reports.render(event, self)

    def hook_line(self, hook: str, stream: str, line: str) -> None:
        """A line that a hook printed, under a heading that names the hook."""
        with self._lock:
            heading = (hook, stream)
            first = self._hook_heading != heading
            self._hook_heading = heading
            say = self._hook_warning if stream == "stderr" else self.status
            if first:
                say(f"Hook {hook} printed{' on standard error' if stream == 'stderr' else ''}:")
            say(f" {line}")

    def hook_ended(self) -> None:
        """The next line of a hook gets a heading again."""
        with self._lock:
            self._hook_heading = None

    def _hook_warning(self, text: str) -> None:
        self._log(WARNING, text)
        if not self._quiet:
            self._print_error(WARNING, clean(text))

    def _print(self, stream: TextIO, text: str, end: str = "\n") -> None:
        with self._lock:
            self._clear_progress()
            self._write(stream, text + end)

    def _write(self, stream: TextIO, text: str) -> None:
        # What is said must never stop what is done: a reader that left or a full disk only makes us silent.
        try:
            try:
                stream.write(text)
            except UnicodeEncodeError:
                encoding = stream.encoding or "ascii"
                stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
            stream.flush()
        except OSError:
            self._go_deaf(stream)
        except ValueError:  # closed
            pass

    def _go_deaf(self, stream: TextIO) -> None:
        """Send what is still to come nowhere, so that the interpreter's last flush cannot fail either."""
        try:
            descriptor = stream.fileno()
        except (OSError, ValueError):
            return
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, descriptor)
        os.close(nowhere)

    def _clear_progress(self) -> None:
        if self._progress_shown:
            self._progress_shown = False
            self._write(self._err, _ERASE_LINE)

    def _print_error(self, level: int | None, text: str) -> None:
        """Lines on standard error: red on a terminal, with a priority each where the journal reads them."""
        if self._journal:
            priority = _PRIORITIES.get(level, _INFO_PRIORITY)
            text = "\n".join(f"{priority}{line}" for line in text.splitlines())
        self._print(self._err, text if level is None else self._red(text))

    def _red(self, text: str) -> str:
        return f"{_RED}{text}{_RESET}" if _is_terminal(self._err) and "NO_COLOR" not in os.environ else text

    def _log(self, level: int, text: str, *, printed: bool = True) -> None:
        if self._logger is not None and text.strip():
            self._logger(level, clean(text), printed)


def _is_journal(stream: TextIO) -> bool:
    """Whether systemd's journal reads ``stream``: JOURNAL_STREAM says which file that is (systemd.exec)."""
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"


def _is_terminal(stream: TextIO) -> bool:
    try:
        return stream.isatty()
    except ValueError:  # closed
        return False


def _present(stream: TextIO | None) -> TextIO:
    """A stream of the process, or one that leads nowhere where the caller closed it."""
    return stream if stream is not None else Path(os.devnull).open("w", encoding="utf-8")
