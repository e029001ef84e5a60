"""The key and the CSR of an attempt: new ones, a reused key, those of a stored CSR, or those of an order in flight."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from acmectl.actions.choices import common_name_of
from acmectl.actions.compromised import is_compromised, refuse_compromised
from acmectl.actions.csr_stored import KEY as CSR
from acmectl.actions.csr_stored import private_part, stored_csr
from acmectl.actions.journal import Draft
from acmectl.actions.next_key import chosen_key
from acmectl.actions.token_key import check_key_in_token, signed_in_token
from acmectl.errors import ConfigError
from acmectl.pki.csr import make_csr, read_csr
from acmectl.pki.keys import generate_key, spec_of
from acmectl.pki.token_file import is_external_key

if TYPE_CHECKING:
    from acmectl.actions.accounts import OpenAccount
    from acmectl.actions.requests import CertificateRequest
    from acmectl.actions.services import Services
    from acmectl.actions.target import Target


def draft_for(
    services: Services, account: OpenAccount, target: Target, request: CertificateRequest, profile: str | None
) -> Draft:
    """The draft for ``target``; one in flight is resumed if it is for just this, and its key may still be used.

    Raises: ConfigError, also for a key that must not be used again; StorageError.
    """
    draft = _draft_for(services, account, target, request, profile)
    if not is_compromised(services, draft.csr_der):
        return draft
    if draft.resume is not None:
        services.pending.drop(target.name, second=target.is_second)
        return draft_for(services, account, target, request, profile)
    by_csr = "Make another key and a CSR with it: acmectl certonly --csr FILE --cert-name"
    hint = f"{by_csr if CSR in request.own else 'Change it: acmectl revoke --reissue --cert-name'} {target.name}"
    refuse_compromised(services, read_csr(draft.csr_der).spki, f"The certificate {target.name}", hint=hint)
    return draft


def _draft_for(
    services: Services, account: OpenAccount, target: Target, request: CertificateRequest, profile: str | None
) -> Draft:
    csr = stored_csr(target.name, request.own)
    check_key_in_token(target, request, has_csr=csr is not None)
    common_name = common_name_of(services, target, request)
    staged = chosen_key(services, target, request) if csr is None and request.key.stage_next else None
    if staged is not None:
        reused: bytes | None = staged.key_pem
    else:
        reused = _reused_key(target, request) if csr is None else private_part(csr, request.csr_key, target.existing)
    if csr is not None and reused is not None:
        key_request = f"CSR {hashlib.sha256(csr.der + reused).hexdigest()}"
    else:
        key_request = str(spec_of(reused)) + " reused" if reused is not None else str(request.key.spec)
        if staged is not None:
            key_request = staged.words
        if request.key.token is not None:
            key_request = f"token {request.key.token}"
        if request.must_staple:
            key_request += " must-staple"
        if common_name is not None:
            key_request += f" CN={common_name}"
    if request.not_after is not None:
        key_request += f" not-after={request.not_after}"
    if not request.dry_run:
        found = services.pending.load(target.name, second=target.is_second)
        if found.record is not None and found.record.order.matches(
            server=account.stored.server,
            account_url=account.stored.uri,
            identifiers=target.identifiers,
            profile=profile,
            key_request=key_request,
        ):
            record = found.record
            return Draft(key_pem=record.key_pem, csr_der=record.order.csr_der, key_request=key_request, resume=record)
    if request.key.token is not None:
        key_pem, csr_der = signed_in_token(services, target, request, common_name)
        return Draft(key_pem=key_pem, csr_der=csr_der, key_request=key_request)
    key_pem = reused if reused is not None else generate_key(request.key.spec)
    csr_der = (
        csr.der
        if csr is not None
        else make_csr(key_pem, target.identifiers, must_staple=request.must_staple, common_name=common_name)
    )
    return Draft(key_pem=key_pem, csr_der=csr_der, key_request=key_request)


def _reused_key(target: Target, request: CertificateRequest) -> bytes | None:
    if target.existing is None or not request.key.reuse or request.key.new_key or request.key.compromised:
        return None
    key_pem = target.present("privkey")
    if key_pem is None or request.key.token is not None or is_external_key(key_pem):
        return None
    present = spec_of(key_pem)
    if request.key.explicit and present != request.key.spec:
        raise ConfigError(
            f"The certificate {target.name} reuses its key, which is {present}, but {request.key.spec} was asked for.",
            hint="Add --new-key to change the key once, or --no-reuse-key to stop reusing it.",
        )
    return key_pem
