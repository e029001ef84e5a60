"""Keys that somebody else may have: noted when a certificate is revoked for that, and refused ever after."""

from __future__ import annotations

from typing import TYPE_CHECKING

from acmectl.errors import ConfigError
from acmectl.storage.compromised import CompromisedKey, CompromisedKeys

if TYPE_CHECKING:
    from acmectl.actions.services import Services
    from acmectl.pki.certificate import CertificateInfo


def note_compromised(services: Services, lineage: str, certificate: CertificateInfo) -> None:
    """Never use the key of ``certificate`` again. Called with the store locked. Raises: StorageError."""
    key = CompromisedKey(lineage=lineage, serial=certificate.serial, noted=services.clock.now())
    CompromisedKeys(services.layout).add(certificate.spki, key)


def is_compromised(services: Services, csr_der: bytes) -> bool:
    """Whether the key of a CSR must not be used again. Raises: StorageError."""
    keys = CompromisedKeys(services.layout)
    if not keys:
        return False
    from acmectl.pki.csr import read_csr

    return keys.find(read_csr(csr_der).spki) is not None


def refuse_compromised(services: Services, spki: bytes, what: str, *, hint: str) -> None:
    """``what`` begins the sentence and says whose key it is; ``spki`` is DER. Raises: ConfigError, StorageError."""
    found = CompromisedKeys(services.layout).find(spki)
    if found is None:
        return
    whose = f"the certificate {found.serial:x}" + (f" of {found.lineage}" if found.lineage else "")
    raise ConfigError(
        f"{what} has a key that must not be used again: {whose} was taken back on {found.noted:%Y-%m-%d}.", hint=hint
    )
