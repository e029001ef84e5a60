"""A DNS server for one zone that looks each TXT answer up elsewhere when it is asked, as those of DNS services do.

It is the zone's only authoritative server and at the same time the resolver of whoever lives beside it.
"""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Callable, Sequence
from typing import Self

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset

_TTL = 0


class AnsweringDns:
    """Answers at ``address``, UDP and TCP port 53, for ``zone``. ``values`` gives the TXT values under a name.

    A value is as zone files write it, and the name has no dot at the end. ``asked`` has the names of TXT questions.
    """

    def __init__(self, address: str, zone: str, values: Callable[[str], Sequence[str]]) -> None:
        self._address, self._zone, self._values = address, dns.name.from_text(zone), values
        self._host = dns.name.from_text("ns", self._zone)
        self.asked: list[str] = []

    def __enter__(self) -> Self:
        world = self

        class OverUdp(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                packet, sock = self.request
                sock.sendto(world._answer(packet), self.client_address)

        class OverTcp(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                while length := self.rfile.read(2):
                    answer = world._answer(self.rfile.read(int.from_bytes(length, "big")))
                    self.wfile.write(len(answer).to_bytes(2, "big") + answer)

        self._servers: list[socketserver.BaseServer] = [
            socketserver.ThreadingUDPServer((self._address, 53), OverUdp),
            socketserver.ThreadingTCPServer((self._address, 53), OverTcp),
        ]
        self._threads = [
            threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True) for server in self._servers
        ]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        for server in self._servers:
            server.shutdown()
            server.server_close()
        for thread in self._threads:
            thread.join()

    def _answer(self, packet: bytes) -> bytes:
        question = dns.message.from_wire(packet)
        answer = dns.message.make_response(question, recursion_available=True)
        answer.flags |= dns.flags.AA
        asked = question.question[0]
        if not asked.name.is_subdomain(self._zone):
            answer.set_rcode(dns.rcode.REFUSED)
            return answer.to_wire()
        found = self._look_up(asked.name, asked.rdtype)
        if found:
            answer.answer.append(dns.rrset.from_text_list(asked.name, _TTL, "IN", asked.rdtype, found))
        else:
            soa = f"{self._host} h.{self._zone} 1 60 60 600 0"
            answer.authority.append(dns.rrset.from_text(self._zone, _TTL, "IN", "SOA", soa))
        return answer.to_wire()

    def _look_up(self, name: dns.name.Name, kind: dns.rdatatype.RdataType) -> Sequence[str]:
        if kind == dns.rdatatype.TXT:
            self.asked.append(name.to_text(omit_final_dot=True).lower())
            return self._values(self.asked[-1])
        if kind == dns.rdatatype.NS and name == self._zone:
            return [self._host.to_text()]
        if kind == dns.rdatatype.SOA and name == self._zone:
            return [f"{self._host} h.{self._zone} 1 60 60 600 0"]
        return [self._address] if kind == dns.rdatatype.A else []
