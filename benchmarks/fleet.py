"""Trees of lineages in certbot's layout, with real certificates, as if they had been issued long ago."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

KINDS = ("cert", "privkey", "chain", "fullchain")


@dataclass(frozen=True, slots=True)
class Tree:
    """The three directories of one installation."""

    root: Path

    @property
    def config(self) -> Path:
        """Where the certificates are."""
        return self.root / "config"

    @property
    def options(self) -> list[str]:
        """The options that name the directories; both programs have the same."""
        folders = [("config", self.config), ("work", self.root / "work"), ("logs", self.root / "logs")]
        return [word for name, path in folders for word in (f"--{name}-dir", str(path))]

    def clone(self, root: Path) -> Tree:
        """A copy in place of whatever is at ``root``."""
        shutil.rmtree(root, ignore_errors=True)
        shutil.copytree(self.root, root, symlinks=True)
        return Tree(root)

    def account(self) -> str:
        """The identifier of its only account."""
        (found,) = self.config.glob("accounts/*/*/*/regr.json")
        return found.parent.name


def lineage_names(count: int) -> list[str]:
    """Names of ``count`` lineages."""
    return [f"site{number:05}.bench.test" for number in range(count)]


def plant(tree: Tree, count: int, *, server: str, webroot: Path, account: str, asked: bool) -> None:
    """Make ``count`` lineages, each with a certificate of its own that has 60 of 90 days left; one key serves all.

    ``server``: directory URL. ``asked``: the CA's renewal information is remembered and need not be asked for today.
    """
    for folder in ("renewal", "live", "archive"):
        shutil.rmtree(tree.config / folder, ignore_errors=True)
    (tree.config / "renewal").mkdir(parents=True)
    for folder in ("live", "archive"):
        (tree.config / folder).mkdir(mode=0o700)
    issuer_key, issuer = _issuer()
    issuer_pem = issuer.public_bytes(Encoding.PEM)
    key = ec.generate_private_key(ec.SECP256R1())
    key_pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    for name in lineage_names(count):
        cert = _leaf(name, key, issuer_key, issuer)
        archive, live = tree.config / "archive" / name, tree.config / "live" / name
        archive.mkdir()
        live.mkdir()
        contents = {"cert": cert, "privkey": key_pem, "chain": issuer_pem, "fullchain": cert + issuer_pem}
        for kind in KINDS:
            (archive / f"{kind}1.pem").write_bytes(contents[kind])
            (live / f"{kind}.pem").symlink_to(f"../../archive/{name}/{kind}1.pem")
        (archive / "privkey1.pem").chmod(0o600)
    write_confs(tree, count, server=server, webroot=webroot, account=account, asked=asked)


def write_confs(tree: Tree, count: int, *, server: str, webroot: Path, account: str, asked: bool) -> None:
    """Write the renewal files alone, as ``plant`` does."""
    for name in lineage_names(count):
        conf = _conf(tree, name, server=server, webroot=webroot, account=account, asked=asked)
        (tree.config / "renewal" / f"{name}.conf").write_text(conf)


def _conf(tree: Tree, name: str, *, server: str, webroot: Path, account: str, asked: bool) -> str:
    lines = ["# renew_before_expiry = 30 days", "version = 5.8.0", f"archive_dir = {tree.config}/archive/{name}"]
    lines += [f"{kind} = {tree.config}/live/{name}/{kind}.pem" for kind in KINDS]
    lines += ["", "# Options used in the renewal process", "[renewalparams]", f"account = {account}"]
    lines += ["authenticator = webroot", f"webroot_path = {webroot},", f"server = {server}", "key_type = ecdsa"]
    lines += ["[[webroot_map]]", f"{name} = {webroot}"]
    if asked:
        # certbot's format: local time without a zone.
        tomorrow = datetime.now(UTC).astimezone() + timedelta(days=1)
        lines += ["", "[acme_renewal_info]", f"ari_retry_after = {tomorrow:%Y-%m-%dT%H:%M:%S}"]
    return "\n".join(lines) + "\n"


@cache
def _issuer() -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Bench CA")])
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=60))
        .not_valid_after(now + timedelta(days=900))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    return key, builder.sign(key, hashes.SHA256())


def _leaf(
    name: str, key: ec.EllipticCurvePrivateKey, issuer_key: ec.EllipticCurvePrivateKey, issuer: x509.Certificate
) -> bytes:
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(issuer.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=30))
        .not_valid_after(now + timedelta(days=60))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    return builder.sign(issuer_key, hashes.SHA256()).public_bytes(Encoding.PEM)
