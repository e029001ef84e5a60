"""Clears away what killed runs left outside of any lineage: temporary files, and keys whose order is done with."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from acmectl.errors import StorageError
from acmectl.storage.atomic import is_temporary, remove_tree
from acmectl.storage.pending import PendingStore

if TYPE_CHECKING:
    from acmectl.storage.layout import Layout


def sweep(layout: Layout) -> None:
    """Remove the remains. Called with the store locked; never raises, for what stays does no harm."""
    for directory in (layout.work_dir, layout.live_root, layout.renewal_root, layout.accounts_root):
        _sweep(str(directory))
    with suppress(OSError):
        for host in os.listdir(layout.accounts_root):
            _sweep(f"{layout.accounts_root}/{host}")
    with suppress(OSError, StorageError):
        pending = PendingStore(layout)
        waiting = frozenset(pending.names())
        for name in os.listdir(layout.pending_root):
            if name not in waiting:
                # The order goes first when a record is dropped, so a key alone belongs to nothing.
                pending.drop(name)


def _sweep(directory: str) -> None:
    with suppress(OSError):
        for name in os.listdir(directory):
            if is_temporary(name):
                path = f"{directory}/{name}"
                with suppress(OSError):
                    remove_tree(path) if os.path.isdir(path) and not os.path.islink(path) else os.unlink(path)
