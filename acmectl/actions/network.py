"""Connections to CAs: trust, user agent, one transport per way of trusting, one directory and nonce pool per CA."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from acmectl.acme.budget import BudgetedTransport
    from acmectl.acme.client import AcmeClient
    from acmectl.acme.jws import AccountKey
    from acmectl.clock import Clock
    from acmectl.interrupts import Interrupts
    from acmectl.storage.trust import RememberedTrust

_HASTY = (5.0, 10.0)  # seconds to connect to a CA and to wait for its answer, where there is another one to ask


class Network:
    """Makes clients that share transports. ``ca_bundle`` (PEM file) beats the one remembered for a CA."""

    def __init__(
        self,
        *,
        clock: Clock,
        interrupts: Interrupts,
        trust: RememberedTrust,
        environ: Mapping[str, str],
        user_agent: str,
        ca_bundle: Path | None = None,
        no_verify: bool = False,
    ) -> None:
        self._clock = clock
        self._interrupts = interrupts
        self._trust = trust
        self._environ = environ
        self._user_agent = user_agent
        self._ca_bundle = ca_bundle
        self._no_verify = no_verify
        self._transports: dict[str | bool, BudgetedTransport] = {}
        self._clients: dict[str, AcmeClient] = {}
        self._lock = threading.Lock()

    def client(self, server: str, key: AccountKey | None = None, *, account_url: str | None = None) -> AcmeClient:
        """A client for the CA whose directory URL is ``server``. Raises: ConfigError for an unusable bundle or URL."""
        # Runs that ask no CA, which most are, do not wait for the libraries that this takes.
        from acmectl.acme.client import AcmeClient

        with self._lock:
            client = self._clients.get(server)
            if client is None:
                client = AcmeClient(self._transport(server), server, clock=self._clock)
                self._clients[server] = client
        return client if key is None else client.with_account(key, account_url)

    def look(self, server: str) -> None:
        """See that the CA whose directory URL is ``server`` answers, with little patience.

        Raises: TransportError, ServerProblem, ProtocolViolation, ConfigError, Interrupted.
        """
        from acmectl.acme.client import AcmeClient
        from acmectl.acme.retry import RetryPolicy
        from acmectl.acme.transport import HttpsTransport

        hasty = HttpsTransport(
            verify=self._verify(server),
            user_agent=self._user_agent,
            clock=self._clock,
            interrupts=self._interrupts,
            timeout=_HASTY,
        )
        AcmeClient(hasty, server, clock=self._clock, policy=RetryPolicy(deadline=_HASTY[1])).directory()

    def _verify(self, server: str) -> str | bool:
        from acmectl.acme.transport import choose_trust

        bundle = self._ca_bundle or self._trust.get(server)
        return choose_trust(None if bundle is None else str(bundle), self._environ, no_verify=self._no_verify)

    def _transport(self, server: str) -> BudgetedTransport:
        from acmectl.acme.budget import BudgetedTransport
        from acmectl.acme.transport import HttpsTransport

        verify = self._verify(server)
        transport = self._transports.get(verify)
        if transport is None:
            plain = HttpsTransport(
                verify=verify, user_agent=self._user_agent, clock=self._clock, interrupts=self._interrupts
            )
            transport = self._transports[verify] = BudgetedTransport(plain, clock=self._clock)
        return transport

    def remember_trust(self, server: str) -> None:
        """Keep the bundle given now for the next time (per CA), once it has been seen to work.

        Raises: AcmeError when the CA cannot be reached with it; StorageError.
        """
        if self._ca_bundle is None or self._trust.get(server) == self._ca_bundle.absolute():
            return
        # A bundle given by mistake must not replace one that renewals live on.
        self.client(server).directory()
        self._trust.remember(server, self._ca_bundle)
