"""preauthorized: for CAs that have authorized the names already, by a contract or in their own way."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from acmectl.plugin.api import Authenticator, PluginError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from acmectl.plugin.api import ChallengeTask


class Preauthorized(Authenticator):
    """Proves nothing; a challenge is an error, before the CA is told to validate anything."""

    name: ClassVar[str] = "preauthorized"
    summary: ClassVar[str] = "Prove nothing: the CA has authorized the names already"
    # All of them, so that it is this authenticator that says what is wrong.
    challenge_types: ClassVar[tuple[str, ...]] = (
        "http-01", "dns-01", "tls-alpn-01", "dns-account-01", "dns-persist-01",
    )  # fmt: skip

    def present(self, tasks: Sequence[ChallengeTask]) -> None:
        """Raises: PluginError always, for nothing can be proved here."""
        names = [str(task.identifier) for task in tasks]
        shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
        raise PluginError(
            f"The CA wants control of {shown} to be proved: nothing is authorized in advance there.",
            hint="Ask the CA to authorize the names for this account, or choose an authenticator instead of "
            "--preauthorized.",
            identifier=tasks[0].identifier,
        )

    def clean_up(self, tasks: Sequence[ChallengeTask]) -> None:
        """Nothing: there was nothing put in place."""
