"""The way to the CA: silence, proxies, netrc, TLS, what is not https."""

import base64
import socket

import pytest
from cryptography import x509

from tests.integration.cli import Acmectl
from tests.integration.hosts import recording_proxy
from tests.integration.servers.hostile import HostileServer, PlainListener, answer


def test_proxies_of_the_environment_are_used_and_no_proxy_is_obeyed(pebble, acmectl):
    with recording_proxy() as (url, asked):
        acmectl.run("register", "-n", "--agree-tos", env={"HTTPS_PROXY": url}).ok()
        assert set(asked) == {f"127.0.0.1:{pebble.port}"}
        asked.clear()
        acmectl.run("show_account", "-n", env={"HTTPS_PROXY": url, "NO_PROXY": "127.0.0.1"}).ok()
        assert asked == []
        # A whole certificate through the proxy; its own challenge answers need none.
        env = {"https_proxy": url}
        acmectl.run("certonly", "-n", "--standalone", "-d", "proxied.example", env=env).ok()
        assert set(asked) == {f"127.0.0.1:{pebble.port}"}


def test_a_proxy_that_is_not_there_is_one_clear_line(acmectl):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    done = acmectl.run("register", "-n", "--agree-tos", env={"HTTPS_PROXY": f"http://127.0.0.1:{port}"}).failed()
    assert len(done.errors) == 1


@pytest.mark.parametrize("name", [".netrc", "_netrc"])
def test_a_netrc_is_never_read(tmp_path, name):
    with HostileServer({"/dir": answer({"no": "directory"})}) as server, Acmectl(None, tmp_path) as acmectl:
        for path in (acmectl.home / name, tmp_path / "named"):
            path.write_text("machine 127.0.0.1 login me password secret-of-netrc\ndefault login me password other\n")
            path.chmod(0o600)
        trust = ("--server", f"{server.url}/dir", "--ca-bundle", str(server.ca_bundle))
        for env in ({}, {"NETRC": str(tmp_path / "named")}):
            acmectl.run("register", "-n", "--agree-tos", *trust, env=env).failed()
    assert len(server.headers) >= 2
    sent = base64.b64encode(b"me:secret-of-netrc").decode()
    assert not [row for row in server.headers if "authorization" in row or sent in str(row)]


def test_an_http_directory_is_refused_without_a_connection(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as listener, Acmectl(None, tmp_path) as acmectl:
        listener.settimeout(0)
        for extra in ((), ("--no-verify-ssl",)):
            url = f"http://127.0.0.1:{listener.getsockname()[1]}/dir"
            done = acmectl.run("register", "-n", "--agree-tos", "--server", url, *extra).failed()
            assert len(done.errors) == 1
            assert "https" in done.errors[0]
        with pytest.raises(BlockingIOError):
            listener.accept()


def test_a_ca_that_nobody_vouches_for_is_refused_unless_verification_is_off(pebble, acmectl):
    ca = ("--server", pebble.directory_url)
    done = acmectl.run("register", "-n", "--agree-tos", *ca, server=False).failed()
    assert "not trusted" in done.errors[0]
    assert "--ca-bundle" in done.err
    acmectl.run("register", "-n", "--agree-tos", "--no-verify-ssl", *ca, server=False).ok()


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"])
def test_trust_comes_from_the_environment_where_no_bundle_is_named(pebble, acmectl, variable):
    ca = ("--server", pebble.directory_url)
    env = {variable: str(pebble.ca_bundle)}
    acmectl.run("register", "-n", "--agree-tos", *ca, server=False, env=env).ok()
    # The flag goes before it.
    other = acmectl.folder / "other.pem"
    other.write_bytes(pebble.roots()[0])
    assert x509.load_pem_x509_certificate(other.read_bytes())
    acmectl.run("show_account", "-n", "--ca-bundle", str(other), *ca, server=False, env=env).failed()
    acmectl.run("show_account", "-n", *ca, server=False, env={variable: str(other)}).failed()


def test_a_ca_that_accepts_and_never_answers_costs_one_timeout_for_all_lineages(acmectl):
    names = ("a.example", "b.example", "c.example")
    for name in names:
        acmectl.certonly(name)
    with PlainListener() as listener:
        server = ("--server", f"{listener.url}/dir", "--agree-tos")
        done = acmectl.run("renew", "--force-renewal", *server, server=False).failed()
        assert listener.connections == 1
    for name in names:
        assert f"{name}: 127.0.0.1:{listener.port} accepted a connection but did not answer within" in done.err
        assert acmectl.version(name) == 1
    assert done.err.count("(failure)") == len(names)
