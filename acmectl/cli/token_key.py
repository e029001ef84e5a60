"""--key at the door: a key in a PKCS#11 token for one certificate, or a file again."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from acmectl.actions.token_key import KEY, stored_uri

if TYPE_CHECKING:
    from collections.abc import Mapping

    from acmectl.actions.requests import KeyRequest
    from acmectl.config.settings import Settings
    from acmectl.storage.renewal_conf import JsonValue, RenewalConf


def with_token(key: KeyRequest, settings: Settings) -> KeyRequest:
    """The key that was asked for, in the token that --key or the renewal file names. Raises: ConfigError."""
    text = settings.text("key")
    if not text:
        return key
    from acmectl.pki.pkcs11_uri import parse

    return replace(key, token=parse(text, settings.origin("key")).text)


def keeps_token(given: Settings, conf: RenewalConf) -> bool:
    """Whether a certificate has a key in a token, or gets one, so that no key is made."""
    return bool(given.text("key") if given.is_set("key") else stored_uri(conf.own))


def leaves_token(given: Settings, conf: RenewalConf | None) -> bool:
    """Whether a certificate whose key is in a token gets one in a file; nobody chose that this is to be reused."""
    leaves = conf is not None and stored_uri(conf.own) is not None and given.is_set("key") and not given.text("key")
    return leaves and not given.is_set("reuse_key")


def without_empty_key(own: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """The section ``[acmectl]`` where an empty --key takes the stored one away."""
    return {key: value for key, value in own.items() if key != KEY or value}
