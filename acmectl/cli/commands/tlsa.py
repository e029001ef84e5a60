"""tlsa: print the TLSA records of certificates that stage their next key, and with --check what DNS has of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from acmectl.actions.next_key import KEY
from acmectl.actions.tlsa_records import TlsaRecords, tlsa_records
from acmectl.cli.checks import checked_name
from acmectl.cli.next_key import records_json
from acmectl.cli.wiring import build_services
from acmectl.errors import AcmectlError, ConfigError, ExitCode
from acmectl.storage.lineage import BrokenLineage

if TYPE_CHECKING:
    from acmectl.actions.services import Services
    from acmectl.cli.app import App


def run(app: App) -> ExitCode:
    """Print the records as lines of a zone file. Raises: AcmectlError."""
    services = build_services(app, writes=False)
    check = app.settings.flag("check")
    name = checked_name(app.settings)
    broken: list[str] = []
    names = [name] if name is not None else _staging(services, broken)
    found: list[TlsaRecords] = []
    for lineage in names:
        try:
            records = tlsa_records(services, lineage, check=check)
        except AcmectlError as error:
            if name is not None:
                raise
            broken.append(f"{lineage}: {error.message}")
            continue
        if records is None:
            raise ConfigError(
                f"The certificate {lineage} stages no next key.",
                hint=f"acmectl reconfigure --cert-name {lineage} --stage-next-key has it do so.",
            )
        found.append(records)
    app.console.result(
        "tlsa", {"certificates": [{"name": one.name, **(records_json(one) or {})} for one in found], "invalid": broken}
    )
    if not app.console.json:
        # The lines are the result, for a zone file: they come whatever -q says.
        app.console.payload("".join(f"{record.line}\n" for one in found for record in one.records).encode())
    for message in broken:
        app.console.error(message)
    for one in found:
        for record in one.records:
            for said in record.checked:
                if said.problem is not None:
                    app.console.error(f"{said.server}: {record.name}, {_key(record.is_next)} key: {said.problem}")
    fine = not broken and all(record.is_fine for one in found for record in one.records)
    return ExitCode.OK if fine else ExitCode.FAILED


def _key(is_next: bool) -> str:
    return "next" if is_next else "current"


def _staging(services: Services, broken: list[str]) -> list[str]:
    """The names of those that stage a key."""
    names = []
    for lineage in services.lineages.all():
        if isinstance(lineage, BrokenLineage):
            broken.append(f"{lineage.name} is left out: {lineage.reason}")
        elif lineage.conf.own.get(KEY) is True:
            names.append(lineage.name)
    return names
