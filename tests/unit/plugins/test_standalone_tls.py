import contextlib
import dataclasses
import hashlib
import socket
import ssl

import pytest

from acmectl.errors import PluginError
from acmectl.identifiers import Identifier
from acmectl.pki.tls_alpn import build
from acmectl.plugin.testing import make_context, make_task
from acmectl_plugins.standalone import Standalone

IPV6 = f"1.{'0.' * 23}8.b.d.0.1.0.0.2.ip6.arpa"


def task(name, seed=""):
    made = make_task(name, "tls-alpn-01", seed=seed)
    return dataclasses.replace(made, alpn_builder=lambda one: build(one.identifier, one.key_authorization))


A, B, HTTP = task("a.example"), task("b.example"), make_task("a.example", "http-01")
V4, V6 = task("192.0.2.1"), task("2001:db8::1")


@contextlib.contextmanager
def running(*tasks):
    plugin = Standalone({"http01_port": 0, "tls_alpn_01_port": 0}, make_context())
    plugin.present(tasks)
    try:
        yield plugin
    finally:
        plugin.clean_up(tasks)


def port_of(plugin, which=-1):
    return int(plugin.bound[which].rpartition(":")[2])


def shown(plugin, name, *, alpn=("acme-tls/1",), host="127.0.0.1", version=None):
    """The certificate (DER) that is shown, and all that is said after the handshake."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if version is not None:
        context.minimum_version = context.maximum_version = version
    if alpn:
        context.set_alpn_protocols(list(alpn))
    with (
        socket.create_connection((host, port_of(plugin)), timeout=20) as bare,
        context.wrap_socket(bare, server_hostname=name) as client,
    ):
        assert client.selected_alpn_protocol() == "acme-tls/1"
        certificate, more = client.getpeercert(binary_form=True), client.recv(100)
        assert client.unwrap().recv(1) == b""  # the server has hung up, not the client
        return certificate, more


def digest(one):
    return hashlib.sha256(one.key_authorization.encode()).digest()


def test_each_name_is_shown_its_own_certificate_and_then_nothing_more():
    with running(A, B, V4, V6) as plugin:
        for one, name in ((A, "a.example"), (B, "B.Example"), (V4, "1.2.0.192.in-addr.arpa"), (V6, IPV6)):
            certificate, more = shown(plugin, name)
            assert digest(one) in certificate
            assert more == b""


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_both_versions_of_tls_are_spoken(version):
    with running(A) as plugin:
        assert digest(A) in shown(plugin, "a.example", version=version)[0]


def test_it_answers_on_ipv6_too():
    with running(A) as plugin:
        if len(plugin.bound) == 2:
            assert digest(A) in shown(plugin, "a.example", host="::1")[0]


def test_other_protocols_are_refused_by_an_alert_that_says_so():
    with running(A) as plugin, pytest.raises(ssl.SSLError, match=r"(?i)no.application.protocol"):
        shown(plugin, "a.example", alpn=("h2", "http/1.1"))


def test_the_protocol_is_found_among_others():
    with running(A) as plugin:
        assert digest(A) in shown(plugin, "a.example", alpn=("h2", "acme-tls/1"))[0]


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_client_without_the_protocol_sees_not_one_byte(version):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.minimum_version = context.maximum_version = version
    received, sent = ssl.MemoryBIO(), ssl.MemoryBIO()
    hello = context.wrap_bio(received, sent, server_hostname="a.example")
    with pytest.raises(ssl.SSLWantReadError):
        hello.do_handshake()
    with running(A) as plugin, socket.create_connection(("127.0.0.1", port_of(plugin)), timeout=20) as client:
        client.sendall(sent.read())
        assert client.recv(100) == b""


@pytest.mark.parametrize("name", ["c.example", None, "192.0.2.1.example"])
def test_names_that_are_not_asked_for_have_no_certificate(name):
    with running(A) as plugin, pytest.raises(ssl.SSLError, match=r"(?i)handshake.failure"):
        shown(plugin, name)


def test_http_is_not_answered_with_http():
    with running(A) as plugin, socket.create_connection(("127.0.0.1", port_of(plugin)), timeout=20) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n")
        assert b"HTTP/1.1" not in client.recv(100)


def test_a_second_answer_for_a_name_replaces_the_first():
    later = task("a.example", seed="later")
    with running(A) as plugin:
        plugin.present([later])
        plugin.clean_up([A])
        assert digest(later) in shown(plugin, "a.example")[0]
        plugin.clean_up([later])
        assert plugin.bound == ()


def test_both_challenges_are_answered_at_once_and_end_one_by_one():
    with running(A, HTTP) as plugin:
        both = plugin.bound
        plugin.clean_up([HTTP])
        assert plugin.bound == both[len(both) // 2 :]
        assert digest(A) in shown(plugin, "a.example")[0]


def test_the_hint_tells_whether_a_client_asked():
    with running(A, V4) as plugin:
        assert "No request for 192.0.2.1 arrived" in plugin.failure_hint(V4)
        shown(plugin, "1.2.0.192.in-addr.arpa")
        assert "was fetched from here" in plugin.failure_hint(V4)
        assert "passed on to port" in plugin.failure_hint(A)
        assert "port 443" in plugin.failure_hint(A)


@pytest.mark.parametrize(("preferred", "flag"), [(("tls-alpn-01",), "--tls-alpn-01"), ((), "--http-01")])
def test_the_port_that_is_looked_at_is_that_of_the_preferred_challenge(preferred, flag):
    context = dataclasses.replace(make_context(), preferred_challenges=preferred)
    addresses = {"http01_address": "192.0.2.77", "tls_alpn_01_address": "192.0.2.77"}
    with pytest.raises(PluginError) as caught:
        Standalone(addresses, context).check([Identifier.dns("a.example")])
    assert f"{flag}-address" in str(caught.value.hint)
