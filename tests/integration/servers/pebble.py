"""Pebble, the ACME server for tests, with its challenge server beside it."""

from __future__ import annotations

import json
import os
import ssl
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self, TypeVar

import trustme

from tests.integration.servers.challtestsrv import ChallTestSrv
from tests.integration.servers.process import ServerProcess, free_port
from tests.integration.servers.requirements import pebble_programs

# Its HTTPS certificate holds for these too; see lets_encrypt.py.
LETS_ENCRYPT = ("acme-v02.api.letsencrypt.org", "acme-staging-v02.api.letsencrypt.org")
GOOGLE = ("dv.acme-v02.api.pki.goog", "dv.acme-v02.test-api.pki.goog")

RUNS_WITH_REUSE = 5
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """One certificate profile. ``validity`` is in seconds."""

    description: str = "a profile for tests"
    validity: int = 90 * 86400
    promote_common_name: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryAfter:
    """Seconds in Pebble's Retry-After headers; it alternates at random with an HTTP date."""

    order: int = 0
    authz: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PebbleConfig:
    """What a test can ask of Pebble.

    ``eab_keys`` maps key identifiers to base64url HMAC keys and makes external account binding required.
    ``authz_reuse`` and ``nonce_reject`` are percents; with no reuse there is still one of a hundred, for which see
    ``Pebble.authorized_anew``. ``va_sleep_seconds`` only counts without ``va_nosleep``.
    ``http_port`` and ``tls_port`` are where it validates http-01 and tls-alpn-01: free ports when None.
    ``dns_server`` replaces the challenge server's DNS (``host:port``). ``chain_length`` counts intermediates.
    """

    eab_keys: Mapping[str, str] = field(default_factory=dict)
    profiles: Mapping[str, Profile] = field(default_factory=lambda: {"default": Profile()})
    blocklist: tuple[str, ...] = ()
    caa_identities: tuple[str, ...] = ()
    authz_reuse: int = 0
    nonce_reject: int = 15
    va_nosleep: bool = True
    va_sleep_seconds: int | None = None
    always_valid: bool = False
    alternate_roots: int = 0
    chain_length: int = 1
    retry_after: RetryAfter = RetryAfter()
    http_port: int | None = None
    tls_port: int | None = None
    dns_server: str | None = None
    default_ipv4: str = "127.0.0.1"
    default_ipv6: str = ""
    strict: bool = True
    key_algorithm: str = "ecdsa"
    orders_per_page: int = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateStatus:
    """What Pebble knows of a certificate: ``Valid`` or ``Revoked``, and the reason code if one was given."""

    status: str
    reason: int | None


class Pebble:
    """A running Pebble. ``stop`` and ``start`` again give an empty one on the same ports (it keeps nothing on disk)."""

    def __init__(self, config: PebbleConfig | None = None) -> None:
        self.config = config or PebbleConfig()
        self._stack = ExitStack()
        self.port = free_port()
        self.management_port = free_port()
        self.http_port = self.config.http_port or free_port()
        self.tls_port = self.config.tls_port or free_port()
        self.directory_url = f"https://127.0.0.1:{self.port}/dir"
        self.management_url = f"https://127.0.0.1:{self.management_port}"

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self.folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="acmectl-pebble-")))
            self._make_certificate()
            self.dns = ChallTestSrv(
                self.folder, default_ipv4=self.config.default_ipv4, default_ipv6=self.config.default_ipv6
            )
            stack.enter_context(self.dns)
            self._process = ServerProcess(
                "pebble", self._command(), log=self.folder / "pebble.log", environ={**os.environ, **self._environ()}
            )
            self.start()
            stack.callback(self.stop)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._stack.close()

    def _make_certificate(self) -> None:
        authority = trustme.CA(key_type=trustme.KeyType.ECDSA)
        self.ca_bundle = self.folder / "ca.pem"
        """PEM file with the root that Pebble's own HTTPS certificate comes from."""
        authority.cert_pem.write_to_path(str(self.ca_bundle))
        names = ("127.0.0.1", "localhost", "::1", *LETS_ENCRYPT, *GOOGLE)
        certificate = authority.issue_cert(*names, key_type=trustme.KeyType.ECDSA)
        certificate.private_key_pem.write_to_path(str(self.folder / "key.pem"))
        for number, blob in enumerate(certificate.cert_chain_pems):
            blob.write_to_path(str(self.folder / "cert.pem"), append=number > 0)
        context = ssl.create_default_context(cafile=str(self.ca_bundle))
        self._opener = urllib.request.build_opener(
            urllib.request.HTTPSHandler(context=context), urllib.request.ProxyHandler({})
        )

    def _command(self) -> list[str]:
        config = self.config
        path = self.folder / "pebble.json"
        content = {
            "listenAddress": f"127.0.0.1:{self.port}",
            "managementListenAddress": f"127.0.0.1:{self.management_port}",
            "certificate": str(self.folder / "cert.pem"),
            "privateKey": str(self.folder / "key.pem"),
            "httpPort": self.http_port,
            "tlsPort": self.tls_port,
            "externalAccountBindingRequired": bool(config.eab_keys),
            "externalAccountMACKeys": dict(config.eab_keys),
            "domainBlocklist": list(config.blocklist),
            "caaIdentities": list(config.caa_identities),
            "keyAlgorithm": config.key_algorithm,
            "retryAfter": {"authz": config.retry_after.authz, "order": config.retry_after.order},
            "profiles": {
                name: {
                    "description": profile.description,
                    "validityPeriod": profile.validity,
                    "promoteCommonName": profile.promote_common_name,
                }
                for name, profile in config.profiles.items()
            },
        }
        path.write_text(json.dumps({"pebble": content}, indent=1))
        command = [str(pebble_programs().pebble), "-config", str(path)]
        command += ["-dnsserver", config.dns_server or self.dns.dns_address]
        return [*command, "-strict"] if config.strict else command

    def _environ(self) -> dict[str, str]:
        config = self.config
        environ = {
            "PEBBLE_AUTHZREUSE": str(config.authz_reuse),
            "PEBBLE_WFE_NONCEREJECT": str(config.nonce_reject),
            "PEBBLE_VA_NOSLEEP": "1" if config.va_nosleep else "0",
            "PEBBLE_VA_ALWAYS_VALID": "1" if config.always_valid else "0",
            "PEBBLE_ALTERNATE_ROOTS": str(config.alternate_roots),
            "PEBBLE_CHAIN_LENGTH": str(config.chain_length),
            "PEBBLE_WFE_ORDERS_PER_PAGE": str(config.orders_per_page),
        }
        if config.va_sleep_seconds is not None:
            environ["PEBBLE_VA_SLEEPTIME"] = str(config.va_sleep_seconds)
        return environ

    def start(self) -> None:
        """Start it; called on entering. Raises: ServerError."""
        self._process.start(self._answers)

    def stop(self) -> None:
        """End it; connections are refused from then on. The challenge server goes on."""
        self._process.stop()

    def pause(self) -> None:
        """Freeze it: connections are accepted and never answered."""
        self._process.pause()

    def resume(self) -> None:
        """Undo ``pause``."""
        self._process.resume()

    def _answers(self) -> bool:
        try:
            self._get(f"{self.management_url}/roots/0")
            self._get(self.directory_url)
        except OSError:
            return False
        return True

    def _get(self, url: str) -> bytes:
        with self._opener.open(url, timeout=10) as answer:
            content: bytes = answer.read()
            return content

    def _numbered(self, kind: str) -> list[bytes]:
        return [
            self._get(f"{self.management_url}/{kind}/{number}") for number in range(self.config.alternate_roots + 1)
        ]

    def roots(self) -> list[bytes]:
        """The root certificates, PEM: the default chain's first, then the alternates'."""
        return self._numbered("roots")

    def intermediates(self) -> list[bytes]:
        """The certificates that sign leaves, PEM, in the order of ``roots``."""
        return self._numbered("intermediates")

    def cert_status(self, serial: int) -> CertificateStatus | None:
        """What became of the certificate with that serial number; None if Pebble does not know it."""
        try:
            content = json.loads(self._get(f"{self.management_url}/cert-status-by-serial/{serial:x}"))
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return None
            raise
        return CertificateStatus(status=content["Status"], reason=content.get("Reason"))

    def set_renewal_info(self, certificate_pem: str, answer: str) -> None:
        """Make renewalInfo of that certificate answer ``answer``, malformed or not."""
        body = json.dumps({"Certificate": certificate_pem, "ARIResponse": answer}).encode()
        request = urllib.request.Request(f"{self.management_url}/set-renewal-info/", body, method="POST")
        with self._opener.open(request, timeout=10) as reply:
            reply.read()

    def log_text(self) -> str:
        """All that it has said so far."""
        return self._process.log_text()

    def orders(self) -> int:
        """How many orders it has made: a request whose nonce is refused is sent again, and makes none."""
        return self.log_text().count("Added order ")

    def requests(self) -> list[str]:
        """ACME requests it has handled since it first started, as ``POST /order-plz``, oldest first."""
        marker = " -> calling handler()"
        lines = (line for line in self.log_text().splitlines() if line.endswith(marker))
        handled = [" ".join(line.removesuffix(marker).split()[-2:]) for line in lines]
        return [line for line in handled if not line.split()[1].startswith(MANAGEMENT_PATHS)]

    def authorizations(self) -> int:
        """How many it has made since it first started, for identifiers in orders; what came of them does not matter."""
        return self.log_text().count(" authorizations in the db\n")

    def authorized_anew(self, run: Callable[[], Result], count: int = 1) -> Result:
        """What the last ``run`` gives: the first for which ``count`` authorizations were made, at least.

        Also without reuse it takes a valid authorization of the account for one identifier in a hundred. A run in
        which it did so asks for fewer challenges, which proves nothing: here it is done again, a few times at most.
        Whether a challenge is answered has no say in that. Raises: AssertionError when too few were made each time.
        """
        for _ in range(RUNS_WITH_REUSE):
            before = self.authorizations()
            result = run()
            if self.authorizations() - before >= count:
                return result
        raise AssertionError(f"fewer than {count} new authorizations in each of {RUNS_WITH_REUSE} runs")

    def validations(self, name: str) -> int:
        """How often it was asked to look for an answer to a challenge for ``name``, a DNS name without wildcard."""
        marker, value = "Pulled a task from the Tasks queue: ", f'Value:"{name}"}}'
        return sum(marker in line and value in line for line in self.log_text().splitlines())


MANAGEMENT_PATHS = ("/roots/", "/intermediates/", "/root-keys/", "/cert-status-by-serial/", "/set-renewal-info/")
