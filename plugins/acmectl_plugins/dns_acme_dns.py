"""acme-dns: a name server for nothing but challenges, which ``_acme-challenge`` names point to by a CNAME.

Each name gets an account of its own at first use; then its CNAME has to be made, once, by a person. Afterwards the
engine follows the CNAME to the account's record.

https://github.com/joohoi/acme-dns#api
"""

from __future__ import annotations

import json
from ipaddress import ip_network
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import urlsplit

from acmectl.plugin.api import Option, OptionKind, PluginError
from acmectl.plugin.dns import DnsProvider
from acmectl_plugins.acme_dns_accounts import Account, Accounts, account_from

if TYPE_CHECKING:
    from collections.abc import Mapping

    from acmectl.plugin.api import Context, HttpAnswer
    from acmectl.plugin.dns import TxtRecord

_CHALLENGE = "_acme-challenge."
_KEPT = 2
"""Values that acme-dns keeps under one name; another one pushes the oldest out."""
_SHOWN = 200  # characters of what the server says


class AcmeDns(DnsProvider):
    """Registers at an acme-dns server and updates the records there."""

    summary: ClassVar[str] = "TXT records at an acme-dns server, to which the names point by CNAME"
    options: ClassVar[tuple[Option, ...]] = (
        Option(name="server", metavar="URL", env="ACME_DNS_API_BASE", help="where new names are registered"),
        Option(
            name="storage",
            kind=OptionKind.PATH,
            metavar="FILE",
            env="ACME_DNS_STORAGE_PATH",
            help="file that keeps the accounts: that of lego or acme-dns-client, or a new one",
        ),
        Option(
            name="allow-from",
            metavar="NETWORKS",
            env="ACME_DNS_ALLOWLIST",
            help="new accounts can be used from these addresses alone (192.0.2.0/24,2001:db8::/32)",
        ),
    )
    ttl: ClassVar[int] = 1
    propagation_seconds: ClassVar[int] = 10

    def __init__(self, options: Mapping[str, object], credentials: Mapping[str, str], context: Context) -> None:
        super().__init__(options, credentials, context)
        self._accounts = Accounts(str(options.get("storage") or ""))
        self._values: dict[str, list[str]] = {}

    def check(self) -> None:
        """See that the file of accounts can be used, and the server's URL. Raises: PluginError."""
        if not self._accounts.path:
            raise PluginError(
                "dns-acme-dns needs a file to keep its accounts in.",
                hint="Give it with --dns-acme-dns-storage FILE, or in ACME_DNS_STORAGE_PATH.",
            )
        self._accounts.all()
        if self.settings.get("server"):
            _ = self._server
        _ = self._networks

    def add(self, record: TxtRecord) -> None:
        """Update the account that the record's name belongs to. Raises: PluginError when no CNAME leads to one yet."""
        accounts = self._accounts.all()
        for account in accounts.values():
            self.context.keep_secret(account.password)
        found = next((one for one in accounts.values() if one.fulldomain == record.name), None)
        if found is None:
            domain, alias = _named(record)
            known = accounts.get(domain)
            raise self._without_cname(record, alias, known or self._register(domain), new=known is None)
        values = self._values.setdefault(record.name, [])
        if record.value not in values and len(values) >= _KEPT:
            raise PluginError(
                f"acme-dns keeps {_KEPT} values under {record.name}, and this certificate needs more.",
                hint="Give each domain an account of its own, with a CNAME of its own.",
            )
        self._update(found, record.value)
        if record.value not in values:
            values.append(record.value)

    def remove(self, record: TxtRecord) -> None:
        """Nothing on the server: acme-dns removes no values, they are pushed out by later ones."""
        values = self._values.get(record.name, [])
        if record.value in values:
            values.remove(record.value)

    def _register(self, domain: str) -> Account:
        body = json.dumps({"allowfrom": self._networks}).encode("ascii") if self._networks else b""
        url = f"{self._server}/register"
        answer = self.context.http.request("POST", url, headers={"Content-Type": "application/json"}, body=body)
        if not 200 <= answer.status < 300:
            hint = "Its administrator may have switched off new registrations." if answer.status in (403, 404) else None
            raise PluginError(f"{url} made no account for {domain} (status {answer.status}{_said(answer)}).", hint=hint)
        content = answer.json()
        if isinstance(content, dict):
            content = {**content, "server_url": self._server}
        try:
            account = account_from(content)
        except ValueError as error:
            raise PluginError(f"{url} answered with something that is no account: {error}.") from None
        self.context.keep_secret(account.password)
        return self._accounts.keep(domain, account)

    def _without_cname(self, record: TxtRecord, alias: str, account: Account, *, new: bool) -> PluginError:
        line = f"{alias}. IN CNAME {account.fulldomain}."
        if new:
            say = self.context.terminal.say
            say(f"An account at acme-dns was made for {alias}; this record has to be put into DNS once:")
            say()
            say(line)
            say()
        leads = "" if record.name == alias else f" (it leads to {record.name})"
        return PluginError(
            f"{alias} does not lead to its acme-dns account yet{leads}.",
            hint=f"Put this record into DNS and run the command again: {line}",
        )

    def _update(self, account: Account, value: str) -> None:
        url = f"{_plain(account.server) if account.server else self._server}/update"
        headers = {
            "Content-Type": "application/json",
            "X-Api-User": account.username,
            "X-Api-Key": account.password,
        }
        body = json.dumps({"subdomain": account.subdomain, "txt": value}).encode("ascii")
        answer = self.context.http.request("POST", url, headers=headers, body=body)
        if answer.status in (401, 403):
            raise PluginError(
                f"{url} does not accept the account of {account.fulldomain} (status {answer.status}).",
                hint=f"It may be used from other addresses only, or be gone from the server; {self._accounts.path} "
                "has the accounts.",
            )
        if not 200 <= answer.status < 300:
            raise PluginError(f"{url} did not take the value for {account.fulldomain} "
                              f"(status {answer.status}{_said(answer)}).")  # fmt: skip

    @property
    def _server(self) -> str:
        url = str(self.settings.get("server") or "")
        if not url:
            raise PluginError(
                "dns-acme-dns needs the URL of an acme-dns server to register at.",
                hint="Give it with --dns-acme-dns-server URL, or in ACME_DNS_API_BASE.",
            )
        return _plain(url)

    @property
    def _networks(self) -> list[str]:
        texts = [text.strip() for text in str(self.settings.get("allow_from") or "").split(",")]
        for text in filter(None, texts):
            try:
                ip_network(text, strict=False)
            except ValueError:
                raise PluginError(f"--dns-acme-dns-allow-from: {text!r} is no network like 192.0.2.0/24.") from None
        return [text for text in texts if text]


def _named(record: TxtRecord) -> tuple[str, str]:
    """The domain that an account is for, and the name that its CNAME has."""
    if record.challenge is not None:
        return record.challenge.identifier.base.lower(), record.challenge.record_name.lower()
    return record.name.removeprefix(_CHALLENGE), record.name


def _plain(url: str) -> str:
    """``url`` without what follows it. Raises: PluginError."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if not usable or parts.query or parts.fragment or parts.username is not None:
        raise PluginError("The address of the acme-dns server is no plain http or https URL.")
    return url.rstrip("/")


def _said(answer: HttpAnswer) -> str:
    text = " ".join("".join(c if c.isprintable() else " " for c in answer.text).split())[:_SHOWN]
    return f": {text}" if text else ""
