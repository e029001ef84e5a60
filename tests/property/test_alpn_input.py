"""Whatever a client sends, standalone's TLS server goes on, and says nothing to whom it has nothing to say."""

import contextlib
import dataclasses
import itertools
import ssl

from hypothesis import given, settings
from hypothesis import strategies as st

from acmectl.pki.tls_alpn import build
from acmectl.plugin.testing import make_task
from acmectl_plugins.standalone_tls import AlpnServer

TASK = dataclasses.replace(
    make_task("a.example", "tls-alpn-01"), alpn_builder=lambda task: build(task.identifier, task.key_authorization)
)
SERVER = AlpnServer([])
SERVER.answer({"only": TASK})


class Client:
    """A TLS client without a socket."""

    def __init__(self, *protocols: str) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        if protocols:
            context.set_alpn_protocols(list(protocols))
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname="a.example")

    def step(self, received: bytes = b"") -> bytes:
        """What it sends after it was sent ``received``."""
        self._incoming.write(received)
        with contextlib.suppress(ssl.SSLWantReadError):
            self.tls.do_handshake()
        return self._outgoing.read()


HELLO, HELLO_WITHOUT = Client("acme-tls/1").step(), Client().step()


@given(st.integers(0, len(HELLO) - 1), st.binary(min_size=1, max_size=40), st.booleans())
@settings(max_examples=300)
def test_a_damaged_hello_ends_in_an_alert_or_in_a_handshake(place, change, protocol):
    hello = HELLO if protocol else HELLO_WITHOUT
    damaged = hello[:place] + change + hello[place + len(change) :]
    talk = SERVER.talk()
    talk.receive(damaged)
    assert talk.outgoing[:1] in (b"", b"\x15", b"\x16")


@given(st.binary(min_size=1, max_size=200))
def test_what_is_no_tls_is_no_reason_to_fall(data):
    talk = SERVER.talk()
    talk.receive(data)
    assert talk.outgoing[:1] in (b"", b"\x15")


@given(st.sets(st.integers(1, len(HELLO) - 1), max_size=5), st.binary(max_size=50))
def test_a_hello_in_pieces_is_one_hello_and_what_comes_after_the_handshake_is_ignored(cuts, after):
    client, talk = Client("acme-tls/1"), SERVER.talk()
    hello = client.step()
    for start, end in itertools.pairwise([0, *sorted(cuts), len(hello)]):
        talk.receive(hello[start:end])
    finished = client.step(bytes(talk.outgoing))
    assert client.tls.selected_alpn_protocol() == "acme-tls/1"
    talk.receive(finished + after)
    assert talk.closing
    assert "a.example" in SERVER.asked


@given(st.sets(st.integers(1, len(HELLO_WITHOUT) - 1), max_size=5))
def test_without_the_protocol_nothing_is_said_however_it_is_asked(cuts):
    talk = SERVER.talk()
    hello = Client().step()
    for start, end in itertools.pairwise([0, *sorted(cuts), len(hello)]):
        talk.receive(hello[start:end])
    assert talk.closing
    assert talk.outgoing == b""
