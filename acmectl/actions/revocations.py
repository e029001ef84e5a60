"""Which certificates are known to be revoked: by our own record, else by the CRL or OCSP responder that they name."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from acmectl.errors import AcmectlError
from acmectl.storage.lineage import REVOKED, REVOKED_SECOND
from acmectl.storage.revocation_cache import KnownState, LastWord, RevocationCache

if TYPE_CHECKING:
    from datetime import datetime

    from acmectl.actions.scan import Snapshot
    from acmectl.actions.services import Services
    from acmectl.pki.revocation import Statement

logger = logging.getLogger(__name__)

LIMIT = 5.0
"""Seconds that asking takes at most, in all."""

_CRL_BYTES = 16 << 20
_OCSP_BYTES = 1 << 16
_THREADS = 8
_SOURCES = 4  # URLs per certificate that are tried
_CRL_HOLDS = timedelta(days=1)
_SILENCE = timedelta(hours=1)
_OCSP_HEADERS = {"Content-Type": "application/ocsp-request", "Accept": "application/ocsp-response"}


def known_revocations(snapshots: Sequence[Snapshot]) -> dict[str, str]:
    """How it is known from our own record that a certificate was revoked, by lineage name."""
    found: dict[str, str] = {}
    for snapshot in snapshots:
        when = snapshot.own.get(REVOKED_SECOND if snapshot.suffix else REVOKED)
        if isinstance(when, str):
            found[snapshot.name] = f"by acmectl on {when[:10]}"
    return found


def ask_revocations(services: Services, snapshots: Sequence[Snapshot], *, limit: float = LIMIT) -> dict[str, str]:
    """As ``known_revocations``, from what the CAs say: remembered, or asked now within ``limit`` seconds in all.

    Nobody is asked about certificates that name no URL. What fails is logged and leaves the state unknown.
    Raises: Interrupted.
    """
    open_ones = [one for one in snapshots if one.crl_urls or one.ocsp_urls]
    if not open_ones:
        return {}
    now = services.clock.now()
    cache = RevocationCache(services.layout, now=now)
    asker = _Asker(services, cache, now, deadline=time.monotonic() + limit)
    found: dict[str, str] = {}
    for number in range(-1, _SOURCES):
        if number >= 0:
            asker.ask(_questions(cache, open_ones, number))
        unknown = []
        for one in open_ones:
            state = _remembered(cache, one)
            if state is None:
                unknown.append(one)
            elif state.revoked is not None:
                found[one.name] = f"the CA says so, on {state.revoked:%Y-%m-%d %H:%M} UTC"
        open_ones = unknown
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class _Source:
    url: str
    is_crl: bool


@dataclass(slots=True, kw_only=True)
class _Question:
    """One request: a CRL for all ``about`` of one issuer, or OCSP about one."""

    source: _Source
    about: list[Snapshot] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Nothing:
    """Why nothing was learnt. ``silence``: the URL is left alone for a while."""

    why: str
    silence: bool = False


def _sources(snapshot: Snapshot) -> list[_Source]:
    # A list comes first: one is enough for many certificates.
    lists = [_Source(url=url, is_crl=True) for url in snapshot.crl_urls]
    return lists + [_Source(url=url, is_crl=False) for url in snapshot.ocsp_urls]


def _issuer_of(snapshot: Snapshot) -> str:
    """A short name of the issuer; the lineage's own where the certificate does not say."""
    return snapshot.cert_id.partition(".")[0] if snapshot.cert_id is not None else f"={snapshot.name}"


def _key(snapshot: Snapshot) -> str:
    return f"{_issuer_of(snapshot)}.{snapshot.serial:x}"


def _remembered(cache: RevocationCache, snapshot: Snapshot) -> LastWord | None:
    key = _key(snapshot)
    for url in (*snapshot.crl_urls, *snapshot.ocsp_urls)[:_SOURCES]:
        state = cache.get(url, key)
        if state is not None:
            return state
    return None


def _questions(cache: RevocationCache, snapshots: Sequence[Snapshot], number: int) -> list[_Question]:
    """What to ask the ``number``-th source of each certificate."""
    questions: dict[tuple[str, str], _Question] = {}
    for snapshot in snapshots:
        sources = _sources(snapshot)
        if number >= len(sources) or cache.is_silent(sources[number].url):
            continue
        source = sources[number]
        same = (source.url, _issuer_of(snapshot) if source.is_crl else snapshot.name + snapshot.suffix)
        questions.setdefault(same, _Question(source=source)).about.append(snapshot)
    return list(questions.values())


class _Asker:
    """Asks many questions at once in threads that nobody waits for beyond the deadline."""

    def __init__(self, services: Services, cache: RevocationCache, now: datetime, *, deadline: float) -> None:
        self._services = services
        self._cache = cache
        self._now = now
        self._deadline = deadline

    def ask(self, questions: Sequence[_Question]) -> None:
        """Put the answers into the cache. Raises: Interrupted."""
        todo: queue.SimpleQueue[_Question] = queue.SimpleQueue()
        done: queue.SimpleQueue[tuple[_Question, Statement | _Nothing]] = queue.SimpleQueue()
        for question in questions:
            todo.put(question)
        begun: list[_Question] = []

        def work() -> None:
            while time.monotonic() < self._deadline:
                try:
                    question = todo.get_nowait()
                except queue.Empty:
                    return
                begun.append(question)
                done.put((question, self._answer(question)))

        for _ in range(min(_THREADS, len(questions))):
            threading.Thread(target=work, daemon=True).start()
        missing = {id(question): question for question in questions}
        while missing and (left := self._deadline - time.monotonic()) > 0:
            try:
                with self._services.interrupts.interruptible():
                    question, answer = done.get(timeout=left)
            except queue.Empty:
                break
            del missing[id(question)]
            self._keep(question, answer)
        for question in begun:
            if id(question) in missing:
                self._keep(question, _Nothing(why="no answer in time", silence=True))

    def _keep(self, question: _Question, answer: Statement | _Nothing) -> None:
        url = question.source.url
        if isinstance(answer, _Nothing):
            what = "CRL" if question.source.is_crl else "OCSP responder"
            logger.info("The %s %s says nothing usable about %s: %s", what, url, question.about[0].name, answer.why)
            if answer.silence:
                self._cache.put_silent(url, self._now + _SILENCE)
            return
        until = min(answer.until, self._now + _CRL_HOLDS) if question.source.is_crl else answer.until
        self._cache.put(
            url,
            {_key(one): KnownState(revoked=answer.revoked.get(one.serial), until=until) for one in question.about},
        )

    def _answer(self, question: _Question) -> Statement | _Nothing:
        from acmectl.actions.download import DownloadError, download
        from acmectl.pki import revocation

        source, first = question.source, question.about[0]
        try:
            lineage = self._services.lineages.get(first.name)
            cert_pem = lineage.read(f"cert{first.suffix}")
            issuer = revocation.issuer_among(cert_pem, lineage.read(f"chain{first.suffix}"))
            if source.is_crl:
                data = download(source.url, deadline=self._deadline, limit=_CRL_BYTES)
                serials = [one.serial for one in question.about]
                return revocation.read_crl(data, issuer, serials, url=source.url, now=self._now)
            data = download(
                source.url,
                deadline=self._deadline,
                limit=_OCSP_BYTES,
                body=revocation.ocsp_request(cert_pem, issuer),
                headers=_OCSP_HEADERS,
            )
            return revocation.read_ocsp(data, cert_pem, issuer, now=self._now)
        except DownloadError as error:
            return _Nothing(why=str(error), silence=True)
        except revocation.NotUsableError as error:
            # A responder that cannot speak of one certificate may well of the next; a useless list stays so.
            return _Nothing(why=str(error), silence=source.is_crl)
        except AcmectlError as error:
            return _Nothing(why=error.message)
        except Exception as error:  # noqa: BLE001 - advice from outside must never end a run
            return _Nothing(why=f"unexpected {type(error).__name__}")
