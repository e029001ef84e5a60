"""exec: a program puts the records there and takes them away, called as lego's provider exec calls it.

``PROGRAM present NAME. VALUE`` and ``PROGRAM cleanup NAME. VALUE``; in the mode RAW
``PROGRAM present -- DOMAIN TOKEN KEYAUTH`` and likewise for cleanup. Exit status 0 is success.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from acmectl.plugin.api import HookFailed, Option, OptionKind, PluginError
from acmectl.plugin.dns import DnsProvider

if TYPE_CHECKING:
    from acmectl.plugin.dns import TxtRecord

_TIMEOUT = 600  # seconds


class Exec(DnsProvider):
    """Runs the program of ``--dns-exec-program`` for each record."""

    summary: ClassVar[str] = "TXT records by a program, which is called as lego's exec provider calls it"
    options: ClassVar[tuple[Option, ...]] = (
        Option(
            name="program",
            kind=OptionKind.PATH,
            metavar="PATH",
            env="EXEC_PATH",
            help="the program, run as PATH present|cleanup NAME. VALUE",
        ),
        Option(
            name="mode",
            metavar="MODE",
            env="EXEC_MODE",
            help="RAW: run it as PATH present|cleanup -- DOMAIN TOKEN KEYAUTH",
        ),
        Option(
            name="timeout",
            kind=OptionKind.INTEGER,
            metavar="SECONDS",
            default=_TIMEOUT,
            help="end it when it takes longer",
        ),
    )

    def check(self) -> None:
        """See that the program is there and can be run. Raises: PluginError."""
        if not self._program:
            raise PluginError(
                "dns-exec needs a program.", hint="Give it with --dns-exec-program PATH, or in EXEC_PATH."
            )
        if not Path(self._program).is_file():
            raise PluginError(f"The program {self._program} of dns-exec is not there.", hint="Give its full path.")
        if not os.access(self._program, os.X_OK):
            raise PluginError(
                f"The program {self._program} of dns-exec cannot be executed.", hint=f"chmod +x {self._program}"
            )
        _ = self._raw

    def add(self, record: TxtRecord) -> None:
        """Run it with ``present``. Raises: PluginError."""
        self._run("present", record)

    def remove(self, record: TxtRecord) -> None:
        """Run it with ``cleanup``. Raises: PluginError."""
        self._run("cleanup", record)

    def _run(self, action: str, record: TxtRecord) -> None:
        timeout = self.settings.get("timeout")
        try:
            self.context.run_program(
                [self._program, action, *self._arguments(record)],
                name=f"dns-exec {action} of {record.name}",
                env={},
                timeout=float(timeout if isinstance(timeout, int) else _TIMEOUT),
                shown=self._program,
            )
        except HookFailed as error:
            raise PluginError(error.message, hint=error.hint) from error

    def _arguments(self, record: TxtRecord) -> list[str]:
        if not self._raw:
            return [f"{record.name}.", record.value]
        if record.challenge is None:
            raise PluginError(
                f"In the mode RAW {self._program} needs the challenge's token, which an interrupted run has taken "
                f"with it; remove the TXT record {record.name} by hand."
            )
        task = record.challenge
        return ["--", task.identifier.base, task.token, task.key_authorization]

    @property
    def _program(self) -> str:
        return str(self.settings.get("program") or "")

    @property
    def _raw(self) -> bool:
        mode = str(self.settings.get("mode") or "")
        if mode not in ("", "RAW"):
            raise PluginError(f"The mode of dns-exec is {mode!r}; it knows RAW and none.", hint="See --dns-exec-mode.")
        return mode == "RAW"
