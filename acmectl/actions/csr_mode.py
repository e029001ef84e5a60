"""certonly --csr: a certificate for a request that was made elsewhere. No lineage, no hooks, no key."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from acmectl.actions.accounts import open_account
from acmectl.actions.authenticators import make_authenticator, pause_for_debugging
from acmectl.actions.settle import settle_all
from acmectl.actions.version import checked_chain, choose_profile
from acmectl.errors import ConfigError, StorageError, UsageError
from acmectl.events import IssuanceStarted
from acmectl.issuance.issue import issue
from acmectl.issuance.request import IssuancePolicy, IssuanceRequest, NoJournal
from acmectl.pki.csr import read_csr

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from acmectl.actions.requests import CertificateRequest
    from acmectl.actions.services import Services
    from acmectl.identifiers import Identifier
    from acmectl.pki.csr import CsrInfo

STDOUT = Path("-")


@dataclass(frozen=True, slots=True, kw_only=True)
class CsrRequest:
    """The CSR file (PEM or DER), names that it must have, and where the results go; ``-`` is standard output."""

    csr_path: Path
    identifiers: tuple[Identifier, ...] = ()
    cert_path: Path | None = None
    chain_path: Path | None = None
    fullchain_path: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CsrResult:
    """Where things were written; empty for a dry run. ``printed`` is what goes to standard output, PEM."""

    identifiers: tuple[Identifier, ...]
    written: dict[str, Path]
    printed: bytes = b""
    not_after: datetime | None = None
    simulated: bool = False


def obtain_for_csr(
    services: Services,
    request: CsrRequest,
    complete: Callable[[tuple[Identifier, ...]], CertificateRequest],
) -> CsrResult:
    """Obtain a certificate for the CSR and write it.

    Raises: ConfigError, UsageError for an unreadable CSR, and, before an order is spent, StorageError for an output
    file that exists; what issue() raises.
    """
    csr = read_csr(_read(request.csr_path))
    missing = [str(name) for name in request.identifiers if name not in csr.identifiers]
    if missing:
        raise ConfigError(
            f"The request {request.csr_path} does not have {', '.join(missing)}.",
            hint="Leave -d out, or make a CSR.",
        )
    with services.lock():
        wanted = complete(csr.identifiers)
        if not wanted.dry_run:
            settle_all(services)
        places = {} if wanted.dry_run else _places(request)
        for path in places.values():
            _check_free(path)
        return _issue(services, wanted, csr, places)


def _issue(services: Services, wanted: CertificateRequest, csr: CsrInfo, places: dict[str, Path]) -> CsrResult:
    solver = make_authenticator(services, wanted)
    account = open_account(services, wanted.account)
    solver.plugin.check(csr.identifiers)
    verb = "simulate-request" if wanted.dry_run else "request"
    services.observe(IssuanceStarted(verb=verb, lineage="", identifiers=csr.identifiers))
    chains = issue(
        account.client,
        IssuanceRequest(
            identifiers=csr.identifiers,
            csr_der=csr.der,
            profile=choose_profile(services, account, wanted),
            preferred_challenges=wanted.preferred_challenges,
            alternates=wanted.preferred_chain is not None,
        ),
        lambda _identifier: solver,
        policy=IssuancePolicy(
            timeout=wanted.issuance_timeout,
            preflight=wanted.preflight,
            revalidate=wanted.dry_run and wanted.finalize,
            finalize=wanted.finalize,
        ),
        journal=NoJournal(),
        clock=services.clock,
        interrupts=services.interrupts,
        observe=services.observe,
        before_respond=pause_for_debugging(services) if wanted.debug_challenges else None,
    )
    if not chains:
        return CsrResult(identifiers=csr.identifiers, written={}, simulated=True)
    issued = checked_chain(services, chains, wanted.preferred_chain, csr.spki, csr.identifiers, quiet=wanted.dry_run)
    if wanted.dry_run:
        return CsrResult(identifiers=csr.identifiers, written={}, simulated=True)
    contents = {"cert": issued.leaf, "chain": issued.chain, "fullchain": issued.fullchain}
    printed = b"".join(contents[kind] for kind, path in places.items() if path == STDOUT)
    written: dict[str, Path] = {}
    for kind, path in places.items():
        if path != STDOUT:
            _write_new(path, contents[kind])
            written[kind] = path
    from acmectl.pki.certificate import read_certificate

    not_after = read_certificate(issued.leaf).not_after
    return CsrResult(identifiers=csr.identifiers, written=written, printed=printed, not_after=not_after)


def _places(request: CsrRequest) -> dict[str, Path]:
    """Paths that were given are taken as they are; the others are numbered names in the present directory.

    With the chain on standard output nothing else is written unless it was asked for.
    """
    given = {"cert": request.cert_path, "chain": request.chain_path, "fullchain": request.fullchain_path}
    if request.fullchain_path == STDOUT:
        return {kind: path for kind, path in given.items() if path is not None}
    names = {"cert": "cert.pem", "chain": "chain.pem", "fullchain": "chain.pem"}
    taken: set[Path] = set()
    places: dict[str, Path] = {}
    for kind, path in given.items():
        places[kind] = path if path is not None else _numbered(names[kind], taken)
        taken.add(places[kind])
    return places


def _numbered(name: str, taken: set[Path]) -> Path:
    number = 0
    while True:
        path = Path.cwd() / f"{number:04d}_{name}"
        if path not in taken and not os.path.lexists(path):
            return path
        number += 1


def _check_free(path: Path) -> None:
    if path == STDOUT:
        return
    if os.path.lexists(path):
        raise StorageError(f"{path} exists already.", hint="Move it away; acmectl does not write over it.")
    parent = next(folder for folder in path.absolute().parents if folder.exists())
    if not parent.is_dir() or not os.access(parent, os.W_OK | os.X_OK):
        raise StorageError(f"{path} cannot be written: {parent} is not a directory that you may write to.")


def _write_new(path: Path, data: bytes) -> None:
    try:
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise StorageError(f"{path} cannot be written: {error.strerror}.") from error


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"--csr: {path} cannot be read: {error.strerror}.") from error
