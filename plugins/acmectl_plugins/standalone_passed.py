"""Sockets that systemd has opened for us: sd_listen_fds(3), LISTEN_FDS, LISTEN_PID and LISTEN_FDNAMES."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

from acmectl.plugin.api import PluginError

if TYPE_CHECKING:
    from collections.abc import Mapping

_FIRST = 3
_FAMILIES = (socket.AF_INET, socket.AF_INET6)
_HINT = "A unit passes them by ListenStream=; their names, http or tls-alpn, are given by FileDescriptorName=."


def passed_sockets(name: str, port: int, environ: Mapping[str, str] | None = None) -> list[socket.socket]:
    """Copies of the passed sockets that are called ``name``, or that have no name of ours and listen on ``port``.

    Closing a copy leaves the socket itself open for the next certificate of the same run. Empty when none were passed.

    Raises: PluginError for a descriptor that is no listening TCP socket.
    """
    env = os.environ if environ is None else environ
    count = env.get("LISTEN_FDS", "")
    if env.get("LISTEN_PID") != str(os.getpid()) or not (count.isascii() and count.isdigit()):
        return []
    names = env.get("LISTEN_FDNAMES", "").split(":")
    found: list[socket.socket] = []
    for index in range(min(int(count), 256)):
        called = names[index] if index < len(names) else ""
        if called in _OURS and called != name:
            continue
        copy = _copy(_FIRST + index, called)
        if called == name or copy.getsockname()[1] == port:
            found.append(copy)
        else:
            copy.close()
    return found


_OURS = ("http", "tls-alpn")


def _copy(descriptor: int, called: str) -> socket.socket:
    what = f"The socket that systemd passed as {called!r}" if called else f"The passed file descriptor {descriptor}"
    try:
        os.set_inheritable(descriptor, False)  # hooks are not to have it
        copy = socket.socket(fileno=os.dup(descriptor))
    except OSError as error:
        raise PluginError(f"{what} cannot be used: {error.strerror}.", hint=_HINT) from error
    try:
        listening = copy.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    except OSError:
        listening = 0
    if not listening or copy.family not in _FAMILIES or copy.type != socket.SOCK_STREAM:
        copy.close()
        raise PluginError(f"{what} does not listen for TCP connections.", hint=_HINT)
    return copy
