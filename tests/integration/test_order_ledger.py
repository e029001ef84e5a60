"""Limits of Let's Encrypt by what this machine has counted: Pebble answers at its URLs, behind a proxy."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from acmectl.config.rows_general import LETS_ENCRYPT, LETS_ENCRYPT_STAGING
from tests.integration.cli import Acmectl, Outcome
from tests.integration.fleet import plant
from tests.integration.servers.between import Answer
from tests.integration.servers.lets_encrypt import lets_encrypt
from tests.integration.servers.pebble import Pebble

STEP = timedelta(days=7) / 5
"""After which time one more duplicate is possible."""


class LetsEncrypt:
    """acmectl at what it takes for Let's Encrypt."""

    def __init__(self, acmectl: Acmectl, pebble: Pebble, env: dict[str, str]) -> None:
        self.acmectl = acmectl
        self.pebble = pebble
        self._env = env
        self.path = acmectl.work / "order-ledger.jsonl"

    def run(self, verb: str, *args: str) -> Outcome:
        """A run, trusting Pebble."""
        trust = ("--ca-bundle", str(self.pebble.ca_bundle), "--http-01-port", str(self.pebble.http_port))
        return self.acmectl.run(verb, *args, *trust, env=self._env, server=False)

    def obtain(self, name: str, *args: str, server: str = "letsencrypt") -> Outcome:
        """``certonly --duplicate``: another certificate for the name, in a lineage of its own."""
        flags = ("-n", "--agree-tos", "--standalone", "--http-01-address", "127.0.0.1", "--no-preflight", "--duplicate")
        return self.run("certonly", *flags, "--server", server, "-d", name, *args)

    def orders(self) -> int:
        """How often Pebble was asked for an order."""
        return self.pebble.requests().count("POST /order-plz")

    def lines(self) -> list[dict[str, object]]:
        """What the ledger holds."""
        return [json.loads(line) for line in self.path.read_text().splitlines()[1:]] if self.path.exists() else []

    def write(self, *names: str, count: int, age: timedelta, server: str = LETS_ENCRYPT) -> str:
        """A ledger of ``count`` certificates for ``names``, all issued ``age`` ago; the text of it."""
        line = {
            "at": (datetime.now(UTC) - age).isoformat(timespec="seconds"),
            "kind": "certificate",
            "server": server,
            "account": "https://ca.example/account/1",
            "names": sorted(names),
            "order": "https://ca.example/order/1",
            "exempt": False,
            "renewal": False,
        }
        text = '{"format": 1}\n' + f"{json.dumps(line)}\n" * count
        self.path.parent.mkdir(exist_ok=True)
        self.path.write_text(text)
        return text


@pytest.fixture
def le(pebble: Pebble, tmp_path: Path) -> Iterator[LetsEncrypt]:
    with Acmectl(pebble, tmp_path) as acmectl, lets_encrypt(pebble) as (env, _asked):
        yield LetsEncrypt(acmectl, pebble, env)


def flat(text: str) -> str:
    return " ".join(text.split())


def test_the_sixth_duplicate_is_refused_before_an_order_reaches_the_ca(le: LetsEncrypt) -> None:
    le.write("a.example.org", count=3, age=timedelta(hours=1))
    for number in (3, 4):
        told = flat(le.obtain("A.example.org").ok().out)
        assert f"{number} of 5 certificates in 7 days for exactly these names" in told
        assert "0 of 5 failed validations in 1 hour" in told
        # A certificate for the name is known: to the CA this one is a renewal, which does not count for the domain.
        assert "for example.org" not in told
    asked, counted = le.orders(), le.lines()
    refused = le.obtain("a.example.org", "--json").failed()
    (line,) = refused.errors
    assert "5 of 5 certificates in 7 days for exactly these names" in line
    assert "UTC" in line
    assert "--ignore-ledger" in refused.err
    seen = refused.json
    until = datetime.now(UTC) + STEP - timedelta(hours=1)
    assert abs(datetime.fromisoformat(seen["retry_at"]) - until) < timedelta(minutes=5)
    csr = le.acmectl.folder / "a.csr"
    _write_csr(csr, "a.example.org")
    le.run("certonly", "-n", "--standalone", "--csr", str(csr), "--server", "letsencrypt").failed()
    assert le.orders() == asked
    assert le.lines() == counted
    # A trial is neither refused nor counted.
    le.obtain("a.example.org", "--dry-run").ok()
    assert le.lines() == counted
    asked = le.orders()
    told = flat(le.obtain("a.example.org", "--ignore-ledger").ok().err)
    assert "It is asked all the same." in told
    assert le.orders() == asked + 1
    assert [line["kind"] for line in le.lines()[len(counted) :]] == ["order", "certificate"]
    # Another name of the domain is told of those that were no renewals.
    told = flat(le.obtain("b.example.org").ok().out)
    assert (
        "0 of 5 certificates in 7 days for exactly these names, 3 of 50 certificates in 7 days for example.org" in told
    )


def test_a_damaged_certificate_of_another_lineage_hinders_nobody(le: LetsEncrypt) -> None:
    plant(le.acmectl, "damaged.example.org", params={"server": LETS_ENCRYPT})
    (le.acmectl.config / "archive" / "damaged.example.org" / "cert1.pem").write_text("damaged")
    le.write("x.example.org", count=50, age=timedelta(minutes=1))
    (line,) = le.obtain("new.example.org").failed().errors
    assert "50 of 50 certificates in 7 days for example.org" in line
    le.obtain("new.example.org", "--ignore-ledger").ok()


def _write_csr(path: Path, name: str) -> None:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    names = x509.SubjectAlternativeName([x509.DNSName(name)])
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).add_extension(names, critical=False)
    path.write_bytes(builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))


def test_after_five_failed_validations_a_name_is_left_alone_and_others_are_not(le: LetsEncrypt) -> None:
    le.pebble.dns.add_a("fails.example.org", "127.0.0.9")
    try:
        for _ in range(2):
            failed = le.obtain("fails.example.org", "-d", "works.example.org").failed()
            assert "would refuse" not in failed.err
        assert le.path.stat().st_mode & 0o777 == 0o600
        assert [line["names"] for line in le.lines() if line["kind"] == "failure"] == [["fails.example.org"]] * 2
        (*_, last) = le.path.read_text().splitlines(keepends=True)
        le.path.write_text(le.path.read_text() + last * 2)
        assert "4 of 5 failed validations in 1 hour" in flat(le.obtain("fails.example.org").failed().out)
        asked = le.orders()
        refused = le.obtain("fails.example.org").failed()
        assert "5 of 5 failed validations in 1 hour of fails.example.org" in flat(refused.err)
        assert le.orders() == asked
        le.obtain("works.example.org").ok()
        # What no CA has looked for in vain does not count: the hook fails before that.
        hook = ("--manual", "--manual-auth-hook", "false")
        flags = ("certonly", "-n", *hook, "-d", "hook.example.org", "--server", "letsencrypt")
        counted = len([line for line in le.lines() if line["kind"] == "failure"])
        assert "--manual-auth-hook for hook.example.org" in flat(str(le.run(*flags).failed()))
        assert len([line for line in le.lines() if line["kind"] == "failure"]) == counted
    finally:
        le.pebble.dns.clear_a("fails.example.org")


def test_a_replacement_is_never_refused_and_counts_only_outside_its_window(le: LetsEncrypt) -> None:
    le.obtain("r.example.org").ok()
    le.path.write_text(
        le.path.read_text() + le.write("r.example.org", count=5, age=timedelta(hours=1)).split("\n", 1)[1]
    )
    assert "Used of" not in le.run("renew", "--force-renewal").ok().out
    assert [line["exempt"] for line in le.lines()[-2:]] == [True, True]
    # Now the CA has been asked, and said that it is too early.
    assert "not due" in le.run("renew").ok().out
    le.run("renew", "--force-renewal").ok()
    assert [(line["kind"], line["exempt"]) for line in le.lines()[-2:]] == [("order", False), ("certificate", False)]
    assert le.acmectl.version("r.example.org") == 3


def test_each_of_two_certificates_counts_by_its_own_window(le: LetsEncrypt) -> None:
    le.obtain("two.example.org", "--key-type", "rsa,ecdsa").ok()
    assert "not due" in le.run("renew").ok().out
    le.run("renew", "--force-renewal").ok()
    assert [(line["kind"], line["exempt"]) for line in le.lines()[-4:]] == [
        *[("order", False), ("certificate", False)] * 2
    ]


def test_a_renewal_that_is_refused_fails_and_waits_until_the_ca_would_take_it(le: LetsEncrypt) -> None:
    # Another CA issued the predecessor, so this one is not told of it.
    plant(le.acmectl, "moved.example.org")
    le.run("register", "-n", "--agree-tos", "--server", "letsencrypt").ok()
    le.write("moved.example.org", count=5, age=timedelta(hours=1))
    asked = le.orders()
    (one,) = le.run("renew", "--server", "letsencrypt", "--json").failed().json["lineages"]
    assert (one["outcome"], le.orders()) == ("failure", asked)
    assert "5 of 5 certificates in 7 days for exactly these names" in one["why"]
    until = datetime.now(UTC) + STEP - timedelta(hours=1)
    assert abs(datetime.fromisoformat(one["next_attempt"]) - until) < timedelta(minutes=5)
    (again,) = le.run("renew", "--server", "letsencrypt", "--json").failed().json["lineages"]
    assert (again["outcome"], again["failing"], again["next_attempt"]) == ("skipped", True, one["next_attempt"])
    le.run("renew", "--cert-name", "moved.example.org", "--server", "letsencrypt", "--ignore-ledger").ok()
    assert le.acmectl.params("moved.example.org")["server"] == LETS_ENCRYPT


def test_the_next_ca_is_tried_and_the_first_rests(le: LetsEncrypt) -> None:
    le.write("s.example.org", count=5, age=timedelta(hours=1))
    done = le.obtain("s.example.org", "--server", le.pebble.directory_url).ok()
    assert "The next CA is tried." in flat(done.err)
    assert le.acmectl.params("s.example.org")["server"] == le.pebble.directory_url
    pauses = json.loads(le.acmectl.renewal("s.example.org")["acmectl"]["server_pauses"])
    assert list(pauses) == [LETS_ENCRYPT]
    assert datetime.fromisoformat(pauses[LETS_ENCRYPT]) > datetime.now(UTC) + STEP - timedelta(hours=2)
    assert len(le.lines()) == 5


def test_an_order_that_is_gone_on_with_is_not_refused_and_counts_once(pebble: Pebble, tmp_path: Path) -> None:
    in_the_way = tmp_path / "config" / "archive" / "q.example.org"
    blocked: list[str] = []

    def block(_method: str, path: str, answer: Answer) -> Answer:
        if path.startswith("/certZ") and not blocked:
            blocked.append(path)
            in_the_way.touch()  # the certificate cannot be saved
        return answer

    with Acmectl(pebble, tmp_path) as acmectl, lets_encrypt(pebble, after=block) as (env, _asked):
        le = LetsEncrypt(acmectl, pebble, env)
        le.write("q.example.org", count=4, age=timedelta(hours=1))
        in_the_way.parent.mkdir(parents=True)
        assert str(in_the_way) in flat(le.obtain("q.example.org").failed().err)
        counted = le.lines()
        assert [line["kind"] for line in counted[4:]] == ["order", "certificate"]
        in_the_way.unlink()
        le.obtain("q.example.org").ok()
        assert le.lines() == counted


def test_two_keys_want_two_places_before_the_first_order(le: LetsEncrypt) -> None:
    le.write("two.example.org", count=4, age=timedelta(hours=1))
    asked = le.orders()
    refused = le.obtain("two.example.org", "--key-type", "rsa,ecdsa").failed()
    assert "4 of 5 certificates in 7 days for exactly these names" in flat(refused.err)
    assert le.orders() == asked
    le.write("two.example.org", count=3, age=timedelta(hours=1))
    le.obtain("two.example.org", "--key-type", "rsa,ecdsa").ok()
    assert [line["kind"] for line in le.lines()[3:]] == ["order", "certificate"] * 2


def test_fifty_certificates_of_a_domain_are_enough_but_not_for_what_is_there_already(le: LetsEncrypt) -> None:
    le.obtain("old.example.co.uk").ok()
    le.write("x.example.co.uk", "y.example.co.uk", count=50, age=timedelta(hours=1))
    asked = le.orders()
    refused = le.obtain("new.example.co.uk").failed()
    assert "50 of 50 certificates in 7 days for example.co.uk" in flat(refused.err)
    assert le.orders() == asked
    le.obtain("new.other.co.uk").ok()
    shown = le.run("ca", "letsencrypt").ok().out
    assert (
        "  50 of 50 certificates in 7 days for example.co.uk\n  1 of 50 certificates in 7 days for other.co.uk\n"
        in shown
    )
    used = le.run("ca", "letsencrypt", "--json").ok().json["used"]
    (full,) = (one for one in used if one["of"] == "example.co.uk")
    assert (full["used"], full["count"], full["seconds"]) == (50, 50, 604_800)
    assert datetime.fromisoformat(full["free_at"]) > datetime.now(UTC)
    # The ledger has forgotten it, the lineage has not: to the CA it is a renewal.
    le.obtain("old.example.co.uk").ok()


def test_a_ca_without_published_limits_is_not_counted(le: LetsEncrypt) -> None:
    before = le.write("t.example.org", count=5, age=timedelta(hours=1), server=LETS_ENCRYPT_STAGING)
    assert "Used of" not in le.obtain("t.example.org", server="letsencrypt-staging").ok().out
    le.obtain("t.example.org", server=le.pebble.directory_url).ok()
    assert le.path.read_text() == before


def test_a_damaged_ledger_is_told_once_and_what_can_be_read_of_it_counts(le: LetsEncrypt) -> None:
    text = le.write("d.example.org", count=3, age=timedelta(hours=1))
    header, first, *others = text.splitlines(keepends=True)
    damaged = "".join([header, first, "\x00\x1b[31mrubbish\n", *others, first[: len(first) // 2]])
    le.path.write_text(damaged)
    done = le.obtain("d.example.org").ok()
    assert done.err.count("was damaged") == 1
    assert "3 of 5 certificates" in flat(done.out)
    assert le.path.with_name("order-ledger.jsonl.damaged").read_text() == damaged
    again = le.obtain("d.example.org").ok()
    assert "was damaged" not in again.err
    assert "4 of 5 certificates" in flat(again.out)
    le.path.unlink()
    le.path.mkdir()
    done = le.obtain("d.example.org").ok()
    assert done.err.count("Orders are not counted: Cannot ") == 1
