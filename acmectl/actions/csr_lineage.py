"""certonly --csr with --cert-name: a certificate that renews by itself with the CSR that is stored with it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from acmectl.actions.csr_mode import named_csr
from acmectl.actions.csr_stored import KEY, encoded, private_part
from acmectl.actions.obtain import carry_out, kept, survey
from acmectl.actions.opening import open_sound
from acmectl.actions.settle import settle_all
from acmectl.actions.target import Target
from acmectl.actions.token_key import with_file_key
from acmectl.errors import ConfigError
from acmectl.pki.keys import public_bytes_of
from acmectl.storage.remains import sweep

if TYPE_CHECKING:
    from pathlib import Path

    from acmectl.actions.obtain import Obtained, OutputsOf
    from acmectl.actions.requests import CertificateRequest, Complete
    from acmectl.actions.services import Services
    from acmectl.identifiers import Identifier
    from acmectl.pki.csr import CsrInfo
    from acmectl.storage.lineage import Lineage
    from acmectl.storage.renewal_conf import RenewalConf

_MAX_KEY = 1 << 16  # bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class CsrLineageRequest:
    """The CSR file (PEM or DER), the lineage, names that the CSR must have, and perhaps the file of its private key.

    ``force``: a new certificate even if the stored one has this CSR and is not due.
    """

    csr_path: Path
    name: str
    identifiers: tuple[Identifier, ...] = ()
    key_path: Path | None = None
    force: bool = False
    dry_run: bool = False


def obtain_lineage_for_csr(
    services: Services, request: CsrLineageRequest, complete: Complete, outputs: OutputsOf
) -> Obtained:
    """Make the lineage, or give an existing one this CSR from now on; keep it if it has it already and is not due.

    Raises: ConfigError, UsageError for an unreadable CSR; LineageDamaged; what ``carry_out`` raises.
    """
    csr = named_csr(request.csr_path, request.identifiers)
    if csr.key is None:
        raise ConfigError(
            "The CSR's key is neither RSA nor on one of the curves secp256r1, secp384r1 and secp521r1.",
            hint="Without --cert-name such a CSR can be tried at the CA.",
        )
    key_pem = None if request.key_path is None else _key_of(request.key_path, csr)
    with services.lock():
        existing = _existing(services, request)
        if existing is None:
            services.lineages.check_free(request.name)
        elif existing.conf.own.get(KEY) == encoded(csr) and key_pem is None and not _due(services, request):
            return kept(services, request.name, outputs)
        private_part(csr, key_pem, existing)  # a key that does not fit is an error before anything else happens

        def with_csr(conf: RenewalConf | None, identifiers: tuple[Identifier, ...]) -> CertificateRequest:
            wanted = with_file_key(complete(conf, identifiers))
            return replace(
                wanted,
                own={**wanted.own, KEY: encoded(csr)},
                csr_key=key_pem,
                account=replace(wanted.account, not_key=csr.spki),
            )

        return carry_out(services, Target(name=request.name, identifiers=csr.identifiers, existing=existing), with_csr)


def _existing(services: Services, request: CsrLineageRequest) -> Lineage | None:
    if request.dry_run:
        return services.lineages.get(request.name) if services.lineages.exists(request.name) else None
    settle_all(services)
    sweep(services.layout)
    if not services.lineages.exists(request.name):
        return None
    return open_sound(services, request.name)


def _due(services: Services, request: CsrLineageRequest) -> bool:
    if request.force or request.dry_run:
        return True
    return any(known.due for known in survey(services) if known.name == request.name)


def _key_of(path: Path, csr: CsrInfo) -> bytes:
    """The private key (PEM) in a file, which must be the CSR's. Raises: ConfigError."""
    try:
        with path.open("rb") as file:
            key_pem = file.read(_MAX_KEY)
    except OSError as error:
        raise ConfigError(f"The key {path} cannot be read: {error.strerror}.") from error
    try:
        matches = public_bytes_of(key_pem) == csr.spki
    except ConfigError as error:
        raise ConfigError(f"The key {path} cannot be used: {error.message}", hint=error.hint) from None
    if not matches:
        raise ConfigError(
            f"The key {path} does not belong to the CSR.", hint="Name the key that the CSR was made with."
        )
    return key_pem
