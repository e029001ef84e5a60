"""google: TXT records at Google Cloud DNS, by its API version 1 and Google's SDK for credentials (google-auth).

https://cloud.google.com/dns/docs/reference/rest/v1
"""

from __future__ import annotations

import json
import os
import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import quote, urlencode, urlsplit

from acmectl.plugin.api import Option, OptionKind, PluginError
from acmectl.plugin.registry import install_command
from acmectl_plugins.record_sets import ConflictError, HostedZone, RecordSet, RecordSetProvider, line

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from acmectl.plugin.api import HttpAnswer, HttpClient
    from acmectl_plugins.record_sets import Change

ENDPOINT_VARIABLE = "CLOUDSDK_API_ENDPOINT_OVERRIDES_DNS"
"""Google's own name for the address of the API, where it is reached by Private Service Connect."""

_SCOPE = "https://www.googleapis.com/auth/ndev.clouddns.readwrite"
_PATH = "/dns/v1/"
_TIMEOUT = 25.0  # seconds for one request
_TRIES = 5
_BUSY = {429, 500, 502, 503, 504}
_BUSY_REASONS = {"rateLimitExceeded", "userRateLimitExceeded", "quotaExceeded"}
_FEW = 8  # names; more are found by reading the whole zone, page by page
_MOST_CHANGES = 300  # the limits are 1000 record sets and 100 kB
_MOST_BYTES = 1 << 20
_FORGOTTEN = "Check --dns-google-project, and that the zone was not deleted."
_SET_UP = "Give a service account's key with --dns-google-credentials FILE, or set up default credentials."
_ROLE = "The role roles/dns.admin has it; docs/dns-google.md has a smaller one."


class Google(RecordSetProvider):
    """Google Cloud DNS. Without a key file Google's default credentials are used: environment, gcloud or machine."""

    name: ClassVar[str] = "google"
    summary: ClassVar[str] = "Answer by TXT records at Google Cloud DNS"
    service: ClassVar[str] = "Google Cloud DNS"
    options: ClassVar[tuple[Option, ...]] = (
        Option(name="credentials", kind=OptionKind.PATH, metavar="FILE", help="the service account's key, a JSON file"),
        Option(name="project", metavar="ID", help="project that holds the zone, if not the one of the credentials"),
    )
    ttl: ClassVar[int] = 60
    propagation_seconds: ClassVar[int] = 60

    _made: Any = None
    _project = ""
    _who = "these credentials"

    def check(self) -> None:
        """The SDK is there, and the key file is one. Raises: PluginError."""
        _endpoint("googleapis.com")
        if not self.settings.get("credentials"):
            with self._told():
                return
        self._from_file(str(self.settings["credentials"]))

    def hosted_zones(self) -> list[HostedZone]:
        """The public zones of the project. Raises: PluginError."""
        return [
            HostedZone(name=_bare(_text(zone, "dnsName")), key=_text(zone, "name"))
            for zone in self._all("dns.managedZones.list", "managedZones", "managedZones")
            if zone.get("visibility", "public") == "public"
        ]

    def record_sets(self, zone: HostedZone, names: Sequence[str]) -> dict[str, RecordSet]:
        """The TXT values under ``names``. Raises: PluginError."""
        path = f"managedZones/{quote(zone.key, safe='')}/rrsets"
        if len(names) > _FEW:
            questions: list[dict[str, str]] = [{}]
        else:
            questions = [{"name": f"{name}.", "type": "TXT"} for name in names]
        found: dict[str, RecordSet] = {}
        for question in questions:
            for one in self._all("dns.resourceRecordSets.list", path, "rrsets", zone=zone, question=question):
                name = _bare(_text(one, "name"))
                if one.get("type") == "TXT" and name in names:
                    found[name] = _values(one)
        return found

    def send(self, zone: HostedZone, changes: Sequence[Change]) -> list[str]:
        """Send each portion as one change, which is made whole or not at all. Raises: ConflictError, PluginError."""
        path = f"managedZones/{quote(zone.key, safe='')}/changes"
        sent = []
        for start in range(0, len(changes), _MOST_CHANGES):
            portion = changes[start : start + _MOST_CHANGES]
            body = {
                "deletions": [_record_set(one.name, one.old) for one in portion if one.old is not None],
                "additions": [_record_set(one.name, one.new) for one in portion if one.new is not None],
            }
            sent.append(_text(self._ask("POST", "dns.changes.create", path, zone=zone, body=body), "id"))
        return sent

    def is_pending(self, zone: HostedZone, change: str) -> bool:
        """Whether ``change`` is not done yet. Raises: PluginError."""
        path = f"managedZones/{quote(zone.key, safe='')}/changes/{quote(change, safe='')}"
        return self._ask("GET", "dns.changes.get", path, zone=zone).get("status") != "done"

    def _all(
        self,
        permission: str,
        path: str,
        key: str,
        *,
        zone: HostedZone | None = None,
        question: Mapping[str, str] | None = None,
    ) -> Iterator[dict[str, Any]]:
        """The items of a list, of all its pages."""
        parameters = dict(question or {})
        while True:
            page = self._ask("GET", permission, path, zone=zone, parameters=parameters)
            items = page.get(key, [])
            if not isinstance(items, list):
                raise _strange()
            yield from (item for item in items if isinstance(item, dict))
            token = page.get("nextPageToken")
            if not token or token == parameters.get("pageToken"):
                return
            parameters["pageToken"] = str(token)

    def _ask(
        self,
        method: str,
        permission: str,
        path: str,
        *,
        zone: HostedZone | None = None,
        parameters: Mapping[str, str] | None = None,
        body: object = None,
    ) -> dict[str, Any]:
        """One request, again where Google is busy. What was sent twice is refused by what it supposes to be there."""
        credentials, base = self._opened()
        url = f"{base}projects/{quote(self._project, safe='')}/{path}"
        if parameters:
            url = f"{url}?{urlencode(parameters)}"
        where = f"the zone {zone.name} ({zone.key})" if zone is not None else f"the project {line(self._project)}"
        data = None if body is None else json.dumps(body).encode()
        pause = 1.0
        for attempt in range(_TRIES):
            answer = self._send_one(credentials, method, url, data)
            content = _content(answer.body)
            if answer.status == 200:
                return content
            if not _is_busy(answer.status, content) or attempt == _TRIES - 1:
                break
            self.context.clock.sleep(pause)
            pause *= 2
        raise self._refused(answer.status, content, permission, where)

    def _send_one(self, credentials: Any, method: str, url: str, data: bytes | None) -> HttpAnswer:
        """Send it with an access token, with a new one if it is not accepted. Raises: PluginError."""
        for is_second in (False, True):
            headers = {} if data is None else {"Content-Type": "application/json"}
            with self._told():
                if is_second or not credentials.valid:
                    credentials.refresh(_Carrier(self.context.http))
                credentials.apply(headers)
            answer = self.context.http.request(method, url, headers=headers, body=data, timeout=_TIMEOUT)
            if answer.status != 401:
                break
        return answer

    def _opened(self) -> tuple[Any, str]:
        """The credentials, and the address of the API."""
        if self._made is None:
            path = self.settings.get("credentials")
            credentials, project = self._from_file(str(path)) if path else self._by_default()
            self._project = str(self.settings.get("project") or project or "")
            if not self._project:
                raise PluginError(
                    "It is not known which Google Cloud project holds the zone.", hint="Give --dns-google-project ID."
                )
            self._who = line(getattr(credentials, "service_account_email", None) or self._who)
            self._made = credentials, _endpoint(getattr(credentials, "universe_domain", "googleapis.com"))
        made: tuple[Any, str] = self._made
        return made

    def _by_default(self) -> tuple[Any, str | None]:
        with self._told():
            import google.auth

            credentials, project = google.auth.default(scopes=[_SCOPE], request=_Carrier(self.context.http))
        return credentials, project

    def _from_file(self, path: str) -> tuple[Any, str | None]:
        """The credentials in a key file, and the project that they belong to. Touches no network."""
        self.context.credentials.check(path)
        try:
            with Path(path).open("rb") as file:
                info = json.loads(file.read(_MOST_BYTES))
        except OSError as error:
            raise PluginError(f"The credentials file {path} cannot be read: {error.strerror}.") from None
        except ValueError:
            info = None
        if not isinstance(info, dict) or not isinstance(info.get("type"), str):
            raise PluginError(f"The credentials file {path} is not a key of Google's (JSON with a type).", hint=_SET_UP)
        for key in ("private_key", "client_secret", "refresh_token"):
            if isinstance(info.get(key), str):
                self.context.keep_secret(info[key])
        with self._told():
            import google.auth
            from google.oauth2 import service_account

            try:
                if info["type"] == "service_account":
                    made = service_account.Credentials.from_service_account_info(info, scopes=[_SCOPE])
                    return made, info.get("project_id")
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # it warns of files from strangers, and this one is the user's
                    found, project = google.auth.load_credentials_from_dict(info, scopes=[_SCOPE])
                return found, project or info.get("quota_project_id")
            except (ValueError, TypeError, google.auth.exceptions.GoogleAuthError) as error:
                # What is said of a bad private key may quote it.
                kind = type(error).__name__
                raise PluginError(
                    f"The credentials file {path} cannot be used: something in it is missing or damaged ({kind}).",
                    hint="Download the key again.",
                ) from None

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Turn the SDK's errors into one line each; a signal ends what is waited for."""
        try:
            from google.auth import exceptions
        except ImportError:
            raise PluginError(
                "dns-google needs google-auth, Google's SDK, which is not installed.",
                hint=f"Install it: {install_command('google')}",
            ) from None
        try:
            with self.context.interrupts.interruptible():
                yield
        except exceptions.DefaultCredentialsError:
            raise PluginError("There are no Google credentials.", hint=_SET_UP) from None
        except exceptions.RefreshError as error:
            said = line(error.args[0] if error.args else "")
            raise PluginError(
                f"Google gives {self._who} no access token: {said}",
                hint="Check that the key was not deleted or disabled, and that this machine's clock is right.",
            ) from None
        except exceptions.GoogleAuthError as error:
            if isinstance(error.__cause__, PluginError):
                raise error.__cause__ from None
            raise PluginError(
                f"The Google credentials cannot be used ({type(error).__name__}): {line(error)}", hint=_SET_UP
            ) from None

    def _refused(self, status: int, content: Mapping[str, Any], permission: str, where: str) -> PluginError:
        error = content.get("error")
        said = line(error.get("message", "")) if isinstance(error, dict) else f"status {status}"
        if status == 401:
            return PluginError(f"Google does not accept the access token of {self._who}: {said}", hint=_SET_UP)
        if status in (409, 412):
            return ConflictError(f"Google refuses the change in {where}: {said}")
        if _is_busy(status, content):
            return PluginError(
                f"Google is too busy or has had too many requests ({permission} in {where}): {said}",
                hint="Run again later.",
            )
        if status == 403:
            return PluginError(f"Google does not allow {self._who} to do {permission} in {where}: {said}", hint=_ROLE)
        if status == 404:
            return PluginError(f"Google does not know {where}: {said}", hint=_FORGOTTEN)
        return PluginError(f"Google refuses {permission} in {where} ({status}): {said}")


class _Carrier:
    """Lends the engine's way to web services to google-auth. Implements google.auth.transport.Request."""

    def __init__(self, http: HttpClient) -> None:
        self._http = http

    def __call__(
        self,
        url: str,
        method: str = "GET",
        body: bytes | str | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
        **_more: object,
    ) -> _Carried:
        """One request. Raises: google.auth.exceptions.TransportError."""
        from google.auth.exceptions import TransportError

        data = body.encode() if isinstance(body, str) else body
        try:
            answer = self._http.request(method, url, headers=headers, body=data, timeout=timeout or _TIMEOUT)
        except PluginError as error:
            raise TransportError(error.message) from error
        return _Carried(status=answer.status, headers=answer.headers, data=answer.body)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Carried:
    """Implements google.auth.transport.Response."""

    status: int
    headers: Mapping[str, str]
    data: bytes


def _endpoint(universe: str) -> str:
    """The address of the API. Raises: PluginError for one that would carry tokens in the clear."""
    given = os.environ.get(ENDPOINT_VARIABLE)
    if not given:
        return f"https://dns.{universe}{_PATH}"
    parts = urlsplit(given)
    if parts.scheme != "https" and parts.hostname not in ("localhost", "127.0.0.1", "::1"):
        raise PluginError(
            f"{ENDPOINT_VARIABLE} must be an https URL.", hint="Access tokens would be sent in the clear."
        )
    return f"{given.rstrip('/')}{_PATH}" if parts.path in ("", "/") else f"{given.rstrip('/')}/"


def _content(body: bytes) -> dict[str, Any]:
    try:
        content = json.loads(body)
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}


def _is_busy(status: int, content: Mapping[str, Any]) -> bool:
    error = content.get("error")
    details = error.get("errors") if isinstance(error, dict) else None
    reasons = {one.get("reason") for one in details if isinstance(one, dict)} if isinstance(details, list) else set()
    return status in _BUSY or (status == 403 and bool(reasons & _BUSY_REASONS))


def _text(item: Mapping[str, Any], key: str) -> str:
    value = item.get(key)
    if not isinstance(value, str):
        raise _strange()
    return value


def _values(item: Mapping[str, Any]) -> RecordSet:
    values, ttl = item.get("rrdatas"), item.get("ttl")
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values) or not isinstance(ttl, int):
        raise PluginError(
            f"Google Cloud DNS: the TXT record {line(item.get('name', ''))} has a routing policy.",
            hint="Values can only be added to a plain record.",
        )
    return RecordSet(values=tuple(values), ttl=ttl)


def _record_set(name: str, record_set: RecordSet) -> dict[str, object]:
    return {"name": f"{name}.", "type": "TXT", "ttl": record_set.ttl, "rrdatas": list(record_set.values)}


def _strange() -> PluginError:
    return PluginError("Google Cloud DNS answered with something that its API does not have.", hint="Run again later.")


def _bare(name: str) -> str:
    return name.removesuffix(".").lower()
