"""One question to one name server, and what its answer means (RFC 1034 section 4.3.2, RFC 2308).

Names are absolute, lower-case and without the trailing dot everywhere in this room. What a server says is untrusted:
it is read by dnspython, and only names and texts leave here.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    import dns.message
    import dns.rrset

TIMEOUT = 5.0  # seconds for one question, both ways
_PAYLOAD = 1232  # octets; what passes every network unfragmented


class Outcome(StrEnum):
    """What an answer comes down to."""

    FOUND = "found"
    ALIAS = "alias"
    NO_DATA = "no such record"
    NO_NAME = "no such name"
    REFERRAL = "referral"
    REFUSED = "refused"
    LAME = "not responsible for the zone"
    BROKEN = "server failure"
    SILENT = "no answer"
    UNREACHABLE = "cannot be reached"

    @property
    def is_usable(self) -> bool:
        """True when the server has answered for the zone."""
        return self in _USABLE


_USABLE = (Outcome.FOUND, Outcome.ALIAS, Outcome.NO_DATA, Outcome.NO_NAME)


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """An address to ask at; ``host`` is the server's name, for messages."""

    address: str
    port: int = 53
    host: str = ""

    def __str__(self) -> str:
        where = self.address if self.port == 53 else f"{self.address} port {self.port}"
        return f"{self.host} ({where})" if self.host else where


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """``values`` of the record type that was asked for; ``alias`` where the name points elsewhere.

    ``zone`` is the zone cut of a referral, or the zone whose SOA came with the answer. ``detail`` says more about an
    outcome that is no answer. ``ttl`` is how long others may remember the values, in seconds.
    """

    outcome: Outcome
    values: tuple[str, ...] = ()
    alias: str | None = None
    zone: str | None = None
    detail: str = ""
    ttl: int | None = None

    def describe(self) -> str:
        """The outcome for a message."""
        return f"{self.outcome} ({self.detail})" if self.detail else str(self.outcome)


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What one name server says: ``values`` in presentation format, untrusted; or why it says nothing (``problem``)."""

    server: str
    values: tuple[str, ...] = ()
    problem: str | None = None


def said(server: Server, reply: Reply) -> Said:
    """``reply`` as it is told."""
    if reply.outcome in (Outcome.FOUND, Outcome.NO_DATA, Outcome.NO_NAME):
        return Said(server=str(server), values=reply.values)
    return Said(server=str(server), problem=reply.describe())


Ask = Callable[[Server, str, str], Reply] if TYPE_CHECKING else object
"""``ask(server, name, record type)``, without recursion."""


def ask(server: Server, name: str, kind: str, *, recursive: bool = False, timeout: float = TIMEOUT) -> Reply:
    """Ask ``server`` for records of type ``kind`` (``TXT``, ``SOA``...). ``timeout`` in seconds.

    Everything that goes wrong is in the reply.
    """
    import dns.exception
    import dns.flags
    import dns.message
    import dns.query

    try:
        question = dns.message.make_query(f"{name}.", kind, use_edns=0, payload=_PAYLOAD)
    except dns.exception.DNSException:
        return Reply(outcome=Outcome.BROKEN, detail="the name cannot be asked for")
    if not recursive:
        question.flags &= ~dns.flags.RD
    try:
        answer, _ = dns.query.udp_with_fallback(
            question, server.address, timeout=timeout, port=server.port, ignore_unexpected=True
        )
    except dns.exception.Timeout:
        return Reply(outcome=Outcome.SILENT, detail=f"within {timeout:g} seconds")
    except OSError as error:
        return Reply(outcome=Outcome.UNREACHABLE, detail=error.strerror or type(error).__name__)
    except (dns.exception.DNSException, ValueError, EOFError) as error:
        return Reply(outcome=Outcome.BROKEN, detail=f"what it sent is no answer: {type(error).__name__}")
    return _meaning(answer, name, kind, recursive=recursive)


def _meaning(answer: dns.message.Message, name: str, kind: str, *, recursive: bool) -> Reply:
    import dns.flags
    import dns.rcode

    code = answer.rcode()
    if code in (dns.rcode.REFUSED, dns.rcode.NOTAUTH):
        return Reply(outcome=Outcome.REFUSED, detail=dns.rcode.to_text(code))
    if code not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
        return Reply(outcome=Outcome.BROKEN, detail=dns.rcode.to_text(code))
    values, alias, ttl = _answers(answer, name, kind)
    if values:
        return Reply(outcome=Outcome.FOUND, values=values, ttl=ttl)
    if alias is not None:
        return Reply(outcome=Outcome.ALIAS, alias=alias)
    apex = next((_text(rrset.name) for rrset in answer.authority if _kind(rrset) == "SOA"), None)
    if code == dns.rcode.NXDOMAIN:
        return Reply(outcome=Outcome.NO_NAME, zone=apex)
    cut = next((_text(rrset.name) for rrset in answer.authority if _kind(rrset) == "NS"), None)
    authoritative = bool(answer.flags & dns.flags.AA)
    if cut is not None and apex is None and not authoritative:
        below = cut and (name == cut or name.endswith(f".{cut}"))
        # A server that sends one up the tree, to the root for instance, does not know the zone.
        return Reply(outcome=Outcome.REFERRAL if below else Outcome.LAME, zone=cut)
    if not (authoritative or recursive):
        return Reply(outcome=Outcome.LAME)
    return Reply(outcome=Outcome.NO_DATA, zone=apex)


def _answers(answer: dns.message.Message, name: str, kind: str) -> tuple[tuple[str, ...], str | None, int]:
    """Values at ``name`` itself, and where it points if it is an alias: never what lies behind the alias; the TTL."""
    for rrset in answer.answer:
        if _text(rrset.name) != name:
            continue
        if _kind(rrset) == kind:
            return tuple(_value(rdata, kind) for rdata in rrset), None, rrset.ttl
        if _kind(rrset) == "CNAME":
            return (), _text(rrset[0].target), rrset.ttl
    return (), None, 0


def _value(rdata: object, kind: str) -> str:
    if kind == "TXT":
        return b"".join(rdata.strings).decode("utf-8", "replace")  # type: ignore[attr-defined]
    if kind in ("CNAME", "NS"):
        return _text(rdata.target)  # type: ignore[attr-defined]
    if kind == "SOA":
        return _text(rdata.mname)  # type: ignore[attr-defined]
    # In CAA the case of an account's URL counts.
    return str(rdata) if kind == "CAA" else str(rdata).lower()


def _kind(rrset: dns.rrset.RRset) -> str:
    import dns.rdatatype

    return dns.rdatatype.to_text(rrset.rdtype)


def _text(name: object) -> str:
    return str(name).lower().rstrip(".")
