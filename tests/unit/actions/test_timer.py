"""What enable-timer makes of directories, intervals and certificates, and when it refuses."""

from __future__ import annotations

import os
import shlex
from datetime import timedelta
from pathlib import Path

import pytest

from acmectl.actions import timer
from acmectl.actions.timer import Rhythm, TimerRequest, enable, plan, unit_word
from acmectl.cli.commands.enable_timer import program
from acmectl.errors import ConfigError, StorageError
from acmectl.storage.lineages import LineageStore
from tests.unit.storage.material import PARAMS, issue, layout_in

REQUEST = TimerRequest(program=("/usr/bin/acmectl",))

HOME_OF_ROOT = "/root"


@pytest.mark.parametrize(
    ("interval", "offset", "calendar", "crontab", "words"),
    [
        (720, 0, "*-*-* 00,12:00:00", "0 0,12 * * *", "twice a day"),
        (720, 719, "*-*-* 11,23:59:00", "59 11,23 * * *", "twice a day"),
        (60, 7, "*-*-* *:07:00", "7 * * * *", "hourly"),
        (1440, 1439, "*-*-* 23:59:00", "59 23 * * *", "once a day"),
        (360, 61, "*-*-* 01,07,13,19:01:00", "1 1,7,13,19 * * *", "every 6h"),
        (15, 14, "*-*-* *:14,29,44,59:00", "14,29,44,59 * * * *", "every 15m"),
    ],
)
def test_a_rhythm_is_the_same_for_systemd_and_for_cron(
    interval: int, offset: int, calendar: str, crontab: str, words: str
) -> None:
    rhythm = Rhythm(interval=interval, offset=offset)
    assert (rhythm.calendar, rhythm.crontab, str(rhythm)) == (calendar, crontab, words)


@pytest.mark.parametrize("interval", [7, 45, 90, 300, 420, 2880])
def test_an_interval_that_drifts_through_the_day_is_refused(interval: int) -> None:
    with pytest.raises(ConfigError, match="same times of every day"):
        Rhythm(interval=interval, offset=0)


def test_every_offset_gives_as_many_runs_a_day_as_the_interval_says() -> None:
    for interval in (15, 60, 180, 720, 1440):
        for offset in range(interval):
            rhythm = Rhythm(interval=interval, offset=offset)
            assert len(rhythm.hours) * len(rhythm.minutes) == 1440 // interval


def test_the_offset_is_the_machines_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lineages = LineageStore(layout_in(tmp_path))
    identity = tmp_path / "machine-id"
    monkeypatch.setattr(timer, "_MACHINE_ID", identity)
    found = []
    for text in ("a" * 32, "a" * 32, "b" * 32, "c" * 32):
        identity.write_text(text + "\n")
        found.append(plan(lineages, REQUEST).rhythm)
    assert found[0] == found[1]
    assert len(set(found)) == 3
    identity.unlink()
    assert plan(lineages, REQUEST).rhythm == plan(lineages, REQUEST).rhythm


@pytest.mark.parametrize(
    ("word", "text"),
    [
        ("/etc/acmectl", "/etc/acmectl"),
        ("/a b", '"/a b"'),
        ("/100%", "/100%%"),
        ("/a$HOME", '"/a$$HOME"'),
        ('/q"\\', '"/q\\"\\\\"'),
        ("/é", '"/é"'),
    ],
)
def test_words_of_a_command_line_are_quoted_for_units(word: str, text: str) -> None:
    assert unit_word(word, command=True) == text


def test_the_service_runs_this_acmectl_with_the_directories_of_this_run(tmp_path: Path) -> None:
    layout = layout_in(tmp_path)
    made = plan(LineageStore(layout), TimerRequest(program=("/opt/a b/acmectl",), config_files=("/etc/more.ini",)))
    words = [
        *("/opt/a b/acmectl", "renew", "--timer-interval", "12h", "--config-dir", str(layout.config_dir)),
        *("--work-dir", str(layout.work_dir), "--logs-dir", str(layout.logs_dir), "--config", "/etc/more.ini"),
    ]
    line = next(line for line in made.units[timer.SERVICE].splitlines() if line.startswith("ExecStart="))
    assert line == "ExecStart=" + " ".join(unit_word(word, command=True) for word in words)
    assert shlex.split(made.crontab)[5:] == [*words, "--quiet"]
    writable = " ".join(f"-{path}" for path in (layout.config_dir, layout.work_dir, layout.logs_dir))
    assert f"\nReadWritePaths={writable}\n" in made.units[timer.SERVICE]
    assert "@" not in "".join(made.units.values()).replace("@system-service", "")


def test_a_percent_sign_reaches_cron_with_its_backslash(tmp_path: Path) -> None:
    layout = layout_in(tmp_path / "100%")
    assert r"/100\%/config" in plan(LineageStore(layout), REQUEST).crontab


def test_web_roots_where_the_service_could_not_write_are_opened(tmp_path: Path) -> None:
    store = LineageStore(layout_in(tmp_path))
    issue(store, "a.test", "a.test", params={**PARAMS, "webroot_path": ["/usr/share/a b", "/srv/www"]})
    issue(store, "b.test", "b.test", params={**PARAMS, "webroot_path": [f"{HOME_OF_ROOT}/site"]})
    service = plan(store, REQUEST).units[timer.SERVICE]
    assert f' "-/usr/share/a b" -{HOME_OF_ROOT}/site\n' in service
    assert "-/srv/www" not in service


def test_directories_of_files_beside_the_live_links_are_opened_too(tmp_path: Path) -> None:
    store = LineageStore(layout_in(tmp_path))
    issue(store, "a.test")
    store.update_own("a.test", {"pem_out": "/usr/local/etc/haproxy/a.pem", "pkcs12_out": "/etc/tomcat/a.p12"})
    service = plan(store, REQUEST).units[timer.SERVICE]
    assert " -/usr/local/etc/haproxy\n" in service
    assert "tomcat" not in service


def test_control_characters_cannot_become_lines_of_a_unit(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="control characters"):
        plan(LineageStore(layout_in(tmp_path)), TimerRequest(program=("/bin/x\nExecStart=/bin/evil",)))


def test_an_interval_of_seconds_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="so many seconds"):
        plan(LineageStore(layout_in(tmp_path)), TimerRequest(program=("/x",), interval=timedelta(seconds=90)))


@pytest.fixture
def units(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory for units on a machine with systemd, whose systemctl notes what it is told."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "units").mkdir()
    systemctl = tmp_path / "bin" / "systemctl"
    systemctl.write_text(f'#!/bin/sh\necho "$*" >> {tmp_path}/calls\n')
    systemctl.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
    monkeypatch.setattr(timer, "UNIT_DIR", tmp_path / "units")
    monkeypatch.setattr(timer, "BOOTED", tmp_path)
    return tmp_path / "units"


def test_enabling_writes_both_units_and_starts_the_timer(units: Path, tmp_path: Path) -> None:
    lineages = LineageStore(layout_in(tmp_path))
    made = plan(lineages, REQUEST)
    enable(lineages, made, uid=0)
    assert {path.name: path.read_text() for path in units.iterdir()} == dict(made.units)
    assert {path.stat().st_mode & 0o777 for path in units.iterdir()} == {0o644}
    assert (tmp_path / "calls").read_text().splitlines() == ["daemon-reload", f"enable --now {timer.TIMER}"]


def test_somebody_elses_units_are_left_alone(units: Path, tmp_path: Path) -> None:
    first, second = LineageStore(layout_in(tmp_path / "a")), LineageStore(layout_in(tmp_path / "a2"))
    enable(first, plan(first, REQUEST), uid=0)
    before = (units / timer.SERVICE).read_text()
    with pytest.raises(ConfigError, match="does not renew what is in"):
        enable(second, plan(second, REQUEST), uid=0)
    assert (units / timer.SERVICE).read_text() == before


def test_only_root_enables_and_others_are_told_the_line_for_cron(units: Path, tmp_path: Path) -> None:
    lineages = LineageStore(layout_in(tmp_path))
    made = plan(lineages, REQUEST)
    with pytest.raises(ConfigError, match="Only root") as refused:
        enable(lineages, made, uid=1000)
    assert made.crontab in (refused.value.hint or "")
    assert not list(units.iterdir())


def test_without_systemd_the_line_for_cron_is_the_hint(
    units: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timer, "BOOTED", tmp_path / "missing")
    lineages = LineageStore(layout_in(tmp_path))
    made = plan(lineages, REQUEST)
    with pytest.raises(ConfigError, match="systemd does not run here") as refused:
        enable(lineages, made, uid=0)
    assert made.crontab in (refused.value.hint or "")
    assert not list(units.iterdir())


def test_what_systemctl_says_is_the_error(units: Path, tmp_path: Path) -> None:
    (tmp_path / "bin" / "systemctl").write_text("#!/bin/sh\necho 'Access \033[31mdenied' >&2\nexit 4\n")
    lineages = LineageStore(layout_in(tmp_path))
    with pytest.raises(StorageError, match=r"systemctl daemon-reload failed: Access \?\[31mdenied"):
        enable(lineages, plan(lineages, REQUEST), uid=0)


def test_the_program_is_the_one_that_was_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "acmectl"
    script.write_text("#!/bin/sh\n")
    script.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    for argv0 in (str(script), "./acmectl", "acmectl"):
        assert program(argv0, "/usr/bin/python3") == (str(script),)
    assert program("/x/acmectl/__main__.py", "/usr/bin/python3") == ("/usr/bin/python3", "-m", "acmectl")
    with pytest.raises(ConfigError, match="path of this program"):
        program("gone", "/usr/bin/python3")
