"""Waiting for records: by looking where that is possible, by the clock where it is not, and never as a verdict."""

from __future__ import annotations

from typing import TYPE_CHECKING

from acmectl.dns.propagation import Expected, wait_until_visible

if TYPE_CHECKING:
    from collections.abc import Sequence

    from acmectl.dns.propagation import Propagation
    from acmectl.dns.zones import Place
    from acmectl.plugin.api import Context
    from acmectl.plugin.dns import TxtRecord

_SHOWN = 3


def wait_for(
    placed: Sequence[tuple[TxtRecord, Place]], context: Context, *, fixed: float | None, unseen: float
) -> None:
    """Wait until the records can be seen. ``fixed``: seconds that the user gave; ``unseen``: where nobody can look.

    Raises: Interrupted.
    """
    if not placed:
        return
    if not context.dns.check:
        _pause(context, fixed if fixed is not None else unseen)
        return
    seen = [(record, place) for record, place in placed if place.servers and place.unconfirmed is None]
    hidden = [place for _, place in placed if not place.servers or place.unconfirmed is not None]
    started = context.clock.monotonic()
    found = wait_until_visible(
        [
            Expected(name=record.name, value=record.value, zone=place.zone, servers=place.servers)
            for record, place in seen
        ],
        clock=context.clock,
        interrupts=context.interrupts,
        timeout=fixed if fixed is not None else context.dns.timeout,
        progress=context.progress,
    )
    _tell(found, context)
    patience = fixed if fixed is not None else unseen
    left = max(0.0, patience - (context.clock.monotonic() - started))
    why = {place.zone: place.unconfirmed or "its name servers are not known" for place in hidden}
    if found.blocked:
        zones = _few(zone for zone in found.blocked if zone not in why)
        why[zones] = "its name servers do not answer; port 53 may be closed to the outside here"
    if why:
        reasons = _few(f"in {zones}: {_sentence(text)}" for zones, text in sorted(why.items()))
        context.warn(
            f"Nobody can look from here whether the records are there ({reasons}); waiting {left:.0f} seconds instead. "
            "--dns-propagation-seconds says how long, --no-dns-propagation-check does not even try to look."
        )
        _pause(context, left)


def _sentence(text: str) -> str:
    return text.rstrip(".")


def _pause(context: Context, seconds: float) -> None:
    if seconds > 0:
        context.progress("the records to spread", 0.0)
        context.clock.sleep(seconds)


def _tell(found: Propagation, context: Context) -> None:
    if found.dead:
        context.warn(
            "These name servers do not answer for their zone, so the CA may not get an answer either: "
            f"{_few(map(str, found.dead))}."
        )
    lacking = [one for one in found.lacking if one.expected.zone not in found.blocked]
    if lacking:
        some = [f"{one.server} for {one.expected.name}: {one.reply.describe()}" for one in lacking]
        context.warn(
            f"After {found.seconds:.0f} seconds some name servers still do not show the record: {_few(some)}. "
            "Going on all the same, for the CA may see it; --dns-propagation-timeout allows more time."
        )


def _few(items: object) -> str:
    texts = [str(item) for item in items]  # type: ignore[attr-defined]
    more = f" and {len(texts) - _SHOWN} more" if len(texts) > _SHOWN else ""
    return ", ".join(texts[:_SHOWN]) + more
