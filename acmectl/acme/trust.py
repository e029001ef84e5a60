"""Whom to trust for TLS: which bundle of CA certificates, from where."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from pathlib import Path

from acmectl.errors import ConfigError

# In this order, after --ca-bundle.
VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")
_MARKS = (b"-----BEGIN CERTIFICATE-----", b"-----BEGIN TRUSTED CERTIFICATE-----")


def choose_trust(ca_bundle: str | None, environ: Mapping[str, str], *, no_verify: bool = False) -> str | bool:
    """The bundle to verify the CA's TLS certificate with: a path, True for the default bundle, False for none.

    ``ca_bundle`` goes before the environment's REQUESTS_CA_BUNDLE, CURL_CA_BUNDLE and SSL_CERT_FILE, which may also
    name directories of hashed certificates as OpenSSL makes them.

    Raises: ConfigError naming the option or variable when its file is missing, unreadable or not PEM.
    """
    if no_verify:
        return False
    if ca_bundle:
        return _check(ca_bundle, "--ca-bundle")
    for name in VARIABLES:
        if environ.get(name):
            return _check(environ[name], name)
    return True


def _check(text: str, source: str) -> str:
    path = Path(text).expanduser()
    try:
        if path.is_dir():
            return str(path)
        content = path.read_bytes()
    except OSError as error:
        raise ConfigError(
            f"The CA bundle {path} ({source}) cannot be read: {error.strerror}.",
            hint=f"{source} must name a file of PEM certificates.",
        ) from error
    except ValueError as error:
        raise ConfigError(f"The CA bundle given by {source} is not a file name.") from error
    if not any(mark in content for mark in _MARKS):
        raise ConfigError(
            f"The CA bundle {path} ({source}) has no PEM certificate.",
            hint=f"{source} must name a file of PEM certificates.",
        )
    return str(path)


def tls_context(
    verify: str | bool, default_bundle: str, socket_class: type[ssl.SSLSocket] = ssl.SSLSocket
) -> ssl.SSLContext:
    """A TLS context that trusts ``verify`` as ``choose_trust`` gives it; True means the file ``default_bundle``.

    Raises: ConfigError when the bundle cannot be loaded.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.sslsocket_class = socket_class
    if verify is False:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context
    # A bundle may name the issuing CA alone, without its root.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    bundle = default_bundle if verify is True else str(verify)
    try:
        if Path(bundle).is_dir():
            context.load_verify_locations(capath=bundle)
        else:
            context.load_verify_locations(cafile=bundle)
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"The CA bundle {bundle} has a certificate that cannot be read.",
            hint="It must be a file of PEM certificates.",
        ) from error
    return context
