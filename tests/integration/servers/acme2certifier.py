"""acme2certifier, an ACME server by others than Pebble's: independent code, in Python, that keeps its state on disk.

It comes from PyPI into an environment of its own below ``.tools``, installed once. It validates at the real ports 80
and 443 and asks a resolver at port 53, so it lives in a network namespace, with a challenge server as that resolver.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import ssl
import tempfile
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Self

import trustme

from benchmarks.programs import TOOLS, BenchmarkError, environment
from tests.integration.servers.challtestsrv import ChallTestSrv
from tests.integration.servers.netns import NetworkNamespace
from tests.integration.servers.process import ServerProcess
from tests.integration.servers.requirements import not_run

if TYPE_CHECKING:
    from tests.integration.cli import Acmectl

_VERSION = "0.46"
_PORT = 14000
_ADDRESS = "127.0.0.1"
_ADDRESS6 = "fd00:6::1"


def environment_folder() -> Path:
    """The environment with acme2certifier and gunicorn, installed now if it is not yet."""
    TOOLS.mkdir(exist_ok=True)
    with (TOOLS / "acme2certifier.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        requirements = ["--only-binary=:all:", "gunicorn", f"acme2certifier=={_VERSION}"]
        try:
            return environment("acme2certifier-venv", requirements, None)
        except (BenchmarkError, OSError) as error:
            reason = " ".join(str(error).split())[-300:]
            not_run(f"acme2certifier {_VERSION} could not be installed from PyPI ({reason})")
            raise AssertionError from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """What a test can ask of it.

    ``eab_keys`` maps key identifiers to base64url HMAC keys and makes external account binding required. ``profiles``
    maps names to descriptions; empty: the CA has none. Names below those of ``prevalidated`` need no challenge.
    ``persist`` offers dns-persist-01, for the issuers of ``caa_identities``.
    """

    eab_keys: Mapping[str, str] = field(default_factory=dict)
    profiles: Mapping[str, str] = field(default_factory=dict)
    caa_identities: tuple[str, ...] = ()
    terms: str = ""
    prevalidated: tuple[str, ...] = ()
    persist: bool = False
    valid_days: int = 90


class Acme2certifier:
    """A running acme2certifier. ``stop`` and ``start`` again keep what it knows. Needs root.

    ``acmectl(folder)`` is the program in its network, where every DNS name is 127.0.0.1; ``with server.inside():``
    moves this thread's sockets there.
    """

    http_port = 80
    address6 = _ADDRESS6
    directory_url = f"https://{_ADDRESS}:{_PORT}/directory"

    def __init__(self, config: Config | None = None) -> None:
        self.config = config or Config()
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self.space = stack.enter_context(NetworkNamespace(addresses=(_ADDRESS6,), resolver=_ADDRESS))
            programs = environment_folder() / "bin"
            self.folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="acmectl-a2c-")))
            self._make_keys()
            path = self._write_config()
            self.dns = ChallTestSrv(self.folder, dns_port=53)
            command = [
                *(*self.space.prefix, str(programs / "gunicorn"), "--workers", "1", "--threads", "4"),
                *("--bind", f"{_ADDRESS}:{_PORT}", "--chdir", str(self.folder), "--access-logfile", "-"),
                *("--certfile", str(self.folder / "tls.pem"), "--keyfile", str(self.folder / "tls-key.pem")),
                "acme2certifier.share.acme2certifier_wsgi:application",
            ]
            environ = {"PATH": f"{programs}:/usr/bin:/bin", "ACME_SRV_CONFIGFILE": str(path), "HOME": str(self.folder)}
            self._process = ServerProcess("acme2certifier", command, log=self.folder / "log", environ=environ)
            with self.inside():
                stack.enter_context(self.dns)
                self.start()
            stack.callback(self.stop)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._stack.close()

    @contextlib.contextmanager
    def inside(self) -> Iterator[None]:
        """For this thread and what it starts: its network."""
        with self.space.inside():
            yield

    def acmectl(self, folder: Path) -> Acmectl:
        """The program as it runs in there."""
        from tests.integration.cli import Acmectl

        return Acmectl(self, folder, prefix=self.space.prefix)

    def start(self) -> None:
        """Start it; called on entering."""
        with self.inside():
            self._process.start(self._answers)

    def stop(self) -> None:
        """End it."""
        self._process.stop()

    def directory(self) -> dict[str, object]:
        """Its directory."""
        with self.inside(), self._opener.open(self.directory_url, timeout=10) as answer:
            content: dict[str, object] = json.load(answer)
        return content

    def requests(self) -> list[str]:
        """Requests it has answered since it first started, as ``POST /acme/neworders``, oldest first."""
        lines = [line.split('"')[1] for line in self._process.log_text().splitlines() if ' HTTP/1.1" ' in line]
        return [line.removesuffix(" HTTP/1.1") for line in lines]

    def log_text(self) -> str:
        """All that it has said so far."""
        return self._process.log_text()

    def _answers(self) -> bool:
        try:
            return "newOrder" in self.directory()
        except OSError:
            return False

    def _make_keys(self) -> None:
        authority = trustme.CA(key_type=trustme.KeyType.ECDSA)
        self.ca_bundle = self.folder / "ca.pem"
        """PEM file with the root that its own HTTPS certificate comes from."""
        authority.cert_pem.write_to_path(str(self.ca_bundle))
        certificate = authority.issue_cert(_ADDRESS, key_type=trustme.KeyType.ECDSA)
        certificate.private_key_pem.write_to_path(str(self.folder / "tls-key.pem"))
        certificate.cert_chain_pems[0].write_to_path(str(self.folder / "tls.pem"))
        root = trustme.CA(organization_name="Root for tests", key_type=trustme.KeyType.ECDSA)
        issuing = root.create_child_ca(key_type=trustme.KeyType.ECDSA)
        root.cert_pem.write_to_path(str(self.folder / "root.pem"))
        issuing.cert_pem.write_to_path(str(self.folder / "issuing.pem"))
        issuing.private_key_pem.write_to_path(str(self.folder / "issuing-key.pem"))
        self._opener = urllib.request.build_opener(
            urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=str(self.ca_bundle))),
            urllib.request.ProxyHandler({}),
        )

    def _write_config(self) -> Path:
        folder, config = self.folder, self.config
        (folder / "issued").mkdir()
        sections: dict[str, dict[str, str]] = {
            "DEFAULT": {"debug": "False", "dns_server_list": json.dumps([_ADDRESS])},
            "CAhandler": {
                "handler_module": "acme2certifier.cahandlers.openssl_ca_handler",
                "issuing_ca_key": str(folder / "issuing-key.pem"),
                "issuing_ca_cert": str(folder / "issuing.pem"),
                "issuing_ca_crl": str(folder / "crl.pem"),
                "ca_cert_chain_list": json.dumps([str(folder / "root.pem")]),
                "cert_save_path": str(folder / "issued"),
                "cert_validity_days": str(config.valid_days),
            },
            "DBhandler": {"dbfile": str(folder / "database")},
            "Directory": {},
            "Order": {},
        }
        if config.terms:
            sections["Directory"]["tos_url"] = config.terms
        if config.caa_identities:
            sections["Directory"]["caaidentities"] = json.dumps(config.caa_identities)
        if config.profiles:
            sections["Order"] = {"profiles": json.dumps(dict(config.profiles)), "profiles_check_disable": "False"}
        if config.persist:
            sections["Challenge"] = {"dns_persist_01_support": "True", "dns_persist_allow_policy_wildcard": "True"}
        if config.prevalidated:
            domains = [f"*.{name}" for name in config.prevalidated]
            sections["Authorization"] = {"prevalidated_domainlist": json.dumps(domains)}
        if config.eab_keys:
            (folder / "eab.json").write_text(json.dumps(dict(config.eab_keys)))
            sections["EABhandler"] = {
                "eab_handler_module": "acme2certifier.eabhandlers.json_handler",
                "key_file": str(folder / "eab.json"),
            }
        path = folder / "acme_srv.cfg"
        path.write_text(
            "".join(
                f"[{section}]\n" + "".join(f"{name}: {value}\n" for name, value in options.items()) + "\n"
                for section, options in sections.items()
            )
        )
        return path
