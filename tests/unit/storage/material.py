"""Real keys and certificates for the store's tests, and ways to look at what it left on disk."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from acmectl.storage.archive import VersionFiles
from acmectl.storage.layout import KINDS, Layout
from acmectl.storage.lineages import LineageStore
from acmectl.storage.renewal_conf import RenewalConf

PARAMS = {
    "account": "0123456789abcdef0123456789abcdef",
    "authenticator": "webroot",
    "webroot_path": ["/var/www"],
    "server": "https://ca.test/dir",
    "key_type": "ecdsa",
}


def layout_in(root: Path) -> Layout:
    """An installation below ``root``, with its three directories."""
    layout = Layout(config_dir=root / "config", work_dir=root / "work", logs_dir=root / "logs")
    for directory in (layout.config_dir, layout.work_dir, layout.logs_dir):
        directory.mkdir(parents=True, exist_ok=True)
    return layout


def version_files(*names: str, serial: int = 1) -> VersionFiles:
    """A key, a certificate for ``names`` and its issuer; the same whenever the same is asked for."""
    return _version_files(names, serial)


@cache
def _version_files(names: tuple[str, ...], serial: int) -> VersionFiles:
    issuer_key = ec.generate_private_key(ec.SECP256R1())
    key = ec.generate_private_key(ec.SECP256R1())
    issuer = _certificate("Test CA", ("ca.test",), issuer_key, "Test CA", issuer_key, 1000 + serial)
    cert = _certificate(names[0], names, key, "Test CA", issuer_key, serial)
    privkey = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return VersionFiles(privkey=privkey, cert=cert, chain=issuer, fullchain=cert + issuer)


def _certificate(
    subject: str,
    names: tuple[str, ...],
    key: ec.EllipticCurvePrivateKey,
    issuer: str,
    issuer_key: ec.EllipticCurvePrivateKey,
    serial: int,
) -> bytes:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(key.public_key())
        .serial_number(serial)
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=90))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False)
        .sign(issuer_key, hashes.SHA256())
        .public_bytes(Encoding.PEM)
    )


def issue(
    store: LineageStore, name: str, *names: str, versions: int = 1, params: dict[str, object] | None = None
) -> None:
    """Store ``versions`` versions of a lineage, the last one live."""
    for serial in range(1, versions + 1):
        number = store.save(name, version_files(*(names or (name,)), serial=serial))
        if serial == 1:
            store.write_conf(name, RenewalConf(params=params or PARAMS))
        store.activate(name, number)


def linked(store: LineageStore, name: str) -> dict[str, str]:
    """What the four live links say."""
    return {kind: os.readlink(store.layout.live(name) / f"{kind}.pem") for kind in KINDS}


def tree(root: Path) -> dict[str, tuple[str, bytes | str | None]]:
    """Every name below ``root`` with its mode and content, so that two states can be compared."""
    found: dict[str, tuple[str, bytes | str | None]] = {}
    for path in sorted(root.rglob("*")):
        mode = f"{path.lstat().st_mode:o}"
        name = str(path.relative_to(root))
        if path.is_symlink():
            found[name] = (mode, os.readlink(path))
        else:
            found[name] = (mode, path.read_bytes() if path.is_file() else None)
    return found
