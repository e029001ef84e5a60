"""Credentials files of DNS providers: certbot's ini files, whose values may be references to where the secret lies.

References (see storage.references) are followed when the file is read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from acmectl.errors import PluginError
from acmectl.plugin.credentials import refusal
from acmectl.storage.atomic import read_file
from acmectl.storage.references import References

if TYPE_CHECKING:
    from collections.abc import Mapping

_MOST_BYTES = 1 << 20


class CredentialsFiles:
    """Reads credentials files. Implements plugin.api.CredentialsReader; each file is read once."""

    def __init__(self, environ: Mapping[str, str], *, allow_insecure: bool = False) -> None:
        """``allow_insecure`` goes on with files that others can read."""
        self._references = References(environ=environ, error=PluginError)
        self._allow_insecure = allow_insecure
        self._known: dict[str, dict[str, str]] = {}

    def __call__(self, path: str) -> Mapping[str, str]:
        """The keys and values of the file ``path``. Raises: PluginError."""
        if path not in self._known:
            self.check(path)
            follow = self._references.follow
            self._known[path] = {key: follow(f"{path}: {key}", text) for key, text in _read(path).items()}
        return self._known[path]

    def check(self, path: str) -> None:
        """See that ``path`` is a file that others cannot read, unless that was allowed. Raises: PluginError."""
        why = refusal(path)
        insecure = why is not None and why.startswith("has mode")
        if why is not None and not (insecure and self._allow_insecure):
            hint = f"chmod 600 {path}, or go on with --allow-insecure-credentials." if insecure else None
            raise PluginError(f"The credentials file {path} {why}.", hint=hint)


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
