"""revoke: by lineage or by certificate file, signed by the account or by the certificate's own key (RFC 8555 7.6)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from acmectl.acme.jws import AccountKey
from acmectl.acme.problem import ProblemType
from acmectl.actions.accounts import choose_account, client_of
from acmectl.actions.listing import REVOKED
from acmectl.errors import ConfigError, LineageNotFound, ServerProblem
from acmectl.events import Notice
from acmectl.pki.certificate import read_certificate
from acmectl.pki.keys import public_bytes_of
from acmectl.pki.summary import summary
from acmectl.storage.lineage import BrokenLineage

if TYPE_CHECKING:
    from acmectl.acme.client import AcmeClient
    from acmectl.actions.requests import AccountRequest
    from acmectl.actions.services import Services
    from acmectl.storage.lineage import Lineage

REASONS = {"unspecified": 0, "keycompromise": 1, "affiliationchanged": 3, "superseded": 4, "cessationofoperation": 5}
"""Reason codes (RFC 5280 section 5.3.1) by certbot's words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RevokeRequest:
    """Exactly one of ``cert_name`` and ``cert_path``; ``key_path`` is the certificate's own key.

    ``delete``: whether the lineage goes too; None asks, and means yes where nobody can be asked.
    ``server_given``: the CA was named now and beats the one of the renewal file.
    """

    account: AccountRequest
    cert_name: str | None = None
    cert_path: Path | None = None
    key_path: Path | None = None
    reason: int = 0
    delete: bool | None = None
    server_given: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Revoked:
    """``path`` is the certificate file; ``deleted`` the lineage that was deleted, if one was."""

    path: Path
    serial: int
    server: str
    already: bool
    deleted: str | None


def revoke(services: Services, request: RevokeRequest) -> Revoked:
    """Revoke a certificate and perhaps delete its lineage. Raises: ConfigError, LineageNotFound, AcmeError."""
    from dataclasses import replace

    with services.lock():
        if request.cert_name is not None:
            lineage: Lineage | None = services.lineages.get(request.cert_name)
            path = lineage.cert_path if lineage is not None else Path()
        elif request.cert_path is not None:
            path = request.cert_path
            lineage = _lineage_of(services, path)
        else:
            raise ConfigError(
                "revoke needs to know which certificate is meant.", hint="Use --cert-name or --cert-path."
            )
        stored_server = lineage.conf.text("server") if lineage is not None else None
        account = request.account
        if stored_server is not None and not request.server_given:
            # An account that was named for another CA would be none of this one's.
            account = replace(account, server=stored_server)
        certificate = read_certificate(_read(path))
        already = _revoke_at(services, request, account, certificate.der, certificate.spki)
        deleted = None
        if lineage is not None and _shall_delete(services, request, lineage.name):
            services.lineages.delete(lineage.name)
            deleted = lineage.name
        elif lineage is not None and summary(lineage.read("cert")).serial == certificate.serial:
            # Certificates of today name no OCSP responder, so renew relies on this note.
            services.lineages.update_own(lineage.name, {REVOKED: services.clock.now().isoformat()})
        return Revoked(path=path, serial=certificate.serial, server=account.server, already=already, deleted=deleted)


def _revoke_at(
    services: Services, request: RevokeRequest, account: AccountRequest, cert_der: bytes, spki: bytes
) -> bool:
    """True when the CA says that it was revoked before, which is as good."""
    certificate_key: AccountKey | None = None
    client: AcmeClient
    if request.key_path is not None:
        key_pem = _read(request.key_path)
        if public_bytes_of(key_pem) != spki:
            raise ConfigError(f"The key {request.key_path} does not belong to the certificate.")
        certificate_key = AccountKey.from_pem(key_pem)
        client = services.network.client(account.server)
    else:
        stored = choose_account(services, account)
        if stored is None:
            raise ConfigError(
                f"There is no account for {account.server} to revoke with.",
                hint="Name the CA with --server, or give the certificate's own key with --key-path.",
            )
        client = client_of(services, stored)
    try:
        client.revoke(cert_der, request.reason, certificate_key=certificate_key)
    except ServerProblem as error:
        if error.problem.code != ProblemType.ALREADY_REVOKED:
            raise
        services.observe(Notice(text="The CA says that the certificate was revoked already.", level="warning"))
        return True
    return False


def _shall_delete(services: Services, request: RevokeRequest, name: str) -> bool:
    if request.delete is not None:
        return request.delete
    question = f"Delete the certificate {name} here too? It is of no use any more."
    return services.person.yes_no(question, default=True, flag="--delete-after-revoke")


def _lineage_of(services: Services, path: Path) -> Lineage | None:
    """The lineage that a certificate file belongs to, through whatever links it was named."""
    real = path.resolve()
    for lineage in services.lineages.all():
        if isinstance(lineage, BrokenLineage):
            continue
        if (
            path.absolute() in (lineage.cert_path, lineage.fullchain_path)
            or real.parent == lineage.archive_dir.resolve()
        ):
            return lineage
    return None


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}.") from error


__all__ = ["REASONS", "LineageNotFound", "RevokeRequest", "Revoked", "revoke"]
