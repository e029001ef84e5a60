"""stateless: the web server answers http-01 by itself, with each token and the account's thumbprint.

RFC 8555 section 8.1: a key authorization is the token, a dot and the thumbprint of the account's key, so that one rule
in the web server's configuration answers every challenge of the account.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, ClassVar

from acmectl.plugin.api import Authenticator, ChallengeTask, PluginError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from acmectl.plugin.api import Identifier

_SHOW = "acmectl show_account --stateless prints the lines for nginx, Apache and HAProxy."


class Stateless(Authenticator):
    """Puts nothing in place and looks beforehand whether the web server knows what to say."""

    name: ClassVar[str] = "stateless"
    summary: ClassVar[str] = "Let a web server answer that knows the account's thumbprint"
    challenge_types: ClassVar[tuple[str, ...]] = ("http-01",)

    def check(self, identifiers: Sequence[Identifier]) -> None:
        """No wildcards. Raises: PluginError."""
        for identifier in identifiers:
            if identifier.is_wildcard:
                raise PluginError(
                    f"{identifier} is a wildcard: stateless answers http-01, which cannot prove wildcards.",
                    hint="Use dns-01: a DNS authenticator, or --manual with --preferred-challenges dns.",
                    identifier=identifier,
                )

    def check_account(self, identifiers: Sequence[Identifier], *, thumbprint: str) -> None:
        """Every name answers a token that we made up. Raises: PluginError for a wrong answer.

        A name that cannot be reached from here is a warning: the CA may see it where we do not.
        """
        token = secrets.token_urlsafe(32)
        faults = self.context.self_check(
            [
                ChallengeTask(
                    identifier=identifier, type="http-01", token=token, key_authorization=f"{token}.{thumbprint}"
                )
                for identifier in identifiers
            ]
        )
        wrong = {identifier: fault for identifier, fault in faults.items() if fault.reached}
        if wrong:
            first, fault = min(wrong.items(), key=lambda found: found[0].value)
            more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
            raise PluginError(
                f"The web server of {first}{more} does not answer with TOKEN.{thumbprint}: {fault.text}.",
                hint=f"{_SHOW} --no-preflight leaves this check out.",
                identifier=first,
            )
        for identifier, fault in faults.items():
            self.context.warn(f"The answer of {identifier} could not be checked: {fault.text}.")

    def present(self, tasks: Sequence[ChallengeTask]) -> None:
        """Nothing: the web server has its answer already."""

    def clean_up(self, tasks: Sequence[ChallengeTask]) -> None:
        """Nothing: there was nothing put in place."""

    def failure_hint(self, task: ChallengeTask) -> str:
        """What the web server has to say."""
        thumbprint = task.key_authorization.partition(".")[2]
        return f"The web server of {task.identifier} must answer {task.http_path} with TOKEN.{thumbprint}: {_SHOW}"
