import contextlib
import logging
import os
import re
import socket
import subprocess
import sys
import threading

import pytest

from acmectl.errors import PluginError
from acmectl.identifiers import Identifier
from acmectl.plugin.testing import make_context, make_task
from acmectl_plugins import standalone_loop, standalone_sockets
from acmectl_plugins.port_holder import holder_of
from acmectl_plugins.standalone import Standalone

TASK = make_task("a.example", "http-01")


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as one:
        return one.getsockname()[1]


@contextlib.contextmanager
def running(tasks=(TASK,), **options):
    one = Standalone({"http01_port": 0, **options}, make_context())
    one.present(tasks)
    try:
        yield one
    finally:
        one.clean_up(tasks)


def port_of(plugin):
    return int(plugin.bound[0].rpartition(":")[2])


def connect(plugin, host="127.0.0.1"):
    return socket.create_connection((host, port_of(plugin)), timeout=20)


def read_answer(stream):
    """Status, fields and body of one answer."""
    status = int(stream.readline().split()[1])
    fields = {}
    while (line := stream.readline().strip()) != b"":
        name, _, value = line.decode().partition(": ")
        fields[name.lower()] = value
    return status, fields, stream.read(int(fields["content-length"]))


def ask(plugin, request, host="127.0.0.1"):
    with connect(plugin, host) as client, client.makefile("rb") as stream:
        client.sendall(request)
        return read_answer(stream)


def get(path, extra=""):
    return f"GET {path} HTTP/1.1\r\nHost: a.example\r\n{extra}\r\n".encode()


def has_ipv6():
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


def test_the_answer_is_served_exactly():
    with running() as plugin:
        status, fields, body = ask(plugin, get(TASK.http_path))
    assert (status, body) == (200, TASK.http_body)
    assert fields["content-type"] == "application/octet-stream"
    assert re.fullmatch(r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT", fields["date"])


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/.well-known/acme-challenge/",
        "/.well-known/acme-challenge/unknown",
        TASK.http_path + "x",
        TASK.http_path + "/",
        "/../../../../etc/passwd",
        "/.well-known/acme-challenge/../../../../etc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/\xff\x00",
    ],
)
def test_any_other_path_is_a_404_with_a_body(path):
    with running() as plugin:
        status, _, body = ask(plugin, f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode("latin-1"))
    assert status == 404
    assert body == b"There is no such challenge here.\n"


def test_head_has_the_length_and_no_body():
    with running() as plugin, connect(plugin) as client, client.makefile("rb") as stream:
        client.sendall(b"HEAD " + get(TASK.http_path)[4:].replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        answer = stream.read()
    assert answer.endswith(b"\r\n\r\n")
    assert f"Content-Length: {len(TASK.http_body)}\r\n".encode() in answer


def test_a_connection_carries_several_requests():
    with running() as plugin, connect(plugin) as client, client.makefile("rb") as stream:
        for _ in range(3):
            client.sendall(get(TASK.http_path))
            assert read_answer(stream)[2] == TASK.http_body
        client.sendall(get("/none"))
        assert read_answer(stream)[0] == 404
        client.sendall(get(TASK.http_path, "Connection: close\r\n"))
        assert read_answer(stream)[1]["connection"] == "close"
        assert stream.read() == b""


def test_requests_sent_at_once_are_answered_in_order():
    with running() as plugin, connect(plugin) as client, client.makefile("rb") as stream:
        client.sendall(get("/none") + get(TASK.http_path) + get("/none"))
        assert [read_answer(stream)[0] for _ in range(3)] == [404, 200, 404]


def test_a_request_that_comes_byte_by_byte_is_answered():
    with running() as plugin, connect(plugin) as client, client.makefile("rb") as stream:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in get(TASK.http_path):
            client.sendall(bytes([byte]))
        assert read_answer(stream)[2] == TASK.http_body


def test_the_older_protocol_closes_after_the_answer():
    with running() as plugin, connect(plugin) as client, client.makefile("rb") as stream:
        client.sendall(f"GET {TASK.http_path} HTTP/1.0\r\n\r\n".encode())
        assert stream.read().endswith(TASK.http_body)


def test_a_full_url_and_a_query_find_the_same_answer():
    with running() as plugin:
        assert ask(plugin, get(f"http://a.example{TASK.http_path}"))[0] == 200
        assert ask(plugin, get(f"{TASK.http_path}?x=1"))[0] == 200


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc", 405),
        (b"DELETE / HTTP/1.1\r\n\r\n", 405),
        (b"nonsense\r\n\r\n", 400),
        (b"GET /\r\n\r\n", 400),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
        (b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nX: " + b"a" * 9000, 431),
        (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n\r\n", 431),
    ],
)
def test_what_is_not_understood_is_refused_and_the_connection_closed(request_bytes, status):
    with running() as plugin, connect(plugin) as client, client.makefile("rb") as stream:
        client.sendall(request_bytes)
        assert read_answer(stream)[0] == status
        assert stream.read() == b""
        assert ask(plugin, get(TASK.http_path))[0] == 200


def test_a_hundred_clients_are_served_while_slow_ones_hold_their_connections():
    with running() as plugin, contextlib.ExitStack() as stack:
        slow = []
        for _ in range(standalone_loop.MAX_CONNECTIONS + 50):
            slow.append(stack.enter_context(connect(plugin)))
            with contextlib.suppress(OSError):
                slow[-1].sendall(b"GET /.well-known/acme")
        outcomes = []

        def client():
            outcomes.append(ask(plugin, get(TASK.http_path))[2])

        clients = [threading.Thread(target=client) for _ in range(100)]
        for one in clients:
            one.start()
        for one in clients:
            one.join()
        assert outcomes == [TASK.http_body] * 100
        with contextlib.suppress(ConnectionResetError):  # the oldest had to make room, long before its time was up
            assert slow[0].recv(1) == b""


def test_a_client_that_says_nothing_is_dropped_after_its_time(monkeypatch):
    monkeypatch.setattr(standalone_loop, "TIME_LIMIT", 0.1)
    with running() as plugin, connect(plugin) as client:
        assert client.recv(1) == b""


def dribble(client):
    while True:
        client.sendall(b"a")
        with contextlib.suppress(TimeoutError):
            if client.recv(1) == b"":
                raise ConnectionError


def test_a_client_that_never_finishes_its_request_is_dropped_too(monkeypatch):
    monkeypatch.setattr(standalone_loop, "TIME_LIMIT", 0.3)
    with running() as plugin, connect(plugin) as client:
        client.settimeout(0.02)
        with pytest.raises(ConnectionError):
            dribble(client)


def test_a_client_that_never_reads_is_dropped(monkeypatch):
    monkeypatch.setattr(standalone_loop, "TIME_LIMIT", 0.3)
    with running() as plugin, connect(plugin) as client:
        with pytest.raises(ConnectionError):
            client.sendall(get("/none") * 1_000_000)
        assert ask(plugin, get(TASK.http_path))[0] == 200


def test_all_families_are_served_and_told(caplog):
    caplog.set_level(logging.INFO)
    with running() as plugin:
        port = port_of(plugin)
        families = {"[::]": "::1", "0.0.0.0": "127.0.0.1"} if has_ipv6() else {"0.0.0.0": "127.0.0.1"}
        bound = tuple(f"{every}:{port}" for every in families)
        assert plugin.bound == bound
        for host in families.values():
            assert ask(plugin, get(TASK.http_path), host)[2] == TASK.http_body
    assert f"answering on {' and '.join(bound)}" in caplog.text


def test_without_ipv6_the_other_family_is_served(monkeypatch):
    real = standalone_sockets._bound

    def no_ipv6(family, address, port):
        if family == socket.AF_INET6:
            raise OSError(97, "Address family not supported by protocol")
        return real(family, address, port)

    monkeypatch.setattr(standalone_sockets, "_bound", no_ipv6)
    with running() as plugin:
        assert len(plugin.bound) == 1
        assert "no AAAA record" in plugin.failure_hint(TASK)
        assert ask(plugin, get(TASK.http_path))[0] == 200


def test_where_any_port_will_do_one_that_is_free_for_both_families_is_found(monkeypatch):
    real, numbers = standalone_sockets._bound, []

    def first_number_is_taken(family, address, port):
        numbers.append(port)
        if len(numbers) == 2:
            raise OSError(98, "Address already in use")
        return real(family, address, port)

    monkeypatch.setattr(standalone_sockets, "_bound", first_number_is_taken)
    with running() as plugin:
        assert numbers[0] == numbers[2] == 0
        assert ask(plugin, get(TASK.http_path))[0] == 200


def test_an_address_limits_where_it_listens():
    with running(http01_address="127.0.0.2") as plugin:
        assert plugin.bound[0].startswith("127.0.0.2:")
        assert ask(plugin, get(TASK.http_path), "127.0.0.2")[0] == 200
        with pytest.raises(ConnectionRefusedError):
            connect(plugin)


@pytest.mark.parametrize("address", ["192.0.2.77", "not an address", "no-such-host.invalid"])
def test_an_address_that_is_not_here_is_refused(address):
    with pytest.raises(PluginError) as caught:
        Standalone({"http01_port": 0, "http01_address": address}, make_context()).check([TASK.identifier])
    assert address in caught.value.message
    assert "--http-01-address" in caught.value.hint


def test_the_port_is_free_again_after_the_last_clean_up():
    other = make_task("b.example", "http-01")
    port = free_port()
    one = Standalone({"http01_port": str(port), "http01_address": "127.0.0.1"}, make_context())
    one.present([TASK])
    one.present([other])
    with connect(one) as client, client.makefile("rb") as stream:
        client.sendall(get(TASK.http_path))
        assert read_answer(stream)[0] == 200
        one.clean_up([TASK])
        assert ask(one, get(TASK.http_path))[0] == 404
        assert ask(one, get(other.http_path))[0] == 200
        one.clean_up([other])
        assert stream.read() == b""
    with socket.create_server(("127.0.0.1", port)):
        pass


def test_it_can_listen_again_at_once_on_the_same_port():
    port = free_port()
    for _ in range(20):
        with running(http01_port=port, http01_address="127.0.0.1") as plugin:
            assert ask(plugin, get(TASK.http_path, "Connection: close\r\n"))[0] == 200


def test_a_port_in_use_names_the_process_that_holds_it():
    script = (
        "import socket, sys; s = socket.create_server(('127.0.0.1', 0)); "
        "print(s.getsockname()[1], flush=True); sys.stdin.read()"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        port = int(holder.stdout.readline())
        one = Standalone({"http01_port": port, "http01_address": "127.0.0.1"}, make_context())
        for step in (lambda: one.check([TASK.identifier]), lambda: one.present([TASK])):
            with pytest.raises(PluginError) as caught:
                step()
            assert re.search(rf"in use by python\S* \(pid {holder.pid}\)\.$", caught.value.message)
            assert "--webroot" in caught.value.hint
        one.clean_up([TASK])
        holder.stdin.close()


def test_one_family_in_use_is_enough_to_refuse():
    port = free_port()
    with socket.create_server(("0.0.0.0", port)), pytest.raises(PluginError, match=f"pid {os.getpid()}"):
        Standalone({"http01_port": port}, make_context()).check([TASK.identifier])


def test_a_holder_that_the_system_does_not_tell_is_another_process(tmp_path):
    assert holder_of(free_port()) is None
    (tmp_path / "net").mkdir()
    line = "   0: 00000000:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 12345 1\n"
    (tmp_path / "net" / "tcp").write_text("header\n" + line)
    (tmp_path / "7").mkdir()
    assert holder_of(80, tmp_path) is None
    (tmp_path / "7" / "fd").mkdir()
    (tmp_path / "7" / "fd" / "3").symlink_to("socket:[12345]")
    assert holder_of(80, tmp_path) == "a process (pid 7)"
    (tmp_path / "7" / "comm").write_text("ng\x1binx\n")
    assert holder_of(80, tmp_path) == "ng?inx (pid 7)"
    assert holder_of(81, tmp_path) is None


def test_a_port_that_is_not_ours_to_take_says_what_to_do(monkeypatch):
    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(standalone_sockets, "_bound", refuse)
    with pytest.raises(PluginError, match="permission denied") as caught:
        Standalone({}, make_context()).check([TASK.identifier])
    assert "port 80" in caught.value.message
    assert "CAP_NET_BIND_SERVICE" in caught.value.hint


@pytest.mark.parametrize("port", ["eighty", -1, 65536, "8 0", "\u0661"])
def test_a_port_that_is_no_port_is_refused(port):
    with pytest.raises(PluginError, match="port"):
        Standalone({"http01_port": port}, make_context())


def test_a_wildcard_is_refused():
    with pytest.raises(PluginError, match="wildcard"):
        Standalone({"http01_port": 0}, make_context()).check([Identifier.dns("*.a.example")])


def test_checking_leaves_the_port_free_and_works_while_it_listens():
    port = free_port()
    one = Standalone({"http01_port": port, "http01_address": "127.0.0.1"}, make_context())
    one.check([TASK.identifier])
    one.present([TASK])
    one.check([TASK.identifier])
    one.clean_up([TASK])


def test_the_hint_tells_whether_a_request_arrived():
    with running() as plugin:
        assert "No request for a.example arrived" in plugin.failure_hint(TASK)
        assert "passed on to port" in plugin.failure_hint(TASK)
        ask(plugin, get(TASK.http_path))
        assert "was fetched from here" in plugin.failure_hint(TASK)


def test_no_thread_and_no_descriptor_stays_behind():
    threads = set(threading.enumerate())
    one = Standalone({"http01_port": 0}, make_context())
    descriptors = set(os.listdir("/proc/self/fd"))  # with the context's own
    one.present([TASK])
    clients = [connect(one) for _ in range(5)]
    one.clean_up([TASK])
    for client in clients:
        client.close()
    # What an earlier test has left may end meanwhile.
    assert set(threading.enumerate()) <= threads
    assert set(os.listdir("/proc/self/fd")) <= descriptors


def test_importing_it_costs_no_http_library():
    script = (
        "import sys, acmectl_plugins.standalone, acmectl_plugins.answer_server; "
        "print([m for m in ('http.server', 'email', 'socketserver', 'http.client') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
