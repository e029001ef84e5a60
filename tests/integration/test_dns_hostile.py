"""Whatever a name server sends, a question to it ends with a reply and not with a crash."""

from __future__ import annotations

import socket
import threading

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from acmectl.dns.question import Outcome, Reply, Server, ask

NAME = "_acme-challenge.a.example.test"


class UdpServer:
    """Sends what ``answer(question octets)`` gives: a list of datagrams."""

    def __init__(self):
        self.answer = lambda _question: []
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.server = Server(address="127.0.0.1", port=self._socket.getsockname()[1])

    def __enter__(self):
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(self, *_):
        self._socket.close()

    def _serve(self):
        while True:
            try:
                question, sender = self._socket.recvfrom(4096)
            except OSError:
                return
            for datagram in self.answer(question):
                self._socket.sendto(datagram, sender)


@pytest.fixture(scope="module")
def server():
    with UdpServer() as running:
        yield running


def response(question, *, rcode=dns.rcode.NOERROR, flags=dns.flags.AA, answer=(), authority=()):
    message = dns.message.make_response(dns.message.from_wire(question))
    message.set_rcode(rcode)
    message.flags |= flags
    message.answer = [dns.rrset.from_text(*one) for one in answer]
    message.authority = [dns.rrset.from_text(*one) for one in authority]
    return message.to_wire()


def saying(server, timeout=1.0, **parts):
    server.answer = lambda question: [response(question, **parts)]
    return ask(server.server, NAME, "TXT", timeout=timeout)


@settings(max_examples=300)
@given(tail=st.binary(max_size=200), honest_id=st.booleans())
@example(tail=b"", honest_id=True)
@example(tail=b"\x84\x00\x00\x01\x00\x01\x00\x00\x00\x00\xc0\x0c", honest_id=True)
def test_any_octets_end_in_a_reply(server, tail, honest_id):
    server.answer = lambda question: [(question[:2] if honest_id else b"") + tail]
    assert isinstance(ask(server.server, NAME, "TXT", timeout=0.2), Reply)


@settings(max_examples=500)
@given(data=st.data(), kind=st.sampled_from(["TXT", "NS", "SOA", "CNAME", "A", "AAAA"]))
def test_an_answer_with_some_octets_changed_ends_in_a_reply(server, data, kind):
    content = {
        "TXT": '"one" "two"',
        "NS": "ns.example.test.",
        "SOA": "ns.example.test. h.example.test. 1 2 3 4 5",
        "CNAME": "b.example.test.",
        "A": "192.0.2.1",
        "AAAA": "2001:db8::1",
    }[kind]
    changes = data.draw(st.lists(st.tuples(st.integers(2, 90), st.integers(0, 255)), min_size=1, max_size=4))

    def answer(question):
        wire = bytearray(response(question, answer=[(f"{NAME}.", 60, "IN", kind, content)]))
        for place, octet in changes:
            wire[place % len(wire)] = octet
        return [bytes(wire)]

    server.answer = answer
    reply = ask(server.server, NAME, kind, timeout=0.2)
    assert isinstance(reply, Reply)
    assert all(isinstance(value, str) for value in reply.values)


@pytest.mark.parametrize(
    ("parts", "outcome"),
    [
        ({"rcode": dns.rcode.SERVFAIL}, Outcome.BROKEN),
        ({"rcode": dns.rcode.REFUSED}, Outcome.REFUSED),
        ({"rcode": dns.rcode.NOTAUTH}, Outcome.REFUSED),
        ({"rcode": dns.rcode.FORMERR}, Outcome.BROKEN),
        ({"rcode": dns.rcode.NXDOMAIN}, Outcome.NO_NAME),
        ({}, Outcome.NO_DATA),
        ({"flags": 0}, Outcome.LAME),
        ({"flags": 0, "authority": [(".", 60, "IN", "NS", "a.root.")]}, Outcome.LAME),
        ({"flags": 0, "authority": [("test.", 60, "IN", "NS", "a.root.")]}, Outcome.REFERRAL),
        ({"flags": 0, "authority": [("elsewhere.", 60, "IN", "NS", "a.root.")]}, Outcome.LAME),
        ({"answer": [(f"{NAME}.", 60, "IN", "TXT", '"value"')]}, Outcome.FOUND),
        ({"answer": [(f"{NAME.upper()}.", 60, "IN", "TXT", '"value"')]}, Outcome.FOUND),
        ({"answer": [("other.example.test.", 60, "IN", "TXT", '"value"')]}, Outcome.NO_DATA),
        ({"answer": [(f"{NAME}.", 60, "IN", "CNAME", "b.test.")]}, Outcome.ALIAS),
        (
            {"answer": [(f"{NAME}.", 60, "IN", "CNAME", "b.test."), ("b.test.", 60, "IN", "TXT", '"value"')]},
            Outcome.ALIAS,
        ),
    ],
)
def test_an_answer_has_one_meaning(server, parts, outcome):
    assert saying(server, **parts).outcome is outcome


def test_a_value_in_several_strings_is_one_value(server):
    assert saying(server, answer=[(f"{NAME}.", 60, "IN", "TXT", '"one" "two"')]).values == ("onetwo",)


def test_a_value_that_is_no_text_is_no_crash(server):
    assert saying(server, answer=[(f"{NAME}.", 60, "IN", "TXT", '"\\255\\000"')]).values == ("\ufffd\x00",)


def test_an_answer_to_another_question_is_not_believed(server):
    def answer(_question):
        other = dns.message.make_query("other.test.", "TXT").to_wire()
        return [_question[:2] + response(other, answer=[(f"{NAME}.", 60, "IN", "TXT", '"value"')])[2:]]

    server.answer = answer
    assert ask(server.server, NAME, "TXT", timeout=0.5).outcome in (Outcome.BROKEN, Outcome.SILENT)


def test_a_cut_answer_is_asked_for_by_tcp_which_may_be_closed(server):
    assert saying(server, flags=dns.flags.AA | dns.flags.TC).outcome is Outcome.UNREACHABLE


def test_a_server_that_says_nothing_is_silent(server):
    server.answer = lambda _question: []
    reply = ask(server.server, NAME, "TXT", timeout=0.2)
    assert (reply.outcome, reply.detail) == (Outcome.SILENT, "within 0.2 seconds")
