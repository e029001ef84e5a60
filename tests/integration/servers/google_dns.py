"""Google's token endpoint and the part of Cloud DNS API version 1 that deals with records, as documented.

https://cloud.google.com/dns/docs/reference/rest/v1
https://developers.google.com/identity/protocols/oauth2/service-account
"""

from __future__ import annotations

import base64
import json
import secrets
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qs, unquote, urlsplit

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

PROJECT = "shelf-123"
EMAIL = f"acmectl@{PROJECT}.iam.gserviceaccount.com"
_SCOPES = {
    "https://www.googleapis.com/auth/cloud-platform",
    "https://www.googleapis.com/auth/ndev.clouddns.readwrite",
}
_RecordSets = dict[tuple[str, str], dict[str, Any]]


class RefusedError(Exception):
    """An answer other than 200: status, message and reason."""

    def __init__(self, status: int, message: str, reason: str) -> None:
        super().__init__(message)
        self.status, self.message, self.reason = status, message, reason


@dataclass
class Zone:
    """A managed zone. ``record_sets``: (name with dot, type) -> the resource."""

    name: str
    dns_name: str
    visibility: str = "public"
    record_sets: _RecordSets = field(default_factory=dict)
    changes: dict[str, dict[str, Any]] = field(default_factory=dict)

    def values(self, name: str) -> tuple[int, list[str]] | None:
        """TTL and TXT values under ``name`` (no dot at the end); None when there are none."""
        found = self.record_sets.get((f"{name}.", "TXT"))
        return (found["ttl"], found["rrdatas"]) if found else None

    def put(self, name: str, values: list[str], *, ttl: int = 300, kind: str = "TXT") -> None:
        """Set values as somebody else would."""
        self.record_sets[f"{name}.", kind] = {
            "kind": "dns#resourceRecordSet",
            "name": f"{name}.",
            "type": kind,
            "ttl": ttl,
            "rrdatas": values,
        }


class GoogleDns:
    """Both servers at one port of 127.0.0.1.

    ``pending``: how often a change is asked for before it is done. ``page``: items on a page. ``seen``: "METHOD path".
    ``before`` (method, path) may raise RefusedError; ``after`` (method, path) is told of what was done.
    """

    def __init__(self) -> None:
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.key_id = secrets.token_hex(20)
        self.zones: dict[str, Zone] = {}
        self.tokens: dict[str, float] = {}
        self.seen: list[str] = []
        self.pending = 0
        self.page = 100
        self.before: Callable[[str, str], None] = lambda _method, _path: None
        self.after: Callable[[str, str], None] = lambda _method, _path: None
        self._lock = threading.RLock()

    def __enter__(self) -> Self:
        google = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
                status, content = google._answer(self.command, self.path, self.headers.get("Authorization", ""), body)
                data = json.dumps(content).encode()
                with suppress(OSError):
                    self.send_response(status)
                    self.send_header("Content-Type", "application/json; charset=UTF-8")
                    self.send_header("Content-Length", str(len(data)))
                    self.end_headers()
                    self.wfile.write(data)

            do_GET = do_POST = handle_any  # noqa: N815 - names that the base class looks for

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name for it
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        """Its address, without a path."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def key_file(self, path: Path, **changed: object) -> Path:
        """Write a service account's key as Google's console gives it to people."""
        content = {
            "type": "service_account",
            "project_id": PROJECT,
            "private_key_id": self.key_id,
            "private_key": self.key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            ).decode(),
            "client_email": EMAIL,
            "client_id": "1",
            "token_uri": f"{self.url}/token",
            "universe_domain": "googleapis.com",
            **changed,
        }
        path.touch(mode=0o600)
        path.write_text(json.dumps(content))
        return path

    def zone(self, name: str, dns_name: str, *, visibility: str = "public") -> Zone:
        """Make a managed zone for ``dns_name`` (no dot at the end)."""
        zone = self.zones[name] = Zone(name=name, dns_name=dns_name, visibility=visibility)
        return zone

    def _answer(self, method: str, path: str, authorization: str, body: bytes) -> tuple[int, dict[str, Any]]:
        self.seen.append(f"{method} {path}")
        parts = urlsplit(path)
        try:
            self.before(method, path)
            with self._lock:
                if parts.path == "/token" and method == "POST":
                    return 200, self._token(parse_qs(body.decode()))
                scheme, _, token = authorization.partition(" ")
                if scheme != "Bearer" or self.tokens.get(token, 0) < time.time():
                    raise RefusedError(401, "Request had invalid authentication credentials.", "authError")
                content = self._api(method, parts.path, parse_qs(parts.query), body)
            self.after(method, path)
            return 200, content
        except RefusedError as error:
            if parts.path == "/token":
                return error.status, {"error": error.reason, "error_description": error.message}
            detail = {"message": error.message, "domain": "global", "reason": error.reason}
            return error.status, {"error": {"code": error.status, "message": error.message, "errors": [detail]}}

    def _token(self, form: dict[str, list[str]]) -> dict[str, Any]:
        """An access token for an assertion that is signed with the key (RFC 7523)."""
        if form.get("grant_type") != ["urn:ietf:params:oauth:grant-type:jwt-bearer"]:
            raise RefusedError(400, "Bad grant_type", "unsupported_grant_type")
        signed, _, signature = form["assertion"][0].rpartition(".")
        header, claims = (json.loads(_decoded(part)) for part in signed.split("."))
        try:
            self.key.public_key().verify(_decoded(signature), signed.encode(), padding.PKCS1v15(), hashes.SHA256())
        except InvalidSignature:
            raise RefusedError(400, "Invalid JWT Signature.", "invalid_grant") from None
        if header["kid"] != self.key_id or claims["iss"] != EMAIL:
            raise RefusedError(400, "Invalid grant: account not found", "invalid_grant")
        if claims["aud"] not in (f"{self.url}/token", "https://oauth2.googleapis.com/token"):
            raise RefusedError(400, "Invalid JWT: bad audience", "invalid_grant")
        if not claims["iat"] - 300 <= time.time() <= claims["exp"] <= claims["iat"] + 3600:
            raise RefusedError(400, "Invalid JWT: Token must be a short-lived token", "invalid_grant")
        if not set(claims["scope"].split()) & _SCOPES:
            raise RefusedError(400, "Invalid scope", "invalid_scope")
        token = secrets.token_urlsafe(20)
        self.tokens[token] = time.time() + 3600
        return {"access_token": token, "expires_in": 3599, "token_type": "Bearer"}

    def _api(self, method: str, path: str, query: dict[str, list[str]], body: bytes) -> dict[str, Any]:
        parts = [unquote(part) for part in path.removeprefix("/dns/v1/projects/").split("/")]
        if not path.startswith("/dns/v1/projects/") or parts[0] != PROJECT:
            raise RefusedError(404, f"The 'parameters.project' resource named '{parts[0]}' does not exist.", "notFound")
        match (method, *parts[1:]):
            case ("GET", "managedZones"):
                return self._page("managedZones", [_zone_resource(zone) for zone in self.zones.values()], query)
            case ("GET", "managedZones", zone, "rrsets"):
                found = self._zone(zone).record_sets.values()
                if "type" in query and "name" not in query:
                    raise RefusedError(400, "Parameter type needs parameter name.", "required")
                return self._page("rrsets", [one for one in found if _is_wanted(one, query)], query)
            case ("POST", "managedZones", zone, "changes"):
                return self._change(self._zone(zone), json.loads(body))
            case ("GET", "managedZones", zone, "changes", change):
                made = self._zone(zone).changes.get(change)
                if made is None:
                    raise RefusedError(404, f"The change '{change}' does not exist.", "notFound")
                made["asked"] += 1
                return _change_resource(made, pending=made["asked"] <= self.pending)
        raise RefusedError(404, "Not found", "notFound")

    def _zone(self, name: str) -> Zone:
        if name not in self.zones:
            raise RefusedError(404, f"The 'parameters.managedZone' resource named '{name}' does not exist.", "notFound")
        return self.zones[name]

    def _page(self, key: str, items: list[dict[str, Any]], query: dict[str, list[str]]) -> dict[str, Any]:
        start = int(query.get("pageToken", ["0"])[0])
        content: dict[str, Any] = {key: items[start : start + self.page]}
        if start + self.page < len(items):
            content["nextPageToken"] = str(start + self.page)
        return content

    def _change(self, zone: Zone, wanted: dict[str, Any]) -> dict[str, Any]:
        """All of a change or nothing of it: what is deleted must be there just so, what is added must not be there."""
        after = dict(zone.record_sets)
        for number, one in enumerate(wanted.get("deletions", [])):
            found = after.pop((one["name"], one["type"]), None)
            if found is None or (found["ttl"], sorted(found["rrdatas"])) != (one["ttl"], sorted(one["rrdatas"])):
                raise RefusedError(
                    412, f"Precondition not met for 'entity.change.deletions[{number}]'", "conditionNotMet"
                )
        for number, one in enumerate(wanted.get("additions", [])):
            where = f"entity.change.additions[{number}]"
            if (one["name"], one["type"]) in after:
                raise RefusedError(
                    409, f"The resource '{where}' named '{one['name']} (TXT)' already exists", "alreadyExists"
                )
            if not one["name"].endswith(f".{zone.dns_name}.") and one["name"] != f"{zone.dns_name}.":
                raise RefusedError(400, f"Invalid value for '{where}.name': '{one['name']}'", "invalid")
            if not one["rrdatas"]:
                raise RefusedError(400, f"Invalid value for '{where}.rrdata': ''", "invalid")
            after[one["name"], one["type"]] = {"kind": "dns#resourceRecordSet", **one}
        zone.record_sets = after
        made = {"id": str(len(zone.changes) + 1), "asked": 0, **wanted}
        zone.changes[made["id"]] = made
        return _change_resource(made, pending=True)


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _is_wanted(record_set: dict[str, Any], query: dict[str, list[str]]) -> bool:
    return all(record_set[key] == query[key][0] for key in ("name", "type") if key in query)


def _zone_resource(zone: Zone) -> dict[str, Any]:
    return {
        "kind": "dns#managedZone",
        "id": "1",
        "name": zone.name,
        "dnsName": f"{zone.dns_name}.",
        "visibility": zone.visibility,
        "nameServers": ["ns-cloud-a1.googledomains.com."],
    }


def _change_resource(made: dict[str, Any], *, pending: bool) -> dict[str, Any]:
    return {
        "kind": "dns#change",
        "id": made["id"],
        "status": "pending" if pending else "done",
        "additions": made.get("additions", []),
        "deletions": made.get("deletions", []),
    }
