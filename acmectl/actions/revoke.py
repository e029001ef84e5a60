"""revoke: by lineage or by certificate file, signed by the account or by the certificate's own key (RFC 8555 7.6)."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from acmectl.acme.jws import AccountKey
from acmectl.acme.problem import ProblemType
from acmectl.actions.accounts import choose_account, client_of, open_with_key
from acmectl.actions.compromised import note_compromised
from acmectl.actions.delete import outputs_left, tell_left, tell_uses
from acmectl.actions.listing import REVOKED
from acmectl.actions.second_key import present
from acmectl.actions.settle import settle_all
from acmectl.errors import AcmectlError, ConfigError, LineageNotFound, ServerProblem
from acmectl.events import Notice
from acmectl.pki.certificate import read_certificate
from acmectl.pki.keys import public_bytes_of
from acmectl.pki.summary import summary
from acmectl.pki.token_file import is_token_key
from acmectl.storage.lineage import REVOKED_SECOND, BrokenLineage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from acmectl.acme.client import AcmeClient
    from acmectl.actions.requests import AccountRequest
    from acmectl.actions.services import Services
    from acmectl.storage.lineage import Lineage

REASONS = {"unspecified": 0, "keycompromise": 1, "affiliationchanged": 3, "superseded": 4, "cessationofoperation": 5}
"""Reason codes (RFC 5280 section 5.3.1) by certbot's words."""

ACCOUNT_KEY = "account_key"
"""Key of ``[acmectl]``: the file of the account key of a lineage whose account is not in the tree."""

KEY_COMPROMISE = 1


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
class RevokedCertificate:
    """One certificate. ``already``: it was revoked before."""

    path: Path
    serial: int
    already: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Revoked:
    """What was revoked: one certificate, or the two of a lineage; ``deleted`` is the lineage that was deleted."""

    certificates: tuple[RevokedCertificate, ...]
    server: str
    deleted: str | None


def revoke(services: Services, request: RevokeRequest) -> Revoked:
    """Revoke a certificate, or both of a lineage that has two, and perhaps delete the lineage.

    Raises: ConfigError, LineageNotFound, AcmeError.
    """
    with services.lock():
        settle_all(services)
        if request.cert_name is not None:
            named = services.lineages.get(request.cert_name)
            lineage: Lineage | None = named
            paths = _live_paths(request, named)
        elif request.cert_path is not None:
            paths = [request.cert_path]
            lineage = lineage_of(services, request.cert_path)
        else:
            raise ConfigError(
                "revoke needs to know which certificate is meant.", hint="Use --cert-name or --cert-path."
            )
        account = account_of_lineage(services, request, lineage)
        done = [_revoked(services, request, account, lineage, path) for path in paths]
        deleted = None
        if lineage is not None and not request.delete and _other_is_good(services, lineage, done):
            text = f"The other certificate of {lineage.name} is not revoked; acmectl renew replaces both."
            services.observe(Notice(text=text))
        elif lineage is not None and _shall_delete(services, request, lineage.name):
            left = outputs_left(services, [lineage.name])
            services.lineages.delete(lineage.name)
            tell_left(services, left)
            deleted = lineage.name
        return Revoked(certificates=tuple(done), server=account.server, deleted=deleted)


def _live_paths(request: RevokeRequest, lineage: Lineage) -> list[Path]:
    """The live certificate, and the second one if there is one; of two only that which a key was given for."""
    paths = [lineage.cert_path]
    if lineage.second is not None and "cert-" + lineage.second.key_type in lineage.second.versions:
        paths.append(Path(lineage.places.live_path("cert-" + lineage.second.key_type)))
    if len(paths) == 1 or request.key_path is None:
        return paths
    spki = public_bytes_of(_read(request.key_path))
    return [path for path in paths if summary(_read(path)).spki == spki] or paths


def _revoked(
    services: Services, request: RevokeRequest, account: AccountRequest, lineage: Lineage | None, path: Path
) -> RevokedCertificate:
    certificate = read_certificate(_read(path))
    certificate_key = _certificate_key(request, certificate.spki)
    if certificate_key is not None or request.reason == KEY_COMPROMISE:
        tell_sharing(services, lineage, certificate.spki)
    already = revoke_at(services, account, certificate.der, request.reason, certificate_key)
    if request.reason == KEY_COMPROMISE:
        note_compromised(services, lineage.name if lineage is not None else "", certificate)
    for note, serial in _live_serials(lineage).items() if lineage is not None else ():
        if lineage is not None and serial == certificate.serial:
            # Certificates of today name no OCSP responder, so renew relies on this note.
            services.lineages.update_own(lineage.name, {note: services.clock.now().isoformat()})
    return RevokedCertificate(path=path, serial=certificate.serial, already=already)


def _live_serials(lineage: Lineage) -> dict[str, int]:
    """The serial numbers of the live certificates, by the key of the note that says that one was revoked."""
    serials = {REVOKED: summary(lineage.read("cert")).serial}
    second = present(lineage)
    return serials if second is None else {**serials, REVOKED_SECOND: second.serial}


def _other_is_good(services: Services, lineage: Lineage, done: Sequence[RevokedCertificate]) -> bool:
    """Whether one of two live certificates was revoked, and the other one never was."""
    serials = _live_serials(lineage)
    now = {one.serial for one in done}
    noted = services.lineages.renewal_conf(lineage.name).own
    return bool(now & set(serials.values())) and any(
        serial not in now and noted.get(note) is None for note, serial in serials.items()
    )


def account_of_lineage(services: Services, request: RevokeRequest, lineage: Lineage | None) -> AccountRequest:
    """What was asked for now, else the CA and the account that the renewal file names."""
    account = request.account
    if lineage is None:
        return account
    key_path = lineage.conf.own.get(ACCOUNT_KEY)
    if isinstance(key_path, str) and account.key_path is None and account.account_id is None:
        account = replace(account, key_path=Path(key_path))
    server, account_id = lineage.conf.text("server"), lineage.conf.text("account")
    if server is not None and not request.server_given:
        # An account that was named for another CA would be none of this one's.
        account = replace(account, server=server)
    if account.account_id is None and account.server == server and account_id is not None:
        known = {one.id for one in services.accounts.list(account.server).accounts}
        if account_id in known:
            return replace(account, account_id=account_id)
    return account


def tell_sharing(
    services: Services,
    lineage: Lineage | None,
    spki: bytes,
    *,
    why: str = "The CA may count the key as compromised, which then concerns",
) -> None:
    """A CA may take the key for compromised, as Let's Encrypt does when the certificate's own key signs."""
    sharing = []
    for other in services.lineages.all():
        if isinstance(other, BrokenLineage) or (lineage is not None and other.name == lineage.name):
            continue
        with suppress(AcmectlError):
            second = other.read_second()
            pems = (other.read("cert"), *((second.cert,) if second is not None else ()))
            if any(summary(pem).spki == spki for pem in pems):
                sharing.append(other.name)
    if sharing:
        names = ", ".join(sharing)
        text = f"{why} {names} too: the same key."
        services.observe(Notice(text=f"{text} Renew with --force-renewal --new-key.", level="warning"))


def _certificate_key(request: RevokeRequest, spki: bytes) -> AccountKey | None:
    """The certificate's own key, if that shall sign. Raises: ConfigError when it is another one."""
    if request.key_path is None:
        return None
    key_pem = _read(request.key_path)
    if public_bytes_of(key_pem) != spki:
        raise ConfigError(f"The key {request.key_path} does not belong to the certificate.")
    refuse_token_key(request.key_path, key_pem)
    return AccountKey.from_pem(key_pem)


def refuse_token_key(path: Path, key_pem: bytes) -> None:
    """Revocations are not signed by keys in tokens. Raises: ConfigError for the name of one."""
    if is_token_key(key_pem):
        raise ConfigError(
            f"The key that {path} names lies in a PKCS#11 token, and revoke does not sign there.",
            hint="Leave --key-path out: the account that obtained the certificate can revoke it.",
        )


def revoke_at(
    services: Services, account: AccountRequest, cert_der: bytes, reason: int, certificate_key: AccountKey | None
) -> bool:
    """True when the CA says that it was revoked before, which is as good."""
    client: AcmeClient
    if certificate_key is not None:
        client = services.network.client(account.server)
    else:
        client = _account_client(services, account)
    try:
        client.revoke(cert_der, reason, certificate_key=certificate_key)
    except ServerProblem as error:
        if error.problem.code == ProblemType.UNAUTHORIZED and error.hint is None:
            error.hint = (
                "Use the certificate's own key (--key-path), the account that obtained it, or an account that holds"
                " authorizations for all of its names (--account)."
            )
        if error.problem.code == ProblemType.ACCOUNT_DOES_NOT_EXIST and certificate_key is not None:
            error.hint = (
                "This CA does not take what the certificate's own key has signed. Leave out --key-path: the account"
                " that obtained the certificate can revoke it."
            )
        if error.problem.code != ProblemType.ALREADY_REVOKED:
            raise
        services.observe(Notice(text="The CA says that the certificate was revoked already.", level="warning"))
        return True
    return False


def _account_client(services: Services, account: AccountRequest) -> AcmeClient:
    if account.key_path is not None:
        return open_with_key(services, account, account.key_path, registers=False).client
    stored = choose_account(services, account)
    if stored is None:
        raise no_account(account)
    return client_of(services, stored)


def no_account(account: AccountRequest) -> ConfigError:
    """The error where nobody can sign a revocation."""
    return ConfigError(
        f"There is no account for {account.server} to revoke with.",
        hint="Name the CA with --server, or give the certificate's own key with --key-path.",
    )


def _shall_delete(services: Services, request: RevokeRequest, name: str) -> bool:
    if request.delete is False:
        return False
    tell_uses(services, [name])
    if request.delete:
        return True
    question = f"Delete the certificate {name} here too? It is of no use any more."
    return services.person.yes_no(question, default=True, flag="--delete-after-revoke")


def lineage_of(services: Services, path: Path) -> Lineage | None:
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
