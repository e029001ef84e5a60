"""Whatever stands in a web server's files, reading them ends and gives a place or a reason."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from acmectl.actions.webserver_apache import ApacheSites
from acmectl.actions.webserver_nginx import NginxSites

_WORDS = (
    "http server location { } ; root /srv listen 80 server_name a.example if return 301 ~ ^~ / alias include * ' \" ="
)
_MORE = "https://$host$request_uri ($host rewrite ^ \\ # ${x} try_files ssl 443 [::]:80 é"
NGINX = st.lists(st.sampled_from([*_WORDS.split(), *_MORE.split(), "\n", "\0"]), max_size=80)
_LINES = """<VirtualHost *:80>
</VirtualHost>
ServerName a.example
DocumentRoot /srv
DocumentRoot
<
>
Alias /.well-known /x
Alias
Redirect / https://a.example/
RewriteEngine on
RewriteRule ^ -
RewriteCond
RewriteRule ^ https://%{HTTP_HOST}%{REQUEST_URI}
ProxyPass / !
Include *
</IfModule>
<IfModule x>
Define A ${A}
ServerRoot /no/where
RedirectMatch ( x
SSLEngine on
\\
\"
"""
APACHE = st.lists(st.sampled_from([*_LINES.splitlines(), "\0"]), max_size=40)


@given(NGINX)
def test_nginx(words: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "nginx.conf")
        path.write_text(" ".join(words))
        found = NginxSites(path).place("a.example")
        assert [found.webroot, found.challenge_dir, found.why_not].count(None) == 2


@settings(max_examples=50)  # a file that includes itself is read very often
@given(APACHE)
def test_apache(lines: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "apache2.conf")
        path.write_text("\n".join(lines))
        found = ApacheSites(path).place("a.example")
        assert [found.webroot, found.challenge_dir, found.why_not].count(None) == 2


@given(st.binary(max_size=300))
def test_any_bytes(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "any.conf")
        path.write_bytes(data)
        NginxSites(path).place("a.example")
        ApacheSites(path).place("a.example")
