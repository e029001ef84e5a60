"""What CRLs and OCSP responders say of certificates: real ones, over http, good and bad."""

from __future__ import annotations

import os
import stat
import time
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from acmectl.actions.revocations import ask_revocations
from acmectl.actions.scan import scan
from acmectl.events import ignore
from acmectl.interrupts import Interrupts
from acmectl.storage.archive import VersionFiles
from acmectl.storage.layout import Layout
from acmectl.storage.lineages import LineageStore
from acmectl.storage.pending import PendingStore
from acmectl.storage.renewal_conf import RenewalConf
from tests.integration.servers.revocation import Place, RevokingCa

REVOKED_ON = datetime(2026, 5, 4, 3, 2, tzinfo=UTC)


class Shop:
    """A store of lineages, the CA they come from, and its place on the web; ``ahead`` moves the clock."""

    def __init__(self, folder, place):
        self.place = place
        self.ca = RevokingCa()
        self.issued = {}
        self.layout = Layout(config_dir=folder / "config", work_dir=folder / "work", logs_dir=folder / "logs")
        for directory in (self.layout.config_dir, self.layout.work_dir, self.layout.logs_dir):
            directory.mkdir()
        self.ahead = timedelta()
        self.services = SimpleNamespace(
            layout=self.layout,
            lineages=LineageStore(self.layout),
            pending=PendingStore(self.layout),
            clock=SimpleNamespace(now=lambda: datetime.now(UTC) + self.ahead),
            interrupts=Interrupts(),
            observe=ignore,
        )

    def put(self, name, *, crl=("/crl",), ocsp=None, revoked=False, ca=None):
        ca = ca or self.ca
        issued = self.issued[name] = ca.issue(
            name,
            crl=[path if "://" in path else self.place.url(path) for path in crl],
            responder=self.place.url(ocsp) if ocsp else None,
        )
        files = VersionFiles(
            privkey=issued.key_pem, cert=issued.cert_pem, chain=ca.pem, fullchain=issued.cert_pem + ca.pem
        )
        lineages = self.services.lineages
        number = lineages.save(name, files)
        lineages.write_conf(name, RenewalConf(params={"authenticator": "webroot", "server": "https://ca.test/dir"}))
        lineages.activate(name, number)
        if revoked:
            ca.revoked[issued.certificate.serial_number] = REVOKED_ON
        return issued

    def ask(self, limit=20.0):
        snapshots = list(scan(self.services, self.services.lineages.names(), touch=True))
        return ask_revocations(self.services, snapshots, limit=limit)

    def serve(self, path="/crl", **how):
        self.place.replies[path] = lambda _body: self.ca.crl(**how)

    def respond(self, path="/ocsp", **how):
        self.place.replies[path] = lambda body: self.ca.answer(body, issued=list(self.issued.values()), **how)


@pytest.fixture
def shop(tmp_path):
    with Place() as place:
        yield Shop(tmp_path, place)


def test_certificates_that_name_no_url_are_asked_about_nowhere(shop):
    shop.put("a.example", crl=())
    assert shop.ask() == {}
    assert shop.place.requests == []
    assert not (shop.layout.work_dir / "revocations").exists()


def test_one_list_tells_of_all_its_certificates_and_is_fetched_once_a_day(shop):
    shop.put("a.example", revoked=True)
    shop.put("b.example")
    shop.put("c.example", revoked=True)
    shop.serve()
    found = shop.ask()
    assert found == dict.fromkeys(("a.example", "c.example"), "the CA says so, on 2026-05-04 03:02 UTC")
    assert shop.ask() == found
    assert shop.place.requests == ["/crl"]
    shop.ahead = timedelta(hours=25)
    assert shop.ask() == found
    assert shop.place.requests == ["/crl", "/crl"]


def test_a_list_is_believed_no_longer_than_it_says(shop):
    shop.put("a.example", revoked=True)
    shop.serve(end=timedelta(hours=2))
    assert set(shop.ask()) == {"a.example"}
    shop.ahead = timedelta(hours=3)
    shop.place.replies.clear()
    assert shop.ask() == {}


def test_a_new_certificate_is_asked_about_at_once(shop):
    shop.put("a.example")
    shop.serve()
    assert shop.ask() == {}
    shop.put("b.example", revoked=True)
    assert set(shop.ask()) == {"b.example"}
    assert shop.place.requests == ["/crl", "/crl"]


def test_what_is_kept_is_for_the_owner_alone_and_damage_to_it_does_no_harm(shop):
    shop.put("a.example", revoked=True)
    shop.serve()
    shop.ask()
    directory = shop.layout.work_dir / "revocations"
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    (page,) = directory.iterdir()
    assert stat.S_IMODE(page.stat().st_mode) == 0o600
    for content in (b"", b"[]", b'{"format": 1, "url": 3, "answers": []}', b'{"format": 1}', b"\xff"):
        page.write_bytes(content)
        assert set(shop.ask()) == {"a.example"}, content
    stale = directory / ("0" * 64 + ".json")
    stale.write_bytes(b"{}")
    os.utime(stale, (0, 0))
    page.unlink()
    shop.ask()
    assert not stale.exists()


def test_lists_of_two_cas_at_one_place_are_told_apart(shop):
    other = RevokingCa("Another CA")
    shop.put("a.example", crl=("/crl",), revoked=True)
    shop.put("b.example", crl=("/other",), ca=other, revoked=True)
    shop.serve()
    shop.place.replies["/other"] = lambda _body: other.crl()
    assert set(shop.ask()) == {"a.example", "b.example"}


def test_a_list_may_come_as_pem_and_name_its_place(shop):
    shop.put("a.example", revoked=True)
    shop.serve(place=shop.place.url("/crl"))
    assert set(shop.ask()) == {"a.example"}
    from cryptography import x509

    shop.put("b.example", crl=("/pem",), revoked=True)
    shop.place.replies["/pem"] = lambda _body: x509.load_der_x509_crl(shop.ca.crl()).public_bytes(Encoding.PEM)
    assert set(shop.ask()) == {"a.example", "b.example"}


BAD_LISTS = {
    "stale": lambda shop: shop.ca.crl(start=timedelta(days=-9), end=timedelta(days=-2)),
    "from the future": lambda shop: shop.ca.crl(start=timedelta(days=1), end=timedelta(days=2)),
    "forged": lambda shop: shop.ca.crl(signer=RevokingCa()),
    "another CA's": lambda shop: _with(RevokingCa("Somebody else"), shop.ca.revoked).crl(),
    "another place's": lambda shop: shop.ca.crl(place="http://elsewhere.example/crl"),
    "not understood": lambda shop: shop.ca.crl(critical=True),
    "damaged": lambda shop: shop.ca.crl()[:-9],
    "no list": lambda shop: b"<html>It works!</html>",
    "empty": lambda shop: b"",
    "oversized": lambda shop: b"\x30\x84\x7f\xff\xff\xff" + bytes(16 << 20),
    "gone": lambda shop: 410,
    "moved": lambda shop: 302,
    "broken server": lambda shop: 500,
}


def _with(ca, revoked):
    ca.revoked.update(revoked)
    return ca


@pytest.mark.parametrize("how", BAD_LISTS)
def test_a_list_that_cannot_be_relied_on_says_nothing(shop, how):
    shop.put("a.example", revoked=True)
    reply = BAD_LISTS[how](shop)
    shop.place.replies["/crl"] = lambda _body: reply
    shop.serve("/elsewhere")
    assert shop.ask() == {}
    assert shop.place.requests == ["/crl"]
    # It is left alone for an hour, and then asked again.
    shop.serve()
    assert shop.ask() == {}
    shop.ahead = timedelta(minutes=61)
    assert set(shop.ask()) == {"a.example"}


@pytest.mark.parametrize(
    "url", ["ldap://127.0.0.1/cn=x", "file:///etc/hostname", "ftp://127.0.0.1/crl", "http://", "http://127.0.0.1:1/crl"]
)
def test_urls_that_lead_nowhere_are_no_trouble(shop, url):
    shop.put("a.example", crl=(url,), revoked=True)
    assert shop.ask() == {}


def test_the_next_source_is_asked_where_one_fails(shop):
    shop.put("a.example", crl=("/gone", "/crl"), revoked=True)
    shop.put("b.example", crl=("/gone",), ocsp="/ocsp", revoked=True)
    shop.serve()
    shop.respond()
    assert set(shop.ask()) == {"a.example", "b.example"}


def test_servers_that_hang_cost_the_limit_in_all_and_then_nothing_for_an_hour(shop):
    for number in range(12):
        shop.place.hold(f"/hang{number}")
        shop.put(f"h{number}.example", crl=(f"/hang{number}",), ocsp=f"/hang{number}")
    shop.put("a.example", crl=("/crl",), revoked=True)
    shop.serve()
    started = time.monotonic()
    found = shop.ask(limit=1.0)
    # A bound against waiting for each of them, not a measure.
    assert time.monotonic() - started < 10
    assert set(found) <= {"a.example"}
    before = len(shop.place.requests)
    shop.ask(limit=1.0)
    again = shop.place.requests[before:]
    assert not set(again) & set(shop.place.requests[:before])


def test_a_responder_tells_of_one_certificate_each(shop):
    shop.put("a.example", crl=(), ocsp="/ocsp", revoked=True)
    shop.put("b.example", crl=(), ocsp="/ocsp")
    shop.respond()
    assert shop.ask() == {"a.example": "the CA says so, on 2026-05-04 03:02 UTC"}
    assert shop.place.requests == ["/ocsp", "/ocsp"]
    shop.ask()
    assert len(shop.place.requests) == 2
    shop.ahead = timedelta(days=4)
    shop.respond(start=timedelta(days=3), end=timedelta(days=5))
    assert set(shop.ask()) == {"a.example"}
    assert len(shop.place.requests) == 4


def test_a_responder_may_be_appointed_by_the_ca(shop):
    shop.put("a.example", crl=(), ocsp="/ocsp", revoked=True)
    shop.respond(delegate=True)
    assert set(shop.ask()) == {"a.example"}


@pytest.mark.parametrize(
    "how",
    [
        {"signer": RevokingCa()},
        {"delegate": True, "delegate_may": False},
        {"delegate": True, "signer": RevokingCa()},
        {"start": timedelta(days=-9), "end": timedelta(days=-2)},
        {"start": timedelta(days=1), "end": timedelta(days=2)},
        {"unknown": True},
    ],
    ids=["forged", "not-appointed", "forged-by-delegate", "stale", "future", "unknown"],
)
def test_an_answer_that_cannot_be_relied_on_says_nothing(shop, how):
    shop.put("a.example", crl=(), ocsp="/ocsp", revoked=True)
    shop.respond(**how)
    assert shop.ask() == {}
    shop.respond()
    assert set(shop.ask()) == {"a.example"}


def test_an_answer_about_another_certificate_says_nothing(shop):
    other = shop.put("b.example", crl=(), revoked=True)
    shop.put("a.example", crl=(), ocsp="/ocsp")
    shop.respond(about=other)
    assert shop.ask() == {}


@pytest.mark.parametrize("reply", [b"", b"nonsense", b"\x30\x03\x0a\x01\x06", bytes(1 << 17)])
def test_an_answer_that_is_none_says_nothing(shop, reply):
    shop.put("a.example", crl=(), ocsp="/ocsp", revoked=True)
    shop.place.replies["/ocsp"] = lambda _body: reply
    assert shop.ask() == {}
    assert shop.place.requests == ["/ocsp"]


def test_a_chain_that_is_another_cas_makes_the_state_unknown(shop):
    shop.put("a.example", revoked=True)
    shop.serve()
    other = RevokingCa()
    (shop.layout.live("a.example") / "chain.pem").write_bytes(other.pem)
    assert shop.ask() == {}
    assert shop.place.requests == []
