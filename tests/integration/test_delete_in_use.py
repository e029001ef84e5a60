"""delete: what still names the files is told before they go."""

from __future__ import annotations

import subprocess

import pytest

from tests.integration.cli import PROGRAM, Acmectl
from tests.integration.servers.requirements import require, require_root

NAME = "a.example"


def test_hooks_that_name_the_files_are_told_before_the_question(acmectl: Acmectl) -> None:
    acmectl.certonly(NAME)
    live = acmectl.config / "live" / NAME
    hook = acmectl.config / "renewal-hooks" / "deploy" / "copy"
    hook.write_text(f"#!/bin/sh\ncp {live}/fullchain.pem /somewhere\n")
    terminal = acmectl.terminal("delete", "--cert-name", NAME, server=False)
    terminal.expect("Warning: ")
    terminal.expect("line 2")
    terminal.expect("Delete the certificate a.example")
    terminal.sendline("n")
    terminal.wait()
    assert terminal.exitstatus == 0  # no is an answer, as for certbot
    assert live.exists()
    done = acmectl.run("delete", "-n", "--json", "--cert-name", NAME, server=False).ok()
    assert done.err == f"Warning: {hook}, line 2, still names {live}.\n"
    assert done.json["in_use"] == [{"name": NAME, "path": str(hook), "line": 2}]
    assert not live.exists()


def test_a_revocation_that_deletes_tells_too(acmectl: Acmectl) -> None:
    acmectl.certonly(NAME)
    hook = acmectl.config / "renewal-hooks" / "post" / "copy"
    hook.write_text(f"cp {acmectl.live(NAME)} /somewhere\n")
    done = acmectl.run("revoke", "-n", "--cert-name", NAME).ok()
    assert f"Warning: {hook}, line 1, still names {acmectl.config / 'live' / NAME}.\n" in done.err


def test_a_certificate_that_nothing_names_goes_without_a_warning(acmectl: Acmectl) -> None:
    acmectl.certonly(NAME)
    assert "Warning" not in acmectl.run("delete", "-n", "--cert-name", NAME, server=False).ok().err


@pytest.mark.parametrize(
    ("place", "text"),
    [
        ("/etc/nginx/sites-enabled/site", "server {{\n  ssl_certificate {live}/fullchain.pem;\n}}\n"),
        ("/etc/apache2/sites-enabled/site.conf", "<VirtualHost *>\n  SSLCertificateFile {live}/cert.pem\n"),
        ("/etc/httpd/conf.d/ssl.conf", "\nSSLCertificateKeyFile {live}/privkey.pem\n"),
        ("/etc/haproxy/haproxy.cfg", "frontend x\n  bind :443 ssl crt {archive}/fullchain1.pem\n"),
        ("/etc/postfix/main.cf", "# old\nsmtpd_tls_cert_file={live}/fullchain.pem\n"),
        ("/etc/dovecot/conf.d/10-ssl.conf", "ssl = yes\nssl_cert = <{live}/fullchain.pem\n"),
    ],
)
def test_the_configuration_of_each_server_is_looked_through(acmectl: Acmectl, place: str, text: str) -> None:
    """In a mount name space of its own, where the server's folder in /etc is one that the test has made."""
    require_root()
    require("unshare", "mount")
    acmectl.certonly(NAME)
    live, archive = acmectl.config / "live" / NAME, acmectl.config / "archive" / NAME
    content = acmectl.folder / "content"
    content.write_text(text.format(live=live, archive=archive))
    # /etc is covered by a layer, so that folders of servers that are not installed can be made in it.
    shell = (
        'mount -t tmpfs tmpfs "$1" && mkdir "$1/u" "$1/w" && '
        'mount -t overlay -o "lowerdir=/etc,upperdir=$1/u,workdir=$1/w" overlay /etc && '
        'rm -rf "/etc/$(echo "$2" | cut -d/ -f3)" && mkdir -p "$(dirname "$2")" && cp "$3" "$2" && shift 3 && exec "$@"'
    )
    layer = acmectl.folder / "layer"
    layer.mkdir()
    done = subprocess.run(
        [
            *("unshare", "--mount", "--propagation", "private", "sh", "-c", shell, "sh"),
            *(str(layer), place, str(content), PROGRAM, *acmectl.directories, "delete", "-n", "--cert-name", NAME),
        ],
        env=acmectl.environ(),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    named = archive if "{archive}" in text else live
    assert f"Warning: {place}, line 2, still names {named}.\n" in done.stderr
