"""Which authenticator and installer the options ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from acmectl.config.settings import Source
from acmectl.errors import ConfigError

if TYPE_CHECKING:
    from acmectl.config.settings import Settings

_INSTALLERS = ("nginx", "apache")


def with_selection(settings: Settings) -> Settings:
    """Settings whose ``authenticator`` and ``installer`` say what all the selecting options together mean.

    ``--webroot`` is ``--authenticator webroot`` and so on. Options that were given in the same way (flag, environment,
    file) must agree; a flag beats the environment and both beat a file.

    Raises: ConfigError when they disagree.
    """
    for role in ("authenticator", "installer"):
        settings = _select(settings, role)
    return settings


def _select(settings: Settings, role: str) -> Settings:
    candidates: list[tuple[Source, str, str]] = []
    for dest in (role, "configurator"):
        name = settings.text(dest)
        if name and settings.is_set(dest):
            candidates.append((settings.source(dest), name, settings.origin(dest)))
    for dest, row in settings.table.by_dest.items():
        chosen = row.selects
        if chosen is None or not settings.is_set(dest) or not settings.flag(dest):
            continue
        if role == "authenticator" or chosen in _INSTALLERS:
            candidates.append((settings.source(dest), chosen, settings.origin(dest)))
    if not candidates:
        return settings
    highest = max(source for source, _, _ in candidates)
    ranked = [(name, origin) for source, name, origin in candidates if source is highest]
    name, origin = ranked[0]
    for other, other_origin in ranked[1:]:
        if other != name:
            raise ConfigError(
                f"Two {role}s are chosen: {name} ({origin}) and {other} ({other_origin}).", hint="Choose one."
            )
    return settings.with_value(role, name, highest, origin)
