"""Instances of authenticators, with what the engine lends to them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from acmectl.actions.programs import Programs
from acmectl.actions.web import Web
from acmectl.events import Notice, Waiting
from acmectl.issuance.preflight import SelfCheck
from acmectl.issuance.request import NamedAuthenticator, Preflight
from acmectl.plugin.api import ChallengeTask, Context, DnsSettings
from acmectl.storage.credentials import CredentialsFiles
from acmectl.storage.dns_records import DnsRecordStore

if TYPE_CHECKING:
    from collections.abc import Sequence

    from acmectl.actions.requests import AuthenticatorRequest, CertificateRequest, Pattern
    from acmectl.actions.services import Services
    from acmectl.identifiers import Identifier
    from acmectl.issuance.request import BeforeRespond
    from acmectl.plugin.api import AnswerFault


@dataclass(frozen=True, slots=True, kw_only=True)
class Solvers:
    """The authenticators of one request. Called with an identifier, gives the one that answers for it."""

    default: NamedAuthenticator
    mixed: tuple[tuple[Pattern, NamedAuthenticator], ...] = ()
    preflight: bool = True

    def __call__(self, identifier: Identifier) -> NamedAuthenticator:
        return next((solver for pattern, solver in self.mixed if pattern.fits(identifier.value)), self.default)

    def check(self, identifiers: Sequence[Identifier], *, shared_only: bool = False) -> None:
        """Have each look at its own identifiers. ``shared_only`` leaves out those that are exclusive.

        Raises: PluginError.
        """
        for solver, own in self._with_work(identifiers):
            if not (shared_only and solver.plugin.exclusive):
                solver.plugin.check(own)

    def check_account(self, identifiers: Sequence[Identifier], *, thumbprint: str) -> None:
        """As ``check``, once the account's key is known; left out with --no-preflight. Raises: PluginError."""
        if self.preflight:
            for solver, own in self._with_work(identifiers):
                solver.plugin.check_account(own, thumbprint=thumbprint)

    def _with_work(self, identifiers: Sequence[Identifier]) -> list[tuple[NamedAuthenticator, list[Identifier]]]:
        found: dict[int, tuple[NamedAuthenticator, list[Identifier]]] = {}
        for identifier in identifiers:
            solver = self(identifier)
            found.setdefault(id(solver), (solver, []))[1].append(identifier)
        return list(found.values())


def make_authenticators(services: Services, request: CertificateRequest) -> Solvers:
    """Instances of the authenticators that were asked for. Raises: PluginError."""
    credentials = CredentialsFiles(services.environ, allow_insecure=request.allow_insecure_credentials)
    made: dict[str, NamedAuthenticator] = {}

    def solver(wanted: AuthenticatorRequest) -> NamedAuthenticator:
        # Two choices of the same authenticator with the same options share one instance, and its batches.
        key = f"{wanted.name} {sorted((name, str(value)) for name, value in wanted.options.items())}"
        if key not in made:
            made[key] = make_authenticator(
                services,
                wanted,
                dns=request.dns,
                credentials=credentials,
                preferred_challenges=request.preferred_challenges,
            )
        return made[key]

    return Solvers(
        default=solver(request.authenticator),
        mixed=tuple((one.pattern, solver(one.authenticator)) for one in request.mixed),
        preflight=request.preflight is not Preflight.OFF,
    )


def make_authenticator(
    services: Services,
    wanted: AuthenticatorRequest,
    *,
    dns: DnsSettings | None,
    credentials: CredentialsFiles,
    preferred_challenges: tuple[str, ...] = (),
) -> NamedAuthenticator:
    """An instance of one authenticator. Raises: PluginError."""
    plugin_class = services.load_authenticator(wanted.name)
    context = Context(
        clock=services.clock,
        interrupts=services.interrupts,
        terminal=services.person,
        run_hook=services.hooks,
        warn=lambda text: services.observe(Notice(text=text, level="warning")),
        run_program=Programs(
            clock=services.clock,
            interrupts=services.interrupts,
            observe=services.observe,
            environ=services.environ,
        ),
        http=Web(services.interrupts),
        credentials=credentials,
        records=DnsRecordStore(services.layout).journal(wanted.name, _plain(wanted.options)),
        dns=dns or DnsSettings(),
        preferred_challenges=preferred_challenges,
        self_check=lambda tasks: _self_check(services, tasks),
        progress=lambda what, seconds: services.observe(Waiting(what=what, seconds=seconds)),
        keep_secret=services.keep_secret,
    )
    return NamedAuthenticator(name=wanted.name, plugin=plugin_class(wanted.options, context))


def _self_check(services: Services, tasks: Sequence[ChallengeTask]) -> dict[Identifier, AnswerFault]:
    with services.interrupts.interruptible():
        return SelfCheck(tasks).faults([task.identifier for task in tasks])


def _plain(options: object) -> dict[str, object]:
    """Options that a file can hold, to make the same authenticator again."""
    pairs = options.items() if hasattr(options, "items") else ()
    return {
        str(name): value
        for name, value in pairs
        if value is None or isinstance(value, str | int | bool | float | list | tuple | dict)
    }


def pause_for_debugging(services: Services) -> BeforeRespond:
    """For --debug-challenges: show what is in place and wait for Enter, if somebody is there."""

    def pause(tasks: Sequence[ChallengeTask]) -> None:
        lines = ["Challenges are in place:"]
        for task in tasks:
            if task.type == "http-01":
                lines += [task.http_url, task.http_body.decode("ascii")]
            elif task.type == "tls-alpn-01":
                lines += [f"TLS with ALPN acme-tls/1 for {task.identifier}", task.key_authorization]
            elif task.type.startswith("dns-"):
                lines += [task.record_name, task.record_value]
        services.person.say("\n".join(lines))
        if services.person.interactive:
            services.person.pause("Press Enter to go on to the validation.")

    return pause
