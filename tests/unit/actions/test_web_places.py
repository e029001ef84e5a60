"""Where nginx and Apache look for challenges, read from configurations as they are found in the field."""

from __future__ import annotations

from pathlib import Path

import pytest

from acmectl.actions.web_places import Place
from acmectl.actions.webserver_apache import ApacheSites
from acmectl.actions.webserver_apache import config_path as apache_config
from acmectl.actions.webserver_nginx import NginxSites
from acmectl.actions.webserver_nginx import config_path as nginx_config

NAME = "a.example"


def nginx(folder: Path, text: str, name: str = NAME, *, port: int = 80) -> Place:
    (folder / "nginx.conf").write_text(text)
    return NginxSites(folder / "nginx.conf").place(name, port=port)


def server(text: str) -> str:
    return f"http {{ root /outer; server {{ listen 80; server_name {NAME}; {text} }} }}"


@pytest.mark.parametrize(
    ("text", "root"),
    [
        ("root /srv/www;", "/srv/www"),
        ("root '/srv/with blank/';", "/srv/with blank"),
        ("", "/outer"),
        ("# root /no;\nroot /srv; location / { try_files $uri $uri/ =404; }", "/srv"),
        ("root /srv; location / { root /app; }", "/app"),
        ("root /srv; location ^~ /.well-known/ { root /acme; } location / { proxy_pass http://x; }", "/acme"),
        ("root /srv; location ~ /\\.ht { deny all; } location ~* \\.(js|css)$ { expires 1d; }", "/srv"),
        ("root /srv; location /.well-known/acme-challenge { alias /c/.well-known/acme-challenge; }", "/c"),
        ("root /srv; location = / { return 301 https://x/; } location /app { proxy_pass http://x; }", "/srv"),
        ("root /srv; if ($request_method = POST) { return 405; }", "/srv"),
        ("root /srv; if ($host = other.example) { return 301 https://$host$request_uri; }", "/srv"),
        ("root /srv; if ($request_uri !~ acme-challenge) { return 301 https://$host$request_uri; }", "/srv"),
        ("root /srv; content_by_lua_block { if x then return '}' end } location / { }", "/srv"),
        ("root /srv; auth_basic closed; location /.well-known/ { auth_basic off; }", "/srv"),
    ],
)
def test_the_root_that_a_server_of_nginx_has(tmp_path: Path, text: str, root: str) -> None:
    assert nginx(tmp_path, server(text)) == Place(webroot=root)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("root /srv; return 404;", "'return 404'"),
        ("root /srv; return 301 https://elsewhere.example$request_uri;", "no server of nginx speaks https"),
        ("root /srv; return 301 https://$host/welcome;", "redirects everything to https://$host/welcome"),
        ("root /srv; rewrite ^ /index.php last;", "rewrites"),
        ("location / { proxy_pass http://127.0.0.1:3000; }", "proxy_pass http://127.0.0.1:3000"),
        ("root /srv; location ~ /\\. { deny all; }", "refuses"),
        ("root /srv; location ~ (a+)+$ { }", "not clear"),
        ("root /srv/$host;", "variables"),
        ("root html;", "not an absolute path"),
        ("root /srv; location / { try_files /index.html =404; }", "tries other files"),
        ("root /srv; auth_basic closed;", "password"),
    ],
)
def test_why_a_server_of_nginx_has_none(tmp_path: Path, text: str, why: str) -> None:
    found = nginx(tmp_path, server(text))
    assert found.webroot is None
    assert why in str(found.why_not)


def test_an_alias_is_a_folder_of_challenges(tmp_path: Path) -> None:
    text = server("location ^~ /.well-known/acme-challenge/ { alias /var/www/acme-challenge/; }")
    assert nginx(tmp_path, text) == Place(challenge_dir="/var/www/acme-challenge")
    text = server("location /.well-known/ { alias /var/www/known/; }")
    assert nginx(tmp_path, text) == Place(challenge_dir="/var/www/known/acme-challenge")


CERTBOTS = """
http {
    server {
        if ($host = www.a.example) { return 301 https://$host$request_uri; } # managed by Certbot
        if ($host = a.example) {
            return 301 https://$host$request_uri;
        } # managed by Certbot
        listen 80; listen [::]:80;
        server_name a.example www.a.example;
        return 404; # managed by Certbot
    }
    server {
        listen [::]:443 ssl ipv6only=on; listen 443 ssl;
        server_name a.example www.a.example;
        root /srv/tls;
    }
    server { listen 80 default_server; listen [::]:80 default_server; root /srv/default; }
}
"""


def test_what_certbot_made_of_a_site_is_followed_to_its_https_server(tmp_path: Path) -> None:
    for name in (NAME, "WWW.a.example"):
        assert nginx(tmp_path, CERTBOTS, name) == Place(webroot="/srv/tls")
    assert nginx(tmp_path, CERTBOTS, "b.example") == Place(webroot="/srv/default")


def test_redirects_in_a_circle_end(tmp_path: Path) -> None:
    text = "http { server { listen 80; listen 443 ssl; server_name a.example; return 301 https://$host$request_uri; } }"
    assert "redirects everything" in str(nginx(tmp_path, text).why_not)


def test_the_server_is_chosen_as_nginx_chooses_it(tmp_path: Path) -> None:
    text = """http {
        server { listen 80; server_name first.example; root /first; }
        server { listen 80; server_name *.example; root /star; }
        server { listen 80; server_name www.*; root /prefix; }
        server { listen 80; server_name .deep.example; root /deep; }
        server { listen 8080; server_name other.test; root /other-port; }
    }"""
    for name, root in (
        ("first.example", "/first"),
        ("x.example", "/star"),
        ("www.elsewhere.test", "/prefix"),
        ("deep.example", "/deep"),
        ("x.deep.example", "/deep"),
        ("nobody.test", "/first"),
    ):
        assert nginx(tmp_path, text, name) == Place(webroot=root), name
    assert nginx(tmp_path, text, "other.test", port=8080) == Place(webroot="/other-port")
    assert "no server of nginx listens on port 81" in str(nginx(tmp_path, text, port=81).why_not)
    regex = text.replace("first.example", "~^(?<x>.+)\\.test$")
    assert nginx(tmp_path, regex, "nobody.test").webroot is None


def test_two_servers_that_may_both_answer_are_not_guessed_between(tmp_path: Path) -> None:
    text = """http {
        server { listen 80; server_name a.example; root /four; }
        server { listen [::]:80; server_name a.example; root /six; }
    }"""
    assert "several servers" in str(nginx(tmp_path, text).why_not)


def test_includes_of_nginx(tmp_path: Path) -> None:
    (tmp_path / "sites").mkdir()
    (tmp_path / "sites/b").write_text("server { listen 80; server_name b.example; root /b; }")
    (tmp_path / "sites/a").write_text(f"server {{ listen 80; server_name {NAME}; include snippets/*.conf; root /a; }}")
    (tmp_path / "snippets").mkdir()
    (tmp_path / "snippets/acme.conf").write_text("location ^~ /.well-known/acme-challenge/ { root /acme; }")
    text = "http { include sites/*; include /no/where; }"
    assert nginx(tmp_path, text) == Place(webroot="/acme")
    assert nginx(tmp_path, text, "b.example") == Place(webroot="/b")


def test_includes_that_never_end_do(tmp_path: Path) -> None:
    text = "http { server { listen 80; root /srv; } }\n" + "include nginx.conf;\n" * 9
    assert nginx(tmp_path, text).webroot in {"/srv", None}
    (tmp_path / "deep.conf").write_text("http { " * 5000 + "server { root /x; }")
    assert not NginxSites(tmp_path / "deep.conf")
    (tmp_path / "apache.conf").write_text("DocumentRoot /srv\n" + f"Include {tmp_path}/apache.conf\n" * 9)
    assert ApacheSites(tmp_path / "apache.conf").place(NAME) == Place(webroot="/srv")


def apache(folder: Path, text: str, name: str = NAME, *, port: int = 80) -> Place:
    (folder / "apache2.conf").write_text(text)
    return ApacheSites(folder / "apache2.conf").place(name, port=port)


def host(text: str) -> str:
    return f"DocumentRoot /main\n<VirtualHost *:80>\nServerName {NAME}\nDocumentRoot /srv/www\n{text}\n</VirtualHost>\n"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Redirect 301 /old https://x.example/",
        "<IfModule !mod_ssl.c>\nRedirect / https://x.example/\n</IfModule>",
        'RedirectMatch 301 "^/(?!\\.well-known/acme-challenge/)(.*)" "https://a.example/$1"',
        "RewriteEngine on\nRewriteCond %{REQUEST_URI} !^/\\.well-known/acme-challenge/\n"
        "RewriteRule ^ https://%{SERVER_NAME}%{REQUEST_URI} [R=301]",
        "RewriteEngine on\nRewriteRule ^/\\.well-known/ - [L]\nRewriteRule ^ https://x.example/",
        "RewriteEngine off\nRewriteRule ^ https://x.example/",
        "ProxyPass /.well-known/acme-challenge/ !\nProxyPass / http://127.0.0.1:8080/",
        "ProxyPass /app/ http://127.0.0.1:8080/",
        "Alias /icons/ /usr/share/icons/",
    ],
)
def test_the_root_that_a_virtual_host_has(tmp_path: Path, text: str) -> None:
    assert apache(tmp_path, host(text)) == Place(webroot="/srv/www")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("Redirect permanent / https://elsewhere.example/", "no virtual host of Apache speaks https"),
        ("Redirect 301 / https://elsewhere.example/welcome", "redirects everything"),
        ("ProxyPass / http://127.0.0.1:8080/", "passes its requests on"),
        ("RewriteEngine on\nRewriteRule ^(.*)$ /index.php", "redirects everything to /index.php"),
        ("DocumentRoot /srv/${NOBODY_KNOWS}", "variables"),
        ("DocumentRoot www", "not an absolute path"),
    ],
)
def test_why_a_virtual_host_has_none(tmp_path: Path, text: str, why: str) -> None:
    found = apache(tmp_path, host(text))
    assert found.webroot is None
    assert why in str(found.why_not)


def test_what_certbot_made_of_a_virtual_host_is_followed(tmp_path: Path) -> None:
    text = host(
        "RewriteEngine on\nRewriteCond %{SERVER_NAME} =www.a.example [OR]\nRewriteCond %{SERVER_NAME} =a.example\n"
        "RewriteRule ^ https://%{SERVER_NAME}%{REQUEST_URI} [END,NE,R=permanent]"
    )
    text += f"<VirtualHost *:443>\nServerName {NAME}\nSSLEngine on\nDocumentRoot /srv/tls\n</VirtualHost>\n"
    assert apache(tmp_path, text) == Place(webroot="/srv/tls")


def test_an_alias_for_the_whole_server_counts_in_every_host(tmp_path: Path) -> None:
    alias = 'Alias "/.well-known/acme-challenge/" "/var/www/acme-challenge/"\n'
    assert apache(tmp_path, alias + host("")) == Place(challenge_dir="/var/www/acme-challenge")
    keep = 'SetEnvIf Request_URI "^/\\.well-known/acme-challenge/" no-proxy\n'
    proxied = host('ProxyPass "/" "http://127.0.0.1:8080/"')
    assert apache(tmp_path, alias + keep + proxied) == Place(challenge_dir="/var/www/acme-challenge")
    assert apache(tmp_path, alias + proxied).why_not is not None
    assert apache(tmp_path, host("Alias /.well-known /srv/known")) == Place(challenge_dir="/srv/known/acme-challenge")


def test_the_host_is_chosen_as_apache_chooses_it(tmp_path: Path) -> None:
    text = """
    <VirtualHost *:80>
    ServerName first.example
    DocumentRoot /first
    </VirtualHost>
    <VirtualHost *:80>
    ServerName b.example:80
    ServerAlias *.b.example \\
        c.example
    DocumentRoot /b
    </VirtualHost>
    <VirtualHost *:8080>
    DocumentRoot /other-port
    </VirtualHost>
    """
    for name, root in (("b.example", "/b"), ("x.b.example", "/b"), ("c.example", "/b"), ("nobody.test", "/first")):
        assert apache(tmp_path, text, name) == Place(webroot=root), name
    assert apache(tmp_path, text, port=8080) == Place(webroot="/other-port")
    assert apache(tmp_path, "DocumentRoot /main\n") == Place(webroot="/main")


def test_debians_layout_with_variables(tmp_path: Path) -> None:
    (tmp_path / "sites-enabled").mkdir()
    (tmp_path / "envvars").write_text("unset HOME\nexport SITES=/srv/sites$SUFFIX\n")
    (tmp_path / "sites-enabled/a.conf").write_text(
        f"Define OWNER me\n<VirtualHost *:80>\nServerName {NAME}\nDocumentRoot ${{SITES}}/${{OWNER}}\n</VirtualHost>"
    )
    assert apache(tmp_path, "IncludeOptional sites-enabled/*.conf\n") == Place(webroot="/srv/sites/me")
    assert apache(tmp_path, "Include sites-enabled\n") == Place(webroot="/srv/sites/me")


def test_where_the_configuration_is(tmp_path: Path) -> None:
    for config, name in ((nginx_config, "nginx"), (apache_config, "apache2")):
        (tmp_path / f"{name}.conf").write_text("")
        short = name.rstrip("2")
        given = {f"{short.upper()}_RELOAD_CONFIG": str(tmp_path / f"{name}.conf")}
        assert config(given, {}) == str(tmp_path / f"{name}.conf")
        assert config({f"{short.upper()}_RELOAD_CONFIG": str(tmp_path / "gone")}, {}) is None
        assert config({}, {f"{short}_server_root": str(tmp_path)}) == str(tmp_path / f"{name}.conf")


def test_control_characters_of_a_configuration_are_not_passed_on(tmp_path: Path) -> None:
    found = nginx(tmp_path, server("root '/srv/\x1b[31m';"))
    assert found.webroot is None
    assert "\x1b" not in str(found.why_not)
