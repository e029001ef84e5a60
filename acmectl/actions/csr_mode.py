"""certonly --csr: a certificate for a request that was made elsewhere. No lineage, no hooks, no key.

With an account key of the person's own nothing at all is kept: no directories, no locks, no account.
"""

from __future__ import annotations

import os
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from acmectl.actions.accounts import open_account
from acmectl.actions.authenticators import make_authenticators, pause_for_debugging
from acmectl.actions.caa import look_at_caa, told_before
from acmectl.actions.choices import checked_chain, choose_profile
from acmectl.actions.compromised import refuse_compromised
from acmectl.actions.lifetime import end_to_order
from acmectl.actions.order_ledger import counted
from acmectl.actions.settle import settle_all
from acmectl.errors import ConfigError, UsageError
from acmectl.events import IssuanceStarted
from acmectl.issuance.issue import issue
from acmectl.issuance.request import IssuancePolicy, IssuanceRequest, NoJournal
from acmectl.pki.csr import MAX_CSR, read_csr
from acmectl.storage.outputs import check_free, write_new

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
    """The CSR file (PEM or DER), names that it must have, and where the results go; ``-`` is standard output.

    ``keeps_nothing``: the account's key lies elsewhere, so the tree is neither locked nor touched.
    """

    csr_path: Path
    identifiers: tuple[Identifier, ...] = ()
    cert_path: Path | None = None
    chain_path: Path | None = None
    fullchain_path: Path | None = None
    keeps_nothing: bool = False


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
    csr = named_csr(request.csr_path, request.identifiers)
    with nullcontext() if request.keeps_nothing else services.lock():
        wanted = complete(csr.identifiers)
        wanted = replace(wanted, account=replace(wanted.account, not_key=csr.spki))
        if not wanted.dry_run and not request.keeps_nothing:
            settle_all(services)
        places = _places(request)
        check_free(path for path in places.values() if path != STDOUT)
        return _issue(services, wanted, csr, places, keeps_nothing=request.keeps_nothing)


def named_csr(path: Path, identifiers: tuple[Identifier, ...]) -> CsrInfo:
    """The CSR in a file, which must ask for all of ``identifiers``. Raises: UsageError, ConfigError."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_CSR + 1)
    except OSError as error:
        raise UsageError(f"--csr: {path} cannot be read: {error.strerror}.") from error
    csr = read_csr(data)
    missing = [str(name) for name in identifiers if name not in csr.identifiers]
    if missing:
        raise ConfigError(
            f"The request {path} does not have {', '.join(missing)}.",
            hint="Leave -d out, or make a CSR.",
        )
    return csr


def _issue(
    services: Services, wanted: CertificateRequest, csr: CsrInfo, places: dict[str, Path], *, keeps_nothing: bool
) -> CsrResult:
    refuse_compromised(services, csr.spki, "The CSR", hint="Make another key and a CSR with it.")
    solvers = make_authenticators(services, wanted)
    solvers.check(csr.identifiers)
    account = open_account(services, wanted.account)
    solvers.check_account(csr.identifiers, thumbprint=account.client.key.thumbprint())
    verb = "simulate-request" if wanted.dry_run else "request"
    services.observe(IssuanceStarted(verb=verb, lineage="", identifiers=csr.identifiers))
    not_after = end_to_order(services, wanted.not_after)
    # Where nothing is kept there is no ledger either.
    ledger = nullcontext(services.observe) if keeps_nothing else counted(services, account, csr.identifiers, wanted)
    with ledger as observe:
        chains = issue(
            account.client,
            IssuanceRequest(
                identifiers=csr.identifiers,
                csr_der=csr.der,
                profile=choose_profile(services, account, wanted, csr.identifiers),
                not_after=not_after,
                preferred_challenges=wanted.preferred_challenges,
                alternates=wanted.preferred_chain is not None,
            ),
            solvers,
            policy=IssuancePolicy(
                timeout=wanted.issuance_timeout,
                preflight=wanted.preflight,
                revalidate=wanted.revalidates,
                finalize=wanted.finalize,
            ),
            journal=NoJournal(),
            clock=services.clock,
            interrupts=services.interrupts,
            observe=observe,
            before_respond=told_before(
                look_at_caa(services, account.client, csr.identifiers, wanted),
                pause_for_debugging(services) if wanted.debug_challenges else None,
            ),
        )
    if not chains:
        return CsrResult(identifiers=csr.identifiers, written={}, simulated=True)
    issued = checked_chain(
        services,
        chains,
        wanted.preferred_chain,
        csr.spki,
        csr.identifiers,
        quiet=wanted.dry_run,
        not_after=not_after,
        must_staple=csr.must_staple,
    )
    if wanted.dry_run:
        return CsrResult(identifiers=csr.identifiers, written={}, simulated=True)
    contents = {"cert": issued.leaf, "chain": issued.chain, "fullchain": issued.fullchain}
    printed = b"".join(contents[kind] for kind, path in places.items() if path == STDOUT)
    written = {kind: path for kind, path in places.items() if path != STDOUT}
    write_new({path: contents[kind] for kind, path in written.items()})
    from acmectl.pki.certificate import read_certificate

    not_after = read_certificate(issued.leaf).not_after
    return CsrResult(identifiers=csr.identifiers, written=written, printed=printed, not_after=not_after)


def _places(request: CsrRequest) -> dict[str, Path]:
    """Paths that were given are taken as they are; the others are numbered names in the present directory.

    With one of them on standard output nothing else is written unless it was asked for.
    """
    given = {"cert": request.cert_path, "chain": request.chain_path, "fullchain": request.fullchain_path}
    if STDOUT in given.values():
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
