"""A place to crash in: a Pebble of its own, acmectl's directories, and questions about what is left."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.integration.cli import KINDS, Acmectl, Outcome
from tests.integration.crash.calls import plain
from tests.integration.servers.pebble import Pebble, PebbleConfig

NAME = "a.example"
_ISSUED = re.compile(r"Issued certificate serial ([0-9a-f]+) for order")


@dataclass(frozen=True, slots=True)
class Spent:
    """What a CA did since a moment: orders that it accepted, and serial numbers that it issued."""

    orders: int
    serials: tuple[int, ...]


class Ground:
    """acmectl below ``folder`` and a Pebble that is content with every challenge: no solver is under test here."""

    def __init__(self, folder: Path, pebble: Pebble) -> None:
        self.folder = folder
        self.pebble = pebble
        self.site = folder / "site"
        self.saved = folder / "saved"
        self.trace = folder / "trace"
        self._told = 0
        self.clear()

    def clear(self) -> None:
        """Empty directories, and the CA's account of what it did starts anew."""
        if self.site.exists():
            shutil.rmtree(self.site)
        self.site.mkdir()
        (self.site / "www").mkdir()
        self.acmectl = Acmectl(self.pebble, self.site)
        self._told = len(self.pebble.log_text())

    def keep(self) -> None:
        """Remember the directories as they are now for ``restore``."""
        shutil.copytree(self.site, self.saved, symlinks=True)

    def restore(self) -> None:
        """The directories as they were kept."""
        self.clear()
        shutil.rmtree(self.site)
        shutil.copytree(self.saved, self.site, symlinks=True)

    def spent(self) -> Spent:
        """What the CA did since ``clear`` or ``restore``."""
        log = self.pebble.log_text()[self._told :]
        serials = tuple(int(found, 16) for found in _ISSUED.findall(log))
        return Spent(orders=log.count("Added order "), serials=serials)

    def was_challenged(self) -> bool:
        """Whether the CA was told of an answer to a challenge since ``clear`` or ``restore``."""
        return "POST /chalZ/" in self.pebble.log_text()[self._told :]

    def leftovers(self) -> list[str]:
        """Everything that a finished run must not leave: locks, temporary names, orders in flight."""
        found = [path for path in self.site.rglob("*") if _is_leftover(path)]
        pending = self.acmectl.work / "pending"
        found += pending.iterdir() if pending.is_dir() else []
        return sorted(str(path.relative_to(self.site)) for path in found)

    def state(self) -> tuple[str, ...]:
        """All that the next run can find, without what differs from run to run: equal states have equal futures."""
        spent = self.spent()
        rows = [f"{spent.orders} orders, {len(spent.serials)} certificates"]
        for path in sorted(self.site.rglob("*")):
            name = plain(str(path.relative_to(self.site)))
            if path.is_symlink():
                name += f" -> {os.readlink(path)}"
            elif path.is_file() and not name.startswith("logs/"):
                content = path.read_bytes()
                name += " finalized" if b'"finalized": true' in content else " filled" if content else " empty"
            rows.append(name)
        return tuple(sorted(rows))

    def locks(self) -> list[str]:
        """Lock files that are still there."""
        return [name for name in self.leftovers() if name.endswith(".lock")]


def _is_leftover(path: Path) -> bool:
    return path.name.startswith((".acmectl", ".certbot.lock")) or path.name.endswith((".conf.new", ".tmp"))


@contextmanager
def ground(folder: Path) -> Iterator[Ground]:
    """A ground below ``folder`` with a running Pebble: no refused nonces, so that runs are alike."""
    folder.mkdir()
    with Pebble(PebbleConfig(always_valid=True, nonce_reject=0)) as pebble:
        yield Ground(folder, pebble)


def whole(acmectl: Acmectl, name: str = NAME) -> int:
    """The version that is live, after a look at everything that makes a lineage whole; asserts."""
    version = acmectl.version(name)
    content = {kind: acmectl.live(name, kind).read_bytes() for kind in KINDS}
    assert content["fullchain"] == content["cert"] + content["chain"]
    certificate = x509.load_pem_x509_certificate(content["cert"])
    key = serialization.load_pem_private_key(content["privkey"], None)
    assert _spki(certificate.public_key()) == _spki(key.public_key())
    certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(content["chain"]))
    assert acmectl.names(name) == [name]
    conf = acmectl.renewal(name)
    for kind in KINDS:
        assert conf[kind] == str(acmectl.live(name, kind))
        archived = Path(conf["archive_dir"]) / f"{kind}{version}.pem"
        assert acmectl.live(name, kind).resolve() == archived.resolve()
    assert conf["renewalparams"]["authenticator"] == "webroot"
    assert acmectl.live(name, "privkey").stat().st_mode & 0o777 == 0o600
    return version


def _spki(key: object) -> bytes:
    return key.public_bytes(  # type: ignore[attr-defined,no-any-return]
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def first_issuance(ground: Ground) -> Sequence[str]:
    """The command line of a first issuance."""
    return (
        *("certonly", "-n", "--webroot", "-w", str(ground.site / "www"), "-d", NAME, "--no-preflight"),
        *("--agree-tos", "--register-unsafely-without-email"),
    )


def make_due(acmectl: Acmectl, name: str = NAME) -> None:
    """Put a certificate that runs out in some days in the place of version 1, so that ``renew`` has work."""
    now = datetime.now(UTC)
    key = ec.generate_private_key(ec.SECP256R1())
    issuer_key = ec.generate_private_key(ec.SECP256R1())
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "An earlier CA")])
    builder = (
        x509.CertificateBuilder()
        .issuer_name(issuer)
        .not_valid_before(now - timedelta(days=85))
        .not_valid_after(now + timedelta(days=5))
    )
    leaf = (
        builder.subject_name(x509.Name([]))
        .serial_number(x509.random_serial_number())
        .public_key(key.public_key())
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=True)
        .sign(issuer_key, hashes.SHA256())
        .public_bytes(serialization.Encoding.PEM)
    )
    chain = (
        builder.subject_name(issuer)
        .serial_number(x509.random_serial_number())
        .public_key(issuer_key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(issuer_key, hashes.SHA256())
        .public_bytes(serialization.Encoding.PEM)
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    content = {"privkey": private, "cert": leaf, "chain": chain, "fullchain": leaf + chain}
    for kind, data in content.items():
        (acmectl.config / "archive" / name / f"{kind}1.pem").write_bytes(data)


def shows_it_valid(acmectl: Acmectl, name: str = NAME) -> Outcome:
    """``certificates``, which must list the lineage as valid."""
    done = acmectl.run("certificates", server=False).ok()
    assert f"Certificate Name: {name}" in done.out, str(done)
    assert "VALID: " in done.out, str(done)
    assert "INVALID" not in done.out, str(done)
    return done
