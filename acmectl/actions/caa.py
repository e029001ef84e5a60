"""A look at the CAA records of the names, beside the order: it says what the CA would refuse, and decides nothing.

It is told before the CA is asked to validate, or when the order fails. It costs a run no more than ``PATIENCE``, and
that only where DNS is slow; what cannot be looked up is no reason to say anything.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from typing import TYPE_CHECKING

from acmectl.errors import AcmectlError
from acmectl.events import Notice
from acmectl.interrupts import LOOK_UP

if TYPE_CHECKING:
    from collections.abc import Sequence

    from acmectl.acme.client import AcmeClient
    from acmectl.actions.requests import CertificateRequest
    from acmectl.actions.services import Services
    from acmectl.dns.caa import CaaFinder, CaaSet
    from acmectl.identifiers import Identifier
    from acmectl.issuance.request import BeforeRespond
    from acmectl.plugin.api import ChallengeTask

PATIENCE = 1.5  # seconds, from the beginning, that an order waits at most
PATIENCE_FAILED = 3.0  # the same for one that has failed: there may be the reason
_WORKERS = 8
_LISTED = 3

logger = logging.getLogger(__name__)


class CaaLook:
    """Under way in threads that keep nothing from ending."""

    def __init__(
        self, services: Services, client: AcmeClient, identifiers: Sequence[Identifier], resolvers: Sequence[str]
    ) -> None:
        self._services = services
        self._client = client
        self._identifiers = tuple(identifiers)
        self._issuers = tuple(name.lower().rstrip(".") for name in client.directory().meta.caa_identities)
        self._found: dict[str, CaaSet] = {}
        self._told = False
        self._stop = threading.Event()
        self._began = time.monotonic()
        self._methods: dict[Identifier, str] = {}
        names: queue.SimpleQueue[str] = queue.SimpleQueue()
        for name in dict.fromkeys(one.base for one in identifiers):
            names.put(name)
        self._left = names.qsize()
        self._done = threading.Event()
        self._lock = threading.Lock()
        self._names = names
        threading.Thread(target=self._begin, args=(tuple(resolvers), min(_WORKERS, self._left)), daemon=True).start()

    def _begin(self, resolvers: Sequence[str], workers: int) -> None:
        try:
            # Here, so that not even reading the library keeps the order waiting.
            from acmectl.dns.caa import CaaFinder
            from acmectl.dns.resolver import Resolver, parse_server

            finder = CaaFinder(Resolver([parse_server(text) for text in resolvers]))
            for _ in range(workers - 1):
                threading.Thread(target=self._work, args=(finder,), daemon=True).start()
            self._work(finder)
        except Exception as error:  # noqa: BLE001 - advice must never be what a run fails of
            self._give_up(error)

    def _work(self, finder: CaaFinder) -> None:
        while not self._stop.is_set():
            try:
                name = self._names.get_nowait()
            except queue.Empty:
                return
            try:
                found = finder.relevant(name)
            except Exception as error:  # noqa: BLE001 - as above
                self._give_up(error)
                return
            with self._lock:
                if found is not None:
                    self._found[name] = found
                self._left -= 1
                if not self._left:
                    self._done.set()

    def _give_up(self, error: Exception) -> None:
        text = error.message if isinstance(error, AcmectlError) else f"{type(error).__name__}: {error}"
        logger.info("CAA records are not looked at: %s", text)
        self._stop.set()
        self._done.set()

    def tell(self, tasks: Sequence[ChallengeTask] = ()) -> None:
        """Say what would be refused, if that is known by now; ``tasks`` know how each name will be proved.

        Raises: Interrupted.
        """
        self._methods |= {task.identifier: str(task.type) for task in tasks}
        self._say(PATIENCE)

    def tell_of_failure(self) -> None:
        """The same after an order that has failed. Raises: Interrupted."""
        self._say(PATIENCE_FAILED)

    def _say(self, patience: float) -> None:
        if self._told or not self._known_within(patience):
            return
        self._told = True
        from acmectl.dns.caa import Issuance, why_refused

        found = dict(self._found)
        refused: dict[tuple[str, str], list[Identifier]] = {}
        for identifier in self._identifiers:
            if (records := found.get(identifier.base)) is None:
                continue
            reason = why_refused(
                records.records,
                Issuance(
                    identities=self._issuers,
                    wildcard=identifier.is_wildcard,
                    account_url=self._client.account_url,
                    method=self._methods.get(identifier),
                ),
            )
            if reason is not None:
                refused.setdefault((records.name, reason), []).append(identifier)
        for (where, reason), identifiers in refused.items():
            self._services.observe(Notice(text=self._line(where, reason, identifiers), level="warning"))

    def _line(self, where: str, reason: str, identifiers: Sequence[Identifier]) -> str:
        listed = ", ".join(str(one) for one in identifiers[:_LISTED])
        more = f" and {len(identifiers) - _LISTED} more" if len(identifiers) > _LISTED else ""
        ca = " or ".join(self._issuers)
        return f"The CA ({ca}) will refuse {listed}{more}: CAA at {where} forbids it, {reason}."

    def _known_within(self, patience: float) -> bool:
        while not self._done.is_set() and (left := self._began + patience - time.monotonic()) > 0:
            with self._services.interrupts.interruptible():
                self._done.wait(min(left, LOOK_UP))
        if not self._done.is_set():
            logger.info("CAA records are not looked at: DNS did not answer within %g seconds.", patience)
        return self._done.is_set()


def look_at_caa(
    services: Services, client: AcmeClient, identifiers: Sequence[Identifier], request: CertificateRequest
) -> CaaLook | None:
    """Begin to look; None where nothing is to be asked: the CA has no name in CAA records, or it was turned off."""
    names = [one for one in identifiers if not one.is_ip]
    if request.caa_resolvers is None or not names or not client.directory().meta.caa_identities:
        return None
    return CaaLook(services, client, names, request.caa_resolvers)


def told_before(caa: CaaLook | None, step: BeforeRespond | None) -> BeforeRespond | None:
    """``step``, and what ``caa`` has to say before it."""
    if caa is None:
        return step

    def tell(tasks: Sequence[ChallengeTask]) -> None:
        caa.tell(tasks)
        if step is not None:
            step(tasks)

    return tell
