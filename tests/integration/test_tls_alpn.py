"""tls-alpn-01 and IP addresses, validated by Pebble (RFC 8737, RFC 8738)."""

from __future__ import annotations

import socket

import pytest

from tests.integration.cli import Acmectl
from tests.integration.servers.pebble import Pebble, PebbleConfig
from tests.integration.trees import Certbot


def alpn(pebble):
    return ("--standalone", "--preferred-challenges", "tls-alpn-01", "--tls-alpn-01-port", str(pebble.tls_port))


def test_many_names_are_proved_on_one_port_and_port_80_is_left_alone(pebble, acmectl):
    names = [f"n{number}.alpn.example" for number in range(30)]
    with socket.create_server(("", pebble.http_port)):
        acmectl.certonly(*names, options=alpn(pebble))
    assert acmectl.names("n0.alpn.example") == sorted(names)
    # Unattended, by what was stored.
    with socket.create_server(("", pebble.http_port)):
        acmectl.run("renew", "--force-renewal", server=False).ok()
    assert acmectl.version("n0.alpn.example") == 2


@pytest.mark.parametrize("kind", ["http-01", "tls-alpn-01"])
@pytest.mark.parametrize(
    ("given", "lineage"),
    [
        (("127.0.0.1",), "127.0.0.1"),
        (("::1",), "::1"),
        (("0:0:0:0:0:0:0:1", "127.0.0.1"), "::1"),
        (("::1", "127.0.0.1", "mixed.example"), "mixed.example"),
    ],
)
def test_addresses_are_proved_alone_and_beside_names(pebble, acmectl, kind, given, lineage):
    flags = [word for one in given for word in ("-d" if one.endswith("example") else "--ip-address", one)]
    options = (*alpn(pebble)[:2], kind, *alpn(pebble)[3:], *flags)
    acmectl.certonly(options=options)
    assert acmectl.lineages() == [lineage]
    assert set(acmectl.names(lineage)) == {one.replace("0:0:0:0:0:0:0:1", "::1") for one in given}
    acmectl.run("renew", "--force-renewal", server=False).ok()
    assert acmectl.version(lineage) == 2


def test_an_answer_for_another_address_is_refused_by_the_ca(pebble, acmectl):
    # Nothing of ours listens where the CA asks.
    options = (*alpn(pebble), "--tls-alpn-01-address", "127.0.0.9", "--ip-address", "127.0.0.1")
    done = acmectl.certonly(options=options, code=1)
    assert "No request for 127.0.0.1 arrived on 127.0.0.9:" in done.out
    assert "port 443 is passed on to port" in done.out


@pytest.mark.parametrize("by", [("--manual", "--manual-auth-hook", "true"), ("-a", "dns-persist")])
def test_an_address_is_not_proved_by_dns(pebble, acmectl, by):
    # RFC 8738 section 7.
    options = (*by, "--preferred-challenges", "dns,dns-persist-01", "--ip-address", "127.0.0.1")
    done = acmectl.certonly(options=options, code=1)
    assert len(done.errors) == 1
    assert "127.0.0.1: the CA offers http-01, tls-alpn-01; authenticator" in done.errors[0]
    assert acmectl.lineages() == []


@pytest.mark.parametrize("version", ["2.11.0", "5.8.0"])
def test_certbot_renews_what_was_proved_by_a_challenge_that_it_does_not_know(tmp_path, version):
    with Pebble(PebbleConfig(nonce_reject=0)) as pebble, Acmectl(pebble, tmp_path) as acmectl:
        acmectl.certonly("a.example", options=alpn(pebble))
        assert "pref_challs" not in acmectl.params("a.example")
        acmectl.certonly("b.example", options=(*alpn(pebble), "--preferred-challenges", "http"))
        assert acmectl.params("b.example")["pref_challs"] == ["http-01"]
        certbot = Certbot(version, acmectl)
        assert set(certbot.listing()) == {"a.example", "b.example"}
        certbot.renew()
        assert (acmectl.version("a.example"), acmectl.version("b.example")) == (2, 2)
        # acmectl goes on as it was told.
        with socket.create_server(("", pebble.http_port)):
            acmectl.run("renew", "--force-renewal", server=False).ok()
        assert (acmectl.version("a.example"), acmectl.version("b.example")) == (3, 3)
        # What is told to certbot later counts.
        path = acmectl.renewal_path("a.example")
        path.write_text(path.read_text().replace("[renewalparams]\n", "[renewalparams]\npref_challs = dns-01,\n"))
        renew = ("renew", "--force-renewal", "--cert-name", "a.example")
        done = pebble.authorized_anew(lambda: acmectl.run(*renew, server=False)).failed()
        assert "can do none that is preferred" in done.err + done.out
