"""What dns-rfc2136 says when it cannot work: one line, what to do, and no record that stays."""

from __future__ import annotations

import socket
import struct
import threading
import time

import pytest

from acmectl.errors import PluginError
from acmectl.plugin.dns import RecordsFailed, TxtRecord
from acmectl.plugin.testing import make_context
from acmectl_plugins.dns_rfc2136 import Rfc2136
from tests.integration.servers.dns_lab import DEAD, KNOT, PRIMARY, SECONDARY, secret
from tests.integration.test_dns_rfc2136 import nothing_is_left

WRONG = [
    (
        {"name": "unknown-key"},
        "The name server 127.0.0.10 has no key unknown-key for HMAC-SHA256 (BADKEY).",
        "Compare dns_rfc2136_name",
    ),
    (
        {"secret": secret("another")},
        "The name server 127.0.0.10 has another secret for the key acmectl-key (BADSIG).",
        "Compare dns_rfc2136_name",
    ),
    (
        {"algorithm": "HMAC-SHA512"},
        "The name server 127.0.0.10 has no key acmectl-key for HMAC-SHA512 (BADKEY).",
        "dns_rfc2136_algorithm",
    ),
    ({"algorithm": "ROT13"}, "dns_rfc2136_algorithm is 'ROT13', which is none that is known.", "HMAC-SHA256"),
    ({"secret": "not*base64"}, "dns_rfc2136_secret is not base64.", "in quotes"),
    ({"port": "fifty-three"}, "dns_rfc2136_port is 'fifty-three', which is no port number.", ""),
    ({"name": "a..b"}, "dns_rfc2136_name is 'a..b', which is no name of a key.", ""),
    ({"sign_query": "maybe"}, "dns_rfc2136_sign_query is 'maybe': give true or false.", ""),
    (
        {"server": DEAD},
        "The name server 127.0.0.99 cannot be reached over TCP: Connection refused.",
        "dns_rfc2136_port",
    ),
    (
        {"server": "nowhere.second.test"},
        "The name server nowhere.second.test has no address: Name or service not known.",
        "Check dns_rfc2136_server",
    ),
    (
        {"server": KNOT},
        "The name server 127.0.0.13 has no zone for _acme-challenge.a.example.test; it answers REFUSED.",
        "Check dns_rfc2136_server",
    ),
    (
        {"key": "limited-key"},
        "The name server 127.0.0.10 refuses to change _acme-challenge.a.example.test (REFUSED): "
        "the key limited-key may not do that.",
        "update-policy",
    ),
]


@pytest.mark.parametrize(("credentials", "message", "hint"), WRONG, ids=[str(row[0]) for row in WRONG])
def test_each_mistake_is_one_line_and_a_hint(dns_lab, dns_pebble, tmp_path, credentials, message, hint):
    path = dns_lab.rfc2136(tmp_path / "rfc2136.ini", **credentials)
    with dns_lab.acmectl(dns_pebble, tmp_path) as acmectl:
        flags = ("-a", "dns-rfc2136", "--dns-rfc2136-credentials", str(path))
        done = acmectl.certonly("a.example.test", options=flags, code=1)
        assert done.errors == [message]
        assert hint in done.err
        assert "Warning" not in done.err
        assert path.read_text().split("secret = ")[1].split()[0] not in done.err + done.out + acmectl.log()
        nothing_is_left(dns_lab, acmectl)


def test_a_file_that_others_can_read_is_refused_and_used_when_told_so(dns_lab, dns_pebble, tmp_path):
    path = dns_lab.rfc2136(tmp_path / "rfc2136.ini")
    path.chmod(0o644)
    with dns_lab.acmectl(dns_pebble, tmp_path) as acmectl:
        flags = ("-a", "dns-rfc2136", "--dns-rfc2136-credentials", str(path))
        done = acmectl.certonly("modes.second.test", options=flags, code=1)
        assert f"The credentials file {path} has mode 0644" in done.errors[0]
        acmectl.certonly("modes.second.test", options=(*flags, "--allow-insecure-credentials"))


@pytest.mark.parametrize("key", ["server", "name", "secret"])
def test_a_key_that_is_missing_is_named(dns_lab, dns_pebble, tmp_path, key):
    path = dns_lab.rfc2136(tmp_path / "rfc2136.ini")
    path.write_text("".join(line for line in path.open() if not line.startswith(f"dns_rfc2136_{key} ")))
    with dns_lab.acmectl(dns_pebble, tmp_path) as acmectl:
        flags = ("-a", "dns-rfc2136", "--dns-rfc2136-credentials", str(path))
        done = acmectl.certonly("a.example.test", options=flags, code=1)
        assert f"{path}: dns_rfc2136_{key} is missing" in done.errors[0]


def provider(**credentials):
    values = {"server": PRIMARY, "name": "acmectl-key", "secret": secret("acmectl-key"), "algorithm": "HMAC-SHA256"}
    return Rfc2136({}, {**values, **credentials}, make_context())


def record(name, zone, value="value"):
    return TxtRecord(name=name, value=value, zone=zone)


def refusal(lab, plugin, *records):
    for one in records:
        plugin.add(one)
    with lab.inside(), pytest.raises(RecordsFailed) as caught:
        plugin.commit()
    return caught.value


def test_one_zone_that_is_refused_keeps_no_other_from_being_changed(dns_lab):
    plugin, good = provider(), record("a.second.test", "second.test")
    bad = record("a.knot.test", "knot.test")
    try:
        error = refusal(dns_lab, plugin, bad, good)
        assert set(error.failed) == {bad}
        assert "knot.test" in error.message
        assert "NOTAUTH" in error.message
        assert dns_lab.txt("a.second.test") == {"value"}
    finally:
        plugin.remove(good)
        with dns_lab.inside():
            plugin.commit()
    assert dns_lab.txt("a.second.test") == set()


def test_a_name_that_the_policy_forbids_is_named_among_many(dns_lab):
    plugin = provider(name="limited-key", secret=secret("limited-key"))
    allowed = record("_acme-challenge.www.example.test", "example.test")
    forbidden = [record(f"{label}.example.test", "example.test") for label in ("x", "y")]
    error = refusal(dns_lab, plugin, forbidden[0], allowed, forbidden[1])
    assert list(error.failed) == forbidden
    assert dns_lab.txt(allowed.name) == {"value"}
    # What was refused is not there, so removing it asks nothing of the server; the other is removed.
    for one in (*forbidden, allowed):
        plugin.remove(one)
    with dns_lab.inside():
        plugin.commit()
    assert dns_lab.txt(allowed.name) == set()


def test_a_secondary_is_no_server_for_updates(dns_lab):
    # It knows none of the keys, and says so before it looks at the zone.
    error = refusal(dns_lab, provider(server=SECONDARY), record("a.example.test", "example.test"))
    assert "BADKEY" in error.message


def test_a_journal_that_cannot_be_written_is_a_server_failure(dns_lab):
    journal = dns_lab.folder / "primary" / "v6.test.zone.jnl"
    journal.unlink(missing_ok=True)
    journal.mkdir()
    try:
        error = refusal(dns_lab, provider(), record("a.v6.test", "v6.test"))
    finally:
        journal.rmdir()
    assert error.message == "The name server 127.0.0.10 failed to change a.v6.test in the zone v6.test (SERVFAIL)."
    assert "journal" in error.hint


def test_a_thousand_records_go_in_portions(dns_lab):
    plugin = provider()
    records = [record(f"{'long-label-' * 5}{number}.second.test", "second.test") for number in range(1000)]
    for one in records:
        plugin.add(one)
    with dns_lab.inside():
        plugin.commit()
    try:
        assert len(dns_lab.all_txt("second.test")) == 1000
    finally:
        for one in records:
            plugin.remove(one)
        with dns_lab.inside():
            plugin.commit()
    assert dns_lab.all_txt("second.test") == set()


def test_a_value_of_more_than_255_octets_is_put_whole(dns_lab):
    plugin, one = provider(), record("long.second.test", "second.test", "0123456789" * 40)
    plugin.add(one)
    with dns_lab.inside():
        plugin.commit()
        try:
            assert dns_lab.txt(one.name) == {one.value}
        finally:
            plugin.remove(one)
            plugin.commit()


class TcpServer:
    """Says ``answer(question)`` octets to everybody who connects; None: nothing at all."""

    def __init__(self, answer):
        self._answer = answer
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = str(self._socket.getsockname()[1])
        self.questions = 0

    def __enter__(self):
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(self, *_):
        self._socket.close()

    def _serve(self):
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection:
                size = connection.recv(2)
                question = connection.recv(struct.unpack("!H", size)[0]) if len(size) == 2 else b""
                self.questions += 1
                said = self._answer(question)
                if said is None:
                    connection.recv(1)  # until the other side gives up
                else:
                    connection.sendall(said)


def framed(wire):
    return struct.pack("!H", len(wire)) + wire


def unsigned(question):
    """Success, as an answer to an update with its zone and nothing behind it."""
    zone = question[12 : question.index(b"\0", 12) + 5]
    return framed(question[:2] + struct.pack("!5H", 0xA800, 1, 0, 0, 0) + zone)


HOSTILE = {
    "closes": lambda _question: b"",
    "half a length": lambda _question: b"\x00",
    "half an answer": lambda question: framed(question)[:-5],
    "rubbish": lambda _question: framed(b"\xff" * 40),
    "another question": lambda question: framed(b"\x00\x00" + question[2:]),
}


@pytest.mark.parametrize("answer", HOSTILE.values(), ids=HOSTILE)
def test_an_answer_that_is_none_is_one_line(answer):
    with TcpServer(answer) as server:
        plugin = provider(server="127.0.0.1", port=server.port)
        with pytest.raises(PluginError) as caught:
            plugin.find_zone("_acme-challenge.a.example.test")
        assert f"he name server 127.0.0.1 port {server.port} " in caught.value.message
        assert "\n" not in caught.value.message


def test_an_answer_without_signature_is_not_believed():
    with TcpServer(unsigned) as server:
        plugin = provider(server="127.0.0.1", port=server.port)
        plugin.add(record("a.example.test", "example.test"))
        with pytest.raises(RecordsFailed, match="answers without a signature"):
            plugin.commit()


def test_a_server_that_says_nothing_is_asked_once_for_all_names(monkeypatch):
    monkeypatch.setattr("acmectl_plugins.dns_rfc2136._TIMEOUT", 0.3)
    with TcpServer(lambda _question: None) as server:
        plugin = provider(server="127.0.0.1", port=server.port)
        for number in range(5):
            with pytest.raises(PluginError, match="does not answer within"):
                plugin.find_zone(f"_acme-challenge.host{number}.example.test")
        assert server.questions == 1


def test_a_clock_that_is_wrong_is_told_apart(dns_lab, monkeypatch):
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() - 3600)
    error = refusal(dns_lab, provider(), record("a.second.test", "second.test"))
    assert "does not accept the time of this machine (BADTIME)" in error.message
    assert "clocks" in error.hint


def test_a_connection_that_was_closed_meanwhile_is_made_again(dns_lab):
    plugin = provider(sign_query="false")
    with dns_lab.inside():
        assert plugin.find_zone("_acme-challenge.a.second.test") == "second.test"
        plugin._connection.shutdown(2)
        assert plugin.find_zone("_acme-challenge.b.second.test") == "second.test"
