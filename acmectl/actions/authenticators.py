"""Instances of authenticators, with what the engine lends to them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from acmectl.events import Notice
from acmectl.issuance.request import NamedAuthenticator
from acmectl.plugin.api import ChallengeTask, Context

if TYPE_CHECKING:
    from collections.abc import Sequence

    from acmectl.actions.requests import CertificateRequest
    from acmectl.actions.services import Services
    from acmectl.issuance.request import BeforeRespond


def make_authenticator(services: Services, request: CertificateRequest) -> NamedAuthenticator:
    """An instance of the authenticator that was asked for. Raises: PluginError."""
    plugin_class = services.load_authenticator(request.authenticator.name)
    context = Context(
        clock=services.clock,
        interrupts=services.interrupts,
        terminal=services.person,
        run_hook=services.hooks,
        warn=lambda text: services.observe(Notice(text=text, level="warning")),
    )
    return NamedAuthenticator(
        name=request.authenticator.name, plugin=plugin_class(request.authenticator.options, context)
    )


def pause_for_debugging(services: Services) -> BeforeRespond:
    """For --debug-challenges: show what is in place and wait for Enter, if somebody is there."""

    def pause(tasks: Sequence[ChallengeTask]) -> None:
        lines = ["Challenges are in place:"]
        for task in tasks:
            if task.type == "http-01":
                lines += [task.http_url, task.http_body.decode("ascii")]
            elif task.type == "dns-01":
                lines += [task.record_name, task.record_value]
        services.person.say("\n".join(lines))
        if services.person.interactive:
            services.person.pause("Press Enter to go on to the validation.")

    return pause
