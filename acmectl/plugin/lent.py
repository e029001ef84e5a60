"""What the engine lends to plugins, as protocols and values; acmectl.plugin.api gives them to plugins."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from acmectl.errors import HookFailed, PluginError


class Terminal(Protocol):
    """The person at the terminal, if there is one."""

    @property
    def interactive(self) -> bool:
        """False under -n, -q and in renew: then ``ask`` and ``pause`` raise PluginError."""
        ...

    def say(self, text: str = "") -> None:
        """Print lines as they are: never wrapped."""
        ...

    def pause(self, text: str) -> None:
        """Show ``text`` and wait for Enter. Raises: Aborted at end of input, Interrupted on a signal."""
        ...


class HookRunner(Protocol):
    """Runs a command of the user's."""

    def __call__(self, command: str, *, name: str, env: Mapping[str, str]) -> str:
        """Run ``command`` by /bin/sh with ``env`` added to the environment; give its standard output, stripped.

        ``name`` is how messages call the hook. Raises: HookFailed when it ends with a status other than 0.
        """
        ...


class ProgramRunner(Protocol):
    """Runs a program of the user's without a shell; what it prints is shown as a hook's output is."""

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
        """Run ``argv``, whose first word is a path, with ``env`` added; give its standard output, stripped.

        ``inherit`` False leaves of the environment only what finds programs, proxies and certificates. ``timeout`` in
        seconds; then, and on a signal, the program ends together with all that it has started. ``name`` is how messages
        call it, ``shown`` stands for the command line in them (the program's path if None). Standard input is empty.
        Raises: HookFailed when it cannot be started, ends with a status other than 0 or takes too long; Interrupted.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpAnswer:
    """What a web service answered, whatever its status. ``headers`` have lower-case names."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)

    @property
    def text(self) -> str:
        """The body as UTF-8; what is none is replaced."""
        return self.body.decode("utf-8", "replace")

    def json(self) -> object:
        """The body as JSON. Raises: PluginError when it is none."""
        try:
            content: object = json.loads(self.body)
        except (ValueError, RecursionError) as error:
            raise PluginError(f"The service answered {self.status} with something that is not JSON.") from error
        return content


class HttpClient(Protocol):
    """The one way to web services: the engine's TLS settings, proxies, time limits and caps apply."""

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        timeout: float = 30.0,
    ) -> HttpAnswer:
        """One request; redirects are not followed. ``timeout`` in seconds. Raises: PluginError."""
        ...


class CredentialsReader(Protocol):
    """Reads credentials files."""

    def __call__(self, path: str) -> Mapping[str, str]:
        """The keys of an ini file and their values; references (``env:``, ``file:``...) are followed.

        Raises: PluginError when it cannot be read, can be read by others, or is not such a file.
        """
        ...

    def check(self, path: str) -> None:
        """For a file in another format: refuse it where an ini file would be refused for who can read it.

        Raises: PluginError when it cannot be read, or can be read by others.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerFault:
    """What is wrong with an http-01 answer, seen from this machine. ``reached``: there was an answer, a wrong one."""

    text: str
    reached: bool


class RecordJournal(Protocol):
    """Remembers over a crash which records have to be taken away."""

    def note(self, records: Sequence[RecordNote]) -> None:
        """These are about to be added; on disk when this returns. Raises: StorageError."""
        ...

    def forget(self, records: Sequence[RecordNote]) -> None:
        """These are gone."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordNote:
    """A TXT record that an authenticator adds: absolute names without trailing dot."""

    name: str
    value: str
    zone: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DnsSettings:
    """How records are found and waited for.

    ``resolvers`` are addresses as given (empty: the system's). ``aliases`` maps names of challenges to where they
    really are. ``check``: look at the name servers. ``timeout``: seconds to look for at most; ``fixed``: what the user
    said instead of it.
    """

    resolvers: tuple[str, ...] = ()
    aliases: Mapping[str, str] = field(default_factory=dict)
    check: bool = True
    timeout: float = 120.0
    fixed: float | None = None


class NoHttp:
    """Stands where there is no network to lend."""

    def request(
        self,
        method: str,  # noqa: ARG002
        url: str,  # noqa: ARG002
        *,
        headers: Mapping[str, str] | None = None,  # noqa: ARG002
        body: bytes | None = None,  # noqa: ARG002
        timeout: float = 30.0,  # noqa: ARG002
    ) -> HttpAnswer:
        """Raises: PluginError always."""
        raise PluginError("There is no network here.")


class NoJournal:
    """Remembers nothing."""

    def note(self, records: Sequence[RecordNote]) -> None:
        """Keep nothing."""

    def forget(self, records: Sequence[RecordNote]) -> None:
        """Nothing was kept."""


def no_programs(
    argv: Sequence[str],
    *,
    name: str,  # noqa: ARG001
    env: Mapping[str, str],  # noqa: ARG001
    inherit: bool = True,  # noqa: ARG001
    timeout: float = 600.0,  # noqa: ARG001
    shown: str | None = None,  # noqa: ARG001
) -> str:
    """A runner that runs nothing. Raises: HookFailed always."""
    raise HookFailed(f"The program {argv[0]} cannot be run here.")


class NoCredentials:
    """A reader without files."""

    def __call__(self, path: str) -> Mapping[str, str]:
        """Raises: PluginError always."""
        raise PluginError(f"There is no credentials file {path} here.")

    def check(self, path: str) -> None:
        """Raises: PluginError where nobody but the owner may read a credentials file, and others can read this one."""
        from acmectl.plugin.credentials import refusal

        why = refusal(path)
        if why is not None:
            raise PluginError(f"The credentials file {path} {why}.")
