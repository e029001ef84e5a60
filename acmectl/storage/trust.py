"""What is remembered of a CA beside its accounts: the bundle of certificates by which it is trusted."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from acmectl.storage.atomic import make_dir, read_file, telling, write_file

if TYPE_CHECKING:
    from acmectl.storage.layout import Layout

_LIMIT = 1 << 20


class RememberedTrust:
    """The CA bundle that was given for each CA: ``accounts/<host[:port]>/acmectl-ca.json``."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout

    def get(self, server: str) -> Path | None:
        """The file that ``remember`` was last given for the CA, absolute; None when there is none."""
        bundle = self._read(self._path(server)).get(server)
        path = bundle.get("ca_bundle") if isinstance(bundle, dict) else None
        return Path(path) if isinstance(path, str) and path.startswith("/") else None

    def remember(self, server: str, ca_bundle: Path | None) -> None:
        """Note the bundle for the CA, None to forget it. Raises: StorageError, ConfigError."""
        path = self._path(server)
        content = self._read(path)
        before = dict(content)
        if ca_bundle is None:
            content.pop(server, None)
        else:
            content[server] = {"ca_bundle": os.path.abspath(ca_bundle)}
        if content == before:
            return
        with telling(f"write {path}"):
            make_dir(self._layout.accounts_root, 0o700)
            make_dir(path.parent, 0o700)
            write_file(path, (json.dumps(content, indent=1) + "\n").encode("utf-8"))

    def _path(self, server: str) -> Path:
        return self._layout.accounts_host_dir(server) / "acmectl-ca.json"

    @staticmethod
    def _read(path: Path) -> dict[str, object]:
        try:
            content = json.loads(read_file(path, _LIMIT))
        except (OSError, ValueError, RecursionError):
            return {}
        return content if isinstance(content, dict) else {}
