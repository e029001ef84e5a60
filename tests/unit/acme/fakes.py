"""A transport that plays answers and a clock that never waits."""

from __future__ import annotations

import base64
import itertools
import json
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta

from acmectl.acme.client import AcmeClient
from acmectl.acme.jws import AccountKey
from acmectl.acme.messages import Request, Response
from acmectl.acme.retry import RetryPolicy

CA = "https://ca.example"
DIRECTORY_URL = f"{CA}/dir"
ACCOUNT_URL = f"{CA}/acct/1"
DIRECTORY = {
    "newNonce": f"{CA}/nonce",
    "newAccount": f"{CA}/new-acct",
    "newOrder": f"{CA}/new-order",
    "revokeCert": f"{CA}/revoke",
    "keyChange": f"{CA}/key-change",
    "renewalInfo": f"{CA}/ari/",
}
ORDER = {
    "status": "pending",
    "identifiers": [{"type": "dns", "value": "a.example"}],
    "authorizations": [f"{CA}/authz/1"],
    "finalize": f"{CA}/finalize/1",
}

Answer = Response | Callable[[Request], Response]


class FakeClock:
    """Starts at 2026-01-01 00:00 UTC; sleeping moves it."""

    def __init__(self) -> None:
        self.elapsed = 0.0
        self.slept: list[float] = []
        self._lock = threading.Lock()

    def now(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=self.elapsed)

    def monotonic(self) -> float:
        return 1000.0 + self.elapsed

    def sleep(self, seconds: float) -> None:
        with self._lock:
            self.slept.append(seconds)
            self.elapsed += seconds


def reply(
    body: object = None, status: int = 200, headers: Mapping[str, str] | None = None, url: str = f"{CA}/x"
) -> Response:
    """An answer; ``body`` is sent as JSON unless it is bytes."""
    raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    return Response(status=status, headers={k.lower(): v for k, v in (headers or {}).items()}, body=raw, url=url)


def problem(code: str, status: int = 400, headers: Mapping[str, str] | None = None, **fields: object) -> Response:
    """A problem document."""
    return reply({"type": f"urn:ietf:params:acme:error:{code}", "status": status, **fields}, status, headers)


class FakeTransport:
    """Answers by URL. A list is played answer by answer (the last one repeats). Every answer carries a fresh nonce."""

    def __init__(self, answers: Mapping[str, Answer | list[Answer]] | None = None, *, nonces: bool = True) -> None:
        self.answers: dict[str, Answer | list[Answer]] = {DIRECTORY_URL: reply(DIRECTORY), f"{CA}/nonce": reply()}
        self.answers.update(answers or {})
        self.sent: list[Request] = []
        self._numbers = itertools.count(1)
        self._nonces = nonces
        self._lock = threading.Lock()

    def send(self, request: Request) -> Response:
        with self._lock:
            self.sent.append(request)
            answer = self.answers[request.url]
            if isinstance(answer, list):
                answer = answer.pop(0) if len(answer) > 1 else answer[0]
            number = next(self._numbers)
        response = answer if isinstance(answer, Response) else answer(request)
        headers = dict(response.headers)
        if self._nonces and request.method != "GET":
            headers.setdefault("replay-nonce", f"nonce{number}")
        return Response(status=response.status, headers=headers, body=response.body, url=request.url)

    def calls(self) -> list[str]:
        """What was asked, as ``POST /new-order``."""
        return [f"{r.method} {r.url.removeprefix(CA)}" for r in self.sent]

    def posts(self, path: str) -> list[Request]:
        """The POSTs to one path."""
        return [r for r in self.sent if r.method == "POST" and r.url == CA + path]


def decode(text: str) -> bytes:
    """Base64url without padding."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def protected_of(request: Request) -> dict[str, object]:
    """The protected header of a signed request."""
    assert request.body is not None
    header: dict[str, object] = json.loads(decode(json.loads(request.body)["protected"]))
    return header


def payload_of(request: Request) -> object:
    """The payload of a signed request; None for a POST-as-GET."""
    assert request.body is not None
    payload = json.loads(request.body)["payload"]
    return json.loads(decode(payload)) if payload else None


KEY = AccountKey.generate("ec256")


def make_client(
    transport: FakeTransport,
    *,
    clock: FakeClock | None = None,
    account_url: str | None = ACCOUNT_URL,
    policy: RetryPolicy | None = None,
    key: AccountKey | None = KEY,
) -> AcmeClient:
    """A client of the fake CA."""
    return AcmeClient(transport, DIRECTORY_URL, key, clock=clock or FakeClock(), account_url=account_url, policy=policy)
