"""dns-acme-dns from end to end: a CNAME from BIND's zone to acme-dns, validated by Pebble."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from acmectl.actions.web import Web
from acmectl.plugin.api import Context, PluginError
from acmectl.plugin.dns import TxtRecord
from acmectl.plugin.testing import RecordedTerminal, make_context, make_task
from acmectl_plugins.acme_dns_accounts import Account, Accounts
from acmectl_plugins.dns_acme_dns import AcmeDns
from tests.integration.cli import Acmectl
from tests.integration.servers.acme_dns import AcmeDnsServer
from tests.integration.servers.dns_lab import ACME_DNS, PRIMARY, DnsLab, secret
from tests.integration.test_secrets import said

DOMAIN = "auth.acme-dns.test"
ORDER = "POST /order-plz"
KEY = f"hmac-sha256:acmectl-key:{secret('acmectl-key')}"


@pytest.fixture
def acmectl(dns_lab, dns_pebble, tmp_path) -> Iterator[Acmectl]:
    with dns_lab.acmectl(dns_pebble, tmp_path) as program:
        yield program


@pytest.fixture
def server(dns_lab) -> Iterator[AcmeDnsServer]:
    with dns_lab.inside(), AcmeDnsServer(ACME_DNS, DOMAIN) as running:
        yield running


@pytest.fixture
def storage(tmp_path: Path) -> Path:
    return tmp_path / "acme-dns.json"


def options(storage: Path, server: AcmeDnsServer | None = None) -> tuple[str, ...]:
    where = ("--dns-acme-dns-server", server.url) if server is not None else ()
    return ("-a", "dns-acme-dns", "--dns-acme-dns-storage", str(storage), *where)


def alias(lab: DnsLab, name: str, target: str) -> None:
    """Put the CNAME into BIND, as a person would."""
    text = f"server {PRIMARY}\nupdate add {name} 60 CNAME {target}\nsend\n"
    done = lab.run("nsupdate", "-y", KEY, text=text)
    assert done.returncode == 0, done.stderr


def account(server: AcmeDnsServer, storage: Path, domain: str) -> dict[str, str]:
    """An account that another client has made, in its file."""
    _, made = server.register(b"")
    assert isinstance(made, dict)
    content = json.loads(storage.read_text()) if storage.exists() else {}
    storage.write_text(json.dumps({**content, domain: made}))
    storage.chmod(0o600)
    return made


def test_the_first_run_registers_and_shows_the_cname_and_the_next_one_obtains(
    acmectl: Acmectl, dns_lab: DnsLab, server: AcmeDnsServer, storage: Path
) -> None:
    names = ("adns.example.test", "*.adns.example.test", "two.example.test")
    first = acmectl.certonly(*names, options=(*options(storage, server), "-vvv"), code=1)
    content = json.loads(storage.read_text())
    assert sorted(content) == ["adns.example.test", "two.example.test"]
    assert storage.stat().st_mode & 0o777 == 0o600
    for domain, made in content.items():
        line = f"_acme-challenge.{domain}. IN CNAME {made['fulldomain']}."
        assert line in first.out.splitlines()
        assert f"_acme-challenge.{domain} does not lead to its acme-dns account yet." in first.out + first.err
    assert [path for path, _, _ in server.asked] == ["/register"] * 2

    for domain, made in content.items():
        alias(dns_lab, f"_acme-challenge.{domain}", made["fulldomain"])
    second = acmectl.certonly(*names, options=(*options(storage, server), "-vvv"))
    assert acmectl.names("adns.example.test") == sorted(names)
    assert json.loads(storage.read_text()) == content
    updates = [(headers, body) for path, headers, body in server.asked if path == "/update"]
    assert len(updates) == 3
    for headers, body in updates:
        made = next(one for one in content.values() if one["subdomain"] == body["subdomain"])
        assert (headers["x-api-user"], headers["x-api-key"]) == (made["username"], made["password"])
        assert len(body["txt"]) == 43

    third = acmectl.run("renew", "--force-renewal", "-vvv").ok()
    assert acmectl.version("adns.example.test") == 2
    text = said(acmectl, first, second, third) + acmectl.renewal_path("adns.example.test").read_text()
    assert not [made["password"] for made in content.values() if made["password"] in text]


def test_the_file_of_another_client_is_used_as_it_is(
    acmectl: Acmectl, dns_lab: DnsLab, server: AcmeDnsServer, storage: Path
) -> None:
    made = account(server, storage, "lego.example.test")
    before = storage.read_bytes()
    alias(dns_lab, "_acme-challenge.lego.example.test", made["fulldomain"])
    environment = {"ACME_DNS_API_BASE": server.url, "ACME_DNS_STORAGE_PATH": str(storage)}
    flags = ("certonly", "-n", "--agree-tos", "-a", "dns-acme-dns", "-d", "lego.example.test")
    acmectl.run(*flags, env=environment).ok()
    assert storage.read_bytes() == before


def test_a_cname_that_leads_elsewhere_is_shown(
    acmectl: Acmectl, dns_lab: DnsLab, server: AcmeDnsServer, storage: Path
) -> None:
    account(server, storage, "astray.example.test")
    alias(dns_lab, "_acme-challenge.astray.example.test", "elsewhere.second.test")
    done = acmectl.certonly("astray.example.test", options=options(storage, server), code=1)
    assert "(it leads to elsewhere.second.test)" in done.err
    assert len(json.loads(storage.read_text())) == 1


def test_an_account_that_the_server_does_not_know_is_one_clear_line(
    acmectl: Acmectl, dns_lab: DnsLab, server: AcmeDnsServer, storage: Path
) -> None:
    made = account(server, storage, "wrongkey.example.test")
    alias(dns_lab, "_acme-challenge.wrongkey.example.test", made["fulldomain"])
    wrong = "canary-wrong-password-0123456789"
    storage.write_text(json.dumps({"wrongkey.example.test": {**made, "password": wrong}}))
    done = acmectl.certonly("wrongkey.example.test", options=(*options(storage, server), "-vvv"), code=1)
    assert f"{server.url}/update does not accept the account of {made['fulldomain']} (status 401)." in done.err
    assert wrong not in said(acmectl, done)


@pytest.mark.parametrize(
    ("text", "mode", "wrong"),
    [
        ("{", 0o600, "is damaged: it is not JSON."),
        ("[]", 0o600, "is damaged: it is no JSON object."),
        ('{"a.example": 3}', 0o600, "is damaged: an account is no JSON object (a.example)."),
        ('{"a.example": {"fulldomain": "x y"}}', 0o600, "is damaged: an account has no usable fulldomain (a.example)."),
        ("{}", 0o644, "has mode 0644, so that others than its owner can use what is in it."),
    ],
)
def test_a_file_that_cannot_be_used_is_known_before_the_order_and_left_alone(
    acmectl: Acmectl, server: AcmeDnsServer, storage: Path, text: str, mode: int, wrong: str
) -> None:
    assert acmectl.pebble is not None
    before = acmectl.pebble.requests().count(ORDER)
    storage.write_text(text)
    storage.chmod(mode)
    done = acmectl.certonly("www.example.test", options=options(storage, server), code=1)
    assert f"The file of acme-dns accounts {storage} {wrong}" in done.err
    assert storage.read_text() == text
    assert server.asked == []
    assert acmectl.pebble.requests().count(ORDER) == before


def test_what_was_not_given_is_asked_for(acmectl: Acmectl, storage: Path) -> None:
    done = acmectl.certonly("www.example.test", options=("-a", "dns-acme-dns"), code=1)
    assert "--dns-acme-dns-storage FILE" in done.err
    done = acmectl.certonly("www.example.test", options=options(storage), code=1)
    assert "--dns-acme-dns-server URL" in done.err


class Bench:
    """The plugin at a server on this machine, as in a new process each time."""

    def __init__(self, server: AcmeDnsServer, storage: Path) -> None:
        self.server, self.storage = server, storage
        self.terminal = RecordedTerminal()

    def plugin(self, **more: str) -> AcmeDns:
        """A new instance."""
        context: Context = make_context(terminal=self.terminal)
        context = replace(context, http=Web(context.interrupts))
        return AcmeDns({"storage": str(self.storage), "server": self.server.url, **more}, {}, context)

    def record(self, name: str, value: str = "v" * 43) -> TxtRecord:
        """A record as the engine hands it over where no alias was found."""
        task = make_task(name, "dns-01")
        return TxtRecord(name=task.record_name, value=value, zone=name, challenge=task)

    def refusal(self, record: TxtRecord, **more: str) -> PluginError:
        """What is said when the record cannot be added."""
        with pytest.raises(PluginError) as caught:
            self.plugin(**more).add(record)
        assert caught.value.message.isprintable()
        return caught.value


@pytest.fixture
def bench(server: AcmeDnsServer, storage: Path) -> Bench:
    return Bench(server, storage)


def test_networks_are_handed_to_the_server_and_hold(bench: Bench) -> None:
    bench.refusal(bench.record("a.example"), allow_from="192.0.2.0/24, 2001:db8::/32")
    assert bench.server.asked[0][2] == {"allowfrom": ["192.0.2.0/24", "2001:db8::/32"]}
    made = json.loads(bench.storage.read_text())["a.example"]
    assert made["allowfrom"] == ["192.0.2.0/24", "2001:db8::/32"]
    record = replace(bench.record("a.example"), name=made["fulldomain"])
    assert "(status 401)" in bench.refusal(record).message


def test_networks_that_are_none_are_refused(bench: Bench) -> None:
    with pytest.raises(PluginError, match="'everywhere' is no network"):
        bench.plugin(allow_from="everywhere").check()


def test_a_server_that_registers_nobody_is_one_clear_line(bench: Bench) -> None:
    bench.server.open = False
    error = bench.refusal(bench.record("a.example"))
    assert error.message.startswith(f"{bench.server.url}/register made no account for a.example (status 404")
    assert error.hint is not None
    assert not bench.storage.exists()


@pytest.mark.parametrize("answer", [{}, [], {"fulldomain": "x\n.example"}, {"fulldomain": "a.example", "subdomain": 3}])
def test_an_answer_that_is_no_account_is_not_kept(bench: Bench, monkeypatch, answer: object) -> None:
    monkeypatch.setattr(bench.server, "register", lambda _body: (201, answer))
    assert "is no account" in bench.refusal(bench.record("a.example")).message
    assert not bench.storage.exists()


def test_the_cname_is_shown_once_and_said_each_time(bench: Bench) -> None:
    plugin = bench.plugin()
    for value in ("v" * 43, "w" * 43):
        with pytest.raises(PluginError, match="does not lead to its acme-dns account yet"):
            plugin.add(bench.record("a.example", value))
    lines = [line for line in bench.terminal.lines if "CNAME" in line]
    assert len(lines) == 1
    assert lines[0] in (bench.refusal(bench.record("a.example")).hint or "")
    assert [path for path, _, _ in bench.server.asked] == ["/register"]


def test_a_third_value_would_push_the_first_one_out_and_is_refused(bench: Bench) -> None:
    made = account(bench.server, bench.storage, "a.example")
    records = [TxtRecord(name=made["fulldomain"], value=letter * 43, zone=DOMAIN) for letter in "abc"]
    plugin = bench.plugin()
    plugin.add(records[0])
    plugin.add(records[1])
    plugin.add(records[0])
    with pytest.raises(PluginError, match="keeps 2 values"):
        plugin.add(records[2])
    plugin.remove(records[0])
    plugin.add(records[2])
    assert next(iter(bench.server.accounts.values())).values == ["b" * 43, "c" * 43]


def test_an_account_is_updated_at_the_server_that_made_it(bench: Bench) -> None:
    bench.refusal(bench.record("a.example"))
    made = json.loads(bench.storage.read_text())["a.example"]
    assert made["server_url"] == bench.server.url
    with socket.create_server(("127.0.0.1", 0)) as listener:
        elsewhere = f"http://127.0.0.1:{listener.getsockname()[1]}"
    bench.plugin(server=elsewhere).add(replace(bench.record("a.example"), name=made["fulldomain"]))
    assert next(iter(bench.server.accounts.values())).values == ["v" * 43]


def test_many_at_once_lose_no_account(storage: Path) -> None:
    def keep(number: int) -> None:
        made = Account(fulldomain=f"{number}.{DOMAIN}", subdomain=str(number), username="u", password="p")
        Accounts(str(storage)).keep(f"{number}.example", made)

    threads = [threading.Thread(target=keep, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(Accounts(str(storage)).all()) == 20
    assert [path.name for path in storage.parent.iterdir()] == [storage.name]


def test_what_else_stands_in_the_file_is_kept_and_a_link_followed(tmp_path: Path) -> None:
    real = tmp_path / "real.json"
    there = {"fulldomain": f"a.{DOMAIN}", "subdomain": "a", "username": "u", "password": "p", "note": "mine"}
    real.write_text(json.dumps({"a.example": there}))
    real.chmod(0o600)
    link = tmp_path / "link.json"
    link.symlink_to(real)
    made = Account(fulldomain=f"b.{DOMAIN}", subdomain="b", username="u", password="p")
    Accounts(str(link)).keep("b.example", made)
    assert link.is_symlink()
    assert json.loads(real.read_text())["a.example"] == there
    assert Accounts(str(link)).keep("b.example", replace(made, password="other")).password == "p"
