"""What the servers of the DNS lab are told: their configurations and zones, as texts."""

from __future__ import annotations

import base64
import hashlib
import sqlite3
from collections.abc import Sequence
from pathlib import Path

ROOT, PRIMARY, SECONDARY, POWERDNS, KNOT = "127.0.0.9", "127.0.0.10", "127.0.0.11", "127.0.0.12", "127.0.0.13"
PRIMARY6 = "fd00:53::10"
ACME_DNS = "127.0.0.14"
"""Nothing listens here until a test starts servers/acme_dns.py for auth.acme-dns.test."""
RESOLVER = "127.0.0.53"
SLOW_RESOLVER = "127.0.0.54"
"""A resolver that is led to the secondary alone: a CA that sees what the slowest server says."""
SHUT = "127.0.0.15"
"""Answers the resolvers alone: what port 53 looks like from behind a firewall that lets only them through."""
DEAD = "127.0.0.99"
"""Nothing listens here."""
ADDRESSES = (ROOT, PRIMARY, SECONDARY, SHUT, POWERDNS, KNOT, ACME_DNS, RESOLVER, SLOW_RESOLVER, DEAD, PRIMARY6)
API_KEY = "secretkey"
ZONES = (
    *("example.test", "second.test", "slow.test", "halfdead.test", "lost.test", "hidden.test", "v6.test"),
    *("secret.test", "shut.test", "halflame.test"),
)
"""On the BIND primary."""
TRANSFERRED = ("example.test", "slow.test", "hidden.test")
POWERDNS_ZONES = ("acme-delegate.test", "acmedeleg.net")
KNOT_ZONES = ("knot.test", "_acme-challenge.deleg.example.test")

KEYS = {
    "acmectl-key": "hmac-sha256",
    "sha512-key": "hmac-sha512",
    "sha384-key": "hmac-sha384",
    "sha224-key": "hmac-sha224",
    "sha1-key": "hmac-sha1",
    "md5-key": "hmac-md5",
    "limited-key": "hmac-sha256",
}
"""TSIG keys and their algorithms. limited-key may change one name alone: _acme-challenge.www.example.test."""


def secret(key: str) -> str:
    """The secret of a TSIG key, base64."""
    return base64.b64encode(hashlib.sha256(key.encode()).digest()).decode()


_OPTIONS = (
    "dnssec-validation no; session-keyfile none; pid-file none; allow-query { any; }; "
    "tcp-clients 2000; tcp-listen-queue 500;"  # Pebble asks for a hundred names three times at once, over TCP
)
_CONTROL_KEY = f'key "rndc-key" {{ algorithm hmac-sha256; secret "{secret("rndc-key")}"; }};\n'
RNDC = f'{_CONTROL_KEY} options {{ default-key "rndc-key"; }};\n'

ROOT_ZONE = f"""\
$TTL 60
. IN SOA a.root. h.root. 1 60 60 600 5
. IN NS a.root.
a.root. IN A {ROOT}
example.test. IN NS ns1.example.test.
example.test. IN NS ns2.example.test.
ns1.example.test. IN A {PRIMARY}
ns1.example.test. IN AAAA {PRIMARY6}
ns2.example.test. IN A {SECONDARY}
second.test. IN NS ns1.example.test.
caa.test. IN NS ns1.example.test.
secret.test. IN NS ns1.example.test.
slow.test. IN NS ns1.example.test.
slow.test. IN NS ns2.example.test.
hidden.test. IN NS ns2.example.test.
halfdead.test. IN NS ns1.example.test.
halfdead.test. IN NS ns2.halfdead.test.
ns2.halfdead.test. IN A {DEAD}
halflame.test. IN NS ns1.example.test.
halflame.test. IN NS ns1.knot.test.
lost.test. IN NS ns1.example.test.
lost.test. IN NS ns1.dead.test.
v6.test. IN NS ns1.example.test.
v6.test. IN NS ns1.v6.test.
ns1.v6.test. IN AAAA 2001:db8::1
shut.test. IN NS ns1.shut.test.
ns1.shut.test. IN A {SHUT}
dead.test. IN NS ns1.dead.test.
ns1.dead.test. IN A {DEAD}
lame.test. IN NS ns1.knot.test.
acme-delegate.test. IN NS ns1.acme-delegate.test.
ns1.acme-delegate.test. IN A {POWERDNS}
acmedeleg.net. IN NS ns1.acme-delegate.test.
knot.test. IN NS ns1.knot.test.
ns1.knot.test. IN A {KNOT}
auth.acme-dns.test. IN NS ns1.auth.acme-dns.test.
ns1.auth.acme-dns.test. IN A {ACME_DNS}
"""

_APEX = "$TTL 60\n@ IN SOA ns1.example.test. h.example.test. 1 3600 5 86400 5\n@ IN A 127.0.0.1\n"
_NS1, _NS2 = "@ IN NS ns1.example.test.\n", "@ IN NS ns2.example.test.\n"

PRIMARY_ZONES = {
    "example.test": f"""{_APEX}{_NS1}{_NS2}
ns1 IN A {PRIMARY}
ns1 IN AAAA {PRIMARY6}
ns2 IN A {SECONDARY}
_acme-challenge.alias IN CNAME alias.acme-delegate.test.
_acme-challenge.knotted IN CNAME knotted.knot.test.
_acme-challenge.api IN CNAME api.acmedeleg.net.
_acme-challenge.chain IN CNAME one.second.test.
_acme-challenge.loop IN CNAME loop.second.test.
_acme-challenge.lame IN CNAME lame.lame.test.
_acme-challenge.deleg IN NS ns1.knot.test.
""",
    "second.test": f"""{_APEX}{_NS1}
one IN CNAME two
two IN CNAME chain.knot.test.
loop IN CNAME _acme-challenge.loop.example.test.
""",
    "caa.test": f"""{_APEX}{_NS1}
@ IN CAA 0 issue "other.example"
* IN A 127.0.0.1
ours IN A 127.0.0.1
ours IN CAA 0 issue "else.example"
ours IN CAA 0 issue "CA.example"
ours IN CAA 0 iodef "mailto:security@caa.test"
nobody IN A 127.0.0.1
nobody IN CAA 0 issue ";"
wild IN A 127.0.0.1
wild IN CAA 0 issue "other.example"
wild IN CAA 0 issuewild "ca.example"
account IN A 127.0.0.1
account IN CAA 0 issue "ca.example; accounturi=https://ca.example/Acct/1"
method IN A 127.0.0.1
method IN CAA 0 issue "ca.example; validationmethods=dns-01,x"
critical IN A 127.0.0.1
critical IN CAA 128 tbs "unknown"
alias IN CNAME ours
blank IN CNAME second.test.
""",
    "slow.test": f"{_APEX}{_NS1}{_NS2}",
    "hidden.test": f"{_APEX}{_NS2}",
    "halfdead.test": f"{_APEX}{_NS1}@ IN NS ns2\nns2 IN A {DEAD}\n",
    "halflame.test": f"{_APEX}{_NS1}@ IN NS ns1.knot.test.\n",
    "lost.test": f"{_APEX}{_NS1}@ IN NS ns1.dead.test.\n",
    "v6.test": f"{_APEX}{_NS1}@ IN NS ns1\nns1 IN AAAA 2001:db8::1\n",
    "secret.test": f"{_APEX}{_NS1}",
    "shut.test": f"{_APEX}@ IN NS ns1\nns1 IN A {SHUT}\n",
}


def write_root(folder: Path) -> None:
    """The root of this world."""
    (folder / "zone").write_text(ROOT_ZONE)
    (folder / "named.conf").write_text(
        f'options {{ directory "{folder}"; listen-on {{ {ROOT}; }}; listen-on-v6 {{ none; }}; recursion no; '
        f'{_OPTIONS} }};\ncontrols {{ }};\nzone "." {{ type primary; file "zone"; }};\n'
    )


def write_primary(folder: Path) -> None:
    """BIND with the zones and TSIG keys; it tells the secondary of changes, but not of those to slow.test."""
    lines = [
        *(f'key "{key}" {{ algorithm {kind}; secret "{secret(key)}"; }};' for key, kind in KEYS.items()),
        _CONTROL_KEY,
        f'options {{ directory "{folder}"; listen-on {{ {PRIMARY}; }}; listen-on-v6 {{ {PRIMARY6}; }}; recursion no;',
        f"notify-delay 0; notify-source {PRIMARY}; allow-transfer {{ any; }}; {_OPTIONS} }};",
        f'controls {{ inet {PRIMARY} port 953 allow {{ any; }} keys {{ "rndc-key"; }}; }};',
    ]
    grants = " ".join(f"grant {key} zonesub TXT;" for key in KEYS if key != "limited-key")
    grants += " grant acmectl-key zonesub CNAME; grant acmectl-key zonesub TLSA;"
    for zone, text in PRIMARY_ZONES.items():
        (folder / f"{zone}.zone").write_text(text)
        told = f"explicit; also-notify {{ {SECONDARY}; }}" if zone in TRANSFERRED and zone != "slow.test" else "no"
        if zone == "shut.test":
            told = f"explicit; also-notify {{ {SHUT}; }}"
        asked = 'allow-query { key "acmectl-key"; };' if zone == "secret.test" else ""
        limited = "grant limited-key name _acme-challenge.www.example.test. TXT;" if zone == "example.test" else ""
        lines.append(
            f'zone "{zone}" {{ type primary; file "{zone}.zone"; notify {told}; {asked} '
            f"update-policy {{ {grants} {limited} }}; }};"
        )
    (folder / "named.conf").write_text("\n".join(lines) + "\n")


def write_secondary(folder: Path, address: str, zones: Sequence[str], *, deaf: str = "") -> None:
    """BIND that transfers ``zones`` from the primary and is silent to ``deaf``."""
    lines = [
        _CONTROL_KEY,
        f'options {{ directory "{folder}"; listen-on {{ {address}; }}; listen-on-v6 {{ none; }}; recursion no;',
        f"min-refresh-time 3600; max-refresh-time 3600; transfer-source {address}; {_OPTIONS}",
        f"blackhole {{ {deaf or 'none'}; }}; }};",
        f'controls {{ inet {address} port 953 allow {{ any; }} keys {{ "rndc-key"; }}; }};',
        *(f'zone "{zone}" {{ type secondary; primaries {{ {PRIMARY}; }}; file "{zone}.zone"; }};' for zone in zones),
    ]
    (folder / "named.conf").write_text("\n".join(lines) + "\n")


def write_resolver(folder: Path, address: str, *, never: Sequence[str] = (), negative_seconds: int = 1) -> None:
    """A recursive resolver that never asks the servers ``never``."""
    (folder / "hint").write_text(f". 3600 IN NS a.root.\na.root. 3600 IN A {ROOT}\n")
    bogus = "".join(f"server {server} {{ bogus yes; }};\n" for server in never)
    (folder / "named.conf").write_text(
        f'{_CONTROL_KEY}options {{ directory "{folder}"; listen-on {{ {address}; }}; listen-on-v6 {{ none; }};\n'
        f"query-source address {address}; recursion yes;\n"
        f"allow-recursion {{ any; }}; max-cache-ttl 1; max-ncache-ttl {negative_seconds}; empty-zones-enable no;\n"
        f"qname-minimization off; {_OPTIONS} }};\n{bogus}"
        f'controls {{ inet {address} port 953 allow {{ any; }} keys {{ "rndc-key"; }}; }};\n'
        'zone "." { type hint; file "hint"; };\n'
    )


def write_powerdns(folder: Path, schema: Path, modules: Path) -> None:
    """PowerDNS with an SQLite database, its HTTP API, and updates by TSIG."""
    settings = {
        "launch": "gsqlite3",
        "gsqlite3-database": folder / "db",
        "local-address": POWERDNS,
        "socket-dir": folder,
        "api": "yes",
        "api-key": API_KEY,
        "webserver": "yes",
        "webserver-address": POWERDNS,
        "webserver-port": 8081,
        "webserver-allow-from": "127.0.0.0/8",
        "dnsupdate": "yes",
        "daemon": "no",
        "guardian": "no",
        "setgid": "",
        "setuid": "",
        "module-dir": modules,
        "cache-ttl": 0,
        "negquery-cache-ttl": 0,
        "query-cache-ttl": 0,
        "security-poll-suffix": "",
    }
    (folder / "pdns.conf").write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
    with sqlite3.connect(folder / "db") as database:
        database.executescript(schema.read_text())
        insert = "INSERT INTO tsigkeys (name, algorithm, secret) VALUES (?, ?, ?)"
        database.execute(insert, ("acmectl-key", "hmac-sha256", secret("acmectl-key")))
        for zone in POWERDNS_ZONES:
            number = database.execute("INSERT INTO domains (name, type) VALUES (?, 'NATIVE')", (zone,)).lastrowid
            records = [
                (zone, "SOA", "ns1.acme-delegate.test h.acme-delegate.test 1 3600 5 86400 5"),
                (zone, "NS", "ns1.acme-delegate.test"),
            ]
            if zone == "acme-delegate.test":
                records.append(("ns1.acme-delegate.test", "A", POWERDNS))
            for name, kind, content in records:
                insert = "INSERT INTO records (domain_id, name, type, content, ttl) VALUES (?, ?, ?, ?, 60)"
                database.execute(insert, (number, name, kind, content))
            insert = "INSERT INTO domainmetadata (domain_id, kind, content) VALUES (?, ?, ?)"
            database.execute(insert, (number, "TSIG-ALLOW-DNSUPDATE", "acmectl-key"))
    database.close()


def write_knot(folder: Path) -> None:
    """Knot, whose zones are changed by TSIG."""
    # Without the folder of its database updates fail with "not exists".
    (folder / "db").mkdir()
    zones = []
    for zone in KNOT_ZONES:
        (folder / f"{zone}.zone").write_text(
            "$TTL 60\n@ IN SOA ns1.knot.test. h.knot.test. 1 3600 5 86400 5\n@ IN NS ns1.knot.test.\n"
            + (f"ns1 IN A {KNOT}\n" if zone == "knot.test" else "")
        )
        zones.append(
            f"  - domain: {zone}\n    storage: {folder}\n    file: {zone}.zone\n    acl: update\n"
            "    zonefile-sync: -1\n    zonefile-load: difference\n    journal-content: all\n"
        )
    (folder / "knot.conf").write_text(
        f"server:\n    rundir: {folder}\n    listen: {KNOT}@53\n    user: root\n"
        f"database:\n    storage: {folder / 'db'}\n"
        f"key:\n  - id: acmectl-key\n    algorithm: hmac-sha256\n    secret: {secret('acmectl-key')}\n"
        "acl:\n  - id: update\n    key: acmectl-key\n    action: [update, transfer]\n    update-type: [TXT]\n"
        "zone:\n" + "".join(zones)
    )
