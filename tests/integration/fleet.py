"""Trees of many lineages, written by the store itself, with certificates of a CA that only the test has.

They stand for certificates that were issued long ago: what matters of them is what renew reads.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from acmectl.storage.archive import VersionFiles
from acmectl.storage.layout import Layout
from acmectl.storage.lineages import LineageStore
from acmectl.storage.renewal_conf import JsonValue, RenewalConf
from tests.integration.cli import Acmectl

DAY = datetime.timedelta(days=1)


@cache
def _ca() -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "An issuer of long ago")])
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(now - 900 * DAY).not_valid_after(now + 900 * DAY)
    builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    return key, builder.sign(key, hashes.SHA256())


@cache
def _leaf_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def old_version(
    names: Sequence[str], *, left: datetime.timedelta, lifetime: datetime.timedelta = 90 * DAY
) -> VersionFiles:
    """The four files of a certificate that ends ``left`` from now."""
    ca_key, ca_certificate = _ca()
    key = _leaf_key()
    end = datetime.datetime.now(datetime.UTC) + left
    builder = x509.CertificateBuilder().subject_name(x509.Name([])).issuer_name(ca_certificate.subject)
    builder = builder.public_key(key.public_key()).serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(end - lifetime).not_valid_after(end)
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False)
    builder = builder.add_extension(
        x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False
    )
    leaf = builder.sign(ca_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    chain = ca_certificate.public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return VersionFiles(privkey=private, cert=leaf, chain=chain, fullchain=leaf + chain)


def plant(
    acmectl: Acmectl,
    name: str,
    *,
    names: Sequence[str] | None = None,
    left: datetime.timedelta = 5 * DAY,
    lifetime: datetime.timedelta = 90 * DAY,
    webroot: Path | None = None,
    params: dict[str, str] | None = None,
    own: dict[str, JsonValue] | None = None,
) -> None:
    """A lineage whose certificate ends ``left`` from now, to be renewed at the program's Pebble."""
    assert acmectl.pebble is not None
    store = LineageStore(Layout(config_dir=acmectl.config, work_dir=acmectl.work, logs_dir=acmectl.logs))
    names = list(names or [name])
    number = store.save(name, old_version(names, left=left, lifetime=lifetime))
    stored = {
        "server": acmectl.pebble.directory_url,
        "authenticator": "webroot" if webroot is not None else "standalone",
        "key_type": "ecdsa",
        "http01_port": str(acmectl.pebble.http_port),
        **(params or {}),
    }
    if webroot is not None:
        stored["webroot_path"] = f"{webroot},"
    conf = RenewalConf(
        params={key: value.rstrip(",").split(",") if value.endswith(",") else value for key, value in stored.items()},
        webroot_map=dict.fromkeys(names, str(webroot)) if webroot is not None else {},
        own=own or {},
    )
    store.write_conf(name, conf)
    store.activate(name, number)


def versions(acmectl: Acmectl, name: str) -> set[str]:
    """The numbers that the four live links of a lineage name; one if it is whole."""
    found = set()
    for kind in ("cert", "chain", "fullchain", "privkey"):
        target = (acmectl.config / "live" / name / f"{kind}.pem").resolve(strict=True)
        found.add(target.stem.removeprefix(kind))
    return found
