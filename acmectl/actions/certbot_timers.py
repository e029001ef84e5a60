"""What still runs certbot's renewals: systemd timers, and cron in all its places.

Other people's crontabs and scripts are text to be looked at, never run.
"""

from __future__ import annotations

import os
import re
import shlex
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from acmectl.actions.config_files import read_config_file
from acmectl.actions.timer import BOOTED
from acmectl.errors import StorageError
from acmectl.storage.atomic import Permissions, telling, write_file

if TYPE_CHECKING:
    from collections.abc import Iterator

MARK = "# acmectl adopt: "
"""Stands before a line of a crontab that was switched off."""

_UNIT_DIRS = (
    "etc/systemd/system",
    "run/systemd/system",
    "usr/local/lib/systemd/system",
    "lib/systemd/system",
    "usr/lib/systemd/system",
)
_KNOWN = ("certbot.timer", "certbot-renew.timer", "snap.certbot.renew.timer", "letsencrypt.timer")
_TABLES = ("etc/crontab", "etc/anacrontab")
_FOLDER_OF_TABLES = "etc/cron.d"
_FOLDERS_OF_SCRIPTS = ("etc/cron.hourly", "etc/cron.daily", "etc/cron.weekly", "etc/cron.monthly")
_SPOOLS = ("var/spool/cron/crontabs", "var/spool/cron/tabs", "var/spool/cron")
# The program's name, and not a directory that is called so too.
_RENEWS = re.compile(
    r"(?<!/etc/)(?<!/lib/)(?<!/log/)\b(?:certbot|letsencrypt)(?:-auto)?(?![\w/])(?:(?!\bacmectl\b).)*\brenew\b"
)
# Lines of a script that do nothing by themselves.
_IDLE = re.compile(r"set\s.*|(export\s+)?\w+=\S*|exit( \d+)?|fi|else|then|if\s.*;\s*then|if\s.*")
_PATIENCE = 90  # seconds for systemctl or crontab


@dataclass(frozen=True, slots=True, kw_only=True)
class CertbotTimer:
    """Something that starts certbot's renewals.

    ``kind``: systemd, cron (a line of a table), script (in a folder of cron) or crontab (a user's). ``where`` is the
    unit or the path, ``line`` the number of the line, ``text`` the line itself. ``disable`` and ``enable`` are
    commands for a shell. ``by_hand``: there is more to it than certbot, so that no program should switch it off.
    """

    kind: str
    where: str
    disable: str
    enable: str
    line: int | None = None
    text: str = ""
    user: str | None = None
    by_hand: bool = False

    def __str__(self) -> str:
        of_user = f" of {self.user}" if self.user is not None else ""
        what = {"systemd": "the systemd timer ", "script": "cron's script ", "crontab": f"the crontab{of_user}"}
        place = self.where if self.kind != "crontab" else ""
        return f"{what.get(self.kind, '')}{place}" + (f" line {self.line}" if self.line is not None else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """Where to look: ``root`` is the directory that stands for /, ``uid`` who looks."""

    root: Path = Path("/")
    uid: int = 0

    @property
    def is_this_one(self) -> bool:
        """Whether programs may be asked, not files alone."""
        return self.root == Path("/")

    @property
    def has_systemd(self) -> bool:
        """Whether its systemd runs."""
        return self.is_this_one and BOOTED.is_dir()


def find_timers(machine: Machine) -> tuple[CertbotTimer, ...]:
    """Everything that is switched on and starts certbot's renewals. What cannot be read is passed over."""
    return (*_systemd(machine), *_tables(machine), *_scripts(machine), *_crontabs(machine))


def disable(machine: Machine, timer: CertbotTimer) -> None:
    """Switch it off as ``timer.disable`` says. Raises: StorageError, with everything as it was."""
    if timer.by_hand:
        raise StorageError(f"{timer.where} does more than renewing, so it is left alone.", hint=timer.disable)
    if timer.kind == "systemd":
        _run(shlex.split(timer.disable))
        if _is_on(machine, timer.where):
            raise StorageError(
                f"{timer.where} is still switched on, though systemctl did as it was told.",
                hint=f"systemctl mask --now {timer.where}",
            )
    elif timer.kind == "crontab":
        # The spool belongs to cron: only its own program tells it of a change.
        program = ["crontab"] if machine.uid != 0 or timer.user is None else ["crontab", "-u", timer.user]
        present = _run([*program, "-l"])
        _run([*program, "-"], text=_without_line(present, timer))
    elif timer.kind == "script":
        with telling(f"change the mode of {timer.where}"):
            os.chmod(timer.where, stat.S_IMODE(os.stat(timer.where).st_mode) & ~0o111)  # noqa: PTH101, PTH116
    else:
        path = Path(os.path.realpath(timer.where))
        with telling(f"change {path}"):
            status = path.stat()
            text = _without_line(path.read_bytes().decode("utf-8", "surrogateescape"), timer)
            permissions = Permissions(mode=stat.S_IMODE(status.st_mode), gid=status.st_gid)
            write_file(path, text.encode("utf-8", "surrogateescape"), permissions=permissions)


def _without_line(text: str, timer: CertbotTimer) -> str:
    lines = text.splitlines(keepends=True)
    index = (timer.line or 0) - 1
    if not 0 <= index < len(lines) or lines[index].rstrip("\r\n") != timer.text:
        raise StorageError(f"{timer} has changed since it was read.", hint="Run the command again.")
    lines[index] = MARK + lines[index]
    return "".join(lines)


def _systemd(machine: Machine) -> Iterator[CertbotTimer]:
    found: dict[str, Path] = {}
    for directory in _UNIT_DIRS:
        for path in sorted((machine.root / directory).glob("*.timer")):
            found.setdefault(path.name, path)
    now = " --now" if machine.has_systemd else ""
    offline = "" if machine.is_this_one else f" --root={shlex.quote(str(machine.root))}"
    for name, path in found.items():
        if (name in _KNOWN or _starts_certbot(machine, path)) and _is_on(machine, name):
            unit = shlex.quote(name)
            yield CertbotTimer(
                kind="systemd",
                where=name,
                disable=f"systemctl{offline} disable{now} {unit}",
                enable=f"systemctl{offline} enable{now} {unit}",
            )


def _starts_certbot(machine: Machine, timer: Path) -> bool:
    units = re.findall(r"(?m)^\s*Unit\s*=\s*(\S+)", _text(timer)) or [f"{timer.stem}.service"]
    for directory in _UNIT_DIRS:
        text = _text(machine.root / directory / Path(units[-1]).name).replace("\\\n", " ")
        if any(_RENEWS.search(line) for line in text.splitlines() if line.lstrip().startswith("ExecStart")):
            return True
    return False


def _is_on(machine: Machine, unit: str) -> bool:
    if machine.has_systemd:
        done = subprocess.run(
            ["systemctl", "is-active", "--quiet", unit], stdin=subprocess.DEVNULL, timeout=_PATIENCE, check=False
        )
        if done.returncode == 0:
            return True
    masks = (machine.root / directory / unit for directory in _UNIT_DIRS[:2])
    if any(mask.is_symlink() and os.readlink(mask) == os.devnull for mask in masks):  # noqa: PTH115
        return False
    # Not whether the link leads somewhere, for its path is one of the machine's own.
    wants = (folder for directory in _UNIT_DIRS for folder in (machine.root / directory).glob("*.wants"))
    return any(os.path.lexists(folder / unit) for folder in wants)


def _tables(machine: Machine) -> Iterator[CertbotTimer]:
    folder = machine.root / _FOLDER_OF_TABLES
    paths = [machine.root / name for name in _TABLES]
    # cron passes over names with a dot, such as those that dpkg leaves behind.
    paths += [path for path in _listed(folder) if "." not in path.name]
    for path in paths:
        for number, line in _renewing_lines(_text(path)):
            quoted = shlex.quote(str(path))
            yield CertbotTimer(
                kind="cron",
                where=str(path),
                line=number,
                text=line,
                disable=f"sed -i '{number}s/^/{MARK}/' {quoted}",
                enable=f"sed -i 's/^{MARK}//' {quoted}",
            )


def _scripts(machine: Machine) -> Iterator[CertbotTimer]:
    for folder in _FOLDERS_OF_SCRIPTS:
        for path in _listed(machine.root / folder):
            text = _text(path)
            if not os.access(path, os.X_OK) or not any(_renewing_lines(text)):
                continue
            quoted = shlex.quote(str(path))
            alone = all(_RENEWS.search(line) or _IDLE.fullmatch(line.strip()) for _number, line in _lines(text))
            yield CertbotTimer(
                kind="script",
                where=str(path),
                disable=f"chmod a-x {quoted}" if alone else f"Take certbot out of {quoted} by hand.",
                enable=f"chmod a+x {quoted}" if alone else "Put it back by hand.",
                by_hand=not alone,
            )


def _crontabs(machine: Machine) -> Iterator[CertbotTimer]:
    if machine.uid != 0 and machine.is_this_one:
        yield from _in_crontab(_told(["crontab", "-l"]) or "", None, "crontab")
        return
    seen = set()
    for spool in _SPOOLS:
        for path in _listed(machine.root / spool):
            if path.name in seen or path.name.startswith("."):
                continue
            seen.add(path.name)
            # The file may have a heading that the program, which counts the lines for sed, leaves out.
            told = _told(["crontab", "-u", path.name, "-l"]) if machine.is_this_one else None
            program = f"crontab -u {shlex.quote(path.name)}"
            yield from _in_crontab(_text(path) if told is None else told, path.name, program, str(path))


def _told(command: list[str]) -> str | None:
    try:
        return _run(command)
    except StorageError:
        return None


def _in_crontab(text: str, user: str | None, program: str, where: str = "crontab") -> Iterator[CertbotTimer]:
    for number, line in _renewing_lines(text):
        yield CertbotTimer(
            kind="crontab",
            where=where,
            line=number,
            text=line,
            user=user,
            disable=f"{program} -l | sed '{number}s/^/{MARK}/' | {program} -",
            enable=f"{program} -l | sed 's/^{MARK}//' | {program} -",
        )


def _renewing_lines(text: str) -> Iterator[tuple[int, str]]:
    return ((number, line) for number, line in _lines(text) if _RENEWS.search(line))


def _lines(text: str) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip() and not line.lstrip().startswith("#"):
            yield number, line


def _listed(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if path.is_file())
    except OSError:
        return []


def _text(path: Path) -> str:
    found = read_config_file(path)
    return "" if found is None else found.data.decode("utf-8", "surrogateescape")


def _run(command: list[str], *, text: str | None = None) -> str:
    what = shlex.join(command)
    try:
        done = subprocess.run(
            command,
            input=(text or "").encode("utf-8", "surrogateescape"),
            capture_output=True,
            timeout=_PATIENCE,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise StorageError(f"'{what}' could not be run: {error}.") from error
    if done.returncode:
        said = " ".join(done.stderr.decode("utf-8", "replace").split())[:300]
        raise StorageError(f"'{what}' failed: {said or f'exit status {done.returncode}'}")
    return done.stdout.decode("utf-8", "surrogateescape")
