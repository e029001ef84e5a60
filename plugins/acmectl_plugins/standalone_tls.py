"""A TLS server that shows certificates for tls-alpn-01 and says nothing else (RFC 8737, RFC 8738 section 6).

OpenSSL is fed from memory, so that nothing leaves before it is known that the client asked for ``acme-tls/1``.
"""

from __future__ import annotations

import contextlib
import ipaddress
from typing import TYPE_CHECKING

from OpenSSL import SSL, crypto

from acmectl_plugins.standalone_loop import SocketServer, Talk

if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping, Sequence

    from acmectl.plugin.api import ChallengeTask, Identifier

PROTOCOL = b"acme-tls/1"
_ALERT = 21  # RFC 8446 section 5.1
_MOST = 1 << 16


class _NotForUs(Exception):
    """The client offers other protocols only; it is told so by an alert (RFC 7301 section 3.2)."""


class AlpnServer(SocketServer):
    """Shows the certificate of the name that a client asks for. ``asked`` holds the names that were asked for so."""

    def __init__(self, sockets: Sequence[socket.socket]) -> None:
        super().__init__(sockets)
        self._contexts: dict[str, tuple[str, SSL.Context]] = {}
        self.asked: set[str] = set()
        # It has no certificate: a client that asks for no name of ours gets no further.
        self._nameless = _context()
        self._nameless.set_tlsext_servername_callback(self._choose)

    def answer(self, tasks: Mapping[str, ChallengeTask]) -> None:
        """Show the certificates of these tasks from now on. They are made once for a key of the mapping."""
        known = dict(self._contexts.values())
        self._contexts = {
            server_name(task.identifier): (key, known.get(key) or _certificate_context(*task.alpn_certificate()))
            for key, task in tasks.items()
        }

    def talk(self) -> Talk:
        """A handshake with a new client."""
        return _Handshake(self, self._nameless)

    def _choose(self, connection: SSL.Connection) -> None:
        name = connection.get_servername() or b""
        found = self._contexts.get(name.decode("latin-1").lower())
        if found is not None:
            connection.set_context(found[1])


class _Handshake(Talk):
    """One handshake, after which the connection is closed (RFC 8737 section 3)."""

    def __init__(self, server: AlpnServer, context: SSL.Context) -> None:
        super().__init__()
        self._server = server
        self._tls = SSL.Connection(context, None)
        self._tls.set_accept_state()

    def receive(self, data: bytes) -> bool:
        """Go on with the handshake."""
        self._tls.bio_write(data)
        try:
            self._tls.do_handshake()
        except SSL.WantReadError:
            pass
        except (SSL.Error, _NotForUs):
            self.closing = True
        else:
            if self._agreed:
                self._server.asked.add((self._tls.get_servername() or b"").decode("latin-1").lower())
                with contextlib.suppress(SSL.Error):  # what came after the handshake does not matter
                    self._tls.shutdown()
            self.closing = True
        self._send()
        return False

    @property
    def _agreed(self) -> bool:
        return bool(self._tls.get_app_data() == PROTOCOL)

    def _send(self) -> None:
        said = bytearray()
        try:
            while True:
                said += self._tls.bio_read(_MOST)
        except SSL.WantReadError:
            pass
        if said and not self._agreed and said[0] != _ALERT:
            self.closing = True  # a client without ALPN: it sees no certificate
            return
        self.outgoing += said


def server_name(identifier: Identifier) -> str:
    """What the CA asks for as ``server_name``; for an address the name of its reverse look-up (RFC 8738 section 6)."""
    return ipaddress.ip_address(identifier.value).reverse_pointer if identifier.is_ip else identifier.value


def _certificate_context(key_pem: bytes, certificate_pem: bytes) -> SSL.Context:
    """What shows one certificate."""
    context = _context()
    context.use_privatekey(crypto.load_privatekey(crypto.FILETYPE_PEM, key_pem))
    context.use_certificate(crypto.load_certificate(crypto.FILETYPE_PEM, certificate_pem))
    return context


def _context() -> SSL.Context:
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    context.set_min_proto_version(SSL.TLS1_2_VERSION)
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    context.set_options(SSL.OP_NO_TICKET | SSL.OP_NO_RENEGOTIATION)
    context.set_alpn_select_callback(_select)
    return context


def _select(connection: SSL.Connection, offered: list[bytes]) -> bytes:
    if PROTOCOL not in offered:
        raise _NotForUs
    connection.set_app_data(PROTOCOL)
    return PROTOCOL
