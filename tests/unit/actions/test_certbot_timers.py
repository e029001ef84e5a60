"""What runs certbot's renewals, found in the files of another machine, and the lines that only look like it."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

import pytest

from acmectl.actions.certbot_timers import CertbotTimer, Machine, disable, find_timers
from acmectl.errors import StorageError


def put(root: Path, path: str, text: str, mode: int = 0o644) -> Path:
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    file.chmod(mode)
    return file


def found(root: Path) -> list[tuple[str, str, int | None]]:
    return [(timer.kind, timer.where.removeprefix(f"{root}/"), timer.line) for timer in find_timers(Machine(root=root))]


@pytest.mark.parametrize(
    ("line", "renews"),
    [
        ("0 0 * * * root certbot renew", True),
        ("0 0 * * * root /usr/bin/certbot -q renew --post-hook x", True),
        ("0 0 * * * root cd /opt && ./letsencrypt-auto renew", True),
        ("0 0 * * * root /snap/bin/certbot renew", True),
        ("@daily root test -x /usr/bin/certbot && perl -e 'sleep int(rand(9))' && certbot -q renew", True),
        ("# 0 0 * * * root certbot renew", False),
        ("0 0 * * * root certbot certificates", False),
        ("0 0 * * * root acmectl --config-dir /etc/letsencrypt renew", False),
        ("0 0 * * * root tar c /etc/letsencrypt renewed", False),
        ("0 0 * * * root ls /var/lib/letsencrypt renew", False),
    ],
)
def test_lines_of_tables(tmp_path: Path, line: str, renews: bool) -> None:
    for path in ("etc/crontab", "etc/cron.d/x"):
        put(tmp_path, path, f"SHELL=/bin/sh\n{line}\n")
    assert found(tmp_path) == ([("cron", "etc/crontab", 2), ("cron", "etc/cron.d/x", 2)] if renews else [])


def test_units_that_are_not_enabled_or_masked_run_nothing(tmp_path: Path) -> None:
    put(tmp_path, "usr/lib/systemd/system/certbot.timer", "[Timer]\n")
    put(tmp_path, "usr/lib/systemd/system/own.timer", "[Timer]\nUnit=any.service\n")
    put(tmp_path, "usr/lib/systemd/system/any.service", "[Service]\nExecStart=/bin/sh -c \\\n 'certbot renew'\n")
    assert found(tmp_path) == []
    wants = tmp_path / "etc/systemd/system/timers.target.wants"
    wants.mkdir(parents=True)
    for name in ("certbot.timer", "own.timer"):
        (wants / name).symlink_to(f"/usr/lib/systemd/system/{name}")
    assert found(tmp_path) == [("systemd", "certbot.timer", None), ("systemd", "own.timer", None)]
    (tmp_path / "etc/systemd/system/certbot.timer").symlink_to("/dev/null")
    assert found(tmp_path) == [("systemd", "own.timer", None)]


def test_a_line_is_marked_in_the_file_that_a_link_leads_to(tmp_path: Path) -> None:
    real = put(tmp_path, "srv/table", "a\n1 1 * * * root certbot renew \xe9\n", 0o640)
    (tmp_path / "etc/cron.d").mkdir(parents=True)
    (tmp_path / "etc/cron.d/x").symlink_to(real)
    (timer,) = find_timers(Machine(root=tmp_path))
    disable(Machine(root=tmp_path), timer)
    assert real.read_text() == "a\n# acmectl adopt: 1 1 * * * root certbot renew \xe9\n"
    assert real.stat().st_mode & 0o777 == 0o640
    assert (tmp_path / "etc/cron.d/x").is_symlink()
    assert find_timers(Machine(root=tmp_path)) == ()
    assert os.system(timer.enable.replace("sed -i", "sed -i --follow-symlinks")) == 0
    assert len(find_timers(Machine(root=tmp_path))) == 1


def test_a_table_that_has_changed_is_left_alone(tmp_path: Path) -> None:
    table = put(tmp_path, "etc/crontab", "1 1 * * * root certbot renew\n")
    (timer,) = find_timers(Machine(root=tmp_path))
    table.write_text("2 2 * * * root important\n")
    with pytest.raises(StorageError, match="has changed"):
        disable(Machine(root=tmp_path), timer)
    assert table.read_text() == "2 2 * * * root important\n"


def test_a_script_that_does_more_is_left_to_a_person(tmp_path: Path) -> None:
    script = put(tmp_path, "etc/cron.daily/backup", "#!/bin/sh\ntar c /etc\ncertbot renew\n", 0o755)
    alone = put(tmp_path, "etc/cron.daily/certbot", "#!/bin/sh\nset -e\nif [ -x /x ]; then\ncertbot renew\nfi\n", 0o755)
    put(tmp_path, "etc/cron.daily/asleep", "#!/bin/sh\ncertbot renew\n")
    timers: dict[str, CertbotTimer] = {timer.where: timer for timer in find_timers(Machine(root=tmp_path))}
    assert timers.keys() == {str(script), str(alone)}
    with pytest.raises(StorageError, match="does more than renewing"):
        disable(Machine(root=tmp_path), timers[str(script)])
    disable(Machine(root=tmp_path), timers[str(alone)])
    assert [path.stat().st_mode & 0o777 for path in (script, alone)] == [0o755, 0o644]


def test_crontabs_of_users_are_told_by_user(tmp_path: Path) -> None:
    put(tmp_path, "var/spool/cron/crontabs/web", "x\n3 3 * * * certbot renew\n")
    (timer,) = find_timers(Machine(root=tmp_path))
    assert (timer.kind, timer.user, timer.line) == ("crontab", "web", 2)
    assert shlex.split(timer.disable)[:3] == ["crontab", "-u", "web"]
    assert str(timer) == "the crontab of web line 2"


def test_a_machine_with_nothing_of_it(tmp_path: Path) -> None:
    assert find_timers(Machine(root=tmp_path / "nowhere")) == ()
