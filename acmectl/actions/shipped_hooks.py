"""The hooks that come with acmectl, and which of certbot's installers they stand in for."""

from __future__ import annotations

from pathlib import Path

import acmectl

SHIPPED_HOOKS = {
    "nginx-reload": "deploy hook: has nginx read its certificates again",
    "apache-reload": "deploy hook: has Apache httpd read its certificates again",
}

_RELOADS = {"nginx": "nginx-reload", "apache": "apache-reload"}
_NOTHING = ("", "null", "none")


def shipped_hook(name: str) -> Path:
    """The absolute path of a hook. Raises: KeyError for a name that is not in SHIPPED_HOOKS."""
    if name not in SHIPPED_HOOKS:
        raise KeyError(name)
    return Path(acmectl.__file__).resolve().parent / "hooks" / name


def installs_nothing(installer: str | None) -> bool:
    """True for no installer and for certbot's ``null``, which does nothing."""
    return installer is None or installer.lower() in _NOTHING


def reload_hook(installer: str) -> Path | None:
    """The hook that does what is left of certbot's ``installer``: the reload. None for one that nobody knows."""
    name = _RELOADS.get(installer)
    return None if name is None else shipped_hook(name)
