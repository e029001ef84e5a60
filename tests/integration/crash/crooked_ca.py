"""A whole ACME server made of fixed answers, each of which a test can replace by a crooked one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.x509.oid import NameOID

from tests.integration.servers.hostile import Action, HostileServer, answer

TOKEN = "evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA"
NONCE = {"Replay-Nonce": "oFvnlFP1wIhRlYS2jTaXbA"}


class CrookedCa:
    """Fills ``server.routes`` for one order of ``name``. ``challenges`` False: the order is ready at once."""

    def __init__(self, server: HostileServer, name: str, *, challenges: bool = True) -> None:
        self.server = server
        self.name = name
        url = server.url
        self.directory: dict[str, object] = {
            "newNonce": f"{url}/nonce",
            "newAccount": f"{url}/new-account",
            "newOrder": f"{url}/new-order",
            "revokeCert": f"{url}/revoke",
            "keyChange": f"{url}/key-change",
        }
        self.order: dict[str, object] = {
            "status": "pending" if challenges else "ready",
            "identifiers": [{"type": "dns", "value": name}],
            "authorizations": [f"{url}/authz"] if challenges else [],
            "finalize": f"{url}/finalize",
        }
        self.challenge: dict[str, object] = {
            "type": "http-01",
            "url": f"{url}/challenge",
            "status": "pending",
            "token": TOKEN,
        }
        self.authorization: dict[str, object] = {
            "status": "pending",
            "identifier": {"type": "dns", "value": name},
            "challenges": [self.challenge],
        }
        self.refresh()
        self.put("/nonce", b"")
        self.put("/new-account", {"status": "valid"}, 201, {"Location": f"{url}/account/1"})

    def refresh(self) -> None:
        """Serve the directory, order and authorization as they are now."""
        location = {"Location": f"{self.server.url}/order"}
        self.put("/dir", self.directory)
        self.put("/new-order", self.order, 201, location)
        self.put("/order", self.order)
        self.put("/authz", self.authorization)
        self.put("/challenge", self.challenge)
        valid = {**self.order, "status": "valid", "certificate": f"{self.server.url}/certificate"}
        self.put("/finalize", valid, 200, location)

    def put(self, path: str, body: object, status: int = 200, headers: Mapping[str, str] | None = None) -> None:
        """A well-formed answer with a nonce."""
        lines = {"Content-Type": "application/json", **NONCE, **(headers or {})}
        self.server.routes[path] = answer(body, status, lines)

    def problem(self, path: str, code: str, detail: str, status: int = 403, **headers: str) -> None:
        """A problem document."""
        body = {"type": f"urn:ietf:params:acme:error:{code}", "detail": detail, "status": status}
        kind = {"Content-Type": "application/problem+json", **{k.replace("_", "-"): v for k, v in headers.items()}}
        self.put(path, body, status, kind)

    def act(self, path: str, action: Action) -> None:
        """Anything else."""
        self.server.routes[path] = action


def chain(
    public_key: CertificatePublicKeyTypes,
    names: Sequence[str],
    *,
    start: timedelta = timedelta(hours=-1),
    end: timedelta = timedelta(days=90),
    issuer_of_another: bool = False,
) -> bytes:
    """A certificate for ``public_key`` and the one that issued it, PEM. ``start`` and ``end`` are relative to now."""
    now = datetime.now(UTC)
    issuer_key = ec.generate_private_key(ec.SECP256R1())
    issuer_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "A crooked CA")])
    leaf = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([]))
        .issuer_name(issuer_name)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + start)
        .not_valid_after(now + end)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=True)
        .sign(issuer_key, hashes.SHA256())
    )
    shown_key = ec.generate_private_key(ec.SECP256R1()) if issuer_of_another else issuer_key
    issuer = (
        x509.CertificateBuilder()
        .subject_name(issuer_name)
        .issuer_name(issuer_name)
        .public_key(shown_key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=300))
        .not_valid_after(now + timedelta(days=300))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(shown_key, hashes.SHA256())
    )
    return b"".join(one.public_bytes(serialization.Encoding.PEM) for one in (leaf, issuer))
