"""certonly --csr: obtain a certificate for a request that was made elsewhere."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from acmectl.cli.checks import checked_name
from acmectl.cli.requests import certificate_request
from acmectl.cli.wiring import build_services
from acmectl.config.webroots import resolve
from acmectl.errors import ConfigError, ExitCode

if TYPE_CHECKING:
    from pathlib import Path

    from acmectl.actions.csr_mode import CsrResult
    from acmectl.actions.requests import CertificateRequest
    from acmectl.cli.app import App
    from acmectl.identifiers import Identifier
    from acmectl.storage.renewal_conf import RenewalConf

_LABELS = {
    "cert": "Certificate is saved at:            ",
    "chain": "Intermediate CA chain is saved at:  ",
    "fullchain": "Full certificate chain is saved at: ",
}


def run(app: App) -> ExitCode:
    """Obtain and write. Raises: AcmectlError."""
    csr_path = app.settings.path("csr")
    assert csr_path is not None  # noqa: S101 - certonly comes here only with --csr
    name = checked_name(app.settings)
    return _without_lineage(app, csr_path) if name is None else _with_lineage(app, csr_path, name)


def _without_lineage(app: App, csr_path: Path) -> ExitCode:
    from acmectl.actions.csr_mode import CsrRequest, obtain_for_csr

    settings = app.settings
    if settings.printed and sys.stdout is None:
        raise ConfigError("Standard output is closed, so the certificate cannot be written to it.")
    done = obtain_for_csr(
        build_services(app, writes=not settings.keeps_nothing),
        CsrRequest(
            csr_path=csr_path,
            identifiers=resolve(settings.named).identifiers,
            cert_path=settings.path("cert_path"),
            chain_path=settings.path("chain_path"),
            fullchain_path=settings.path("fullchain_path"),
            keeps_nothing=settings.keeps_nothing,
        ),
        lambda identifiers: certificate_request(app, None, identifiers),
    )
    _report(app, done)
    if done.printed:
        app.console.payload(done.printed)
    app.console.result(
        "csr",
        {
            "identifiers": [{"type": str(i.type), "value": i.value} for i in done.identifiers],
            "paths": {kind: str(path) for kind, path in done.written.items()},
            "not_after": done.not_after.isoformat() if done.not_after is not None else None,
            "simulated": done.simulated,
        },
    )
    return ExitCode.OK


def _report(app: App, done: CsrResult) -> None:
    if done.simulated:
        app.console.status("The dry run was successful.")
        return
    lines = ["", "The certificate was obtained."]
    lines += [f"{_LABELS[kind]}{path}" for kind, path in done.written.items()]
    lines.append(f"This certificate expires on {done.not_after:%Y-%m-%d}.")
    lines += [
        "",
        "NEXT STEPS:",
        "- A certificate for a CSR is not renewed by itself; run this again before it expires, or store the CSR with "
        "--cert-name NAME.",
    ]
    app.console.status("\n".join(lines))


def _with_lineage(app: App, csr_path: Path, name: str) -> ExitCode:
    from acmectl.actions.csr_lineage import CsrLineageRequest, obtain_lineage_for_csr
    from acmectl.cli.checks import validate_hooks
    from acmectl.cli.commands.certonly import as_json, report, taken_over
    from acmectl.cli.kept import Carried
    from acmectl.cli.outputs import outputs_of, stored_outputs

    settings = app.settings
    validate_hooks(app)
    outputs_of(settings)
    request = CsrLineageRequest(
        csr_path=csr_path,
        name=name,
        identifiers=resolve(settings.named).identifiers,
        key_path=settings.path("key_path"),
        force=settings.flag("force_renewal"),
        dry_run=settings.flag("dry_run"),
    )
    taken = Carried()

    def complete(conf: RenewalConf | None, identifiers: tuple[Identifier, ...]) -> CertificateRequest:
        nonlocal taken
        if conf is not None:
            taken = taken_over(app, conf, with_csr=True)
        return certificate_request(app, conf, identifiers)

    done = obtain_lineage_for_csr(
        build_services(app), request, complete, lambda conf: stored_outputs(settings, conf, "the renewal file")
    )
    report(app, done)
    options = {"kept_options": list(taken.kept), "reset_options": list(taken.reset)}
    app.console.result("certificate", {**as_json(done), **options})
    return ExitCode.FAILED if done.hook_failures or done.owed else ExitCode.OK
