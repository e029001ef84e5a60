"""standalone: answers http-01 itself, for machines where nothing else listens on port 80 (RFC 8555 section 8.3)."""

from __future__ import annotations

import errno
import socket
from typing import TYPE_CHECKING, ClassVar

from acmectl.plugin.api import Authenticator, PluginError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from acmectl.plugin.api import ChallengeTask, Context, Identifier
    from acmectl_plugins.answer_server import AnswerServer

_HTTP_PORT = 80
# What the system says when a family or an address is not there at all.
_ABSENT = (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL, errno.EPROTONOSUPPORT, errno.EPFNOSUPPORT)


class Standalone(Authenticator):
    """Answers http-01 with a web server of its own while the CA validates."""

    name: ClassVar[str] = "standalone"
    summary: ClassVar[str] = "Answer on port 80 with a web server of its own"
    challenge_types: ClassVar[tuple[str, ...]] = ("http-01",)
    exclusive: ClassVar[bool] = True

    def __init__(self, options: Mapping[str, object], context: Context) -> None:
        """Options: ``http01_port`` to listen on (80), ``http01_address`` (all addresses, IPv4 and IPv6)."""
        super().__init__(options, context)
        self._port = _port(options.get("http01_port"))
        self._address = str(options.get("http01_address") or "")
        self._answers: dict[str, bytes] = {}
        self._server: AnswerServer | None = None
        self.bound: tuple[str, ...] = ()
        """Where it listens, as ``0.0.0.0:80`` and ``[::]:80``; empty while it does not."""

    def check(self, identifiers: Sequence[Identifier]) -> None:
        """The port can be had. Raises: PluginError naming who holds it."""
        for identifier in identifiers:
            if identifier.is_wildcard:
                raise PluginError(
                    f"{identifier} is a wildcard: standalone answers http-01, which cannot prove wildcards.",
                    hint="Use dns-01: a DNS authenticator, or --manual with --preferred-challenges dns.",
                    identifier=identifier,
                )
        if self._server is None:
            for bound in self._bind():
                bound.close()

    def present(self, tasks: Sequence[ChallengeTask]) -> None:
        """Listen, if not yet, and answer for ``tasks``. Raises: PluginError when the port cannot be had."""
        if self._server is None:
            from acmectl_plugins.answer_server import AnswerServer

            sockets = self._bind()
            self.bound = tuple(_shown(bound) for bound in sockets)
            self._server = AnswerServer(sockets)
            self._server.start()
            self.context.logger.info("standalone: answering on %s", " and ".join(self.bound))
        self._answers.update({task.http_path: task.http_body for task in tasks})
        self._server.answer(self._answers)

    def clean_up(self, tasks: Sequence[ChallengeTask]) -> None:
        """Forget the answers; stop listening with the last of them."""
        for task in tasks:
            self._answers.pop(task.http_path, None)
        if self._server is None:
            return
        self._server.answer(self._answers)
        if not self._answers:
            self._server.stop()
            self._server = None
            self.bound = ()

    def failure_hint(self, task: ChallengeTask) -> str:
        """Whether the CA's request arrived here, and what it needs to."""
        if self._server is not None and task.http_path in self._server.asked:
            return f"The answer for {task.identifier} was fetched from here, but perhaps not on all of its addresses."
        where = " and ".join(self.bound) or f"port {self._port}"
        hint = f"No request for {task.identifier} arrived on {where}: check its DNS records, firewalls and NAT"
        if self._port != _HTTP_PORT:
            hint += f", and that port {_HTTP_PORT} is passed on to port {self._port}"
        if self.bound and not any(place.startswith("[") for place in self.bound):
            hint += "; it does not listen on IPv6, so there must be no AAAA record"
        return hint + "."

    def _bind(self) -> list[socket.socket]:
        """Sockets bound on every family that the machine has, IPv6 first. Raises: PluginError."""
        bound: list[socket.socket] = []
        port = self._port
        absent: OSError | None = None
        try:
            for family, address in self._places():
                try:
                    bound.append(_bound(family, address, port))
                except OSError as error:
                    if error.errno not in _ABSENT:
                        raise self._refused(error) from error
                    absent = error
                else:
                    port = int(bound[0].getsockname()[1])  # with port 0 the second family takes what the first got
        except PluginError:
            for one in bound:
                one.close()
            raise
        if not bound:
            raise self._refused(absent) from absent
        return bound

    def _places(self) -> list[tuple[socket.AddressFamily, str]]:
        if not self._address:
            return [(socket.AF_INET6, "::"), (socket.AF_INET, "0.0.0.0")]  # noqa: S104 - the CA may come from anywhere
        try:
            found = socket.getaddrinfo(self._address.strip("[]"), self._port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise PluginError(
                f"'{self._address}' is not an address of this machine.", hint="Give an IP address as --http-01-address."
            ) from error
        wanted = (socket.AF_INET, socket.AF_INET6)
        return list(dict.fromkeys((family, str(where[0])) for family, _, _, _, where in found if family in wanted))

    def _refused(self, error: OSError | None) -> PluginError:
        place = f"port {self._port}" + (f" of {self._address}" if self._address else "")
        if error is not None and error.errno == errno.EADDRINUSE:
            from acmectl_plugins.port_holder import holder_of

            holder = holder_of(self._port) or "another process"
            return PluginError(
                f"Cannot listen on {place}: it is in use by {holder}.",
                hint="Stop it meanwhile (--pre-hook and --post-hook), or use --webroot and leave it running.",
            )
        if error is not None and error.errno in (errno.EACCES, errno.EPERM):
            return PluginError(
                f"Cannot listen on {place}: permission denied.",
                hint="Run as root or with CAP_NET_BIND_SERVICE, or pass port 80 on to a port given by --http-01-port.",
            )
        reason = error.strerror if error is not None else "there is no such address"
        return PluginError(f"Cannot listen on {place}: {reason}.", hint="Check --http-01-address and --http-01-port.")


def _port(value: object) -> int:
    text = str(_HTTP_PORT if value in (None, "") else value)
    if not (text.isascii() and text.isdigit() and int(text) < 1 << 16):
        raise PluginError("The port to listen on must be a number from 1 to 65535.", hint="Check --http-01-port.")
    return int(text)


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


def _shown(bound: socket.socket) -> str:
    host, port = bound.getsockname()[:2]
    return f"[{host}]:{port}" if bound.family == socket.AF_INET6 else f"{host}:{port}"
