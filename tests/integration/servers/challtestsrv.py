"""pebble-challtestsrv: the DNS world that Pebble sees, changed and questioned over its management port."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tests.integration.servers.process import ServerProcess, accepts, free_port
from tests.integration.servers.requirements import pebble_programs

QTYPES = {1: "A", 5: "CNAME", 16: "TXT", 28: "AAAA", 257: "CAA"}

# Proxies of the environment have no say in what goes on inside one machine.
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def absolute(host: str) -> str:
    """``host`` with a dot at its end."""
    return host if host.endswith(".") else host + "."


@dataclass(frozen=True, slots=True, kw_only=True)
class DnsQuestion:
    """One question that was asked: absolute name without its last dot, and type (``A``, ``TXT``...)."""

    name: str
    type: str


class ChallTestSrv:
    """Answers DNS over UDP and TCP: every name has the address ``default_ipv4`` until told otherwise.

    Names may be given with or without a dot at the end.
    """

    def __init__(
        self, folder: Path, *, default_ipv4: str = "127.0.0.1", default_ipv6: str = "", dns_port: int | None = None
    ) -> None:
        self.dns_port = dns_port or free_port()
        self.management_port = free_port()
        command = [
            str(pebble_programs().challtestsrv),
            *("-dnsserver", self.dns_address),
            *("-management", f"127.0.0.1:{self.management_port}"),
            *("-defaultIPv4", default_ipv4, "-defaultIPv6", default_ipv6),
            *("-http01", "", "-https01", "", "-tlsalpn01", "", "-doh", ""),
        ]
        self.process = ServerProcess("pebble-challtestsrv", command, log=folder / "challtestsrv.log")

    @property
    def dns_address(self) -> str:
        """``127.0.0.1:PORT``, for UDP and TCP."""
        return f"127.0.0.1:{self.dns_port}"

    @property
    def management_url(self) -> str:
        """Where records are set, for programs other than this one: ``POST <url>/set-txt``."""
        return f"http://127.0.0.1:{self.management_port}"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self.stop()

    def start(self) -> None:
        self.process.start(lambda: accepts(self.management_port) and accepts(self.dns_port))

    def stop(self) -> None:
        self.process.stop()

    def _post(self, verb: str, body: Mapping[str, object]) -> bytes:
        request = urllib.request.Request(f"{self.management_url}/{verb}", json.dumps(body).encode(), method="POST")
        with OPENER.open(request, timeout=10) as answer:
            content: bytes = answer.read()
            return content

    def set_default_ipv4(self, address: str) -> None:
        """Address of every name that has none of its own; empty for none."""
        self._post("set-default-ipv4", {"ip": address})

    def set_default_ipv6(self, address: str) -> None:
        """The same for AAAA."""
        self._post("set-default-ipv6", {"ip": address})

    def add_a(self, host: str, *addresses: str) -> None:
        self._post("add-a", {"host": absolute(host), "addresses": list(addresses)})

    def clear_a(self, host: str) -> None:
        self._post("clear-a", {"host": absolute(host)})

    def add_aaaa(self, host: str, *addresses: str) -> None:
        self._post("add-aaaa", {"host": absolute(host), "addresses": list(addresses)})

    def clear_aaaa(self, host: str) -> None:
        self._post("clear-aaaa", {"host": absolute(host)})

    def add_caa(self, host: str, policies: Sequence[tuple[str, str]]) -> None:
        """``policies`` are pairs of tag and value."""
        rows = [{"tag": tag, "value": value} for tag, value in policies]
        self._post("add-caa", {"host": absolute(host), "policies": rows})

    def clear_caa(self, host: str) -> None:
        self._post("clear-caa", {"host": absolute(host)})

    def cname(self, host: str, target: str) -> None:
        self._post("set-cname", {"host": absolute(host), "target": absolute(target)})

    def clear_cname(self, host: str) -> None:
        self._post("clear-cname", {"host": absolute(host)})

    def add_txt(self, host: str, value: str) -> None:
        """One more TXT record at ``host``."""
        self._post("set-txt", {"host": absolute(host), "value": value})

    def clear_txt(self, host: str) -> None:
        """Take away every TXT record at ``host``."""
        self._post("clear-txt", {"host": absolute(host)})

    def set_servfail(self, host: str) -> None:
        self._post("set-servfail", {"host": absolute(host)})

    def clear_servfail(self, host: str) -> None:
        self._post("clear-servfail", {"host": absolute(host)})

    def clear(self, host: str) -> None:
        """Take away everything that was set for ``host``."""
        for verb in ("clear-a", "clear-aaaa", "clear-caa", "clear-cname", "clear-txt", "clear-servfail"):
            self._post(verb, {"host": absolute(host)})

    def history(self, host: str) -> list[DnsQuestion]:
        """The DNS questions asked about ``host``, oldest first."""
        rows = json.loads(self._post("dns-request-history", {"host": absolute(host)}))
        questions = [row["Question"] for row in rows]
        return [
            DnsQuestion(name=row["Name"].rstrip("."), type=QTYPES.get(row["Qtype"], str(row["Qtype"])))
            for row in questions
        ]

    def clear_history(self, host: str) -> None:
        """Forget the questions about ``host``."""
        self._post("clear-request-history", {"host": absolute(host), "type": "dns"})
