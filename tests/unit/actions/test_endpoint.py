"""What is asked of an endpoint, how long, and what is said when it serves something else."""

from __future__ import annotations

import ssl
from collections.abc import Iterable

import pytest
import trustme

from acmectl.actions.endpoint import Endpoint, check_endpoint, owed_steps, parse_endpoint
from acmectl.errors import HookFailed, Interrupted, UsageError
from acmectl.identifiers import parse_any
from acmectl.interrupts import Interrupts
from acmectl.pki.summary import summary
from tests.unit.acme.fakes import FakeClock

CA = trustme.CA()


def certificate(*names: str, key_type: trustme.KeyType = trustme.KeyType.ECDSA) -> bytes:
    return CA.issue_cert(*names, key_type=key_type).cert_chain_pems[0].bytes()


def der(pem: bytes) -> bytes:
    return ssl.PEM_cert_to_DER_cert(pem.decode())


def endpoint(text: str) -> Endpoint:
    found = parse_endpoint(text, "--check-endpoint")
    assert found is not None
    return found


class Server:
    """Plays one answer after the other, the last one for ever. ``by_cipher`` answers those who name ciphers."""

    def __init__(self, answers: Iterable[bytes | Exception], by_cipher: bytes | None = None) -> None:
        self.answers = list(answers)
        self.by_cipher = by_cipher
        self.names: list[str | None] = []
        self.ciphers: list[str] = []

    def __call__(self, endpoint: Endpoint, name: str | None, timeout: float, ciphers: str | None) -> bytes:
        if ciphers is not None:
            self.ciphers.append(ciphers)
            if self.by_cipher is None:
                raise ssl.SSLError("no shared cipher")
            return self.by_cipher
        self.names.append(name)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


def check(server: Server, pem: bytes, text: str = "a.example", patience: float = 10.0) -> FakeClock:
    clock = FakeClock()
    check_endpoint(endpoint(text), pem, clock=clock, interrupts=Interrupts(), patience=patience, ask=server)
    return clock


@pytest.mark.parametrize(
    ("text", "host", "port", "shown"),
    [
        ("a.example", "a.example", 443, "a.example:443"),
        ("A.Example.:8443", "a.example", 8443, "a.example:8443"),
        ("localhost:1", "localhost", 1, "localhost:1"),
        ("192.0.2.7:65535", "192.0.2.7", 65535, "192.0.2.7:65535"),
        ("[::1]", "::1", 443, "[::1]:443"),
        (" [2001:DB8::0:1]:8443 ", "2001:db8::1", 8443, "[2001:db8::1]:8443"),
    ],
)
def test_an_endpoint_is_a_host_and_a_port(text: str, host: str, port: int, shown: str) -> None:
    found = endpoint(text)
    assert (found.host.value, found.port, str(found)) == (host, port, shown)


@pytest.mark.parametrize(
    "text",
    [
        *("", ":443", "a.example:", "a.example:0", "a.example:65536", "a.example:-1", "a.example:٤٤٣"),
        *("::1", "::1:443", "[::1", "[::1]x", "[::1]:", "1.2.3.999", "*.a.example", "https://a.example/", "a..b"),
        *("a b", "a.example:443:443", "bücher.example", "a.example\x1b[31m:443", "x" * 300),
    ],
)
def test_what_is_no_endpoint_is_a_usage_error_on_one_line_that_names_the_option(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_endpoint(text, "--check-endpoint")
    line = f"{caught.value.message}{caught.value.hint or ''}"
    assert line.startswith("--check-endpoint: ")
    assert line.isprintable()
    assert len(line) < 300


def test_the_word_none_ends_the_check() -> None:
    assert parse_endpoint("none", "--check-endpoint") is None
    assert parse_endpoint("None", "--check-endpoint") is None
    assert owed_steps(("a",), None) == ("a",)
    assert owed_steps(("a",), endpoint("a.example")) == ("a", "--check-endpoint")


@pytest.mark.parametrize(
    ("text", "names", "sent"),
    [
        ("front.example", ("a.example",), "front.example"),
        ("192.0.2.1", ("a.example", "b.example"), "a.example"),
        ("[::1]", ("*.a.example", "b.example"), "b.example"),
        ("[::1]", ("*.a.example",), "www.a.example"),
        ("192.0.2.1", ("192.0.2.1",), None),
    ],
)
def test_the_name_sent_is_the_host_or_for_an_address_a_name_of_the_certificate(
    text: str, names: tuple[str, ...], sent: str | None
) -> None:
    assert endpoint(text).server_name(tuple(parse_any(name) for name in names)) == sent


def test_a_server_that_serves_the_certificate_is_asked_once() -> None:
    pem = certificate("a.example")
    server = Server([der(pem)])
    assert check(server, pem).slept == []
    assert server.names == ["a.example"]


def test_it_is_asked_again_while_a_reload_is_under_way() -> None:
    old, new = certificate("a.example"), certificate("a.example")
    server = Server([der(old), ConnectionRefusedError(111, "Connection refused"), der(old), der(new)])
    clock = check(server, new)
    assert len(server.names) == 4
    assert clock.slept == sorted(clock.slept)
    assert clock.elapsed < 2


def test_another_certificate_is_told_with_both_serials_after_ten_seconds() -> None:
    old, new = certificate("a.example"), certificate("a.example")
    clock = FakeClock()
    with pytest.raises(HookFailed) as caught:
        check_endpoint(endpoint("[::1]:8443"), new, clock=clock, interrupts=Interrupts(), ask=Server([der(old)]))
    assert caught.value.message == (
        f"--check-endpoint: [::1]:8443 serves for a.example the certificate with serial {summary(old).serial:x}, "
        f"not the new one with serial {summary(new).serial:x}."
    )
    assert "--retry-deploy" in (caught.value.hint or "")
    assert clock.elapsed == pytest.approx(10)


def test_without_patience_it_is_asked_only_once() -> None:
    server = Server([der(certificate("a.example"))])
    with pytest.raises(HookFailed):
        check(server, certificate("a.example"), patience=0)
    assert len(server.names) == 1


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ConnectionRefusedError(111, "Connection refused"), "Connection refused"),
        (TimeoutError("timed out"), "it did not answer in time"),
        (OSError("the server showed no certificate"), "the server showed no certificate"),
        (UnicodeError("label too long"), "label too long"),
    ],
)
def test_a_server_that_gives_no_answer_is_told_with_the_reason(error: Exception, reason: str) -> None:
    with pytest.raises(HookFailed) as caught:
        check(Server([error]), certificate("a.example"), "a.example:8443")
    assert caught.value.message == f"--check-endpoint: a.example:8443 gives no TLS answer: {reason}."


@pytest.mark.parametrize(("kind", "ciphers"), [(trustme.KeyType.ECDSA, "aECDSA"), (trustme.KeyType.RSA, "aRSA")])
def test_a_server_with_a_certificate_of_each_kind_is_asked_for_the_kind_at_hand(
    kind: trustme.KeyType, ciphers: str
) -> None:
    pem = certificate("a.example", key_type=kind)
    server = Server([der(certificate("a.example"))], by_cipher=der(pem))
    assert check(server, pem).slept == []
    assert server.ciphers == [ciphers]


def test_what_is_served_may_be_no_certificate_at_all() -> None:
    with pytest.raises(HookFailed, match="serial unknown"):
        check(Server([b"\x30\x03\x02\x01\x01"]), certificate("a.example"), patience=0)


def test_a_signal_ends_the_wait() -> None:
    interrupts = Interrupts()
    old, new = certificate("a.example"), certificate("a.example")
    interrupts.request(15)
    with pytest.raises(Interrupted):
        check_endpoint(endpoint("a.example"), new, clock=FakeClock(), interrupts=interrupts, ask=Server([der(old)]))


@pytest.mark.parametrize("which", [0, 1])
def test_of_two_certificates_for_the_same_names_either_will_do(which: int) -> None:
    pair = [certificate("a.example", key_type=kind) for kind in (trustme.KeyType.RSA, trustme.KeyType.ECDSA)]
    clock, old = FakeClock(), certificate("a.example")
    server = Server([der(old), der(pair[which])])
    check_endpoint(endpoint("a.example"), pair[0], clock=clock, interrupts=Interrupts(), ask=server, or_else=pair[1])
    assert len(server.names) == 2
    with pytest.raises(HookFailed, match=r"not the new one with serial"):
        check_endpoint(
            endpoint("a.example"),
            pair[0],
            clock=clock,
            interrupts=Interrupts(),
            patience=0.0,
            ask=Server([der(old)]),
            or_else=pair[1],
        )
