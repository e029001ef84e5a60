"""Certificates whose private key lies in a PKCS#11 token: nothing of it is read, it signs the request where it is.

The URI (RFC 7512) is kept in the section ``[acmectl]`` of the renewal file. ``privkeyN.pem`` names the key and holds
its public half, so that only a run which makes a certificate needs the token.
"""

from __future__ import annotations

import os
import stat
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from acmectl.errors import ConfigError
from acmectl.events import Notice
from acmectl.pki.token_file import is_external_key, is_token_key, uri_in

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from acmectl.actions.requests import CertificateRequest
    from acmectl.actions.services import Services
    from acmectl.actions.target import Target
    from acmectl.pki.pkcs11 import TokenKey
    from acmectl.pki.pkcs11_uri import TokenUri
    from acmectl.storage.lineage import Lineage

KEY = "key"
"""The key in the section ``[acmectl]``."""

_OPTION = "--key"
_OTHERS = stat.S_IRWXO


def stored_uri(own: Mapping[str, object]) -> str | None:
    """The URI in the section ``[acmectl]``, if its lineage has a key in a token."""
    text = own.get(KEY)
    return text if isinstance(text, str) and text else None


def live_uri(lineage: Lineage) -> str | None:
    """The URI in the live ``privkey.pem``, if that names a key in a token. Raises: LineageDamaged, ConfigError."""
    key_pem = lineage.read("privkey")
    return uri_in(key_pem) if is_token_key(key_pem) else None


def with_file_key(request: CertificateRequest) -> CertificateRequest:
    """The request without a token's key, for a certificate that has its key from elsewhere."""
    own = {key: value for key, value in request.own.items() if key != KEY}
    return replace(request, own=own, key=replace(request.key, token=None))


def check_key_in_token(target: Target, request: CertificateRequest, *, has_csr: bool) -> None:
    """Refuse for a key in a token what needs another one. ``has_csr``: the certificate is made from a stored CSR.

    Raises: ConfigError.
    """
    if request.key.token is None:
        return
    if has_csr:
        raise ConfigError(
            f"The certificate {target.name} is made from a stored CSR, so {_OPTION} cannot be used.",
            hint="Make another certificate with the token's key: choose another --cert-name.",
        )
    if request.key.new_key or request.key.stage_next:
        raise ConfigError(
            f"The key of the certificate {target.name} lies in a PKCS#11 token, where acmectl makes no other key.",
            hint=f"Make one in the token and name it with {_OPTION} URI, or go back to a file with {_OPTION} ''.",
        )


def signed_in_token(
    services: Services, target: Target, request: CertificateRequest, common_name: str | None
) -> tuple[bytes, bytes]:
    """What goes into ``privkeyN.pem``, and the CSR (DER) that the token's key has signed.

    Raises: ConfigError when module, token, PIN or key cannot be used, or the key is not of the kind that was asked for.
    """
    from acmectl.pki.csr import make_csr_with, read_csr
    from acmectl.pki.keys import spec_of
    from acmectl.pki.pkcs11_uri import parse
    from acmectl.pki.token_file import key_file

    uri = parse(request.key.token or "", _OPTION)
    with opened(services, uri) as key:
        key_pem = key_file(uri.for_servers, key.spki)
        spec = spec_of(key_pem)
        if spec.type == "rsa":
            spec.check()
        if request.key.explicit and spec != request.key.spec:
            raise ConfigError(
                f"The key in the token is {spec}, but {request.key.spec} was asked for.",
                hint=f"Leave the kind of key out, or name another key with {_OPTION}.",
            )
        csr_der = make_csr_with(
            key.private, target.identifiers, must_staple=request.must_staple, common_name=common_name
        )
    try:
        read_csr(csr_der)  # verifies the signature
    except ConfigError as error:
        raise ConfigError(
            "The token's signature does not fit the public key beside it in the token.",
            hint="Store the public key that belongs to the private key, with the same ID.",
        ) from error
    if target.existing is not None and not request.dry_run and not is_external_key(target.existing.read("privkey")):
        text = "Servers that load the live privkey.pem will find no key in it; docs/pkcs11.md says what they can load."
        services.observe(Notice(text=text, level="warning"))
    return key_pem, csr_der


@contextmanager
def opened(services: Services, uri: TokenUri) -> Iterator[TokenKey]:
    """The key, for the length of the block. Raises: ConfigError."""
    from acmectl.pki.pkcs11 import EXTRA, ExtraMissing, open_key

    pin = _pin(services, uri)
    try:
        with open_key(uri, pin) as key:
            yield key
    except ExtraMissing as error:
        from acmectl.plugin.registry import install_command

        raise ConfigError(error.message, hint=f"Install it: {install_command(EXTRA)}") from error


def _pin(services: Services, uri: TokenUri) -> str | None:
    """The PIN from where it lies. Raises: ConfigError."""
    from acmectl.pki.pkcs11_uri import PIN_SOURCES
    from acmectl.storage.references import References

    if uri.pin_source is None:
        return None
    follow = References(environ=services.environ, error=ConfigError, kinds=PIN_SOURCES).follow
    pin = follow("The PIN of the PKCS#11 token", uri.pin_source)
    services.keep_secret(pin)
    if uri.pin_source.startswith("file:"):
        path = uri.pin_source.removeprefix("file:").strip()
        try:
            mode = os.stat(path).st_mode  # noqa: PTH116 - a name as it was given
        except OSError:
            mode = 0  # it was there to be read, and has gone since: nobody else can read it
        if mode & _OTHERS:
            text = f"The file {path} with the PIN of a token has mode {stat.S_IMODE(mode):04o}: everybody can use it."
            services.observe(Notice(text=text, level="warning"))
    return pin
