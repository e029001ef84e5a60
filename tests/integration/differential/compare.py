"""What a run left behind and said, as plain facts, and where the facts of two programs differ.

It reads files and runs nothing.

A fact is (aspect, item, value). Aspects: ``exit``, ``files``, ``modes``, ``folders``, ``links``, ``conf``,
``certificates``, ``keys``, ``labels``, ``markers``, ``streams``, ``notes``. What the machine, the clock or the CA's
dice decide is replaced by a name in braces.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import stat
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from configobj import ConfigObj
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa

LABELS = (
    *("Certificate Name", "Serial Number", "Key Type", "Identifiers", "Expiry Date"),
    *("Certificate Path", "Private Key Path", "Certificate is saved at", "Key is saved at"),
    *("Account URL", "Account Thumbprint", "Email contact", "Email contacts"),
    *("Identifier", "Type", "Detail"),
)
"""What scripts look for at the start of a line of standard output."""

_OF_FAILURE = ("Identifier", "Type", "Detail")
MARKERS = ("(success)", "(failure)", "(skipped)", "(parsefail)")

_LABEL = re.compile(rf"\s*({'|'.join(LABELS)}):\s*(.*?)\s*")
_MARKER = re.compile(rf"\s*(.*?)\s*({'|'.join(re.escape(marker) for marker in MARKERS)})\s*")
_STAMP = re.compile(r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}:\d{2}(?:\+00:00|Z)?")
_TOKEN = re.compile(r"(?<=/acme-challenge/)[A-Za-z0-9_-]+")
_ACCOUNT = re.compile(r"\b[0-9a-f]{32}\b")
_TEMPORARY = (".certbot.lock",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """One finished command line: its exit code and what it wrote."""

    code: int
    out: str
    err: str


Facts = Mapping[tuple[str, str], str]
"""(aspect, item) -> value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One fact that is not the same; None where a program has no such fact."""

    aspect: str
    item: str
    certbot: str | None
    acmectl: str | None

    def __str__(self) -> str:
        return f"{self.aspect}: {self.item}\n    certbot: {self.certbot}\n    acmectl: {self.acmectl}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Intended:
    """A difference that is wanted.

    ``item`` and the two values are shell patterns; a value of None means that there is no such fact.

    ``row`` is the name of its row in docs/differences-from-certbot.md.
    """

    row: str
    aspect: str
    item: str
    certbot: str | None = "*"
    acmectl: str | None = "*"

    def covers(self, found: Difference) -> bool:
        """Whether it is the one that was meant."""
        return (
            self.aspect == found.aspect
            and fnmatchcase(found.item, self.item)
            and _fits(found.certbot, self.certbot)
            and _fits(found.acmectl, self.acmectl)
        )


def _fits(value: str | None, pattern: str | None) -> bool:
    if value is None or pattern is None:
        return value is None and pattern is None
    return fnmatchcase(value, pattern)


def differences(certbot: Facts, acmectl: Facts) -> list[Difference]:
    """Every fact that is not the same with both.

    Of a file, folder or section that only one of them has, that alone is told and nothing of what is in it.
    """
    found = []
    for key in sorted({*certbot, *acmectl}):
        theirs, ours = certbot.get(key), acmectl.get(key)
        if theirs == ours or any((above in certbot) != (above in acmectl) for above in _above(*key)):
            continue
        found.append(Difference(aspect=key[0], item=key[1], certbot=theirs, acmectl=ours))
    return found


def _above(aspect: str, item: str) -> list[tuple[str, str]]:
    """The facts that say whether the thing that a fact is about is there, and what it lies in."""
    if aspect in ("exit", "streams", "labels", "markers", "folders"):
        return []
    place, *inside = item.split(" ")
    folders = [("files", str(folder)) for folder in PurePosixPath(place).parents]
    if aspect == "files":
        return folders
    sections = [("conf", " ".join([place, *inside[:count]])) for count in range(1, len(inside))]
    return [*folders, ("files", place), *sections]


def unexpected(found: Iterable[Difference], intended: Iterable[Intended]) -> list[Difference]:
    """The differences that nobody wanted."""
    wanted = list(intended)
    return [one for one in found if not any(rule.covers(one) for rule in wanted)]


def unseen(found: Sequence[Difference], intended: Iterable[Intended]) -> list[Intended]:
    """The wanted differences that are not there."""
    return [rule for rule in intended if not any(rule.covers(one) for one in found)]


def facts(folder: Path, runs: Sequence[Said], *, both_streams: bool = False) -> dict[tuple[str, str], str]:
    """All facts about the tree below ``folder`` and the command lines that were run there.

    Compared is all in its folders ``config``, ``cwd``, ``webroot`` and ``out``, and the modes of ``config``, ``work``
    and ``logs``. Standard error counts only with ``both_streams``, and then only whether there was anything.
    """
    names = _Names(folder)
    found: dict[tuple[str, str], str] = {}
    for number, said in enumerate(runs, 1):
        found.update(_said(number, said, names, both_streams=both_streams))
    for part in ("config", "cwd", "webroot", "out"):
        found.update(_tree(folder / part, names))
    for part in ("config", "work", "logs"):
        if (folder / part).is_dir():
            found["folders", part] = f"{stat.S_IMODE((folder / part).stat().st_mode):04o}"
    return found


class _Names:
    """Stand-ins for what cannot be the same in two trees."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._texts: list[tuple[str, str]] = []
        accounts = sorted((folder / "config" / "accounts").rglob("regr.json"), key=_born)
        for number, path in enumerate(accounts, 1):
            self._texts.append((path.parent.name, f"{{account {number}}}"))
            self._texts.append((json.loads(path.read_text())["uri"], f"{{account {number} url}}"))
            self._texts.append((_thumbprint(path.parent / "private_key.json"), f"{{account {number} thumbprint}}"))
        for path in sorted((folder / "config" / "archive").glob("*/cert*.pem")):
            if certificate := _certificate(path):
                serial = f"{certificate.serial_number:x}"
                self._texts.append((serial, f"{{serial {path.parent.name} {path.stem}}}"))
        self._texts.append((str(folder), "{root}"))
        self._texts.sort(key=lambda row: -len(row[0]))

    def plain(self, text: str) -> str:
        """``text`` with the stand-ins."""
        for known, name in self._texts:
            text = text.replace(known, name)
        text = _TOKEN.sub("{token}", _STAMP.sub("{time}", text))
        return _ACCOUNT.sub("{another account}", text)


def _born(path: Path) -> tuple[str, str]:
    meta = path.parent / "meta.json"
    return (json.loads(meta.read_text()).get("creation_dt", "") if meta.is_file() else "", path.parent.name)


def _thumbprint(path: Path) -> str:
    """RFC 7638, of a JWK file with an RSA or EC key."""
    jwk = json.loads(path.read_text())
    fields = ("e", "kty", "n") if jwk["kty"] == "RSA" else ("crv", "kty", "x", "y")
    text = json.dumps({field: jwk[field] for field in fields}, separators=(",", ":"), sort_keys=True)
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()


def _certificate(path: Path) -> x509.Certificate | None:
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except ValueError:
        return None


def _said(number: int, said: Said, names: _Names, *, both_streams: bool) -> dict[tuple[str, str], str]:
    found = {("exit", str(number)): str(said.code)}
    found["streams", f"{number}: out"] = "something" if said.out.strip() else "nothing"
    if both_streams:
        found["streams", f"{number}: err"] = "something" if said.err.strip() else "nothing"
    seen: dict[str, int] = {}
    failed = ""
    for line in said.out.splitlines():
        if matched := _LABEL.fullmatch(line):
            label, value = matched.groups()
            # The CA lists authorizations in no order, and so failures are told in none.
            failed = value if label == "Identifier" else failed
            about = f"{label} of {failed}" if label in _OF_FAILURE else label
            seen[about] = seen.get(about, 0) + 1
            found["labels", f"{number}: {about} {seen[about]}"] = names.plain(value)
    for stream, text in (("out", said.out), ("err", said.err)):
        for line in text.splitlines():
            if matched := _MARKER.fullmatch(line):
                path, marker = matched.groups()
                path = re.sub(r" expires on \d{4}-\d{2}-\d{2}$", " expires on {day}", path)
                found["markers", f"{number}: {names.plain(path)}"] = f"{marker} on {stream}"
    return found


def _tree(folder: Path, names: _Names) -> dict[tuple[str, str], str]:
    found: dict[tuple[str, str], str] = {}
    for path in sorted(folder.rglob("*")):
        if path.name in _TEMPORARY:
            continue
        place = names.plain(str(path.relative_to(folder.parent)))
        status = path.lstat()
        if path.is_symlink():
            found["files", place] = "link"
            found["links", place] = names.plain(str(path.readlink()))
            continue
        found["files", place] = _kind(path)
        found["modes", place] = f"{stat.S_IMODE(status.st_mode):04o}"
        if folder.name == "out" and path.is_file():
            found["notes", place] = names.plain(path.read_text())
        elif path.suffix == ".conf" and path.parent.name == "renewal":
            found.update(_conf(path, place, names))
        elif path.suffix == ".pem" and path.stem.rstrip("0123456789").endswith("cert"):
            found["certificates", place] = _content(path)
        elif path.name.startswith("privkey"):
            same = [other.name for other in path.parent.glob("privkey*.pem") if other.read_bytes() == path.read_bytes()]
            found["keys", place] = " = ".join(sorted(same))
    return found


def _kind(path: Path) -> str:
    if not path.is_dir():
        return "file"
    holds = any(below.is_symlink() or not below.is_dir() for below in path.rglob("*"))
    return "folder" if holds else "empty folder"


def _conf(path: Path, place: str, names: _Names) -> dict[tuple[str, str], str]:
    """Keys and values of a renewal file, as certbot's parser reads it."""
    conf = ConfigObj(str(path), encoding="utf-8", interpolation=False, raise_errors=False)
    found: dict[tuple[str, str], str] = {}

    def look(section: Mapping[str, object], prefix: str) -> None:
        for key, value in section.items():
            if isinstance(value, Mapping):
                found["conf", f"{place} {prefix}[{key}]"] = "section"
                look(value, f"{prefix}[{key}] ")
            else:
                text = ", ".join(map(str, value)) + "," if isinstance(value, list) else str(value)
                found["conf", f"{place} {prefix}{key}"] = names.plain(text)

    look(conf, "")
    return found


def _content(path: Path) -> str:
    """Names and kind of key of a certificate: what the request in it was."""
    certificate = _certificate(path)
    if certificate is None:
        return "no certificate"
    alternative = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    shown = [
        *sorted(alternative.get_values_for_type(x509.DNSName)),
        *map(str, alternative.get_values_for_type(x509.IPAddress)),
    ]
    key = certificate.public_key()
    if isinstance(key, rsa.RSAPublicKey):
        kind = f"rsa {key.key_size}"
    elif isinstance(key, ec.EllipticCurvePublicKey):
        kind = f"ecdsa {key.curve.name}"
    else:
        kind = type(key).__name__
    staple = any(one.oid == x509.TLSFeature.oid for one in certificate.extensions)
    return f"{' '.join(shown)}; {kind}{'; must staple' if staple else ''}"
