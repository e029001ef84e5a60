"""Credentials files: who may read them, what stands in them, and what they refer to."""

from __future__ import annotations

from pathlib import Path

import pytest

from acmectl.errors import PluginError
from acmectl.storage.credentials import CredentialsFiles

SECRET = "s3cr3t-value"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "dns.ini"
    path.touch(mode=0o600)
    return path


def read(path: Path, **environ: str) -> dict[str, str]:
    return dict(CredentialsFiles(environ)(str(path)))


def refusal(path: Path, **environ: str) -> PluginError:
    with pytest.raises(PluginError) as caught:
        read(path, **environ)
    assert SECRET not in caught.value.message + (caught.value.hint or "")
    return caught.value


def test_certbots_files_are_read_as_they_are(file: Path) -> None:
    file.write_text(
        "# Cloudflare\ndns_cloudflare_email = me@example.org\ndns_cloudflare_api_key = 'a, b # c'\n"
        'quoted = "with space"  \nplain = a,b\npercent = %(x)s\n\n'
    )
    assert read(file) == {
        "dns_cloudflare_email": "me@example.org",
        "dns_cloudflare_api_key": "a, b # c",
        "quoted": "with space",
        "plain": "a,b",
        "percent": "%(x)s",
    }


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o602])
def test_a_file_that_others_can_use_is_refused_unless_that_is_allowed(file: Path, mode: int) -> None:
    file.write_text(f"key = {SECRET}\n")
    file.chmod(mode)
    error = refusal(file)
    assert f"{mode:04o}" in error.message
    assert "chmod 600" in (error.hint or "")
    assert CredentialsFiles({}, allow_insecure=True)(str(file)) == {"key": SECRET}


def test_what_cannot_be_read_is_one_line_without_its_content(file: Path, tmp_path: Path) -> None:
    assert "cannot be read" in refusal(tmp_path / "none.ini").message
    assert "is not a file" in refusal(tmp_path).message
    file.write_text(f"ok = 1\n{SECRET}\n")
    assert "line 2 is not 'key = value'" in refusal(file).message
    file.write_bytes(b"key = \xff\n")
    assert "not UTF-8" in refusal(file).message


def test_values_may_be_references(file: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(f"  {SECRET}\nmore\n")
    folder = tmp_path / "credentials"
    folder.mkdir()
    (folder / "token").write_text(SECRET)
    file.write_text(
        f"a = env:TOKEN\nb = file:{tmp_path}/secret\nc = systemd:token\nd = cmd:printf '%s' \"$TOKEN\"\n"
        "e = urn:x:y\nf = env:\n"
    )
    found = read(file, TOKEN=SECRET, CREDENTIALS_DIRECTORY=str(folder), PATH="/usr/bin:/bin")
    assert found == {"a": SECRET, "b": SECRET, "c": SECRET, "d": SECRET, "e": "urn:x:y", "f": "env:"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("env:NOT_SET", "the environment variable NOT_SET is not set"),
        ("file:/nowhere/secret", "/nowhere/secret cannot be read"),
        ("file:/dev/null", "cannot be read|is empty"),
        ("systemd:token", "no systemd credentials"),
        ("cmd:exit 3", "exit status 3"),
        ("cmd:true", "is empty"),
    ],
)
def test_a_reference_that_leads_nowhere_names_file_and_key(file: Path, text: str, said: str) -> None:
    file.write_text(f"key = {text}\n")
    error = refusal(file, PATH="/usr/bin:/bin")
    assert error.message.startswith(f"{file}: key: ")
    assert any(one in error.message for one in said.split("|"))


def test_a_systemd_credential_is_a_name_and_no_path(file: Path, tmp_path: Path) -> None:
    file.write_text("key = systemd:../other\n")
    assert "is no name" in refusal(file, CREDENTIALS_DIRECTORY=str(tmp_path)).message


def test_a_file_is_read_once(file: Path) -> None:
    file.write_text("key = 1\n")
    files = CredentialsFiles({})
    assert files(str(file)) == {"key": "1"}
    file.unlink()
    assert files(str(file)) == {"key": "1"}
