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
import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import ClassVar

from acmectl.clock import Clock
from acmectl.errors import AuthorizationFailed, AuthorizationFailure, HookFailed, PluginError
from acmectl.identifiers import Identifier
from acmectl.interrupts import Interrupts
from acmectl.plugin.lent import (
    AnswerFault,
    CredentialsReader,
    DnsSettings,
    HookRunner,
    HttpAnswer,
    HttpClient,
    NoCredentials,
    NoHttp,
    NoJournal,
    ProgramRunner,
    RecordJournal,
    RecordNote,
    Terminal,
    no_programs,
)
from acmectl.plugin.persist import PersistFacts, record_name

API_VERSION = 1

__all__ = [
    "API_VERSION",
    "AnswerFault",
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What the engine lends to a plugin.

    ``progress`` is told what is waited for and the seconds so far. ``keep_secret`` is given texts that no log may show.
    ``preferred_challenges`` are those that the user asked for, the best first; empty: any. ``self_check`` fetches
    http-01 answers as a CA would and says what is wrong with them, seen from this machine.
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
    preferred_challenges: tuple[str, ...] = ()
    self_check: Callable[[Sequence[ChallengeTask]], Mapping[Identifier, AnswerFault]] = lambda _tasks: {}
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

    def check_account(self, identifiers: Sequence[Identifier], *, thumbprint: str) -> None:  # noqa: B027 - likewise
        """As ``check``, once the account is known whose key has this thumbprint (RFC 7638). Raises: PluginError.

        It is left out with --no-preflight.
        """

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
