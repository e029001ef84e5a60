"""certonly --csr: obtain a certificate for a request that was made elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

from acmectl.actions.csr_mode import CsrRequest, obtain_for_csr
from acmectl.cli.requests import certificate_request
from acmectl.cli.wiring import build_services
from acmectl.config.webroots import resolve
from acmectl.errors import ExitCode

if TYPE_CHECKING:
    from pathlib import Path

    from acmectl.cli.app import App

_LABELS = {
    "cert": "Certificate is saved at:            ",
    "chain": "Intermediate CA chain is saved at:  ",
    "fullchain": "Full certificate chain is saved at: ",
}


def run(app: App) -> ExitCode:
    """Obtain and write. Raises: AcmectlError."""
    settings = app.settings
    csr_path: Path | None = settings.path("csr")
    assert csr_path is not None  # noqa: S101 - certonly comes here only with --csr
    done = obtain_for_csr(
        build_services(app),
        CsrRequest(
            csr_path=csr_path,
            identifiers=resolve(settings.named).identifiers,
            cert_path=settings.path("cert_path"),
            chain_path=settings.path("chain_path"),
            fullchain_path=settings.path("fullchain_path"),
        ),
        lambda identifiers: certificate_request(app, None, identifiers),
    )
    if done.simulated:
        app.console.status("The dry run was successful.")
    else:
        lines = ["", "The certificate was obtained."]
        lines += [f"{_LABELS[kind]}{path}" for kind, path in done.written.items()]
        lines.append(f"This certificate expires on {done.not_after:%Y-%m-%d}.")
        lines += [
            "",
            "NEXT STEPS:",
            "- A certificate for a CSR is not renewed by itself; run this again before it expires.",
        ]
        app.console.status("\n".join(lines))
    if done.printed and not app.console.json:
        app.console.payload(done.printed)
    app.console.result(
        "csr",
        {
            "identifiers": [{"type": str(i.type), "value": i.value} for i in done.identifiers],
            "paths": {kind: str(path) for kind, path in done.written.items()},
            "fullchain": done.printed.decode("ascii") or None,
            "not_after": done.not_after.isoformat() if done.not_after is not None else None,
            "simulated": done.simulated,
        },
    )
    return ExitCode.OK
