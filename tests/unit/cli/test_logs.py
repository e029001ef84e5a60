"""The log file: private, rotated, and free of secrets."""

from __future__ import annotations

import io
import json
import logging
import os
import stat
from typing import TYPE_CHECKING

import pytest

from acmectl.cli.console import Console
from acmectl.cli.logs import Log, Redaction
from acmectl.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CANARY = "s3cr3t-CANARY_0123456789abcdefghijklmnopqrs"
SECRETS = [
    f"-----BEGIN PRIVATE KEY-----\n{CANARY}\n-----END PRIVATE KEY-----",
    f"-----BEGIN EC PRIVATE KEY-----\n{CANARY}",
    f'{{"kty": "RSA", "d": "{CANARY}", "n": "x"}}',
    f"{{'k': '{CANARY}'}}",
    f"--eab-hmac-key {CANARY}",
    f"--eab-hmac-key={CANARY}",
    f"dns_cloudflare_api_token = {CANARY}",
    f"dns_x_secret={CANARY}",
    f'"password": "{CANARY}"',
    f"https://ca.example/dir?auth_token={CANARY}&x=1",
    f"Authorization: Bearer {CANARY}",
    f"'Authorization': 'Basic {CANARY}'",
    f"https://user:{CANARY}@ca.example/",
    f"GET /.well-known/acme-challenge/{CANARY}",
    f'"token": "{CANARY}"',
    f"{CANARY}.{'A' * 43}",
    f"AWS_SECRET_ACCESS_KEY={CANARY}",
    f"--key=pkcs11:object=x?module-path=/x.so&pin-value={CANARY}",
]


@pytest.fixture
def log() -> Iterator[tuple[Log, io.StringIO]]:
    err = io.StringIO()
    subject = Log()
    subject.start(Console(out=io.StringIO(), err=err), verbosity=0, quiet=False)
    yield subject, err
    subject.close()


@pytest.mark.parametrize("text", SECRETS)
def test_no_secret_reaches_the_log_or_the_terminal(log: tuple[Log, io.StringIO], tmp_path: Path, text: str) -> None:
    subject, err = log
    subject.open(tmp_path / "logs", backups=3, as_json=False)
    logging.getLogger("acmectl.x").warning("before %s after", text)
    try:
        raise ValueError(text)
    except ValueError:
        logging.getLogger("acmectl.x").debug("failed", exc_info=True)
    written = (tmp_path / "logs/acmectl.log").read_text()
    assert "before" in written
    assert "ValueError" in written
    assert CANARY not in written
    assert CANARY not in err.getvalue()


def test_registered_secrets_are_hidden_wherever_they_stand() -> None:
    redaction = Redaction()
    redaction.add("hunter22")
    redaction.add("abc")
    redaction.add_url("https://ca.example/acme/Zm9vYmFyYmF6cXV4MTIz/directory?key=a1b2c3d4e5f6g7h8i9")
    assert redaction.clean("xhunter22y abc Zm9vYmFyYmF6cXV4MTIz a1b2c3d4e5f6g7h8i9") == (
        "x[hidden]y abc [hidden] [hidden]"
    )


def test_ordinary_text_and_urls_stay_as_they_are() -> None:
    redaction = Redaction()
    redaction.add_url("https://acme-v02.api.letsencrypt.org/directory")
    for text in (
        "POST https://acme-v02.api.letsencrypt.org/acme/new-order 201 35 ms",
        "arguments: certonly --webroot-path=/srv/www --domains=a.example --key-type=rsa",
        "Certificate is saved at: /etc/acmectl/live/a.example/fullchain.pem",
        "q: k = v",
        "The secret stands in the credentials file.",
        "authorization: pending",
    ):
        assert redaction.clean(text) == text


def test_the_log_is_private(log: tuple[Log, io.StringIO], tmp_path: Path) -> None:
    subject, _ = log
    old = os.umask(0)
    try:
        subject.open(tmp_path / "deep/logs", backups=3, as_json=False)
    finally:
        os.umask(old)
    assert subject.path == tmp_path / "deep/logs/acmectl.log"
    assert stat.S_IMODE((tmp_path / "deep/logs").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "deep/logs/acmectl.log").stat().st_mode) == 0o600


def runs(folder: Path, count: int, backups: int) -> list[str]:
    """The log files after several runs that each write their number, and what they hold."""
    for number in range(count):
        subject = Log()
        subject.start(Console(out=io.StringIO(), err=io.StringIO()), verbosity=0, quiet=True)
        subject.open(folder, backups=backups, as_json=False)
        logging.getLogger("acmectl.x").info("run %d", number)
        subject.close()
    return sorted(f"{path.name} {path.read_text().count('run')}" for path in folder.iterdir())


def test_each_run_has_a_file_of_its_own_up_to_the_number_of_backups(tmp_path: Path) -> None:
    folder = tmp_path / "logs"
    assert runs(folder, 1, 2) == ["acmectl.log 1"]
    assert runs(folder, 4, 2) == ["acmectl.log 1", "acmectl.log.1 1", "acmectl.log.2 1"]
    assert "run 3" in (folder / "acmectl.log").read_text()
    assert "run 2" in (folder / "acmectl.log.1").read_text()
    assert "run 1" in (folder / "acmectl.log.2").read_text()


def test_fewer_backups_than_before_delete_the_oldest(tmp_path: Path) -> None:
    runs(tmp_path / "logs", 5, 10)
    assert runs(tmp_path / "logs", 1, 1) == ["acmectl.log 1", "acmectl.log.1 1"]


def test_no_backups_append_to_one_file(tmp_path: Path) -> None:
    assert runs(tmp_path / "logs", 3, 0) == ["acmectl.log 3"]


def test_other_files_in_the_directory_are_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    others = ("acmectl.log.old", "acmectl.log.01", "letsencrypt.log", "acmectl.log.99999999999", "acmectl.log.²")
    for name in others:
        (folder / name).write_text("x")
    runs(folder, 2, 1)
    assert all((folder / name).read_text() == "x" for name in others)


def test_a_log_that_cannot_be_written_says_what_to_do(log: tuple[Log, io.StringIO], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for folder in (tmp_path / "file", tmp_path / "file/logs"):
        with pytest.raises(StorageError, match="cannot be written: Not a directory") as caught:
            log[0].open(folder, backups=3, as_json=False)
        assert "--logs-dir" in str(caught.value.hint)
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs/acmectl.log").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StorageError):
        log[0].open(tmp_path / "logs", backups=0, as_json=False)
    assert not (tmp_path / "elsewhere").exists()


def test_a_full_disk_costs_lines_of_the_log_and_nothing_else(
    log: tuple[Log, io.StringIO], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    subject, _ = log
    folder = tmp_path / "logs"
    folder.mkdir()
    subject.open(folder, backups=3, as_json=False)
    full = os.open("/dev/full", os.O_WRONLY)
    handler = next(h for h in logging.getLogger().handlers if getattr(h, "stream", None) and
                   getattr(h.stream, "name", None) is not None and isinstance(h.stream.name, int))  # fmt: skip
    os.dup2(full, handler.stream.fileno())  # type: ignore[attr-defined]
    os.close(full)
    logging.getLogger("acmectl.x").warning("lost")
    subject.close()
    assert "Traceback" not in capfd.readouterr().err


def test_lines_may_be_json(log: tuple[Log, io.StringIO], tmp_path: Path) -> None:
    subject, _ = log
    subject.open(tmp_path, backups=3, as_json=True)
    logging.getLogger("acmectl.x").warning("a\nb %s", f"password={CANARY}")
    (line,) = (tmp_path / "acmectl.log").read_text().splitlines()
    found = json.loads(line)
    assert (found["level"], found["logger"], found["message"]) == ("WARNING", "acmectl.x", "a\nb password=[hidden]")
    assert found["time"].endswith("+00:00")


@pytest.mark.parametrize(
    ("verbosity", "quiet", "heard"),
    [
        (0, False, ["warning", "error"]),
        (1, False, ["info", "warning", "error"]),
        (2, False, ["debug", "info", "warning", "error"]),
        (9, False, ["debug", "info", "warning", "error"]),
        (0, True, ["error"]),
    ],
)
def test_v_and_q_say_how_much_of_the_log_is_heard(verbosity: int, quiet: bool, heard: list[str]) -> None:
    err = io.StringIO()
    subject = Log()
    subject.start(Console(out=io.StringIO(), err=err, quiet=quiet), verbosity=verbosity, quiet=quiet)
    for level in ("debug", "info", "warning", "error"):
        getattr(logging.getLogger("acmectl.x"), level)(level)
    subject.close()
    assert [line.removeprefix("Warning: ") for line in err.getvalue().splitlines()] == heard


def test_what_the_console_says_is_in_the_log_once(tmp_path: Path) -> None:
    out, err = io.StringIO(), io.StringIO()
    console = Console(out=out, err=err)
    subject = Log()
    subject.start(console, verbosity=2, quiet=False)
    subject.open(tmp_path, backups=1, as_json=False)
    console.warning("careful")
    console.status("done")
    console.info("detail")
    subject.close()
    written = (tmp_path / "acmectl.log").read_text()
    assert [written.count(word) for word in ("careful", "done", "detail")] == [1, 1, 1]
    assert (out.getvalue(), err.getvalue()) == ("done\n", "Warning: careful\ndetail\n")
