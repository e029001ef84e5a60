"""Web services of DNS providers, for plugins: http or https, no redirects, capped, with a deadline."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from acmectl.errors import PluginError
from acmectl.plugin.api import HttpAnswer

if TYPE_CHECKING:
    from collections.abc import Mapping

    import requests

    from acmectl.interrupts import Interrupts

_MOST_BYTES = 4 << 20
_CONNECT = 10.0  # seconds
_PIECE = 1 << 16


class Web:
    """Implements plugin.api.HttpClient. Trust and proxies come from the environment, as for requests anywhere."""

    def __init__(self, interrupts: Interrupts, user_agent: str = "acmectl") -> None:
        self._interrupts = interrupts
        self._user_agent = user_agent
        self._session: requests.Session | None = None

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        timeout: float = 30.0,
    ) -> HttpAnswer:
        """One request; redirects are not followed. ``timeout`` in seconds for all of it.

        Raises: PluginError, whose message has neither the query nor a password of the URL; Interrupted.
        """
        import requests

        where = _shown(url)
        if not url.startswith(("http://", "https://")):
            raise PluginError(f"{where} is no URL of a web service.")
        if self._session is None:
            self._session = requests.Session()
            # Without this, requests would look for passwords in .netrc.
            self._session.auth = lambda request: request
        deadline = time.monotonic() + timeout
        try:
            with (
                self._interrupts.interruptible(),
                self._session.request(
                    method,
                    url,
                    headers={"User-Agent": self._user_agent, **(headers or {})},
                    data=body,
                    timeout=(min(_CONNECT, timeout), timeout),
                    allow_redirects=False,
                    stream=True,
                ) as answer,
            ):
                content = _read(answer, deadline, where)
                return HttpAnswer(
                    status=answer.status_code,
                    headers={name.lower(): value for name, value in answer.headers.items()},
                    body=content,
                )
        except requests.Timeout as error:
            raise PluginError(f"{where} did not answer within {timeout:g} seconds.") from error
        except requests.exceptions.SSLError as error:
            raise PluginError(
                f"The TLS connection to {where} failed.",
                hint="If its CA is a private one, REQUESTS_CA_BUNDLE=FILE makes it known.",
            ) from error
        except (requests.RequestException, OSError, ValueError) as error:
            raise PluginError(f"{where} cannot be reached: {type(error).__name__}.") from error


def _read(answer: requests.Response, deadline: float, where: str) -> bytes:
    parts: list[bytes] = []
    size = 0
    for part in answer.iter_content(_PIECE):
        parts.append(part)
        size += len(part)
        if size > _MOST_BYTES:
            raise PluginError(f"{where} sent an answer of more than {_MOST_BYTES} octets.")
        if time.monotonic() > deadline:
            raise PluginError(f"{where} took too long to send its answer.")
    return b"".join(parts)


def _shown(url: str) -> str:
    """Scheme, host and path: what may be in a message."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or "?"
        text = f"{parts.scheme}://{host}{f':{parts.port}' if parts.port else ''}{parts.path}"
    except ValueError:
        return "the URL"
    return "".join(c if c.isprintable() else "?" for c in text)[:200]
