from __future__ import annotations

from pathlib import Path

import pytest

from acmectl.errors import ConfigError
from acmectl.storage.layout import Layout, check_lineage_name

LAYOUT = Layout(config_dir=Path("/etc/x"), work_dir=Path("/var/lib/x"), logs_dir=Path("/var/log/x"))


@pytest.mark.parametrize("name", ["example.org", "x-0001", "::1", "*.odd", "with space", "ü.test", "n" * 246])
def test_a_file_name_can_name_a_lineage(name: str) -> None:
    assert check_lineage_name(name) == name


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("", "is empty"),
        (".", "dots alone"),
        ("..", "dots alone"),
        ("...", "dots alone"),
        ("a/b", "path separator"),
        ("../etc", "path separator"),
        ("a\\b", "path separator"),
        ("a\0b", "control character"),
        ("a\nb", "control character"),
        ("\x1b[31m", "control character"),
        (" a", "space"),
        ("a ", "space"),
        (".hidden", "starts with a dot"),
        ("-x", "starts with a dash"),
        ("a%(b)s", "%("),
        ("README", "taken"),
        ("n" * 247, "longer than 246 bytes"),
        ("ü" * 124, "longer than 246 bytes"),
        ("a\udc80", "control character"),
    ],
)
def test_what_cannot_name_a_lineage_is_refused_with_its_reason(name: str, reason: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check_lineage_name(name)
    assert reason in caught.value.message
    assert caught.value.message.isprintable()
    assert "certificate" in str(caught.value.hint)


def test_the_longest_name_leaves_room_for_every_file_made_from_it(tmp_path: Path) -> None:
    name = "n" * 246
    for made in (f"{name}.conf.new", f".acmectl.{name}"):
        (tmp_path / made).touch()


@pytest.mark.parametrize(
    ("server", "path"),
    [
        ("https://acme-v02.api.letsencrypt.org/directory", "acme-v02.api.letsencrypt.org/directory"),
        ("https://localhost:14000/dir", "localhost:14000/dir"),
        ("https://ca.test/acme/a/directory/", "ca.test/acme/a/directory"),
        ("https://ca.test", "ca.test"),
        ("https://[::1]:14000/dir", "[::1]:14000/dir"),
    ],
)
def test_accounts_lie_where_certbot_looks_for_them(server: str, path: str) -> None:
    assert LAYOUT.accounts_dir(server) == Path("/etc/x/accounts") / path


def test_a_password_in_a_directory_url_does_not_become_a_directory_name() -> None:
    assert LAYOUT.accounts_dir("https://user:secret@ca.test/dir") == Path("/etc/x/accounts/ca.test/dir")


@pytest.mark.parametrize(
    "server", ["", "ca.test", "https://", "https://ca.test/../../etc", "https://ca.test/\x07", "https://[::1/x"]
)
def test_a_server_that_could_lead_out_of_the_accounts_is_refused(server: str) -> None:
    with pytest.raises(ConfigError):
        LAYOUT.accounts_dir(server)
