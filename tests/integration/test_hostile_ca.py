"""A CA that lies, stalls, floods or breaks off: one clear line, and what is live stays live."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.integration.crash.crooked_ca import CrookedCa, chain
from tests.integration.crash.ground import NAME, Ground, first_issuance, ground, whole
from tests.integration.crash.table import Bad, check, run
from tests.integration.servers.hostile import HostileServer, answer, dribble, hang_up, raw
from tests.integration.servers.pebble import Pebble, PebbleConfig

ACCOUNT = ("--agree-tos", "--register-unsafely-without-email")
ESCAPE = "\x1b]0;gotcha\x07\x1b[31mred\x1b[0m\r\nError: forged\x9b2J"

Twist = Callable[[CrookedCa], None]
ROWS: dict[str, tuple[Twist, tuple[str, ...]]] = {}


def crooked(*words: str) -> Callable[[Twist], Twist]:
    """The line that must come of the twist has these words."""

    def register(twist: Twist) -> Twist:
        ROWS[twist.__name__.replace("_", " ")] = (twist, words)
        return twist

    return register


@crooked("directory", "JSON")
def a_directory_of_html(ca: CrookedCa) -> None:
    ca.act("/dir", answer(b"<html><h1>Welcome to nginx!</h1></html>"))


@crooked("directory", "JSON")
def a_directory_of_garbage(ca: CrookedCa) -> None:
    ca.act("/dir", answer(b'{"newNonce": '))


@crooked("directory")
def a_directory_without_an_order_url(ca: CrookedCa) -> None:
    del ca.directory["newOrder"]
    ca.refresh()


@crooked("https")
def a_directory_that_leads_to_http(ca: CrookedCa) -> None:
    ca.directory["newOrder"] = "http://127.0.0.1/new-order"
    ca.refresh()


@crooked("redirects")
def a_directory_at_another_host(ca: CrookedCa) -> None:
    ca.act("/dir", answer(b"", 301, {"Location": "https://evil.example/dir"}))


@crooked("octets")
def a_body_without_end(ca: CrookedCa) -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    ca.act("/dir", dribble(head, b"20000\r\n" + b" " * 0x20000 + b"\r\n", pause=0.0))


@crooked("octets")
def a_body_that_is_too_large(ca: CrookedCa) -> None:
    ca.act("/dir", answer(b" " * (2 << 20)))


@crooked("closed the connection")
def a_connection_that_is_dropped(ca: CrookedCa) -> None:
    ca.act("/dir", hang_up)


@crooked("lost")
def an_answer_that_is_cut_off(ca: CrookedCa) -> None:
    ca.act("/dir", raw(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n{"))


@crooked("127.0.0.1")
def an_answer_that_is_no_http(ca: CrookedCa) -> None:
    ca.act("/dir", raw(b"SSH-2.0-OpenSSH_9.2\r\n"))


@crooked("nonce")
def no_nonce(ca: CrookedCa) -> None:
    ca.act("/dir", answer(ca.directory))
    ca.act("/nonce", answer(b""))


@crooked("external account binding", "--eab-kid")
def a_binding_that_is_required(ca: CrookedCa) -> None:
    ca.directory["meta"] = {"externalAccountRequired": True}
    ca.refresh()


SOON = (datetime.now(UTC) + timedelta(days=3)).replace(microsecond=0)


@crooked("limits the rate", f"Retry after {SOON:%Y-%m-%d %H:%M}", "https://ca.example/limits")
def a_rate_limit(ca: CrookedCa) -> None:
    later = format_datetime(SOON, usegmt=True)
    link = '<https://ca.example/limits>;rel="help"'
    ca.problem("/new-order", "rateLimited", "too many certificates", 429, Retry_After=later, Link=link)


@crooked("rejectedIdentifier", "x.example is forbidden")
def a_name_that_is_rejected(ca: CrookedCa) -> None:
    ca.problem("/new-order", "rejectedIdentifier", "x.example is forbidden", 400)


@crooked("new terms", "https://ca.example/terms")
def terms_that_have_changed(ca: CrookedCa) -> None:
    link = '<https://ca.example/terms>;rel="terms-of-service"'
    ca.problem("/new-order", "userActionRequired", "new terms", 403, Link=link)


@crooked("gotcha")
def a_problem_with_escapes(ca: CrookedCa) -> None:
    ca.problem("/new-order", "malformed", ESCAPE, 400)


@crooked("token")
def a_token_that_climbs(ca: CrookedCa) -> None:
    ca.challenge["token"] = "../../../../etc/cron.d/evil-evil-evil"
    ca.refresh()


@crooked("token")
def a_token_that_is_short(ca: CrookedCa) -> None:
    ca.challenge["token"] = "abc"
    ca.refresh()


@crooked("token")
def a_token_with_an_escape(ca: CrookedCa) -> None:
    ca.challenge["token"] = "\x1b[31m" + "a" * 40
    ca.refresh()


@crooked("y.example", "not ordered")
def an_authorization_of_another_name(ca: CrookedCa) -> None:
    ca.authorization["identifier"] = {"type": "dns", "value": "y.example"}
    ca.refresh()


@crooked("order")
def an_order_for_other_names(ca: CrookedCa) -> None:
    ca.order["identifiers"] = [{"type": "dns", "value": "y.example"}]
    ca.refresh()


@crooked("order")
def an_order_that_is_a_list(ca: CrookedCa) -> None:
    ca.put("/new-order", [1, 2, 3], 201)


@crooked("https")
def an_order_that_leads_to_http(ca: CrookedCa) -> None:
    ca.order["authorizations"] = ["http://127.0.0.1/authz"]
    ca.refresh()


@crooked("dns-77", "webroot")
def challenges_that_nobody_knows(ca: CrookedCa) -> None:
    ca.challenge["type"] = "dns-77"
    ca.refresh()


@crooked("no thanks")
def an_order_that_is_invalid_at_once(ca: CrookedCa) -> None:
    ca.order |= {"status": "invalid", "error": {"type": "urn:ietf:params:acme:error:caa", "detail": "no thanks"}}
    ca.refresh()


@pytest.fixture(scope="module")
def kept(tmp_path_factory) -> Iterator[Ground]:
    with ground(tmp_path_factory.mktemp("hostile") / "ground") as place:
        place.acmectl.run(*first_issuance(place)).ok()
        place.keep()
        yield place


@pytest.mark.parametrize("name", ROWS)
def test_a_crooked_ca_gets_one_clear_line_and_leaves_nothing_behind(name, kept):
    kept.restore()
    twist, words = ROWS[name]
    with HostileServer() as server:
        twist(CrookedCa(server, "x.example"))
        args = ("certonly", "-n", "--webroot", "-w", str(kept.site / "www"), "-d", "x.example", "--no-preflight")
        bad = Bad(
            args=(*args, *ACCOUNT),
            words=words,
            server=f"{server.url}/dir",
            bundle=str(server.ca_bundle),
            may_change=("config/accounts",),
            never=("\x1b", "\x07", "\x9b", "\nError: forged"),
        )
        check(kept, bad)
    assert "\x1b" not in (kept.acmectl.logs / "acmectl.log").read_text()


def live_key(place: Ground) -> ec.EllipticCurvePublicKey:
    key = serialization.load_pem_private_key(place.acmectl.live(NAME, "privkey").read_bytes(), None)
    return key.public_key()


CHAINS: dict[str, tuple[Callable[[Ground], bytes], tuple[str, ...]]] = {
    "another key": (lambda _p: chain(ec.generate_private_key(ec.SECP256R1()).public_key(), [NAME]), ("key",)),
    "another name": (lambda p: chain(live_key(p), ["b.example"]), ("without", NAME)),
    "a name too many": (lambda p: chain(live_key(p), [NAME, "b.example"]), ("more than was ordered", "b.example")),
    "an issuer that did not sign": (lambda p: chain(live_key(p), [NAME], issuer_of_another=True), ("chain",)),
    "one that has expired": (lambda p: chain(live_key(p), [NAME], **days(-90, -1)), ("ended on",)),
    "one of the future": (lambda p: chain(live_key(p), [NAME], **days(10, 90)), ("certificate", "20")),
    "a chain cut off": (lambda p: chain(live_key(p), [NAME])[:-80], ("chain",)),
    "no certificate at all": (lambda _p: b"<html>oops</html>", ("certificate",)),
    "nothing": (lambda _p: b"", ("certificate",)),
}


def days(start: int, end: int) -> dict[str, timedelta]:
    return {"start": timedelta(days=start), "end": timedelta(days=end)}


@pytest.mark.parametrize("name", CHAINS)
def test_a_certificate_that_is_not_what_was_asked_for_never_goes_live(name, kept):
    kept.restore()
    make, words = CHAINS[name]
    before = {kind: kept.acmectl.live(NAME, kind).read_bytes() for kind in ("cert", "privkey")}
    with HostileServer() as server:
        ca = CrookedCa(server, NAME, challenges=False)
        ca.put("/certificate", make(kept), 200, {"Content-Type": "application/pem-certificate-chain"})
        args = ("certonly", "-n", "--cert-name", NAME, "-d", NAME, "--webroot", "-w", str(kept.site / "www"))
        args += ("--force-renewal", "--reuse-key", "--key-type", "ecdsa", *ACCOUNT)
        done = run(
            kept.acmectl,
            Bad(args=args, words=(), server=f"{server.url}/dir", bundle=str(server.ca_bundle)),
        ).failed()
        again = run(
            kept.acmectl,
            Bad(args=args, words=(), server=f"{server.url}/dir", bundle=str(server.ca_bundle)),
        ).failed()
    assert len(done.errors) == 1, str(done)
    for word in words:
        assert word in done.errors[0], str(done)
    assert whole(kept.acmectl) == 1
    assert before == {kind: kept.acmectl.live(NAME, kind).read_bytes() for kind in before}
    # An order whose certificate was useless twice is not come back to.
    if name not in ("no certificate at all", "nothing", "a chain cut off"):
        assert kept.leftovers() == [], str(again)
    assert [name for name in kept.leftovers() if not name.startswith("work/pending")] == [], str(again)


def test_a_wrong_binding_key_is_told_in_one_line_without_the_key(tmp_path):
    secret = "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldC1zZWNyZXQ"
    right = "cmlnaHQtcmlnaHQtcmlnaHQtcmlnaHQtcmlnaHQtcmlnaHQtcmlnaHQ"
    with Pebble(PebbleConfig(eab_keys={"kid-1": right})) as pebble:
        place = Ground(tmp_path, pebble)
        done = place.acmectl.run(*("register", "-n", *ACCOUNT), "--eab-kid", "kid-1", "--eab-hmac-key", secret).failed()
        assert len(done.errors) == 1, str(done)
        assert place.acmectl.account_dirs() == []
        assert secret not in done.out + done.err + (place.acmectl.log())
        place.acmectl.run(*("register", "-n", *ACCOUNT), "--eab-kid", "kid-1", "--eab-hmac-key", right).ok()
        assert right not in place.acmectl.log()


def test_a_held_lock_is_told_with_its_holder(kept):
    kept.restore()
    with kept.acmectl.holding_locks() as holder:
        done = kept.acmectl.run(*first_issuance(kept), "--lock-timeout", "0").failed()
        assert len(done.errors) == 1, str(done)
        assert f"process {holder.pid} holds the lock" in done.errors[0]
        assert ".certbot.lock" in done.errors[0]


@pytest.mark.parametrize(
    ("args", "prompt"),
    [
        (("certonly", "--standalone"), "names"),
        (("certonly", "-d", "x.example"), "proved"),
        (("delete",), "a.example"),
        (("unregister",), "Deactivate"),
    ],
)
def test_an_end_of_input_at_a_question_ends_with_one_line_and_changes_nothing(args, prompt, kept):
    kept.restore()
    terminal = kept.acmectl.terminal(*args)
    terminal.expect(prompt)
    terminal.sendeof()
    terminal.expect(pytest.importorskip("pexpect").EOF)
    terminal.close()
    assert terminal.exitstatus == 1, terminal.before
    said = terminal.before or ""
    assert "Traceback" not in said
    assert said.count("Error: ") == 1, said
    assert whole(kept.acmectl) == 1
    assert len(kept.acmectl.account_dirs()) == 1
    assert kept.leftovers() == []
