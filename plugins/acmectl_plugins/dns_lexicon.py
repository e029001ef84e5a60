"""DNS providers by way of lexicon: any of its own as ``lexicon``, and those of the table by name.

lexicon's client wants to find zones by itself, from a list that it downloads. Zones are known here, so its providers
are used directly. They know no time limits: each call runs in a thread that is waited for, and no longer than a while.
"""

from __future__ import annotations

import contextlib
import os
import queue
import re
import threading
from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from acmectl.errors import AcmectlError
from acmectl.interrupts import LOOK_UP
from acmectl.plugin.api import PluginError
from acmectl.plugin.dns import Credential, DnsProvider, TxtRecord
from acmectl_plugins.dns_lexicon_errors import Speaker, Unanswered, explained, is_about_the_record, is_no_zone, no_zone
from acmectl_plugins.dns_lexicon_table import BY_LEXICON, BY_NAME, Row

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import ModuleType

    from lexicon.interfaces import Provider

    from acmectl.plugin.api import Context

T = TypeVar("T")
_MODULE = re.compile(r"[a-z][a-z0-9]*")
_HURRIED = 15.0  # seconds
_NOT_FOR_USE = ("auto", "base")


class LexiconProvider(DnsProvider):
    """One provider of lexicon's. ``patience`` in seconds is for one call, which may be several requests."""

    patience: ClassVar[float] = 120.0

    def __init__(self, options: Mapping[str, object], credentials: Mapping[str, str], context: Context) -> None:
        super().__init__(options, credentials, context)
        self.row = self.known()
        self._ready: dict[str, Provider] = {}
        self._refused: dict[str, PluginError] = {}
        self._unsent: set[TxtRecord] = set()
        self._was_silent = False
        self._module: ModuleType | None = None
        # lexicon reads them too, as certbot's plugins let it.
        self._environment = tuple(value for key, value in os.environ.items() if key.startswith("LEXICON_"))
        for value in self._environment:
            context.keep_secret(value)

    @abstractmethod
    def known(self) -> Row:
        """What is known of the provider."""

    @abstractmethod
    def lexicon_options(self) -> dict[str, str]:
        """lexicon's options for the provider, by lexicon's names. Raises: PluginError."""

    def check(self) -> None:
        """Look whether lexicon is there and the credentials are complete. Raises: PluginError."""
        refuse_unknown(self.row.lexicon)
        self.lexicon_options()

    def add(self, record: TxtRecord) -> None:
        """Put the value there. Raises: PluginError."""
        self._unsent.add(record)
        client = self._client(record)
        self._unsent.discard(record)
        if self.row.looks_first and self._holds(client, record):
            return
        try:
            done = self._within(lambda: client.create_record("TXT", self._name(client, record), record.value))
        except AcmectlError:
            raise
        except Exception as error:  # noqa: BLE001 - lexicon raises anything
            raise self._told(error, record, changing=True) from None
        # Some say False for "it is there already", others for "it did not work".
        if done is False and not self._holds(client, record):
            raise PluginError(f"{self.row.title} did not take the record {record.name} into the zone {record.zone}.")

    def remove(self, record: TxtRecord) -> None:
        """Take the value away if it is there. Raises: PluginError."""
        if record in self._unsent:
            return  # whoever does not answer or refuses us is not asked again for what was never sent
        client = self._client(record)
        if self.row.looks_before_removing and not self._holds(client, record):
            return
        try:
            self._within(lambda: client.delete_record(None, "TXT", self._name(client, record), record.value))
        except AcmectlError:
            raise
        except Exception as error:  # noqa: BLE001 - likewise
            # Some fail when the record is not there, which is as good as done.
            if not is_about_the_record(error) or self._holds(client, record):
                raise self._told(error, record, changing=True) from None

    def _client(self, record: TxtRecord) -> Provider:
        """A provider of lexicon's that is ready for the record's zone, or a zone above, which may be the one it has."""
        if record.zone in self._refused:
            known = self._refused[record.zone]
            raise PluginError(known.message, hint=known.hint)
        if record.zone in self._ready:
            return self._ready[record.zone]
        tried = []
        labels = record.zone.split(".")
        for zone in (".".join(labels[start:]) for start in range(max(1, len(labels) - 1))):
            try:
                client = self._made(zone, record.ttl)
                self._within(client.authenticate)
            except AcmectlError:
                raise
            except Exception as error:  # noqa: BLE001 - likewise
                if is_no_zone(error):
                    tried.append(zone)
                    continue
                self._refused[record.zone] = self._told(error, record, changing=False)
                raise self._refused[record.zone] from None
            self._ready[record.zone] = client
            return client
        self._refused[record.zone] = no_zone(self._speaker(), record.name, tried)
        raise self._refused[record.zone]

    def _made(self, zone: str, ttl: int) -> Provider:
        from lexicon.config import ConfigResolver

        name = self.row.lexicon
        self._module = self._module or provider_module(name)
        options = {**self.row.fixed, **self.lexicon_options()}
        config = {"provider_name": name, "domain": zone, "ttl": self._ttl(ttl), name: options}
        resolver: Callable[[], Any] = ConfigResolver
        made: Provider = self._module.Provider(resolver().with_dict(config).with_env())
        return made

    def _name(self, client: Provider, record: TxtRecord) -> str:
        return "@" if self.row.at_sign and record.name == client.domain else record.name

    def _ttl(self, ttl: int) -> int:
        return max(ttl, self.row.ttl)

    def _holds(self, client: Provider, record: TxtRecord) -> bool:
        name = self._name(client, record)
        wanted = (name, record.value) if self.row.searches_value else (name,)
        try:
            found = self._within(lambda: client.list_records("TXT", *wanted))
        except AcmectlError:
            raise
        except Exception as error:  # noqa: BLE001 - likewise
            if "NoDataOfRecord" in str(error):  # how Tencent says that there is none
                return False
            raise self._told(error, record, changing=False) from None
        names = (record.name, record.relative_name, f"@.{record.name}")
        return any(
            str(one.get("name", "")).rstrip(".").lower() in names
            and str(one.get("content", "")).replace('" "', "").strip('"') == record.value
            for one in found
        )

    def _within(self, function: Callable[[], T]) -> T:
        """``function()`` in a thread. Raises: Unanswered in the end; Interrupted; what it raises."""
        outcome: queue.SimpleQueue[tuple[T | None, BaseException | None]] = queue.SimpleQueue()

        def work() -> None:
            try:
                outcome.put((function(), None))
            except BaseException as error:  # noqa: BLE001 - raised again by the one who waits
                outcome.put((None, error))

        threading.Thread(target=work, daemon=True).start()
        clock, interrupts = self.context.clock, self.context.interrupts
        seconds = self._seconds()
        until = clock.monotonic() + seconds
        while (left := until - clock.monotonic()) > 0:
            interrupts.check()
            with contextlib.suppress(queue.Empty), interrupts.interruptible():
                result, error = outcome.get(timeout=min(left, LOOK_UP))
                if error is not None:
                    raise error
                return result  # type: ignore[return-value]
        self._was_silent = True
        raise Unanswered(seconds)

    def _seconds(self) -> float:
        """How long to wait: much less for a service that was silent before, and for cleaning up after a signal."""
        hurry = self._was_silent or self.context.interrupts.signum is not None
        return min(self.patience, _HURRIED) if hurry else self.patience

    def _told(self, error: Exception, record: TxtRecord, *, changing: bool) -> PluginError:
        if isinstance(error, Unanswered):
            self._ready.pop(record.zone, None)  # a thread may still be at work with it
        return explained(error, self._speaker(), zone=record.zone, changing=changing)

    def _speaker(self) -> Speaker:
        file = self.settings.get("credentials")
        return Speaker(
            title=self.row.title,
            file=file if isinstance(file, str) and file else "the credentials file",
            secrets=(*self.secrets.values(), *self._environment),
        )


class Lexicon(LexiconProvider):
    """Any of lexicon's providers: ``provider`` says which, the other keys are lexicon's own options for it."""

    summary = "Answer by TXT records at any provider that lexicon knows"
    credentials = (
        Credential(name="provider", help="lexicon's name of the provider", secret=False, example="powerdns"),
        Credential(name="ttl", help="TTL of the records in seconds (60)", required=False, secret=False, example="300"),
    )
    any_credential = True

    def known(self) -> Row:
        """The table's row for it, where it has one."""
        name = self.credential("provider").strip().lower()
        return BY_LEXICON.get(name) or Row(name="lexicon", title=name, lexicon=name, keys=())

    def lexicon_options(self) -> dict[str, str]:
        """What else stands in the file. lexicon's own code spells some options with dashes."""
        given = {key: value for key, value in self.secrets.items() if key not in ("provider", "ttl")}
        return {**{key.replace("_", "-"): value for key, value in given.items()}, **given}

    def check(self) -> None:
        """Look whether lexicon has the provider. Raises: PluginError."""
        super().check()
        self._given_ttl()

    def _given_ttl(self) -> int | None:
        text = self.secrets.get("ttl")
        if text is None:
            return None
        if not (text.isascii() and text.isdigit() and 0 < int(text) < 1 << 31):
            raise PluginError(f"dns_lexicon_ttl in {self._speaker().file} is no number of seconds.")
        return int(text)

    def _ttl(self, ttl: int) -> int:
        return self._given_ttl() or super()._ttl(ttl)


class NamedProvider(LexiconProvider):
    """A provider of the table."""

    in_table: ClassVar[Row]

    def known(self) -> Row:
        """The row that the class was made from."""
        return self.in_table

    def lexicon_options(self) -> dict[str, str]:
        """The keys of the file as lexicon calls them. Raises: PluginError for keys that do not go together."""
        row, file = self.row, self._speaker().file
        prefix = f"dns_{row.name}_"
        given = {key.name for key in row.keys if self.secrets.get(key.name)}
        if row.alternatives:
            sets = " or ".join(" and ".join(prefix + name for name in names) for names in row.alternatives)
            whole = [names for names in row.alternatives if given.issuperset(names)]
            others = {name for names in row.alternatives for name in names} & given
            if len(whole) != 1 or others != set(whole[0]):
                raise PluginError(
                    f"{file} must have {sets}, and has {self._listed(prefix, others)}.",
                    hint=f"acmectl plugins dns-{row.name} shows what belongs into the file.",
                )
        for key in row.keys:
            if key.name in given and key.values and self.secrets[key.name] not in key.values:
                raise PluginError(f"{file}: {prefix}{key.name} must be one of {', '.join(key.values)}.")
        return {key.option: self.secrets[key.name] for key in row.keys if key.name in given}

    @staticmethod
    def _listed(prefix: str, names: set[str]) -> str:
        return " and ".join(prefix + name for name in sorted(names)) or "none of them"


def refuse_unknown(name: str) -> None:
    """Look whether lexicon has the provider ``name`` and what that needs, importing none. Raises: PluginError."""
    from acmectl.plugin.registry import install_command

    try:
        from lexicon._private.discovery import find_providers
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        raise PluginError(
            f"The Python package {'dns-lexicon' if missing == 'lexicon' else missing} is missing.",
            hint=f"Install it: {install_command('lexicon')}",
        ) from None
    known = find_providers()
    if not _MODULE.fullmatch(name) or name in _NOT_FOR_USE or name not in known:
        import difflib

        alike = difflib.get_close_matches(name, [one for one in known if one not in _NOT_FOR_USE], n=3)
        shown = "".join(c if c.isprintable() else "?" for c in name)[:60]
        raise PluginError(
            f"lexicon has no provider called '{shown}'.",
            hint=f"Did you mean {' or '.join(alike)}?" if alike else "Its documentation has the list of its providers.",
        )
    if not known[name]:
        command = install_command(name, distribution="dns-lexicon")
        raise PluginError(
            f"lexicon's provider {name} needs a Python package that is missing.", hint=f"Install it: {command}"
        )


def provider_module(name: str) -> ModuleType:
    """lexicon's module for its provider ``name``. Raises: PluginError when it or lexicon itself is not there."""
    import importlib
    import logging

    refuse_unknown(name)
    try:
        module = importlib.import_module(f"lexicon._private.providers.{name}")
    except ModuleNotFoundError as error:
        raise PluginError(
            f"lexicon's provider {name} needs the Python package {error.name}, which is missing.",
            hint="Install it beside acmectl.",
        ) from None
    # What it logs and prints has bodies of answers in it, and our output is not its own.
    logging.getLogger("lexicon").setLevel(logging.CRITICAL + 1)
    vars(module)["print"] = _say_nothing
    if hasattr(module, "tldextract"):
        vars(module)["tldextract"] = _ZoneSplitter
    return module


def _say_nothing(*_words: object, **_settings: object) -> None:
    """Stands in for print."""


class _ZoneSplitter:
    """Stands in for the list of public suffixes that some providers download: all they split is the zone's name."""

    @staticmethod
    def extract(zone: str) -> _Split:
        """``example`` and ``co.uk`` of ``example.co.uk``."""
        label, _, rest = zone.partition(".")
        return _Split(domain=label, suffix=rest)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Split:
    domain: str
    suffix: str


def _named(name: str) -> type[NamedProvider]:
    row = BY_NAME[name]
    return type(
        f"{row.name.capitalize()}Provider",
        (NamedProvider,),
        {
            "__doc__": f"Puts TXT records into zones at {row.title}.",
            "in_table": row,
            "summary": f"Answer by TXT records at {row.title}",
            "credentials": tuple(
                Credential(name=key.name, help=key.help, required=key.required, secret=key.secret, example=key.example)
                for key in row.keys
            ),
            "ttl": row.ttl,
            "propagation_seconds": row.seconds,
        },
    )


Aliyun = _named("aliyun")
Azure = _named("azure")
Cloudflare = _named("cloudflare")
Desec = _named("desec")
DigitalOcean = _named("digitalocean")
Dnsimple = _named("dnsimple")
DnsMadeEasy = _named("dnsmadeeasy")
Dnspod = _named("dnspod")
Gandi = _named("gandi")
Gehirn = _named("gehirn")
GoDaddy = _named("godaddy")
Hetzner = _named("hetzner")
Linode = _named("linode")
LuaDns = _named("luadns")
Namecheap = _named("namecheap")
NsOne = _named("nsone")
Ovh = _named("ovh")
Porkbun = _named("porkbun")
SakuraCloud = _named("sakuracloud")
TencentCloud = _named("tencentcloud")
Vultr = _named("vultr")
