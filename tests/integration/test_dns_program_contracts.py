"""dns-exec, dns-httpreq and dns-acme-sh keep the contract of DNS providers."""

from __future__ import annotations

import http.server
import json
import threading

import pytest

from acmectl.plugin.testing_dns import DnsProviderContract
from acmectl_plugins.dns_acme_sh import AcmeSh
from acmectl_plugins.dns_exec import Exec
from acmectl_plugins.dns_httpreq import HttpReq
from tests.integration.servers.acme_sh import acme_sh_folder

SHELF = """\
change() {
    touch "$SHELF"
    case $1 in
        put) grep -qxF "$2 $3" "$SHELF" || echo "$2 $3" >>"$SHELF" ;;
        take) grep -vxF "$2 $3" "$SHELF" >"$SHELF.new" || :; mv "$SHELF.new" "$SHELF" ;;
    esac
}
"""
PROGRAM = f"""\
#!/bin/sh
set -eu
SHELF=$0.shelf
{SHELF}
case $1 in present) change put "${{2%.}}" "$3" ;; cleanup) change take "${{2%.}}" "$3" ;; esac
"""
SCRIPT = f"""\
{SHELF}
dns_shelf_add() {{ change put "$1" "$2"; }}
dns_shelf_rm() {{ change take "$1" "$2"; }}
"""


class OnShelf(DnsProviderContract):
    @pytest.fixture(autouse=True)
    def _shelf(self, tmp_path):
        self.folder = tmp_path
        self.shelf = tmp_path / "program.shelf"

    def values(self, name):
        lines = self.shelf.read_text().splitlines() if self.shelf.exists() else []
        return [line.partition(" ")[2] for line in lines if line.partition(" ")[0] == name]


class TestExec(OnShelf):
    def make(self):
        program = self.folder / "program"
        program.write_text(PROGRAM)
        program.chmod(0o755)
        return Exec({"program": str(program)}, {}, self.context)


class TestAcmeSh(OnShelf):
    def make(self):
        (self.folder / "dnsapi").mkdir(exist_ok=True)
        (self.folder / "dnsapi" / "dns_shelf.sh").write_text(SCRIPT)
        if not (self.folder / "acme.sh").exists():
            (self.folder / "acme.sh").symlink_to(acme_sh_folder() / "acme.sh")
        options = {"folder": str(self.folder), "hook": "dns_shelf", "credentials": str(self.folder / "c.ini")}
        return AcmeSh(options, {"SHELF": str(self.shelf)}, self.context)


class TestHttpReq(DnsProviderContract):
    @pytest.fixture(autouse=True)
    def _service(self):
        self.there = there = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                record = (body["fqdn"].rstrip("."), body["value"])
                if self.path == "/present" and record not in there:
                    there.append(record)
                if self.path == "/cleanup" and record in there:
                    there.remove(record)
                self.send_response(200)
                self.end_headers()

            def log_message(self, format, *args):  # noqa: A002 - the name in the base class
                """Say nothing."""

        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            self.url = f"http://127.0.0.1:{server.server_address[1]}"
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
            thread.start()
            yield
            server.shutdown()
            thread.join()

    def make(self):
        given = {"endpoint": self.url, "username": "user", "password": "a-long-password"}
        return HttpReq({}, given, self.context)

    def values(self, name):
        return [value for known, value in self.there if known == name]
