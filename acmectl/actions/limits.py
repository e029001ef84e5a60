"""How much of a CA's published limits is used: pure functions over what the order ledger holds."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from acmectl.config.catalogue import Counted
from acmectl.storage.order_entries import Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import datetime

    from acmectl.config.catalogue import Limit
    from acmectl.storage.order_entries import Entry

_UNITS = ((86_400, "days", "day"), (3600, "hours", "hour"), (60, "minutes", "minute"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What is used of ``limit`` by ``subject``: a registered domain, a name, an account's URL, or empty for the names.

    ``free_at`` is when as many as are wanted are possible (aware UTC); None: at once.
    """

    limit: Limit
    subject: str
    used: int
    free_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is to be ordered. ``names`` are sorted; ``renewal``: there is a certificate for just these.

    ``count`` is how many certificates for the names are ordered one after the other.
    """

    server: str
    account: str
    names: tuple[str, ...]
    renewal: bool
    count: int = 1


def usage(limit: Limit, subject: str, times: Iterable[datetime], now: datetime, *, wanted: int = 1) -> Usage:
    """What ``times`` have used of a token bucket that was full before the first of them; ``wanted`` more are to come.

    A place becomes free after each ``seconds / count``, not all of them at the end of a window. What came when none was
    free took none: the CA refused it, or it counted for something else.
    """
    step = timedelta(seconds=limit.seconds) / limit.count
    burst = step * limit.count
    full_at = None  # when all places are free again, if nothing more comes
    for time in sorted(min(one, now) for one in times):
        then = (time if full_at is None else max(time, full_at)) + step
        if then - time <= burst:
            full_at = then
    if full_at is None or full_at <= now:
        return Usage(limit=limit, subject=subject, used=0)
    used = -((now - full_at) // step)
    free_at = full_at + step * min(wanted, limit.count) - burst
    return Usage(limit=limit, subject=subject, used=used, free_at=free_at if free_at > now else None)


def usages(
    limits: Sequence[Limit], entries: Sequence[Entry], asked: Asked, now: datetime, domain_of: Callable[[str], str]
) -> list[Usage]:
    """The usage of each limit that ``asked`` has to do with; of those per domain and per name one for each of them."""
    here = [one for one in entries if one.server == asked.server and not one.exempt]
    found: list[Usage] = []
    for limit in limits:
        match limit.counted:
            case Counted.SET_CERTIFICATES:
                times = [one.at for one in here if one.kind is Kind.CERTIFICATE and one.names == asked.names]
                found.append(usage(limit, "", times, now, wanted=asked.count))
            case Counted.DOMAIN_CERTIFICATES if not asked.renewal:
                found += _of_domains(limit, here, asked, now, domain_of)
            case Counted.NAME_FAILURES:
                failures = [one for one in here if one.kind is Kind.FAILURE and one.account == asked.account]
                for name in asked.names:
                    found.append(usage(limit, name, [one.at for one in failures if name in one.names], now))
            case Counted.ACCOUNT_ORDERS if not asked.renewal:
                orders = [one for one in here if one.kind is Kind.ORDER and one.account == asked.account]
                found.append(usage(limit, asked.account, [one.at for one in orders if not one.renewal], now))
            case _:
                pass
    return found


def _of_domains(
    limit: Limit, here: Sequence[Entry], asked: Asked, now: datetime, domain_of: Callable[[str], str]
) -> list[Usage]:
    since = now - timedelta(seconds=limit.seconds) * 2
    counted = [one for one in here if one.kind is Kind.CERTIFICATE and not one.renewal and one.at >= since]
    if not counted:
        return []  # and the list of suffixes need not be read
    of = [(one.at, {domain_of(name) for name in one.names}) for one in counted]
    domains = dict.fromkeys(domain_of(name) for name in asked.names)
    return [usage(limit, domain, [at for at, its in of if domain in its], now) for domain in domains]


def used_line(one: Usage) -> str:
    """``3 of 5 certificates in 7 days for exactly these names``."""
    what = f"{one.used} of {one.limit.count}"
    span = span_of(one.limit.seconds)
    match one.limit.counted:
        case Counted.SET_CERTIFICATES:
            return f"{what} certificates in {span} for exactly these names"
        case Counted.DOMAIN_CERTIFICATES:
            return f"{what} certificates in {span} for {one.subject}"
        case Counted.NAME_FAILURES:
            return f"{what} failed validations in {span} of {one.subject}"
        case _:
            return f"{what} {one.limit.what} in {span}"


def span_of(seconds: int) -> str:
    """``7 days``, ``1 hour``, from seconds."""
    size, many, one = next(unit for unit in _UNITS if seconds % unit[0] == 0 or unit is _UNITS[-1])
    count = seconds // size
    return f"{count} {one if count == 1 else many}"
