"""What the hosts of the certificates run in tests: hook scripts, and a proxy that keeps a record."""

from __future__ import annotations

import http.server
import select
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.integration.servers.challtestsrv import ChallTestSrv

_VARIABLES = (
    *("CERTBOT_DOMAIN", "CERTBOT_IDENTIFIER", "CERTBOT_VALIDATION", "CERTBOT_TOKEN", "CERTBOT_ALL_DOMAINS"),
    *("CERTBOT_ALL_IDENTIFIERS", "CERTBOT_REMAINING_CHALLENGES", "CERTBOT_AUTH_OUTPUT"),
)
_DNS_SCRIPT = """\
import json, os, sys, urllib.request
verb, url = sys.argv[1:]
body = {"host": "_acme-challenge." + os.environ["CERTBOT_DOMAIN"] + "."}
if verb == "set-txt":
    body["value"] = os.environ["CERTBOT_VALIDATION"]
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
opener.open(urllib.request.Request(url + "/" + verb, json.dumps(body).encode(), method="POST")).read()
"""


def script(path: Path, text: str) -> str:
    """Write an executable shell script and give its path for a command line."""
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


def noted(log: Path, *variables: str) -> str:
    """A line of shell that appends ``NAME=VALUE`` of the variables that are set to ``log``, on one line."""
    parts = "".join(f' "${{{name}+{name}=${name}}}"' for name in variables)
    return f"printf '%s|'{parts} >> {log}; echo >> {log}"


def notes(log: Path) -> list[dict[str, str]]:
    """What ``noted`` wrote: one dictionary per line."""
    lines = log.read_text().splitlines() if log.exists() else []
    return [dict(part.split("=", 1) for part in line.split("|") if part) for line in lines]


def file_hooks(folder: Path, webroot: Path) -> tuple[str, ...]:
    """Flags for manual with hooks that keep answers in files and note their environment in ``auth``, ``cleanup``."""
    place = f"{webroot}/.well-known/acme-challenge"
    auth = f'mkdir -p {place}\nprintf %s "$CERTBOT_VALIDATION" > "{place}/$CERTBOT_TOKEN"\necho "kept $CERTBOT_DOMAIN"'
    clean_up = f'rm "{place}/$CERTBOT_TOKEN"'
    auth = f"{noted(folder / 'auth', *_VARIABLES)}\n{auth}"
    clean_up = f"{noted(folder / 'cleanup', *_VARIABLES)}\n{clean_up}"
    return (
        *("--manual", "--preferred-challenges", "http"),
        *("--manual-auth-hook", script(folder / "auth.sh", auth)),
        *("--manual-cleanup-hook", script(folder / "clean.sh", clean_up)),
    )


def dns_hooks(folder: Path, dns: ChallTestSrv) -> tuple[str, ...]:
    """Flags for manual with hooks that set TXT records; they note their environment in ``auth`` and ``cleanup``."""
    program = folder / "txt.py"
    program.write_text(_DNS_SCRIPT)
    call = f"{sys.executable} -I {program}"
    auth = f"{noted(folder / 'auth', *_VARIABLES)}\n{call} set-txt {dns.management_url}"
    clean_up = f"{noted(folder / 'cleanup', *_VARIABLES)}\n{call} clear-txt {dns.management_url}"
    return (
        *("--manual", "--preferred-challenges", "dns"),
        *("--manual-auth-hook", script(folder / "auth.sh", auth)),
        *("--manual-cleanup-hook", script(folder / "clean.sh", clean_up)),
    )


@contextmanager
def recording_proxy(to: int | None = None) -> Iterator[tuple[str, list[str]]]:
    """An HTTP proxy: its URL, and the ``HOST:PORT`` of every tunnel that it was asked for.

    With ``to`` every tunnel leads to that port of this machine, whatever was asked for.
    """
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_CONNECT(self) -> None:
            asked.append(self.path)
            host, _, port = self.path.rpartition(":")
            target = (host, int(port)) if to is None else ("127.0.0.1", to)
            with suppress(OSError), socket.create_connection(target) as there:
                self.send_response(200)
                self.end_headers()
                self.wfile.flush()
                _pump(self.connection, there)
            self.close_connection = True

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name in the base class
            """Say nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}", asked
        finally:
            server.shutdown()


def _pump(here: socket.socket, there: socket.socket) -> None:
    other = {here: there, there: here}
    while True:
        for ready in select.select(list(other), [], [])[0]:
            data = ready.recv(65536)
            if not data:
                return
            other[ready].sendall(data)
