"""enable-timer without a running systemd: the units as systemd's own tools see them, and the line for cron."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.cli import PROGRAM, Acmectl, picture
from tests.integration.servers.pebble import Pebble, PebbleConfig, Profile
from tests.integration.servers.requirements import not_run, require

SERVICE, TIMER = "acmectl-renew.service", "acmectl-renew.timer"
DOCS = Path(__file__).resolve().parents[2] / "docs" / "systemd.md"
FEW_DAYS = 160 * 3600


@pytest.fixture
def plain(tmp_path: Path) -> Iterator[Acmectl]:
    """The program with fresh directories and no CA."""
    with Acmectl(None, tmp_path) as program:
        yield program


def save(units: dict[str, str], folder: Path) -> list[str]:
    folder.mkdir(exist_ok=True)
    for name, text in units.items():
        (folder / name).write_text(text)
    return [str(folder / name) for name in units]


def analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["systemd-analyze", *arguments], capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize(
    ("name", "interval"),
    [
        ("plain", "12h"),
        ("with a blank", "1h"),
        ("per%cent %n", "15m"),
        ("do$HOME", "24h"),
        ("quo\"te's", "12h"),
        ("back\\slash", "12h"),
        ("é", "12h"),
    ],
)
def test_systemd_finds_nothing_to_say_about_the_units(tmp_path: Path, name: str, interval: str) -> None:
    require("systemd-analyze")
    folder = tmp_path / name
    folder.mkdir()
    with Acmectl(None, folder) as program:
        units = program.run("enable-timer", "--print", "--json", "--timer-interval", interval).ok().json["units"]
    verified = analyze("verify", *save(units, tmp_path / "units"))
    assert (verified.returncode, verified.stdout, verified.stderr) == (0, "", "")
    calendar = re.search(r"(?m)^OnCalendar=(.*)$", units[TIMER])
    assert calendar is not None
    parsed = analyze("calendar", "--iterations=2", calendar[1])
    assert (parsed.returncode, parsed.stderr) == (0, "")


def test_verify_would_tell_of_a_mistake(tmp_path: Path, plain: Acmectl) -> None:
    """It exits 0 for keys that it does not know, so the test above looks at what it says."""
    require("systemd-analyze")
    units = plain.run("enable-timer", "--print", "--json").ok().json["units"]
    units[SERVICE] = units[SERVICE].replace("NoNewPrivileges=", "NoNewPriviledges=")
    verified = analyze("verify", *save(units, tmp_path / "units"))
    assert "NoNewPriviledges" in verified.stderr


def test_the_security_scores_are_what_the_papers_say(tmp_path: Path, plain: Acmectl) -> None:
    require("systemd-analyze")
    text = DOCS.read_text(encoding="utf-8")
    units = plain.run("enable-timer", "--print", "--json", directories=False).ok().json["units"]
    service = units[SERVICE]
    strict = re.search(r"```ini\n(# strict\.conf\n.*?)```", text, re.DOTALL)
    documented = [float(number) for number in re.findall(r"rates (?:it )?\*\*(\d\.\d)\*\*", text)]
    assert strict is not None
    assert len(documented) == 2
    for drop_in, limit in zip(("", strict[1]), documented, strict=True):
        (tmp_path / SERVICE).write_text(service + drop_in)
        said = analyze("security", "--offline=true", str(tmp_path / SERVICE))
        score = re.search(r"Overall exposure level for \S+: (\d+\.\d)", said.stdout)
        assert score is not None, said.stderr
        assert float(score[1]) <= limit


def test_print_shows_both_units_and_writes_nothing(plain: Acmectl) -> None:
    before = picture(plain.folder)
    shown = plain.run("enable-timer", "--print").ok()
    assert shown.out.count("# /etc/systemd/system/acmectl-renew.") == 2
    units = plain.run("enable_timer", "--print", "--json").ok().json["units"]
    assert all(text in shown.out for text in units.values())
    assert f"ExecStart={PROGRAM} renew " in shown.out
    assert picture(plain.folder) == before


def test_a_certificate_of_a_few_days_makes_it_hourly(tmp_path: Path) -> None:
    profiles = {"default": Profile(), "shortlived": Profile(validity=FEW_DAYS)}
    with Pebble(PebbleConfig(profiles=profiles)) as pebble, Acmectl(pebble, tmp_path) as program:
        lasting = program.certonly("lasting.example", options=("--standalone", "--required-profile", "default"))
        assert "twice a day" in lasting.out
        assert program.run("enable-timer", "--print", "--json", server=False).json["interval_seconds"] == 12 * 3600
        brief = program.certonly("brief.example", options=("--standalone", "--required-profile", "shortlived"))
        assert "run every hour" in brief.out
        assert "'acmectl enable-timer' sets that up, also where a timer ran less often" in " ".join(brief.out.split())
        found = program.run("enable-timer", "--print", "--json", server=False).json
        assert (found["interval_seconds"], found["short_lived"]) == (3600, ["brief.example"])
        assert "--timer-interval 1h " in found["units"][SERVICE]
        slower = program.run("enable-timer", "--print", "--json", "--timer-interval", "6h", server=False).json
        assert slower["interval_seconds"] == 6 * 3600


def test_without_systemd_it_fails_with_a_line_for_cron_that_works(plain: Acmectl) -> None:
    if Path("/run/systemd/system").exists():
        not_run("systemd runs here, and its timers are not for tests")
    failed = plain.run("enable-timer").failed()
    assert failed.out == ""
    assert failed.errors == ["systemd does not run here, so there is no timer that could be enabled."]
    line = failed.err.splitlines()[-1].partition("(crontab -e): ")[2]
    minute, hours, *days, command = line.split(" ", 5)
    assert (int(minute) < 60, len(hours.split(",")), days) == (True, 2, ["*", "*", "*"])
    # cron takes the backslash from \% and hands the rest to the shell.
    done = subprocess.run(["/bin/sh", "-c", command.replace(r"\%", "%")], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (plain.logs / "acmectl.log").exists()
    assert shlex.split(command)[:2] == [PROGRAM, "renew"]


def test_an_interval_that_no_calendar_knows_is_refused(plain: Acmectl) -> None:
    failed = plain.run("enable-timer", "--print", "--timer-interval", "7h").failed()
    assert failed.errors == ["A timer cannot run every 420 minutes at the same times of every day."]
