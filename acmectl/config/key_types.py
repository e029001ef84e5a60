"""Short key types: one word for the kind and the size of a key."""

from __future__ import annotations

from typing import TYPE_CHECKING

from acmectl.errors import ConfigError

if TYPE_CHECKING:
    from acmectl.config.options import Value
    from acmectl.config.settings import Settings

_SHORT: dict[str, tuple[str, str, Value]] = {
    "ec256": ("ecdsa", "elliptic_curve", "secp256r1"),
    "ec384": ("ecdsa", "elliptic_curve", "secp384r1"),
    "rsa2048": ("rsa", "rsa_key_size", 2048),
    "rsa4096": ("rsa", "rsa_key_size", 4096),
}


def with_key_type(settings: Settings) -> Settings:
    """Settings where ``--key-type ec384`` has become ``ecdsa`` with its curve, which is what renewal files hold.

    A size or curve that was given in a way that beats the key type's stays. Raises: ConfigError when both were given in
    the same way and differ.
    """
    short = settings.text("key_type")
    if short not in _SHORT:
        return settings
    kind, dest, size = _SHORT[short]
    source, origin = settings.source("key_type"), settings.origin("key_type")
    settings = settings.with_value("key_type", kind, source, origin)
    if settings.source(dest) > source:
        return settings
    if settings.source(dest) is source and settings.value(dest) != size:
        raise ConfigError(
            f"{origin} says {short}, but {settings.origin(dest)} says {settings.value(dest)}.",
            hint="Leave one of them out.",
        )
    return settings.with_value(dest, size, source, origin)
