"""Records that stay: printed, looked at, relied on, and never touched; and dns-account-01."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from tests.integration.cli import Acmectl
from tests.integration.servers.between import Answer, Between
from tests.integration.servers.dns_lab import PRIMARY, DnsLab, secret
from tests.integration.servers.pebble import Pebble

NAME = "stays.example.test"
RECORD = f"_validation-persist.{NAME}"


@pytest.fixture
def acmectl(dns_lab: DnsLab, dns_pebble: Pebble, tmp_path: Path):
    with dns_lab.acmectl(dns_pebble, tmp_path) as program:
        program.run("register", "-n", "--agree-tos").ok()
        yield program
    update(dns_lab, f"update delete {RECORD}. TXT")


def update(lab: DnsLab, *lines: str) -> None:
    """What an administrator types into nsupdate."""
    key = f"key hmac-sha256:acmectl-key {secret('acmectl-key')}"
    done = lab.run("nsupdate", text="\n".join([f"server {PRIMARY}", key, *lines, "send", ""]))
    assert done.returncode == 0, done.stderr


def printed(acmectl: Acmectl, *names: str, options: tuple[str, ...] = ()) -> list[str]:
    """The lines for a zone file."""
    flags = [word for name in names for word in ("-d", name)]
    return acmectl.run("dns-record", *flags, *options).ok().out.splitlines()


def issue(acmectl: Acmectl, *names: str) -> None:
    acmectl.certonly(*names, options=("-a", "dns-persist"))


def test_the_printed_record_lets_the_ca_issue_and_renew_and_is_left_alone(acmectl: Acmectl, dns_lab: DnsLab) -> None:
    lines = printed(acmectl, NAME, f"*.{NAME}")
    (txt,) = (line for line in lines if " IN TXT " in line)
    assert txt.startswith(f"{RECORD}. 3600 IN TXT ")
    assert "policy=wildcard" in txt
    url = acmectl.run("show_account", "--json").ok().json["url"]
    assert f"accounturi={url};" in txt
    caa = [line for line in lines if " IN CAA " in line]
    assert [line.split()[5] for line in caa] == ["issue", "issuewild"]
    assert all(f"accounturi={url}; validationmethods=dns-persist-01" in line for line in caa)

    update(dns_lab, f"update add {txt}")
    before = dns_lab.all_txt("example.test")
    issue(acmectl, NAME, f"*.{NAME}")
    acmectl.run("renew", "--force-renewal").ok()
    assert acmectl.version(NAME) == 2
    assert dns_lab.all_txt("example.test") == before


def test_check_looks_at_every_name_server_and_says_what_is_wrong(acmectl: Acmectl, dns_lab: DnsLab) -> None:
    (txt,) = (line for line in printed(acmectl, NAME) if " IN TXT " in line)
    missing = acmectl.run("dns-record", "-d", NAME, "--check").failed()
    assert missing.err.count(f"TXT {RECORD}: there is no such record") == 3  # BIND by IPv4 and IPv6, and the secondary
    assert txt in missing.out
    update(dns_lab, f'update add {RECORD}. 60 TXT "other.example; accounturi=https://x/1"')
    wrong = acmectl.run("dns-record", "-d", NAME, "--check").failed()
    assert f"TXT {RECORD}: it is for another CA (other.example)" in wrong.err
    update(dns_lab, f"update add {txt}")
    found = acmectl.run("dns-record", "-d", NAME, "--check", "--json").failed().json
    by_type = {record["type"]: record for record in found["records"]}
    assert {one["problem"] for one in by_type["TXT"]["checked"]} == {None}
    assert {one["problem"] for one in by_type["CAA"]["checked"]} == {"it is not there"}


def test_an_end_is_written_into_the_record_and_one_in_the_past_is_refused(acmectl: Acmectl) -> None:
    (txt, *_) = printed(acmectl, NAME, options=("--persist-until", "2099-01-01"))
    assert 'persistUntil=4070908800"' in txt
    failed = acmectl.run("dns-record", "-d", NAME, "--persist-until", "2001-01-01").failed()
    assert "has passed" in failed.err


def test_without_the_record_there_is_a_warning_and_the_command_to_type(acmectl: Acmectl) -> None:
    failed = acmectl.run("certonly", "-n", "-a", "dns-persist", "-d", NAME).failed()
    assert f"the record {RECORD} will hardly do" in " ".join(failed.err.split())
    assert f"acmectl dns-record -d '{NAME}'" in failed.out + failed.err


def test_a_record_for_one_name_is_not_enough_for_its_wildcard(acmectl: Acmectl, dns_lab: DnsLab) -> None:
    (txt,) = (line for line in printed(acmectl, NAME) if " IN TXT " in line)
    update(dns_lab, f"update add {txt}")
    issue(acmectl, NAME)
    failed = acmectl.run("certonly", "-n", "-a", "dns-persist", "-d", f"*.{NAME}").failed()
    assert "it has no policy=wildcard" in " ".join(failed.err.split())


# Scripted: Pebble names one issuer.
@pytest.mark.parametrize("issuers", [[], [f"ca{number}.example" for number in range(11)]], ids=["none", "eleven"])
def test_a_challenge_of_no_issuers_or_too_many_is_refused(pebble: Pebble, tmp_path: Path, issuers: list[str]) -> None:
    def with_these(_method: str, path: str, answer: Answer) -> Answer:
        if not path.startswith("/authZ/") or answer.status != 200:
            return answer
        content = json.loads(answer.body)
        for challenge in content["challenges"]:
            if "issuer-domain-names" in challenge:
                challenge["issuer-domain-names"] = issuers
        return dataclasses.replace(answer, body=json.dumps(content).encode())

    with Between(pebble) as between, Acmectl(pebble, tmp_path) as acmectl:
        between.after = with_these
        before = len(pebble.requests())
        quickly = ("--no-dns-propagation-check", "--no-caa-check", "--server", between.directory_url)
        done = acmectl.certonly(NAME, options=("-a", "dns-persist", *quickly), code=1)
        assert len(done.errors) == 1
        assert "issuers" in done.errors[0]
        assert [line for line in pebble.requests()[before:] if "/chalZ/" in line] == []


def test_dns_account_01_has_a_name_of_its_own_for_each_account(
    acmectl: Acmectl, dns_lab: DnsLab, tmp_path: Path
) -> None:
    credentials = dns_lab.rfc2136(tmp_path / "rfc2136.ini")
    options = ("-a", "dns-rfc2136", "--dns-rfc2136-credentials", str(credentials))
    hook = tmp_path / "seen"
    done = acmectl.run(
        *("certonly", "-n", *options, "--preferred-challenges", "dns-account-01", "-d", NAME, "-v"),
        *("--deploy-hook", f"echo done > {hook}"),
    ).ok()
    assert acmectl.names(NAME) == [NAME]
    assert "dns-account-01" in done.out + done.err + acmectl.log()
    assert not [name for name, _ in dns_lab.all_txt("example.test") if NAME in name]


def test_the_cname_to_acme_dns_is_printed_and_looked_for(acmectl: Acmectl, tmp_path: Path) -> None:
    accounts = tmp_path / "acme-dns.json"
    accounts.write_text(
        '{"stays.example.test": {"fulldomain": "a1b2.auth.acme-dns.test"}, "x.test": {"fulldomain": "y"}}'
    )
    accounts.chmod(0o600)
    option = ("--dns-acme-dns-storage", str(accounts))
    lines = printed(acmectl, NAME, options=option)
    assert f"_acme-challenge.{NAME}. 3600 IN CNAME a1b2.auth.acme-dns.test." in lines
    failed = acmectl.run("dns-record", "-d", NAME, "--check", *option).failed()
    assert f"CNAME _acme-challenge.{NAME}: there is no CNAME" in failed.err
    accounts.write_text("[]")
    assert "is damaged" in acmectl.run("dns-record", "-d", NAME, *option).failed().err
    accounts.chmod(0o644)
    assert "chmod 600" in acmectl.run("dns-record", "-d", NAME, *option).failed().err
