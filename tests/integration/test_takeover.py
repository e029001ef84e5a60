"""Certificates of certbot's nginx and apache plugins: the command that is printed takes them over, in the real servers.

And those whose renewal file lost its web roots: the command that is printed repairs them.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.integration.cli import PROGRAM, Acmectl
from tests.integration.fleet import plant
from tests.integration.servers.apache import Apache
from tests.integration.servers.nginx import Nginx
from tests.integration.servers.pebble import Pebble
from tests.integration.servers.process import free_port
from tests.integration.servers.static import static_server

NAME = "a.example"
COMMAND = re.compile(r"To (?:take it over|repair it): (acmectl .*)$", re.MULTILINE)


def printed(text: str) -> str:
    """The one command in what was printed."""
    found = COMMAND.findall(text)
    assert len(set(found)) == 1, text
    command: str = found[0]
    return command


def run_as_printed(acmectl: Acmectl, command: str, env: dict[str, str] | None = None) -> str:
    """Give the line to a shell, as a person does who copies it."""
    environ = {**acmectl.environ(env), "PATH": f"{Path(PROGRAM).parent}:/usr/sbin:{os.environ['PATH']}"}
    done = subprocess.run(
        ["/bin/sh", "-c", command], env=environ, cwd=acmectl.cwd, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def folder(parent: Path, name: str) -> Path:
    path = parent / name
    path.mkdir()
    path.chmod(0o755)
    return path


class Site:
    """A server that shows ``public`` to everybody and has sites of its own besides."""

    def __init__(self, kind: str, server: Nginx | Apache, config: Path) -> None:
        self.kind, self.server, self.config = kind, server, config
        self.env = {f"{kind.upper()}_RELOAD_CONFIG": str(config)}

    def add(self, *sites: str) -> None:
        if isinstance(self.server, Nginx):
            self.server.http_lines = "\n".join(sites)
        else:
            self.server.server_lines = "\n".join(sites)
        self.server.reload()

    def site(self, names: str, root: Path, extra: str = "") -> str:
        """A site of its own."""
        if self.kind == "nginx":
            listen = f"listen 127.0.0.1:{self.server.port};"
            return f"server {{ {listen} server_name {names}; root {root}; {extra} }}"
        first, *others = names.split()
        alias = f"ServerAlias {' '.join(others)}" if others else ""
        return (
            f"<Directory {root}>\nRequire all granted\n</Directory>\n<VirtualHost 127.0.0.1:{self.server.port}>\n"
            f"ServerName {first}\n{alias}\nDocumentRoot {root}\n{extra}\n</VirtualHost>"
        )


@contextmanager
def running(kind: str, root: Path, port: int) -> Iterator[Site]:
    if kind == "nginx":
        with Nginx(root, port) as nginx:
            yield Site(kind, nginx, nginx.folder / "nginx.conf")
    else:
        with Apache(root, port) as apache:
            yield Site(kind, apache, apache.config)


@pytest.fixture(params=["nginx", "apache"])
def site(request: pytest.FixtureRequest, pebble: Pebble, public_folder: Path) -> Iterator[Site]:
    with running(request.param, folder(public_folder, "default"), pebble.http_port) as found:
        yield found


@pytest.fixture
def registered(acmectl: Acmectl) -> Acmectl:
    acmectl.run("register", "-n", "--agree-tos").ok()
    return acmectl


def take_over(acmectl: Acmectl, site: Site, *names: str) -> str:
    """As an administrator does it: renew says how, and that is done; then it renews."""
    plant(acmectl, NAME, names=names or (NAME,), params={"authenticator": site.kind, "installer": site.kind})
    before = acmectl.renewal_path(NAME).read_text()
    failed = acmectl.run("renew", server=False, env=site.env).failed()
    assert f"says authenticator = {site.kind}" in failed.err
    command = printed(failed.err)
    assert before.replace("\n", "") in acmectl.renewal_path(NAME).read_text().replace("\n", "")  # but for the backoff
    assert "The trial was successful" in run_as_printed(acmectl, command, site.env)
    done = acmectl.run("renew", "--force-renewal", server=False, env=site.env).ok()
    assert done.out.count(f"{site.kind}-reload: Reloaded.") == 1, done
    assert acmectl.version(NAME) == 2
    return command


def test_the_root_of_the_site_that_has_the_names(registered: Acmectl, site: Site, public_folder: Path) -> None:
    root = folder(public_folder, "the site")
    site.add(site.site("www.a.example a.example", Path(f'"{root}"')))
    command = take_over(registered, site, NAME, "www.a.example")
    assert f"--webroot -w '{root}' --deploy-hook " in command
    assert registered.params(NAME)["webroot_map"] == {NAME: str(root), "www.a.example": str(root)}


def test_names_of_several_sites(registered: Acmectl, site: Site, public_folder: Path) -> None:
    one, two = folder(public_folder, "one"), folder(public_folder, "two")
    site.add(site.site(NAME, one), site.site("b.example", two))
    command = take_over(registered, site, NAME, "b.example", "c.example")
    assert "--webroot-map" in command
    # What no site has the name of goes to the first one of Apache, and to the one nginx was shown first.
    default = str(one if site.kind == "apache" else public_folder / "default")
    assert registered.params(NAME)["webroot_map"] == {NAME: str(one), "b.example": str(two), "c.example": default}


def test_a_folder_for_all_challenges_beats_the_root(registered: Acmectl, site: Site, public_folder: Path) -> None:
    challenges, root = folder(public_folder, "challenges"), folder(public_folder, "root")
    location = f"location ^~ /.well-known/acme-challenge/ {{ alias {challenges}/; }}"
    location += " location / { return 301 https://elsewhere.example/; }"
    if site.kind == "apache":
        granted = f"<Directory {challenges}>\nRequire all granted\n</Directory>"
        location = f"Alias /.well-known/acme-challenge/ {challenges}/\n{granted}"
    site.add(site.site(NAME, root, location))
    command = take_over(registered, site)
    assert f"--webroot --challenge-dir {challenges} " in command


def test_a_redirect_to_https_is_followed(registered: Acmectl, public_folder: Path, pebble: Pebble) -> None:
    """What certbot's nginx plugin has made of many a site."""
    root = folder(public_folder, "root")
    registered.certonly(NAME, options=("--standalone",))
    kept = registered.folder / "kept"
    kept.mkdir()
    for kind in ("fullchain", "privkey"):
        (kept / f"{kind}.pem").write_bytes(registered.live(NAME, kind).read_bytes())
    certificate = f"ssl_certificate {kept}/fullchain.pem; ssl_certificate_key {kept}/privkey.pem;"
    registered.run("delete", "-n", "--cert-name", NAME, server=False).ok()
    https = free_port()
    with running("nginx", folder(public_folder, "default"), pebble.http_port) as site:
        site.add(
            f"server {{ if ($host = {NAME}) {{ return 301 https://$host:{https}$request_uri; }}"
            f" listen 127.0.0.1:{pebble.http_port}; server_name {NAME}; return 404; }}",
            f"server {{ listen 127.0.0.1:{https} ssl; server_name {NAME}; root {root}; {certificate} }}",
        )
        command = take_over(registered, site)
        assert f"-w {root} " in command


def test_what_cannot_be_read_is_left_open(registered: Acmectl, site: Site, public_folder: Path) -> None:
    passed = (
        "location / { proxy_pass http://127.0.0.1:9; }" if site.kind == "nginx" else "ProxyPass / http://127.0.0.1:9/"
    )
    site.add(site.site(NAME, folder(public_folder, "root"), passed))
    plant(registered, NAME, params={"authenticator": site.kind, "installer": site.kind})
    failed = registered.run("renew", "--json", server=False, env=site.env).failed()
    hint = failed.json["lineages"][0]["hint"]
    assert "--webroot -w DIR --deploy-hook" in printed(hint)
    assert "passes its requests on" in hint
    assert "docs/web-servers.md" in hint


def test_a_deploy_hook_that_is_there_goes_on_running(registered: Acmectl, site: Site, public_folder: Path) -> None:
    ran = registered.folder / "ran"
    plant(registered, NAME, params={"authenticator": site.kind, "renew_hook": f"echo 'it ran' >> {ran}"})
    failed = registered.run("renew", server=False, env=site.env).failed()
    run_as_printed(registered, printed(failed.err), site.env)
    done = registered.run("renew", "--force-renewal", server=False, env=site.env).ok()
    assert f"{site.kind}-reload: Reloaded." in done.out
    assert ran.read_text() == "it ran\n"


def test_certonly_on_such_a_certificate_says_the_same(registered: Acmectl, site: Site) -> None:
    plant(registered, NAME, params={"authenticator": site.kind, "installer": site.kind})
    failed = registered.run("certonly", "-n", "--cert-name", NAME, "--force-renewal", env=site.env).failed()
    assert f"--cert-name {NAME} --webroot -w {site.server.root} --deploy-hook" in printed(failed.err)


# The renewal file that lost its web roots.


@pytest.fixture
def webroot(registered: Acmectl, pebble: Pebble, public_folder: Path) -> Iterator[Path]:
    with static_server(public_folder, pebble.http_port):
        plant(registered, NAME, names=(NAME, "b.example"), webroot=public_folder)
        yield public_folder


def lose(path: Path, *patterns: str) -> None:
    text = path.read_text()
    for pattern in patterns:
        assert re.search(pattern, text, re.MULTILINE), (pattern, text)
        text = re.sub(pattern, "", text, flags=re.MULTILINE)
    path.write_text(text)


MAP = r"^\[\[webroot_map\]\]\n(?:.+ = .+\n)*"
Damage = Callable[[Acmectl, Path], None]


def lose_everything(acmectl: Acmectl, _webroot: Path) -> None:
    lose(acmectl.renewal_path(NAME), r"^webroot_path.*\n", MAP)


def lose_one_name(acmectl: Acmectl, _webroot: Path) -> None:
    lose(acmectl.renewal_path(NAME), r"^webroot_path.*\n", r"^b\.example = .*\n")


def lose_the_folder(acmectl: Acmectl, webroot: Path) -> None:
    path = acmectl.renewal_path(NAME)
    path.write_text(path.read_text().replace(str(webroot), f"{webroot}/gone"))


@pytest.mark.parametrize(
    ("damage", "what", "options"),
    [
        (lose_everything, "there is no web root for a.example, b.example", ["--webroot", "-w", "DIR"]),
        (
            lose_one_name,
            "there is no web root for b.example",
            ["--webroot", "--webroot-map", """'{"b.example": "DIR"}'"""],
        ),
        (lose_the_folder, "gone of a.example, b.example does not exist", ["--webroot", "-w", "DIR"]),
    ],
)
def test_lost_web_roots_are_told_and_repaired_by_the_command(
    registered: Acmectl, webroot: Path, damage: Damage, what: str, options: list[str]
) -> None:
    damage(registered, webroot)
    failed = registered.run("renew", server=False).failed()
    assert what in failed.err
    assert "For DIR put the folder" in failed.err
    command = printed(failed.err)
    assert command.endswith(f" --cert-name {NAME} {' '.join(options)}")
    run_as_printed(registered, command.replace("DIR", str(webroot)))
    assert registered.params(NAME)["webroot_map"] == {NAME: str(webroot), "b.example": str(webroot)}
    registered.run("renew", "--force-renewal", server=False).ok()
    assert registered.version(NAME) == 2


def test_lost_web_roots_are_read_from_the_server(registered: Acmectl, site: Site, public_folder: Path) -> None:
    plant(registered, NAME, webroot=site.server.root)
    lose_everything(registered, public_folder)
    failed = registered.run("renew", server=False, env=site.env).failed()
    command = printed(failed.err)
    assert command.endswith(f" --webroot -w {site.server.root}")
    run_as_printed(registered, command)
    registered.run("renew", "--force-renewal", server=False).ok()
