"""App: what a command gets to work with, and the one place where errors become lines and exit codes."""

from __future__ import annotations

import itertools
import os
import signal
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from acmectl.cli import group, params, plugin_options, show, show_version
from acmectl.cli import help as pages
from acmectl.cli.console import Console
from acmectl.cli.logs import Log
from acmectl.cli.prompts import Prompts
from acmectl.clock import Clock, SystemClock
from acmectl.config.values import nearest, shown
from acmectl.errors import AcmectlError, ExitCode, Interrupted, UsageError
from acmectl.interrupts import Interrupts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from acmectl.cli.argv import Occurrence
    from acmectl.config.options import OptionTable
    from acmectl.config.settings import Settings

_HELP_FLAGS = ("-h", "--help")
_STANDARD_ERROR = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class App:
    """Everything that ``run(app)`` of a command may use.

    ``command_line`` is what was typed, without the program's name and with secrets masked, for the log and the
    User-Agent.
    """

    settings: Settings
    console: Console
    prompts: Prompts
    clock: Clock
    interrupts: Interrupts
    environ: Mapping[str, str]
    command_line: tuple[str, ...]
    log: Log


def main(argv: Sequence[str], table: OptionTable) -> int:
    """Run one command line and give the exit status; a signal that stopped the run is raised again at its end."""
    _occupy_standard_descriptors()
    console = Console(json="--json" in argv)
    signum: int | None = None
    status: int
    try:
        parsed = _parse(argv, table)
        if parsed is None:
            return ExitCode.OK
        status, signum = _run(parsed)
    except KeyboardInterrupt:
        console.error("Interrupted before anything was done.")
        status = ExitCode.FAILED
    except AcmectlError as error:
        console.failure(error)
        status = error.exit_code
    except Exception as error:  # noqa: BLE001 - the last resort: whatever it is, it ends in one line
        status = _unexpected(error, console, debug="--debug" in argv, log=None)
    finally:
        console.close()
    if signum is not None and signum != signal.SIGINT:
        signal.signal(signum, signal.SIG_DFL)
        os.kill(os.getpid(), signum)
    return status


def _occupy_standard_descriptors() -> None:
    """Keep a file of ours from becoming the standard output of a hook, when the caller closed 0, 1 or 2."""
    descriptor = os.open(os.devnull, os.O_RDWR)
    while descriptor <= _STANDARD_ERROR:
        descriptor = os.dup(descriptor)
    os.close(descriptor)


def _parse(argv: Sequence[str], table: OptionTable) -> params.Parsed | None:
    """The command line taken apart; None when it asked for help or the version, which was then shown."""
    try:
        line = params.read(argv, table)
    except UsageError:
        if any(token in _HELP_FLAGS for token in argv):
            # Whoever asks for help may not yet know how the rest is written.
            words = [token for token in argv if token in pages.topics(table)]
            show(pages.page(words, table) or "")
            return None
        line = None  # it may have options of plugins
    if line is not None and line.has("--help"):
        _help(_topic(argv, line.words), table)
        return None
    if line is not None and line.has("--version"):
        show_version()
        return None
    parsed = params.parse(argv, table)
    if parsed.verb.name == "help":
        _help(parsed.arguments, table)
        return None
    return parsed


def _topic(argv: Sequence[str], words: Sequence[str]) -> Sequence[str]:
    """The word that follows ``--help``, else the first one there is."""
    for flag, word in itertools.pairwise(argv):
        if flag in _HELP_FLAGS and word in words:
            return [word]
    return words[:1]


def _help(words: Sequence[str], table: OptionTable) -> None:
    """Show the page of a topic, which may be a plugin that the built-in table does not know. Raises: UsageError."""
    text = pages.page(words, table)
    if text is None:
        text = pages.page(words, plugin_options.extended(table, words))
    if text is None:
        near = nearest(words[0], pages.topics(table))
        raise UsageError(
            f"There is no help on {shown(words[0])}.",
            hint=f"Did you mean {near}?" if near else "See acmectl --help for the topics.",
        )
    show(text)


def _run(parsed: params.Parsed) -> tuple[int, int | None]:
    settings = params.settings_of(parsed)
    console = Console(quiet=settings.flag("quiet"), json=settings.flag("json"), reserved=settings.stdout_reserved)
    interrupts = Interrupts()
    app = App(
        settings=settings,
        console=console,
        prompts=Prompts(console, interrupts, interactive=settings.interactive),
        clock=SystemClock(interrupts),
        interrupts=interrupts,
        environ=os.environ,
        command_line=masked(parsed.line.occurrences, parsed.line.words),
        log=Log(),
    )
    interrupts.install()
    try:
        return _run_command(app, parsed.verb)
    finally:
        app.log.close()
        console.close()


def _run_command(app: App, verb: group.Verb) -> tuple[int, int | None]:
    """Exit status, and the signal that ended the command if one did."""
    console, settings = app.console, app.settings
    try:
        _start_log(app, verb)
        for warning in settings.warnings:
            console.warning(warning)
        return group.load(verb)(app), None
    except Interrupted as error:
        console.failure(error)
        return ExitCode.FAILED, error.signum
    except AcmectlError as error:
        console.failure(error)
        _point_to_log(app)
        return error.exit_code, None
    except Exception as error:  # noqa: BLE001 - the last resort: whatever it is, it ends in one line
        return _unexpected(error, console, debug=settings.flag("debug"), log=app.log), None


def _start_log(app: App, verb: group.Verb) -> None:
    settings = app.settings
    app.log.start(app.console, verbosity=settings.verbosity, quiet=settings.flag("quiet"))
    for row in settings.table.rows:
        value = settings.value(row.destination) if row.secret else None
        if isinstance(value, str):
            app.log.redaction.add(value)
    for url in (settings.required_text("server"), *settings.items("servers")):
        app.log.redaction.add_url(url)
    if verb.reads_only and not settings.verbosity:
        return
    if settings.keeps_nothing and not settings.is_set("logs_dir"):
        return
    try:
        app.log.open(
            settings.directory("logs_dir"),
            backups=settings.integer("max_log_backups"),
            as_json=settings.text("log_format") == "json",
        )
    except AcmectlError as error:
        if not verb.reads_only:
            raise
        app.console.info(error.message)
        return
    app.console.note(f"The log goes to {app.log.path}")
    from acmectl import __version__

    app.console.info(f"acmectl {__version__}: {settings.verb}, arguments: {' '.join(app.command_line)}")


def masked(occurrences: Sequence[Occurrence], words: Sequence[str]) -> tuple[str, ...]:
    """The command line with its secrets masked, options first."""
    shown: list[str] = []
    for occurrence in occurrences:
        row = occurrence.row
        name = row.name if occurrence.positive else row.off[0]
        if occurrence.text is None:
            shown.append(name)
        else:
            shown.append(f"{name}={'[hidden]' if row.secret else occurrence.text}")
    return (*words, *shown)


def _unexpected(error: Exception, console: Console, *, debug: bool, log: Log | None) -> int:
    """A mistake of ours: one line for the person, the traceback for the log."""
    import logging
    import traceback

    where = ""
    if log is not None and log.path is not None:
        logging.getLogger("acmectl.cli").debug("internal error", exc_info=error)
        where = f" Details are in {log.path}."
    elif not debug:
        where = " Run it with --debug for details."
    if debug:
        sys.stderr.write("".join(traceback.format_exception(error)))
    console.error(f"Internal error: {type(error).__name__}: {' '.join(str(error).split())[:200]}.{where}")
    return ExitCode.FAILED


def _point_to_log(app: App) -> None:
    if app.log.path is not None:
        app.console.note(f"Details are in {app.log.path}")
