"""docs/dns.md: its configuration for BIND is one, and lets acmectl do what it says."""

from __future__ import annotations

import base64
import re
import subprocess
from pathlib import Path

import pytest

from tests.integration.servers.dns_lab import DEAD
from tests.integration.servers.dns_lab_files import secret
from tests.integration.servers.process import ServerProcess, accepts, wait_until
from tests.integration.servers.requirements import find_program, require

DOCUMENT = (Path(__file__).resolve().parents[2] / "docs" / "dns.md").read_text()
ZONE = "$TTL 60\n@ IN SOA ns h 1 3600 600 86400 60\n@ IN NS ns\nns IN A 127.0.0.99\n"


def block(kind):
    (found,) = re.findall(rf"```{kind}\n(.*?)```", DOCUMENT, re.DOTALL)
    return found


@pytest.fixture
def bind(dns_lab, tmp_path):
    """BIND as the document has it, with its files elsewhere."""
    require("named", "tsig-keygen", "named-checkconf")
    made = subprocess.run(
        [find_program("tsig-keygen"), "-a", "hmac-sha256", "acme-key"], capture_output=True, text=True
    )
    key = re.sub(r'secret "[^"]+"', f'secret "{secret("acme-key")}"', made.stdout)
    (tmp_path / "acme.key").write_text(key)
    (tmp_path / "zone").write_text(ZONE)
    text = block("named").replace("/etc/bind/acme.key", str(tmp_path / "acme.key"))
    text = text.replace("/var/lib/bind/example.org.zone", str(tmp_path / "zone"))
    options = f'options {{ directory "{tmp_path}"; listen-on {{ {DEAD}; }}; listen-on-v6 {{ none; }}; recursion no;\n'
    (tmp_path / "named.conf").write_text(f"{options} session-keyfile none; pid-file none; }};\ncontrols {{ }};\n{text}")
    subprocess.run([find_program("named-checkconf"), str(tmp_path / "named.conf")], check=True)
    command = [find_program("named"), "-c", str(tmp_path / "named.conf"), "-g", "-n", "1"]
    process = ServerProcess("documented", command, log=tmp_path / "log")
    with dns_lab.inside():
        process.start(lambda: accepts(53, DEAD))
        try:
            wait_until(lambda: "all zones loaded" in process.log_text(), "the zone is loaded")
            yield tmp_path
        finally:
            process.stop()


def test_the_documented_server_takes_the_documented_updates(dns_lab, bind):
    from acmectl.plugin.dns import RecordsFailed, TxtRecord
    from acmectl.plugin.testing import make_context
    from acmectl.storage.credentials import CredentialsFiles
    from acmectl_plugins.dns_rfc2136 import Rfc2136

    path = bind / "dns-rfc2136.ini"
    text = block("ini").replace("192.0.2.1", DEAD)
    documented = re.search(r"secret = (\S+)", text)[1]
    assert len(base64.b64decode(documented)) == 32
    path.write_text(text.replace(documented, secret("acme-key")))
    path.chmod(0o600)
    found = {name.removeprefix("dns_rfc2136_"): value for name, value in CredentialsFiles({})(str(path)).items()}
    plugin = Rfc2136({}, found, make_context())
    name = "_acme-challenge.example.org"
    assert plugin.find_zone(name) == "example.org"
    for value in ("one", "two"):
        plugin.add(TxtRecord(name=name, value=value, zone="example.org"))
    plugin.commit()
    assert dns_lab.txt(name, DEAD) == {"one", "two"}
    plugin.add(TxtRecord(name="mail.example.org", value="one", zone="example.org"))
    with pytest.raises(RecordsFailed, match="may not do that"):
        plugin.commit()
