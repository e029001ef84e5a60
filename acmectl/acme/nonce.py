"""Anti-replay nonces (RFC 8555 section 6.5)."""

from __future__ import annotations

import re
import threading
from collections import deque

_NONCE = re.compile(r"[A-Za-z0-9_-]{1,512}")


def is_nonce(text: str) -> bool:
    """True for a well-formed nonce: base64url (RFC 8555 section 6.5.1)."""
    return _NONCE.fullmatch(text) is not None


class NoncePool:
    """Nonces not used yet, newest first. Thread-safe; none is ever given out twice."""

    def __init__(self, *, limit: int = 64) -> None:
        """Keep at most ``limit`` nonces; the oldest, which expire first, are forgotten."""
        self._nonces: deque[str] = deque(maxlen=limit)
        self._lock = threading.Lock()

    def add(self, nonce: str | None) -> None:
        """Keep ``nonce`` if it is one (RFC 8555 section 6.5.1: others are ignored)."""
        if nonce is not None and is_nonce(nonce):
            with self._lock:
                if nonce not in self._nonces:
                    self._nonces.append(nonce)

    def take(self) -> str | None:
        """The newest nonce, which leaves the pool; None when the pool is empty."""
        with self._lock:
            return self._nonces.pop() if self._nonces else None

    def __len__(self) -> int:
        return len(self._nonces)
