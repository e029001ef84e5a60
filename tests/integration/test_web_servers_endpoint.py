"""--check-endpoint with real TLS servers: what counts as deployed is what clients are shown."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from acmectl.actions.endpoint import Endpoint, check_endpoint, parse_endpoint, served_leaf
from acmectl.clock import SystemClock
from acmectl.errors import HookFailed
from acmectl.identifiers import Identifier
from acmectl.interrupts import Interrupts
from tests.integration.cli import Acmectl
from tests.integration.hosts import script
from tests.integration.servers.nginx import Nginx
from tests.integration.servers.pebble import Pebble
from tests.integration.servers.process import free_port
from tests.integration.tls import served_certificate, wait_until_served

NAME = "a.example"


@pytest.fixture
def nginx(pebble: Pebble, public_folder: Path) -> Iterator[Nginx]:
    """One that answers where Pebble validates http-01, and shows some other certificate to who names no site."""
    authority = trustme.CA(key_type=trustme.KeyType.ECDSA)
    other = authority.issue_cert("other.example", key_type=trustme.KeyType.ECDSA)
    other.private_key_and_cert_chain_pem.write_to_path(str(public_folder / "other.pem"))
    root = public_folder / "root"
    root.mkdir()
    with Nginx(root, pebble.http_port) as server:
        yield server


def site(port: int, certificate: Path, key: Path, name: str = "_", address: str = "127.0.0.1") -> str:
    return (
        f"server {{ listen {address}:{port} ssl; server_name {name}; "
        f"ssl_certificate {certificate}; ssl_certificate_key {key}; }}"
    )


def serve(nginx: Nginx, acmectl: Acmectl) -> int:
    """Issue, then serve the live files for their name, and another certificate for all others; the port."""
    acmectl.certonly(NAME, options=("--webroot", "-w", str(nginx.root)))
    port = free_port()
    other = nginx.root.parent / "other.pem"
    live = site(port, acmectl.live(NAME, "fullchain"), acmectl.live(NAME, "privkey"), NAME)
    nginx.http_lines = f"{site(port, other, other)}\n{live}"
    nginx.reload()
    return port


def reload_hook(nginx: Nginx, folder: Path) -> str:
    """Returns before the new workers serve, as most reloads do."""
    return script(folder / "reload", f"kill -HUP {nginx.process.pid}")


def owed(acmectl: Acmectl) -> list[str]:
    rows: list[str] = acmectl.run("renew", "--json", server=False).json["lineages"][0]["deploy_owed"]
    return rows


def test_a_server_that_was_reloaded_passes_and_the_check_is_remembered(acmectl: Acmectl, nginx: Nginx) -> None:
    port = serve(nginx, acmectl)
    options = ("--deploy-hook", reload_hook(nginx, acmectl.folder), "--check-endpoint", f"127.0.0.1:{port}")
    done = acmectl.certonly(NAME, options=("--force-renewal", *options))
    assert f"127.0.0.1:{port} serves the new certificate of {NAME}." in done.out
    wait_until_served(port, NAME, acmectl.certificate(NAME))
    assert acmectl.renewal(NAME)["acmectl"]["check_endpoint"] == f'"127.0.0.1:{port}"'
    done = acmectl.run("renew", "--force-renewal").ok()
    assert f"127.0.0.1:{port} serves the new certificate of {NAME}." in done.out
    wait_until_served(port, NAME, acmectl.certificate(NAME))
    assert owed(acmectl) == []


def test_a_server_that_was_not_reloaded_is_told_by_its_serial_and_asked_again(acmectl: Acmectl, nginx: Nginx) -> None:
    port = serve(nginx, acmectl)
    old = served_certificate(port, NAME).serial_number
    done = acmectl.run("renew", "--force-renewal", "--check-endpoint", f"127.0.0.1:{port}").failed()
    new = acmectl.certificate(NAME).serial_number
    line = (
        f"{NAME}: --check-endpoint: 127.0.0.1:{port} serves for {NAME} the certificate with serial {old:x}, "
        f"not the new one with serial {new:x}."
    )
    assert done.errors[0] == line
    assert acmectl.version(NAME) == 2
    assert owed(acmectl) == ["--check-endpoint"]
    listed = acmectl.run("certificates", server=False).ok()
    assert "--check-endpoint" in listed.out
    # Put off, then asked again, with what has changed in between.
    assert acmectl.run("renew").failed().out.count("serves") == 0
    nginx.reload()
    done = acmectl.run("renew", "--retry-deploy").ok()
    assert f"127.0.0.1:{port} serves the new certificate of {NAME}." in done.out
    assert owed(acmectl) == []
    assert acmectl.run("renew").ok().out.count("serves") == 0


def test_after_a_hook_that_failed_both_are_owed_and_both_are_made_good(acmectl: Acmectl, nginx: Nginx) -> None:
    port = serve(nginx, acmectl)
    works = acmectl.folder / "works"
    hook = script(acmectl.folder / "hook", f"[ -e {works} ] && kill -HUP {nginx.process.pid}")
    options = ("--force-renewal", "--deploy-hook", hook, "--check-endpoint", f"127.0.0.1:{port}")
    done = acmectl.certonly(NAME, options=options, code=1)
    assert ["exit status 1" in done.errors[0], "--check-endpoint" in done.errors[1]] == [True, True]
    assert owed(acmectl) == [hook, "--check-endpoint"]
    works.touch()
    acmectl.run("renew", "--retry-deploy").ok()
    wait_until_served(port, NAME, acmectl.certificate(NAME))
    assert owed(acmectl) == []


def test_the_word_none_ends_the_check_and_what_is_owed_of_it(acmectl: Acmectl, nginx: Nginx) -> None:
    closed = f"127.0.0.1:{free_port()}"
    hook = script(acmectl.folder / "hook", "exit 1")  # so that nobody waits for the server
    webroot = ("--webroot", "-w", str(nginx.root))
    done = acmectl.certonly(NAME, options=(*webroot, "--deploy-hook", hook, "--check-endpoint", closed), code=1)
    assert f"--check-endpoint: {closed} gives no TLS answer: Connection refused." in done.errors
    script(acmectl.folder / "hook", "exit 0")
    acmectl.run("renew", "--retry-deploy", "--check-endpoint", "none").ok()
    assert owed(acmectl) == []
    acmectl.run("renew", "--force-renewal", "--check-endpoint", "none").ok()
    acmectl.run("renew", "--force-renewal").ok()


def test_a_dry_run_asks_no_server(acmectl: Acmectl, nginx: Nginx) -> None:
    closed = f"127.0.0.1:{free_port()}"
    options = ("--webroot", "-w", str(nginx.root), "--check-endpoint", closed, "--dry-run")
    acmectl.certonly(NAME, options=options)


@pytest.mark.parametrize("text", ["a.example:70000", "::1:443"])
def test_a_bad_endpoint_is_exit_2_before_the_ca_is_asked(acmectl: Acmectl, pebble: Pebble, text: str) -> None:
    before = len(pebble.requests())
    for verb in (("certonly", "-d", NAME), ("renew",)):
        done = acmectl.run(*verb, "-n", "--standalone", "--check-endpoint", text).failed(2)
        assert len(done.errors) == 1
        assert text in done.errors[0]
    assert len(pebble.requests()) == before


def test_an_ipv6_address_is_asked(nginx: Nginx) -> None:
    port = free_port()
    other = nginx.root.parent / "other.pem"
    nginx.http_lines = site(port, other, other, address="[::1]")
    nginx.reload()
    ask(f"[::1]:{port}", other.read_bytes())


def test_a_server_with_two_kinds_of_keys_may_serve_either(nginx: Nginx) -> None:
    port = free_port()
    authority = trustme.CA()
    pems = []
    for kind in (trustme.KeyType.RSA, trustme.KeyType.ECDSA):
        blob = authority.issue_cert(NAME, key_type=kind).private_key_and_cert_chain_pem
        blob.write_to_path(str(nginx.root.parent / f"{kind.name}.pem"))
        pems.append(nginx.root.parent / f"{kind.name}.pem")
    pairs = " ".join(f"ssl_certificate {pem}; ssl_certificate_key {pem};" for pem in pems)
    nginx.http_lines = f"server {{ listen 127.0.0.1:{port} ssl; {pairs} }}"
    nginx.reload()
    for pem in pems:
        ask(f"127.0.0.1:{port}", pem.read_bytes())
    with pytest.raises(HookFailed, match="not the new one"):
        ask(f"127.0.0.1:{port}", authority.issue_cert(NAME).cert_chain_pems[0].bytes())


def test_a_server_that_speaks_no_tls_or_nothing_at_all_is_told_apart(nginx: Nginx) -> None:
    pem = trustme.CA().issue_cert(NAME).cert_chain_pems[0].bytes()
    with pytest.raises(HookFailed, match=r"gives no TLS answer: TLS: .*\."):
        ask(f"127.0.0.1:{nginx.port}", pem)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with pytest.raises(TimeoutError):
            served_leaf(Endpoint(host=Identifier.ip("127.0.0.1"), port=port), None, 0.05)


def ask(text: str, pem: bytes) -> None:
    """Ask once; what was served is what ``pem`` begins with, or HookFailed."""
    interrupts = Interrupts()
    endpoint = parse_endpoint(text, "")
    assert endpoint is not None
    leaf = b"-----BEGIN CERTIFICATE" + pem.split(b"-----BEGIN CERTIFICATE")[1]
    check_endpoint(endpoint, leaf, clock=SystemClock(interrupts), interrupts=interrupts, patience=0)
