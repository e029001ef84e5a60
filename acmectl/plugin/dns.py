"""The socket for DNS providers, plugin API version 1: put a TXT record there, take it away again.

A provider is a class derived from ``DnsProvider`` and named by an entry point in the group
``acmectl.dns_providers.v1``; the provider ``x`` is the authenticator ``dns-x`` for users. Everything that is the same
for all providers is done by the engine: finding the zone, following aliases, several values under one name, waiting
until every name server has them, removing what was added and nothing else, and that also after a crash.

Promises of the engine:

* one thread at a time per instance;
* ``commit`` follows a group of ``add`` or ``remove``;
* a record is removed if ``add`` was called for it, also when that raised, and perhaps by another instance in a later
  process; it may be removed twice.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from acmectl.plugin.api import ChallengeTask, Context, Option, PluginError

__all__ = ["Credential", "DnsProvider", "RecordsFailed", "TxtRecord"]

_SHOWN = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class TxtRecord:
    """One value under one name. Names are absolute, in lower-case A-labels, without the trailing dot.

    ``name`` is ``zone`` or lies below it. ``ttl`` in seconds. ``challenge`` is what the record answers, for those who
    need more than the record; None when all that is known is what an interrupted run has noted.
    """

    name: str
    value: str
    zone: str
    ttl: int = 60
    challenge: ChallengeTask | None = field(default=None, repr=False, compare=False)

    @property
    def relative_name(self) -> str:
        """The name without its zone, as most web interfaces want it: ``_acme-challenge.www``; ``@`` for the zone."""
        return "@" if self.name == self.zone else self.name.removesuffix(f".{self.zone}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """One key of a credentials file, without the plugin's prefix: ``api_token`` stands there as ``dns_x_api_token``.

    A ``secret`` one is kept out of every log; keys that are not declared are secret.
    """

    name: str
    help: str
    required: bool = True
    secret: bool = True
    example: str = ""


class RecordsFailed(PluginError):
    """Some records could not be changed, and all others that were asked for are. ``failed``: why, for each."""

    def __init__(self, failed: Mapping[TxtRecord, PluginError]) -> None:
        why = {error.message: error for error in failed.values()}
        more = f" And {len(why) - _SHOWN} more such problems." if len(why) > _SHOWN else ""
        hint = next((error.hint for error in why.values() if error.hint), None)
        super().__init__(" ".join(list(why)[:_SHOWN]) + more, hint=hint)
        self.failed = dict(failed)


class DnsProvider(ABC):
    """Changes TXT records somewhere.

    ``options`` are its own options, ``credentials`` the keys that its credentials file may have; with any, users get
    ``--dns-x-credentials FILE``. ``any_credential``: the file may have other keys too. ``credentials_optional``: there
    may be no file. ``ttl`` in seconds is what its records get. ``propagation_seconds`` is how long to wait where nobody
    can look.
    """

    name: ClassVar[str] = ""
    summary: ClassVar[str]
    options: ClassVar[tuple[Option, ...]] = ()
    credentials: ClassVar[tuple[Credential, ...]] = ()
    any_credential: ClassVar[bool] = False
    credentials_optional: ClassVar[bool] = False
    ttl: ClassVar[int] = 60
    propagation_seconds: ClassVar[int] = 60
    exclusive: ClassVar[bool] = False

    def __init__(self, options: Mapping[str, object], credentials: Mapping[str, str], context: Context) -> None:
        """Keep what is needed. MUST NOT touch the network.

        ``options`` is keyed by renewal-file names without the plugin's prefix. ``credentials`` is keyed likewise; the
        engine has seen to it that the required ones are there.
        """
        self.settings = options
        self.secrets = credentials
        self.context = context

    def check(self) -> None:  # noqa: B027 - doing nothing is a good answer
        """Say before the order what could not work, without the network. Raises: PluginError."""

    def find_zone(self, name: str) -> str | None:  # noqa: ARG002 - for those who override it
        """The zone for the record ``name`` as the provider knows it; None (the usual) leaves it to DNS.

        Raises: PluginError when the provider has no zone for it.
        """
        return None

    @abstractmethod
    def add(self, record: TxtRecord) -> None:
        """Put a value under a name, beside the values that are there. Raises: PluginError."""

    @abstractmethod
    def remove(self, record: TxtRecord) -> None:
        """Take this one value away. One that is not there is no error. Raises: PluginError."""

    def commit(self) -> None:  # noqa: B027 - most send each change at once
        """Send what was collected. Raises: RecordsFailed when some records could not be changed, PluginError."""

    def credential(self, name: str) -> str:
        """A value of the credentials file. Raises: PluginError when it has none."""
        try:
            return self.secrets[name]
        except KeyError:
            raise PluginError(f"The credentials have no {name}.", hint="acmectl plugins NAME shows the keys.") from None
