"""stateless: one rule in a web server answers every challenge of an account."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.cli import Acmectl
from tests.integration.servers.apache import Apache
from tests.integration.servers.haproxy import HAProxy
from tests.integration.servers.netns import NetworkNamespace
from tests.integration.servers.nginx import Nginx
from tests.integration.servers.pebble import Pebble, PebbleConfig


def lines(acmectl: Acmectl, server: str) -> str:
    """What the command prints for one web server."""
    shown = acmectl.run("show_account", "--stateless", "--json").ok().json
    text: str = shown["static_answer"][server]
    assert text.count(shown["thumbprint"]) == 1
    told = acmectl.run("show_account", "--stateless").ok().out
    assert all(line in told for line in text.splitlines())
    return text


def proves(acmectl: Acmectl) -> None:
    """Certificates for new names, and a renewal that nobody attends."""
    acmectl.certonly("a.example", "b.example", options=("--stateless", "--ip-address", "127.0.0.1"))
    acmectl.certonly("c.example", options=("--stateless",))
    assert acmectl.params("a.example")["authenticator"] == "stateless"
    acmectl.run("renew", "--force-renewal", server=False).ok()
    assert (acmectl.version("a.example"), acmectl.version("c.example")) == (2, 2)


@pytest.fixture
def registered(acmectl: Acmectl) -> Acmectl:
    """The program with an account."""
    acmectl.run("register", "-n", "--agree-tos").ok()
    return acmectl


def test_one_rule_in_nginx_answers_for_every_certificate(pebble, registered, public_folder):
    with Nginx(public_folder, pebble.http_port, server_lines=lines(registered, "nginx")):
        proves(registered)


def test_one_rule_in_apache_answers_beside_a_redirect(pebble, registered, public_folder):
    redirect = 'RedirectMatch 301 "^/(?!\\.well-known/acme-challenge/)(.*)" "https://x.example/$1"'
    with Apache(public_folder, pebble.http_port, server_lines=lines(registered, "apache"), host_lines=redirect):
        proves(registered)


def test_one_rule_in_haproxy_answers_before_a_redirect(pebble, registered):
    port = pebble.http_port
    frontend = f"frontend http\n bind 127.0.0.1:{port}\n mode http\n{lines(registered, 'haproxy')}"
    with HAProxy(port, f"{frontend} http-request redirect scheme https code 301\n"):
        proves(registered)


def test_a_wildcard_is_refused_before_anything_is_asked(pebble, acmectl):
    before = len(pebble.requests())
    done = acmectl.certonly("*.a.example", options=("--stateless",), code=1)
    assert "*.a.example is a wildcard" in done.err
    assert len(pebble.requests()) == before


@pytest.fixture
def inner(tmp_path: Path) -> Iterator[tuple[Pebble, Acmectl, NetworkNamespace]]:
    """A world where names lead to 127.0.0.1 and the CA asks on port 80, with an account."""
    with NetworkNamespace(resolver="127.0.0.1") as space:
        (Path("/etc/netns") / space.name / "hosts").write_text("127.0.0.1 a.example b.example localhost\n")
        with (
            space.inside(),
            Pebble(PebbleConfig(http_port=80)) as pebble,
            Acmectl(pebble, tmp_path, prefix=space.prefix) as acmectl,
        ):
            acmectl.run("register", "-n", "--agree-tos").ok()
            yield pebble, acmectl, space


def orders(pebble: Pebble) -> int:
    """How many were placed."""
    return sum("/order-plz" in line for line in pebble.requests())


def test_a_wrong_answer_is_noticed_before_the_order(inner, public_folder):
    pebble, acmectl, _space = inner
    right = lines(acmectl, "nginx")
    thumbprint = acmectl.run("show_account", "--json").ok().json["thumbprint"]
    with Nginx(public_folder, 80, server_lines=right.replace(thumbprint, "x" * len(thumbprint))) as nginx:
        done = acmectl.certonly("a.example", "b.example", options=("--stateless",), code=1)
        (line,) = done.errors
        assert f"The web server of a.example (and 1 more) does not answer with TOKEN.{thumbprint}" in line
        assert "show_account --stateless" in done.err
        assert orders(pebble) == 0
        done = acmectl.certonly("a.example", options=("--stateless", "--no-preflight"), code=1)
        assert f"TOKEN.{thumbprint}" in done.out
        assert orders(pebble) == 1
        nginx.server_lines = right
        nginx.reload()
        done = acmectl.certonly("a.example", "b.example", options=("--stateless",))
    assert "could not be checked" not in done.err
    assert acmectl.names("a.example") == ["a.example", "b.example"]


def test_a_name_that_cannot_be_seen_from_here_is_left_to_the_ca(inner, public_folder):
    _pebble, acmectl, _space = inner
    with Nginx(public_folder, 80, server_lines=lines(acmectl, "nginx")):
        done = acmectl.certonly("elsewhere.example", options=("--stateless",))
    assert "The answer of elsewhere.example could not be checked" in done.err
