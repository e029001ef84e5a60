"""What lineages there are and in what state. Reads only; takes no lock, loads no cryptography unless in doubt."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from acmectl.actions.detours import SERVERS
from acmectl.actions.ledger import KEY as DEPLOY
from acmectl.actions.ledger import Owed
from acmectl.actions.outputs import stored_paths
from acmectl.errors import AcmectlError, ConfigError
from acmectl.pki.summary import looks_whole, summary
from acmectl.pki.token_file import is_external_key, is_token_key, uri_in
from acmectl.storage.lineage import REVOKED, REVOKED_SECOND, BrokenLineage

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from acmectl.identifiers import Identifier
    from acmectl.storage.lineage import Lineage
    from acmectl.storage.lineages import LineageStore
    from acmectl.storage.places import Places

__all__ = ["REVOKED", "ListedCertificate", "Listing", "list_certificates"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedSecond:
    """The second certificate of a lineage. ``problem`` says in a few words why it cannot be used, if so.

    ``version`` is None where its links do not lead to one version. ``flags`` are EXPIRED, REVOKED.
    """

    key_type: str
    serial: int | None = None
    not_before: datetime | None = None
    not_after: datetime | None = None
    version: int | None = None
    flags: tuple[str, ...] = ()
    problem: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedCertificate:
    """One lineage that can be used. Times are aware UTC; ``flags`` are TEST_CERT, EXPIRED, REVOKED.

    ``owed`` are deploy hooks that have not succeeded yet; ``pinned`` the version that a rollback keeps live.
    ``key_elsewhere``: ``path_of("privkey")`` holds a stored CSR instead of a key, or the name of a key in a PKCS#11
    token, which is ``key_uri``.
    ``server`` has issued it; ``servers`` may, if they are several. ``outputs``: the files beside the live links, by the
    options that ask for them.
    """

    name: str
    serial: int
    key_type: str
    identifiers: tuple[Identifier, ...]
    not_before: datetime
    not_after: datetime
    server: str | None
    authenticator: str | None
    version: int
    places: Places = field(repr=False)
    flags: tuple[str, ...]
    owed: tuple[str, ...] = ()
    pinned: int | None = None
    key_elsewhere: bool = False
    key_uri: str | None = None
    servers: tuple[str, ...] = ()
    outputs: Mapping[str, Path] = field(default_factory=dict)
    second: ListedSecond | None = None

    @property
    def live_dir(self) -> Path:
        """The directory of the live links."""
        return Path(self.places.live_dir)

    def path_of(self, kind: str) -> str:
        """The live link of ``kind``, as text: a long list would make thousands of Paths to show them once."""
        path = self.places.live_path(kind)
        return path if "//" not in path and "/." not in path else str(Path(path))


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """All lineages that fit the filter, and the renewal files that lead to none that can be used."""

    certificates: tuple[ListedCertificate, ...]
    invalid: tuple[BrokenLineage, ...]


def list_certificates(
    lineages: LineageStore,
    *,
    now: datetime,
    cert_name: str | None = None,
    identifiers: tuple[Identifier, ...] = (),
) -> Listing:
    """The lineages named ``cert_name`` (all if None) whose certificate has all of ``identifiers``."""
    wanted = frozenset(identifiers)
    certificates: list[ListedCertificate] = []
    invalid: list[BrokenLineage] = []
    for lineage in _selected(lineages, cert_name):
        if isinstance(lineage, BrokenLineage):
            invalid.append(lineage)
            continue
        try:
            listed = _listed(lineage, now)
        except AcmectlError as error:
            invalid.append(BrokenLineage(name=lineage.name, path=lineage.conf_path, reason=error.message))
            continue
        if isinstance(listed, BrokenLineage):
            invalid.append(listed)
        elif not wanted or wanted <= frozenset(listed.identifiers):
            certificates.append(listed)
    return Listing(certificates=tuple(certificates), invalid=tuple(invalid))


def _selected(lineages: LineageStore, cert_name: str | None) -> Iterator[Lineage | BrokenLineage]:
    if cert_name is None:
        yield from lineages.all()
        return
    if not lineages.exists(cert_name):
        return
    try:
        yield lineages.get(cert_name)
    except AcmectlError as error:
        path = lineages.layout.renewal_conf(cert_name)
        yield BrokenLineage(name=cert_name, path=path, reason=error.message)


def _listed(lineage: Lineage, now: datetime) -> ListedCertificate | BrokenLineage:
    files = lineage.read_all()
    try:
        leaf = summary(files.cert)
    except ConfigError:
        leaf = None
    if leaf is None or not looks_whole(files.cert, files.chain, files.fullchain, files.privkey, leaf=leaf):
        from acmectl.pki.chain import verify_lineage

        problem = verify_lineage(files.cert, files.chain, files.fullchain, files.privkey)
        if problem is not None:
            return BrokenLineage(name=lineage.name, path=lineage.conf_path, reason=f"{lineage.live_dir}: {problem}.")
    certificate = leaf or summary(files.cert)
    server = lineage.conf.text("server")
    flags = []
    if server is not None and "staging" in server:
        flags.append("TEST_CERT")
    if certificate.not_after <= now:
        flags.append("EXPIRED")
    if lineage.conf.own.get(REVOKED) is not None:
        flags.append("REVOKED")
    debt = Owed.from_json(lineage.conf.own.get(DEPLOY))
    return ListedCertificate(
        name=lineage.name,
        serial=certificate.serial,
        key_type=certificate.key_type,
        identifiers=certificate.identifiers,
        not_before=certificate.not_before,
        not_after=certificate.not_after,
        server=server,
        authenticator=lineage.conf.text("authenticator"),
        version=lineage.version,
        places=lineage.places,
        flags=tuple(flags),
        owed=debt.hooks if debt is not None else (),
        pinned=lineage.pinned,
        servers=_texts(lineage.conf.own.get(SERVERS)),
        outputs=stored_paths(lineage.conf.own),
        second=_second(lineage, now),
        key_elsewhere=is_external_key(files.privkey),
        key_uri=uri_in(files.privkey) if is_token_key(files.privkey) else None,
    )


def _second(lineage: Lineage, now: datetime) -> ListedSecond | None:
    if lineage.second is None:
        return None
    key_type, version = lineage.second.key_type.upper(), lineage.second.version
    try:
        files = lineage.read_second()
        if files is None:
            return None
        leaf = summary(files.cert)
    except AcmectlError as error:
        return ListedSecond(key_type=key_type, version=version, problem=error.message.rstrip("."))
    problem = None
    if not looks_whole(files.cert, files.chain, files.fullchain, files.privkey, leaf=leaf):
        from acmectl.pki.chain import verify_lineage

        problem = verify_lineage(files.cert, files.chain, files.fullchain, files.privkey)
    flags = ["EXPIRED"] if leaf.not_after <= now else []
    if lineage.conf.own.get(REVOKED_SECOND) is not None:
        flags.append("REVOKED")
    return ListedSecond(
        key_type=leaf.key_type,
        serial=leaf.serial,
        not_before=leaf.not_before,
        not_after=leaf.not_after,
        version=version,
        flags=tuple(flags),
        problem=problem,
    )


def _texts(value: object) -> tuple[str, ...]:
    return tuple(one for one in value if isinstance(one, str)) if isinstance(value, list) else ()
