"""The system call that swaps two directories: renameat2 with RENAME_EXCHANGE (Linux)."""

from __future__ import annotations

import errno
import os
import sys
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2

# For C libraries without the wrapper. Numbers are per architecture; those that are not here take the other way.
_CALL_NUMBERS = {
    "x86_64": 316,
    "aarch64": 276,
    "riscv64": 276,
    "loongarch64": 276,
    "ppc64le": 357,
    "s390x": 347,
}


def exchange(first: str, second: str) -> None:
    """Swap what two paths of one file system name, in one step. Raises: OSError (ENOSYS: no such call here)."""
    error = _renameat2()(os.fsencode(first), os.fsencode(second))
    if error:
        raise OSError(error, os.strerror(error), second)


@cache
def _renameat2() -> Callable[[bytes, bytes], int]:
    """A function that swaps two paths and answers with an errno, 0 for success."""
    if not sys.platform.startswith("linux"):
        return lambda _first, _second: errno.ENOSYS
    import ctypes
    import platform

    library = ctypes.CDLL(None, use_errno=True)
    if hasattr(library, "renameat2"):
        call = library.renameat2
        call.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint)
        call.restype = ctypes.c_int
        return lambda first, second: (
            ctypes.get_errno() if call(_AT_FDCWD, first, _AT_FDCWD, second, _RENAME_EXCHANGE) else 0
        )
    # A 32-bit userland on a 64-bit kernel would use the wrong number.
    number = _CALL_NUMBERS.get(platform.machine()) if sys.maxsize > 2**32 else None
    if number is None:
        return lambda _first, _second: errno.ENOSYS
    raw = library.syscall
    raw.restype = ctypes.c_long
    raw.argtypes = (ctypes.c_long, ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint)
    return lambda first, second: (
        ctypes.get_errno() if raw(number, _AT_FDCWD, first, _AT_FDCWD, second, _RENAME_EXCHANGE) else 0
    )
