"""rollback: make an earlier kept version of a certificate live again, and keep it live until the next renewal."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from acmectl.actions.compromised import refuse_compromised
from acmectl.actions.deploying import deploy_steps
from acmectl.actions.hooks import HookSession
from acmectl.actions.ledger import KEY as DEPLOY
from acmectl.actions.ledger import Owed
from acmectl.actions.listing import REVOKED
from acmectl.actions.obtain import deploy
from acmectl.actions.opening import open_healed
from acmectl.actions.second_key import described
from acmectl.actions.target import Target
from acmectl.actions.version import NewVersion
from acmectl.errors import ConfigError, LineageDamaged
from acmectl.events import Notice, WentLive
from acmectl.pki.chain import verify_lineage
from acmectl.pki.summary import summary
from acmectl.storage.lineage import PINNED, REVOKED_SECOND, BrokenLineage

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from acmectl.actions.renewing import CompleteRenewal
    from acmectl.actions.second_key import SecondCertificate
    from acmectl.actions.services import Services
    from acmectl.errors import HookFailed
    from acmectl.identifiers import Identifier
    from acmectl.storage.lineage import Lineage

_ABOUT_ANOTHER_VERSION = ("ari", "ari_second", REVOKED, REVOKED_SECOND)


@dataclass(frozen=True, slots=True, kw_only=True)
class RollbackRequest:
    """``to_version`` None means the newest whole one before the live one."""

    cert_name: str
    to_version: int | None = None
    allow_expired: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RolledBack:
    """What is live now. ``before`` was live until now (None: nothing that could be used).

    ``changed`` is False when it was live already. ``hook_failures`` make the run fail, though the version stays live.
    """

    name: str
    version: int
    before: int | None
    changed: bool
    pinned: bool
    serial: int
    not_after: datetime
    identifiers: tuple[Identifier, ...]
    live_dir: Path
    hook_failures: tuple[HookFailed, ...] = ()
    second: SecondCertificate | None = None


def rollback(services: Services, request: RollbackRequest, complete: CompleteRenewal) -> RolledBack:
    """Make a kept version live, write its files beside the tree and run the deploy hooks for it.

    The renewal file pins it first, so that a run that is killed at any point leaves work that the next one finishes.

    Raises: LineageNotFound; ConfigError for a version that is not kept or has expired; LineageDamaged for one whose
    files do not belong together; StorageError, Interrupted.
    """
    name = request.cert_name
    with services.lock():
        found_there = open_healed(services, name)
        present = None if isinstance(found_there, BrokenLineage) else found_there
        before = present.version if present is not None else None
        kept = services.lineages.kept_versions(name)
        number = _chosen(request, before, kept)
        found = _checked(services, request, number)
        # What is newest needs no pin: nothing would take its place.
        pin = number if number != max(kept) else None
        if present is not None and present.version == number and present.pinned == pin:
            return replace(found, before=before, changed=False, pinned=pin is not None, live_dir=present.live_dir)
        _tell_other_names(services, present, found)
        if name in services.pending.names():
            text = f"A renewal of {name} was interrupted; the next renew finishes it, and its version goes live then."
            services.observe(Notice(text=text, level="warning"))
        conf, identifiers = services.lineages.renewal_conf(name), found.identifiers
        plan = complete(conf, identifiers, services.layout.renewal_conf(name))
        session = HookSession(services.hooks, services.layout.hooks_dir)
        services.lineages.update_own(
            name,
            {
                PINNED: pin,
                DEPLOY: Owed(version=number, hooks=deploy_steps(session, plan)).to_json(),
                **dict.fromkeys(_ABOUT_ANOTHER_VERSION),
            },
        )
        services.lineages.activate(name, number)
        services.observe(WentLive(lineage=name, version=number))
        lineage = services.lineages.get(name)
        made = NewVersion(name=name, number=number, identifiers=identifiers)
        target = Target(name=name, identifiers=identifiers, existing=lineage)
        failures, _owed = deploy(services, session, made, plan, target)
        return replace(
            found,
            before=before,
            pinned=pin is not None,
            live_dir=lineage.live_dir,
            hook_failures=tuple(failures),
        )


def _chosen(request: RollbackRequest, before: int | None, kept: tuple[int, ...]) -> int:
    name = request.cert_name
    if request.to_version is not None:
        if request.to_version not in kept:
            listed = ", ".join(map(str, kept)) or "none"
            raise ConfigError(
                f"Version {request.to_version} of the certificate {name} is not kept, or not all four files of it are.",
                hint=f"Whole versions that are kept: {listed}.",
            )
        return request.to_version
    earlier = [number for number in kept if before is None or number < before]
    if not earlier:
        at = f"version {before}, which is live," if before is not None else "any version"
        raise ConfigError(f"Nothing before {at} of the certificate {name} is kept, so there is no way back.")
    return max(earlier)


def _checked(services: Services, request: RollbackRequest, number: int) -> RolledBack:
    """The version's facts, once it is sure that servers can use it."""
    name = request.cert_name
    files = services.lineages.read_version(name, number)
    parts = (files, *([files.second] if files.second is not None else []))
    for one in parts:
        problem = verify_lineage(one.cert, one.chain, one.fullchain, one.privkey)
        if problem is not None:
            raise LineageDamaged(f"Version {number} of the certificate {name} cannot be used: {problem}.")
        what, hint = f"Version {number} of the certificate {name}", "Choose another one with --to-version."
        refuse_compromised(services, summary(one.cert).spki, what, hint=hint)
    certificate = summary(files.cert)
    not_after = min(summary(one.cert).not_after for one in parts)
    if not_after <= services.clock.now():
        text = f"Version {number} of the certificate {name} expired on {not_after:%Y-%m-%d %H:%M} UTC"
        if not request.allow_expired:
            raise ConfigError(f"{text}.", hint="To make it live all the same add --allow-expired.")
        services.observe(Notice(text=f"{text}; it goes live all the same.", level="warning"))
    return RolledBack(
        name=name,
        version=number,
        before=None,
        changed=True,
        pinned=True,
        serial=certificate.serial,
        not_after=not_after,
        second=described(files.second, files.second_type),
        identifiers=certificate.identifiers,
        live_dir=services.layout.live(name),
    )


def _tell_other_names(services: Services, present: Lineage | None, found: RolledBack) -> None:
    if present is None:
        return
    names = summary(present.read("cert")).identifiers
    if present.second is not None and found.second is None:
        text = (
            f"Version {found.version} of the certificate {found.name} has one key only: the files with "
            f"-{present.second.key_type} in their names are no longer in {present.live_dir}."
        )
        services.observe(Notice(text=text, level="warning"))
    missing = " ".join(str(name) for name in names if name not in found.identifiers)
    if missing:
        text = f"Version {found.version} of the certificate {found.name} is not valid for {missing}."
        services.observe(Notice(text=text, level="warning"))
