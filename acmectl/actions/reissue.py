"""revoke --reissue: a new key and a new certificate, deployed; then the old certificate is revoked (RFC 8555 7.6).

The old key is noted as one that is never used again, and what is to be revoked is written down, before anything is
ordered. So the command can die at any point, and does what is left when it is given again.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from acmectl.acme.jws import AccountKey
from acmectl.actions.accounts import choose_account
from acmectl.actions.compromised import note_compromised
from acmectl.actions.csr_stored import KEY as CSR
from acmectl.actions.csr_stored import names_to_renew
from acmectl.actions.ledger import KEY as DEPLOY
from acmectl.actions.ledger import Owed
from acmectl.actions.obtain import carry_out
from acmectl.actions.opening import open_sound
from acmectl.actions.renewing import Renewer
from acmectl.actions.revoke import (
    KEY_COMPROMISE,
    account_of_lineage,
    lineage_of,
    no_account,
    refuse_token_key,
    revoke_at,
    tell_sharing,
)
from acmectl.actions.scan import Snapshot, scan
from acmectl.actions.settle import settle_all
from acmectl.actions.target import Target
from acmectl.actions.token_key import stored_uri
from acmectl.errors import AcmectlError, ConfigError, StorageError
from acmectl.events import Notice
from acmectl.pki.certificate import read_certificate
from acmectl.pki.keys import public_bytes_of
from acmectl.storage.reissues import Reissue, ReissueStore

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from acmectl.actions.renewing import CompleteRenewal
    from acmectl.actions.requests import AccountRequest, CertificateRequest
    from acmectl.actions.revoke import RevokeRequest
    from acmectl.actions.services import Services
    from acmectl.errors import HookFailed
    from acmectl.pki.certificate import CertificateInfo
    from acmectl.storage.archive import CertificateFiles, VersionFiles
    from acmectl.storage.lineage import Lineage


_AGAIN = "the same command goes on with it."


@dataclass(frozen=True, slots=True, kw_only=True)
class OldCertificate:
    """One that was replaced. ``already``: the CA says that it was revoked before; ``expired``: so nobody asked it."""

    serial: int
    revoked: bool = False
    already: bool = False
    expired: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Reissued:
    """What is live now, and what became of the ``old`` certificates, which ``server`` had issued.

    ``owed`` are deploy hooks that have not succeeded, for which the revocation waits. ``continued``: an earlier run had
    begun it. ``second_serial`` is that of the second certificate of a lineage with two.
    """

    name: str
    version: int
    serial: int
    not_after: datetime
    live_dir: Path
    server: str
    old: tuple[OldCertificate, ...]
    second_serial: int | None = None
    hook_failures: tuple[HookFailed, ...] = ()
    owed: tuple[str, ...] = ()
    continued: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    """The note on disk, the certificates in it, and keys of them that shall sign, by their public halves."""

    note: Reissue
    old: tuple[CertificateInfo, ...]
    signers: dict[bytes, AccountKey] = field(default_factory=dict, repr=False)


def reissue(services: Services, request: RevokeRequest, complete: CompleteRenewal) -> Reissued:
    """Replace the certificate that ``request`` names, deploy the new one and revoke the old one, or finish that.

    Raises: ConfigError, LineageNotFound, LineageDamaged, StorageError; what an issuance raises, and what the CA says to
    the revocation. What is left then is done when the command is given again.
    """
    with services.lock():
        name = _name_of(services, request)
        settle_all(services, but=name)
        lineage = open_sound(services, name)
        store = ReissueStore(services.layout)
        noted = store.load(name)
        # A key that cannot be changed is an error before anything is noted.
        plan = _with_new_key(lineage, complete) if noted is None else None
        job = _begun(services, request, lineage) if noted is None else _continued(services, request, lineage, noted)
        failures: tuple[HookFailed, ...] = ()
        if _in_use(lineage, job):
            failures = _replaced(services, lineage, plan or _with_new_key(lineage, complete))
        elif Owed.from_json(lineage.conf.own.get(DEPLOY)) is not None:
            failures = _deployed(services, name, complete)
        lineage = services.lineages.get(name)
        owed = Owed.from_json(lineage.conf.own.get(DEPLOY))
        if owed is not None:
            old = tuple(OldCertificate(serial=one.serial) for one in job.old)
        else:
            old = _revoked(services, name, request, job)
            store.drop(name)
        live, second = read_certificate(lineage.read("cert")), lineage.read_second()
        return Reissued(
            name=name,
            version=lineage.version,
            serial=live.serial,
            not_after=live.not_after,
            live_dir=lineage.live_dir,
            server=job.note.server,
            old=old,
            second_serial=read_certificate(second.cert).serial if second is not None else None,
            hook_failures=failures,
            owed=owed.hooks if owed is not None else (),
            continued=noted is not None,
        )


def _name_of(services: Services, request: RevokeRequest) -> str:
    if request.cert_name is not None:
        return request.cert_name
    lineage = lineage_of(services, request.cert_path) if request.cert_path is not None else None
    if lineage is None:
        raise ConfigError(
            "--reissue is for a certificate that is kept here, and that file is none of one.",
            hint="Revoke it without --reissue, or name a certificate with --cert-name.",
        )
    return lineage.name


def _begun(services: Services, request: RevokeRequest, lineage: Lineage) -> _Job:
    """Note the key and the work, once it is sure that both halves of it can be done. Raises: ConfigError."""
    pems = _to_revoke(services, request, lineage)
    old = tuple(read_certificate(pem) for pem in pems)
    # What is revoked was issued by the CA of the renewal file; --server is where the new one comes from.
    account = account_of_lineage(services, replace(request, server_given=False), lineage)
    signers = _signers(request, old, ())
    if signers.keys() >= {one.spki for one in old}:
        account = replace(account, account_id=None, key_path=None)
    elif account.key_path is None:
        stored = choose_account(services, account)
        if stored is None:
            raise no_account(account)
        account = replace(account, account_id=stored.id)
    for spki in dict.fromkeys(one.spki for one in old):
        tell_sharing(services, lineage, spki, why="The key must not be used again, which concerns")
    for one in old:
        note_compromised(services, lineage.name, one)
    note = Reissue(
        certificates=tuple(pem.decode("ascii") for pem in pems),
        server=account.server,
        reason=request.reason,
        account_id=account.account_id,
        account_key=str(account.key_path) if account.key_path is not None else None,
        began=services.clock.now(),
    )
    ReissueStore(services.layout).save(lineage.name, note)
    return _Job(note=note, old=old, signers=signers)


def _continued(services: Services, request: RevokeRequest, lineage: Lineage, note: Reissue) -> _Job:
    services.observe(Notice(text=f"Going on with what was begun on {note.began:%Y-%m-%d %H:%M} UTC."))
    old = tuple(read_certificate(pem.encode("ascii")) for pem in note.certificates)
    if request.cert_path is not None and read_certificate(_first(request.cert_path)).serial not in {
        one.serial for one in old
    }:
        text = f"That was about another certificate: for {request.cert_path} the command is to be given again after it."
        services.observe(Notice(text=text, level="warning"))
    kept = [] if request.key_path is None else [files.privkey for files in _kept(services, lineage)]
    return _Job(note=note, old=old, signers=_signers(request, old, kept))


def _kept(services: Services, lineage: Lineage) -> Iterator[VersionFiles | CertificateFiles]:
    """The kept versions that can be read, the newest first, and their second certificates."""
    for number in reversed(services.lineages.kept_versions(lineage.name)):
        try:
            files = services.lineages.read_version(lineage.name, number)
        except StorageError as error:
            services.observe(Notice(text=error.message, level="warning"))
            continue
        yield files
        if files.second is not None:
            yield files.second


def _to_revoke(services: Services, request: RevokeRequest, lineage: Lineage) -> list[bytes]:
    """The certificates (PEM): the one that was named, or all that are live; with a compromised key all that have it."""
    second = lineage.read_second()
    found = [lineage.read("cert"), *([second.cert] if second is not None else [])]
    if request.cert_path is not None:
        found = [_first(request.cert_path)]
    elif len(found) > 1 and request.key_path is not None:
        # As in revoke: a key says which of two certificates is meant.
        spki = public_bytes_of(_read(request.key_path))
        found = [pem for pem in found if read_certificate(pem).spki == spki] or found
    if request.reason != KEY_COMPROMISE:
        return found
    serials = {read_certificate(pem).serial for pem in found}
    keys = {read_certificate(pem).spki for pem in found}
    for files in _kept(services, lineage):
        try:
            one = read_certificate(files.cert)
        except ConfigError as error:
            text = f"A version of {lineage.name} that is no longer live is passed over: {error.message}"
            services.observe(Notice(text=text, level="warning"))
            continue
        if one.spki in keys and one.serial not in serials and one.not_after > services.clock.now():
            serials.add(one.serial)
            found.append(files.cert)
    return found


def _first(path: Path) -> bytes:
    """The first certificate in a file, as PEM. Raises: ConfigError."""
    from acmectl.pki.chain import split_chain

    return split_chain(_read(path))[0]


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}.") from error


def _signers(
    request: RevokeRequest, old: tuple[CertificateInfo, ...], kept: list[bytes] | tuple[()]
) -> dict[bytes, AccountKey]:
    """The certificates' own keys, if those shall sign: that of the file, or, once it is live no more, a kept one.

    Raises: ConfigError for a key of something else.
    """
    if request.key_path is None:
        return {}
    given = _read(request.key_path)
    refuse_token_key(request.key_path, given)
    wanted = {one.spki for one in old}
    for key_pem in (given, *kept):
        try:
            spki = public_bytes_of(key_pem)
        except ConfigError:
            if key_pem is given:
                raise
            continue
        if spki in wanted:
            return {spki: AccountKey.from_pem(key_pem)}
    raise ConfigError(f"The key {request.key_path} does not belong to the certificate.")


def _in_use(lineage: Lineage, job: _Job) -> bool:
    """Whether a live certificate is one of the old ones, or has the key of one."""
    gone = {one.spki for one in job.old}
    second = lineage.read_second()
    live = [lineage.read("cert"), *([second.cert] if second is not None else [])]
    return any(read_certificate(pem).spki in gone for pem in live)


def _with_new_key(lineage: Lineage, complete: CompleteRenewal) -> CertificateRequest:
    """What is ordered in the place of the certificate. Raises: ConfigError where the key is not ours to change."""
    if CSR in lineage.conf.own:
        raise ConfigError(
            f"The certificate {lineage.name} is made from a stored CSR, which has the old key: a new CSR is needed.",
            hint=f"Run acmectl certonly --csr FILE --cert-name {lineage.name} with another key's CSR, and then acmectl "
            "revoke --cert-path with the old certificate's file in the archive.",
        )
    request = complete(lineage.conf, names_to_renew(lineage), lineage.conf_path)
    token = request.key.token
    if token is None:
        return replace(request, key=replace(request.key, new_key=True, compromised=True))
    if token == stored_uri(lineage.conf.own):
        raise ConfigError(
            f"The key of the certificate {lineage.name} lies in a PKCS#11 token, where acmectl makes no other key.",
            hint="Make one in the token and name it with --key URI, or go back to a file with --key ''.",
        )
    return request  # that it is another key is checked when it signs


def _replaced(services: Services, lineage: Lineage, request: CertificateRequest) -> tuple[HookFailed, ...]:
    """A new version with a new key, its hooks run; what failed of those. Raises: AcmectlError."""
    target = Target(name=lineage.name, identifiers=names_to_renew(lineage), existing=lineage)
    try:
        return carry_out(services, target, lambda _conf, _identifiers: request).hook_failures
    except AcmectlError:
        text = f"The certificate {lineage.name} has not been replaced and nothing is revoked; {_AGAIN}"
        services.observe(Notice(text=text, level="warning"))
        raise


def _deployed(services: Services, name: str, complete: CompleteRenewal) -> tuple[HookFailed, ...]:
    """Run the deploy hooks that an earlier run left owed."""
    renewer = Renewer(services, complete, keep_notes=True)
    for snapshot in scan(services, [name], touch=True):
        owed = Owed.from_json(snapshot.own.get(DEPLOY)) if isinstance(snapshot, Snapshot) else None
        if isinstance(snapshot, Snapshot) and owed is not None:
            return tuple(renewer.settle(snapshot, owed, forget=False, now_whatever=True)[1])
    return ()


def _revoked(services: Services, name: str, request: RevokeRequest, job: _Job) -> tuple[OldCertificate, ...]:
    """Revoke what is noted. Raises: AcmeError, ConfigError."""
    note = job.note
    account: AccountRequest = replace(
        request.account,
        server=note.server,
        account_id=note.account_id,
        key_path=Path(note.account_key) if note.account_key is not None else None,
    )
    revoke_one = partial(_revoke_one, services, account, note.reason)
    try:
        return tuple(revoke_one(one, job.signers.get(one.spki)) for one in job.old)
    except AcmectlError:
        text = f"The new certificate {name} is live, but the old one is not revoked yet; {_AGAIN}"
        services.observe(Notice(text=text, level="warning"))
        raise


def _revoke_one(
    services: Services, account: AccountRequest, reason: int, one: CertificateInfo, signer: AccountKey | None
) -> OldCertificate:
    if one.not_after <= services.clock.now():
        services.observe(Notice(text=f"The certificate {one.serial:x} has expired, so it is not revoked."))
        return OldCertificate(serial=one.serial, expired=True)
    already = revoke_at(services, account, one.der, reason, signer)
    return OldCertificate(serial=one.serial, revoked=True, already=already)
