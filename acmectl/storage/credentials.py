"""Credentials files of DNS providers: certbot's ini files, whose values may be references to where the secret lies.

``env:NAME``, ``file:PATH``, ``systemd:NAME`` (a file in the directory of systemd's LoadCredential) and ``cmd:COMMAND``
(run by /bin/sh, its first line of output) are followed when the file is read; anything else is the value itself.
"""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

from acmectl.errors import PluginError
from acmectl.plugin.credentials import refusal
from acmectl.storage.atomic import read_file

if TYPE_CHECKING:
    from collections.abc import Mapping

_MOST_BYTES = 1 << 20
_COMMAND_TIMEOUT = 30.0  # seconds
_REFERENCES = ("env", "file", "systemd", "cmd")


class CredentialsFiles:
    """Reads credentials files. Implements plugin.api.CredentialsReader; each file is read once."""

    def __init__(self, environ: Mapping[str, str], *, allow_insecure: bool = False) -> None:
        """``allow_insecure`` goes on with files that others can read."""
        self._environ = environ
        self._allow_insecure = allow_insecure
        self._known: dict[str, dict[str, str]] = {}

    def __call__(self, path: str) -> Mapping[str, str]:
        """The keys and values of the file ``path``. Raises: PluginError."""
        if path not in self._known:
            self.check(path)
            self._known[path] = {key: self._followed(path, key, text) for key, text in _read(path).items()}
        return self._known[path]

    def check(self, path: str) -> None:
        """See that ``path`` is a file that others cannot read, unless that was allowed. Raises: PluginError."""
        why = refusal(path)
        insecure = why is not None and why.startswith("has mode")
        if why is not None and not (insecure and self._allow_insecure):
            hint = f"chmod 600 {path}, or go on with --allow-insecure-credentials." if insecure else None
            raise PluginError(f"The credentials file {path} {why}.", hint=hint)

    def _followed(self, path: str, key: str, text: str) -> str:
        kind, colon, rest = text.partition(":")
        if not colon or kind not in _REFERENCES or not rest.strip():
            return text
        rest = rest.strip()
        where = f"{path}: {key}"
        if kind == "env":
            value = self._environ.get(rest)
            if value is None:
                raise PluginError(f"{where}: the environment variable {rest} is not set.")
            return value
        if kind == "cmd":
            return self._output(where, rest)
        if kind == "systemd":
            folder = self._environ.get("CREDENTIALS_DIRECTORY")
            if not folder:
                raise PluginError(
                    f"{where}: there are no systemd credentials in this run.",
                    hint="LoadCredential= in the unit provides them; run it by that unit.",
                )
            if "/" in rest:
                raise PluginError(f"{where}: {rest} is no name of a systemd credential.")
            return _first_line(where, os.path.join(folder, rest))
        return _first_line(where, rest)

    def _output(self, where: str, command: str) -> str:
        try:
            done = subprocess.run(  # noqa: S602 - the user's own command, from a file that only its owner can write
                command,
                shell=True,
                env=dict(self._environ),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                timeout=_COMMAND_TIMEOUT,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise PluginError(f"{where}: its command could not be run: {type(error).__name__}.") from None
        if done.returncode:
            raise PluginError(f"{where}: its command ended with exit status {done.returncode}.")
        return _line(where, done.stdout)


def _first_line(where: str, path: str) -> str:
    try:
        return _line(where, read_file(path, _MOST_BYTES))
    except OSError as error:
        raise PluginError(f"{where}: {path} cannot be read: {error.strerror}.") from error


def _line(where: str, data: bytes) -> str:
    try:
        lines = data.decode("utf-8").splitlines()
    except UnicodeDecodeError:
        raise PluginError(f"{where}: what it refers to is not text.") from None
    if not lines or not lines[0].strip():
        raise PluginError(f"{where}: what it refers to is empty.")
    return lines[0].strip()


def _read(path: str) -> dict[str, str]:
    from configobj import ConfigObj, ConfigObjError

    try:
        text = read_file(path, _MOST_BYTES).decode("utf-8-sig")
    except OSError as error:
        raise PluginError(f"The credentials file {path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError:
        raise PluginError(f"The credentials file {path} is not UTF-8 text.") from None
    try:
        document = ConfigObj(text.splitlines(), interpolation=False, list_values=False, raise_errors=True)
    except ConfigObjError as error:
        # What ConfigObj says quotes the line, and the line has the secret.
        number = getattr(error, "line_number", None)
        raise PluginError(f"The credentials file {path} cannot be read: line {number} is not 'key = value'.") from None
    found = {}
    for key, value in document.items():
        if isinstance(value, str):
            found[str(key)] = _unquoted(value)
    return found


def _unquoted(value: str) -> str:
    if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"":
        return value[1:-1]
    return value
