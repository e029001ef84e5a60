"""Where standalone listens, and what to say where it cannot."""

from __future__ import annotations

import errno
import socket
from dataclasses import dataclass

from acmectl.plugin.api import PluginError

# What the system says when a family or an address is not there at all.
_ABSENT = (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL, errno.EPROTONOSUPPORT, errno.EPFNOSUPPORT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A port and an address (empty: all of IPv4 and IPv6) to listen on. ``flag`` begins the names of both options.

    ``passed_as`` is what systemd calls a socket for it; ``usual`` the port that the CA asks on.
    """

    port: int
    address: str
    flag: str
    passed_as: str
    usual: int

    def open(self) -> list[socket.socket]:
        """Sockets that systemd passed, else new ones on every family that the machine has, IPv6 first.

        Raises: PluginError.
        """
        from acmectl_plugins.standalone_passed import passed_sockets

        return passed_sockets(self.passed_as, self.port) or self._bind()

    def _bind(self, tries: int = 10) -> list[socket.socket]:
        bound: list[socket.socket] = []
        port = self.port
        absent: OSError | None = None
        try:
            for family, address in self._addresses():
                try:
                    bound.append(_bound(family, address, port))
                except OSError as error:
                    if error.errno not in _ABSENT:
                        raise self._refused(error) from error
                    absent = error
                else:
                    port = int(bound[0].getsockname()[1])  # with port 0 the second family takes what the first got
        except PluginError as error:
            for one in bound:
                one.close()
            if not self.port and tries and getattr(error.__cause__, "errno", None) == errno.EADDRINUSE:
                return self._bind(tries - 1)  # what the first family got is in use by the second
            raise
        if not bound:
            raise self._refused(absent) from absent
        return bound

    def _addresses(self) -> list[tuple[socket.AddressFamily, str]]:
        if not self.address:
            return [(socket.AF_INET6, "::"), (socket.AF_INET, "0.0.0.0")]  # noqa: S104 - the CA may come from anywhere
        try:
            found = socket.getaddrinfo(self.address.strip("[]"), self.port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise PluginError(
                f"'{self.address}' is not an address of this machine.",
                hint=f"Give an IP address as {self.flag}-address.",
            ) from error
        wanted = (socket.AF_INET, socket.AF_INET6)
        return list(dict.fromkeys((family, str(where[0])) for family, _, _, _, where in found if family in wanted))

    def _refused(self, error: OSError | None) -> PluginError:
        place = f"port {self.port}" + (f" of {self.address}" if self.address else "")
        if error is not None and error.errno == errno.EADDRINUSE:
            from acmectl_plugins.port_holder import holder_of

            holder = holder_of(self.port) or "another process"
            return PluginError(
                f"Cannot listen on {place}: it is in use by {holder}.",
                hint="Stop it meanwhile (--pre-hook and --post-hook), or use --webroot and leave it running.",
            )
        if error is not None and error.errno in (errno.EACCES, errno.EPERM):
            return PluginError(
                f"Cannot listen on {place}: permission denied.",
                hint=f"Run as root or with CAP_NET_BIND_SERVICE, have systemd pass a socket, "
                f"or pass port {self.usual} on to a port given by {self.flag}-port.",
            )
        reason = error.strerror if error is not None else "there is no such address"
        return PluginError(
            f"Cannot listen on {place}: {reason}.", hint=f"Check {self.flag}-address and {self.flag}-port."
        )


def place_of(*, port: object, address: object, flag: str, passed_as: str, usual: int) -> Place:
    """A place from options as they were given. Raises: PluginError for a port that is none."""
    text = str(usual if port in (None, "") else port)
    if not (text.isascii() and text.isdigit() and int(text) < 1 << 16):
        raise PluginError("The port to listen on must be a number from 1 to 65535.", hint=f"Check {flag}-port.")
    return Place(port=int(text), address=str(address or ""), flag=flag, passed_as=passed_as, usual=usual)


def shown(bound: socket.socket) -> str:
    """An address to listen on as ``0.0.0.0:80`` or ``[::]:80``."""
    host, port = bound.getsockname()[:2]
    return f"[{host}]:{port}" if bound.family == socket.AF_INET6 else f"{host}:{port}"


def _bound(family: socket.AddressFamily, address: str, port: int) -> socket.socket:
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            # Each family has a socket of its own, so that it is known which of them is served.
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.bind((address, port))
        made.listen()
    except OSError:
        made.close()
        raise
    return made
