"""Lines for web servers that answer every http-01 challenge of one account by themselves (RFC 8555 section 8.1)."""

from __future__ import annotations

_NGINX = """\
location ~ "^/\\.well-known/acme-challenge/([A-Za-z0-9_-]+)$" {
    default_type text/plain;
    return 200 "$1.THUMBPRINT";
}
"""
_APACHE = """\
<LocationMatch "^/\\.well-known/acme-challenge/(?<token>[A-Za-z0-9_-]+)$">
    Redirect 200
    ErrorDocument 200 "%{env:MATCH_TOKEN}.THUMBPRINT"
    Require all granted
</LocationMatch>
"""
_HAPROXY = """\
acl acme path_reg ^/\\.well-known/acme-challenge/[A-Za-z0-9_-]+$
http-request return status 200 content-type text/plain lf-string "%[path,field(4,/)].THUMBPRINT" if acme
"""


def static_answer(thumbprint: str) -> dict[str, str]:
    """The lines for each web server, by its name. ``thumbprint`` is that of the account's key (RFC 7638)."""
    templates = {"nginx": _NGINX, "apache": _APACHE, "haproxy": _HAPROXY}
    return {server: text.replace("THUMBPRINT", thumbprint) for server, text in templates.items()}


def as_text(thumbprint: str) -> str:
    """All of it for a person."""
    places = {"nginx": "nginx, in a server block", "apache": "Apache httpd", "haproxy": "HAProxy, in a frontend"}
    parts = [f"The answer to every challenge is the token, a dot and {thumbprint}."]
    parts += [f"{places[server]}:\n\n{lines.rstrip()}" for server, lines in static_answer(thumbprint).items()]
    return "\n\n".join(parts)
