"""What the certificate itself shall be like, from options that only acmectl has, checked before anything runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from acmectl.actions.csr_stored import KEY as CSR
from acmectl.actions.lifetime import NotAfter, parse_not_after
from acmectl.config.values import shown
from acmectl.errors import ConfigError
from acmectl.identifiers import parse_any
from acmectl.pki.chain_wish import parse_chain_wish

if TYPE_CHECKING:
    from collections.abc import Mapping

    from acmectl.cli.app import App
    from acmectl.config.settings import Settings
    from acmectl.identifiers import Identifier
    from acmectl.storage.renewal_conf import JsonValue

FIRST = "first"
"""In the place of a name: the first one of the certificate."""

_COMMON_NAME, _NOT_AFTER = "common_name", "not_after"


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """``own`` is the section ``[acmectl]`` with what is kept of the wishes."""

    own: dict[str, JsonValue]
    common_name: str | None = None
    not_after: NotAfter | None = None
    preferred_chain: str | None = None


def contents_of(
    app: App,
    settings: Settings,
    identifiers: tuple[Identifier, ...],
    *,
    own: Mapping[str, JsonValue],
    stored: Mapping[str, JsonValue],
) -> Contents:
    """The wishes in ``settings``; ``stored`` is the section ``[acmectl]`` as it was. Raises: ConfigError."""
    kept = dict(own)
    chain = settings.text("preferred_chain")
    if chain is not None:
        parse_chain_wish(chain)
    not_after = _not_after(app, settings, kept, stored)
    # The subject of a CSR that was brought is fixed.
    common_name = _common_name(app, settings, identifiers, kept) if CSR not in own else None
    return Contents(own=kept, common_name=common_name, not_after=not_after, preferred_chain=chain)


def _not_after(
    app: App, settings: Settings, kept: dict[str, JsonValue], stored: Mapping[str, JsonValue]
) -> NotAfter | None:
    text = settings.text("not_after")
    if not text:
        kept.pop(_NOT_AFTER, None)
        return None
    wanted = parse_not_after(text, settings.origin("not_after"), now=app.clock.now())
    if wanted.moment is None:
        return wanted
    if settings.verb == "reconfigure" and settings.is_set("not_after"):
        raise ConfigError(
            f"{settings.origin('not_after')}: {shown(text)} is one moment; reconfigure is about all renewals.",
            hint="Give how long certificates shall live, such as 20d.",
        )
    kept.pop(_NOT_AFTER, None)
    if _NOT_AFTER in stored:
        kept[_NOT_AFTER] = stored[_NOT_AFTER]
    return wanted


def _common_name(
    app: App, settings: Settings, identifiers: tuple[Identifier, ...], kept: dict[str, JsonValue]
) -> str | None:
    text = settings.text("common_name")
    kept.pop(_COMMON_NAME, None)
    if not text:
        return None
    from acmectl.pki.csr import check_common_name

    values = [identifier.value for identifier in identifiers]
    name = values[0] if text == FIRST and FIRST not in values else parse_any(text).value
    if name not in values and not settings.is_set("common_name"):
        app.console.warning(f"{name} is not one of the names any more; the certificate gets no common name.")
        return None
    check_common_name(name, identifiers)
    kept[_COMMON_NAME] = name  # and not FIRST: CAs put the names into an order of their own
    return name
