"""Web interfaces of DNS providers, as their documentation describes them, for zones and TXT records."""

from __future__ import annotations

import hashlib
import itertools
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tests.integration.servers.api_gate import Answer, Api, Asked


@dataclass(slots=True, kw_only=True)
class Held:
    """A record that a provider keeps; ``name`` is absolute."""

    number: int
    name: str
    type: str
    content: str
    ttl: int | None


class DnsApi(Api):
    """One provider with one zone. ``read_only``: it changes nothing for anybody."""

    def __init__(self, zone: str) -> None:
        super().__init__()
        self.zone = zone
        self.records: list[Held] = []
        self.read_only = False
        self._numbers = itertools.count(3_352_892)

    def values(self, name: str) -> list[str]:
        """The TXT values under ``name``, sorted."""
        return sorted(one.content.strip('"') for one in self.records if one.name == name and one.type == "TXT")

    def put(self, name: str, content: str, *, kind: str = "TXT", ttl: int | None = None) -> Held:
        """Keep one more record."""
        self.records.append(Held(number=next(self._numbers), name=name, type=kind, content=content, ttl=ttl))
        return self.records[-1]

    def absolute(self, relative: str) -> str:
        """The absolute name of one that is relative to the zone."""
        return self.zone if relative in ("", "@") else f"{relative}.{self.zone}"


class Cloudflare(DnsApi):
    """https://developers.cloudflare.com/api: zones and DNS records."""

    host = "api.cloudflare.com"
    identifier = "023e105f4ecef8ad9ca31a8372d0c353"
    token = "cf-token-0123456789abcdef0123456789abcdef"
    email, key = "admin@example.com", "cf-global-key-0123456789abcdef"

    def answer(self, asked: Asked) -> Answer:
        """Status and content of the answer."""
        known = asked.headers.get("authorization") == f"Bearer {self.token}" or (
            asked.headers.get("x-auth-email"),
            asked.headers.get("x-auth-key"),
        ) == (self.email, self.key)
        if not known:
            return 403, self._refusal(9109, "Invalid access token")
        records = f"/client/v4/zones/{self.identifier}/dns_records"
        if self.read_only and asked.method != "GET":
            return 403, self._refusal(10000, "Authentication error")
        match asked.method, asked.path:
            case "GET", "/client/v4/zones":
                return 200, self._page([{"id": self.identifier, "name": self.zone, "status": "active"}], asked)
            case "GET", path if path == records:
                found = [one for one in self.records if self._matches(one, asked.query)]
                return 200, self._page([self._shown(one) for one in found], asked)
            case "POST", path if path == records:
                wanted = asked.json
                if any((one.name, one.content) == (wanted["name"], wanted["content"]) for one in self.records):
                    return 400, self._refusal(81058, "An identical record already exists.")
                made = self.put(wanted["name"], wanted["content"], kind=wanted["type"], ttl=wanted["ttl"])
                return 200, {"success": True, "errors": [], "messages": [], "result": self._shown(made)}
            case "DELETE", path if path.startswith(f"{records}/"):
                number = path.rpartition("/")[2]
                self.records = [one for one in self.records if f"{one.number:032x}" != number]
                return 200, {"success": True, "errors": [], "messages": [], "result": {"id": number}}
        return 404, self._refusal(7003, "Could not route to that path")

    @staticmethod
    def _matches(one: Held, query: dict[str, str]) -> bool:
        shown = {"type": one.type, "name": one.name, "content": one.content}
        return all(shown[key] == value for key, value in query.items() if key in shown)

    @staticmethod
    def _shown(one: Held) -> dict[str, object]:
        return {
            "id": f"{one.number:032x}",
            "name": one.name,
            "type": one.type,
            "content": one.content,
            "ttl": one.ttl,
        }

    @staticmethod
    def _page(everything: Sequence[object], asked: Asked) -> dict[str, object]:
        number, size = int(asked.query.get("page", 1)), int(asked.query.get("per_page", 100))
        result = everything[(number - 1) * size : number * size]
        pages = {
            "page": number,
            "per_page": size,
            "count": len(result),
            "total_count": len(everything),
            "total_pages": -(-len(everything) // size),
        }
        return {"success": True, "errors": [], "messages": [], "result": result, "result_info": pages}

    @staticmethod
    def _refusal(code: int, message: str) -> dict[str, object]:
        return {"success": False, "errors": [{"code": code, "message": message}], "messages": [], "result": None}


class DigitalOcean(DnsApi):
    """https://docs.digitalocean.com/reference/api: domains and domain records."""

    host = "api.digitalocean.com"
    token = "dop_v1_0123456789abcdef0123456789abcdef"

    def answer(self, asked: Asked) -> Answer:
        """Status and content of the answer."""
        if asked.headers.get("authorization") != f"Bearer {self.token}":
            return 401, {"id": "Unauthorized", "message": "Unable to authenticate you"}
        if self.read_only and asked.method != "GET":
            return 403, {"id": "Forbidden", "message": "You are not authorized to perform this operation"}
        domain = f"/v2/domains/{self.zone}"
        match asked.method, asked.path:
            case "GET", path if path == domain:
                return 200, {"domain": {"name": self.zone, "ttl": 1800, "zone_file": "..."}}
            case "GET", path if path == f"{domain}/records":
                shown = [self._shown(one) for one in self.records]
                return 200, {"domain_records": shown, "links": {}, "meta": {"total": len(shown)}}
            case "POST", path if path == f"{domain}/records":
                wanted = asked.json
                if not wanted["name"]:
                    return 422, {"id": "unprocessable_entity", "message": "Name can't be blank"}
                made = self.put(self.absolute(wanted["name"]), wanted["data"], kind=wanted["type"], ttl=wanted["ttl"])
                return 201, {"domain_record": self._shown(made)}
            case "DELETE", path if path.startswith(f"{domain}/records/"):
                self.records = [one for one in self.records if str(one.number) != path.rpartition("/")[2]]
                return 204, None
        return 404, {"id": "not_found", "message": "The resource you were accessing could not be found."}

    def _shown(self, one: Held) -> dict[str, object]:
        relative = "@" if one.name == self.zone else one.name.removesuffix(f".{self.zone}")
        return {"id": one.number, "type": one.type, "name": relative, "data": one.content, "ttl": one.ttl}


class Ovh(DnsApi):
    """https://eu.api.ovh.com/console: /auth/time and /domain/zone, with its signatures."""

    host = "eu.api.ovh.com"
    application, secret, consumer = "ovh-application-key", "ovh-application-secret", "ovh-consumer-key"

    def answer(self, asked: Asked) -> Answer:
        """Status and content of the answer."""
        if asked.path == "/1.0/auth/time":
            return 200, int(time.time())
        if not self._is_signed(asked):
            return 403, {"message": "This credential is not valid", "errorCode": "INVALID_CREDENTIAL"}
        if self.read_only and asked.method != "GET":
            return 403, {"message": "This call has not been granted", "errorCode": "NOT_GRANTED_CALL"}
        zone = f"/1.0/domain/zone/{self.zone}"
        match asked.method, asked.path:
            case "GET", "/1.0/domain/zone/":
                return 200, [self.zone]
            case "GET", path if path == f"{zone}/status":
                return 200, {"isDeployed": True, "errors": [], "warnings": []}
            case "GET", path if path == f"{zone}/record":
                name = self.absolute(asked.query.get("subDomain", ""))
                found = [one for one in self.records if (one.name, one.type) == (name, asked.query["fieldType"])]
                return 200, [one.number for one in found]
            case "POST", path if path == f"{zone}/record":
                wanted = asked.json
                name = self.absolute(wanted["subDomain"])
                return 200, self._shown(self.put(name, wanted["target"], kind=wanted["fieldType"], ttl=wanted["ttl"]))
            case "POST", path if path == f"{zone}/refresh":
                return 200, None
            case method, path if path.startswith(f"{zone}/record/"):
                number = int(path.rpartition("/")[2])
                one = next((one for one in self.records if one.number == number), None)
                if one is not None and method == "GET":
                    return 200, self._shown(one)
                if one is not None and method == "DELETE":
                    self.records.remove(one)
                    return 200, None
        return 404, {"message": "The requested object does not exist"}

    def _is_signed(self, asked: Asked) -> bool:
        stamp = asked.headers.get("x-ovh-timestamp", "")
        parts = (self.secret, self.consumer, asked.method, asked.url, asked.body.decode(), stamp)
        signature = "$1$" + hashlib.sha1("+".join(parts).encode()).hexdigest()
        return (
            asked.headers.get("x-ovh-application") == self.application
            and asked.headers.get("x-ovh-consumer") == self.consumer
            and asked.headers.get("x-ovh-signature") == signature
        )

    def _shown(self, one: Held) -> dict[str, object]:
        relative = "" if one.name == self.zone else one.name.removesuffix(f".{self.zone}")
        shown = {"id": one.number, "zone": self.zone, "subDomain": relative, "fieldType": one.type}
        return {**shown, "target": f'"{one.content}"', "ttl": one.ttl}


class Hetzner(DnsApi):
    """https://docs.hetzner.cloud/reference/cloud#dns: zones, RRSets and actions, which take a while."""

    host = "api.hetzner.cloud"
    token = "hetzner-token-0123456789abcdefghijklmnopqrstuvwxyz0123456789ABCD"
    number = 42

    def __init__(self, zone: str) -> None:
        super().__init__(zone)
        self._actions: dict[int, int] = {}

    def answer(self, asked: Asked) -> Answer:
        """Status and content of the answer."""
        if asked.headers.get("authorization") != f"Bearer {self.token}":
            return 401, self._refusal("unauthorized", "unable to authenticate")
        if self.read_only and asked.method != "GET":
            return 403, self._refusal("token_readonly", "only GET requests are allowed")
        zone = f"/v1/zones/{self.number}"
        parts = asked.path.split("/")
        match asked.method, asked.path:
            case "GET", path if path == f"/v1/zones/{self.zone}":
                return 200, {"zone": {"id": self.number, "name": self.zone, "mode": "primary", "ttl": 3600}}
            case "GET", path if path == f"{zone}/rrsets":
                return 200, self._sets(asked.query)
            case "GET", path if path.startswith("/v1/zones/actions/"):
                number = int(parts[-1])
                self._actions[number] += 1
                return 200, {"action": {"id": number, "status": "success" if self._actions[number] else "running"}}
            case "POST", path if path.startswith(f"{zone}/rrsets/") and parts[-2] == "actions" and parts[5]:
                return self._act(parts[-1], self.absolute(parts[5]), parts[6], asked.json)
        return 404, self._refusal("not_found", "zone not found")

    def _sets(self, query: dict[str, str]) -> dict[str, object]:
        found: dict[str, list[Held]] = {}
        for one in self.records:
            relative = "@" if one.name == self.zone else one.name.removesuffix(f".{self.zone}")
            if one.type == query.get("type", one.type) and relative == query.get("name", relative):
                found.setdefault(relative, []).append(one)
        sets = [
            {
                "id": f"{name}/TXT",
                "name": name,
                "type": "TXT",
                "ttl": ones[0].ttl,
                "records": [{"value": one.content, "comment": ""} for one in ones],
            }
            for name, ones in found.items()
        ]
        pages = {"page": 1, "per_page": 25, "previous_page": None, "next_page": None, "last_page": 1}
        return {"rrsets": sets, "meta": {"pagination": {**pages, "total_entries": len(sets)}}}

    def _act(self, action: str, name: str, kind: str, wanted: dict[str, Any]) -> Answer:
        values = [one["value"] for one in wanted["records"]]
        held = [one for one in self.records if one.name == name and one.type == kind and one.content in values]
        if action == "add_records":
            for value in values:
                self.put(name, value, kind=kind, ttl=wanted["ttl"])
        elif action == "remove_records" and held:
            self.records = [one for one in self.records if one not in held]
        else:
            return 404, self._refusal("not_found", "record not found")
        number = next(self._numbers)
        self._actions[number] = -1
        return 201, {"action": {"id": number, "command": action, "status": "running", "progress": 0}}

    @staticmethod
    def _refusal(code: str, message: str) -> dict[str, object]:
        return {"error": {"code": code, "message": message, "details": None}}
