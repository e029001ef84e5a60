"""What a TLS client is shown."""

from __future__ import annotations

import socket
import ssl

from cryptography import x509

from tests.integration.servers.process import wait_until


def served_certificate(port: int, name: str, address: str = "127.0.0.1") -> x509.Certificate:
    """The leaf that the server on that port shows to who asks for ``name``."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with (
        socket.create_connection((address, port), timeout=30) as connection,
        context.wrap_socket(connection, server_hostname=name) as tls,
    ):
        leaf = tls.getpeercert(binary_form=True)
    assert leaf is not None
    return x509.load_der_x509_certificate(leaf)


def wait_until_served(port: int, name: str, certificate: x509.Certificate) -> None:
    """Wait until the server shows ``certificate``: while it reloads, old workers may still answer, or nobody."""

    def served() -> bool:
        try:
            return served_certificate(port, name) == certificate
        except OSError:
            return False

    wait_until(served, f"the new certificate of {name} is served")
