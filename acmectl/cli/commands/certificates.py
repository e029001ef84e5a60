"""certificates: list the certificates."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from acmectl.actions.listing import ListedCertificate, Listing, list_certificates
from acmectl.actions.outputs import PEM, PKCS12, WORDS
from acmectl.cli.console import RULE
from acmectl.config.webroots import resolve
from acmectl.errors import ExitCode
from acmectl.storage.layout import Layout
from acmectl.storage.lineages import LineageStore

if TYPE_CHECKING:
    from datetime import datetime

    from acmectl.actions.listing import ListedSecond
    from acmectl.cli.app import App


_OUTPUTS = {PEM: "PEM File", PKCS12: "PKCS#12 File"}
_KEY_ELSEWHERE = "none here (it is renewed with a stored CSR)"


def run(app: App) -> ExitCode:
    """List; a damaged lineage is named and does not fail the command. Raises: StorageError, ConfigError."""
    settings = app.settings
    layout = Layout(
        config_dir=settings.directory("config_dir"),
        work_dir=settings.directory("work_dir"),
        logs_dir=settings.directory("logs_dir"),
    )
    identifiers = resolve(settings.named).identifiers
    name = settings.text("cert_name")
    now = app.clock.now()
    found = list_certificates(LineageStore(layout), now=now, cert_name=name, identifiers=identifiers)
    for broken in found.invalid:
        app.console.warning(f"{broken.path}: {broken.reason}")
    app.console.status(as_text(found, now, filtered=bool(identifiers or name)))
    if app.console.json:
        app.console.result("certificates", as_json(found, now))
    return ExitCode.OK


def as_text(found: Listing, now: datetime, *, filtered: bool) -> str:
    """certbot's labels, between two rules; lines are never wrapped, for scripts read them."""
    lines = ["", RULE]
    if found.certificates:
        lines.append("These certificates match:" if filtered else "These certificates are here:")
        for certificate in found.certificates:
            lines += _block(certificate, now)
    elif not found.invalid:
        lines.append("No certificate matches." if filtered else "There are no certificates here.")
    if found.invalid:
        lines += ["", "These renewal files are invalid:"]
        lines += [f"  {broken.path}" for broken in found.invalid]
    lines.append(RULE)
    return "\n".join(lines)


def _block(certificate: ListedCertificate, now: datetime) -> list[str]:
    expiry = certificate.not_after.strftime("%Y-%m-%d %H:%M:%S+00:00")
    lines = [
        f"  Certificate Name: {certificate.name}",
        f"    Serial Number: {certificate.serial:x}",
        f"    Key Type: {certificate.key_type}",
        f"    Identifiers: {' '.join(identifier.value for identifier in certificate.identifiers)}",
        f"    Expiry Date: {expiry} ({status(certificate, now)})",
        f"    Certificate Path: {certificate.path_of('fullchain')}",
        f"    Private Key Path: {_key_path(certificate)}",
    ]
    if certificate.second is not None:
        lines += _second_block(certificate, certificate.second, now)
    if len(certificate.servers) > 1:
        lines.append(f"    Issued By: {certificate.server} (one of {len(certificate.servers)} CAs)")
    lines += [f"    {_OUTPUTS[step]}: {path}" for step, path in certificate.outputs.items()]
    if certificate.pinned is not None:
        lines.append(f"    Pinned Version: {certificate.pinned}")
    if certificate.owed:
        lines.append(f"    Deploy Hooks Owed: {', '.join(certificate.owed)}")
    return lines


def _key_path(certificate: ListedCertificate) -> str:
    if certificate.key_uri is not None:
        return certificate.key_uri
    return _KEY_ELSEWHERE if certificate.key_elsewhere else certificate.path_of("privkey")


def _second_block(certificate: ListedCertificate, second: ListedSecond, now: datetime) -> list[str]:
    lines = [f"    Second Key Type: {second.key_type}"]
    if second.problem is not None:
        lines.append(f"    Second Certificate: INVALID: {second.problem}")
    if second.serial is None or second.not_after is None:
        return lines
    if second.version != certificate.version:
        lines.append(f"    Second Version: {second.version or 'torn'} (of the first: {certificate.version})")
    expiry = second.not_after.strftime("%Y-%m-%d %H:%M:%S+00:00")
    suffix = second.key_type.lower()
    return [
        *lines,
        f"    Second Serial Number: {second.serial:x}",
        f"    Second Expiry Date: {expiry} ({_status(second.flags, second.not_after, now)})",
        f"    Second Certificate Path: {certificate.path_of(f'fullchain-{suffix}')}",
        f"    Second Private Key Path: {certificate.path_of(f'privkey-{suffix}')}",
    ]


def _second_as_json(certificate: ListedCertificate, now: datetime) -> dict[str, object] | None:
    second = certificate.second
    if second is None:
        return None
    suffix = second.key_type.lower()
    usable = second.problem is None and second.not_after is not None
    return {
        "key_type": second.key_type,
        "serial": f"{second.serial:x}" if second.serial is not None else None,
        "not_before": second.not_before.isoformat() if second.not_before is not None else None,
        "not_after": second.not_after.isoformat() if second.not_after is not None else None,
        "valid": usable and not second.flags,
        "status": _status(second.flags, second.not_after, now) if second.not_after is not None else "INVALID",
        "flags": list(second.flags),
        "version": second.version,
        "problem": second.problem,
        "paths": {kind: certificate.path_of(f"{kind}-{suffix}") for kind in ("cert", "chain", "fullchain", "privkey")},
    }


def status(certificate: ListedCertificate, now: datetime) -> str:
    """``VALID: 12 days`` or ``INVALID: EXPIRED``."""
    return _status(certificate.flags, certificate.not_after, now)


def _status(flags: tuple[str, ...], not_after: datetime, now: datetime) -> str:
    if flags:
        return f"INVALID: {', '.join(flags)}"
    left = not_after - now
    if left < timedelta(days=1):
        return f"VALID: {left // timedelta(hours=1)} hour(s)"
    return "VALID: 1 day" if left.days == 1 else f"VALID: {left.days} days"


def as_json(found: Listing, now: datetime) -> dict[str, object]:
    """The result for --json."""
    return {
        "certificates": [
            {
                "name": one.name,
                "serial": f"{one.serial:x}",
                "key_type": one.key_type,
                "identifiers": [{"type": str(i.type), "value": i.value} for i in one.identifiers],
                "not_before": one.not_before.isoformat(),
                "not_after": one.not_after.isoformat(),
                "valid": not one.flags,
                "status": status(one, now),
                "flags": list(one.flags),
                "server": one.server,
                "servers": list(one.servers),
                "authenticator": one.authenticator,
                "version": one.version,
                "pinned": one.pinned,
                "deploy_owed": list(one.owed),
                "key_elsewhere": one.key_elsewhere,
                "key_uri": one.key_uri,
                "outputs": {WORDS[step]: str(path) for step, path in one.outputs.items()},
                "second": _second_as_json(one, now),
                "paths": {k: str(one.live_dir / f"{k}.pem") for k in _kinds(one)},
            }
            for one in found.certificates
        ],
        "invalid": [{"path": str(broken.path), "reason": broken.reason} for broken in found.invalid],
    }


def _kinds(certificate: ListedCertificate) -> tuple[str, ...]:
    kinds = ("cert", "chain", "fullchain")
    return kinds if certificate.key_elsewhere else (*kinds, "privkey")
