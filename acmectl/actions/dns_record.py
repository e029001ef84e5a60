"""dns-record: the records that let a CA issue for an account without any change to DNS later on."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from acmectl.actions.accounts import show
from acmectl.errors import ConfigError, NameServerError
from acmectl.plugin.files import read_private
from acmectl.plugin.persist import Owner, PersistRecord, record_name, why_not

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from acmectl.actions.requests import AccountRequest
    from acmectl.actions.services import Services
    from acmectl.identifiers import Identifier
    from acmectl.plugin.api import DnsSettings

_TTL = 3600

Reason = Callable[["tuple[str, ...]"], "str | None"]
"""Why some values will not do; None when they will."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DnsRecordRequest:
    """``until`` (aware UTC) ends the validation record; ``methods`` are those that the CAA record allows.

    ``issuer`` is the CA's name where its directory does not say it. ``check`` has the name servers asked.
    ``acme_dns_accounts`` is the file of the accounts at acme-dns, whose names challenges are to be led to.
    """

    account: AccountRequest
    identifiers: tuple[Identifier, ...]
    until: datetime | None = None
    methods: tuple[str, ...] = ("dns-persist-01",)
    issuer: str | None = None
    check: bool = False
    acme_dns_accounts: Path | None = None
    dns: DnsSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What one name server shows instead of a record that would do; ``problem`` None: it shows one."""

    server: str
    problem: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ZoneRecord:
    """One record: ``name`` absolute without trailing dot, ``value`` as it stands in a zone file."""

    name: str
    type: str
    value: str
    ttl: int = _TTL
    checked: tuple[Checked, ...] = ()

    @property
    def line(self) -> str:
        """As a line of a zone file."""
        return f"{self.name}. {self.ttl} IN {self.type} {self.value}"

    @property
    def is_fine(self) -> bool:
        """False when a name server that was asked does not show it."""
        return all(one.problem is None for one in self.checked)


@dataclass(frozen=True, slots=True, kw_only=True)
class DnsRecords:
    """The records, in the order of the names. ``draft`` is the form of the validation record (1 or 2)."""

    server: str
    account_url: str
    draft: int
    records: tuple[ZoneRecord, ...]


def dns_records(services: Services, request: DnsRecordRequest) -> DnsRecords:
    """Make the records of an account and some names. Changes nothing anywhere.

    Raises: ConfigError without names, or for a CA that does not say its name; AcmeError; Interrupted.
    """
    if not request.identifiers:
        raise ConfigError("dns-record needs names.", hint="Name them with -d NAME; -d '*.NAME' allows wildcards.")
    for identifier in request.identifiers:
        if identifier.is_ip:
            raise ConfigError(f"{identifier} is an IP address; there are no such records for it.")
    info = show(services, request.account)
    meta = services.network.client(info.server).directory().meta
    issuers = meta.issuer_domain_names or meta.caa_identities
    issuer = request.issuer or next(iter(issuers), None)
    if issuer is None:
        raise ConfigError(
            f"{info.server} does not say in its directory under which name it looks for records.",
            hint="Its documentation does; give it with --issuer NAME.",
        )
    prefix = meta.account_hash_prefix if meta.issuer_domain_names else None
    owner = Owner(account_url=info.url, thumbprint=info.thumbprint, hash_prefix=prefix)
    records: list[ZoneRecord] = []
    led = _led_names(request.acme_dns_accounts)
    for name in dict.fromkeys(identifier.base for identifier in request.identifiers):
        wildcard = any(one.is_wildcard and one.base == name for one in request.identifiers)
        plain = any(not one.is_wildcard and one.base == name for one in request.identifiers)
        records.append(_validation(services, request, owner, name, issuer=issuer, wildcard=wildcard))
        if name in led:
            records.append(_alias(services, request, name, led[name]))
        records += _caa(services, request, info.url, name, issuer=issuer, plain=plain, wildcard=wildcard)
    return DnsRecords(
        server=info.server, account_url=info.url, draft=1 if prefix is None else 2, records=tuple(records)
    )


def _validation(
    services: Services, request: DnsRecordRequest, owner: Owner, name: str, *, issuer: str, wildcard: bool
) -> ZoneRecord:
    record = PersistRecord(issuer=issuer, account_uri=owner.uris(name)[0], wildcard=wildcard, until=request.until)
    place = record_name(name)
    wanted = f"*.{name}" if wildcard else name

    def reason(values: tuple[str, ...]) -> str | None:
        return why_not(values, wanted, owner=owner, issuers=[issuer], now=services.clock.now())

    checked = _look(services, request, place, "TXT", reason)
    return ZoneRecord(name=place, type="TXT", value=_quoted(record.text()), checked=checked)


def _led_names(path: Path | None) -> dict[str, str]:
    """Where acme-dns answers for the challenges of names, by name. Raises: ConfigError, PluginError."""
    if path is None:
        return {}
    data = read_private(path, "The file of acme-dns accounts")
    try:
        content = json.loads(data) if data is not None else {}
        found = {str(name).lower(): str(one["fulldomain"]).lower().rstrip(".") for name, one in content.items()}
    except (ValueError, AttributeError, KeyError, TypeError, RecursionError):
        raise ConfigError(f"The file of acme-dns accounts {path} is damaged.") from None
    return {name: target for name, target in found.items() if target.isascii() and target.isprintable()}


def _alias(services: Services, request: DnsRecordRequest, name: str, target: str) -> ZoneRecord:
    """The CNAME that leads the challenge of ``name`` to acme-dns."""
    place = f"_acme-challenge.{name}"
    checked: tuple[Checked, ...] = ()
    if request.check:
        from acmectl.plugin.dns_lookup import alias_of

        problem: str | None
        try:
            found = alias_of(place, request.dns, services.interrupts)
            problem = None if found == target else f"it leads to {found}" if found else "there is no CNAME"
        except NameServerError as error:
            problem = error.message.rstrip(".")
        checked = (Checked(server="DNS", problem=problem),)
    return ZoneRecord(name=place, type="CNAME", value=f"{target}.", checked=checked)


def _caa(
    services: Services,
    request: DnsRecordRequest,
    account_url: str,
    name: str,
    *,
    issuer: str,
    plain: bool,
    wildcard: bool,
) -> list[ZoneRecord]:
    """CAA with the parameters of RFC 8657; issuewild where wildcards are wanted (RFC 8659 section 4.3)."""
    text = f"{issuer}; accounturi={account_url}; validationmethods={','.join(request.methods)}"
    tags = [tag for tag, needed in (("issue", plain or not wildcard), ("issuewild", wildcard)) if needed]
    found = []
    for tag in tags:
        value = f'0 {tag} "{text}"'

        def reason(values: tuple[str, ...], *, wanted: str = value) -> str | None:
            shown = [_normal(one) for one in values]
            return None if _normal(wanted) in shown else "it is not there" if not values else "it has others only"

        found.append(
            ZoneRecord(name=name, type="CAA", value=value, checked=_look(services, request, name, "CAA", reason))
        )
    return found


def _look(services: Services, request: DnsRecordRequest, name: str, kind: str, reason: Reason) -> tuple[Checked, ...]:
    if not request.check:
        return ()
    from acmectl.plugin.dns_lookup import look_at

    try:
        found = look_at(name, kind, request.dns, services.interrupts)
    except NameServerError as error:
        return (Checked(server="DNS", problem=error.message.rstrip(".")),)
    return tuple(Checked(server=said.server, problem=said.problem or reason(said.values)) for said in found.answers)


def _quoted(text: str) -> str:
    """A TXT value as character strings of at most 255 octets (RFC 1035 section 3.3.14)."""
    pieces = [text[start : start + 255] for start in range(0, len(text), 255)]
    return " ".join('"' + piece.replace("\\", "\\\\").replace('"', '\\"') + '"' for piece in pieces)


def _normal(text: str) -> str:
    return " ".join(text.lower().replace(";", " ; ").split())
