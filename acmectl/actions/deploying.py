"""What is done once a version is live: its files beside the tree, its deploy hooks, the look at the server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from acmectl.actions.endpoint import owed_steps, settle_endpoint
from acmectl.actions.output_files import settle_outputs

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from acmectl.actions.hooks import HookSession
    from acmectl.actions.ledger import Ledger
    from acmectl.actions.requests import CertificateRequest
    from acmectl.actions.services import Services
    from acmectl.errors import HookFailed
    from acmectl.identifiers import Identifier


def deploy_steps(session: HookSession, request: CertificateRequest) -> tuple[str, ...]:
    """What has to succeed for a version to count as deployed, in its order."""
    files = request.outputs.steps if request.outputs is not None else ()
    return (*files, *owed_steps(session.deploy_commands(request.hooks), request.check_endpoint))


def settle_steps(
    services: Services,
    session: HookSession,
    request: CertificateRequest,
    ledger: Ledger,
    *,
    name: str,
    live_dir: Path,
    identifiers: Iterable[Identifier],
) -> list[HookFailed]:
    """Do what ``ledger`` owes and note what has failed; the failures. Raises: StorageError, Interrupted.

    Hooks wait while a file cannot be written: they are there to tell a server of it, and each runs once for a version.
    """
    failures = settle_outputs(services, name, request.outputs, ledger)
    if not failures:
        failures = session.deploy(
            request.hooks,
            live_dir,
            identifiers,
            only=ledger.owed.hooks,
            succeeded=ledger.settle,
            more=request.outputs.environment if request.outputs is not None else None,
        )
        failures += settle_endpoint(services, name, request.check_endpoint, ledger, hooks_failed=bool(failures))
    if failures:
        ledger.postpone(services.clock.now(), failures[0].message)
    return failures
