"""Small downloads of signed data from where certificates point: http or https, no redirects, capped, with a deadline.

It uses the standard library, because the ACME transport rightly refuses plain http.
"""

from __future__ import annotations

import http.client
import ssl
import time
import urllib.error
import urllib.request
from typing import IO, TYPE_CHECKING, cast
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

_PIECE = 1 << 16
_HTTP_OK = 200


class DownloadError(Exception):
    """Nothing usable came; the text says why."""


def is_fetchable(url: str) -> bool:
    """Whether ``url`` is one that ``download`` takes."""
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and url.isascii() and url.isprintable()
    except ValueError:
        return False


def download(
    url: str, *, deadline: float, limit: int, body: bytes | None = None, headers: Mapping[str, str] | None = None
) -> bytes:
    """The content at ``url``, at most ``limit`` bytes, by ``deadline`` (time.monotonic()); ``body`` makes it a POST.

    Proxies are those of the environment. Raises: DownloadError.
    """
    if not is_fetchable(url):
        raise DownloadError("its URL is not http or https")
    request = urllib.request.Request(url, data=body, headers={"User-Agent": "acmectl", **(headers or {})})  # noqa: S310
    try:
        with _opener().open(request, timeout=_left(deadline)) as answer:
            response = cast("http.client.HTTPResponse", answer)
            if response.status != _HTTP_OK:
                raise DownloadError(f"HTTP status {response.status}")
            if response.length is not None and response.length > limit:
                raise DownloadError(f"it has more than {limit} bytes")
            return _read(response, deadline, limit)
    except urllib.error.HTTPError as error:
        error.close()
        raise DownloadError(f"HTTP status {error.code}") from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        text = " ".join(str(getattr(error, "reason", None) or error or type(error).__name__).split())
        raise DownloadError("".join(c if c.isprintable() else "?" for c in text)[:200]) from None


def _read(response: IO[bytes], deadline: float, limit: int) -> bytes:
    parts = []
    total = 0
    while piece := response.read1(_PIECE):  # type: ignore[attr-defined]
        total += len(piece)
        if total > limit:
            raise DownloadError(f"it has more than {limit} bytes")
        _left(deadline)
        parts.append(piece)
    return b"".join(parts)


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise DownloadError("it took too long")
    return left


def _opener() -> urllib.request.OpenerDirector:
    # What comes is signed and checked for that; the server's certificate may well be what is out of order.
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(context=context),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
    ):
        opener.add_handler(handler)
    return opener
