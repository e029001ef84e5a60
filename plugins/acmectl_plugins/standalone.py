"""standalone: answers http-01 and tls-alpn-01 itself, where nothing else listens on port 80 or 443.

RFC 8555 section 8.3, RFC 8737.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from acmectl.plugin.api import Authenticator, PluginError
from acmectl_plugins.standalone_sockets import place_of, shown

if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping, Sequence

    from acmectl.plugin.api import ChallengeTask, Context, Identifier
    from acmectl_plugins.answer_server import AnswerServer
    from acmectl_plugins.standalone_sockets import Place
    from acmectl_plugins.standalone_tls import AlpnServer

_HTTP, _ALPN = "http-01", "tls-alpn-01"


class Standalone(Authenticator):
    """Answers http-01 with a web server of its own, tls-alpn-01 with a TLS server, while the CA validates."""

    name: ClassVar[str] = "standalone"
    summary: ClassVar[str] = "Answer on port 80 or 443 with a server of its own"
    challenge_types: ClassVar[tuple[str, ...]] = (_HTTP, _ALPN)
    exclusive: ClassVar[bool] = True

    def __init__(self, options: Mapping[str, object], context: Context) -> None:
        """Options: ``http01_port`` to listen on (80), ``http01_address`` (all addresses, IPv4 and IPv6).

        ``tls_alpn_01_port`` (443) and ``tls_alpn_01_address`` likewise.
        """
        super().__init__(options, context)
        self._places: dict[str, Place] = {
            _HTTP: place_of(
                port=options.get("http01_port"),
                address=options.get("http01_address"),
                flag="--http-01",
                passed_as="http",
                usual=80,
            ),
            _ALPN: place_of(
                port=options.get("tls_alpn_01_port"),
                address=options.get("tls_alpn_01_address"),
                flag="--tls-alpn-01",
                passed_as="tls-alpn",
                usual=443,
            ),
        }
        self._tasks: dict[str, dict[str, ChallengeTask]] = {_HTTP: {}, _ALPN: {}}
        self._http: AnswerServer | None = None
        self._tls: AlpnServer | None = None
        self._bound: dict[str, tuple[str, ...]] = {}

    @property
    def bound(self) -> tuple[str, ...]:
        """Where it listens, as ``0.0.0.0:80`` and ``[::]:80``; empty while it does not."""
        return tuple(where for kind in (_HTTP, _ALPN) for where in self._bound.get(kind, ()))

    def check(self, identifiers: Sequence[Identifier]) -> None:
        """The port of the challenge that comes first can be had. Raises: PluginError naming who holds it."""
        for identifier in identifiers:
            if identifier.is_wildcard:
                raise PluginError(
                    f"{identifier} is a wildcard: standalone answers http-01 and tls-alpn-01, "
                    "which cannot prove wildcards.",
                    hint="Use dns-01: a DNS authenticator, or --manual with --preferred-challenges dns.",
                    identifier=identifier,
                )
        kind = next((kind for kind in self.context.preferred_challenges if kind in self._places), _HTTP)
        if kind not in self._bound:
            for opened in self._places[kind].open():
                opened.close()

    def present(self, tasks: Sequence[ChallengeTask]) -> None:
        """Listen, if not yet, and answer for ``tasks``. Raises: PluginError when a port cannot be had."""
        for kind in dict.fromkeys(task.type for task in tasks):
            own = [task for task in tasks if task.type == kind]
            self._tasks[kind].update({task.http_path: task for task in own})
            if kind == _HTTP:
                self._present_http()
            else:
                self._present_alpn()

    def _present_http(self) -> None:
        if self._http is None:
            from acmectl_plugins.answer_server import AnswerServer

            self._http = AnswerServer(self._open(_HTTP))
            self._http.start()
        self._http.answer({task.http_path: task.http_body for task in self._tasks[_HTTP].values()})

    def _present_alpn(self) -> None:
        from acmectl_plugins.standalone_tls import AlpnServer

        if self._tls is None:
            self._tls = AlpnServer(self._open(_ALPN))
            self._tls.start()
        self._tls.answer(self._tasks[_ALPN])

    def _open(self, kind: str) -> list[socket.socket]:
        sockets = self._places[kind].open()
        self._bound[kind] = tuple(shown(one) for one in sockets)
        self.context.logger.info("standalone: answering on %s", " and ".join(self._bound[kind]))
        return sockets

    def clean_up(self, tasks: Sequence[ChallengeTask]) -> None:
        """Forget the answers; stop listening with the last of them."""
        for task in tasks:
            self._tasks.get(task.type, {}).pop(task.http_path, None)
        if self._http is not None:
            self._http.answer({task.http_path: task.http_body for task in self._tasks[_HTTP].values()})
            if not self._tasks[_HTTP]:
                self._http.stop()
                self._http = None
                self._bound.pop(_HTTP, None)
        if self._tls is not None:
            self._tls.answer(self._tasks[_ALPN])
            if not self._tasks[_ALPN]:
                self._tls.stop()
                self._tls = None
                self._bound.pop(_ALPN, None)

    def failure_hint(self, task: ChallengeTask) -> str:
        """Whether the CA's request arrived here, and what it needs to."""
        place, bound = self._places[task.type], self._bound.get(task.type, ())
        if self._was_asked(task):
            return f"The answer for {task.identifier} was fetched from here, but perhaps not on all of its addresses."
        where = " and ".join(bound) or f"port {place.port}"
        hint = f"No request for {task.identifier} arrived on {where}: check its DNS records, firewalls and NAT"
        if place.port != place.usual:
            hint += f", and that port {place.usual} is passed on to port {place.port}"
        if bound and not any(one.startswith("[") for one in bound):
            hint += "; it does not listen on IPv6, so there must be no AAAA record"
        return hint + "."

    def _was_asked(self, task: ChallengeTask) -> bool:
        if task.type == _HTTP:
            return self._http is not None and task.http_path in self._http.asked
        if self._tls is None:
            return False
        from acmectl_plugins.standalone_tls import server_name

        return server_name(task.identifier) in self._tls.asked
