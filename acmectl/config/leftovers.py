"""Keys that older clients understood and that still stand in configuration files; they ask for nothing any more."""

from __future__ import annotations

_GONE = {
    "--agree-dev-preview",
    "--manual-public-ip-logging-ok",
    "--manual-test-mode",
    "--standalone-supported-challenges",
    "--tls-sni-01-address",
    "--tls-sni-01-port",
}
_OF_INSTALLERS = ("--nginx-", "--apache-")


def leftover(flag: str) -> str | None:
    """Why a key of a file (as a long flag) is ignored; None when it is no leftover."""
    if flag in _GONE:
        return "it has no effect any more"
    if flag.startswith(_OF_INSTALLERS):
        return "acmectl does not edit the configuration of web servers"
    return None
