"""The proxy that the environment names for the CA, by the rules of requests, which is loaded only if one is named."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from acmectl.errors import ConfigError

if TYPE_CHECKING:
    import ssl

    from urllib3 import ProxyManager

_VARIABLES = frozenset({"https_proxy", "all_proxy"})  # in either case


def proxy_for(url: str) -> str | None:
    """The proxy's URL for a request to ``url``: HTTPS_PROXY or ALL_PROXY, unless NO_PROXY names the host.

    Raises: ConfigError for a SOCKS proxy, or one without a host.
    """
    if not any(value and name.lower() in _VARIABLES for name, value in os.environ.items()):
        return None
    from requests.utils import get_environ_proxies, select_proxy

    found = {name: value for name, value in get_environ_proxies(url).items() if value}
    proxy: str | None = select_proxy(url, found)
    if proxy is None:
        return None
    if proxy.lower().startswith("socks"):
        raise ConfigError("SOCKS proxies are not supported.", hint="Set HTTPS_PROXY to an HTTP proxy.")
    whole = proxy if "://" in proxy else f"http://{proxy}"
    if not urlsplit(whole).hostname:
        raise ConfigError(
            "The proxy's URL in the environment names no host.", hint="Look at HTTPS_PROXY and ALL_PROXY."
        )
    return whole


def manager_for(proxy: str, context: ssl.SSLContext, *, connections: int) -> ProxyManager:
    """What makes tunnels through ``proxy``, with its user and password if the URL has them, to servers that
    ``context`` trusts.

    Raises: urllib3's HTTPError or ValueError for a URL that is none.
    """
    from requests.adapters import HTTPAdapter

    manager: ProxyManager = HTTPAdapter(pool_maxsize=connections).proxy_manager_for(proxy, ssl_context=context)
    return manager
