"""From main() to the exit status: every way in which a run can end, with commands made for the test."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from acmectl import __version__

if TYPE_CHECKING:
    from collections.abc import Callable

CHECKOUT = Path(__file__).resolve().parents[3]

PROGRAM = """
import sys
from acmectl.cli import group, main
from acmectl import errors

{body}

group.load = lambda verb: run
sys.exit(main())
"""


@pytest.fixture
def start(tmp_path: Path) -> Callable[..., subprocess.Popen[str]]:
    """Start acmectl with ``run(app)`` of every command replaced by a test's own."""

    def started(body: str, *argv: str, **options: object) -> subprocess.Popen[str]:
        script = tmp_path / "program.py"
        script.write_text(PROGRAM.format(body=textwrap.dedent(body)))
        return subprocess.Popen(
            [sys.executable, str(script), *argv],
            cwd=tmp_path,
            env={
                "PATH": os.environ["PATH"],
                "PYTHONPATH": f"{CHECKOUT}:{CHECKOUT}/plugins",
                "HOME": str(tmp_path),
                "ACMECTL_CONFIG_DIR": str(tmp_path / "etc"),
                "ACMECTL_LOGS_DIR": str(tmp_path / "logs"),
                "ACMECTL_WORK_DIR": str(tmp_path / "work"),
            },
            **{
                "stdin": subprocess.DEVNULL,
                "stdout": subprocess.PIPE,
                "stderr": subprocess.PIPE,
                "text": True,
                **options,  # type: ignore[dict-item]
            },
        )

    return started


@pytest.fixture
def run(start: Callable[..., subprocess.Popen[str]]) -> Callable[..., tuple[int, str, str]]:
    """Run it to its end: exit status, standard output, standard error."""

    def ran(body: str, *argv: str, **options: object) -> tuple[int, str, str]:
        process = start(body, *argv, **options)
        out, err = process.communicate(timeout=60)
        return process.returncode, out, err

    return ran


def test_a_command_gets_everything_it_needs(run: Callable[..., tuple[int, str, str]], tmp_path: Path) -> None:
    status, out, err = run(
        """
        def run(app):
            app.console.status(f"{app.settings.verb} {app.settings.items('domains')} {app.prompts.interactive}")
            app.console.status(app.environ["HOME"])
            app.clock.sleep(0)
            return errors.ExitCode.OK
        """,
        "-d",
        "a.example",
    )
    assert (status, out) == (0, f"certonly ('a.example',) True\n{tmp_path}\n")
    assert err == f"The log goes to {tmp_path}/logs/acmectl.log\n"


def test_an_expected_error_is_a_line_a_hint_and_the_exit_status(
    run: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    body = """
        def run(app):
            raise errors.ConfigError("It cannot be.", hint="Do this.")
        """
    status, out, err = run(body)
    log = f"{tmp_path}/logs/acmectl.log"
    assert (status, out) == (1, "")
    assert err == f"The log goes to {log}\nError: It cannot be.\nDo this.\nDetails are in {log}\n"
    status, out, err = run(body, "-q")
    assert (status, out, err) == (1, "", "Error: It cannot be.\nDo this.\n")
    status, out, err = run(body, "--json")
    assert (status, err) == (1, "Error: It cannot be.\nDo this.\n")
    assert json.loads(out)["message"] == "It cannot be."


def test_an_unexpected_error_is_one_line_and_the_traceback_is_in_the_log(
    run: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    body = """
        def run(app):
            raise KeyError("oops\\nmore")
        """
    status, out, err = run(body, "-n")
    assert (status, out) == (1, "")
    assert "Traceback" not in err
    assert err.splitlines()[1:] == [
        f"Error: Internal error: KeyError: 'oops\\nmore'. Details are in {tmp_path}/logs/acmectl.log."
    ]
    assert "Traceback" in (tmp_path / "logs/acmectl.log").read_text()
    assert "Traceback" in run(body, "--debug")[2]
    status, _, err = run(body, "certificates")
    assert (status, err) == (1, "Error: Internal error: KeyError: 'oops\\nmore'. Run it with --debug for details.\n")


def test_usage_errors_end_with_two_and_leave_nothing_behind(
    run: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    status, out, err = run("run = None", "--nope")
    assert (status, out) == (2, "")
    assert err.startswith("Error: There is no option --nope.")
    assert err.count("\n") == 1
    status, out, err = run("run = None", "--json", "--nope")
    assert json.loads(out)["exit_code"] == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["program.py"]


@pytest.mark.parametrize("verb", ["certificates", "plugins", "show_account"])
def test_commands_that_only_read_write_no_log_unless_asked(
    run: Callable[..., tuple[int, str, str]], tmp_path: Path, verb: str
) -> None:
    body = """
        def run(app):
            import logging
            logging.getLogger("acmectl.x").warning("careful")
            return 0
        """
    assert run(body, verb) == (0, "", "Warning: careful\n")
    assert not (tmp_path / "logs").exists()
    run(body, verb, "-v")
    assert "careful" in (tmp_path / "logs/acmectl.log").read_text()


def test_a_log_that_cannot_be_written_stops_writers_and_not_readers(
    run: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    (tmp_path / "logs").write_text("in the way")
    body = """
        def run(app):
            app.console.status("ran")
            return 0
        """
    status, out, err = run(body, "renew")
    assert (status, out) == (1, "")
    assert err.startswith(f"Error: The log file {tmp_path}/logs/acmectl.log cannot be written")
    status, out, err = run(body, "certificates", "-v")
    assert (status, out) == (0, "ran\n")


def test_secrets_of_the_command_line_are_not_logged(run: Callable[..., tuple[int, str, str]], tmp_path: Path) -> None:
    run(
        """
        def run(app):
            app.console.info(f"key {app.settings.text('eab_hmac_key')}")
            app.console.info(f"at {app.settings.text('server')}")
            return 0
        """,
        "--eab-kid",
        "kid",
        "--eab-hmac-key",
        "c2VjcmV0LWhtYWM",
        "--server",
        "https://ca.example/t0ken5ecret9forThisAccount/dir",
    )
    written = (tmp_path / "logs/acmectl.log").read_text()
    assert "--eab-kid=kid" in written
    assert "https://ca.example/[hidden]/dir" in written
    assert "c2VjcmV0LWhtYWM" not in written
    assert "t0ken5ecret9forThisAccount" not in written


SLEEPER = """
def run(app):
    print("ready", flush=True)
    try:
        app.clock.sleep(60)
    finally:
        with app.interrupts.shielded():
            print("cleaned", flush=True)
"""


@pytest.mark.parametrize(
    ("signum", "status"),
    [
        (signal.SIGINT, 1),
        (signal.SIGTERM, -signal.SIGTERM),
        (signal.SIGHUP, -signal.SIGHUP),
        (signal.SIGQUIT, -signal.SIGQUIT),
    ],
)
def test_a_signal_cleans_up_and_ends_the_run_as_the_signal_would(
    start: Callable[..., subprocess.Popen[str]], signum: int, status: int
) -> None:
    process = start(SLEEPER, "-q")
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signum)
    out, err = process.communicate(timeout=60)
    assert out == "cleaned\n"
    assert err == "Error: Interrupted; what had been set up was cleaned up.\n"
    assert process.returncode == status


def test_a_signal_ends_a_question_at_once(start: Callable[..., subprocess.Popen[str]]) -> None:
    process = start(
        """
        def run(app):
            print("ready", flush=True)
            app.prompts.ask("Name?")
        """,
        "--force-interactive",
        stdin=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    assert process.stdout.read(5) == "Name?"
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGTERM
    assert "Traceback" not in err


def test_a_question_without_input_is_one_line(run: Callable[..., tuple[int, str, str]]) -> None:
    body = """
        def run(app):
            app.prompts.ask("Name?", flag="--cert-name")
        """
    status, _, err = run(body, "certificates")
    assert (status, err) == (1, "Error: The input ended before this was answered: Name?\nUse --cert-name.\n")
    status, _, err = run(body, "certificates", "-n")
    assert (status, err) == (1, "Error: This run asks nothing, but an answer is needed: Name?\nUse --cert-name.\n")


def test_a_reader_that_goes_away_is_no_error(run: Callable[..., tuple[int, str, str]]) -> None:
    read, write = os.pipe()
    os.close(read)
    body = """
        def run(app):
            for _ in range(10000):
                app.console.status("a line")
            app.console.result("x", {})
            return 0
        """
    assert run(body, "certificates", stdout=write) == (0, None, "")
    assert run(body, "certificates", "--json", stdout=write) == (0, None, "")
    assert run("run = None", "--help", stdout=write) == (0, None, "")
    assert run("run = None", "--help", "all", stdout=write) == (0, None, "")
    os.close(write)


def test_a_result_that_cannot_be_written_is_a_failure(run: Callable[..., tuple[int, str, str]]) -> None:
    with Path("/dev/full").open("w") as full:
        status, _, err = run(
            """
            def run(app):
                app.console.result("x", {})
                return 0
            """,
            "certificates",
            "--json",
            stdout=full,
        )
    assert (status, err) == (1, "Error: Standard output cannot be written: No space left on device.\n")


def test_closed_streams_are_no_reason_to_fail(start: Callable[..., subprocess.Popen[str]], tmp_path: Path) -> None:
    process = start(
        """
        def run(app):
            app.console.status("nobody")
            app.console.warning("nobody")
            import os
            with open("done", "w") as file:
                file.write(" ".join(os.readlink(f"/proc/self/fd/{n}") for n in range(3)))
            return 0
        """,
        stdin=None,
        stdout=None,
        stderr=None,
        preexec_fn=lambda: [os.close(descriptor) for descriptor in (0, 1, 2)],
    )
    assert process.wait(60) == 0
    assert (tmp_path / "done").read_text() == "/dev/null /dev/null /dev/null"


def test_warnings_about_options_are_shown_once_each(run: Callable[..., tuple[int, str, str]], tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/cli.ini").write_text("no-self-upgrade = 0\n")
    status, _, err = run("run = lambda app: 0", "certificates", "--redirect", "--redirect")
    assert status == 0
    assert err.splitlines() == [
        f"Warning: {tmp_path}/etc/cli.ini line 1: --no-self-upgrade is ignored: it has no effect any more.",
        "Warning: --redirect is ignored: acmectl does not edit the configuration of web servers.",
    ]


@pytest.mark.parametrize("argv", [["--version"], ["-n", "--version"], ["certonly", "--version", "-d", "a.example"]])
def test_the_version_is_shown_wherever_it_is_asked_for(
    run: Callable[..., tuple[int, str, str]], argv: list[str], tmp_path: Path
) -> None:
    assert run("run = None", *argv) == (0, f"acmectl {__version__}\n", "")
    assert [path.name for path in tmp_path.iterdir()] == ["program.py"]


def test_bytes_that_are_no_text_in_arguments_are_refused_in_one_line(run: Callable[..., tuple[int, str, str]]) -> None:
    status, _, err = run("run = None", os.fsdecode(b"--n\xff\x1b[2J"))
    assert status == 2
    assert err == "Error: There is no option --n??[2J.\n"
