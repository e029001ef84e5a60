"""Key types: one word for the kind and the size of a key, or two of them for two certificates with the same names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from acmectl.config.settings import Source
from acmectl.errors import ConfigError, RenewalFileInvalid, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from acmectl.config.options import Value
    from acmectl.config.settings import Settings

SECOND = "second_key_type"
"""Where Settings have the type of the second key, or None; its source is that of the key type."""

STORED = "second_key"
"""The key in the section ``[acmectl]`` of a renewal file."""

_SHORT: dict[str, tuple[str, str, Value]] = {
    "ec256": ("ecdsa", "elliptic_curve", "secp256r1"),
    "ec384": ("ecdsa", "elliptic_curve", "secp384r1"),
    "rsa2048": ("rsa", "rsa_key_size", 2048),
    "rsa4096": ("rsa", "rsa_key_size", 4096),
}
_OTHER = {"rsa": "ecdsa", "ecdsa": "rsa"}
_MOST = 2


def with_key_type(settings: Settings) -> Settings:
    """Settings where ``--key-type rsa,ec384`` has become ``rsa``, with ``ecdsa`` as the second and its curve.

    That is what renewal files hold. A size or curve that was given in a way that beats the key type's stays.

    Raises: ConfigError when both were given in the same way and differ; UsageError for two keys of one type, and for
    more than two.
    """
    given = settings.required_text("key_type")
    source, origin = settings.source("key_type"), settings.origin("key_type")
    words = given.split(",")
    kinds = [_SHORT[word][0] if word in _SHORT else word for word in words]
    if len(words) > _MOST:
        raise UsageError(
            f"{origin}: {given} are {len(words)} keys, and a certificate can have two.",
            hint="Use one of each type, such as rsa,ecdsa.",
        )
    if len(set(kinds)) < len(kinds):
        raise UsageError(
            f"{origin}: {given} are two keys of the same type, of which a server would use only one.",
            hint="Use one of each type, such as rsa,ecdsa.",
        )
    settings = settings.with_value("key_type", kinds[0], source, origin)
    settings = settings.with_value(SECOND, kinds[1] if len(kinds) > 1 else None, source, origin)
    for word in words:
        settings = _with_size(settings, word, source, origin)
    return settings


def _with_size(settings: Settings, short: str, source: Source, origin: str) -> Settings:
    if short not in _SHORT:
        return settings
    _kind, dest, size = _SHORT[short]
    if settings.source(dest) > source:
        return settings
    if settings.source(dest) is source and settings.value(dest) != size:
        raise ConfigError(
            f"{origin} says {short}, but {settings.origin(dest)} says {settings.value(dest)}.",
            hint="Leave one of them out.",
        )
    return settings.with_value(dest, size, source, origin)


def with_stored_second(settings: Settings, own: Mapping[str, object], origin: str) -> Settings:
    """Settings over the second key type that a renewal file has, unless a key type was given now.

    Where another program has made the first key of the type of the second, the first goes back to the other type: the
    files of the second are called after theirs. Raises: RenewalFileInvalid.
    """
    stored = own.get(STORED)
    if stored is None or settings.is_set("key_type"):
        return settings
    if not isinstance(stored, str) or stored not in _OTHER:
        raise RenewalFileInvalid(f"{origin}: {STORED} is {stored!r}, which is neither rsa nor ecdsa.")
    settings = settings.with_value(SECOND, stored, Source.RENEWAL, origin)
    if settings.text("key_type") == stored:
        settings = settings.with_value("key_type", _OTHER[stored], Source.RENEWAL, origin)
    return settings
