"""All lineages as ``renew`` needs them to decide, read from disk or from the index."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from acmectl.acme.ari import ari_certificate_id
from acmectl.errors import AcmectlError, Interrupted, LineageDamaged
from acmectl.pki.summary import summary
from acmectl.storage.healing import find_remains, needs_healing
from acmectl.storage.index import LineageIndex, stamp_of
from acmectl.storage.lineage import PINNED, BrokenLineage, Lineage, lineage_at, read_conf, second_links

if TYPE_CHECKING:
    from collections.abc import Iterator

    from acmectl.actions.services import Services
    from acmectl.storage.renewal_conf import RenewalConf

_NOT_OURS = (KeyError, TypeError, ValueError, OverflowError, OSError)
"""What facts can raise that another version of this program, or nobody, has written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """One lineage's facts. ``own`` is the section ``[acmectl]``; ``cert_id`` names the certificate in ARI (RFC 9773).

    ``ari_stamp`` is certbot's own note of when it may ask again. The URLs are where the CA tells of revocations.

    ``second`` has the same facts of the second certificate, whose kinds end with its ``suffix``, such as ``-ecdsa``.
    ``second_lags``: there should be one of the live version, and is none; not so where a version is pinned.
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
    suffix: str = ""
    second: Snapshot | None = field(default=None, repr=False)
    second_lags: bool = False


def scan(services: Services, names: list[str], *, touch: bool) -> Iterator[Snapshot | BrokenLineage]:
    """The lineages called ``names``, one after the other.

    With ``touch`` what killed runs left half-done is finished, and the index is kept up to date; without it nothing is
    written. A lineage that cannot be used is given as broken and never hides the others.
    """
    index = LineageIndex(services.layout)
    remains = find_remains(services.layout)
    in_flight = frozenset(services.pending.names())
    for name in names:
        facts = None if name in remains else index.entry(name)
        if facts is not None:
            try:
                yield _from_facts(name, facts)
                continue
            except _NOT_OURS:
                pass  # written by another version: read it anew
        try:
            if touch and name in remains:
                _heal(services, name)
            yield _read(services, name, index, touch=touch, in_flight=name in in_flight)
        except Interrupted:
            raise
        except AcmectlError as error:
            yield BrokenLineage(name=name, path=services.layout.renewal_conf(name), reason=error.message)
    if touch:
        index.save()


def _read(services: Services, name: str, index: LineageIndex, *, touch: bool, in_flight: bool) -> Snapshot:
    """The lineage as it is on disk, with ``touch`` healed if need be and put into the index."""
    try:
        look = _look(services, name, index)
    except AcmectlError:
        if not touch or not _heal(services, name):
            raise
        look = _look(services, name, index)
    if touch and look.lineage is not None and needs_healing(look.lineage):
        _heal(services, name)
        look = _look(services, name, index)
        if in_flight:
            # What is to become of a saved version hangs on the order, which is none of the files of the lineage.
            return look.snapshot
    index.put(name, look.paths, look.stamp, look.facts)
    return look.snapshot


def _heal(services: Services, name: str) -> bool:
    healed = services.lineages.heal(name)
    if healed:
        # The events are many, and a run in which nothing happens needs none of them.
        from acmectl.events import LineageHealed

        for what in healed:
            services.observe(LineageHealed(lineage=name, what=what))
    return bool(healed)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    """What was read. ``lineage`` is None where only the renewal file had to be read.

    ``stamp`` is None where what was read must not be kept.
    """

    snapshot: Snapshot
    paths: list[str]
    stamp: list[int] | None
    facts: dict[str, object]
    lineage: Lineage | None


def _look(services: Services, name: str, index: LineageIndex) -> _Look:
    """Read a lineage, after the stamp of its files was taken, so that no change can be missed."""
    conf_path = f"{services.layout.config_dir}/renewal/{name}.conf"
    begun = stamp_of([conf_path])
    conf, places = read_conf(services.layout, name)
    paths = [conf_path, places.live_dir, places.archive, places.live["cert"]]
    second = second_links(conf, places)
    if second is not None and second.version is not None:
        paths.append(places.live_path(f"cert-{second.key_type}"))
    stamp = stamp_of(paths)
    if stamp is not None and stamp[: len(begun or ())] != begun:
        stamp = None  # the renewal file was replaced in this very moment
    of_conf = _facts_of_conf(conf, conf_path)
    known = index.before(name)
    if known is not None and stamp is not None:
        paths_before, stamp_before, facts = known
        if paths_before == paths and stamp_before[3:] == stamp[3:] and _same_pin(facts, conf):
            # Only the renewal file has changed: certificate, links and versions are what they were.
            facts = {**facts, **of_conf}
            with suppress(*_NOT_OURS):
                snapshot = _from_facts(name, facts)
                return _Look(snapshot=snapshot, paths=paths, stamp=stamp, facts=facts, lineage=None)
    lineage = lineage_at(name, conf, places)
    facts = {**of_conf, **_facts_of_certificate(lineage), "second": _facts_of_second(lineage)}
    return _Look(snapshot=_from_facts(name, facts), paths=paths, stamp=stamp, facts=facts, lineage=lineage)


def _same_pin(facts: Mapping[str, object], conf: RenewalConf) -> bool:
    own = facts.get("own")
    return isinstance(own, Mapping) and own.get(PINNED) == conf.own.get(PINNED)


def _facts_of_conf(conf: RenewalConf, conf_path: str) -> dict[str, object]:
    if not conf.has_params or conf.text("authenticator") is None:
        raise LineageDamaged(f"{conf_path} does not say how the certificate is renewed (no authenticator).")
    before = conf.root.get("renew_before_expiry")
    return {
        "conf_path": conf_path,
        "server": conf.text("server"),
        "autorenew": (conf.text("autorenew") or "").lower() != "false",
        "before_expiry": before if isinstance(before, str) else None,
        "ari_stamp": conf.ari.get("ari_retry_after"),
        "own": dict(conf.own),
    }


def _facts_of_second(lineage: Lineage) -> dict[str, object] | None:
    """Facts of the second certificate, where it is there and can be read; ``lags`` says what is not so."""
    if lineage.second is None:
        return None
    suffix = f"-{lineage.second.key_type}"
    if not lineage.second_lags:
        with suppress(AcmectlError):
            return {"suffix": suffix, "lags": False, **_facts_of_certificate(lineage, suffix)}
    return {"suffix": suffix, "lags": lineage.pinned is None}


def _facts_of_certificate(lineage: Lineage, suffix: str = "") -> dict[str, object]:
    certificate = summary(lineage.read(f"cert{suffix}"))
    cert_id = None
    if certificate.aki:
        cert_id = ari_certificate_id(certificate.aki, certificate.serial)
    return {
        "fullchain": lineage.places.live_path(f"fullchain{suffix}"),
        "not_before": certificate.not_before.timestamp(),
        "not_after": certificate.not_after.timestamp(),
        "version": lineage.version,
        "cert_id": cert_id,
        "serial": f"{certificate.serial:x}",
        "crl_urls": list(certificate.crl_urls),
        "ocsp_urls": list(certificate.ocsp_urls),
    }


def _from_facts(name: str, facts: Mapping[str, object]) -> Snapshot:
    own = facts["own"]
    version = facts["version"]
    if not isinstance(own, Mapping) or not isinstance(version, int):
        raise TypeError("not what was written")
    other = facts["second"]
    second = None
    if isinstance(other, Mapping) and "serial" in other:
        second = _from_facts(name, {**facts, **other, "second": None})
    elif other is not None and not isinstance(other, Mapping):
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
        suffix=_text(facts.get("suffix", "")),
        second=second,
        second_lags=other is not None and other["lags"] is True,
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
