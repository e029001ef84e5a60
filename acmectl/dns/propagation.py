"""Waiting by looking: every authoritative server is asked until it has the value. The result is advice."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from acmectl.dns.question import Outcome, Reply, Server, ask
from acmectl.workers import first_error, run_each

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from acmectl.clock import Clock
    from acmectl.interrupts import Interrupts

_WORKERS = 16
_PAUSES = (0.2, 0.5, 1.0, 2.0)  # seconds between two rounds, then the last one again and again
_DEAD_AFTER = 2  # rounds without any answer, as long as another server of the zone does answer
_TIMEOUT = 3.0
# What does not change while one waits: a server without the zone gets it in a day, if ever.
_GONE = (Outcome.SILENT, Outcome.UNREACHABLE, Outcome.REFUSED, Outcome.LAME)


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """A TXT value that every one of ``servers`` is to have at ``name``, a name of ``zone``."""

    name: str
    value: str
    zone: str
    servers: tuple[Server, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lacking:
    """A server that did not show the value in time, and what it said last."""

    expected: Expected
    server: Server
    reply: Reply


@dataclass(frozen=True, slots=True, kw_only=True)
class Propagation:
    """How the wait ended: nothing lacking means that every server has every value.

    ``dead`` servers did not answer for their zone while others did; ``blocked`` zones had no server that answers. A
    server that this machine has no route to is in neither. ``seconds`` is how long it took.
    """

    lacking: tuple[Lacking, ...] = ()
    dead: tuple[Server, ...] = ()
    blocked: tuple[str, ...] = ()
    seconds: float = 0.0


@dataclass(slots=True)
class _Watch:
    """What is known about one server of one zone."""

    server: Server
    open: dict[str, set[str]] = field(default_factory=dict)
    last: dict[str, Reply] = field(default_factory=dict)
    silent_rounds: int = 0
    answered: bool = False


def wait_until_visible(
    expected: Iterable[Expected],
    *,
    clock: Clock,
    interrupts: Interrupts,
    timeout: float,
    progress: Callable[[str, float], None] = lambda _what, _seconds: None,
) -> Propagation:
    """Ask until every server has every value, or ``timeout`` seconds are over.

    ``progress`` is told what is waited for and the seconds so far. Raises: Interrupted.
    """
    todo = tuple(expected)
    watches = _watches(todo)
    started = clock.monotonic()
    rounds = 0
    while True:
        waiting = [watch for watch in watches.values() if watch.open]
        first_error(run_each(_look, waiting, workers=_WORKERS, interrupts=interrupts))
        dead, blocked = _silent(watches)
        waiting = [watch for key, watch in watches.items() if watch.open and key not in dead]
        passed = clock.monotonic() - started
        if not [watch for key, watch in watches.items() if watch.open and key not in dead and key[0] not in blocked]:
            break
        if passed >= timeout:
            break
        progress(_waiting_for(waiting), passed)
        clock.sleep(min(_PAUSES[min(rounds, len(_PAUSES) - 1)], max(0.0, timeout - passed)))
        rounds += 1
    return Propagation(
        lacking=_lacking(todo, watches, dead),
        dead=tuple(watches[key].server for key in sorted(dead) if not _has_no_route(watches[key])),
        blocked=tuple(sorted(blocked)),
        seconds=clock.monotonic() - started,
    )


def _watches(expected: Sequence[Expected]) -> dict[tuple[str, str], _Watch]:
    watches: dict[tuple[str, str], _Watch] = {}
    for one in expected:
        for server in one.servers:
            watch = watches.setdefault((one.zone, f"{server.address} {server.port}"), _Watch(server))
            watch.open.setdefault(one.name, set()).add(one.value)
    return watches


def _look(watch: _Watch) -> None:
    """Ask one server for what it has not shown yet, up to the first name that it lacks.

    The records of a zone mostly come together, and servers that limit rates would drop a hundred questions each round.
    """
    silent = True
    for name in list(watch.open):
        reply = ask(watch.server, name, "TXT", timeout=_TIMEOUT)
        watch.last[name] = reply
        if reply.outcome in _GONE:
            break
        silent = False
        watch.answered = True
        watch.open[name] -= set(reply.values)
        if watch.open[name]:
            break
        del watch.open[name]
    watch.silent_rounds = watch.silent_rounds + 1 if silent else 0


def _silent(watches: dict[tuple[str, str], _Watch]) -> tuple[set[tuple[str, str]], set[str]]:
    """Servers that can be taken for dead, and zones none of whose servers answers."""
    dead: set[tuple[str, str]] = set()
    blocked: set[str] = set()
    for zone in {key[0] for key in watches}:
        members = [key for key in watches if key[0] == zone]
        quiet = {key for key in members if watches[key].open and watches[key].silent_rounds >= _DEAD_AFTER}
        # A machine without IPv6 cannot reach IPv6 addresses, however long it tries.
        quiet |= {key for key in members if watches[key].open and _has_no_route(watches[key])}
        if any(watches[key].answered for key in members):
            dead |= quiet
        elif len(quiet) == len(members):
            blocked.add(zone)
    return dead, blocked


def _has_no_route(watch: _Watch) -> bool:
    return any(
        reply.outcome is Outcome.UNREACHABLE and "unreachable" in reply.detail.lower() for reply in watch.last.values()
    )


def _lacking(
    expected: Sequence[Expected], watches: dict[tuple[str, str], _Watch], dead: set[tuple[str, str]]
) -> tuple[Lacking, ...]:
    found = []
    for one in expected:
        for server in one.servers:
            key = (one.zone, f"{server.address} {server.port}")
            if key not in dead and one.value in watches[key].open.get(one.name, ()):
                # A name that was not asked for yet stands behind one that was, and is taken to be like it.
                last = watches[key].last
                reply = last.get(one.name) or next(reversed(last.values()), Reply(outcome=Outcome.SILENT))
                found.append(Lacking(expected=one, server=server, reply=reply))
    return tuple(found)


def _waiting_for(watches: Sequence[_Watch]) -> str:
    names = {name for watch in watches for name in watch.open}
    servers = ", ".join(sorted({watch.server.host or watch.server.address for watch in watches})[:3])
    some = next(iter(sorted(names)), "")
    return f"{servers} to show {some}" + (f" and {len(names) - 1} more" if len(names) > 1 else "")
