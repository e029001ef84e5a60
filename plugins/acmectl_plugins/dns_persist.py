"""dns-persist: a record that stays (draft-ietf-acme-dns-persist). It is looked at, never written and never deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from acmectl.errors import NameServerError
from acmectl.plugin.api import Authenticator
from acmectl.plugin.persist import why_not

if TYPE_CHECKING:
    from collections.abc import Sequence

    from acmectl.plugin.api import ChallengeTask


class DnsPersist(Authenticator):
    """Proves control by a TXT record that was set once; ``acmectl dns-record`` prints it."""

    summary: ClassVar[str] = "Rely on a TXT record that was set once and stays (acmectl dns-record)"
    challenge_types: ClassVar[tuple[str, ...]] = ("dns-persist-01",)

    def present(self, tasks: Sequence[ChallengeTask]) -> None:
        """Look at every authoritative server and warn of records that are not there: the CA decides."""
        if not self.context.dns.check:
            return
        for task in tasks:
            problem = self._problem(task)
            if problem is not None:
                self.context.warn(f"{task.identifier}: the record {task.record_name} will hardly do: {problem}.")

    def clean_up(self, tasks: Sequence[ChallengeTask]) -> None:
        """The record stays."""

    def failure_hint(self, task: ChallengeTask) -> str | None:
        """The command that prints what the record must be."""
        return f"The record to set: acmectl dns-record -d '{task.identifier}'"

    def _problem(self, task: ChallengeTask) -> str | None:
        from acmectl.plugin.dns_lookup import look_at

        if task.persist is None:
            return None
        try:
            found = look_at(task.record_name, "TXT", self.context.dns, self.context.interrupts)
        except NameServerError as error:
            return error.message.rstrip(".")
        problems = []
        for said in found.answers:
            reason = said.problem or why_not(
                said.values,
                task.identifier.value,
                owner=task.persist.owner,
                issuers=task.persist.issuers,
                now=self.context.clock.now(),
            )
            if reason is not None:
                problems.append(f"{said.server}: {reason}")
        return "; ".join(problems) or None
