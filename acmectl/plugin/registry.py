"""Finds authenticators: names without importing anything, classes only when one is asked for by name.

Entry points of the group ``acmectl.authenticators.v1`` name authenticators, acmectl's own ones too; those of the group
``acmectl.dns_providers.v1`` name DNS providers, and the provider ``x`` is the authenticator ``dns-x``. Reading the
entry points of all installed distributions takes time, so it happens once and only when needed.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from acmectl.errors import PluginError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from acmectl.plugin.api import Authenticator
    from acmectl.plugin.installed import EntryPoint

GROUP = "acmectl.authenticators.v1"
DNS_GROUP = "acmectl.dns_providers.v1"
BUILT_IN = ("manual", "preauthorized", "standalone", "stateless", "webroot")
"""Names that come with acmectl; known without reading any entry point."""

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """One installed authenticator as ``plugins`` lists it.

    ``problem`` says why it cannot be used; then ``summary`` is empty. ``entry_point`` is ``module:Class``.
    """

    name: str
    distribution: str
    version: str
    entry_point: str
    summary: str = ""
    challenge_types: tuple[str, ...] = ()
    problem: str | None = None


def names() -> tuple[str, ...]:
    """Names of all installed authenticators, sorted. Imports none of them."""
    return tuple(sorted({name for name, _ in _entry_points() if _NAME.fullmatch(name)}))


def load(name: str) -> type[Authenticator]:
    """The authenticator called ``name``.

    Raises: PluginError when there is none, two distributions claim the name, it cannot be imported or is not one.
    """
    found = [entry for known, entry in _entry_points() if known == name]
    if not found:
        raise _unknown(name)
    first = found[0]
    if len(found) > 1:
        owners = " and ".join(_owner(entry) for entry in found)
        raise PluginError(
            f"Authenticator {name} is claimed by {owners}.",
            hint="Uninstall one of them, so that it is clear who is meant.",
        )
    if not _NAME.fullmatch(name):
        raise PluginError(
            f"{_owner(first)} calls an authenticator '{_printable(name)}', which is not a valid name.",
            hint="Names are lower-case letters, digits and dashes.",
        )
    loaded = _imported(first)
    return _as_authenticator(loaded, first) if first.group == DNS_GROUP else _checked(loaded, first)


def listings() -> tuple[Listing, ...]:
    """Every installed authenticator, sorted by name; one that cannot be used has a ``problem`` instead of a summary."""
    result = []
    for name, entry in sorted(_entry_points(), key=lambda found: (found[0], _owner(found[1]))):
        summary, problem = "", None
        challenge_types: tuple[str, ...] = ()
        try:
            loaded = load(name)
            summary, challenge_types = loaded.summary, loaded.challenge_types
        except PluginError as error:
            problem = error.message
        result.append(
            Listing(
                name=_printable(name),
                distribution=_printable(entry.distribution) or "unknown",
                version=_printable(entry.version),
                entry_point=_printable(f"{entry.module}:{entry.attr}"),
                summary=summary,
                challenge_types=challenge_types,
                problem=problem,
            )
        )
    return tuple(result)


def install_command(extra: str, *, distribution: str = "acmectl") -> str:
    """The command that adds ``extra`` to the installation that is running."""
    wanted = f"'{distribution}[{extra}]'"
    place = sys.prefix.replace("\\", "/")
    if "/pipx/venvs/" in place:
        return f"pipx install --force {wanted}" if distribution == "acmectl" else f"pipx inject acmectl {wanted}"
    if "/uv/tools/" in place:
        return (
            f"uv tool install --force {wanted}"
            if distribution == "acmectl"
            else f"uv tool install --force acmectl --with {wanted}"
        )
    return f"{sys.executable} -m pip install {wanted}"


def forget() -> None:
    """Read the entry points again at the next question."""
    _entry_points.cache_clear()


@cache
def _entry_points() -> tuple[tuple[str, EntryPoint], ...]:
    """Names as users know them, each with its entry point."""
    from acmectl.plugin.installed import entry_points

    found = [
        (f"dns-{entry.name}" if entry.group == DNS_GROUP else entry.name, entry)
        for entry in entry_points(GROUP, DNS_GROUP)
    ]
    # One distribution may be seen twice (an editable install beside its source tree): the same words count once.
    return tuple({(name, entry.value, _owner(entry)): (name, entry) for name, entry in found}.values())


def _owner(entry: EntryPoint) -> str:
    return _printable(f"{entry.distribution} {entry.version}") if entry.distribution else "an unknown distribution"


def _unknown(name: str) -> PluginError:
    if name in BUILT_IN:
        return PluginError(
            f"Authenticator {name} is part of acmectl, but acmectl is not installed as a package here.",
            hint=f"Install it again: {sys.executable} -m pip install --force-reinstall acmectl",
        )
    known = names()
    return PluginError(
        f"There is no authenticator called '{_printable(name)}'.", hint=f"Installed: {', '.join(known) or 'none'}."
    )


def _imported(entry: EntryPoint) -> object:
    try:
        loaded: object = entry.load()
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package and package == entry.module.partition(".")[0]:
            raise _unusable(entry, f"its module {_printable(error.name or '')} is not there") from error
        hint = None
        if entry.extras:
            distribution = entry.distribution or "acmectl"
            hint = f"Install it: {install_command(entry.extras[0], distribution=distribution)}"
        raise _unusable(entry, f"the Python package {_printable(package) or '?'} is missing", hint) from error
    except (Exception, SystemExit) as error:
        raise _unusable(entry, f"{type(error).__name__}: {_printable(str(error))}") from error
    return loaded


def _as_authenticator(loaded: object, entry: EntryPoint) -> type[Authenticator]:
    from acmectl.plugin.dns import DnsProvider
    from acmectl.plugin.dns_authenticator import authenticator_for

    if not (isinstance(loaded, type) and issubclass(loaded, DnsProvider)):
        raise _unusable(entry, "it is not derived from acmectl.plugin.dns.DnsProvider")
    _refuse_incomplete(loaded, entry, ("summary",))
    return authenticator_for(entry.name, loaded)


def _checked(loaded: object, entry: EntryPoint) -> type[Authenticator]:
    from acmectl.plugin.api import Authenticator

    if not (isinstance(loaded, type) and issubclass(loaded, Authenticator)):
        raise _unusable(entry, "it is not derived from acmectl.plugin.api.Authenticator")
    _refuse_incomplete(loaded, entry, ("summary", "challenge_types"))
    if loaded.name not in ("", entry.name):
        raise _unusable(entry, f"it calls itself {_printable(loaded.name)}")
    loaded.name = entry.name
    return loaded


def _refuse_incomplete(loaded: type, entry: EntryPoint, wanted: Sequence[str]) -> None:
    abstract: Sequence[str] = sorted(getattr(loaded, "__abstractmethods__", ()))
    if abstract:
        raise _unusable(entry, f"it does not define {', '.join(abstract)}")
    missing = [name for name in wanted if not getattr(loaded, name, None)]
    if missing:
        raise _unusable(entry, f"it does not say its {' and '.join(missing)}")


def _unusable(entry: EntryPoint, reason: str, hint: str | None = None) -> PluginError:
    return PluginError(
        f"Authenticator {entry.name} of {_owner(entry)} cannot be used: {reason}.",
        hint=hint or "Repair or uninstall that plugin, or choose another authenticator.",
    )


def _printable(text: str) -> str:
    line = " ".join(text.split())
    return "".join(c if c.isprintable() else "?" for c in line)[:200]
