"""Next keys for DANE: records go into a real BIND, renewals reuse or change the key, and openssl verifies by them."""

from __future__ import annotations

import datetime
import json
import os
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from acmectl.pki.keys import public_bytes_of
from acmectl.storage.renewal_conf import JsonValue
from tests.integration.cli import Acmectl
from tests.integration.crash.relay import Killer, Relay
from tests.integration.fleet import DAY, plant
from tests.integration.servers.dns_lab import PRIMARY, PRIMARY6, SECONDARY, DnsLab, secret
from tests.integration.servers.pebble import Pebble, PebbleConfig
from tests.integration.servers.process import ServerProcess, accepts, free_port
from tests.integration.servers.requirements import require
from tests.integration.trees import Certbot

STAGES: dict[str, JsonValue] = {"stage_next_key": True}
BEFORE = "the TLSA record of the key before can be removed"


@pytest.fixture
def lab(dns_lab: DnsLab) -> Iterator[DnsLab]:
    require("nsupdate", "openssl")
    yield dns_lab
    for zone, host in (("second.test", "dane"), ("second.test", "killed"), ("slow.test", "dane")):
        update(dns_lab, *(f"update delete _{port}._tcp.{host}.{zone}. TLSA" for port in (25, 443)))


@pytest.fixture
def program(lab: DnsLab, dns_pebble: Pebble, tmp_path: Path) -> Iterator[Acmectl]:
    with lab.acmectl(dns_pebble, tmp_path) as acmectl:
        yield acmectl


def update(lab: DnsLab, *lines: str) -> None:
    """What an administrator types into nsupdate."""
    key = f"key hmac-sha256:acmectl-key {secret('acmectl-key')}"
    done = lab.run("nsupdate", text="\n".join([f"server {PRIMARY}", key, *lines, "send", ""]))
    assert done.returncode == 0, done.stderr


def publish(lab: DnsLab, lines: Sequence[str], *, ttl: int = 3000) -> None:
    """Put printed lines into the zone."""
    update(lab, *(f"update add {line.split(' ;')[0].replace(' IN ', f' {ttl} IN ')}" for line in lines))


def options(lab: DnsLab, acmectl: Acmectl) -> tuple[str, ...]:
    path = lab.rfc2136(acmectl.folder / "rfc2136.ini")
    return ("-a", "dns-rfc2136", "--dns-rfc2136-credentials", str(path))


def digest_of(key: Path, kind: str = "sha256") -> str:
    """The digest of a key's public half, by openssl."""
    command = ["openssl", "pkey", "-in", str(key), "-pubout", "-outform", "DER"]
    der = subprocess.run(command, capture_output=True, check=True).stdout
    said = subprocess.run(["openssl", "dgst", f"-{kind}", "-r"], input=der, capture_output=True, check=True).stdout
    return said.split()[0].decode()


def staged(acmectl: Acmectl, name: str) -> Path:
    return acmectl.config / "archive" / name / "next-key.pem"


def note(acmectl: Acmectl, name: str) -> dict[str, object]:
    content: dict[str, object] = json.loads(staged(acmectl, name).with_suffix(".json").read_text())
    return content


def seen_long_ago(acmectl: Acmectl, name: str) -> None:
    """As if a day had passed since the record was seen."""
    content = note(acmectl, name)
    content["seen"] = (datetime.datetime.fromisoformat(str(content["seen"])) - DAY).isoformat()
    staged(acmectl, name).with_suffix(".json").write_text(json.dumps(content))


def lines_of(acmectl: Acmectl, name: str, *args: str) -> list[str]:
    return acmectl.run("tlsa", "--cert-name", name, *args).ok().out.splitlines()


def forced(acmectl: Acmectl, name: str) -> str:
    done = acmectl.run("renew", "--cert-name", name, "--force-renewal").ok()
    return done.out + done.err


def test_the_key_changes_once_its_record_was_seen_for_its_ttl(program: Acmectl, lab: DnsLab) -> None:
    name = "dane.second.test"
    flags = ("certonly", "-n", "--agree-tos", *options(lab, program), "--stage-next-key", "--tlsa-port", "443,25")
    tlsa = program.run(*flags, "-d", name, "--json").ok().json["tlsa"]
    current, following = digest_of(program.live(name, "privkey")), digest_of(staged(program, name))
    assert current != following
    assert (tlsa["current_sha256"], tlsa["next_sha256"], tlsa["seen"]) == (current, following, None)
    printed = lines_of(program, name)
    assert printed == [
        f"_{port}._tcp.{name}. IN TLSA 3 1 1 {digest} ; {which} key"
        for port in (443, 25)
        for digest, which in ((current, "current"), (following, "next"))
    ]
    assert [one["line"] for one in tlsa["records"]] == printed
    for file in (staged(program, name), staged(program, name).with_suffix(".json")):
        assert file.stat().st_mode & 0o7777 == 0o600
    assert program.params(name)["reuse_key"] == "True"

    assert "no name of it has a TLSA record" in forced(program, name)
    publish(lab, [line for line in printed if "; current" in line or "_443." in line])
    assert f"_25._tcp.{name}. IN TLSA 3 1 1 {following}" in forced(program, name)
    publish(lab, printed)
    (result,) = program.run("renew", "--json").ok().json["lineages"]
    assert result["outcome"] == "skipped"
    assert result["tlsa"]["ttl"] == 3000
    assert result["tlsa"]["seen"] == note(program, name)["seen"] is not None
    assert lines_of(program, name, "--check") == printed
    assert f"may not have reached everybody before {result['tlsa']['usable_from'][:10]}" in forced(program, name)
    assert (program.version(name), digest_of(program.live(name, "privkey"))) == (4, current)

    seen_long_ago(program, name)
    said = forced(program, name)
    assert BEFORE in said
    assert (program.version(name), digest_of(program.live(name, "privkey"))) == (5, following)
    assert program.certificate(name).public_key() == load(program.live(name, "privkey"))
    another = digest_of(staged(program, name))
    assert another not in (current, following)
    assert another in said
    done = program.run("tlsa", "--check").failed()
    assert f"({PRIMARY}): _25._tcp.{name}, next key: it has others only" in done.err
    assert "current key:" not in done.err

    verify(program, name, before=current, now=following)


def load(key: Path) -> object:
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    return load_pem_private_key(key.read_bytes(), None).public_key()


def verify(program: Acmectl, name: str, *, before: str, now: str) -> None:
    """openssl, as a DANE client, takes what is served with the records of a rollover; its digest agility is ours."""
    port = free_port()
    pair = ("-cert_chain", str(program.live(name, "fullchain")), "-key", str(program.live(name, "privkey")))
    command = ["openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-quiet", "-cert", str(program.live(name)), *pair]
    server = ServerProcess("s_server", command, log=program.folder / "s_server.log")
    server.start(lambda: accepts(port))
    try:
        assert "DANE TLSA 3 1 1" in client(port, name, f"3 1 1 {before}", f"3 1 1 {now}")
        assert "Verification: OK" not in client(port, name, f"3 1 1 {before}")
        old = next((program.config / "archive" / name).glob("privkey1.pem"))
        stronger = f"3 1 2 {digest_of(old, 'sha512')}"
        assert "Verification: OK" not in client(port, name, stronger, f"3 1 1 {now}")
    finally:
        server.stop()


def client(port: int, name: str, *records: str) -> str:
    rows = [word for record in records for word in ("-dane_tlsa_rrdata", record)]
    command = ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-dane_tlsa_domain", name, *rows]
    return subprocess.run(command, input="", capture_output=True, text=True, timeout=60).stdout


def test_a_switch_that_was_killed_goes_on_with_the_same_key(lab: DnsLab, dns_pebble: Pebble, tmp_path: Path) -> None:
    name = "killed.second.test"
    with lab.inside():
        relay = Relay(dns_pebble).__enter__()
    with lab.acmectl(relay, tmp_path) as program:  # type: ignore[arg-type]
        program.certonly(name, options=(*options(lab, program), "--stage-next-key"))
        publish(lab, lines_of(program, name))
        program.run("renew").ok()
        seen_long_ago(program, name)
        current, following = digest_of(program.live(name, "privkey")), digest_of(staged(program, name))
        killer = Killer()
        relay.after["/certZ/"] = killer
        run = program.start("renew", "--force-renewal")
        killer.arm(run.kill)
        assert run.wait().code == -9
        assert digest_of(program.live(name, "privkey")) == current
        assert digest_of(staged(program, name)) == following
        orders = sum("/order-plz" in one for one in relay.requests)

        done = program.run("renew").ok()
        assert "Going on with the order" in done.out
        assert digest_of(program.live(name, "privkey")) == following
        assert digest_of(staged(program, name)) not in (current, following)
        assert sum("/order-plz" in one for one in relay.requests) == orders
    relay.__exit__()


def test_every_name_server_has_to_show_the_record(program: Acmectl, lab: DnsLab) -> None:
    name = "dane.slow.test"
    plant(program, name, left=80 * DAY, own=STAGES)
    program.run("renew", server=False).ok()
    publish(lab, lines_of(program, name))
    (first,) = program.run("renew", "--json", server=False).ok().json["lineages"]
    assert first["tlsa"]["seen"] is None
    (checked,) = program.run("tlsa", "--check", "--json").failed().json["certificates"]
    for record in checked["records"]:
        said = {one["server"].split("(")[1].rstrip(")"): one["problem"] for one in record["checked"]}
        assert said == {PRIMARY: None, PRIMARY6: None, SECONDARY: "it is not there"}
    lab.push("slow.test")
    (second,) = program.run("renew", "--json", server=False).ok().json["lineages"]
    assert second["tlsa"]["seen"] is not None


# What follows needs no DNS: its names are looked up where nobody may send anything.


@pytest.fixture
def nowhere() -> tuple[str, ...]:
    return ("--dns-resolver", "255.255.255.255")


def test_a_renewal_goes_on_with_the_key_when_dns_is_out_of_order(acmectl: Acmectl, nowhere: tuple[str, ...]) -> None:
    acmectl.certonly("a.example", options=("--standalone", "--stage-next-key", *nowhere))
    before = acmectl.live("a.example", "privkey").read_bytes()
    done = acmectl.run("renew", "--force-renewal").ok()
    assert "a.example keeps its key: the TLSA records of _443._tcp.a.example could not be looked up" in done.err
    assert acmectl.version("a.example") == 2
    assert acmectl.live("a.example", "privkey").read_bytes() == before


def test_a_certificate_that_is_kept_begins_and_ends_to_stage(acmectl: Acmectl, nowhere: tuple[str, ...]) -> None:
    acmectl.certonly("a.example")
    options = ("--standalone", "--keep-until-expiring")
    done = acmectl.certonly("a.example", options=(*options, "--stage-next-key", "--tlsa-port", "853/udp"))
    digest = digest_of(staged(acmectl, "a.example"))
    assert f"_853._udp.a.example. IN TLSA 3 1 1 {digest} ; next key" in done.out
    assert acmectl.version("a.example") == 1
    assert acmectl.params("a.example")["reuse_key"] == "True"
    acmectl.certonly("a.example", options=options)
    acmectl.run("renew", *nowhere).ok()
    assert digest_of(staged(acmectl, "a.example")) == digest

    assert "--no-stage-next-key" in acmectl.run("renew", "--force-renewal", "--new-key", *nowhere).failed().err
    assert acmectl.version("a.example") == 1
    done = acmectl.certonly("a.example", options=(*options, "--no-stage-next-key"))
    assert "its next key is removed" in done.out
    assert os.listdir(staged(acmectl, "a.example").parent).count("next-key.json") == 0
    assert not staged(acmectl, "a.example").exists()
    assert "stages no next key" in acmectl.run("tlsa", "--cert-name", "a.example").failed().err


def test_reconfigure_stages_a_key_of_the_kind_that_is_asked_for(acmectl: Acmectl) -> None:
    acmectl.certonly("a.example")
    done = acmectl.run("reconfigure", "-n", "--cert-name", "a.example", "--stage-next-key", "--json").ok().json
    assert done["tlsa"]["next_sha256"] == digest_of(staged(acmectl, "a.example"))
    assert len(staged(acmectl, "a.example").read_bytes()) < 300
    acmectl.run("reconfigure", "-n", "--cert-name", "a.example", "--key-type", "rsa").ok()
    assert len(staged(acmectl, "a.example").read_bytes()) > 1500
    assert acmectl.version("a.example") == 1


def test_a_key_that_is_replaced_at_once_makes_way_for_the_staged_one(acmectl: Acmectl) -> None:
    acmectl.certonly("a.example", options=("--standalone", "--stage-next-key"))
    following = digest_of(staged(acmectl, "a.example"))
    reissue = ("revoke", "-n", "--reissue", "--cert-name", "a.example", "--reason", "keycompromise")
    done = acmectl.run(*reissue).ok()
    assert digest_of(acmectl.live("a.example", "privkey")) == following
    assert f"until they have the record 3 1 1 {following}" in done.err
    another = digest_of(staged(acmectl, "a.example"))
    assert another != following

    # Where none is staged it is a new one.
    staged(acmectl, "a.example").unlink()
    acmectl.run(*reissue).ok()
    assert digest_of(acmectl.live("a.example", "privkey")) not in (following, another)
    assert staged(acmectl, "a.example").exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("-d", "*.a.example"), "only wildcards or addresses"),
        (("--ip-address", "127.0.0.1"), "only wildcards or addresses"),
        (("-d", "a.example", "--tlsa-port", "https"), "'https' is no port"),
        (("-d", "*.a.example", "--tlsa-name", "*.b.example"), "no host for --tlsa-name"),
        (("-d", "a.example", "--key-type", "rsa,ecdsa"), "is for one key"),
        (("-d", "a.example", "--key", "pkcs11:object=x"), "the key lies in a token"),
        (("--csr", __file__), "--csr and --stage-next-key"),
        (("-d", "a.example", "--no-reuse-key"), "--no-reuse-key"),
    ],
)
def test_what_cannot_be_staged_is_refused_before_the_order(
    acmectl: Acmectl, options: tuple[str, ...], said: str
) -> None:
    done = acmectl.run("certonly", "-n", "--agree-tos", "--standalone", "--stage-next-key", *options).failed()
    assert said in done.err
    assert acmectl.lineages() == []


def test_hosts_of_a_wildcard_are_named(acmectl: Acmectl) -> None:
    plant(
        acmectl,
        "wild.example",
        names=["*.wild.example"],
        left=80 * DAY,
        own={**STAGES, "tlsa_name": ["A.wild.example"]},
    )
    acmectl.run("renew", server=False).ok()
    (current, following) = lines_of(acmectl, "wild.example")
    assert current.startswith("_443._tcp.a.wild.example. IN TLSA 3 1 1 ")
    assert following.endswith(f"{digest_of(staged(acmectl, 'wild.example'))} ; next key")


def test_a_damaged_next_key_is_replaced_and_a_torn_note_costs_the_wait_alone(acmectl: Acmectl) -> None:
    plant(acmectl, "a.example", left=80 * DAY, own=STAGES)
    acmectl.run("renew", server=False).ok()
    digest = digest_of(staged(acmectl, "a.example"))
    staged(acmectl, "a.example").with_suffix(".json").write_text('{"format": 1')
    acmectl.run("renew", server=False).ok()
    assert digest_of(staged(acmectl, "a.example")) == digest
    staged(acmectl, "a.example").write_text("no key")
    assert "Another one is made" in acmectl.run("renew", server=False).ok().err
    assert digest_of(staged(acmectl, "a.example")) != digest


def test_delete_takes_the_next_key_along_wherever_the_archive_is(acmectl: Acmectl) -> None:
    plant(acmectl, "a.example", left=80 * DAY, own=STAGES)
    elsewhere = acmectl.folder / "elsewhere"
    (acmectl.config / "archive" / "a.example").rename(elsewhere)
    path = acmectl.renewal_path("a.example")
    path.write_text(path.read_text().replace(str(acmectl.config / "archive" / "a.example"), str(elsewhere)))
    for kind in ("cert", "chain", "fullchain", "privkey"):
        acmectl.live("a.example", kind).unlink()
        acmectl.live("a.example", kind).symlink_to(elsewhere / f"{kind}1.pem")
    acmectl.run("renew", server=False).ok()
    assert public_bytes_of((elsewhere / "next-key.pem").read_bytes())
    acmectl.run("delete", "-n", "--cert-name", "a.example").ok()
    assert not elsewhere.exists()


def test_certbot_reuses_the_key_and_takes_no_offence_at_the_next_one(tmp_path: Path) -> None:
    with Pebble(PebbleConfig(nonce_reject=0)) as calm, Acmectl(calm, tmp_path) as acmectl:
        certbot = Certbot("5.8.0", acmectl)
        acmectl.certonly("a.example", options=("--standalone", "--stage-next-key"))
        before, following = acmectl.live("a.example", "privkey").read_bytes(), staged(acmectl, "a.example").read_bytes()
        certbot.renew()
        assert acmectl.version("a.example") == 2
        assert acmectl.live("a.example", "privkey").read_bytes() == before
        assert staged(acmectl, "a.example").read_bytes() == following
        assert list(certbot.listing()) == ["a.example"]
        assert lines_of(acmectl, "a.example")
        certbot.run("delete", "--cert-name", "a.example").ok()
        assert not staged(acmectl, "a.example").parent.exists()
