"""Reading what the CA sent, with distrust."""

from datetime import UTC, datetime

import pytest

from acmectl.acme.wire import JsonObject, absolute_url, check_url, parse_time, plain_text, redacted
from acmectl.errors import ProtocolViolation


@pytest.mark.parametrize(
    "url",
    [
        "http://ca.example/x",
        "HTTP://ca.example/x",
        "ftp://ca.example/",
        "//ca.example/x",
        "/acme/order/1",
        "https:///nohost",
        "https://user:pw@ca.example/",
        "https://ca.example/a b",
        "https://ca.example/\r\nX: y",
        "https://ca.example/\x1b[31m",
        "https://ca.example:99999/",
        "https://ca.example:x/",
        "https://[::1/",
        "https://ex\u00e4mple/",
        "file:///etc/passwd",
        "https://ca.example/" + "a" * 5000,
        "",
        None,
        5,
        ["https://ca.example"],
    ],
)
def test_a_url_that_is_not_plain_https_is_refused(url):
    with pytest.raises(ProtocolViolation):
        check_url(url, "a test")


@pytest.mark.parametrize("url", ["https://ca.example", "https://ca.example:14000/x?y=1", "https://[::1]:443/a"])
def test_an_https_url_passes_unchanged(url):
    assert check_url(url, "a test") == url


def test_a_relative_reference_is_resolved_against_the_answering_url():
    assert absolute_url("https://ca.example/a/b", "../c", "x") == "https://ca.example/c"
    with pytest.raises(ProtocolViolation):
        absolute_url("https://ca.example/a", "http://ca.example/b", "x")


def test_text_of_the_ca_cannot_steer_a_terminal():
    assert plain_text("a\x1b[2Jb\r\nc\x00\u202ed\u2028e\ud800") == "a [2Jb c d e"


def test_long_text_is_cut():
    assert len(plain_text("x" * 10_000, 50)) == 50


def test_secrets_in_urls_do_not_reach_messages():
    shown = redacted("https://user:secret@ca.example/dir/abcdefCANARYCANARYCANARYCANARY/x?key=CANARY")
    assert "CANARY" not in shown
    assert "secret" not in shown
    assert shown.startswith("https://ca.example/dir/abcdef.../x")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-01-02T03:04:05Z", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("2026-01-02t03:04:05z", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("2026-01-02T03:04:05.123456789Z", datetime(2026, 1, 2, 3, 4, 5, 123456, tzinfo=UTC)),
        ("2026-01-02T03:04:05+02:00", datetime(2026, 1, 2, 1, 4, 5, tzinfo=UTC)),
        ("2026-01-02T03:04:05", None),
        ("2026-01-02", None),
        ("9999-12-31T23:59:59-14:00", None),
        ("tomorrow", None),
        (17, None),
        (None, None),
    ],
)
def test_times_are_read_as_aware_utc_or_not_at_all(text, expected):
    assert parse_time(text) == expected


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe", b"[" * 100_000, b"<html>", b"[]", b"5", b"1" * 5000, b'"x"'])
def test_a_body_that_is_no_json_object_is_a_protocol_violation(body):
    with pytest.raises(ProtocolViolation):
        JsonObject.from_body(body, "a test")


def test_a_web_page_in_place_of_json_hints_at_a_wrong_server_url():
    with pytest.raises(ProtocolViolation) as caught:
        JsonObject.from_body(b"\n<!DOCTYPE html><html>", "the directory")
    assert "directory" in str(caught.value)
    assert caught.value.hint is not None


def test_json_null_counts_as_absent():
    source = JsonObject.from_body(b'{"a": null}', "a test")
    assert source.optional_text("a") is None
    assert source.items("a") == []
    assert source.optional_child("a") is None


@pytest.mark.parametrize("reader", ["text", "url", "optional_url", "optional_flag", "items", "texts", "urls"])
def test_a_member_of_the_wrong_type_is_a_protocol_violation_that_names_it(reader):
    source = JsonObject({"member": 3.5}, "the order")
    with pytest.raises(ProtocolViolation, match=r"order.*'member'|'member'.*order"):
        getattr(source, reader)("member")
