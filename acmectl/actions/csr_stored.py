"""The CSR that a lineage is renewed with: kept in the section ``[acmectl]`` of its renewal file, Base64 of DER.

Its private key may be kept elsewhere; then ``privkeyN.pem`` holds the CSR, so that a version has four files as ever.
"""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING

from acmectl.errors import ConfigError, LineageDamaged
from acmectl.pki.summary import summary
from acmectl.pki.token_file import is_external_key

if TYPE_CHECKING:
    from collections.abc import Mapping

    from acmectl.actions.requests import CertificateRequest
    from acmectl.identifiers import Identifier
    from acmectl.pki.csr import CsrInfo
    from acmectl.storage.lineage import Lineage

KEY = "csr"
"""The key in the section ``[acmectl]``."""


def encoded(csr: CsrInfo) -> str:
    """The CSR as the renewal file has it."""
    return base64.b64encode(csr.der).decode("ascii")


def stored_csr(name: str, own: Mapping[str, object]) -> CsrInfo | None:
    """The CSR in the section ``[acmectl]`` of the lineage ``name``, if it has one.

    Raises: LineageDamaged when it cannot be used.
    """
    text = own.get(KEY)
    if text is None:
        return None
    from acmectl.pki.csr import read_csr

    try:
        return read_csr(base64.b64decode(text if isinstance(text, str) else "", validate=True))
    except (binascii.Error, ConfigError) as error:
        why = error.message if isinstance(error, ConfigError) else "It is not Base64."
        raise LineageDamaged(
            f"The CSR in the renewal file of {name} cannot be used: {why}",
            hint=f"Store it anew: acmectl certonly --csr FILE --cert-name {name}",
        ) from error


def names_to_renew(lineage: Lineage) -> tuple[Identifier, ...]:
    """The names that the next certificate gets: the stored CSR's, else those of the present certificate.

    Raises: LineageDamaged.
    """
    csr = stored_csr(lineage.name, lineage.conf.own)
    return csr.identifiers if csr is not None else summary(lineage.read("cert")).identifiers


def refuse_other_names(name: str, identifiers: tuple[Identifier, ...], request: CertificateRequest) -> None:
    """A stored CSR cannot be ordered for other names than its own. Raises: ConfigError, LineageDamaged."""
    csr = stored_csr(name, request.own)
    if csr is not None and set(csr.identifiers) != set(identifiers):
        names = " ".join(str(identifier) for identifier in csr.identifiers)
        raise ConfigError(
            f"The certificate {name} is made from a stored CSR, which has the names {names}.",
            hint=f"For other names make another CSR: acmectl certonly --csr FILE --cert-name {name}",
        )


def key_is_elsewhere(lineage: Lineage) -> bool:
    """Whether the live ``privkey.pem`` is a CSR or names a token's key, and is no key. Raises: LineageDamaged."""
    return is_external_key(lineage.read("privkey"))


def private_part(csr: CsrInfo, given: bytes | None, existing: Lineage | None) -> bytes:
    """What goes into ``privkeyN.pem``: the key that was given or is there already, else the CSR in its place.

    Raises: ConfigError when the lineage has a private key that is not the CSR's: servers that use it must not be left
    without one.
    """
    if given is not None:
        return given
    if existing is not None:
        from acmectl.pki.csr import is_in_place_of_key
        from acmectl.pki.keys import public_bytes_of

        present = existing.read("privkey")
        if not is_in_place_of_key(present):
            if public_bytes_of(present) == csr.spki:
                return present
            raise ConfigError(
                f"The certificate {existing.name} has a private key of its own, which is not the CSR's.",
                hint="Give the CSR's key with --key-path FILE, or choose another --cert-name.",
            )
    return csr.in_place_of_key()
