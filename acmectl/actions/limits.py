"""How much of a CA's published limits is used: pure functions over what the order ledger holds."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from acmectl.config.catalogue import Counted
from acmectl.storage.order_entries import Entry, Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import datetime

    from acmectl.config.catalogue import Limit

_KINDS = {
    Counted.SET_CERTIFICATES: Kind.CERTIFICATE,
    Counted.DOMAIN_CERTIFICATES: Kind.CERTIFICATE,
    Counted.NAME_FAILURES: Kind.FAILURE,
    Counted.ACCOUNT_ORDERS: Kind.ORDER,
}
_BUSIEST = 3
_UNITS = ((86_400, "days", "day"), (3600, "hours", "hour"), (60, "minutes", "minute"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What is used of ``limit`` by ``subject``: names, a registered domain, a name, an account's URL.

    The subject is empty where it is all the names of the order. ``free_at`` is when as many as are wanted are possible
    (aware UTC); None: at once.
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
    found: list[Usage] = []
    for limit in limits:
        if limit.counted not in _KINDS:
            continue
        times = _times(limit.counted, entries, asked.server, domain_of)
        if not times and limit.counted is Counted.DOMAIN_CERTIFICATES:
            continue  # and the list of suffixes need not be read
        outcome = Entry(
            at=now,
            kind=_KINDS[limit.counted],
            server=asked.server,
            account=asked.account,
            names=asked.names,
            renewal=asked.renewal,
        )
        is_set = limit.counted is Counted.SET_CERTIFICATES
        for key in _keys(limit.counted, outcome, domain_of):
            subject, wanted = ("", asked.count) if is_set else (key[1], 1)
            found.append(usage(limit, subject, times.get(key, ()), now, wanted=wanted))
    return found


def busiest(
    limits: Sequence[Limit], entries: Sequence[Entry], server: str, now: datetime, domain_of: Callable[[str], str]
) -> list[Usage]:
    """Of each limit of the CA with this directory URL what is used most, by whatever subject."""
    found: list[Usage] = []
    for limit in limits:
        if limit.counted in _KINDS:
            times = _times(limit.counted, entries, server, domain_of)
            all_of_it = [usage(limit, subject, its, now) for (_, subject), its in times.items()]
            found += sorted((one for one in all_of_it if one.used), key=lambda one: -one.used)[:_BUSIEST]
    return found


def _times(
    counted: Counted, entries: Sequence[Entry], server: str, domain_of: Callable[[str], str]
) -> dict[tuple[str, str], list[datetime]]:
    """When ``counted`` happened at this CA, by what it is counted per."""
    times: dict[tuple[str, str], list[datetime]] = {}
    for one in entries:
        if one.server == server and one.kind is _KINDS[counted] and not one.exempt:
            for key in _keys(counted, one, domain_of):
                times.setdefault(key, []).append(one.at)
    return times


def _keys(counted: Counted, entry: Entry, domain_of: Callable[[str], str]) -> list[tuple[str, str]]:
    """What ``entry`` counts for: the account, where each has a limit of its own, and the subject."""
    match counted:
        case Counted.SET_CERTIFICATES:
            return [("", ", ".join(entry.names))]
        case Counted.NAME_FAILURES:
            return [(entry.account, name) for name in entry.names]
        case _ if entry.renewal:
            return []
        case Counted.DOMAIN_CERTIFICATES:
            return [("", domain) for domain in dict.fromkeys(domain_of(name) for name in entry.names)]
        case _:
            return [(entry.account, entry.account)]


def used_line(one: Usage) -> str:
    """``3 of 5 certificates in 7 days for exactly these names``."""
    what = f"{one.used} of {one.limit.count}"
    span = span_of(one.limit.seconds)
    match one.limit.counted:
        case Counted.SET_CERTIFICATES:
            return f"{what} certificates in {span} for exactly {one.subject or 'these names'}"
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
