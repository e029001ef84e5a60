"""cli.ini: certbot's syntax and rules."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from acmectl.config.options import table
from acmectl.config.sources import merge, parse_entries, read_entries
from acmectl.errors import UsageError

if TYPE_CHECKING:
    from acmectl.config.sources import FileValues

INI = Path("/x/cli.ini")


def values(*texts: str) -> FileValues:
    """Files put together, the highest rank last."""
    return merge([parse_entries(text, Path(f"/x/{number}.ini")) for number, text in enumerate(texts)], table())


LINES = [
    ("key-type = rsa", "key-type", "rsa"),
    ("key-type=rsa", "key-type", "rsa"),
    ("key-type: rsa", "key-type", "rsa"),
    ("key-type rsa", "key-type", "rsa"),
    ("  key-type\t=\trsa  ", "key-type", "rsa"),
    ("--key-type = rsa", "--key-type", "rsa"),
    ("agree-tos", "agree-tos", None),
    ("agree-tos # why", "agree-tos", None),
    ("user-agent =", "user-agent", ""),
    ('user-agent = ""', "user-agent", ""),
    ("pre-hook = echo a # b", "pre-hook", "echo a"),
    ("pre-hook = echo a ; b", "pre-hook", "echo a"),
    ("pre-hook = echo a#b;c", "pre-hook", "echo a#b;c"),
    ('pre-hook = "echo a # b"', "pre-hook", "echo a # b"),
    ('pre-hook = "echo a" # b', "pre-hook", "echo a"),
    ("pre-hook = 'a b'", "pre-hook", "a b"),
    ('pre-hook = "a', "pre-hook", '"a'),
    ('pre-hook = "a" b "c"', "pre-hook", 'a" b "c'),
    ("pre-hook = \"'a'\"", "pre-hook", "'a'"),
    ("server = https://ca.example:1/d#x", "server", "https://ca.example:1/d#x"),
    ("server https://ca.example", "server", "https://ca.example"),
    ("pre-hook = a=b:c", "pre-hook", "a=b:c"),
    ('webroot-map = {"a,b": "/srv"}', "webroot-map", '{"a,b": "/srv"}'),
]


@pytest.mark.parametrize(("line", "key", "text"), LINES)
def test_a_line_is_taken_apart_as_certbot_does(line: str, key: str, text: str | None) -> None:
    (entry,) = parse_entries(line, INI)
    assert (entry.key, entry.text) == (key, text)


@pytest.mark.parametrize("line", ["", "   ", "# a = b", "; a = b", "[section]", "[a] = b", "---", "--- a = b", "\t# a"])
def test_comments_sections_and_rules_mean_nothing(line: str) -> None:
    assert parse_entries(line, INI) == []


def test_a_line_without_a_key_is_refused_with_its_number() -> None:
    with pytest.raises(UsageError, match=r"^/x/cli\.ini line 2: '= rsa'"):
        parse_entries("key-type = rsa\n= rsa\n", INI)


def test_windows_line_ends_and_a_byte_order_mark_are_taken_off(tmp_path: Path) -> None:
    path = tmp_path / "cli.ini"
    path.write_bytes(b"\xef\xbb\xbfkey-type = rsa\r\nagree-tos\r\n")
    assert [(entry.key, entry.text) for entry in read_entries(path, required=True)] == [
        ("key-type", "rsa"),
        ("agree-tos", None),
    ]


def test_of_a_key_given_twice_the_last_counts() -> None:
    assert values("domains = a.example\ndomains = b.example").values["domains"].value == ("b.example",)


@pytest.mark.parametrize(
    ("line", "dest", "value"),
    [
        ("key_type = rsa", "key_type", "rsa"),
        ("rsa_key_size = 4096", "rsa_key_size", 4096),
        ("preferred-challenge = dns", "preferred_challenges", ("dns-01",)),
        ("domains = a.example, b.example", "domains", ("a.example", "b.example")),
        ("webroot-path = /srv", "webroot_path", ("/srv",)),
        ("verbose = 2", "verbose", 2),
        ("verbose", "verbose", 1),
        ("verbose = true", "verbose", 1),
        ("expand", "expand", True),
        ("expand = YES", "expand", True),
        ("expand = on", "expand", True),
        ("expand = 1", "expand", True),
        ("no-autorenew = true", "autorenew", False),
        ("no-eff-email = True", "eff_email", False),
        ("no-reuse-key", "reuse_key", False),
        ("renew-hook = x", "deploy_hook", "x"),
        ("lock-timeout = 5", "lock_timeout", 5),
        ("user-agent = ''", "user_agent", ""),
    ],
)
def test_a_key_sets_its_option(line: str, dest: str, value: object) -> None:
    assert values(line).values[dest].value == value


@pytest.mark.parametrize("word", ["false", "NO", "off", "0", "False"])
def test_false_sets_nothing(word: str) -> None:
    assert values(f"expand = {word}\nno-autorenew = {word}").values == {}


def test_false_is_an_answer_where_renewal_files_have_one_of_their_own() -> None:
    found = values("reuse-key = true", "reuse-key = no").values["reuse_key"]
    assert (found.value, found.origin) == (False, "/x/1.ini line 1")


def test_false_keeps_files_of_lower_rank_from_setting_a_flag() -> None:
    assert values("expand = true", "expand = false").values == {}
    assert values("expand = false", "expand = true").values["expand"].value is True
    assert values("expand = true", "expand = false", "expand = true").values["expand"].origin == "/x/2.ini line 1"


def test_a_false_opposite_leaves_the_flag_alone() -> None:
    assert values("reuse-key = true", "no-reuse-key = false").values["reuse_key"].value is True
    assert values("reuse-key = true", "no-reuse-key = true").values["reuse_key"].value is False


def test_a_file_of_higher_rank_replaces_lists() -> None:
    assert values("domains = a.example", "domains = b.example").values["domains"].value == ("b.example",)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("nonsense = 1", "there is no option 'nonsense'"),
        ("Key-Type = rsa", "there is no option 'Key-Type'"),
        ("d = a.example", "may mean"),
        ("key-type = dsa", "key-type: 'dsa' is not one of"),
        ("expand = maybe", "expand: 'maybe' is neither true nor false"),
        ("expand =", "expand: '' is neither true nor false"),
        ("key-type", "key-type: a value is missing"),
        ("key-type =", "key-type: a value is missing"),
        ("domains = [a.example, b.example]", "without brackets"),
        ("http-01-port = 99999", "too large"),
        ("preferred-challenges = tls-sni-01", "'tls-sni-01'"),
        ("help = true", "cannot be set in a file"),
        ("version", "cannot be set in a file"),
        ("verbose = much", "verbose: 'much'"),
        ("-- = x", "there is no option"),
    ],
)
def test_what_cannot_be_understood_is_refused_with_file_and_line(line: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        values(f"# a comment\n{line}\n")
    assert caught.value.message.startswith("/x/0.ini line 2: ")
    assert said in caught.value.message


def test_leftovers_of_old_packages_are_a_warning() -> None:
    found = values("no-self-upgrade = 0\nno_bootstrap = true\nkey-type = rsa")
    assert list(found.values) == ["key_type"]
    assert found.warnings == (
        "/x/0.ini line 1: --no-self-upgrade is ignored: it has no effect any more.",
        "/x/0.ini line 2: --no-bootstrap is ignored: it has no effect any more.",
    )


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("manual-public-ip-logging-ok = True", "it has no effect any more"),
        ("manual_public_ip_logging_ok", "it has no effect any more"),
        ("--tls-sni-01-port = 8443", "it has no effect any more"),
        ("standalone-supported-challenges = http-01", "it has no effect any more"),
        ("nginx-server-root = /etc/nginx", "acmectl does not edit the configuration of web servers"),
        ("apache-le-vhost-ext = -ssl.conf", "acmectl does not edit the configuration of web servers"),
    ],
)
def test_keys_of_older_clients_and_of_installers_are_a_warning(line: str, why: str) -> None:
    found = values(f"{line}\nkey-type = rsa")
    assert list(found.values) == ["key_type"]
    assert [warning.partition(" is ignored: ")[2] for warning in found.warnings] == [f"{why}."]
    assert found.warnings[0].startswith("/x/0.ini line 1: ")


def test_a_missing_file_is_an_error_only_if_it_was_named(tmp_path: Path) -> None:
    missing = tmp_path / "none" / "cli.ini"
    assert read_entries(missing, required=False) == []
    with pytest.raises(UsageError, match="does not exist"):
        read_entries(missing, required=True)


def test_a_file_that_is_no_text_is_refused_with_the_line(tmp_path: Path) -> None:
    path = tmp_path / "cli.ini"
    path.write_bytes(b"key-type = rsa\nserver = \xff\n")
    with pytest.raises(UsageError, match="line 2: this is not UTF-8"):
        read_entries(path, required=False)


def test_a_directory_in_place_of_a_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read: Is a directory"):
        read_entries(tmp_path, required=False)


def test_a_file_without_end_is_refused() -> None:
    with pytest.raises(UsageError, match="too large"):
        read_entries(Path("/dev/zero"), required=True)
