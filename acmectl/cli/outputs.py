"""The options of files beside the live links, from text to values."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from acmectl.actions.outputs import KEYS, Outputs
from acmectl.config.restored import restore
from acmectl.config.values import shown
from acmectl.errors import UsageError
from acmectl.storage.references import KINDS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from acmectl.config.settings import Settings
    from acmectl.storage.renewal_conf import JsonValue, RenewalConf

_OCTAL = re.compile(r"0?[0-7]{3}", re.ASCII)
_OTHERS_WRITE = 0o002
_OWNER_READS = 0o400


def outputs_of(settings: Settings) -> Outputs | None:
    """What is to be written, given now or stored; None for nothing. Raises: UsageError."""
    texts = {key: settings.text(key) or None for key in KEYS}
    given = any(settings.is_set(key) for key in KEYS)
    if not given and not any(texts.values()):
        return None
    mode = texts["mode"]
    return Outputs(
        pem=_path(settings, "pem_out", texts["pem_out"]),
        pkcs12=_path(settings, "pkcs12_out", texts["pkcs12_out"]),
        password=_reference(settings, texts["pkcs12_password"]),
        owner=texts["owner"],
        group=texts["group"],
        mode=None if mode is None else _mode(settings, mode),
        given=given,
    )


def stored_outputs(settings: Settings, conf: RenewalConf, origin: str) -> Outputs | None:
    """As ``outputs_of``, over a renewal file. Raises: UsageError, RenewalFileInvalid."""
    own = {key: value for key, value in conf.own.items() if key in KEYS}
    return outputs_of(restore(settings, params={}, own=own, origin=origin, leave_out=("key_type",)))


def with_outputs(own: Mapping[str, JsonValue], outputs: Outputs | None) -> dict[str, JsonValue]:
    """The section ``[acmectl]`` with these and without those that were taken away."""
    others = {key: value for key, value in own.items() if key not in KEYS}
    found = outputs.own if outputs is not None else {}
    return {**others, **{key: value for key, value in found.items() if value is not None}}


def _path(settings: Settings, dest: str, text: str | None) -> Path | None:
    if text is None:
        return None
    origin = settings.origin(dest)
    if text == "-":
        raise UsageError(f"{origin}: a private key does not go to standard output; give a path.")
    if text.endswith("/") or not text.isprintable():
        raise UsageError(f"{origin}: {shown(text)} is no path of a file.")
    return Path(_absolute(text))


def _absolute(text: str) -> str:
    return os.path.abspath(os.path.expanduser(text))  # noqa: PTH100, PTH111 - links are meant to stay


def _reference(settings: Settings, text: str | None) -> str | None:
    if text is None:
        return None
    kind, colon, rest = text.partition(":")
    if not colon or kind not in KINDS or not rest.strip():
        # What was given may be the password: it is not repeated.
        raise UsageError(
            f"{settings.origin('pkcs12_password')}: a password itself is not taken here, for others could read it.",
            hint="Say where it lies: env:NAME, file:PATH, systemd:NAME or cmd:COMMAND.",
        )
    return f"file:{_absolute(rest.strip())}" if kind == "file" else text


def _mode(settings: Settings, text: str) -> int:
    origin = settings.origin("mode")
    if not _OCTAL.fullmatch(text):
        raise UsageError(f"{origin}: {shown(text)} is no mode; it is three octal digits, such as 640.")
    mode = int(text, 8)
    if mode & _OTHERS_WRITE:
        raise UsageError(f"{origin}: with {text} everybody could write to a private key's file.")
    if not mode & _OWNER_READS:
        raise UsageError(f"{origin}: with {text} not even the owner could read the file.")
    return mode
