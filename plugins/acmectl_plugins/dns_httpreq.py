"""httpreq: a web service puts the records there and takes them away, asked as lego's provider httpreq asks it.

``POST ENDPOINT/present`` and ``POST ENDPOINT/cleanup`` with ``{"fqdn": "NAME.", "value": "VALUE"}``, in the mode RAW
with ``{"domain": ..., "token": ..., "keyAuth": ...}``; Basic authentication (RFC 7617). Any status 2xx is success.
"""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import urlsplit

from acmectl.plugin.api import Option, PluginError
from acmectl.plugin.dns import Credential, DnsProvider

if TYPE_CHECKING:
    from acmectl.plugin.api import HttpAnswer
    from acmectl.plugin.dns import TxtRecord

_LOCAL = ("localhost", "127.0.0.1", "::1")
_SHOWN = 200  # characters of what the service says


class HttpReq(DnsProvider):
    """Asks the web service for each record. What the credentials file says wins over the environment."""

    summary: ClassVar[str] = "TXT records by a web service, which is asked as lego's httpreq provider asks it"
    options: ClassVar[tuple[Option, ...]] = (
        Option(name="endpoint", metavar="URL", env="HTTPREQ_ENDPOINT", help="where the service is"),
        Option(name="mode", metavar="MODE", env="HTTPREQ_MODE", help="RAW: send domain, token and keyAuth"),
        Option(name="username", metavar="NAME", env="HTTPREQ_USERNAME", help="for Basic authentication"),
        Option(
            name="password", metavar="WORD", env="HTTPREQ_PASSWORD", secret=True, help="likewise; better in the file"
        ),
    )
    credentials: ClassVar[tuple[Credential, ...]] = (
        Credential(
            name="endpoint",
            help="where the service is",
            required=False,
            secret=False,
            example="https://dns.example.org/acme",
        ),
        Credential(name="username", help="for Basic authentication", required=False, secret=False, example="acmectl"),
        Credential(name="password", help="likewise", required=False, example="env:HTTPREQ_PASSWORD"),
        Credential(
            name="mode", help="RAW: send domain, token and keyAuth", required=False, secret=False, example="RAW"
        ),
    )
    credentials_optional: ClassVar[bool] = True

    def check(self) -> None:
        """See that what was given can be used. Raises: PluginError."""
        _ = self._raw
        parts = urlsplit(self._endpoint)
        if self._headers().keys() & {"Authorization"} and parts.scheme == "http" and parts.hostname not in _LOCAL:
            self.context.warn(f"dns-httpreq sends its password to {parts.hostname} without encryption; use https.")

    def add(self, record: TxtRecord) -> None:
        """Ask for it. Raises: PluginError."""
        self._ask("present", record)

    def remove(self, record: TxtRecord) -> None:
        """Ask for its removal. Raises: PluginError."""
        self._ask("cleanup", record)

    def _ask(self, action: str, record: TxtRecord) -> None:
        url = f"{self._endpoint}/{action}"
        body = json.dumps(self._message(record)).encode("utf-8")
        answer = self.context.http.request("POST", url, headers=self._headers(), body=body)
        if not 200 <= answer.status < 300:
            raise _refused(url, record.name, answer)

    def _message(self, record: TxtRecord) -> dict[str, str]:
        if not self._raw:
            return {"fqdn": f"{record.name}.", "value": record.value}
        if record.challenge is None:
            raise PluginError(
                f"In the mode RAW {self._endpoint} needs the challenge's token, which an interrupted run has taken "
                f"with it; remove the TXT record {record.name} by hand."
            )
        task = record.challenge
        return {"domain": task.identifier.base, "token": task.token, "keyAuth": task.key_authorization}

    def _headers(self) -> dict[str, str]:
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        name, word = self._given("username"), self._given("password")
        if name and word:
            self.context.keep_secret(word)
            pair = base64.b64encode(f"{name}:{word}".encode()).decode("ascii")
            self.context.keep_secret(pair)
            headers["Authorization"] = f"Basic {pair}"
        return headers

    def _given(self, name: str) -> str:
        return (self.secrets.get(name) or str(self.settings.get(name) or "")).strip()

    @property
    def _endpoint(self) -> str:
        url = self._given("endpoint")
        if not url:
            raise PluginError(
                "dns-httpreq needs the URL of the service.",
                hint="Give it with --dns-httpreq-endpoint URL, in HTTPREQ_ENDPOINT or in the credentials file.",
            )
        try:
            parts = urlsplit(url)
            usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        except ValueError:
            usable = False
        if not usable or parts.query or parts.fragment:
            raise PluginError("The endpoint of dns-httpreq is no plain http or https URL.")
        if parts.username is not None or parts.password is not None:
            raise PluginError(
                "The endpoint of dns-httpreq has a user name or a password in it.",
                hint="Put them into the credentials file, as dns_httpreq_username and dns_httpreq_password.",
            )
        return url.rstrip("/")

    @property
    def _raw(self) -> bool:
        mode = self._given("mode")
        if mode not in ("", "RAW"):
            raise PluginError(f"The mode of dns-httpreq is {mode!r}; it knows RAW and none.")
        return mode == "RAW"


def _refused(url: str, name: str, answer: HttpAnswer) -> PluginError:
    if answer.status in (401, 403):
        return PluginError(
            f"{url} does not accept the user name and password (status {answer.status}).",
            hint="Check dns_httpreq_username and dns_httpreq_password, or HTTPREQ_USERNAME and HTTPREQ_PASSWORD.",
        )
    if 300 <= answer.status < 400:
        return PluginError(
            f"{url} answers with a redirection (status {answer.status}), which is not followed.",
            hint="Give the address that it leads to as the endpoint.",
        )
    text = " ".join("".join(c if c.isprintable() else " " for c in answer.text).split())[:_SHOWN]
    return PluginError(f"{url} answered {answer.status} for {name}{f': {text}' if text else '.'}")
