"""The socket: the only module of acmectl that an authenticator may import. Plugin API version 1.

An authenticator proves control of identifiers to the CA by answering challenges (RFC 8555 section 8). It is a class
derived from ``Authenticator`` and named by an entry point in the group ``acmectl.authenticators.v1``.

Promises of the engine:

* one thread at a time per instance;
* ``clean_up`` is called for every task that was handed to ``present``, also when ``present`` raised half-way through,
  when the CA said no and when a signal came;
* the values of options marked ``secret`` reach no log and no renewal file.
"""

from __future__ import annotations

import base64
import hashlib
import json
import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import ClassVar, Protocol

from acmectl.clock import Clock
from acmectl.errors import AuthorizationFailed, AuthorizationFailure, HookFailed, PluginError
from acmectl.identifiers import Identifier
from acmectl.interrupts import Interrupts
from acmectl.plugin.persist import PersistFacts, record_name

API_VERSION = 1

__all__ = [
    "API_VERSION",
    "Authenticator",
    "AuthorizationFailed",
    "AuthorizationFailure",
    "ChallengeTask",
    "Clock",
    "Context",
    "CredentialsReader",
    "DnsSettings",
    "HookFailed",
    "HookRunner",
    "HttpAnswer",
    "HttpClient",
    "Identifier",
    "Interrupts",
    "Option",
    "OptionKind",
    "PluginError",
    "ProgramRunner",
    "RecordJournal",
    "RecordNote",
    "Terminal",
    "account_label",
]


class OptionKind(StrEnum):
    """How an option's text becomes a value."""

    TEXT = "text"
    INTEGER = "integer"
    FLAG = "flag"
    PATH = "path"
    LIST = "list"  # repeatable, values collected


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One option of a plugin, as data: the engine makes the flag, the cli.ini key and the renewal file key from it.

    ``name`` is the part after the plugin's own prefix, with dashes: ``propagation-seconds`` of plugin ``dns-x`` is
    ``--dns-x-propagation-seconds`` and ``dns_x_propagation_seconds`` in a renewal file. ``env`` names an environment
    variable that gives the value too. A ``secret`` value is never stored or shown.
    """

    name: str
    help: str
    kind: OptionKind = OptionKind.TEXT
    default: object = None
    secret: bool = False
    env: str | None = None
    metavar: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChallengeTask:
    """One challenge to answer. ``token`` has been checked against ``^[A-Za-z0-9_-]{22,}$`` before it comes here.

    ``account_url`` is the account's URL at the CA. A dns-persist-01 challenge has ``persist`` and no token.
    """

    identifier: Identifier
    type: str
    token: str
    key_authorization: str = field(repr=False)
    account_url: str = ""
    persist: PersistFacts | None = None
    alpn_builder: Callable[[ChallengeTask], tuple[bytes, bytes]] | None = field(default=None, repr=False)

    @property
    def http_path(self) -> str:
        """Path part of the URL that the CA asks for (RFC 8555 section 8.3)."""
        return f"/.well-known/acme-challenge/{self.token}"

    @property
    def http_url(self) -> str:
        """The URL that the CA asks for, on port 80."""
        host = f"[{self.identifier.value}]" if ":" in self.identifier.value else self.identifier.value
        return f"http://{host}{self.http_path}"

    @property
    def http_body(self) -> bytes:
        """The answer to that request: the key authorization, no newline."""
        return self.key_authorization.encode("ascii")

    @property
    def record_name(self) -> str:
        """Absolute name, without trailing dot, of the TXT record.

        RFC 8555 section 8.4; for dns-account-01 draft-ietf-acme-dns-account-label section 3; for dns-persist-01
        draft-ietf-acme-dns-persist.
        """
        if self.type == "dns-persist-01":
            return record_name(self.identifier.base)
        name = f"_acme-challenge.{self.identifier.base}"
        return f"{account_label(self.account_url)}.{name}" if self.type == "dns-account-01" else name

    @property
    def record_value(self) -> str:
        """Value of the TXT record: base64url of SHA-256 of the key authorization (RFC 8555 section 8.4)."""
        digest = hashlib.sha256(self.key_authorization.encode("ascii")).digest()
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode("ascii")

    def alpn_certificate(self) -> tuple[bytes, bytes]:
        """Private key and self-signed certificate, both PEM, for tls-alpn-01 (RFC 8737 section 3)."""
        if self.alpn_builder is None:
            raise PluginError("This challenge has no tls-alpn-01 certificate.", identifier=self.identifier)
        return self.alpn_builder(self)


def account_label(account_url: str) -> str:
    """The label that makes an account's record name its own (draft-ietf-acme-dns-account-label section 3.2)."""
    digest = hashlib.sha256(account_url.encode("utf-8")).digest()
    return f"_{base64.b32encode(digest[:10]).decode('ascii').lower()}"


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
        except ValueError as error:
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What the engine lends to a plugin.

    ``progress`` is told what is waited for and the seconds so far. ``keep_secret`` is given texts that no log may show.
    """

    clock: Clock
    interrupts: Interrupts
    terminal: Terminal
    run_hook: HookRunner
    warn: Callable[[str], None]
    run_program: ProgramRunner = no_programs
    http: HttpClient = field(default_factory=NoHttp)
    credentials: CredentialsReader = field(default_factory=NoCredentials)
    records: RecordJournal = field(default_factory=NoJournal)
    dns: DnsSettings = field(default_factory=DnsSettings)
    progress: Callable[[str, float], None] = lambda _what, _seconds: None
    keep_secret: Callable[[str], None] = lambda _text: None
    logger: logging.Logger = field(default_factory=lambda: logging.getLogger("acmectl.plugin"))


class Authenticator(ABC):
    """Answers challenges.

    ``challenge_types`` in order of preference. ``options`` are its own options. ``exclusive``: two instances must not
    work at the same time in one run (a fixed port, a person).
    """

    name: ClassVar[str] = ""
    summary: ClassVar[str]
    challenge_types: ClassVar[tuple[str, ...]]
    options: ClassVar[tuple[Option, ...]] = ()
    exclusive: ClassVar[bool] = False

    def __init__(self, options: Mapping[str, object], context: Context) -> None:
        """Keep what is needed. MUST NOT touch the network.

        ``options`` is keyed by renewal-file names without the plugin's prefix (``propagation_seconds``).
        """
        self.settings = options
        self.context = context

    def check(self, identifiers: Sequence[Identifier]) -> None:  # noqa: B027 - doing nothing is a good answer
        """Say before the order what could not work (a missing directory, a busy port). Raises: PluginError."""

    @abstractmethod
    def present(self, tasks: Sequence[ChallengeTask]) -> None:
        """Put the answers in place.

        Raises: AuthorizationFailed naming the identifiers whose answer could not be put in place (the others' answers
        MUST be in place then); PluginError when nothing could be done at all.
        """

    def wait(self, tasks: Sequence[ChallengeTask]) -> None:  # noqa: B027 - likewise
        """Block until the CA can see the answers. Raises: PluginError."""

    @abstractmethod
    def clean_up(self, tasks: Sequence[ChallengeTask]) -> None:
        """Take the answers away. MUST be idempotent and MUST NOT need that ``present`` got to them."""

    def failure_hint(self, task: ChallengeTask) -> str | None:  # noqa: ARG002 - for those who override it
        """What a person should check when the CA refused ``task``; one line."""
        return None
