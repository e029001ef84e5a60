"""docs/web-servers.md, block by block, in the real servers."""

from __future__ import annotations

import http.client
import http.server
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.integration.cli import Acmectl
from tests.integration.hosts import script
from tests.integration.servers.apache import Apache
from tests.integration.servers.haproxy import HAProxy
from tests.integration.servers.nginx import Nginx
from tests.integration.servers.pebble import Pebble
from tests.integration.servers.process import free_port
from tests.integration.tls import served_certificate, wait_until_served

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "web-servers.md").read_text()
FOLDER = "/var/www/acme-challenge"
PLACE = "/.well-known/acme-challenge"
TOKEN = "evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA"
ANSWER = f"{TOKEN}.thumbprint"


def block(server: str, title: str, language: str) -> str:
    """The block in ``language`` below ``## server`` and ``### title``."""
    section = PAGE.split(f"\n## {server}\n", 1)[1].split("\n## ", 1)[0]
    if title:
        section = section.split(f"\n### {title}\n", 1)[1].split("\n### ", 1)[0]
    (found,) = re.findall(rf"```{language}\n(.*?)```", section, re.DOTALL)
    text: str = found
    return text


def fitted(text: str, changes: Mapping[str, object]) -> str:
    """``text`` with the paths and ports of the test; each one that is to be changed has to be there."""
    for before, after in changes.items():
        assert before in text, f"the page no longer says {before!r}"
        text = text.replace(before, str(after))
    return text


def get(port: int, host: str, path: str) -> tuple[int, str, str]:
    """Status, ``Location`` and body."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("GET", path, headers={"Host": host})
        answer = connection.getresponse()
        return answer.status, answer.getheader("Location", ""), answer.read().decode()
    finally:
        connection.close()


@contextmanager
def application() -> Iterator[int]:
    """Something that answers every path with what it was asked; its port."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = f"application {self.path}".encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name in the base class
            """Say nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()


@pytest.fixture
def folder(public_folder: Path) -> Path:
    """The challenge folder, with one challenge."""
    found = public_folder / "acme-challenge"
    found.mkdir()
    (found / TOKEN).write_text(ANSWER)
    (public_folder / "root").mkdir()
    return found


@pytest.fixture
def nginx(pebble: Pebble, folder: Path) -> Iterator[Nginx]:
    with Nginx(folder.parent / "root", pebble.http_port) as server:
        snippet = server.folder / "snippets" / "acme-challenge.conf"
        snippet.parent.mkdir()
        snippet.write_text(fitted(block("nginx", "The challenge folder", "nginx"), {FOLDER: folder}))
        yield server


@contextmanager
def apache(pebble: Pebble, folder: Path, text: str) -> Iterator[Apache]:
    """One with the challenge folder and ``text``."""
    lines = fitted(block("Apache httpd", "The challenge folder", "apache"), {FOLDER: folder})
    with Apache(folder.parent / "root", pebble.http_port, server_lines=lines + text) as server:
        yield server


def with_nginx(nginx: Nginx, text: str) -> None:
    nginx.http_lines = text
    nginx.reload()


def issue(acmectl: Acmectl, folder: Path, *names: str) -> None:
    """Have Pebble look at the challenges through the server, with the command of the page."""
    (command,) = re.findall(
        r"^# acmectl (certonly --webroot --challenge-dir .* www\.example\.org)$", PAGE, re.MULTILINE
    )
    options = command.replace(FOLDER, str(folder)).split(" -d ")[0].split()[1:]
    acmectl.certonly(*names, options=options)
    assert acmectl.names(names[0]) == sorted(names)
    assert [path.name for path in folder.iterdir()] == [TOKEN]


def assert_challenges_and_redirects(port: int) -> None:
    for host in ("example.org", "www.example.org"):
        assert get(port, host, f"{PLACE}/{TOKEN}") == (200, "", ANSWER)
        assert get(port, host, f"{PLACE}/missing")[:2] == (404, "")
    assert get(port, "example.org", "/")[:2] == (301, "https://example.org/")
    assert get(port, "example.org", "/shop/a?b=c")[:2] == (301, "https://example.org/shop/a?b=c")
    assert get(port, "example.org", "/.well-known/other")[:2] == (301, "https://example.org/.well-known/other")


def assert_challenges_and_application(port: int) -> None:
    assert get(port, "app.example.org", f"{PLACE}/{TOKEN}") == (200, "", ANSWER)
    assert get(port, "app.example.org", f"{PLACE}/missing")[0] == 404
    for path in ("/", "/shop/a?b=c", "/.well-known/other"):
        assert get(port, "app.example.org", path) == (200, "", f"application {path}")


def test_nginx_shows_the_folder_while_the_site_redirects(acmectl: Acmectl, nginx: Nginx, folder: Path) -> None:
    listen = {"listen 80;": f"listen 127.0.0.1:{nginx.port};"}
    text = fitted(block("nginx", "With a redirect to https", "nginx"), listen)
    with_nginx(nginx, text)
    assert_challenges_and_redirects(nginx.port)
    issue(acmectl, folder, "example.org", "www.example.org")
    # What the page warns of: a return that belongs to no location answers first.
    with_nginx(nginx, fitted(text, {"location / {": "return 301 https://$host$request_uri; location / {"}))
    assert get(nginx.port, "example.org", f"{PLACE}/{TOKEN}")[0] == 301


def test_nginx_shows_the_folder_of_a_site_that_is_closed(nginx: Nginx) -> None:
    closed = r"auth_basic closed; auth_basic_user_file /dev/null; deny all; location ~ /\. { return 403; } location / {"
    changes = {"listen 80;": f"listen 127.0.0.1:{nginx.port};", "location / {": closed}
    with_nginx(nginx, fitted(block("nginx", "With a redirect to https", "nginx"), changes))
    assert get(nginx.port, "example.org", f"{PLACE}/{TOKEN}") == (200, "", ANSWER)
    assert get(nginx.port, "example.org", "/.well-known/other")[0] == 403


def test_nginx_shows_the_folder_before_an_application(acmectl: Acmectl, nginx: Nginx, folder: Path) -> None:
    with application() as port:
        changes = {"listen 80;": f"listen 127.0.0.1:{nginx.port};", "127.0.0.1:8080": f"127.0.0.1:{port}"}
        with_nginx(nginx, fitted(block("nginx", "Before an application", "nginx"), changes))
        assert_challenges_and_application(nginx.port)
        issue(acmectl, folder, "app.example.org")


def test_apache_shows_the_folder_while_the_site_redirects(acmectl: Acmectl, pebble: Pebble, folder: Path) -> None:
    port = pebble.http_port
    text = fitted(block("Apache httpd", "With a redirect to https", "apache"), {"*:80": f"127.0.0.1:{port}"})
    with apache(pebble, folder, text):
        assert_challenges_and_redirects(port)
        issue(acmectl, folder, "example.org", "www.example.org")
    # What the page warns of, and what it offers instead.
    (rule,) = re.findall(r"^    RedirectMatch .*$", text, re.MULTILINE)
    with apache(pebble, folder, fitted(text, {rule: 'Redirect 301 "/" "https://example.org/"'})):
        assert get(port, "example.org", f"{PLACE}/{TOKEN}")[0] == 301
    (condition,) = re.findall(r"`(RewriteCond .*)`", PAGE)
    rewrite = f'RewriteEngine on\n{condition}\nRewriteRule "^/(.*)" "https://example.org/$1" [R=301,L]'
    with apache(pebble, folder, fitted(text, {rule: rewrite})):
        assert_challenges_and_redirects(port)


def test_apache_shows_the_folder_before_an_application(acmectl: Acmectl, pebble: Pebble, folder: Path) -> None:
    with application() as application_port:
        changes = {"*:80": f"127.0.0.1:{pebble.http_port}", "127.0.0.1:8080": f"127.0.0.1:{application_port}"}
        text = fitted(block("Apache httpd", "Before an application", "apache"), changes)
        with apache(pebble, folder, text):
            assert_challenges_and_application(pebble.http_port)
            issue(acmectl, folder, "app.example.org")
        # The other way to write it.
        (rule,) = re.findall(r"^    ProxyPass .*$", text, re.MULTILINE)
        location = f'<Location "/">\nProxyPass "http://127.0.0.1:{application_port}/"\n</Location>'
        with apache(pebble, folder, fitted(text, {rule: location})):
            assert_challenges_and_application(pebble.http_port)


def test_nginx_serves_the_certificate_with_the_lines_of_the_page(acmectl: Acmectl, nginx: Nginx, folder: Path) -> None:
    acmectl.certonly("example.org", options=("--webroot", "-w", str(nginx.root)))
    port = free_port()
    live = {"/etc/acmectl/live": acmectl.config / "live", "/var/www/html": nginx.root}
    changes = {**live, "listen 443 ssl;": f"listen 127.0.0.1:{port} ssl;"}
    with_nginx(nginx, fitted(block("nginx", "The certificate", "nginx"), changes))
    assert served_certificate(port, "www.example.org") == acmectl.certificate("example.org")


def test_apache_serves_the_certificate_with_the_lines_of_the_page(
    acmectl: Acmectl, pebble: Pebble, folder: Path
) -> None:
    acmectl.certonly("example.org")
    port = free_port()
    live = {"/etc/acmectl/live": acmectl.config / "live", "/var/www/html": folder.parent / "root"}
    text = fitted(block("Apache httpd", "The certificate", "apache"), {**live, "*:443": f"127.0.0.1:{port}"})
    with apache(pebble, folder, f"Listen 127.0.0.1:{port}\n{text}"):
        assert served_certificate(port, "www.example.org") == acmectl.certificate("example.org")


def test_haproxy_passes_the_challenges_on_and_serves_what_the_hook_makes(acmectl: Acmectl, pebble: Pebble) -> None:
    standalone, tls = free_port(), free_port()
    page = PAGE.split("\n## HAProxy\n", 1)[1].split("\n## ", 1)[0]
    changes = {"bind :80": f"bind 127.0.0.1:{pebble.http_port}", "127.0.0.1:8888": f"127.0.0.1:{standalone}"}
    lines = fitted(block("HAProxy", "", "haproxy"), changes)
    (command,) = re.findall(r"^# acmectl (.*)$", page, re.MULTILINE)
    options = fitted(command, {"8888": standalone}).split(" -d ")[0].split()[1:]
    pem, pid = acmectl.folder / "example.org.pem", acmectl.folder / "pid"
    reload = {"systemctl reload haproxy": f"kill -USR2 $(cat {pid})", "/etc/haproxy/example.org.pem": pem}
    hook = script(acmectl.folder / "hook", fitted(block("HAProxy", "", "sh"), reload).removeprefix("#!/bin/sh\n"))
    with HAProxy(pebble.http_port, lines) as haproxy:
        pid.write_text(str(haproxy.process.pid))
        assert get(pebble.http_port, "example.org", "/shop")[:2] == (301, "https://example.org/shop")
        assert get(pebble.http_port, "example.org", f"{PLACE}/{TOKEN}")[0] == 503
        acmectl.certonly("example.org", options=(*options, "--deploy-hook", hook))
        assert pem.stat().st_mode & 0o777 == 0o600
    lines += f"frontend https\n    bind 127.0.0.1:{tls} ssl crt {pem}\n    mode http\n    default_backend acme\n"
    with HAProxy(pebble.http_port, lines) as haproxy:
        pid.write_text(str(haproxy.process.pid))
        assert served_certificate(tls, "example.org") == acmectl.certificate("example.org")
        acmectl.run("renew", "--force-renewal", server=False).ok()
        new = acmectl.certificate("example.org")
        wait_until_served(tls, "example.org", new)


def test_the_page_names_every_variable_of_the_hooks() -> None:
    hooks = Path(__file__).resolve().parents[2] / "acmectl" / "hooks"
    for hook in sorted(hooks.iterdir()):
        names = set(re.findall(r"\b(?:NGINX|APACHE)_RELOAD_[A-Z_]+", hook.read_text()))
        assert len(names) == 4
        assert {name for name in names if f"| `{name}` |" in PAGE} == names
