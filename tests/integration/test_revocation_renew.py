"""renew, for certificates that their CA has revoked: by CRL and by OCSP, with the real program."""

from datetime import UTC, datetime

import pytest

from acmectl.storage.layout import KINDS
from tests.integration.servers.revocation import Place, RevokingCa

NAME = "a.example"


@pytest.fixture
def place():
    with Place() as server:
        yield server


def stand_in(acmectl, ca, name=NAME, **urls):
    """A lineage whose version 1 comes from ``ca`` and is far from running out."""
    acmectl.certonly(name)
    issued = ca.issue(name, **urls)
    content = {
        "privkey": issued.key_pem,
        "cert": issued.cert_pem,
        "chain": ca.pem,
        "fullchain": issued.cert_pem + ca.pem,
    }
    for kind in KINDS:
        (acmectl.config / "archive" / name / f"{kind}1.pem").write_bytes(content[kind])
    return issued


def test_a_certificate_on_its_cas_list_is_renewed(acmectl, place):
    ca = RevokingCa()
    issued = stand_in(acmectl, ca, crl=[place.url("/crl")])
    place.replies["/crl"] = lambda _body: ca.crl()
    assert acmectl.run("renew", "-n").ok()
    assert acmectl.version(NAME) == 1
    assert place.requests == ["/crl"]
    ca.revoked[issued.certificate.serial_number] = datetime.now(UTC)
    # What was said holds for a day; the work directory is where it is remembered.
    for page in (acmectl.work / "revocations").iterdir():
        page.unlink()
    done = acmectl.run("renew", "-n").ok()
    assert "it was revoked (the CA says so, on " in done.out
    assert acmectl.version(NAME) == 2
    assert acmectl.certificate(NAME).issuer != ca.name
    asked = len(place.requests)
    acmectl.run("renew", "-n").ok()
    assert (acmectl.version(NAME), len(place.requests)) == (2, asked)


def test_a_certificate_that_its_cas_responder_calls_revoked_is_renewed(acmectl, place):
    ca = RevokingCa()
    issued = stand_in(acmectl, ca, responder=place.url("/ocsp"))
    ca.revoked[issued.certificate.serial_number] = datetime.now(UTC)
    place.replies["/ocsp"] = lambda body: ca.answer(body, issued=[issued], delegate=True)
    found = acmectl.run("renew", "-n", "--json").ok().json
    assert [one["rule"] for one in found["lineages"]] == ["revoked"]
    assert acmectl.version(NAME) == 2


def test_a_dry_run_asks_nobody_and_writes_nothing(acmectl, place):
    ca = RevokingCa()
    stand_in(acmectl, ca, crl=[place.url("/crl")])
    acmectl.run("renew", "-n", "--dry-run").ok()
    assert place.requests == []
    assert not (acmectl.work / "revocations").exists()


def test_places_that_hang_or_are_gone_leave_the_run_as_it_is(acmectl, place):
    ca = RevokingCa()
    place.hold("/hang")
    stand_in(acmectl, ca, crl=["http://127.0.0.1:1/crl", place.url("/hang")], responder=place.url("/none"))
    done = acmectl.run("renew", "-n").ok()
    assert "revoked" not in done.out
    assert done.errors == []
    assert acmectl.version(NAME) == 1
    assert "says nothing usable" in acmectl.log()
