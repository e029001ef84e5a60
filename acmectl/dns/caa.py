"""CAA: which records count for a name, and whether they let a CA issue (RFC 8659, RFC 8657).

Only the CA's own look counts; this one is advice. What cannot be looked up forbids nothing here.
"""

from __future__ import annotations

import re
import threading
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING

from acmectl.dns.question import Outcome, Reply, ask
from acmectl.dns.zones import ZoneFinder
from acmectl.errors import NameServerError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from acmectl.dns.resolver import Resolver

_TIMEOUT = 1.0  # seconds for one server
_MOST_ALIASES = 16
_MOST_CUTS = 8
_CRITICAL = 128
_KNOWN = frozenset({"issue", "issuewild", "iodef", "issuemail", "issuevmc", "contactemail", "contactphone"})
_RECORD = re.compile(r'(\d{1,3}) ([0-9A-Za-z]+) "(.*)"', re.DOTALL)
_ESCAPED = re.compile(r"\\(\d{3}|.)", re.DOTALL)
_ISSUER = re.compile(r"[0-9a-z]([0-9a-z-]*[0-9a-z])?(\.[0-9a-z]([0-9a-z-]*[0-9a-z])?)*")
_PARAMETER = re.compile(r"([0-9A-Za-z]+)[ \t]*=[ \t]*([\x21-\x3a\x3c-\x7e]*)")


@dataclass(frozen=True, slots=True, kw_only=True)
class CaaRecord:
    """One record. ``tag`` is lower-case; ``value`` as it stands in the zone, untrusted."""

    flags: int
    tag: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CaaSet:
    """The records that count for a name, and ``name``: where they lie."""

    name: str
    records: tuple[CaaRecord, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Issuance:
    """What is to be issued: by a CA known as ``identities``, to an account, for a wildcard or not.

    ``method`` is the challenge type that will be answered; None when it is not known yet.
    """

    identities: tuple[str, ...]
    wildcard: bool
    account_url: str | None = None
    method: str | None = None


def parse_record(text: str) -> CaaRecord | None:
    """A record in presentation format (RFC 8659 section 4.1.1); None when it is not one."""
    found = _RECORD.fullmatch(text)
    if found is None:
        return None
    value = _ESCAPED.sub(lambda one: chr(int(one[1])) if one[1].isdigit() else one[1], found[3])
    return CaaRecord(flags=int(found[1]), tag=found[2].lower(), value=value)


def why_refused(records: Sequence[CaaRecord], issuance: Issuance) -> str | None:
    """Why a CA must not issue under ``records``, as the end of a sentence; None when it may (RFC 8659 section 4)."""
    for record in records:
        if record.flags & _CRITICAL and record.tag not in _KNOWN:
            return f"it has the critical property {record.tag}, which the CA has to know"
    issue = [record.value for record in records if record.tag == "issue"]
    wild = [record.value for record in records if record.tag == "issuewild"]
    values = wild if issuance.wildcard and wild else issue
    if not values:
        return None
    reasons: list[tuple[int, str]] = []
    named: list[str] = []
    for value in values:
        issuer, parameters = _parse_issuer(value)
        if issuer not in issuance.identities:
            named += [issuer] if issuer else []
            continue
        reason = _parameters_refuse(issuer, parameters, issuance)
        if reason is None:
            return None
        reasons.append(reason)
    if reasons:
        return max(reasons)[1]
    return f"it names only {', '.join(dict.fromkeys(named))}" if named else "it allows no CA to issue"


def _parse_issuer(value: str) -> tuple[str, dict[str, list[str]]]:
    """The issuer and its parameters; no issuer where the value is malformed (RFC 8659 section 4.2)."""
    issuer, *rest = (part.strip(" \t") for part in value.split(";"))
    issuer = issuer.lower().rstrip(".")
    parameters: dict[str, list[str]] = {}
    for part in rest:
        if not part:
            continue
        found = _PARAMETER.fullmatch(part)
        if found is None:
            return "", {}
        parameters.setdefault(found[1].lower(), []).append(found[2])
    return (issuer, parameters) if _ISSUER.fullmatch(issuer) else ("", {})


def _parameters_refuse(issuer: str, parameters: dict[str, list[str]], issuance: Issuance) -> tuple[int, str] | None:
    """RFC 8657: of the reasons the one with the higher number says more."""
    accounts = parameters.get("accounturi")
    if accounts is not None and issuance.account_url is not None and accounts != [issuance.account_url]:
        return 1, f"it allows {issuer} for the account {' '.join(accounts)} only"
    methods = parameters.get("validationmethods")
    if methods is not None and issuance.method is not None:
        allowed = {method.strip() for text in methods for method in text.split(",")}
        if issuance.method not in allowed:
            return 2, f"it allows {issuer} by {', '.join(sorted(allowed))} only, not by {issuance.method}"
    return None


class CaaFinder:
    """Finds the records that count. Safe for use from several threads; asks about each name once in its life."""

    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver
        self._finder = ZoneFinder(resolver)
        self._lock = threading.Lock()
        self._asked: dict[str, Future[tuple[CaaRecord, ...]]] = {}
        self._heard = False
        self._closed = False

    def relevant(self, name: str) -> CaaSet | None:
        """The records of the nearest name up the tree that has some (RFC 8659 section 3).

        None when there are none, or when a name on the way cannot be looked up. ``name``: without ``*.``.
        """
        labels = name.split(".")
        found: CaaSet | None = None
        # From the top, so that names that share parents find them asked already.
        for start in range(len(labels) - 1, -1, -1):
            level = ".".join(labels[start:])
            try:
                records = self._records(level)
            except NameServerError:
                found = None
                continue
            if records:
                found = CaaSet(name=level, records=records)
        return found

    def _records(self, name: str) -> tuple[CaaRecord, ...]:
        with self._lock:
            known = self._asked.get(name)
            mine = known is None
            future: Future[tuple[CaaRecord, ...]] = known or Future()
            self._asked[name] = future
        if mine:
            try:
                future.set_result(self._look(name))
            except BaseException as error:  # noqa: BLE001 - told to everybody who waits for it, here too
                future.set_exception(error)
        return future.result()

    def _look(self, name: str) -> tuple[CaaRecord, ...]:
        """The records at ``name``, or where its aliases lead: the parents of those do not count."""
        seen: list[str] = []
        while name not in seen and len(seen) < _MOST_ALIASES:
            seen.append(name)
            reply = self._reply(name)
            if reply.outcome is Outcome.FOUND:
                parsed = (parse_record(value) for value in reply.values)
                return tuple(record for record in parsed if record is not None)
            if reply.alias is None:
                return ()
            name = reply.alias
        raise NameServerError(f"{seen[0]}: its aliases (CNAME) lead nowhere.")

    def _reply(self, name: str) -> Reply:
        parent = name.partition(".")[2]
        if not parent:
            # A top-level domain has a dozen servers, whose addresses would have to be found first.
            return self._resolver.ask(name, "CAA")
        zone = self._finder.zone_of(parent if "." in parent else name)
        for _ in range(_MOST_CUTS):
            reply = self._authoritative(zone, name)
            if reply is None:
                return self._resolver.ask(name, "CAA")
            if reply.outcome is not Outcome.REFERRAL or reply.zone is None or reply.zone == zone:
                return reply
            zone = reply.zone
        raise NameServerError(f"{name}: its delegation goes on and on.")

    def _authoritative(self, zone: str, name: str) -> Reply | None:
        """What a server of the zone says; None when none does. Where the first is silent, port 53 may be closed."""
        if self._closed:
            return None
        for server in self._finder.servers(zone):
            reply = ask(server, name, "CAA", timeout=_TIMEOUT)
            if reply.outcome.is_usable or reply.outcome is Outcome.REFERRAL:
                self._heard = True
                return reply
            if reply.outcome is Outcome.SILENT:
                self._closed = not self._heard
                break
        return None
