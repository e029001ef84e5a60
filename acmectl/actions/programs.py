"""Programs that plugins run for the user: an argument list and no shell, bounded in time, ended with all they start."""

from __future__ import annotations

from typing import TYPE_CHECKING

from acmectl.actions.hook_process import HookRunner
from acmectl.errors import HookFailed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from acmectl.actions.hook_process import HookResult
    from acmectl.clock import Clock
    from acmectl.events import Event, Observer
    from acmectl.interrupts import Interrupts

_KEPT = frozenset(
    (
        *("PATH", "HOME", "LANG", "LANGUAGE", "TZ", "TMPDIR"),
        *("http_proxy", "https_proxy", "no_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY"),
        *("SSL_CERT_FILE", "SSL_CERT_DIR", "CURL_CA_BUNDLE"),
    )
)


class _Runner(HookRunner):
    """A hook runner that is given arguments instead of a line for the shell."""

    def run_arguments(self, argv: Sequence[str], shown: str, name: str, env: Mapping[str, str]) -> HookResult:
        return self._run(argv, shown, name, env, self._timeout)


class Programs:
    """Implements plugin.api.ProgramRunner."""

    def __init__(self, *, clock: Clock, interrupts: Interrupts, observe: Observer, environ: Mapping[str, str]) -> None:
        self._clock = clock
        self._interrupts = interrupts
        self._observe = observe
        self._environ = dict(environ)

    def __call__(
        self,
        argv: Sequence[str],
        *,
        name: str,
        env: Mapping[str, str],
        inherit: bool = True,
        timeout: float = 600.0,
        shown: str | None = None,
    ) -> str:
        """Run ``argv`` and give its standard output, stripped; see plugin.api. Raises: HookFailed, Interrupted."""
        shown = argv[0] if shown is None else shown
        runner = _Runner(
            clock=self._clock,
            interrupts=self._interrupts,
            observe=self._see,
            environ=self._environ if inherit else _bare(self._environ),
            timeout=timeout,
        )
        try:
            result = runner.run_arguments(argv, shown, name, env)
        except HookFailed as error:
            cause = error.__cause__
            why = cause.strerror if isinstance(cause, OSError) and cause.strerror else str(cause)
            hint = "A script needs a first line like #!/bin/sh." if why == "Exec format error" else None
            raise HookFailed(f"{shown} could not be started for {name}: {why}.", hint=hint) from cause
        if result.timed_out:
            raise HookFailed(f"{shown} ran longer than {timeout:g} seconds for {name} and was ended.")
        if result.status < 0:
            raise HookFailed(f"{shown} was ended by signal {-result.status} when it ran for {name}.")
        if result.status:
            raise HookFailed(f"{shown} failed for {name} with exit status {result.status}.")
        return result.output.strip()

    def _see(self, event: Event) -> None:
        from acmectl.events import HookEnded

        # How it failed is said by the error, once.
        if not (isinstance(event, HookEnded) and event.status):
            self._observe(event)


def _bare(environ: Mapping[str, str]) -> dict[str, str]:
    """What a program needs to find others, its language, and its way to the network: nothing that is a secret."""
    return {key: value for key, value in environ.items() if key in _KEPT or key.startswith("LC_")}
