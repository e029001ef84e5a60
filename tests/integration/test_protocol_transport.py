"""The transport against servers that misbehave: bounded in time and size, and never anything but https."""

import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest

from acmectl.acme.client import AcmeClient
from acmectl.acme.transport import HttpsTransport, Request, choose_trust
from acmectl.clock import SystemClock
from acmectl.errors import ConfigError, Interrupted, ProtocolViolation, TransportError
from acmectl.interrupts import Interrupts
from tests.integration.servers.hostile import (
    HostileServer,
    PlainListener,
    answer,
    dribble,
    hang_up,
    raw,
    silence,
)
from tests.integration.servers.process import free_port
from tests.integration.servers.tunnel import Tunnel


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch):
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)


def transport_for(verify, **options):
    interrupts = options.pop("interrupts", None) or Interrupts()
    if not isinstance(verify, bool):
        verify = str(verify)
    return HttpsTransport(
        verify=verify,
        user_agent="acmectl-test/1",
        clock=SystemClock(interrupts),
        interrupts=interrupts,
        timeout=options.pop("timeout", (2.0, 0.5)),
        **options,
    )


def get(transport, url):
    return transport.send(Request(method="GET", url=url))


def post(transport, url, *, idempotent=False):
    return transport.send(Request(method="POST", url=url, body=b"{}", idempotent=idempotent))


def test_an_answer_is_given_whatever_its_status_and_content_type():
    with HostileServer({"/x": answer({"a": 1}, 418, {"Replay-Nonce": "n", "Link": '<a>;rel="x"'})}) as server:
        response = get(transport_for(server.ca_bundle), server.url + "/x")
    assert (response.status, response.body, response.header("REPLAY-NONCE")) == (418, b'{"a": 1}', "n")
    assert response.links("x") == ["a"]


def test_repeated_link_headers_are_all_seen():
    reply = raw(b'HTTP/1.1 200 OK\r\nContent-Length: 0\r\nLink: <a>;rel="x"\r\nLink: <b>;rel="x"\r\n\r\n')
    with HostileServer({"/x": reply}) as server:
        assert get(transport_for(server.ca_bundle), server.url + "/x").links("x") == ["a", "b"]


def test_one_connection_serves_many_requests():
    with HostileServer({"/x": answer({})}) as server:
        transport = transport_for(server.ca_bundle)
        for _ in range(10):
            get(transport, server.url + "/x")
        assert (len(server.requests), server.connections) == (10, 1)


def test_requests_say_who_we_are_and_send_no_netrc_and_no_cookie(tmp_path, monkeypatch):
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login CANARY password CANARY\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    with HostileServer({"/x": answer({}, headers={"Set-Cookie": "session=1"})}) as server:
        transport = transport_for(server.ca_bundle)
        get(transport, server.url + "/x")
        get(transport, server.url + "/x")
    assert all(headers["user-agent"] == "acmectl-test/1" for headers in server.headers)
    assert not any("authorization" in headers or "cookie" in headers for headers in server.headers)


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/x", "ftp://127.0.0.1/x", "https://u:p@127.0.0.1/x"])
def test_nothing_but_https_is_ever_asked(url):
    with pytest.raises(ProtocolViolation, match="https"):
        get(transport_for(False), url)


def test_verification_is_on_and_says_what_to_do():
    with HostileServer({"/x": answer({})}) as server, pytest.raises(TransportError) as caught:
        get(transport_for(True), server.url + "/x")
    assert "not trusted" in str(caught.value)
    assert "--ca-bundle" in (caught.value.hint or "")
    assert server.requests == []


def test_requests_own_environment_variables_do_not_override_the_bundle(monkeypatch, tmp_path):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "missing.pem"))
    with HostileServer({"/x": answer({})}) as server:
        assert get(transport_for(server.ca_bundle), server.url + "/x").status == 200


def test_without_verification_it_is_still_tls_and_nothing_is_printed(capfd, recwarn):
    with HostileServer({"/x": answer({})}) as server:
        assert get(transport_for(False), server.url + "/x").status == 200
    assert capfd.readouterr().err == ""
    assert [str(warning.message) for warning in recwarn] == []


def test_a_refused_connection_is_tried_three_times(caplog):
    caplog.set_level(logging.DEBUG, logger="acmectl.acme.transport")
    port = free_port()
    start = time.monotonic()
    with pytest.raises(TransportError, match="connection refused"):
        post(transport_for(False), f"https://127.0.0.1:{port}/x")
    assert sum("trying again" in record.message for record in caplog.records) == 2
    assert time.monotonic() - start < 10


def test_a_server_that_comes_up_meanwhile_is_reached():
    port = free_port()
    transport = transport_for(False)
    threading.Timer(0.4, lambda: servers.append(_serve_on(port))).start()
    servers: list[HostileServer] = []
    try:
        assert post(transport, f"https://127.0.0.1:{port}/x").status == 404
    finally:
        for server in servers:
            server.__exit__()


def _serve_on(port: int) -> HostileServer:
    original = socket.create_server
    try:
        socket.create_server = lambda address: original((address[0], port))  # type: ignore[assignment]
        return HostileServer().__enter__()
    finally:
        socket.create_server = original


def test_a_name_that_does_not_exist_is_told_as_such():
    with pytest.raises(TransportError, match="cannot be resolved"):
        get(transport_for(False), "https://no-such-name.invalid/dir")


def test_a_server_that_speaks_no_tls_is_told_and_tried_three_times():
    with PlainListener(b"HTTP/1.1 400 Bad Request\r\n\r\n") as server:
        with pytest.raises(TransportError, match=r"TLS failed|closed|reset"):
            get(transport_for(False), server.url + "/x")
        assert server.connections == 3


def test_a_server_that_was_out_of_reach_is_not_tried_again_for_every_lineage():
    transport = transport_for(False)
    url = f"https://127.0.0.1:{free_port()}/x"
    messages = []
    start = time.monotonic()
    for _ in range(50):
        with pytest.raises(TransportError) as caught:
            get(transport, url)
        messages.append(str(caught.value))
    assert len(set(messages)) == 1
    assert time.monotonic() - start < 10


def test_a_server_that_never_answers_costs_one_timeout_for_the_run():
    with HostileServer({"/x": silence, "/y": answer({})}) as server:
        transport = transport_for(server.ca_bundle)
        for path in ("/x", "/x", "/y"):
            with pytest.raises(TransportError, match="did not answer"):
                post(transport, server.url + path, idempotent=True)
        assert server.requests == ["POST /x"]


def test_a_server_that_accepts_and_never_speaks_tls_costs_one_timeout_too():
    with PlainListener() as server:
        transport = transport_for(False, timeout=(0.5, 0.5))
        for _ in range(5):
            with pytest.raises(TransportError, match="did not answer"):
                get(transport, server.url + "/x")
        assert server.connections == 1


def test_one_slow_request_among_answered_ones_does_not_condemn_the_server():
    with HostileServer({"/slow": silence, "/x": answer({})}) as server:
        transport = transport_for(server.ca_bundle)
        outcome: list[BaseException] = []

        def slow() -> None:
            try:
                post(transport, server.url + "/slow")
            except TransportError as error:
                outcome.append(error)

        thread = threading.Thread(target=slow)
        thread.start()
        while thread.is_alive():
            get(transport, server.url + "/x")
        thread.join()
        assert len(outcome) == 1
        assert get(transport, server.url + "/x").status == 200


def test_a_host_that_swallows_connections_is_told_and_not_tried_for_ever():
    with socket.socket() as listener, socket.socket() as first, socket.socket() as second:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for client in (first, second):
            # These fill the queue: later connections get no answer at all.
            client.setblocking(False)
            client.connect_ex(listener.getsockname())
        transport = transport_for(False, timeout=(0.4, 0.4))
        with pytest.raises(TransportError, match=r"cannot be reached: it did not answer in time"):
            get(transport, f"https://127.0.0.1:{listener.getsockname()[1]}/x")


def test_another_server_is_still_asked_after_one_fell_silent():
    with HostileServer({"/x": silence}) as one, HostileServer({"/x": answer({})}) as two:
        transport = transport_for(False)
        with pytest.raises(TransportError):
            get(transport, one.url + "/x")
        assert get(transport, two.url + "/x").status == 200


@pytest.mark.parametrize(
    "action",
    [
        dribble(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n"),
        dribble(b"HTTP/1.1 200 OK\r\nX: "),
        dribble(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
    ],
    ids=["body", "header", "chunks"],
)
def test_a_server_that_dribbles_does_not_hold_us_for_ever(action):
    with HostileServer({"/x": action}) as server, pytest.raises(TransportError, match="did not answer"):
        get(transport_for(server.ca_bundle, timeout=(0.2, 0.4)), server.url + "/x")


@pytest.mark.parametrize(
    "action",
    [
        answer(b"x" * 2000),
        dribble(b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 500, 0),
        dribble(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"5\r\nabcde\r\n", 0),
    ],
    ids=["declared", "endless", "chunked"],
)
def test_a_body_beyond_the_cap_is_refused_while_it_arrives(action):
    with HostileServer({"/x": action}) as server, pytest.raises(ProtocolViolation, match="more than 1000 octets"):
        get(transport_for(server.ca_bundle, max_body=1000, timeout=(2, 5)), server.url + "/x")


def test_a_compressed_body_counts_by_its_full_size():
    import gzip

    bomb = gzip.compress(b"x" * 1_000_000)
    packed = answer(bomb, headers={"Content-Encoding": "gzip"})
    with HostileServer({"/x": packed}) as server, pytest.raises(ProtocolViolation, match="more than"):
        get(transport_for(server.ca_bundle, max_body=10_000), server.url + "/x")
    assert server.headers[0]["accept-encoding"] == "identity"


def test_a_truncated_body_is_no_answer():
    cut = raw(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
    with HostileServer({"/x": cut}) as server:
        with pytest.raises(TransportError, match="lost"):
            post(transport_for(server.ca_bundle), server.url + "/x")
        assert server.requests == ["POST /x"]


@pytest.mark.parametrize(
    "data",
    [b"", b"\x00\x01\x02\r\n\r\n", b"HTTP/9.9 abc\r\n\r\n", b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 300],
    ids=["nothing", "octets", "version", "headers"],
)
def test_an_answer_that_is_no_http_is_one_clear_error(data):
    with HostileServer({"/x": raw(data)}) as server, pytest.raises(TransportError, match="lost"):
        post(transport_for(server.ca_bundle), server.url + "/x")


def test_an_idempotent_request_is_sent_again_when_the_connection_breaks():
    with HostileServer({"/x": [hang_up, answer({})]}) as server:
        assert post(transport_for(server.ca_bundle), server.url + "/x", idempotent=True).status == 200
        assert server.requests == ["POST /x"] * 2


def test_a_request_that_may_have_been_carried_out_is_not_sent_again():
    with HostileServer({"/x": [hang_up, answer({})]}) as server:
        with pytest.raises(TransportError, match="lost"):
            post(transport_for(server.ca_bundle), server.url + "/x", idempotent=False)
        assert server.requests == ["POST /x"]


def test_a_redirect_on_the_same_host_is_followed_for_get():
    routes = {"/a": answer(b"", 307, {"Location": "/b"}), "/b": answer({"ok": 1})}
    with HostileServer(routes) as server:
        response = get(transport_for(server.ca_bundle), server.url + "/a")
        assert (response.status, response.url) == (200, server.url + "/b")


@pytest.mark.parametrize(
    "target",
    ["https://127.0.0.1:1/b", "https://evil.example/b", "http://127.0.0.1/b", "//evil.example/b", "", "file:///x"],
)
def test_a_redirect_elsewhere_is_refused(target):
    with HostileServer({"/a": answer(b"", 302, {"Location": target})}) as server:
        with pytest.raises(ProtocolViolation, match="redirect"):
            get(transport_for(server.ca_bundle), server.url + "/a")
        assert server.requests == ["GET /a"]


def test_a_redirect_to_plain_http_on_the_same_port_is_refused():
    with HostileServer() as server:
        server.routes["/a"] = answer(b"", 301, {"Location": server.url.replace("https", "http") + "/b"})
        with pytest.raises(ProtocolViolation, match="redirect"):
            get(transport_for(server.ca_bundle), server.url + "/a")


def test_a_redirect_of_a_post_is_refused():
    with HostileServer({"/a": answer(b"", 308, {"Location": "/b"}), "/b": answer({})}) as server:
        with pytest.raises(ProtocolViolation, match="redirect"):
            post(transport_for(server.ca_bundle), server.url + "/a")
        assert server.requests == ["POST /a"]


def test_redirects_in_circles_end():
    with HostileServer({"/a": answer(b"", 302, {"Location": "/a"})}) as server:
        with pytest.raises(ProtocolViolation, match="circles"):
            get(transport_for(server.ca_bundle), server.url + "/a")
        assert len(server.requests) == 6


def test_a_proxy_from_the_environment_is_used_and_no_proxy_honoured(monkeypatch):
    with PlainListener(b"HTTP/1.1 403 Forbidden\r\n\r\n") as proxy, HostileServer({"/x": answer({})}) as server:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
        with pytest.raises(TransportError):
            get(transport_for(server.ca_bundle), server.url + "/x")
        assert (proxy.connections, server.requests) == (3, [])
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        assert get(transport_for(server.ca_bundle), server.url + "/x").status == 200
        assert proxy.connections == 3


@pytest.mark.parametrize("scheme", ["http://", ""])
def test_a_proxy_gets_its_password_and_a_tunnel_that_carries_many_requests(monkeypatch, scheme):
    with Tunnel() as proxy, HostileServer({"/x": answer({})}) as server:
        monkeypatch.setenv("https_proxy", f"{scheme}user:p%40ss@127.0.0.1:{proxy.port}")
        transport = transport_for(server.ca_bundle)
        assert [get(transport, server.url + "/x").status for _ in range(3)] == [200, 200, 200]
        (head,) = proxy.heads
        assert head.startswith(f"CONNECT 127.0.0.1:{server.port} ")
        assert "Proxy-Authorization: Basic dXNlcjpwQHNz\r\n" in head
        assert not any("proxy-authorization" in headers for headers in server.headers)


@pytest.mark.parametrize(
    ("variable", "proxy", "words"),
    [("HTTPS_PROXY", "socks5://127.0.0.1:1", "SOCKS"), ("all_proxy", "http://", "names no host")],
)
def test_a_proxy_that_cannot_be_used_is_one_clear_error(monkeypatch, variable, proxy, words):
    monkeypatch.setenv(variable, proxy)
    with pytest.raises(ConfigError, match=words):
        get(transport_for(True), "https://acme.test/dir")


def test_without_a_proxy_a_library_less_is_loaded():
    script = "import sys; from acmectl.acme import proxies, transport; proxies.proxy_for('https://a.test')"
    script += "; print(*sys.modules)"
    environ = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
    loaded = subprocess.run([sys.executable, "-c", script], env=environ, capture_output=True, text=True, check=True)
    assert "urllib3" in loaded.stdout.split()
    assert "requests" not in loaded.stdout.split()


def test_a_signal_ends_a_request_at_once():
    interrupts = Interrupts()
    previous = signal.getsignal(signal.SIGTERM)
    signal.signal(signal.SIGTERM, interrupts._handle)
    try:
        with HostileServer({"/x": silence}) as server:
            transport = transport_for(server.ca_bundle, interrupts=interrupts, timeout=(5, 60))
            threading.Timer(0.3, lambda: os.kill(os.getpid(), signal.SIGTERM)).start()
            start = time.monotonic()
            with pytest.raises(Interrupted):
                get(transport, server.url + "/x")
            assert time.monotonic() - start < 30
            with pytest.raises(Interrupted):
                get(transport, server.url + "/x")
            with interrupts.shielded():
                server.routes["/y"] = answer({})
                assert get(transport, server.url + "/y").status == 200
    finally:
        signal.signal(signal.SIGTERM, previous)


def test_after_a_signal_no_thread_sends_anything_more():
    interrupts = Interrupts()
    interrupts.request(signal.SIGTERM)
    outcome: list[BaseException] = []

    def work() -> None:
        try:
            get(transport_for(server.ca_bundle, interrupts=interrupts), server.url + "/x")
        except Interrupted as error:
            outcome.append(error)

    with HostileServer({"/x": answer({})}) as server:
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        assert (len(outcome), server.requests) == (1, [])


def test_the_log_names_method_url_and_status_and_no_secret(caplog):
    caplog.set_level(logging.DEBUG, logger="acmectl.acme.transport")
    with HostileServer({"/x?token=CANARY": answer({})}) as server:
        get(transport_for(server.ca_bundle), server.url + "/x?token=CANARY")
    assert "GET https://127.0.0.1" in caplog.text
    assert "-> 200" in caplog.text
    assert "CANARY" not in caplog.text


def test_a_web_page_in_place_of_a_directory_is_one_clear_error():
    with HostileServer({"/dir": answer(b"<html>hello</html>")}) as server:
        transport = transport_for(server.ca_bundle)
        client = AcmeClient(transport, server.url + "/dir", clock=SystemClock(Interrupts()))
        with pytest.raises(ProtocolViolation, match="directory is not JSON") as caught:
            client.directory()
    assert "web page" in (caught.value.hint or "")


def test_a_bundle_with_a_broken_certificate_is_one_clear_error(tmp_path):
    bundle = tmp_path / "ca.pem"
    bundle.write_text("-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n")
    with HostileServer() as server, pytest.raises(ConfigError, match=r"ca\.pem"):
        get(transport_for(choose_trust(str(bundle), {})), server.url + "/x")
