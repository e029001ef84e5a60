"""Where everything lies: certbot's tree, as paths. Computes only; touches no disk."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from acmectl.errors import ConfigError

KINDS = ("privkey", "cert", "chain", "fullchain")
"""The four files of a version, in the order in which links are switched."""

SECOND_KINDS = {key_type: tuple(f"{kind}-{key_type}" for kind in KINDS) for key_type in ("rsa", "ecdsa")}
"""The four files more of a version with a second certificate, by the type of its key."""

LOCK_FILE = ".certbot.lock"
TEMPORARY_PREFIX = ".acmectl"
"""Every temporary name of ours starts with this; certbot lists no name that starts with a dot."""

_NAME_MAX = 255
_LONGEST_SUFFIX = len(".conf.new")
_RESERVED = {"README"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """The three directories of an installation (absolute paths) and all paths below them."""

    config_dir: Path
    work_dir: Path
    logs_dir: Path

    @property
    def accounts_root(self) -> Path:
        """Directory of all accounts."""
        return self.config_dir / "accounts"

    @property
    def live_root(self) -> Path:
        """Directory of all live directories."""
        return self.config_dir / "live"

    @property
    def archive_root(self) -> Path:
        """Directory of all archive directories."""
        return self.config_dir / "archive"

    @property
    def renewal_root(self) -> Path:
        """Directory of the renewal configuration files."""
        return self.config_dir / "renewal"

    @property
    def pending_root(self) -> Path:
        """Directory of the orders in flight."""
        return self.work_dir / "pending"

    @property
    def hooks_root(self) -> Path:
        """Directory of the directory hooks."""
        return self.config_dir / "renewal-hooks"

    @property
    def dns_records(self) -> Path:
        """Directory of notes about TXT records that have to be taken away."""
        return self.work_dir / "dns-records"

    def hooks_dir(self, when: str) -> Path:
        """Directory of the hooks that run at ``when``: pre, deploy or post."""
        return self.hooks_root / when

    def accounts_dir(self, server: str) -> Path:
        """Directory of the accounts at the CA whose directory URL is ``server``.

        Raises: ConfigError when the URL cannot be made a path.
        """
        return self.accounts_root / account_path(server)

    def accounts_host_dir(self, server: str) -> Path:
        """``accounts/<host[:port]>`` of the CA whose directory URL is ``server``. Raises: ConfigError."""
        return self.accounts_root / account_path(server).parts[0]

    def live(self, name: str) -> Path:
        """Live directory of the lineage ``name``."""
        return self.live_root / name

    def archive(self, name: str) -> Path:
        """Archive directory of the lineage ``name``, unless its configuration says otherwise."""
        return self.archive_root / name

    def renewal_conf(self, name: str) -> Path:
        """Renewal configuration file of the lineage ``name``."""
        return self.renewal_root / f"{name}.conf"

    def pending(self, name: str) -> Path:
        """Directory of the order in flight of the lineage ``name``."""
        return self.pending_root / name


def account_path(server: str) -> Path:
    """``<host[:port]>/<path>`` of a directory URL, relative. Raises: ConfigError."""
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(server)
    except ValueError:
        raise ConfigError(f"The server {_shown(server)} is not a URL.") from None
    # A password in a URL must not become the name of a directory.
    host = parts.netloc.rpartition("@")[2]
    segments = [segment for segment in parts.path.split("/") if segment]
    if not host or any(segment in {".", ".."} or not segment.isprintable() for segment in (host, *segments)):
        raise ConfigError(
            f"The server {_shown(server)} is not a URL that an account can be kept for.",
            hint="Give the CA's directory URL, such as https://acme-v02.api.letsencrypt.org/directory.",
        )
    return Path(host, *segments)


def check_lineage_name(name: str) -> str:
    """``name`` itself if it can name a lineage.

    Raises: ConfigError saying what is wrong with it.
    """
    hint = "A certificate's name is a single file name, such as example.org."
    if not name:
        raise ConfigError("The certificate name is empty.", hint=hint)
    reason = _why_not_a_name(name)
    if reason:
        raise ConfigError(f"{_shown(name)} cannot be a certificate name: {reason}.", hint=hint)
    return name


def _why_not_a_name(name: str) -> str | None:
    if "/" in name or "\\" in name or os.sep in name:
        return "it contains a path separator"
    if not name.isprintable():
        return "it contains a control character"
    if name != name.strip():
        return "it starts or ends with a space"
    if name.strip(".") == "":
        return "it is made of dots alone"
    if name.startswith("."):
        # certbot's listing passes over such files, so the lineage would never be renewed there.
        return "it starts with a dot"
    if name.startswith("-"):
        return "it starts with a dash"
    if "%(" in name:
        # The name is part of paths in the renewal file, where certbot would take this for a reference.
        return "it contains '%('"
    if name in _RESERVED:
        return "that file name is taken"
    try:
        length = len(name.encode())
    except UnicodeEncodeError:
        return "it is not valid UTF-8"
    if length > _NAME_MAX - _LONGEST_SUFFIX:
        return f"it is longer than {_NAME_MAX - _LONGEST_SUFFIX} bytes"
    return None


def _shown(text: str) -> str:
    """Text safe for a terminal, shortened, in quotes."""
    clean = "".join(c if c.isprintable() else "?" for c in text)
    return f"'{clean}'" if len(clean) <= 80 else f"'{clean[:77]}...'"
