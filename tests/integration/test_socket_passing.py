"""standalone on sockets that systemd opened, without the privilege to open them (sd_listen_fds(3))."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.cli import Acmectl, Outcome
from tests.integration.servers.netns import NetworkNamespace
from tests.integration.servers.pebble import Pebble, PebbleConfig
from tests.integration.servers.process import accepts, wait_until
from tests.integration.servers.requirements import require

# Root without what lets it listen below port 1024.
POWERLESS = ("setpriv", "--bounding-set=-net_bind_service", "--inh-caps=-net_bind_service")
NAMED = ("-l", "127.0.0.1:80", "-l", "127.0.0.1:443", "--fdname=http:tls-alpn")


@pytest.fixture(scope="module")
def world() -> Iterator[tuple[Pebble, NetworkNamespace]]:
    """A network where the CA asks on ports 80 and 443."""
    require("systemd-socket-activate", "setpriv")
    with (
        NetworkNamespace() as space,
        space.inside(),
        Pebble(PebbleConfig(http_port=80, tls_port=443)) as pebble,
    ):
        yield pebble, space


def program(world: tuple[Pebble, NetworkNamespace], folder: Path, *prefix: str) -> Acmectl:
    """The program behind ``prefix``, without privileges."""
    pebble, space = world
    return Acmectl(pebble, folder, prefix=(*space.prefix, *prefix, *POWERLESS))


def activated(acmectl: Acmectl, port: int, *args: str) -> Outcome:
    """The outcome of a run that begins when somebody connects to ``port``."""
    run = acmectl.start(*args)
    wait_until(lambda: accepts(port) or not run.running, "systemd-socket-activate listens")
    return run.wait()


def test_without_a_socket_the_privilege_is_missing_and_the_message_says_so(world, tmp_path):
    with program(world, tmp_path) as acmectl:
        done = acmectl.certonly("a.example", code=1)
        assert "Cannot listen on port 80: permission denied" in done.err
        assert "have systemd pass a socket" in done.err


@pytest.mark.parametrize(("kind", "port"), [("http-01", 80), ("tls-alpn-01", 443)])
@pytest.mark.parametrize("sockets", [NAMED, NAMED[:-1]], ids=["named", "nameless"])
def test_the_sockets_that_systemd_passes_are_used(world, tmp_path, kind, port, sockets):
    with program(world, tmp_path, "systemd-socket-activate", *sockets) as acmectl:
        flags = ("-n", "--agree-tos", "--standalone", "--preferred-challenges", kind)
        activated(acmectl, port, "certonly", *flags, "-d", "a.example", "-d", "b.example").ok()
        assert acmectl.names("a.example") == ["a.example", "b.example"]
        assert f"standalone: answering on 127.0.0.1:{port}" in acmectl.log()


def test_one_socket_serves_all_certificates_of_a_run(world, tmp_path):
    with program(world, tmp_path, "systemd-socket-activate", *NAMED) as acmectl:
        for name in ("a.example", "b.example"):
            activated(acmectl, 80, "certonly", "-n", "--agree-tos", "--standalone", "-d", name).ok()
        activated(acmectl, 80, "renew", "--force-renewal").ok()
        assert (acmectl.version("a.example"), acmectl.version("b.example")) == (2, 2)


def test_a_socket_with_a_name_is_for_that_challenge_whatever_its_port(world, tmp_path):
    crossed = ("-l", "127.0.0.1:443", "-l", "127.0.0.1:80", "--fdname=http:tls-alpn")
    with program(world, tmp_path, "systemd-socket-activate", *crossed) as acmectl:
        done = activated(acmectl, 80, "certonly", "-n", "--agree-tos", "--standalone", "-d", "a.example").failed()
    assert "No request for a.example arrived on 127.0.0.1:443:" in done.out


def test_what_is_no_listening_socket_is_refused(world, tmp_path):
    with program(
        world, tmp_path, "sh", "-c", 'exec 3</dev/null; LISTEN_FDS=1 LISTEN_PID=$$ exec "$@"', "sh"
    ) as acmectl:
        done = acmectl.certonly("a.example", code=1)
        assert "The passed file descriptor 3 cannot be used" in done.err
