"""The log file and the messages on standard error, with everything secret taken out."""

from __future__ import annotations

import contextlib
import datetime
import fcntl
import json
import logging
import os
import re
import stat
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from acmectl.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from acmectl.cli.console import Console

FILE_NAME = "acmectl.log"
_LEAST_SECRET = 6
_HIDDEN = "[hidden]"
_NAMES = (
    r"[a-z0-9_-]*(?:secret|password|passwd|hmac[_-]key|api[_-]key|api[_-]token|access[_-]key|private[_-]key"
    r"|consumer[_-]key|application[_-]key|auth[_-]token)[a-z0-9_-]*"
)
_CREDENTIALS = ("secret", "passw", "hmac", "api", "access", "private", "consumer", "application", "auth")
# What a secret looks like, and what takes its place. A pattern can match only where one of the words before it stands,
# in small letters: looking for a plain word is a hundred times faster, and most texts have none.
_PATTERNS: tuple[tuple[tuple[str, ...], str, str], ...] = (
    # Private keys in PEM, whole or cut off.
    (
        ("private key",),
        r"(?s)-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----.*?(?:-----END [A-Z0-9 ]*PRIVATE KEY-----|\Z)",
        _HIDDEN,
    ),
    # Private members of a JWK (RFC 7518 section 6).
    (
        ('"', "'"),
        r"""(["'](?:d|p|q|dp|dq|qi|k)["']\s*:\s*["'])[A-Za-z0-9_-]{4,}""",
        r"\1" + _HIDDEN,
    ),
    # The usual names of credentials, in JSON, INI, flags or query strings.
    (_CREDENTIALS, rf"""(?i)(["']?\b{_NAMES}["']?\s*[=:]\s*["']?)[^\s"'&,}}\]]{{4,}}""", r"\1" + _HIDDEN),
    (_CREDENTIALS, rf"""(?i)(--{_NAMES}\s+)\S+""", r"\1" + _HIDDEN),
    (
        ("authorization",),
        r"""(?i)(authorization["']?\s*[:=]\s*["']?(?:basic|bearer|token|apikey|sso-key)\s+)[^\s"',;]+""",
        r"\1" + _HIDDEN,
    ),
    # A key authorization (RFC 8555 section 8.1): token, dot, thumbprint of 43 characters.
    ((".",), r"\b[A-Za-z0-9_-]{22,}\.[A-Za-z0-9_-]{43}\b", _HIDDEN),
    (("acme-challenge",), r"(/\.well-known/acme-challenge/)[A-Za-z0-9_-]+", r"\1" + _HIDDEN),
    (("token",), r"""(?i)(["']?\btoken["']?\s*[=:]\s*["']?)[^\s"'&,}\]]{4,}""", r"\1" + _HIDDEN),
    # The PIN in a PKCS#11 URI (RFC 7512): it is refused there, but what was typed has been logged by then.
    (("pin-value",), r"""(?i)(\bpin-value=)[^\s"'&;]+""", r"\1" + _HIDDEN),
    # Name and password in a URL.
    (("@",), r"(\bhttps?://)[^/\s@]+@", r"\1" + _HIDDEN + "@"),
)
_SECRET_SEGMENT = re.compile(r"(?=[^0-9]*[0-9])(?=[^A-Za-z]*[A-Za-z])[A-Za-z0-9_~.-]{16,}")


class Redaction:
    """Takes secrets out of text: what looks like one, and what was registered as one."""

    def __init__(self) -> None:
        self._secrets: set[str] = set()

    def add(self, secret: str) -> None:
        """Never let ``secret`` through; very short ones cannot be told from other text and are left alone."""
        if len(secret) >= _LEAST_SECRET:
            self._secrets.add(secret)

    def add_url(self, url: str) -> None:
        """Never let the parts of a directory URL through that can be a credential: some CAs put one into the path."""
        try:
            parts = urlsplit(url)
        except ValueError:
            return  # no URL: whoever wants to use it says so
        for part in (*parts.path.split("/"), *re.split("[&=]", parts.query), parts.password or ""):
            if _SECRET_SEGMENT.fullmatch(part):
                self.add(part)

    def clean(self, text: str) -> str:
        """``text`` without secrets."""
        for secret in sorted(self._secrets, key=len, reverse=True):
            text = text.replace(secret, _HIDDEN)
        lower = text.lower()
        for words, pattern, replacement in _PATTERNS:
            for word in words:
                if word in lower:
                    # Compiled when it is needed first: most runs need none of them.
                    text = re.sub(pattern, replacement, text)
                    break
        return text


class _TextFormatter(logging.Formatter):
    def __init__(self, redaction: Redaction) -> None:
        super().__init__("%(asctime)s:%(levelname)s:%(name)s:%(message)s")
        self._redaction = redaction

    def format(self, record: logging.LogRecord) -> str:
        return _printable(self._redaction.clean(super().format(record)))


class _JsonFormatter(logging.Formatter):
    def __init__(self, redaction: Redaction) -> None:
        super().__init__()
        self._redaction = redaction

    def format(self, record: logging.LogRecord) -> str:
        content = {
            "time": datetime.datetime.fromtimestamp(record.created, datetime.UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": self._redaction.clean(record.getMessage()),
        }
        if record.exc_info:
            content["exception"] = self._redaction.clean(self.formatException(record.exc_info))
        return json.dumps(content)


class _ConsoleHandler(logging.Handler):
    """Log messages of the other rooms on standard error; what the console says itself is there already."""

    def __init__(self, console: Console, redaction: Redaction) -> None:
        super().__init__()
        self._console = console
        self._redaction = redaction

    def filter(self, record: logging.LogRecord) -> bool:
        return not record.name.startswith(("acmectl.console", "py.warnings"))

    def emit(self, record: logging.LogRecord) -> None:
        self._console.log_line(self._redaction.clean(record.getMessage()), warning=record.levelno >= logging.WARNING)


class Log:
    """The log of this run. ``path`` is None while nothing is written to a file."""

    def __init__(self) -> None:
        self.redaction = Redaction()
        self.path: Path | None = None
        self._handlers: list[logging.Handler] = []

    def start(self, console: Console, *, verbosity: int, quiet: bool) -> None:
        """Send messages to standard error: warnings, with -v infos, with -vv everything; under -q errors only."""
        # Other people's libraries put more into their debug messages than a log may hold.
        logging.getLogger().setLevel(logging.INFO)
        for ours in ("acmectl", "acmectl_plugins"):
            logging.getLogger(ours).setLevel(logging.DEBUG)
        logging.captureWarnings(True)
        handler = _ConsoleHandler(console, self.redaction)
        handler.setLevel(logging.ERROR if quiet else max(logging.DEBUG, logging.WARNING - 10 * verbosity))
        self._add(handler)
        console.log_to(_from_console)

    def open(self, directory: Path, *, backups: int, as_json: bool) -> None:
        """Begin a log file in ``directory`` (made 0700 if missing), the earlier ones moved up by one.

        The file is readable by its owner alone. ``backups`` 0 appends to one file for ever. Raises: StorageError.
        """
        path = directory / FILE_NAME
        try:
            _make_directory(directory)
            with _one_at_a_time(directory):
                if backups:
                    _rotate(directory, backups)
                descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StorageError(
                f"The log file {path} cannot be written: {error.strerror}.",
                hint="Run as root, or set --config-dir, --work-dir and --logs-dir to directories of your own.",
            ) from error
        if stat.S_IMODE(os.fstat(descriptor).st_mode) & 0o077:
            os.fchmod(descriptor, 0o600)
        stream = os.fdopen(descriptor, "a", encoding="utf-8", errors="backslashreplace")
        handler = _FileHandler(stream)
        handler.setFormatter((_JsonFormatter if as_json else _TextFormatter)(self.redaction))
        self.path = path
        self._add(handler)

    def close(self) -> None:
        """Write out what is left and let the file go."""
        for handler in self._handlers:
            logging.getLogger().removeHandler(handler)
            with contextlib.suppress(OSError, ValueError):
                handler.close()
        self._handlers.clear()
        logging.captureWarnings(False)

    def _add(self, handler: logging.Handler) -> None:
        logging.getLogger().addHandler(handler)
        self._handlers.append(handler)


def _from_console(level: int, text: str, printed: bool) -> None:
    logging.getLogger("acmectl.console" if printed else "acmectl").log(level, "%s", text)


class _FileHandler(logging.StreamHandler):  # type: ignore[type-arg]
    """A file that never fails the run: a full disk costs log lines and nothing else."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802, ARG002 - logging's names
        return

    def close(self) -> None:
        self.stream.close()
        super().close()


def _make_directory(directory: Path) -> None:
    with contextlib.suppress(FileExistsError):
        # The parents are made as other programs expect them; only the logs are private.
        directory.parent.mkdir(parents=True, exist_ok=True)
        directory.mkdir(mode=0o700)


@contextlib.contextmanager
def _one_at_a_time(directory: Path) -> Iterator[None]:
    """Keep two runs that start together from renaming the same files."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _rotate(directory: Path, backups: int) -> None:
    """Rename log.N to log.N+1, the highest first, up to the first gap; delete what is beyond ``backups``."""
    numbers = set(_numbers(path.name for path in directory.iterdir()))
    top = 0
    while top + 1 in numbers:
        top += 1
    for number in sorted(numbers, reverse=True):
        if number >= backups:
            (directory / f"{FILE_NAME}.{number}").unlink(missing_ok=True)
    for number in range(min(top, backups - 1), 0, -1):
        (directory / f"{FILE_NAME}.{number}").rename(directory / f"{FILE_NAME}.{number + 1}")
    with contextlib.suppress(FileNotFoundError):
        (directory / FILE_NAME).rename(directory / f"{FILE_NAME}.1")


def _numbers(names: Iterable[str]) -> Iterator[int]:
    for name in names:
        tail = name.removeprefix(FILE_NAME + ".")
        if tail != name and tail.isascii() and tail.isdecimal() and not tail.startswith("0") and len(tail) < 8:
            yield int(tail)


def _printable(text: str) -> str:
    if text.replace("\n", "").replace("\t", "").isprintable():
        return text  # letter by letter a long list would take longer than everything else
    return "".join(c if c.isprintable() or c in "\n\t" else "?" for c in text)
