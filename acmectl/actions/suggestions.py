"""Asks the CAs when they want certificates renewed (RFC 9773), many at once, and keeps the answers."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from acmectl.actions.ari import AriState, certbot_stamp, from_certbot_stamp
from acmectl.errors import AcmectlError, ConfigError, RateLimited, ServerProblem, TransportError
from acmectl.storage.notes import Note
from acmectl.workers import run_each

if TYPE_CHECKING:
    from acmectl.acme.client import AcmeClient
    from acmectl.actions.scan import Snapshot
    from acmectl.actions.services import Services

KEY = "ari"
"""The key in the section ``[acmectl]``."""

KEY_OF_SECOND = "ari_second"
"""The key for what is about a second certificate."""

_PATIENCE = 5.0  # seconds that a busy CA gets; the answer can wait for the next run
_SERVER_ERROR = 500


def remembered(snapshot: Snapshot) -> AriState | None:
    """What was kept of the certificate's renewal information; None when ARI cannot name it."""
    if snapshot.cert_id is None:
        return None
    return AriState.from_json(snapshot.own.get(_key_of(snapshot)), snapshot.cert_id)


def _key_of(snapshot: Snapshot) -> str:
    return KEY_OF_SECOND if snapshot.suffix else KEY


def ask(services: Services, snapshots: Sequence[Snapshot], *, workers: int, keep: bool) -> dict[str, AriState]:
    """Renewal information of ``snapshots`` by lineage name: asked now where it is time to, else as remembered.

    With ``keep`` the answers are written to the renewal files. Failures are noted and never raised.
    """
    now = services.clock.now()
    states: dict[str, AriState] = {}
    to_ask: list[tuple[Snapshot, AriState]] = []
    for snapshot in snapshots:
        state = remembered(snapshot)
        if state is None or snapshot.server is None:
            continue
        states[snapshot.name] = state
        if _may_ask(snapshot, state, now):
            to_ask.append((snapshot, state))
    asker = _Asker(services, now, keep=keep)
    try:
        answers = run_each(asker.ask_one, to_ask, workers=workers, interrupts=services.interrupts, finish=10.0)
    finally:
        # All at once: waiting for the disk after each answer would take longer than asking. A run that was told to
        # stop keeps what it has heard.
        if asker.notes:
            services.lineages.write_notes(asker.notes)
    for (snapshot, _before), answer in zip(to_ask, answers, strict=True):
        if isinstance(answer, BaseException):
            raise answer
        if answer is not None:
            states[snapshot.name] = answer
    for server, reason in asker.troubles.items():
        from acmectl.events import Notice

        text = f"Renewal information could not be had from {server}: {reason}"
        services.observe(Notice(text=text, level="warning"))
    return states


def _may_ask(snapshot: Snapshot, state: AriState, now: datetime) -> bool:
    if state.ask_at is not None:
        return state.shall_ask(now)
    stamp = from_certbot_stamp(snapshot.ari_stamp) if not snapshot.suffix else None
    # certbot's note outlives the certificate that it is about; one that lies before this certificate is none of its.
    return stamp is None or stamp <= now or snapshot.not_before > now


def _note(snapshot: Snapshot, state: AriState) -> Note:
    # certbot knows of the first certificate alone.
    stamp = certbot_stamp(state.ask_at) if state.ask_at is not None and not snapshot.suffix else None
    return Note(name=snapshot.name, own={_key_of(snapshot): state.to_json()}, ari_retry_after=stamp)


class _Asker:
    """Asks one question at a time, from several threads; a CA that offers nothing or is down is asked once."""

    def __init__(self, services: Services, now: datetime, *, keep: bool) -> None:
        """``keep``: collect what changed in ``notes``, for the renewal files."""
        self._services = services
        self._now = now
        self._keep = keep
        self._clients: dict[str, AcmeClient] = {}
        self._silent: set[str] = set()
        self.troubles: dict[str, str] = {}
        self.notes: list[Note] = []

    def ask_one(self, question: tuple[Snapshot, AriState]) -> AriState | None:
        """The state after asking, or None when there was nobody to ask."""
        snapshot, before = question
        state = self._asked(snapshot, before)
        if state is not None and self._keep and state != before:
            self.notes.append(_note(snapshot, state))
        return state

    def _asked(self, snapshot: Snapshot, state: AriState) -> AriState | None:
        server = snapshot.server or ""
        if server in self._silent:
            return None
        try:
            client = self._clients.get(server)
            if client is None:
                client = self._clients[server] = self._services.network.client(server)
            if client.directory().renewal_info is None:
                self._silent.add(server)
                return None
            info = client.renewal_info(state.cert_id, deadline=_PATIENCE)
        except TransportError as error:
            self._silent.add(server)
            self.troubles[server] = error.message
            return state.unanswered(self._now, temporary=True)
        except RateLimited as error:
            self.troubles[server] = error.message
            later = state.unanswered(self._now, temporary=True)
            if error.retry_at is not None and (later.ask_at is None or error.retry_at > later.ask_at):
                later = replace(later, ask_at=error.retry_at)
            return later
        except ServerProblem as error:
            self.troubles.setdefault(server, f"{snapshot.name}: {error.message}")
            return state.unanswered(self._now, temporary=error.status >= _SERVER_ERROR)
        except ConfigError as error:
            self._silent.add(server)
            self.troubles[server] = error.message
            return None
        except AcmectlError as error:
            self.troubles.setdefault(server, f"{snapshot.name}: {error.message}")
            return state.unanswered(self._now, temporary=False)
        return state.answered(info, self._now, random.random)


def as_json(state: AriState | None) -> Mapping[str, object] | None:
    """For --json."""
    return None if state is None or state.instant is None else state.to_json()
