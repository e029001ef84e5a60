"""A DNS world of real servers in a network namespace of its own: a root, BIND, PowerDNS, Knot, resolvers, and Pebble.

::

    def test_something(dns_lab, dns_pebble, tmp_path):            # fixtures of tests/integration/conftest.py
        with dns_lab.acmectl(dns_pebble, tmp_path) as acmectl:    # runs inside, with the lab's resolver
            acmectl.certonly("www.example.test", options=("-a", "dns-x", ...))
        dns_lab.txt("_acme-challenge.www.example.test", PRIMARY)  # {"value", ...}: what a server says
        with dns_lab.inside():                                    # sockets of this thread, and what it starts
            pebble.roots()

| zone | servers |
|---|---|
| example.test | BIND, IPv4 and IPv6, and a secondary that follows at once; it has aliases (see dns_lab_files.py) |
| second.test | BIND alone |
| caa.test | BIND alone; records that let, or do not let, ca.example issue |
| slow.test | BIND, and a secondary that follows only on ``lab.push("slow.test")`` |
| hidden.test | the secondary; its primary, BIND, is in no NS record |
| halfdead.test | BIND, and an address where nothing is |
| halflame.test | BIND, and Knot, which does not know it |
| lost.test | BIND, and a host whose address cannot be looked up |
| v6.test | BIND, and an IPv6 address without a route |
| secret.test | BIND, which answers those who sign with acmectl-key |
| shut.test | one that answers the resolvers alone, as if a firewall closed port 53 to all others; BIND is its primary |
| dead.test | an address where nothing is |
| lame.test | Knot, which does not know it |
| acme-delegate.test, acmedeleg.net | PowerDNS: TSIG, and the HTTP API ``lab.powerdns_api`` with the key ``API_KEY`` |
| knot.test, _acme-challenge.deleg.example.test | Knot, TSIG |
| auth.acme-dns.test | ``ACME_DNS``, where a test may start servers/acme_dns.py |

The resolver remembers a record for a second: give each test names of its own, or call ``lab.forget()`` in between.
TSIG keys: ``KEYS`` and ``secret(name)``; acmectl-key is good for everything. Records that a test makes it also removes.
Names may have no dot at the end. ``lab.primary``, ``secondary``, ``powerdns``, ``knot``: processes to pause, stop and
start again.
"""

from __future__ import annotations

import contextlib
import re
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Self

import dns.exception
import dns.flags
import dns.message
import dns.query
import dns.rcode
import dns.rdatatype
import dns.zone

from tests.integration.servers import dns_lab_files as files
from tests.integration.servers.dns_lab_files import (
    ACME_DNS,
    ADDRESSES,
    API_KEY,
    DEAD,
    KEYS,
    KNOT,
    KNOT_ZONES,
    POWERDNS,
    POWERDNS_ZONES,
    PRIMARY,
    PRIMARY6,
    RESOLVER,
    ROOT,
    SECONDARY,
    SHUT,
    SLOW_RESOLVER,
    TRANSFERRED,
    ZONES,
    secret,
)
from tests.integration.servers.netns import NetworkNamespace
from tests.integration.servers.pebble import Pebble, PebbleConfig
from tests.integration.servers.process import ServerProcess, wait_until
from tests.integration.servers.requirements import find_program, not_run, require, require_root

if TYPE_CHECKING:
    from tests.integration.cli import Acmectl

__all__ = [
    "ACME_DNS",
    "API_KEY",
    "DEAD",
    "KEYS",
    "KNOT",
    "POWERDNS",
    "PRIMARY",
    "PRIMARY6",
    "RESOLVER",
    "ROOT",
    "SECONDARY",
    "SLOW_RESOLVER",
    "DnsLab",
    "secret",
]

_SCHEMAS = ("/usr/share/pdns-backend-sqlite3/schema", "/usr/share/doc/pdns-backend-sqlite3")
_MODULES = ("/usr/lib", "/usr/lib64", "/usr/local/lib")


class DnsLab:
    """The lab, up in a second. ``negative_seconds``: how long its resolver remembers that a record is not there."""

    powerdns_api = f"http://{POWERDNS}:8081/api/v1"

    def __init__(self, *, negative_seconds: int = 1) -> None:
        self._negative_seconds = negative_seconds
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        require_root()
        require("ip", "named", "rndc", "pdns_server", "knotd")
        schema, modules = _powerdns_parts()
        with ExitStack() as stack:
            self.folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="acmectl-dns-")))
            self.space = stack.enter_context(NetworkNamespace(addresses=ADDRESSES, resolver=RESOLVER))
            folders = {}
            for name in ("root", "primary", "secondary", "shut", "resolver", "slow-resolver", "powerdns", "knot"):
                folders[name] = self.folder / name
                folders[name].mkdir()
            (self.folder / "rndc.conf").write_text(files.RNDC)
            files.write_root(folders["root"])
            files.write_primary(folders["primary"])
            files.write_secondary(folders["secondary"], SECONDARY, TRANSFERRED)
            files.write_secondary(folders["shut"], SHUT, ("shut.test",), deaf="127.0.0.1")
            files.write_resolver(folders["resolver"], RESOLVER, negative_seconds=self._negative_seconds)
            files.write_resolver(folders["slow-resolver"], SLOW_RESOLVER, never=(PRIMARY, PRIMARY6))
            files.write_powerdns(folders["powerdns"], schema, modules)
            files.write_knot(folders["knot"])
            self.primary, self.secondary = self._bind("primary"), self._bind("secondary")
            self.powerdns = self._process(
                "powerdns", "pdns_server", f"--config-dir={folders['powerdns']}", "--log-timestamp=no"
            )
            self.knot = self._process("knot", "knotd", "-c", str(folders["knot"] / "knot.conf"))
            everything: list[tuple[ServerProcess, str, Sequence[str]]] = [
                (self._bind("root"), ROOT, (".",)),
                (self.primary, PRIMARY, [zone for zone in ZONES if zone != "secret.test"]),
                (self.powerdns, POWERDNS, POWERDNS_ZONES),
                (self.knot, KNOT, KNOT_ZONES),
                (self._bind("resolver"), RESOLVER, ()),
                (self._bind("slow-resolver"), SLOW_RESOLVER, ()),
                (self.secondary, SECONDARY, ()),
                (self._bind("shut"), "", ()),
            ]
            with self.inside():
                for process, _, _ in everything:
                    process.start(lambda: True)
                    stack.callback(process.stop)
                for process, address, zones in everything:
                    self._wait_for(process, address, zones)
                self.push(*TRANSFERRED)
                wait_until(lambda: self._rndc(SHUT, "retransfer", "shut.test").returncode == 0, "a transfer")
                self._wait_for(self.secondary, SECONDARY, TRANSFERRED)
                wait_until(lambda: self.serial("shut.test", RESOLVER) is not None, "shut.test is there")
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._stack.close()

    def inside(self) -> contextlib.AbstractContextManager[None]:
        """For this thread and what it starts: the lab's network."""
        return self.space.inside()

    @property
    def prefix(self) -> tuple[str, ...]:
        """Before a command line: run it in the lab, with the lab's resolver in /etc/resolv.conf."""
        return self.space.prefix

    @contextlib.contextmanager
    def pebble(self, config: PebbleConfig | None = None) -> Iterator[Pebble]:
        """A Pebble in there, which looks up names at ``RESOLVER`` (unless ``config`` names a ``dns_server``)."""
        with ExitStack() as stack:
            with self.inside():
                pebble = stack.enter_context(Pebble(config or PebbleConfig(dns_server=f"{RESOLVER}:53")))
            yield pebble

    def acmectl(self, pebble: Pebble | None, folder: Path) -> Acmectl:
        """The program as it runs in there."""
        from tests.integration.cli import Acmectl

        return Acmectl(pebble, folder, prefix=self.prefix)

    def run(self, *command: str, text: str = "") -> subprocess.CompletedProcess[str]:
        """Run a program in there to its end."""
        return subprocess.run([*self.prefix, *command], input=text, capture_output=True, text=True, timeout=120)

    def rfc2136(self, path: Path, *, server: str = PRIMARY, key: str = "acmectl-key", **more: str) -> Path:
        """Write a credentials file for dns-rfc2136 there; ``more`` are other keys and values, or replace these."""
        values = {
            "server": server,
            "name": key,
            "secret": secret(key),
            "algorithm": KEYS.get(key, "hmac-sha256").upper(),
            **more,
        }
        path.write_text("".join(f"dns_rfc2136_{name} = {value}\n" for name, value in values.items()))
        path.chmod(0o600)
        return path

    def txt(self, name: str, server: str = PRIMARY) -> set[str]:
        """The TXT values that ``server`` has under ``name``, asked without recursion unless it is a resolver."""
        question = dns.message.make_query(f"{name}.", "TXT")
        if server not in (RESOLVER, SLOW_RESOLVER):
            question.flags &= ~dns.flags.RD
        with self.inside():
            answer = dns.query.tcp(question, server, timeout=10)
        assert answer.rcode() in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN), dns.rcode.to_text(answer.rcode())
        return {
            b"".join(rdata.strings).decode()
            for rrset in answer.answer
            if rrset.rdtype == dns.rdatatype.TXT
            for rdata in rrset
        }

    def forget(self) -> None:
        """Have both resolvers forget everything."""
        for resolver in (RESOLVER, SLOW_RESOLVER):
            done = self._rndc(resolver, "flush")
            assert done.returncode == 0, done.stderr

    def all_txt(self, zone: str, server: str = PRIMARY) -> set[tuple[str, str]]:
        """Every TXT record of a zone of BIND: names and values."""
        with self.inside():
            transfer = dns.query.xfr(server, f"{zone}.", timeout=10, relativize=False)
            content = dns.zone.from_xfr(transfer, relativize=False)
        return {
            (str(name).rstrip("."), b"".join(getattr(rdata, "strings", ())).decode())
            for name, _, rdata in content.iterate_rdatas(dns.rdatatype.TXT)
        }

    def updates(self) -> int:
        """How many messages with updates BIND, the primary, has received."""
        statistics = self.folder / "primary" / "named.stats"
        statistics.unlink(missing_ok=True)
        done = self._rndc(PRIMARY, "stats")
        assert done.returncode == 0, done.stderr
        found = re.search(r"^\s*(\d+) UPDATE$", statistics.read_text(), re.MULTILINE)
        return int(found[1]) if found else 0

    def push(self, *zones: str) -> None:
        """Have the secondary transfer these zones now."""
        for zone in zones:
            done = self._rndc(SECONDARY, "retransfer", zone)
            assert done.returncode == 0, done.stderr

    def _rndc(self, server: str, *words: str) -> subprocess.CompletedProcess[str]:
        return self.run("rndc", "-c", str(self.folder / "rndc.conf"), "-s", server, *words)

    def serial(self, zone: str, server: str) -> int | None:
        """The serial number of a zone at ``server``; None when it does not answer for it."""
        question = dns.message.make_query(zone if zone == "." else f"{zone}.", "SOA")
        if server != RESOLVER:
            question.flags &= ~dns.flags.RD
        with self.inside():
            try:
                answer = dns.query.udp(question, server, timeout=2)
            except (dns.exception.DNSException, OSError):
                return None
        if not (answer.flags & dns.flags.AA or server == RESOLVER) or not answer.answer:
            return None
        return int(next(iter(answer.answer[0])).serial)

    def restart(self, process: ServerProcess, address: str, zones: Sequence[str]) -> None:
        """Start a process again that a test has stopped, and wait until it answers for ``zones``."""
        with self.inside():
            process.start(lambda: True)
            self._wait_for(process, address, zones)

    def _wait_for(self, process: ServerProcess, address: str, zones: Sequence[str]) -> None:
        def answers() -> bool:
            return all(self.serial(zone, address) is not None for zone in zones) and (
                bool(zones) or not address or _listens(address)
            )

        wait_until(answers, f"{process.name} answers; its log ends with:\n{process.tail()}\nwhich")

    def _bind(self, name: str) -> ServerProcess:
        return self._process(name, "named", "-c", str(self.folder / name / "named.conf"), "-g", "-n", "1")

    def _process(self, name: str, program: str, *arguments: str) -> ServerProcess:
        path = find_program(program)
        assert path is not None
        return ServerProcess(name, [path, *arguments], log=self.folder / name / "log")


def _listens(address: str) -> bool:
    try:
        dns.query.udp(dns.message.make_query("nowhere.invalid.", "A"), address, timeout=2)
    except (dns.exception.DNSException, OSError):
        return False
    return True


def _powerdns_parts() -> tuple[Path, Path]:
    schemas = [path for top in _SCHEMAS for path in Path(top).glob("schema.sqlite3.sql")]
    modules = [path for top in _MODULES for path in Path(top).glob("**/libgsqlite3backend.so")]
    if not schemas or not modules:
        not_run("PowerDNS has no SQLite backend (package pdns-backend-sqlite3)")
    return schemas[0], modules[0].parent
