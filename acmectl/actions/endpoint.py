"""--check-endpoint: whether a TLS server serves the certificate that was deployed."""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from acmectl.actions.ledger import ENDPOINT_CHECK
from acmectl.config.values import shown
from acmectl.errors import AcmectlError, ConfigError, HookFailed, UsageError
from acmectl.identifiers import Identifier, parse_any
from acmectl.pki.summary import summary

if TYPE_CHECKING:
    from acmectl.actions.ledger import Ledger
    from acmectl.actions.services import Services
    from acmectl.clock import Clock
    from acmectl.interrupts import Interrupts
    from acmectl.pki.summary import CertificateSummary

DEFAULT_PORT = 443
NONE = "none"
"""The word that ends the check which a certificate's renewal file remembers."""

PATIENCE = 10.0  # seconds; reloads are asynchronous
_ANSWER = 5.0  # seconds for one answer
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 1.0
# A server may hold one certificate of each kind of key and choose by what the client can verify. Only up to TLS 1.2
# do cipher suites say that.
_CIPHERS = {"RSA": "aRSA", "ECDSA": "aECDSA"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where a TLS server is asked: a host name or an IP address, and a port."""

    host: Identifier
    port: int = DEFAULT_PORT

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host.value else f"{self.host}:{self.port}"

    def server_name(self, identifiers: tuple[Identifier, ...]) -> str | None:
        """The name to send (RFC 6066 section 3): the host, or for an address the first name of the certificate."""
        if not self.host.is_ip:
            return self.host.value
        names = sorted((one for one in identifiers if not one.is_ip), key=lambda one: one.is_wildcard)
        if not names:
            return None
        # A wildcard itself cannot be sent, and it does not stand for its base.
        return f"www.{names[0].base}" if names[0].is_wildcard else names[0].value


def parse_endpoint(text: str, origin: str) -> Endpoint | None:
    """``HOST``, ``HOST:PORT``, ``[IPV6]`` or ``[IPV6]:PORT``; None for the word none.

    Raises: UsageError that names ``origin``.
    """
    given = text.strip()
    if given.lower() == NONE:
        return None

    def refused(why: str) -> UsageError:
        return UsageError(f"{origin}: {shown(text)} is not HOST:PORT: {why}")

    if given.count(":") > 1 and not given.startswith("["):
        raise refused("an IPv6 address stands in brackets.")
    host, port = given, str(DEFAULT_PORT)
    if ":" in given.rpartition("]")[2]:
        host, _, port = given.rpartition(":")
    if not (port.isascii() and port.isdigit() and len(port) <= 5 and 1 <= int(port) <= 65535):
        raise refused("the port is a number from 1 to 65535.")
    if not host:
        raise refused("the host is missing.")
    try:
        identifier = parse_any(host)
    except ConfigError as error:
        raise refused(error.message) from error
    if identifier.is_wildcard:
        raise refused("a wildcard is no host.")
    if identifier.value.rpartition(".")[2].isdigit() and not identifier.is_ip:
        raise refused("such an IP address does not exist.")
    return Endpoint(host=identifier, port=int(port))


def owed_steps(hooks: tuple[str, ...], endpoint: Endpoint | None) -> tuple[str, ...]:
    """What has to succeed for a version to count as deployed: its deploy hooks, then the check."""
    return (*hooks, ENDPOINT_CHECK) if endpoint is not None else hooks


def settle_endpoint(
    services: Services, lineage: str, endpoint: Endpoint | None, ledger: Ledger, *, hooks_failed: bool
) -> list[HookFailed]:
    """Make the check if ``ledger`` owes it, and strike it off when the server serves the live certificate.

    After a hook that failed the server is asked only once: it has hardly any reason to change its mind.
    Raises: StorageError, Interrupted.
    """
    if endpoint is None or ENDPOINT_CHECK not in ledger.owed.hooks:
        return []
    from acmectl.events import Notice

    live = services.lineages.get(lineage)
    pem, other = live.read("cert"), live.read_second()
    patience = 0.0 if hooks_failed else PATIENCE
    try:
        check_endpoint(
            endpoint,
            pem,
            clock=services.clock,
            interrupts=services.interrupts,
            patience=patience,
            or_else=other.cert if other is not None else None,
        )
    except HookFailed as failure:
        return [failure]
    services.observe(Notice(text=f"{endpoint} serves the new certificate of {lineage}."))
    ledger.settle(ENDPOINT_CHECK)
    return []


Ask = Callable[[Endpoint, "str | None", float, "str | None"], bytes]
"""Gives the DER of the leaf that is served: for an endpoint, a name to send, seconds to wait, ciphers if not all."""


def served_leaf(endpoint: Endpoint, server_name: str | None, timeout: float, ciphers: str | None = None) -> bytes:
    """The DER of the leaf certificate that a TLS server shows. Raises: OSError."""
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # Nothing is sent and nothing is believed: what matters is which certificate it is, trusted or not.
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if ciphers is not None:
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers(ciphers)
    address = (endpoint.host.value, endpoint.port)
    with (
        socket.create_connection(address, timeout=timeout) as connection,
        context.wrap_socket(connection, server_hostname=server_name) as tls,
    ):
        leaf = tls.getpeercert(binary_form=True)
    if leaf is None:
        raise OSError("the server showed no certificate")
    return leaf


def check_endpoint(
    endpoint: Endpoint,
    certificate_pem: bytes,
    *,
    clock: Clock,
    interrupts: Interrupts,
    patience: float = PATIENCE,
    ask: Ask = served_leaf,
    or_else: bytes | None = None,
) -> None:
    """Come back once the server serves this very certificate. ``patience`` is in seconds.

    ``or_else`` is a second certificate (PEM) for the same names: a server may have either of them, or both.

    Raises: HookFailed when it serves another one, or none, until the end; Interrupted.
    """
    wanted = {_der(certificate_pem), _der(or_else or certificate_pem)}
    facts = summary(certificate_pem)
    name = endpoint.server_name(facts.identifiers)
    deadline = clock.monotonic() + patience
    pause = _FIRST_PAUSE
    while True:
        with interrupts.interruptible():
            failure = _asked(endpoint, name, wanted, facts, ask)
        if failure is None:
            return
        left = deadline - clock.monotonic()
        if left <= 0:
            raise failure
        clock.sleep(min(pause, left))
        pause = min(pause * 2, _LONGEST_PAUSE)


def _asked(
    endpoint: Endpoint, name: str | None, wanted: set[bytes], facts: CertificateSummary, ask: Ask
) -> HookFailed | None:
    """What is wrong with the certificate that is served now."""
    try:
        served = ask(endpoint, name, _ANSWER, None)
    except (OSError, ValueError) as error:  # ValueError: a name that the system's look-up cannot express
        return HookFailed(
            f"--check-endpoint: {endpoint} gives no TLS answer: {_reason(error)}.",
            hint="See that the server runs and listens there; acmectl renew --retry-deploy asks again.",
        )
    if served in wanted or _by_kind(endpoint, name, facts, ask) in wanted:
        return None
    sent = f" for {name}" if name is not None and name != endpoint.host.value else ""
    return HookFailed(
        f"--check-endpoint: {endpoint} serves{sent} the certificate with serial {_serial(served)}, "
        f"not the new one with serial {facts.serial:x}.",
        hint="See that the server uses the files in live/ and reload it; acmectl renew --retry-deploy asks again.",
    )


def _by_kind(endpoint: Endpoint, name: str | None, facts: CertificateSummary, ask: Ask) -> bytes | None:
    """The leaf that is served to those who can verify only this kind of key; None if there is no such answer."""
    ciphers = _CIPHERS.get(facts.key_type)
    try:
        return ask(endpoint, name, _ANSWER, ciphers) if ciphers is not None else None
    except (OSError, ValueError):
        return None


def _der(certificate_pem: bytes) -> bytes:
    import ssl

    from acmectl.pki.chain import split_chain

    return ssl.PEM_cert_to_DER_cert(split_chain(certificate_pem)[0].decode("ascii").strip())


def _serial(der: bytes) -> str:
    import ssl

    try:
        return f"{summary(ssl.DER_cert_to_PEM_cert(der).encode()).serial:x}"
    except AcmectlError:
        return "unknown"


def _reason(error: Exception) -> str:
    import ssl

    if isinstance(error, TimeoutError):
        return "it did not answer in time"
    if isinstance(error, ssl.SSLError) and error.reason:
        return f"TLS: {error.reason.replace('_', ' ').lower()}"
    return (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
