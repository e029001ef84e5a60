"""What is refused of files beside the live links before an order is spent on them."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from acmectl.actions.outputs import PEM, PKCS12, access_of, every_path, password_of, quoted
from acmectl.errors import AcmectlError, ConfigError
from acmectl.events import Notice
from acmectl.storage.layout import LOCK_FILE
from acmectl.storage.lineage import SECOND_KEY

if TYPE_CHECKING:
    from collections.abc import Mapping

    from acmectl.actions.outputs import Outputs
    from acmectl.actions.requests import CertificateRequest
    from acmectl.actions.services import Services
    from acmectl.actions.target import Target
    from acmectl.storage.exports import Access
    from acmectl.storage.lineage import Lineage

_DER = tuple(bytes((0x30, length)) for length in (0x80, 0x82, 0x83, 0x84))
"""How PKCS#12 begins: a SEQUENCE of at least 256 octets, or of indefinite length."""

_MARKS = {PEM: (b"-----BEGIN ",), PKCS12: _DER}
_PRIVATE = b"PRIVATE KEY-----"


def check_outputs(services: Services, target: Target, request: CertificateRequest) -> None:
    """Refuse before the order what could not be written after it. Raises: ConfigError, StorageError.

    What is stored already is looked at in a dry run only, apart from a key that is not here, and where a second
    certificate brings files that were not written before.
    """
    outputs = request.outputs
    if outputs is None:
        return
    elsewhere = _key_elsewhere(target, request)
    if outputs.pkcs12 is not None and elsewhere:
        raise key_needed(target.name)
    if outputs.given or request.dry_run or _gets_second(target.existing, request):
        check_places(services, target.name, target.existing, outputs, request.own)
    if outputs.given and outputs.pem is not None and elsewhere:
        text = f"{outputs.pem} gets no private key, for it is kept elsewhere."
        services.observe(Notice(text=text, level="warning"))


def check_places(
    services: Services, name: str, existing: Lineage | None, outputs: Outputs, own: Mapping[str, object]
) -> None:
    """Make sure that the files can be written as far as that can be told. Raises: ConfigError, StorageError.

    ``own`` is the section ``[acmectl]`` that the lineage will have.
    """
    from acmectl.storage.exports import check_place

    access = access_of(outputs)
    _check_right_to_give(outputs, access)
    paths = every_path({**own, **outputs.own})
    real = {os.path.realpath(path): step for step, path in paths}
    if len(real) < len(paths):
        raise ConfigError(f"{PEM} and {PKCS12} are the same file.", hint="Give each a path of its own.")
    for step, path in paths:
        _refuse_tree(services, existing, step, path)
        check_place(path, _MARKS[step])
    if _new_paths(existing, outputs, own):
        _refuse_others(services, name, real)
    if outputs.pkcs12 is not None:
        password_of(services, outputs)
    if outputs.given:
        _warn(services, outputs)


def _gets_second(existing: Lineage | None, request: CertificateRequest) -> bool:
    """Whether a certificate that had one key gets two, or another one for its second."""
    second = request.own.get(SECOND_KEY)
    return isinstance(second, str) and existing is not None and second != existing.conf.own.get(SECOND_KEY)


def _new_paths(existing: Lineage | None, outputs: Outputs, own: Mapping[str, object]) -> bool:
    """Whether something is to be written where this certificate is not written yet."""
    paths = set(every_path({**own, **outputs.own}))
    return bool(paths) and (existing is None or not paths <= set(every_path(existing.conf.own)))


def key_needed(name: str) -> ConfigError:
    """The error for PKCS#12 of a certificate whose key is not here."""
    return ConfigError(
        f"--pkcs12-out: the private key of {name} is kept elsewhere, and PKCS#12 needs it.",
        hint="--pkcs12-out '' leaves that file out; --pem-out gets the certificate and its chain alone.",
    )


def _warn(services: Services, outputs: Outputs) -> None:
    if outputs.pkcs12 is not None and outputs.password is None:
        text = f"{outputs.pkcs12} has an empty password: its mode alone protects the key. --pkcs12-password sets one."
        services.observe(Notice(text=text, level="warning"))
    mode = outputs.mode if outputs.mode is not None else 0o600
    if outputs.group is not None and not mode & 0o070 and (outputs.paths or outputs.mode is not None):
        text = f"The group {outputs.group} may not read what has mode {mode:04o}; --mode 0640 lets it."
        services.observe(Notice(text=text, level="warning"))
    if mode & stat.S_IROTH:
        text = f"With mode {mode:04o} everybody on this machine can read the private key; --mode 0640 is for a group."
        services.observe(Notice(text=text, level="warning"))


def _check_right_to_give(outputs: Outputs, access: Access) -> None:
    """Only root gives files away. Raises: ConfigError."""
    me = os.geteuid()
    if me == 0:
        return
    if access.uid not in {None, me}:
        raise ConfigError(f"--owner: only root can give a file to {quoted(outputs.owner or '')}.", hint="Run as root.")
    if access.gid is not None and access.gid not in {os.getegid(), *os.getgroups()}:
        text = f"--group: only root or a member of {quoted(outputs.group or '')} can give it a file."
        raise ConfigError(text, hint="Run as root.")


def _refuse_tree(services: Services, existing: Lineage | None, step: str, path: Path) -> None:
    """What lies in the tree has its meaning there. Raises: ConfigError."""
    layout = services.layout
    roots = [layout.accounts_root, layout.live_root, layout.archive_root, layout.renewal_root, layout.hooks_root]
    roots += [layout.pending_root, layout.dns_records]
    if existing is not None:
        roots += [existing.live_dir, existing.archive_dir]
    real = Path(os.path.realpath(path.parent)) / path.name
    roots += [root / LOCK_FILE for root in (layout.config_dir, layout.work_dir, layout.logs_dir)]
    for root in roots:
        if real.is_relative_to(os.path.realpath(root)):
            what = "is" if root.name == LOCK_FILE else f"lies in {root}, which is"
            raise ConfigError(f"{step}: {path} {what} acmectl's own.", hint="Choose another place.")


def _refuse_others(services: Services, name: str, real: Mapping[str, str]) -> None:
    """One file holds one certificate; ``real`` has the steps by path without links.

    Raises: ConfigError when another certificate is written there.
    """
    for other in services.lineages.names():
        if other == name:
            continue
        try:
            own = services.lineages.renewal_conf(other).own
        except AcmectlError:
            continue  # a damaged one is told of elsewhere, and writes nothing
        for _step, path in every_path(own):
            if (step := real.get(os.path.realpath(path))) is not None:
                raise ConfigError(f"{step}: {path} is written for the certificate {other}.", hint="Choose another.")


def _key_elsewhere(target: Target, request: CertificateRequest) -> bool:
    """Whether the next version has no private key here: it is made from a CSR, or the key lies in a token."""
    from acmectl.actions.csr_stored import private_part, stored_csr

    if request.key.token is not None:
        return True
    csr = stored_csr(target.name, request.own)
    return csr is not None and _PRIVATE not in private_part(csr, request.csr_key, target.existing)
