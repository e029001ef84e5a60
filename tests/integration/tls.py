"""What a TLS client is shown."""

from __future__ import annotations

import socket
import ssl

from cryptography import x509


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
