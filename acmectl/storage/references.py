"""Values that say where a secret lies instead of being it.

``env:NAME``, ``file:PATH``, ``systemd:NAME`` (a file in the directory of systemd's LoadCredential) and ``cmd:COMMAND``
(run by /bin/sh, its first line of output); anything else is the value itself.
"""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

from acmectl.storage.atomic import read_file

if TYPE_CHECKING:
    from collections.abc import Mapping

    from acmectl.errors import AcmectlError

KINDS = ("env", "file", "systemd", "cmd")
_MOST_BYTES = 1 << 20
_COMMAND_TIMEOUT = 30.0  # seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class References:
    """Follows values of the given ``kinds``. ``error`` is raised for one that leads nowhere, never quoting a secret."""

    environ: Mapping[str, str]
    error: type[AcmectlError]
    kinds: tuple[str, ...] = KINDS

    def follow(self, where: str, text: str) -> str:
        """The value that ``text`` is or refers to; ``where`` says where it stands, for messages. Raises: ``error``."""
        kind, colon, rest = text.partition(":")
        if not colon or kind not in self.kinds or not rest.strip():
            return text
        rest = rest.strip()
        if kind == "env":
            value = self.environ.get(rest)
            if value is None:
                raise self.error(f"{where}: the environment variable {rest} is not set.")
            return self._text(where, value)
        if kind == "cmd":
            return self._output(where, rest)
        if kind == "systemd":
            folder = self.environ.get("CREDENTIALS_DIRECTORY")
            if not folder:
                raise self.error(
                    f"{where}: there are no systemd credentials in this run.",
                    hint="LoadCredential= in the unit provides them; run it by that unit.",
                )
            if "/" in rest:
                raise self.error(f"{where}: {rest} is no name of a systemd credential.")
            return self._first_line(where, os.path.join(folder, rest))
        return self._first_line(where, rest)

    def _output(self, where: str, command: str) -> str:
        try:
            done = subprocess.run(  # noqa: S602 - the user's own command, from a file that only its owner can write
                command,
                shell=True,
                env=dict(self.environ),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                timeout=_COMMAND_TIMEOUT,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise self.error(f"{where}: its command could not be run: {type(error).__name__}.") from None
        if done.returncode:
            raise self.error(f"{where}: its command ended with exit status {done.returncode}.")
        return self._line(where, done.stdout)

    def _first_line(self, where: str, path: str) -> str:
        try:
            return self._line(where, read_file(path, _MOST_BYTES))
        except OSError as error:
            raise self.error(f"{where}: {path} cannot be read: {error.strerror}.") from error

    def _line(self, where: str, data: bytes) -> str:
        # Other characters that end lines somewhere may be in a password.
        first = data.partition(b"\n")[0]
        return self._text(where, first.decode("utf-8", "surrogateescape").strip())

    def _text(self, where: str, value: str) -> str:
        if not value.strip():
            raise self.error(f"{where}: what it refers to is empty.")
        if "\0" in value or not _is_unicode(value):
            raise self.error(f"{where}: what it refers to is not text.")
        return value


def _is_unicode(text: str) -> bool:
    """Whether a text came from UTF-8: octets that did not are surrogates in it."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
