"""enable-timer: have systemd run renew."""

from __future__ import annotations

import os
import shutil
import sys
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from acmectl.actions.timer import SERVICE, TIMER, UNIT_DIR, TimerRequest, enable, plan
from acmectl.cli.wiring import build_services
from acmectl.errors import ConfigError, ExitCode

if TYPE_CHECKING:
    from acmectl.actions.timer import TimerPlan
    from acmectl.cli.app import App


def run(app: App) -> ExitCode:
    """Write and enable the units, or print them. Raises: AcmectlError."""
    settings = app.settings
    show = settings.flag("print")
    interval = timedelta(seconds=settings.integer("timer_interval")) if settings.is_set("timer_interval") else None
    request = TimerRequest(
        program=program(sys.argv[0], sys.executable), interval=interval, config_files=settings.items("config_file")
    )
    lineages = build_services(app, writes=False).lineages
    timer = plan(lineages, request)
    if show:
        app.console.status("\n".join(f"# {UNIT_DIR / name}\n{text}" for name, text in timer.units.items()))
    else:
        enable(lineages, timer, uid=os.geteuid())
        _report(app, timer)
    app.console.result("timer", as_json(timer, enabled=not show))
    return ExitCode.OK


def program(argv0: str, interpreter: str) -> tuple[str, ...]:
    """The words that start this very acmectl again, an absolute path first. Raises: ConfigError."""
    if Path(argv0).name == "__main__.py":
        return (str(Path(interpreter).absolute()), "-m", "acmectl")
    found = argv0 if "/" in argv0 else shutil.which(argv0)
    path = Path(found).absolute() if found else None
    if path is None or not os.access(path, os.X_OK):
        raise ConfigError(
            f"The path of this program could not be found out; it calls itself {argv0!r}.",
            hint="Run it by its full path, such as /usr/bin/acmectl.",
        )
    return (str(path),)


def _report(app: App, timer: TimerPlan) -> None:
    console, rhythm = app.console, timer.rhythm
    why = f", because of certificates that live for a few days only ({_few(timer.short_lived)})"
    console.status(f"The timer is enabled: renew runs {rhythm}{why if timer.short_lived else ''}.")
    console.status(f"Its units are {UNIT_DIR / SERVICE} and {UNIT_DIR / TIMER}.")
    console.status(f"What it said: journalctl -u {SERVICE}. When it runs next: systemctl list-timers {TIMER}.")


def _few(names: tuple[str, ...]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def as_json(timer: TimerPlan, *, enabled: bool) -> dict[str, object]:
    """The result for --json."""
    return {
        "enabled": enabled,
        "units": dict(timer.units),
        "directory": str(UNIT_DIR),
        "interval_seconds": timer.rhythm.interval * 60,
        "calendar": timer.rhythm.calendar,
        "crontab": timer.crontab,
        "short_lived": list(timer.short_lived),
    }
