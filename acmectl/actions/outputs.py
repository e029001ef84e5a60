"""Files that a certificate is written to beside its live links: what was asked for, as values.

Each file is a step of the deploy ledger, before the hooks, which may use it. ``output_checks`` refuses what cannot be,
``output_files`` writes.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from acmectl.errors import ConfigError
from acmectl.storage.lineage import SECOND_KEY

if TYPE_CHECKING:
    from collections.abc import Mapping

    from acmectl.actions.services import Services
    from acmectl.storage.exports import Access
    from acmectl.storage.renewal_conf import JsonValue

PEM, PKCS12 = "--pem-out", "--pkcs12-out"
KEY_ACCESS = "--owner --group --mode"
"""The steps in the ledger; the last is what these options mean where there is no file: access to the live key."""

WORDS = {PEM: "pem", PKCS12: "pkcs12"}
"""What results call the files."""

PEM_KEY, PKCS12_KEY = "pem_out", "pkcs12_out"
KEYS = (PEM_KEY, PKCS12_KEY, "pkcs12_password", "owner", "group", "mode")
"""In the section ``[acmectl]`` of a renewal file."""

_VARIABLES = {PEM: "ACMECTL_PEM", PKCS12: "ACMECTL_PKCS12"}
_SHOWN = 60


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
        return {_VARIABLES[step]: str(path) for step, path in self.paths.items()}


def stored_paths(own: Mapping[str, object]) -> dict[str, Path]:
    """The files of a certificate by their steps, as its section ``[acmectl]`` has them."""
    found = {step: own.get(key) for step, key in ((PEM, PEM_KEY), (PKCS12, PKCS12_KEY))}
    return {step: Path(path) for step, path in found.items() if isinstance(path, str) and path}


def every_path(own: Mapping[str, object]) -> tuple[tuple[str, Path], ...]:
    """As ``stored_paths``, with the files of a second certificate where the section asks for one."""
    found = tuple(stored_paths(own).items())
    second = own.get(SECOND_KEY)
    if not isinstance(second, str):
        return found
    return (*found, *((step, second_path(path, second)) for step, path in found))


def second_path(path: Path, key_type: str) -> Path:
    """Where the second certificate of a lineage is written, beside ``path``: ``site-rsa.pem`` for ``site.pem``."""
    return path.with_name(f"{path.stem}-{key_type}{path.suffix}")


def missing(own: Mapping[str, object], second: str | None = None) -> tuple[str, ...]:
    """The steps of which a file is not there, by the section ``[acmectl]``: cheap where there are no such files.

    ``second``: the key type of a second certificate that is live, whose files count too.
    """
    paths = stored_paths(own)
    seconds = {} if second is None else {step: second_path(path, second) for step, path in paths.items()}
    gone = {step for found in (paths, seconds) for step, path in found.items() if not os.path.lexists(path)}
    return tuple(step for step in paths if step in gone)


def access_of(outputs: Outputs) -> Access:
    """Owner, group and mode as the system counts them. Raises: ConfigError for names that it does not know."""
    from acmectl.storage.exports import Access

    uid = gid = None
    if outputs.owner is not None:
        import pwd

        try:
            uid = int(outputs.owner) if _is_number(outputs.owner) else pwd.getpwnam(outputs.owner).pw_uid
        except KeyError:
            raise ConfigError(f"--owner: there is no user {quoted(outputs.owner)} here.") from None
    if outputs.group is not None:
        import grp

        try:
            gid = int(outputs.group) if _is_number(outputs.group) else grp.getgrnam(outputs.group).gr_gid
        except KeyError:
            raise ConfigError(f"--group: there is no group {quoted(outputs.group)} here.") from None
    return Access(uid=uid, gid=gid, mode=outputs.mode)


def password_of(services: Services, outputs: Outputs) -> str | None:
    """The password from where it lies; None without one. Raises: ConfigError."""
    if outputs.password is None:
        return None
    from acmectl.storage.references import References

    password = References(environ=services.environ, error=ConfigError).follow("--pkcs12-password", outputs.password)
    services.keep_secret(password)
    return password


def quoted(text: str) -> str:
    """A name as messages show it."""
    return "'" + "".join(c if c.isprintable() else "?" for c in text)[:_SHOWN] + "'"


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 10 and int(text) < (1 << 32) - 1
