"""A hundred names by dynamic updates to BIND, each of them looked up there by the CA."""

from __future__ import annotations

import shlex
import sys
import unittest
from dataclasses import replace

from benchmarks.bench import Authority, Bench
from benchmarks.lego import VERSION, lego
from benchmarks.programs import CERTBOT_VERSION, BenchmarkError, Program, Run, environment
from benchmarks.table import Row
from tests.integration.servers.dns_lab import PRIMARY, RESOLVER, DnsLab, secret
from tests.integration.servers.pebble import PebbleConfig

NAMES = 100
ZONE = "example.test"
LEGO_INTERVAL = 1  # seconds; lego's own is a minute, between any two names
LIMIT = 60.0


def dns(bench: Bench) -> list[Row]:
    """One order, one run of each program; the account is there already. Raises: BenchmarkError."""
    try:
        config = PebbleConfig(nonce_reject=0, dns_server=f"{RESOLVER}:53")
        with DnsLab() as lab, lab.pebble(config) as pebble, lab.inside():
            authority = Authority(bench=bench, pebble=pebble, webroot=bench.folder("unused"))
            return [_row(bench, authority, lab)]
    except unittest.SkipTest as error:
        raise BenchmarkError(str(error)) from error


def _row(bench: Bench, authority: Authority, lab: DnsLab) -> Row:
    credentials = lab.rfc2136(bench.folder("credentials") / "rfc2136.ini")
    plugin = environment(
        "certbot-dns-rfc2136-venv", [f"{name}=={CERTBOT_VERSION}" for name in ("certbot", "certbot-dns-rfc2136")], None
    )
    certbot = Program(name="certbot", script=plugin / "bin" / "certbot", version=CERTBOT_VERSION)
    flags = ("--authenticator", "dns-rfc2136", "--dns-rfc2136-credentials", str(credentials))
    ours = _run(bench, authority, _there(bench, lab, bench.acmectl), *flags)
    theirs = _run(bench, authority, _there(bench, lab, certbot), *flags)
    beside: list[float] | str
    try:
        third = _there(bench, lab, lego())
    except BenchmarkError as error:
        beside, note = str(error), ""
    else:
        beside = [_lego(bench, authority, third).seconds]
        note = f"; lego {VERSION} with {LEGO_INTERVAL} s between two names instead of its 60 s"
    return Row(
        name=f"{NAMES} names by dns-rfc2136",
        acmectl=[ours.seconds],
        certbot=[theirs.seconds],
        lego=beside,
        limit=LIMIT,
        absolute=True,
        note=f"1 run; processor {ours.cpu_seconds:.2f} against {theirs.cpu_seconds:.2f} s{note}",
    )


def _there(bench: Bench, lab: DnsLab, program: Program) -> Program:
    """The program with the lab's resolver in /etc/resolv.conf."""
    script = bench.folder("there") / program.name
    script.write_text(f'#!/bin/sh\nexec {shlex.join([*lab.prefix, str(program.script)])} "$@"\n')
    script.chmod(0o755)
    return replace(program, script=script)


def _names(bench: Bench) -> list[str]:
    number = next(bench.numbers)
    return [f"host{index}-{number}.{ZONE}" for index in range(NAMES)]


def _run(bench: Bench, authority: Authority, program: Program, *flags: str) -> Run:
    tree = authority.registered(program, authority.pebble.directory_url)
    domains = [word for name in _names(bench) for word in ("-d", name)]
    server = ("--server", authority.pebble.directory_url)
    _tell(program)
    return authority.run(program, tree, "certonly", *flags, *server, *domains)


def _lego(bench: Bench, authority: Authority, program: Program) -> Run:
    folder = bench.folder("lego")
    environ = {
        "LEGO_CA_CERTIFICATES": str(authority.pebble.ca_bundle),
        "RFC2136_NAMESERVER": PRIMARY,
        "RFC2136_TSIG_KEY": "acmectl-key",
        "RFC2136_TSIG_SECRET": secret("acmectl-key"),
        "RFC2136_TSIG_ALGORITHM": "hmac-sha256.",
        "RFC2136_SEQUENCE_INTERVAL": str(LEGO_INTERVAL),
    }
    domains = [word for name in _names(bench) for word in ("--domains", name)]
    who = ("--server", authority.pebble.directory_url, "--accept-tos", "--email", "admin@example.org")
    how = ("--path", str(folder), "--dns", "rfc2136")
    _tell(program)
    return program.run(*who, *how, *domains, "run", scratch=bench.scratch, environ=environ)


def _tell(program: Program) -> None:
    print(f"  {NAMES} names by dns-rfc2136, {program.name} ...", file=sys.stderr, flush=True)
