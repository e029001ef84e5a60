"""dns-rfc2136 from end to end: BIND, Knot and PowerDNS are changed by TSIG, and Pebble validates what they answer."""

from __future__ import annotations

import json
import signal

import pytest

from tests.integration.servers.dns_lab import KNOT, POWERDNS, PRIMARY6, SECONDARY, SLOW_RESOLVER
from tests.integration.servers.pebble import PebbleConfig
from tests.integration.servers.process import wait_until

HUNDRED = [f"host{number}.example.test" for number in range(100)]


@pytest.fixture
def program(dns_lab, dns_pebble, tmp_path):
    with dns_lab.acmectl(dns_pebble, tmp_path) as acmectl:
        yield acmectl


@pytest.fixture(scope="module")
def far_pebble(dns_lab):
    """It sees what the secondary says."""
    with dns_lab.pebble(PebbleConfig(dns_server=f"{SLOW_RESOLVER}:53")) as server:
        yield server


@pytest.fixture
def far(dns_lab, far_pebble, tmp_path):
    with dns_lab.acmectl(far_pebble, tmp_path) as acmectl:
        yield acmectl


# The resolver that Pebble asks remembers a record for a second, so each test has names of its own.


def options(lab, acmectl, **credentials):
    path = lab.rfc2136(acmectl.folder / "rfc2136.ini", **credentials)
    return ("-a", "dns-rfc2136", "--dns-rfc2136-credentials", str(path))


def journals(acmectl):
    folder = acmectl.work / "dns-records"
    return sorted(folder.iterdir()) if folder.is_dir() else []


def nothing_is_left(lab, acmectl, *zones):
    for zone in zones or ("example.test",):
        assert lab.all_txt(zone) == set()
    assert journals(acmectl) == []


def test_a_name_is_proved_and_renewed_with_nothing_typed(dns_lab, program):
    program.certonly("renewed.example.test", options=options(dns_lab, program))
    assert program.names("renewed.example.test") == ["renewed.example.test"]
    nothing_is_left(dns_lab, program)
    params = program.params("renewed.example.test")
    assert params["authenticator"] == "dns-rfc2136"
    assert params["dns_rfc2136_credentials"] == str(program.folder / "rfc2136.ini")
    dns_lab.forget()
    program.run(
        "renew", "-n", "--force-renewal", server=False, env={"REQUESTS_CA_BUNDLE": str(program.pebble.ca_bundle)}
    ).ok()
    assert program.version("renewed.example.test") == 2
    nothing_is_left(dns_lab, program)


def test_the_secret_is_in_no_log_and_no_renewal_file(dns_lab, program):
    program.certonly("logged.example.test", options=(*options(dns_lab, program), "-v"))
    secret = (program.folder / "rfc2136.ini").read_text().split("secret = ")[1].split()[0]
    for path in program.folder.rglob("*"):
        if path.is_file() and path.name != "rfc2136.ini":
            assert secret.encode() not in path.read_bytes(), path


def test_a_wildcard_and_its_base_have_their_values_under_one_name(dns_lab, program):
    program.certonly("example.test", "*.example.test", options=options(dns_lab, program))
    assert program.names("example.test") == ["*.example.test", "example.test"]
    nothing_is_left(dns_lab, program)


def test_a_hundred_names_go_in_one_update(dns_lab, program):
    before = dns_lab.updates()
    program.certonly(*HUNDRED, options=options(dns_lab, program))
    assert program.names("host0.example.test") == sorted(HUNDRED)
    assert dns_lab.updates() - before == 2  # all added, all removed
    nothing_is_left(dns_lab, program)


def test_each_of_two_zones_gets_its_update(dns_lab, program):
    before = dns_lab.updates()
    program.certonly("a.example.test", "c.example.test", "a.second.test", options=options(dns_lab, program))
    assert program.names("a.example.test") == ["a.example.test", "a.second.test", "c.example.test"]
    assert dns_lab.updates() - before == 4
    nothing_is_left(dns_lab, program, "example.test", "second.test")


def test_a_server_is_reached_by_ipv6(dns_lab, program):
    program.certonly("v6.example.test", options=options(dns_lab, program, server=PRIMARY6))
    nothing_is_left(dns_lab, program)


def test_a_server_may_be_given_by_its_name(dns_lab, program):
    program.certonly("byname.example.test", options=options(dns_lab, program, server="ns1.example.test"))
    nothing_is_left(dns_lab, program)


@pytest.mark.parametrize("key", ["md5-key", "sha1-key", "sha224-key", "sha384-key", "sha512-key"])
def test_every_algorithm_signs(dns_lab, program, key):
    program.certonly(f"{key}.second.test", options=options(dns_lab, program, key=key))
    nothing_is_left(dns_lab, program, "second.test")


def test_the_algorithm_is_that_of_certbot_when_none_is_given(dns_lab, program):
    path = dns_lab.rfc2136(program.folder / "rfc2136.ini", key="md5-key")
    path.write_text("".join(line for line in path.open() if "algorithm" not in line))
    program.certonly("algorithm.second.test", options=("-a", "dns-rfc2136", "--dns-rfc2136-credentials", str(path)))


@pytest.mark.parametrize(
    ("name", "server", "zone"),
    [
        ("knotted.example.test", KNOT, "knot.test"),
        ("chain.example.test", KNOT, "knot.test"),
        ("alias.example.test", POWERDNS, "acme-delegate.test"),
        ("deleg.example.test", KNOT, "_acme-challenge.deleg.example.test"),
    ],
    ids=["alias", "aliases of aliases", "alias to PowerDNS", "zone of its own"],
)
def test_a_delegated_name_is_proved_where_it_leads(dns_lab, program, name, server, zone):
    program.certonly(name, options=(*options(dns_lab, program, server=server), "-v"))
    assert program.names(name) == [name]
    assert zone in program.log()
    nothing_is_left(dns_lab, program)


def test_a_primary_that_nobody_is_told_of_is_updated(dns_lab, program):
    program.certonly("www.hidden.test", "hidden.test", options=options(dns_lab, program))
    nothing_is_left(dns_lab, program, "hidden.test")


def test_questions_are_signed_for_a_server_that_wants_it(dns_lab, program):
    signed = (*options(dns_lab, program, sign_query="true"), "--dns-propagation-seconds", "0")
    # Nobody else is answered there, so the CA is not either.
    done = program.certonly("www.secret.test", options=signed, code=1)
    assert "has no zone" not in done.err
    refused = program.certonly("www.secret.test", options=options(dns_lab, program), code=1)
    assert refused.errors == [
        "The name server 127.0.0.10 has no zone for _acme-challenge.www.secret.test; it answers REFUSED."
    ]
    assert "sign_query" in refused.err


def test_a_slow_secondary_is_waited_for(dns_lab, far):
    run = far.start("certonly", "-n", "--agree-tos", *options(dns_lab, far), "-d", "waited.slow.test")
    wait_until(lambda: bool(dns_lab.txt("_acme-challenge.waited.slow.test")), "the record")
    assert dns_lab.txt("_acme-challenge.waited.slow.test", SECONDARY) == set()
    dns_lab.push("slow.test")
    run.wait().ok()
    dns_lab.push("slow.test")
    nothing_is_left(dns_lab, far, "slow.test")


def test_without_the_check_a_slow_secondary_lets_the_validation_fail(dns_lab, far):
    flags = (*options(dns_lab, far), "--no-dns-propagation-check", "--dns-propagation-seconds", "0")
    done = far.certonly("unchecked.slow.test", options=flags, code=1)
    assert "unchecked.slow.test" in done.err
    nothing_is_left(dns_lab, far, "slow.test")


def test_when_the_time_is_over_it_goes_on_with_a_warning(dns_lab, program):
    flags = (*options(dns_lab, program), "--dns-propagation-timeout", "1")
    done = program.run("certonly", "-n", "--agree-tos", *flags, "-d", "impatient.slow.test")
    assert (
        "still do not show the record: ns2.example.test (127.0.0.11) for _acme-challenge.impatient.slow.test"
        in done.err
    )
    nothing_is_left(dns_lab, program, "slow.test")


@pytest.mark.parametrize(
    ("zone", "server"),
    [("halfdead.test", "ns2.halfdead.test (127.0.0.99)"), ("halflame.test", "ns1.knot.test (127.0.0.13)")],
)
def test_a_secondary_that_is_dead_or_lame_is_reported_and_not_waited_for(dns_lab, program, zone, server):
    done = program.run("certonly", "-n", "--agree-tos", *options(dns_lab, program), "-d", f"www.{zone}")
    done.ok()
    assert f"do not answer for their zone, so the CA may not get an answer either: {server}." in done.err
    nothing_is_left(dns_lab, program, zone)


@pytest.mark.parametrize("zone", ["v6.test", "lost.test"])
def test_a_server_without_route_or_address_is_no_reason_to_wait(dns_lab, program, zone):
    done = program.certonly(f"www.{zone}", options=options(dns_lab, program))
    assert "Warning" not in done.err
    nothing_is_left(dns_lab, program, zone)


def test_behind_a_closed_port_it_waits_by_the_clock_and_says_so(dns_lab, program):
    flags = (*options(dns_lab, program), "--dns-propagation-seconds", "4")
    done = program.certonly("www.shut.test", options=flags)
    assert "Nobody can look from here whether the records are there (in shut.test: " in done.err
    nothing_is_left(dns_lab, program, "shut.test")


def test_the_end_of_an_alias_may_be_given_where_it_cannot_be_looked_up(dns_lab, program):
    # Knot knows knot.test and refuses all questions about example.test.
    flags = (*options(dns_lab, program, server=KNOT), "--dns-resolver", KNOT)
    done = program.certonly("knotted.example.test", options=flags, code=1)
    assert "_acme-challenge.knotted.example.test" in done.err
    flags = (*flags, "--dns-alias", "knotted.example.test=knotted.knot.test")
    program.certonly("knotted.example.test", options=flags)
    dns_lab.forget()
    program.run("renew", "-n", "--force-renewal", env={"REQUESTS_CA_BUNDLE": str(program.pebble.ca_bundle)}).ok()
    assert program.version("knotted.example.test") == 2
    assert dns_lab.txt("knotted.knot.test", KNOT) == set()


def test_what_a_killed_run_left_is_taken_away_by_the_next(dns_lab, program):
    run = program.start("certonly", "-n", "--agree-tos", *options(dns_lab, program), "-d", "killed.slow.test")
    wait_until(lambda: bool(dns_lab.txt("_acme-challenge.killed.slow.test")), "the record")
    run.kill()
    run.wait()
    (journal,) = journals(program)
    assert json.loads(journal.read_text())["records"][0]["name"] == "_acme-challenge.killed.slow.test"
    assert journal.stat().st_mode & 0o777 == 0o600
    program.certonly("next.second.test", options=options(dns_lab, program))
    nothing_is_left(dns_lab, program, "slow.test", "second.test")


@pytest.mark.parametrize(
    ("signum", "code"), [(signal.SIGINT, 1), (signal.SIGTERM, -signal.SIGTERM)], ids=["SIGINT", "SIGTERM"]
)
def test_a_signal_while_it_waits_takes_the_records_away(dns_lab, program, signum, code):
    run = program.start(
        *("certonly", "-n", "--agree-tos", *options(dns_lab, program)),
        *("-d", "a.slow.test", "-d", "*.a.slow.test", "-d", "b.slow.test"),
    )
    wait_until(lambda: len(dns_lab.all_txt("slow.test")) == 3, "the records")
    run.send(signum)
    done = run.wait()
    assert done.code == code, str(done)
    assert "Traceback" not in done.err
    assert "Interrupted" in done.err
    nothing_is_left(dns_lab, program, "slow.test")
    assert program.locks() == []


def test_what_a_policy_forbids_keeps_no_other_name_from_its_record(dns_lab, program):
    flags = (*options(dns_lab, program, key="limited-key"), "--allow-subset-of-names")
    done = program.run("certonly", "-n", "--agree-tos", *flags, "-d", "www.example.test", "-d", "b.example.test")
    assert "refuses to change _acme-challenge.b.example.test (REFUSED): the key limited-key may not do that" in done.out
    assert program.names("www.example.test") == ["www.example.test"]
    nothing_is_left(dns_lab, program)
