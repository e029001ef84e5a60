"""All lineages as ``renew`` needs them to decide, read from disk or from the index."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from acmectl.acme.ari import ari_certificate_id
from acmectl.errors import AcmectlError, Interrupted, LineageDamaged
from acmectl.events import LineageHealed
from acmectl.pki.summary import summary
from acmectl.storage.healing import find_remains
from acmectl.storage.index import LineageIndex, stamp_of
from acmectl.storage.lineage import BrokenLineage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from acmectl.actions.services import Services
    from acmectl.storage.lineage import Lineage


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """One lineage's facts. ``own`` is the section ``[acmectl]``; ``cert_id`` names the certificate in ARI (RFC 9773).

    ``ari_stamp`` is certbot's own note of when it may ask again. The URLs are where the CA tells of revocations.
    """

    name: str
    conf_path: Path
    fullchain_path: Path
    not_before: datetime
    not_after: datetime
    version: int
    server: str | None
    autorenew: bool
    before_expiry: str | None
    cert_id: str | None
    ari_stamp: str | None
    serial: int
    crl_urls: tuple[str, ...]
    ocsp_urls: tuple[str, ...]
    own: Mapping[str, object] = field(repr=False)


def scan(services: Services, names: list[str], *, touch: bool) -> Iterator[Snapshot | BrokenLineage]:
    """The lineages called ``names``, one after the other.

    With ``touch`` what killed runs left half-done is finished, and the index is kept up to date; without it nothing is
    written. A lineage that cannot be used is given as broken and never hides the others.
    """
    index = LineageIndex(services.layout)
    remains = find_remains(services.layout)
    for name in names:
        facts = None if name in remains else index.entry(name)
        if facts is not None:
            try:
                yield _from_facts(name, facts)
                continue
            except (KeyError, TypeError, ValueError):
                pass  # written by another version: read it anew
        try:
            if touch:
                for what in services.lineages.heal(name):
                    services.observe(LineageHealed(lineage=name, what=what))
            yield _read(services, name, index)
        except Interrupted:
            raise
        except AcmectlError as error:
            yield BrokenLineage(name=name, path=services.layout.renewal_conf(name), reason=error.message)
    if touch:
        index.save()


def _read(services: Services, name: str, index: LineageIndex) -> Snapshot:
    conf_path = str(services.layout.renewal_conf(name))
    lineage = services.lineages.get(name)
    paths = [conf_path, str(lineage.live_dir), str(lineage.archive_dir), str(lineage.cert_path)]
    stamp = stamp_of(paths)
    lineage = services.lineages.get(name)  # read after the stamp was taken, so that no change can be missed
    facts = _facts(lineage)
    index.put(name, paths, stamp, facts)
    return _from_facts(name, facts)


def _facts(lineage: Lineage) -> dict[str, object]:
    conf = lineage.conf
    if not conf.has_params or conf.text("authenticator") is None:
        raise LineageDamaged(f"{lineage.conf_path} does not say how the certificate is renewed (no authenticator).")
    certificate = summary(lineage.read("cert"))
    cert_id = None
    if certificate.aki:
        cert_id = ari_certificate_id(certificate.aki, certificate.serial)
    before = conf.root.get("renew_before_expiry")
    return {
        "conf_path": str(lineage.conf_path),
        "fullchain": str(lineage.fullchain_path),
        "not_before": certificate.not_before.timestamp(),
        "not_after": certificate.not_after.timestamp(),
        "version": lineage.version,
        "server": conf.text("server"),
        "autorenew": (conf.text("autorenew") or "").lower() != "false",
        "before_expiry": before if isinstance(before, str) else None,
        "cert_id": cert_id,
        "ari_stamp": conf.ari.get("ari_retry_after"),
        "serial": f"{certificate.serial:x}",
        "crl_urls": list(certificate.crl_urls),
        "ocsp_urls": list(certificate.ocsp_urls),
        "own": dict(conf.own),
    }


def _from_facts(name: str, facts: Mapping[str, object]) -> Snapshot:
    own = facts["own"]
    version = facts["version"]
    if not isinstance(own, Mapping) or not isinstance(version, int):
        raise TypeError("not what was written")
    return Snapshot(
        name=name,
        conf_path=Path(_text(facts["conf_path"])),
        fullchain_path=Path(_text(facts["fullchain"])),
        not_before=_moment(facts["not_before"]),
        not_after=_moment(facts["not_after"]),
        version=version,
        server=_optional(facts["server"]),
        autorenew=facts["autorenew"] is True,
        before_expiry=_optional(facts["before_expiry"]),
        cert_id=_optional(facts["cert_id"]),
        ari_stamp=_optional(facts["ari_stamp"]),
        serial=int(_text(facts["serial"]), 16),
        crl_urls=_texts(facts["crl_urls"]),
        ocsp_urls=_texts(facts["ocsp_urls"]),
        own=own,
    )


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("not a text")
    return value


def _optional(value: object) -> str | None:
    return None if value is None else _text(value)


def _texts(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise TypeError("not a list")
    return tuple(_text(one) for one in value)


def _moment(value: object) -> datetime:
    if not isinstance(value, int | float):
        raise TypeError("not a time")
    return datetime.fromtimestamp(value, UTC)
