"""Let's Encrypt as far as a client can see: its URLs, behind a proxy, and a Pebble that answers there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from tests.integration.hosts import recording_proxy
from tests.integration.servers.between import Answer, Between
from tests.integration.servers.pebble import Pebble


class _LetsEncrypt(Between):
    """Pebble names everything by the host that it is asked for; only its directory has another path."""

    def _answer(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        return super()._answer(method, "/dir" if path == "/directory" else path, headers, body)


@contextmanager
def lets_encrypt(
    pebble: Pebble, *, after: Callable[[str, str, Answer], Answer] | None = None
) -> Iterator[tuple[dict[str, str], list[str]]]:
    """The environment in which ``pebble`` is Let's Encrypt, to acmectl and to certbot, and the hosts asked for.

    ``after`` (method, path, answer) sees each answer and may replace it.
    """
    with _LetsEncrypt(pebble) as server, recording_proxy(server.port) as (url, asked):
        if after is not None:
            server.after = after
        yield {"HTTPS_PROXY": url}, asked
