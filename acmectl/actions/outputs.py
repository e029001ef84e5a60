"""Files that a certificate is written to beside its live links: what was asked for, what is owed, and the writing.

Each file is a step of the deploy ledger, before the hooks, which may use it.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from acmectl.actions.ledger import KEY as DEPLOY
from acmectl.actions.ledger import Ledger, Owed
from acmectl.errors import AcmectlError, ConfigError, HookFailed, Interrupted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from acmectl.actions.requests import CertificateRequest
    from acmectl.actions.services import Services
    from acmectl.actions.target import Target
    from acmectl.storage.archive import VersionFiles
    from acmectl.storage.exports import Access
    from acmectl.storage.lineage import Lineage
    from acmectl.storage.renewal_conf import JsonValue, RenewalConf

PEM, PKCS12 = "--pem-out", "--pkcs12-out"
KEY_ACCESS = "--owner --group --mode"
"""The steps in the ledger; the last is what these options mean where there is no file: access to the live key."""

WORDS = {PEM: "pem", PKCS12: "pkcs12"}
"""What results call the files."""

PEM_KEY, PKCS12_KEY = "pem_out", "pkcs12_out"
KEYS = (PEM_KEY, PKCS12_KEY, "pkcs12_password", "owner", "group", "mode")
"""In the section ``[acmectl]`` of a renewal file."""

_MARKS = {PEM: (b"-----BEGIN ",), PKCS12: (b"\x30",)}
_PRIVATE = b"PRIVATE KEY-----"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outputs:
    """What was asked for; paths are absolute, ``password`` says where it lies (storage.references).

    ``given``: some of it was given now, so that what cannot be is an error before anything else happens; what is
    stored must not keep a certificate from being renewed.
    """

    pem: Path | None = None
    pkcs12: Path | None = None
    password: str | None = field(default=None, repr=False)
    owner: str | None = None
    group: str | None = None
    mode: int | None = None
    given: bool = False

    @property
    def paths(self) -> dict[str, Path]:
        """The files by their steps."""
        found = {PEM: self.pem, PKCS12: self.pkcs12}
        return {step: path for step, path in found.items() if path is not None}

    @property
    def steps(self) -> tuple[str, ...]:
        """What has to succeed for a version to count as deployed."""
        if self.paths:
            return tuple(self.paths)
        return (KEY_ACCESS,) if (self.owner, self.group, self.mode) != (None, None, None) else ()

    @property
    def own(self) -> dict[str, JsonValue]:
        """The section ``[acmectl]``; None for what is not there."""
        values = (self.pem, self.pkcs12, self.password, self.owner, self.group)
        texts = tuple(None if value is None else str(value) for value in values)
        return dict(zip(KEYS, (*texts, None if self.mode is None else f"{self.mode:04o}"), strict=True))

    @property
    def environment(self) -> dict[str, str]:
        """What deploy hooks are told."""
        names = {PEM: "ACMECTL_PEM", PKCS12: "ACMECTL_PKCS12"}
        return {names[step]: str(path) for step, path in self.paths.items()}


def stored_paths(own: Mapping[str, object]) -> dict[str, Path]:
    """The files of a certificate by their steps, as its section ``[acmectl]`` has them."""
    found = {step: own.get(key) for step, key in ((PEM, PEM_KEY), (PKCS12, PKCS12_KEY))}
    return {step: Path(path) for step, path in found.items() if isinstance(path, str) and path}


def missing(own: Mapping[str, object]) -> tuple[str, ...]:
    """The steps whose files are not there, by the section ``[acmectl]``: cheap where there are no such files."""
    return tuple(step for step, path in stored_paths(own).items() if not os.path.lexists(path))


def check_outputs(services: Services, target: Target, request: CertificateRequest) -> None:
    """Refuse before the order what could not be written after it. Raises: ConfigError, StorageError.

    What is stored already is looked at in a dry run only, apart from a key that is not here.
    """
    outputs = request.outputs
    if outputs is None:
        return
    elsewhere = _key_elsewhere(target, request)
    if outputs.pkcs12 is not None and elsewhere:
        raise ConfigError(
            f"--pkcs12-out: the private key of {target.name} is kept elsewhere, and PKCS#12 needs it.",
            hint="--pkcs12-out '' leaves that file out; --pem-out gets the certificate and its chain alone.",
        )
    if outputs.given or request.dry_run:
        check_places(services, target.name, target.existing, outputs)
    if outputs.given and outputs.pem is not None and elsewhere:
        _tell(services, f"{outputs.pem} gets no private key, for it is kept elsewhere.", level="warning")


def check_places(services: Services, name: str, existing: Lineage | None, outputs: Outputs) -> None:
    """Make sure that the files can be written as far as that can be told. Raises: ConfigError, StorageError."""
    from acmectl.storage.exports import check_place

    access = _access(outputs)
    _check_right_to_give(outputs, access)
    real = {step: os.path.realpath(path) for step, path in outputs.paths.items()}
    if len(set(real.values())) < len(real):
        raise ConfigError(f"{PEM} and {PKCS12} are the same file.", hint="Give each a path of its own.")
    for step, path in outputs.paths.items():
        _refuse_tree(services, existing, step, path)
        check_place(path, _MARKS[step])
    before = stored_paths(existing.conf.own) if existing is not None else {}
    if new := {step: path for step, path in outputs.paths.items() if before.get(step) != path}:
        _refuse_others(services, name, new)
    if outputs.pkcs12 is not None:
        _password(services, outputs)
    if not outputs.given:
        return
    if outputs.pkcs12 is not None and outputs.password is None:
        text = f"{outputs.pkcs12} has an empty password: its mode alone protects the key. --pkcs12-password sets one."
        _tell(services, text, level="warning")
    mode = outputs.mode if outputs.mode is not None else 0o600
    if outputs.group is not None and not mode & 0o070 and (outputs.paths or outputs.mode is not None):
        text = f"The group {outputs.group} may not read what has mode {mode:04o}; --mode 0640 lets it."
        _tell(services, text, level="warning")


def settle_outputs(services: Services, name: str, outputs: Outputs | None, ledger: Ledger) -> list[HookFailed]:
    """Write what ``ledger`` owes of the live version and strike it off; the failures. Raises: StorageError."""
    if outputs is None or not set(outputs.steps) & set(ledger.owed.hooks):
        return []
    lineage = services.lineages.get(name)
    files = lineage.read_all()
    failures: list[HookFailed] = []
    for step in (step for step in outputs.steps if step in ledger.owed.hooks):
        try:
            _do(services, lineage, files, outputs, step)
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
        tell_no_longer_written(services, lineage.conf, outputs)
        if outputs.pkcs12 is not None and _PRIVATE not in lineage.read("privkey"):
            raise ConfigError(f"--pkcs12-out: the private key of {name} is kept elsewhere, and PKCS#12 needs it.")
        check_places(services, name, lineage, outputs)
    debt = Owed.from_json(lineage.conf.own.get(DEPLOY)) or Owed(version=lineage.version, hooks=())
    files = lineage.read_all()
    stale = [step for step in outputs.steps if not _is_current(services, lineage, files, outputs, step)]
    gone = [step for step in (PEM, PKCS12, KEY_ACCESS) if step not in outputs.steps]
    left = [hook for hook in debt.hooks if hook not in stale and hook not in gone and hook not in outputs.steps]
    debt = replace(debt, hooks=(*stale, *left))
    services.lineages.update_own(name, {**outputs.own, DEPLOY: debt.to_json()})
    ledger = Ledger(services.lineages, name, debt)
    failures = settle_outputs(services, name, outputs, ledger)
    if failures:
        ledger.postpone(services.clock.now(), failures[0].message)
    return failures


def tell_no_longer_written(services: Services, before: RenewalConf, after: Outputs | None) -> None:
    """Say which files stay as they are because nothing is written to them any more."""
    kept = set(after.paths.values()) if after is not None else set()
    for path in stored_paths(before.own).values():
        if path not in kept:
            _tell(services, f"{path} stays as it is; it is not written any more.")


def _do(services: Services, lineage: Lineage, files: VersionFiles, outputs: Outputs, step: str) -> None:
    """Carry out one step. Raises: ConfigError, StorageError."""
    from acmectl.storage.exports import give, write

    access = _access(outputs)
    if step == KEY_ACCESS:
        give(lineage.places.live["privkey"], access)
        return
    path = outputs.paths[step]
    _refuse_tree(services, lineage, step, path)
    data = _pem(files) if step == PEM else _pkcs12(services, lineage.name, files, outputs)
    write(path, data, access)
    _tell(services, f"{path} holds version {lineage.version} of {lineage.name}.")


def _pem(files: VersionFiles) -> bytes:
    parts = (files.privkey if _PRIVATE in files.privkey else b"", files.cert, files.chain)
    return b"".join(part if not part or part.endswith(b"\n") else part + b"\n" for part in parts)


def _pkcs12(services: Services, name: str, files: VersionFiles, outputs: Outputs) -> bytes:
    from acmectl.pki.pkcs12 import pkcs12_of

    if _PRIVATE not in files.privkey:
        raise ConfigError(f"The private key of {name} is kept elsewhere, and PKCS#12 needs it.")
    return pkcs12_of(
        name,
        key_pem=files.privkey,
        leaf_pem=files.cert,
        chain_pem=files.chain,
        password=_password(services, outputs),
    )


def _is_current(services: Services, lineage: Lineage, files: VersionFiles, outputs: Outputs, step: str) -> bool:
    """Whether a step has nothing to do. What cannot be told counts as no, and is an error when it is done."""
    from acmectl.storage.exports import read_output

    try:
        access = _access(outputs)
        if step == KEY_ACCESS:
            return access.fits(Path(lineage.places.live["privkey"]).stat())
        found = read_output(outputs.paths[step])
        if found is None or not replace(access, mode=access.mode if access.mode is not None else 0o600).fits(found[1]):
            return False
        if step == PEM:
            return found[0] == _pem(files)
        from acmectl.pki.pkcs12 import holds

        parts = {"key_pem": files.privkey, "leaf_pem": files.cert, "chain_pem": files.chain}
        return holds(found[0], **parts, password=_password(services, outputs))
    except (AcmectlError, OSError):
        return False


def _access(outputs: Outputs) -> Access:
    """Owner, group and mode as the system counts them. Raises: ConfigError for names that it does not know."""
    from acmectl.storage.exports import Access

    uid = gid = None
    if outputs.owner is not None:
        import pwd

        try:
            uid = int(outputs.owner) if _is_number(outputs.owner) else pwd.getpwnam(outputs.owner).pw_uid
        except KeyError:
            raise ConfigError(f"--owner: there is no user {_shown(outputs.owner)} here.") from None
    if outputs.group is not None:
        import grp

        try:
            gid = int(outputs.group) if _is_number(outputs.group) else grp.getgrnam(outputs.group).gr_gid
        except KeyError:
            raise ConfigError(f"--group: there is no group {_shown(outputs.group)} here.") from None
    return Access(uid=uid, gid=gid, mode=outputs.mode)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 10 and int(text) < (1 << 32) - 1


def _shown(text: str) -> str:
    return "'" + "".join(c if c.isprintable() else "?" for c in text)[:60] + "'"


def _check_right_to_give(outputs: Outputs, access: Access) -> None:
    """Only root gives files away. Raises: ConfigError."""
    me = os.geteuid()
    if me == 0:
        return
    if access.uid not in {None, me}:
        raise ConfigError(f"--owner: only root can give a file to {_shown(outputs.owner or '')}.", hint="Run as root.")
    if access.gid is not None and access.gid not in {os.getegid(), *os.getgroups()}:
        text = f"--group: only root or a member of {_shown(outputs.group or '')} can give it a file."
        raise ConfigError(text, hint="Run as root.")


def _refuse_tree(services: Services, existing: Lineage | None, step: str, path: Path) -> None:
    """What lies in the tree has its meaning there. Raises: ConfigError."""
    layout = services.layout
    roots = [layout.accounts_root, layout.live_root, layout.archive_root, layout.renewal_root, layout.hooks_root]
    roots += [layout.work_dir, layout.logs_dir]
    if existing is not None:
        roots += [existing.live_dir, existing.archive_dir]
    real = Path(os.path.realpath(path.parent)) / path.name
    for root in roots:
        if real.is_relative_to(os.path.realpath(root)):
            raise ConfigError(f"{step}: {path} lies in {root}, which is acmectl's own.", hint="Choose another place.")


def _refuse_others(services: Services, name: str, paths: Mapping[str, Path]) -> None:
    """One file holds one certificate. Raises: ConfigError when another certificate is written there."""
    real = {os.path.realpath(path): step for step, path in paths.items()}
    for other in services.lineages.names():
        if other == name:
            continue
        try:
            own = services.lineages.renewal_conf(other).own
        except AcmectlError:
            continue  # a damaged one is told of elsewhere, and writes nothing
        for path in stored_paths(own).values():
            if (step := real.get(os.path.realpath(path))) is not None:
                raise ConfigError(f"{step}: {path} is written for the certificate {other}.", hint="Choose another.")


def _key_elsewhere(target: Target, request: CertificateRequest) -> bool:
    """Whether the next version has no private key here, because it is made from a CSR."""
    from acmectl.actions.csr_stored import private_part, stored_csr

    csr = stored_csr(target.name, request.own)
    return csr is not None and _PRIVATE not in private_part(csr, request.csr_key, target.existing)


def _password(services: Services, outputs: Outputs) -> str | None:
    if outputs.password is None:
        return None
    from acmectl.storage.references import References

    password = References(environ=services.environ, error=ConfigError).follow("--pkcs12-password", outputs.password)
    services.keep_secret(password)
    return password


def _tell(services: Services, text: str, *, level: str = "info") -> None:
    from acmectl.events import Notice

    services.observe(Notice(text=text, level="warning") if level == "warning" else Notice(text=text))
