"""Writing the files beside the live links: when a version has gone live, and when they are missing or differ."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from acmectl.actions.ledger import KEY as DEPLOY
from acmectl.actions.ledger import Ledger, Owed
from acmectl.actions.output_checks import check_places, key_needed
from acmectl.actions.outputs import KEY_ACCESS, PEM, PKCS12, access_of, every_path, password_of, second_path
from acmectl.errors import AcmectlError, HookFailed, Interrupted
from acmectl.events import Notice

if TYPE_CHECKING:
    from collections.abc import Mapping

    from acmectl.actions.outputs import Outputs
    from acmectl.actions.services import Services
    from acmectl.storage.archive import CertificateFiles
    from acmectl.storage.lineage import Lineage

_PRIVATE = b"PRIVATE KEY-----"
_MODE = 0o600


def settle_outputs(services: Services, name: str, outputs: Outputs | None, ledger: Ledger) -> list[HookFailed]:
    """Write what ``ledger`` owes of the live version and strike it off; the failures. Raises: StorageError."""
    if outputs is None or not set(outputs.steps) & set(ledger.owed.hooks):
        return []
    lineage = services.lineages.get(name)
    failures: list[HookFailed] = []
    for step in (step for step in outputs.steps if step in ledger.owed.hooks):
        try:
            _do(services, lineage, outputs, step)
        except Interrupted:
            raise
        except AcmectlError as error:
            hint = error.hint or "acmectl renew tries again; what is owed after it, such as hooks, waits for it."
            failures.append(HookFailed(f"{step}: {error.message}", hint=hint))
        else:
            ledger.settle(step)
    return failures


def bring_up_to_date(
    services: Services, name: str, outputs: Outputs | None, *, checked: bool = False
) -> list[HookFailed]:
    """For a certificate that stays as it is: store what was given, and write what is missing or differs; the failures.

    What cannot be written is owed from then on. Hooks do not run: nothing went live. Called with the store locked.
    ``checked``: ``check_outputs`` has looked at what was given.

    Raises: ConfigError, StorageError.
    """
    if outputs is None:
        return []
    lineage = services.lineages.get(name)
    if outputs.given and not checked:
        if outputs.pkcs12 is not None and _PRIVATE not in lineage.read("privkey"):
            raise key_needed(name)
        check_places(services, name, lineage, outputs, lineage.conf.own)
        tell_no_longer_written(services, lineage.conf.own, {**lineage.conf.own, **outputs.own})
    debt = Owed.from_json(lineage.conf.own.get(DEPLOY)) or Owed(version=lineage.version, hooks=())
    stale = tuple(step for step in outputs.steps if not _is_current(services, lineage, outputs, step))
    others = tuple(hook for hook in debt.hooks if hook not in {PEM, PKCS12, KEY_ACCESS})
    debt = replace(debt, hooks=(*stale, *others))
    services.lineages.update_own(name, {**outputs.own, DEPLOY: debt.to_json()})
    ledger = Ledger(services.lineages, name, debt)
    failures = settle_outputs(services, name, outputs, ledger)
    if failures:
        ledger.postpone(services.clock.now(), failures[0].message)
    return failures


def tell_no_longer_written(services: Services, before: Mapping[str, object], after: Mapping[str, object]) -> None:
    """Say which files stay as they are because nothing is written to them any more, by two sections ``[acmectl]``."""
    kept = {path for _step, path in every_path(after)}
    for _step, path in every_path(before):
        if path not in kept:
            services.observe(Notice(text=f"{path} stays as it is; it is not written any more."))


def _do(services: Services, lineage: Lineage, outputs: Outputs, step: str) -> None:
    """Carry out one step, for both certificates where there are two. Raises: ConfigError, StorageError."""
    from acmectl.storage.exports import give, write

    access = access_of(outputs)
    if step == KEY_ACCESS:
        for path in _keys(lineage):
            give(str(path), access)
        return
    for path, files in _contents(lineage, outputs.paths[step]):
        data = _pem(files) if step == PEM else _pkcs12(services, lineage.name, files, outputs)
        write(path, data, access)
        services.observe(Notice(text=f"{path} holds version {lineage.version} of {lineage.name}."))


def _contents(lineage: Lineage, path: Path) -> list[tuple[Path, CertificateFiles]]:
    """What is written where: the certificate, and the second one where the lineage has two."""
    found: list[tuple[Path, CertificateFiles]] = [(path, lineage.read_all())]
    second = lineage.read_second()
    if second is not None and lineage.second is not None:
        found.append((second_path(path, lineage.second.key_type), second))
    return found


def _keys(lineage: Lineage) -> list[Path]:
    """The live links of the private keys."""
    kinds = ["privkey"] if lineage.second is None else ["privkey", f"privkey-{lineage.second.key_type}"]
    return [Path(lineage.places.live_path(kind)) for kind in kinds]


def _pem(files: CertificateFiles) -> bytes:
    parts = (files.privkey if _PRIVATE in files.privkey else b"", files.cert, files.chain)
    return b"".join(part if not part or part.endswith(b"\n") else part + b"\n" for part in parts)


def _pkcs12(services: Services, name: str, files: CertificateFiles, outputs: Outputs) -> bytes:
    from acmectl.pki.pkcs12 import pkcs12_of

    if _PRIVATE not in files.privkey:
        raise key_needed(name)
    return pkcs12_of(
        name,
        key_pem=files.privkey,
        leaf_pem=files.cert,
        chain_pem=files.chain,
        password=password_of(services, outputs),
    )


def _is_current(services: Services, lineage: Lineage, outputs: Outputs, step: str) -> bool:
    """Whether a step has nothing to do. What cannot be told counts as no, and is an error when it is done."""
    from acmectl.storage.exports import read_output

    try:
        access = access_of(outputs)
        if step == KEY_ACCESS:
            return all(access.fits(path.stat()) for path in _keys(lineage))
        # As it would be written now: an owner or mode that was taken away counts no more.
        wanted = replace(
            access,
            mode=access.mode if access.mode is not None else _MODE,
            uid=access.uid if access.uid is not None else os.geteuid(),
        )
        for path, files in _contents(lineage, outputs.paths[step]):
            found = read_output(path)
            if found is None or not wanted.fits(found[1]):
                return False
            if access.gid is None and not _has_usual_group(path, found[1]):
                return False
            if not _holds(services, found[0], files, outputs, step):
                return False
    except (AcmectlError, OSError):
        return False
    return True


def _has_usual_group(path: Path, status: os.stat_result) -> bool:
    """Whether a file's group is one that new files get there: this process's or the directory's. Raises: OSError."""
    return status.st_gid in {os.getegid(), path.parent.stat().st_gid}


def _holds(services: Services, data: bytes, files: CertificateFiles, outputs: Outputs, step: str) -> bool:
    if step == PEM:
        return data == _pem(files)
    from acmectl.pki.pkcs12 import holds

    return holds(
        data,
        key_pem=files.privkey,
        leaf_pem=files.cert,
        chain_pem=files.chain,
        password=password_of(services, outputs),
    )
