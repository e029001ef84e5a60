"""TLSA records: what they say against openssl, and which keys a client takes."""

from __future__ import annotations

import hashlib
import subprocess

import pytest

from acmectl.errors import ConfigError
from acmectl.pki.keys import KeySpec, generate_key, public_bytes_of
from acmectl.pki.tlsa import Tlsa, binds_a_key, fingerprint, owner_name, parse_record, record_value, would_match

OLD, NEW = (public_bytes_of(generate_key(KeySpec.ecdsa())) for _ in range(2))


def record(key: bytes, matching: int = 1, *, usage: int = 3, selector: int = 1) -> Tlsa:
    data = {0: key, 1: hashlib.sha256(key).digest(), 2: hashlib.sha512(key).digest()}.get(matching, key)
    return Tlsa(usage=usage, selector=selector, matching=matching, data=data)


@pytest.mark.parametrize("spec", [KeySpec.ecdsa("secp384r1"), KeySpec.rsa(2048)], ids=str)
def test_the_fingerprint_is_that_of_openssl(spec: KeySpec) -> None:
    key_pem = generate_key(spec)
    der = subprocess.run(
        ["openssl", "pkey", "-pubout", "-outform", "DER"], input=key_pem, capture_output=True, check=True
    )
    digest = subprocess.run(["openssl", "dgst", "-sha256", "-r"], input=der.stdout, capture_output=True, check=True)
    assert fingerprint(public_bytes_of(key_pem)) == digest.stdout.split()[0].decode()


def test_the_record_is_the_recommended_one_and_reads_back() -> None:
    assert parse_record(record_value(fingerprint(OLD))) == record(OLD)


def test_a_long_record_is_read_with_the_blanks_that_break_it() -> None:
    digits = OLD.hex()
    assert parse_record(f"3 1 0 {digits[:128]} {digits[128:]}") == record(OLD, 0)


@pytest.mark.parametrize("text", ["", "3 1 1", "3 1 1 abc", "3 1 1 xyz0", "a b c 00", "-3 1 1 00", "\\# 4 03010100"])
def test_what_is_no_record_is_none(text: str) -> None:
    assert parse_record(text) is None


@pytest.mark.parametrize(
    ("service", "name"),
    [("443", "_443._tcp.a.example"), ("025", "_25._tcp.a.example"), ("853/udp", "_853._udp.a.example")],
)
def test_names_are_made_of_port_and_protocol(service: str, name: str) -> None:
    assert owner_name(service, "a.example") == name


@pytest.mark.parametrize("service", ["", "0", "65536", "https", "443/", "443/http", "_443._tcp", "-1", "443\x1b[31m"])
def test_what_is_no_port_is_refused_without_control_characters(service: str) -> None:
    with pytest.raises(ConfigError) as refused:
        owner_name(service, "a.example")
    assert refused.value.message.isprintable()


@pytest.mark.parametrize("matching", [0, 1, 2])
def test_each_digest_of_the_key_matches(matching: int) -> None:
    assert would_match([record(NEW, matching)], NEW)
    assert not would_match([record(NEW, matching)], OLD)


@pytest.mark.parametrize(
    ("records", "matches"),
    [
        ([record(OLD), record(NEW)], True),
        ([record(OLD, 2), record(NEW, 1)], False),  # a client passes over the weaker digest (RFC 7671 section 9)
        ([record(OLD, 2), record(NEW, 1), record(NEW, 2)], True),
        ([record(OLD, 2), record(NEW, 0)], True),  # the whole key is no digest, and never passed over
        ([record(OLD, 1), record(NEW, 3)], False),
        ([record(OLD), record(NEW, usage=1)], False),
        ([record(NEW, usage=1)], True),
        ([record(NEW, usage=2)], False),
        ([record(NEW, selector=0)], False),
        ([], False),
    ],
)
def test_a_key_matches_as_a_client_would_have_it(records: list[Tlsa], *, matches: bool) -> None:
    assert would_match(records, NEW) is matches


def test_a_digest_of_the_wrong_length_is_passed_over() -> None:
    torn = Tlsa(usage=3, selector=1, matching=2, data=hashlib.sha512(OLD).digest()[:-1])
    assert would_match([torn, record(NEW)], NEW)
    assert not binds_a_key([torn])


def test_records_of_the_ca_bind_no_key_of_the_server() -> None:
    assert not binds_a_key([record(OLD, usage=0), record(OLD, usage=2), record(OLD, matching=7)])
    assert binds_a_key([record(OLD, usage=2), record(OLD, usage=3, selector=0)])
