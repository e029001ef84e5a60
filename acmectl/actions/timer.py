"""enable-timer: the systemd units that run ``renew``, or what to put into a crontab where there is no systemd."""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import socket
import subprocess
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from acmectl.actions.outputs import stored_paths
from acmectl.errors import AcmectlError, ConfigError, StorageError
from acmectl.pki.summary import summary
from acmectl.storage.atomic import Permissions, telling, write_file
from acmectl.storage.lineage import BrokenLineage

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from acmectl.storage.layout import Layout
    from acmectl.storage.lineages import LineageStore

SERVICE, TIMER = "acmectl-renew.service", "acmectl-renew.timer"
UNIT_DIR = Path("/etc/systemd/system")
BOOTED = Path("/run/systemd/system")
"""There while systemd runs as the first process (sd_booted)."""

TWICE_A_DAY = timedelta(hours=12)
HOURLY = timedelta(hours=1)
SHORT_LIVED = timedelta(days=10)
"""Certificates that live shorter are looked after every hour (see docs/adr)."""

_TEMPLATES = Path(__file__).parent.parent / "systemd"
_MACHINE_ID = Path("/etc/machine-id")
_CLOSED = ("/usr", "/boot", "/efi", "/root", "/run/user")  # closed by the service; what renew writes there is opened
_LONGEST_DELAY = 30  # minutes
_DAY = 24 * 60
_SAFE = re.compile(r"[A-Za-z0-9_@%+=:,./-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rhythm:
    """When renew runs: every ``interval`` minutes, ``offset`` minutes after midnight for the first time.

    Raises: ConfigError unless the runs come at the same times every day.
    """

    interval: int
    offset: int

    def __post_init__(self) -> None:
        if not (self.interval % 60 == 0 and _DAY % self.interval == 0) and 60 % self.interval != 0:
            raise ConfigError(
                f"A timer cannot run every {self.interval} minutes at the same times of every day.",
                hint="Use --timer-interval 1h, 2h, 3h, 4h, 6h, 8h, 12h or 24h, or a part of an hour such as 15m.",
            )

    @property
    def hours(self) -> tuple[int, ...]:
        """The hours of its runs; all of them for an interval of an hour or less."""
        return tuple(range(self.offset // 60, 24, max(1, self.interval // 60)))

    @property
    def minutes(self) -> tuple[int, ...]:
        """The minutes of its runs."""
        return tuple(range(self.offset % 60, 60, min(60, self.interval)))

    @property
    def calendar(self) -> str:
        """For OnCalendar of a timer unit, in local time."""
        return f"*-*-* {self._list(self.hours, 2)}:{self._list(self.minutes, 2)}:00"

    @property
    def crontab(self) -> str:
        """The five fields of a crontab line."""
        return f"{self._list(self.minutes)} {self._list(self.hours)} * * *"

    @property
    def delay(self) -> int:
        """Minutes by which a timer may put its runs off."""
        return min(_LONGEST_DELAY, self.interval // 4)

    @property
    def option(self) -> str:
        """The interval as --timer-interval takes it."""
        return f"{self.interval // 60}h" if self.interval % 60 == 0 else f"{self.interval}m"

    def __str__(self) -> str:
        words = {_DAY: "once a day", 720: "twice a day", 60: "hourly"}
        return words.get(self.interval, f"every {self.option}")

    def _list(self, numbers: Sequence[int], width: int = 1) -> str:
        if len(numbers) == 24:
            return "*"
        return ",".join(f"{number:0{width}}" for number in numbers)


@dataclass(frozen=True, slots=True, kw_only=True)
class TimerRequest:
    """``program``: the words that start acmectl, an absolute path first. ``interval`` None: as the certificates need.

    ``config_files`` are given to each run besides the three directories.
    """

    program: tuple[str, ...]
    interval: timedelta | None = None
    config_files: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TimerPlan:
    """The units by file name, and the same for cron. ``short_lived`` are certificates that want it hourly."""

    rhythm: Rhythm
    units: Mapping[str, str]
    crontab: str
    short_lived: tuple[str, ...]


def plan(lineages: LineageStore, request: TimerRequest) -> TimerPlan:
    """What would be enabled. Reads only. Raises: ConfigError."""
    short_lived, webroots = _look_at(lineages)
    interval = request.interval or (HOURLY if short_lived else TWICE_A_DAY)
    minutes, rest = divmod(int(interval.total_seconds()), 60)
    if rest:
        raise ConfigError(
            "A timer cannot run every so many seconds.", hint="Give --timer-interval in minutes or hours."
        )
    rhythm = Rhythm(interval=minutes, offset=_offset(minutes))
    layout = lineages.layout
    command = [*request.program, "renew", *_options(layout, request, rhythm)]
    for word in command:
        if not word.isprintable():
            raise ConfigError(f"A unit cannot hold {_printable(word)!r}, for it has control characters in it.")
    writable = [*map(str, (layout.config_dir, layout.work_dir, layout.logs_dir)), *webroots]
    values = {
        "COMMAND": " ".join(unit_word(word, command=True) for word in command),
        "WRITABLE": " ".join(unit_word(f"-{path}") for path in dict.fromkeys(writable)),
        "RHYTHM": str(rhythm),
        "CALENDAR": rhythm.calendar,
        "DELAY": f"{rhythm.delay}min",
    }
    return TimerPlan(
        rhythm=rhythm,
        units={name: _filled(name, values) for name in (SERVICE, TIMER)},
        crontab=f"{rhythm.crontab} {shlex.join([*command, '--quiet'])}".replace("%", r"\%"),
        short_lived=tuple(short_lived),
    )


def enable(lineages: LineageStore, timer: TimerPlan, *, uid: int) -> None:
    """Write the units, replacing those of an earlier time, and start the timer.

    Raises: ConfigError where there is no systemd, for anybody but root, and when the units that are there renew
    another directory; StorageError when systemd or the disk refuses.
    """
    if not BOOTED.is_dir():
        raise ConfigError(
            "systemd does not run here, so there is no timer that could be enabled.",
            hint=f"Let cron do it, with this line in root's crontab (crontab -e): {timer.crontab}",
        )
    if uid != 0:
        raise ConfigError(
            f"Only root can enable a timer in {UNIT_DIR}.",
            hint="Run it as root, or see the units with --print. For a user's own crontab (crontab -e): "
            + timer.crontab,
        )
    _refuse_another_directory(lineages.layout)
    for name, text in timer.units.items():
        with telling(f"write {UNIT_DIR / name}"):
            write_file(UNIT_DIR / name, text.encode(), permissions=Permissions(mode=0o644))
    _systemctl("daemon-reload")
    _systemctl("enable", "--now", TIMER)


def unit_word(word: str, *, command: bool = False) -> str:
    """A word as it stands in a unit file; ``command``: in a command line, where variables are replaced too."""
    text = word.replace("%", "%%")
    if command:
        text = text.replace("$", "$$")
    if _SAFE.fullmatch(word):
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _options(layout: Layout, request: TimerRequest, rhythm: Rhythm) -> list[str]:
    words = ["--timer-interval", rhythm.option]
    for option, path in (
        ("--config-dir", layout.config_dir),
        ("--work-dir", layout.work_dir),
        ("--logs-dir", layout.logs_dir),
    ):
        words += [option, str(path)]
    for path_text in request.config_files:
        words += ["--config", os.path.abspath(path_text)]  # noqa: PTH100 - links are meant to stay
    return words


def _look_at(lineages: LineageStore) -> tuple[list[str], list[str]]:
    """Names of certificates that live for a few days only, and directories where the service could not write.

    These are web roots, and where files beside the live links go.
    """
    short_lived: list[str] = []
    webroots: list[str] = []
    for lineage in lineages.all():
        if isinstance(lineage, BrokenLineage):
            continue
        try:
            certificate = summary(lineage.read("cert"))
        except AcmectlError:
            continue
        if certificate.not_after - certificate.not_before < SHORT_LIVED:
            short_lived.append(lineage.name)
        challenge_dir = lineage.conf.own.get("challenge_dir")
        roots = [*lineage.conf.texts("webroot_path"), *lineage.conf.webroot_map.values()]
        webroots += [root for root in [*roots, challenge_dir] if isinstance(root, str) and _is_closed(root)]
        webroots += [str(path.parent) for path in stored_paths(lineage.conf.own).values() if _is_closed(str(path))]
    return short_lived, list(dict.fromkeys(webroots))


def _is_closed(path: str) -> bool:
    real = os.path.realpath(path)
    return real.isprintable() and any(real.startswith(f"{closed}/") for closed in _CLOSED)


def _offset(interval: int) -> int:
    """A minute of the interval that is always the same on this machine and another one on others."""
    try:
        machine = _MACHINE_ID.read_text(encoding="ascii").strip()
    except (OSError, UnicodeError):
        machine = ""
    digest = hashlib.sha256(f"acmectl {machine or socket.gethostname()}".encode()).digest()
    return int.from_bytes(digest[:8], "big") % interval


def _filled(name: str, values: Mapping[str, str]) -> str:
    text = (_TEMPLATES / name).read_text(encoding="utf-8")
    return re.sub("@([A-Z]+)@", lambda match: values[match[1]], text)


def _refuse_another_directory(layout: Layout) -> None:
    """Units of another directory are somebody's renewals, which must not end by surprise."""
    path = UNIT_DIR / SERVICE
    try:
        present = path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return
    except OSError as error:
        raise StorageError(f"Cannot read {path}: {error.strerror}.") from error
    ours = f" --config-dir {unit_word(str(layout.config_dir), command=True)} "
    if any(line.startswith("ExecStart=") and ours not in line for line in present.splitlines()):
        raise ConfigError(
            f"{path} is there already and does not renew what is in {layout.config_dir}.",
            hint="If it may go, remove it and run this again; else save what --print shows beside it by other names.",
        )


def _systemctl(*arguments: str) -> None:
    what = f"systemctl {' '.join(arguments)}"
    try:
        done = subprocess.run(
            ["systemctl", *arguments], stdin=subprocess.DEVNULL, capture_output=True, timeout=90, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise StorageError(f"{what} could not be run: {_printable(str(error))}.") from error
    if done.returncode:
        said = _first_line(done.stderr.decode("utf-8", "replace").splitlines())
        raise StorageError(f"{what} failed: {said or f'exit status {done.returncode}'}")


def _first_line(lines: Iterable[str]) -> str:
    return next((_printable(line.strip()) for line in lines if line.strip()), "")


def _printable(text: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in text)
