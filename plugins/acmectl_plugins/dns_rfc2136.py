"""TXT records by dynamic updates (RFC 2136), signed with TSIG (RFC 8945): BIND, Knot, PowerDNS, NSD's primaries...

All records of one zone go into one message. The server itself is asked which zones it has, so that a primary that is
in no NS record works.
"""

from __future__ import annotations

import base64
import binascii
import socket
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from acmectl.plugin.api import Context, PluginError
from acmectl.plugin.dns import Credential, DnsProvider, RecordsFailed, TxtRecord
from acmectl_plugins.rfc2136_refusals import Refusal, of_code, of_error, without_signature

if TYPE_CHECKING:
    import dns.message
    import dns.rdata
    import dns.rrset
    import dns.tsig

ALGORITHMS = (
    *("HMAC-MD5", "HMAC-SHA1", "HMAC-SHA224", "HMAC-SHA256", "HMAC-SHA256-128"),
    *("HMAC-SHA384", "HMAC-SHA384-192", "HMAC-SHA512", "HMAC-SHA512-256"),
)
_MD5 = "hmac-md5.sig-alg.reg.int"
_TIMEOUT = 20.0  # seconds for a connection, and for an answer
_PORTION = 48_000  # octets of records in one message, which has at most 65535 with its signature
_SHOWN = 3
_YES = ("true", "yes", "on", "1")
_NO = ("", "false", "no", "off", "0")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Change:
    """A record to be put there or to be taken away."""

    record: TxtRecord
    adds: bool


class Rfc2136(DnsProvider):
    """Sends dynamic updates to a name server."""

    summary: ClassVar[str] = "Answer by TXT records at a name server that takes dynamic updates (RFC 2136)"
    credentials: ClassVar[tuple[Credential, ...]] = (
        Credential(
            name="server",
            help="address or host name of the server that takes updates",
            secret=False,
            example="192.0.2.1",
        ),
        Credential(name="port", help="its port (53)", required=False, secret=False, example="53"),
        Credential(name="name", help="name of the TSIG key", secret=False, example="acme-key"),
        Credential(name="secret", help="the key, base64", example="4q4wM/2I180UXoMyN4INVhJNi8V9BCV+jMw2mXgZw/c="),
        Credential(
            name="algorithm",
            help=f"the key's algorithm (HMAC-MD5): {', '.join(ALGORITHMS)}",
            required=False,
            secret=False,
            example="HMAC-SHA256",
        ),
        Credential(
            name="sign_query",
            help="sign questions too (false), for servers that answer none else",
            required=False,
            secret=False,
            example="false",
        ),
    )
    ttl: ClassVar[int] = 120
    propagation_seconds: ClassVar[int] = 60

    def __init__(self, options: Mapping[str, object], credentials: Mapping[str, str], context: Context) -> None:
        super().__init__(options, credentials, context)
        self._changes: list[_Change] = []
        self._not_there: set[tuple[str, str]] = set()
        self._silent: Refusal | None = None
        self._connection: socket.socket | None = None

    def check(self) -> None:
        """See that the port, the key and the switch can be used. Raises: PluginError."""
        _ = self._port, self._signs_queries, self._key

    def find_zone(self, name: str) -> str:
        """The zone of ``name`` on this server, asked with SOA and without recursion. Raises: PluginError."""
        import dns.flags
        import dns.message
        import dns.rcode

        said: list[str] = []
        candidate = name
        while candidate:
            question = dns.message.make_query(f"{candidate}.", "SOA")
            question.flags &= ~dns.flags.RD
            answer = self._asked(question)
            if answer.flags & dns.flags.AA:
                zone = self._zone_in(answer, candidate)
                if zone:
                    return zone
            said.append(dns.rcode.to_text(answer.rcode()))
            cut = next((_text(rrset) for rrset in answer.authority if _is(rrset, "NS")), "")
            if cut and _lies_in(name, cut) and not answer.answer:
                raise PluginError(
                    f"{self._where} is not the one for {name}: it says that {cut} is delegated to other servers.",
                    hint=f"Send updates to the primary server of {cut}.",
                )
            candidate = candidate.partition(".")[2]
        raise PluginError(
            f"{self._where} has no zone for {name}; it answers {', '.join(dict.fromkeys(said))}.",
            hint="Check dns_rfc2136_server; if it answers signed questions only, set dns_rfc2136_sign_query = true.",
        )

    def add(self, record: TxtRecord) -> None:
        """Collect it."""
        self._changes.append(_Change(record=record, adds=True))

    def remove(self, record: TxtRecord) -> None:
        """Collect it, unless the server has refused to take it."""
        if (record.name, record.value) not in self._not_there:
            self._changes.append(_Change(record=record, adds=False))

    def commit(self) -> None:
        """Send what was collected, zone by zone. Raises: RecordsFailed after all zones were tried."""
        changes, self._changes = self._changes, []
        zones: dict[str, list[_Change]] = {}
        for change in changes:
            zones.setdefault(change.record.zone, []).append(change)
        failed: dict[TxtRecord, PluginError] = {}
        try:
            for zone, wanted in zones.items():
                for portion in _portions(wanted):
                    failed.update(self._send(zone, portion))
        finally:
            self._hang_up()
        if failed:
            raise RecordsFailed(failed)

    def _send(self, zone: str, changes: Sequence[_Change]) -> dict[TxtRecord, PluginError]:
        """Send one update; what a policy forbids is sent again one by one, so that the allowed ones get through."""
        try:
            self._update(zone, changes)
        except Refusal as error:
            if error.policy and len(changes) > 1:
                return {record: why for one in changes for record, why in self._send(zone, [one]).items()}
            if error.unchanged:
                self._not_there.update((one.record.name, one.record.value) for one in changes if one.adds)
            return {change.record: error for change in changes}
        self._not_there.difference_update((one.record.name, one.record.value) for one in changes)
        return {}

    def _update(self, zone: str, changes: Sequence[_Change]) -> None:
        import dns.rcode
        import dns.update

        update = dns.update.UpdateMessage(f"{zone}.")
        for change in changes:
            name, data = f"{change.record.name}.", _data(change.record.value)
            if change.adds:
                update.add(name, change.record.ttl, data)
            else:
                update.delete(name, data)
        answer = self._exchange(update, signed=True)
        code = dns.rcode.to_text(answer.rcode())
        if code != "NOERROR":
            raise of_code(code, self._where, zone, _few([one.record.name for one in changes]), self._key_name)
        if not answer.had_tsig:
            raise without_signature(self._where)

    def _asked(self, question: dns.message.Message) -> dns.message.Message:
        if self._silent is not None:
            raise self._silent
        try:
            return self._exchange(question, signed=self._signs_queries)
        except Refusal as error:
            # Once is enough: every other name would have to wait for the same.
            self._silent = error
            raise

    def _zone_in(self, answer: dns.message.Message, name: str) -> str | None:
        for rrset in answer.answer:
            if _text(rrset) == name and _is(rrset, "CNAME"):
                raise PluginError(
                    f"{self._where} has an alias (CNAME) at {name}, which can have no other record.",
                    hint="Remove it, or name the place of the record with --dns-alias.",
                )
        zones = (_text(rrset) for rrset in (*answer.answer, *answer.authority) if _is(rrset, "SOA"))
        return next((zone for zone in zones if _lies_in(name, zone)), None)

    def _exchange(self, message: dns.message.Message, *, signed: bool) -> dns.message.Message:
        """Send over the connection that is there, or a new one. Raises: Refusal."""
        import dns.exception
        import dns.query
        import dns.tsig

        if signed:
            message.use_tsig(self._key)
        used = self._connection is not None
        try:
            with self.context.interrupts.interruptible():
                if self._connection is None:
                    self._connection = self._connected()
                return dns.query.tcp(message, "", timeout=_TIMEOUT, sock=self._connection)
        except BaseException as error:
            # A late answer must not be taken for that to the next question.
            self._hang_up()
            if used and isinstance(error, EOFError | ConnectionError):
                return self._exchange(message, signed=signed)
            if isinstance(error, dns.exception.Timeout):
                raise Refusal(
                    f"{self._where} does not answer within {_TIMEOUT:.0f} seconds.", unchanged=False
                ) from error
            if isinstance(error, dns.exception.DNSException | EOFError | ValueError):
                raise of_error(error, self._where, self._key_name, self._algorithm) from error
            if isinstance(error, OSError):
                raise Refusal(f"The connection to {self._where} broke: {_why(error)}.", unchanged=False) from error
            raise

    def _connected(self) -> socket.socket:
        host = self.credential("server").strip().removeprefix("[").removesuffix("]")
        try:
            places = socket.getaddrinfo(host, self._port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise Refusal(
                f"The name server {host} has no address: {_why(error)}.", hint="Check dns_rfc2136_server."
            ) from error
        problem: OSError | None = None
        for family, kind, protocol, _, address in places:
            connection = socket.socket(family, kind, protocol)
            try:
                connection.settimeout(_TIMEOUT)
                connection.connect(address)
                connection.setblocking(False)
                return connection
            except OSError as error:
                connection.close()
                problem = problem or error
            except BaseException:
                connection.close()
                raise
        what = _why(problem) if problem is not None else "no address"
        raise Refusal(
            f"{self._where} cannot be reached over TCP: {what}.",
            hint="Check dns_rfc2136_server and dns_rfc2136_port, and that no firewall is between.",
        ) from problem

    def _hang_up(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    @property
    def _port(self) -> int:
        text = self.secrets.get("port") or "53"
        if not text.isdecimal() or not 0 < int(text) < 65536:
            raise PluginError(f"dns_rfc2136_port is {text!r}, which is no port number.")
        return int(text)

    @property
    def _where(self) -> str:
        server = self.credential("server").strip()
        return f"The name server {server}" if self._port == 53 else f"The name server {server} port {self._port}"

    @property
    def _key_name(self) -> str:
        return self.credential("name").strip().rstrip(".")

    @property
    def _algorithm(self) -> str:
        text = (self.secrets.get("algorithm") or "HMAC-MD5").strip().upper().replace("_", "-").rstrip(".")
        name = "HMAC-MD5" if text == _MD5.upper() else text
        if name not in ALGORITHMS:
            raise PluginError(
                f"dns_rfc2136_algorithm is {text!r}, which is none that is known.",
                hint=f"Known are {', '.join(ALGORITHMS)}.",
            )
        return name

    @property
    def _key(self) -> dns.tsig.Key:
        import dns.exception
        import dns.tsig

        try:
            secret = base64.b64decode("".join(self.credential("secret").split()), validate=True)
        except (binascii.Error, ValueError):
            raise PluginError(
                "dns_rfc2136_secret is not base64.", hint='It is what stands in quotes after "secret" in the key file.'
            ) from None
        algorithm = _MD5 if self._algorithm == "HMAC-MD5" else self._algorithm.lower()
        try:
            return dns.tsig.Key(f"{self._key_name}.", secret, algorithm=f"{algorithm}.")
        except (dns.exception.DNSException, UnicodeError):
            raise PluginError(f"dns_rfc2136_name is {self._key_name!r}, which is no name of a key.") from None

    @property
    def _signs_queries(self) -> bool:
        text = (self.secrets.get("sign_query") or "").strip().lower()
        if text not in (*_YES, *_NO):
            raise PluginError(f"dns_rfc2136_sign_query is {text!r}: give true or false.")
        return text in _YES


def _portions(changes: Sequence[_Change]) -> Iterator[list[_Change]]:
    """Portions of which each fits into one message."""
    portion: list[_Change] = []
    size = 0
    for change in changes:
        # Uncompressed: the name, type, class, TTL and length, and the value with a length for each 255 octets.
        octets = len(change.record.name) + 12 + len(change.record.value.encode()) * 256 // 255 + 1
        if portion and size + octets > _PORTION:
            yield portion
            portion, size = [], 0
        portion.append(change)
        size += octets
    if portion:
        yield portion


def _data(value: str) -> dns.rdata.Rdata:
    import dns.rdataclass
    import dns.rdatatype
    import dns.rdtypes.ANY.TXT

    octets = value.encode()
    strings = [octets[start : start + 255] for start in range(0, len(octets), 255)] or [b""]
    return dns.rdtypes.ANY.TXT.TXT(dns.rdataclass.IN, dns.rdatatype.TXT, strings)


def _text(rrset: dns.rrset.RRset) -> str:
    return str(rrset.name).lower().rstrip(".")


def _is(rrset: dns.rrset.RRset, kind: str) -> bool:
    import dns.rdatatype

    return dns.rdatatype.to_text(rrset.rdtype) == kind


def _lies_in(name: str, zone: str) -> bool:
    return name == zone or (bool(zone) and name.endswith(f".{zone}"))


def _few(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_SHOWN])
    return f"{shown} and {len(names) - _SHOWN} more" if len(names) > _SHOWN else shown


def _why(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return f"no answer within {_TIMEOUT:.0f} seconds"
    return (error.strerror if isinstance(error, OSError) else None) or type(error).__name__
