"""dns-record: print the records that let a CA issue for an account without any change to DNS later on."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from acmectl.actions.dns_record import DnsRecordRequest, dns_records
from acmectl.cli.requests import account_of
from acmectl.cli.solvers import dns_settings_of
from acmectl.cli.wiring import build_services
from acmectl.config.values import shown
from acmectl.config.webroots import resolve
from acmectl.errors import ConfigError, ExitCode

if TYPE_CHECKING:
    from acmectl.actions.dns_record import DnsRecords
    from acmectl.cli.app import App
    from acmectl.config.settings import Settings


def run(app: App) -> ExitCode:
    """Print the records, and with --check what the name servers show. Raises: AcmectlError."""
    settings = app.settings
    request = DnsRecordRequest(
        account=account_of(app),
        identifiers=resolve(settings.named).identifiers,
        until=_until(settings, app.clock.now()),
        methods=settings.items("validation_methods") or ("dns-persist-01",),
        issuer=settings.text("issuer"),
        check=settings.flag("check"),
        acme_dns_accounts=_accounts(settings),
        dns=dns_settings_of(settings),
    )
    found = dns_records(build_services(app, writes=False), request)
    app.console.result("dns-records", as_json(found))
    if not app.console.json:
        # The lines are the result, for a zone file: they come whatever -q says.
        app.console.payload("".join(f"{record.line}\n" for record in found.records).encode())
    for record in found.records:
        for one in record.checked:
            if one.problem is not None:
                app.console.error(f"{one.server}: {record.type} {record.name}: {one.problem}")
    return ExitCode.OK if all(record.is_fine for record in found.records) else ExitCode.FAILED


def _accounts(settings: Settings) -> Path | None:
    # The option belongs to the plugin dns-acme-dns; it is known only where the command line has it.
    value = settings.values.get("dns_acme_dns_storage")
    return Path(value) if isinstance(value, str) and value else None


def _until(settings: Settings, now: datetime) -> datetime | None:
    text = settings.text("persist_until")
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigError(f"{settings.origin('persist_until')}: {shown(text)} is no date such as 2027-06-30.") from None
    moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    if moment <= now:
        raise ConfigError(f"{settings.origin('persist_until')}: {shown(text)} has passed.")
    return moment


def as_json(found: DnsRecords) -> dict[str, object]:
    """The result for --json."""
    return {
        "server": found.server,
        "account_url": found.account_url,
        "draft": found.draft,
        "records": [
            {
                "name": record.name,
                "type": record.type,
                "ttl": record.ttl,
                "value": record.value,
                "line": record.line,
                "checked": [{"server": one.server, "problem": one.problem} for one in record.checked],
            }
            for record in found.records
        ],
    }
