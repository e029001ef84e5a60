"""What happens to both trees between two command lines: the same for either program."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from tests.integration.differential.machine import Tree

Step = Callable[[Tree], None]

# Notes what it was told; a name of a folder in it is the same in both trees once the root is replaced.
SCRIPT = """#!/bin/sh
echo "{name}: lineage=${{RENEWED_LINEAGE#{root}/}} domains=$RENEWED_DOMAINS" >> {root}/out/notes
"""


def hook(kind: str, name: str = "note", *, executable: bool = True) -> Step:
    """A script in ``renewal-hooks/KIND`` that writes a line to ``out/notes``."""

    def step(tree: Tree) -> None:
        path = tree.config / "renewal-hooks" / kind / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(SCRIPT.format(name=f"{kind}/{name}", root=tree.root))
        path.chmod(0o755 if executable else 0o644)

    return step


def script(path: str, name: str, *, fails: bool = False) -> Step:
    """The same kind of script at ``path`` below the tree's root."""

    def step(tree: Tree) -> None:
        target = tree.root / path
        target.write_text(SCRIPT.format(name=name, root=tree.root) + ("exit 3\n" if fails else ""))
        target.chmod(0o755)

    return step


def written(path: str, text: str) -> Step:
    """A file below the root; ``{root}`` is filled in."""

    def step(tree: Tree) -> None:
        target = tree.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text.replace("{root}", str(tree.root)))

    return step


def folder(path: str) -> Step:
    """An empty folder below the root."""

    def step(tree: Tree) -> None:
        (tree.root / path).mkdir(parents=True)

    return step


def conf_line(name: str, old: str, new: str) -> Step:
    """Lines of ``renewal/NAME.conf`` that match ``old`` become ``new``."""

    def step(tree: Tree) -> None:
        path = tree.renewal(name)
        text, count = re.subn(rf"(?m)^{old}$", lambda _found: new.replace("{root}", str(tree.root)), path.read_text())
        assert count, f"no line of {path.name} matches {old}"
        path.write_text(text)

    return step


def due(name: str) -> Step:
    """The lineage is to be renewed now, by the root key that certbot has for it."""
    return conf_line(name, "version = .*", "version = 5.8.0\nrenew_before_expiry = 900 days")


def emptied(path: str) -> Step:
    """A file below the root loses its content."""
    return written(path, "")


def removed(path: str) -> Step:
    """A file below the root goes away."""

    def step(tree: Tree) -> None:
        (tree.root / path).unlink()

    return step


def mode(path: str, bits: int) -> Step:
    """chmod of a file below the root."""

    def step(tree: Tree) -> None:
        (tree.root / path).chmod(bits)

    return step


def plain_copy_for_link(name: str, kind: str) -> Step:
    """A live link becomes a plain file, as a careless copy of the tree makes it."""

    def step(tree: Tree) -> None:
        link = tree.live(name) / f"{kind}.pem"
        content = link.read_bytes()
        link.unlink()
        link.write_bytes(content)

    return step


def request(path: str, *names: str, key: str = "ecdsa", der: bool = False) -> Step:
    """A certificate signing request."""

    def step(tree: Tree) -> None:
        private = ec.generate_private_key(ec.SECP256R1()) if key == "ecdsa" else rsa.generate_private_key(65537, 2048)
        builder = x509.CertificateSigningRequestBuilder().subject_name(
            x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
        )
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), False)
        encoding = serialization.Encoding.DER if der else serialization.Encoding.PEM
        (tree.root / path).write_bytes(builder.sign(private, hashes.SHA256()).public_bytes(encoding))

    return step


def previous_links(name: str) -> Step:
    """What certbot leaves when it is killed while it switches links: the old ones are to be put back."""

    def step(tree: Tree) -> None:
        for kind in ("cert", "chain", "fullchain", "privkey"):
            link = tree.live(name) / f"{kind}.pem"
            (tree.config / "live" / name / f"previous_{kind}.pem").symlink_to(os.readlink(link))

    return step


def saved_and_not_live(name: str) -> Step:
    """A second version lies in the archive, and the links still lead to the first."""

    def step(tree: Tree) -> None:
        for kind in ("cert", "chain", "fullchain", "privkey"):
            shutil.copy2(tree.live(name) / f"{kind}.pem", tree.config / "archive" / name / f"{kind}2.pem")

    return step
