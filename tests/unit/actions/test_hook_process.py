"""Hooks as real processes."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Mapping
from pathlib import Path

import pytest

from acmectl.actions.hook_process import HookRunner
from acmectl.actions.hooks import HookCommands, HookSession, directory_hooks, joined, validate_command
from acmectl.clock import SystemClock
from acmectl.errors import ConfigError, HookFailed, Interrupted
from acmectl.events import Event, HookEnded, HookOutput
from acmectl.identifiers import Identifier
from acmectl.interrupts import Interrupts


class Bench:
    def __init__(self, timeout: float = 60, environ: Mapping[str, str] | None = None) -> None:
        self.interrupts = Interrupts()
        self.events: list[Event] = []
        self.runner = HookRunner(
            clock=SystemClock(self.interrupts),
            interrupts=self.interrupts,
            observe=self.events.append,
            environ=dict(os.environ) if environ is None else environ,
            timeout=timeout,
        )

    def lines(self, stream: str = "stdout") -> list[str]:
        return [e.line for e in self.events if isinstance(e, HookOutput) and e.stream == stream]


def test_output_of_both_streams_is_passed_on_line_by_line_and_stdout_is_given_back() -> None:
    bench = Bench()
    assert bench.runner("echo one; echo oops >&2; echo two", name="auth", env={}) == "one\ntwo"
    assert bench.lines() == ["one", "two"]
    assert bench.lines("stderr") == ["oops"]
    assert [e.status for e in bench.events if isinstance(e, HookEnded)] == [0]


def test_a_status_other_than_zero_is_a_failure_that_names_hook_status_and_command() -> None:
    with pytest.raises(HookFailed, match=r"^The deploy-hook failed with exit status 7: exit 7$"):
        Bench().runner("exit 7", name="deploy-hook", env={})


def test_a_hook_ended_by_a_signal_is_a_failure() -> None:
    with pytest.raises(HookFailed, match="ended by signal 9"):
        Bench().runner("kill -9 $$", name="deploy-hook", env={})


def test_standard_input_is_empty() -> None:
    assert Bench().runner("cat; echo end", name="pre-hook", env={}) == "end"


def test_the_environment_of_one_hook_does_not_reach_the_next() -> None:
    bench = Bench()
    assert bench.runner("echo $CERTBOT_TOKEN", name="a", env={"CERTBOT_TOKEN": "x"}) == "x"
    assert bench.runner("echo ${CERTBOT_TOKEN-unset}", name="b", env={}) == "unset"


def test_a_hook_is_over_when_its_process_ends_though_a_child_keeps_the_output_open(tmp_path: Path) -> None:
    bench = Bench()
    try:
        assert bench.runner(f"echo started; sleep 600 & echo $! > {tmp_path}/pid", name="x", env={}) == "started"
    finally:
        os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)


def test_a_hook_that_runs_too_long_is_ended_with_its_children(tmp_path: Path) -> None:
    bench = Bench(timeout=0.3)
    with pytest.raises(HookFailed, match=r"longer than 0\.3 seconds"):
        bench.runner(f"sleep 600 & echo $! > {tmp_path}/pid; wait", name="x", env={})
    child = int((tmp_path / "pid").read_text())
    assert not _runs(child)


def test_a_signal_ends_the_hook_and_the_run(tmp_path: Path) -> None:
    bench = Bench()
    previous = signal.getsignal(signal.SIGUSR1)
    signal.signal(signal.SIGUSR1, bench.interrupts._handle)
    try:
        os.mkfifo(tmp_path / "ready")

        def send() -> None:
            (tmp_path / "ready").read_text()
            os.kill(os.getpid(), signal.SIGUSR1)

        threading.Thread(target=send, daemon=True).start()
        with pytest.raises(Interrupted):
            bench.runner(f"echo $$ > {tmp_path}/pid; echo > {tmp_path}/ready; sleep 600", name="x", env={})
    finally:
        signal.signal(signal.SIGUSR1, previous)
    assert not _runs(int((tmp_path / "pid").read_text()))


def test_the_administrators_directories_are_on_the_path() -> None:
    assert "/usr/sbin" in Bench(environ={"PATH": "/bin"}).runner("echo $PATH", name="x", env={})


def _runs(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def _script(path: Path, text: str, mode: int = 0o755) -> Path:
    path.write_text(text)
    path.chmod(mode)
    return path


@pytest.fixture
def hooks(tmp_path: Path) -> Path:
    for kind in ("pre", "deploy", "post"):
        (tmp_path / kind).mkdir()
    return tmp_path


def _session(bench: Bench, hooks: Path) -> HookSession:
    return HookSession(bench.runner, lambda kind: hooks / kind)


def test_directory_hooks_are_executable_files_in_bytewise_order_without_backups(hooks: Path) -> None:
    for name in ("b", "B", "a~", "10", "9"):
        _script(hooks / "pre" / name, "#!/bin/sh\n")
    _script(hooks / "pre" / "not-executable", "", 0o644)
    (hooks / "pre" / "folder").mkdir()
    (hooks / "pre" / "link").symlink_to(hooks / "pre" / "b")
    assert [path.name for path in directory_hooks(hooks / "pre")] == ["10", "9", "B", "b", "link"]
    assert directory_hooks(hooks / "absent") == []


def test_directory_hooks_run_before_the_configured_one_and_a_named_one_only_once(hooks: Path) -> None:
    bench = Bench()
    script = _script(hooks / "deploy" / "x", "echo directory $RENEWED_LINEAGE $RENEWED_DOMAINS\n")
    session = _session(bench, hooks)
    names = [Identifier.dns("a.example"), Identifier.dns("b.example")]
    assert session.deploy(HookCommands(deploy="echo configured"), Path("/live/a"), names) == []
    assert bench.lines() == ["directory /live/a a.example b.example", "configured"]
    bench.events.clear()
    assert session.deploy(HookCommands(deploy=str(script)), Path("/live/a"), names) == []
    assert bench.lines() == ["directory /live/a a.example b.example"]
    bench.events.clear()
    session.deploy(HookCommands(deploy="echo configured", directory_hooks=False), Path("/live/a"), names)
    assert bench.lines() == ["configured"]


def test_pre_hooks_run_once_per_command_and_post_hooks_once_at_the_end(hooks: Path) -> None:
    bench = Bench()
    session = _session(bench, hooks)
    session.before(HookCommands(pre="echo pre1", post="echo post1"))
    session.before(HookCommands(pre="echo pre1", post='echo "post1"'))
    session.before(HookCommands(pre="echo pre2", post="echo post1"))
    assert bench.lines() == ["pre1", "pre2"]
    bench.events.clear()
    assert session.finish() == []
    assert bench.lines() == ["post1", "post1"]
    bench.events.clear()
    assert session.finish() == []
    assert bench.lines() == []


def test_post_hooks_know_what_was_renewed_and_what_failed(hooks: Path) -> None:
    bench = Bench()
    session = _session(bench, hooks)
    session.before(HookCommands(post='echo "$RENEWED_DOMAINS|$FAILED_DOMAINS"'))
    session.finish(
        renewed=[Identifier.dns("a.example")], failed=[Identifier.dns("b.example"), Identifier.dns("c.example")]
    )
    assert bench.lines() == ["a.example|b.example c.example"]


def test_a_failed_pre_hook_is_told_and_the_post_hook_still_runs(hooks: Path) -> None:
    bench = Bench()
    session = _session(bench, hooks)
    commands = HookCommands(pre="false", post="echo post")
    for _ in range(2):
        with pytest.raises(HookFailed, match="pre-hook failed with exit status 1"):
            session.before(commands)
    assert session.finish() == []
    assert bench.lines() == ["post"]


def test_every_deploy_hook_runs_though_one_fails(hooks: Path) -> None:
    bench = Bench()
    _script(hooks / "deploy" / "a", "#!/bin/sh\nexit 3\n")
    _script(hooks / "deploy" / "b", "#!/bin/sh\necho b\n")
    failures = _session(bench, hooks).deploy(HookCommands(deploy="echo c; exit 1"), Path("/x"), [])
    assert bench.lines() == ["b", "c"]
    assert len(failures) == 2


def test_long_lists_of_names_end_at_a_whole_name() -> None:
    text = joined(Identifier.dns(f"host-{number}.example.org") for number in range(3000))
    assert len(text) <= 32_000
    assert text.endswith(".example.org")


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("", "--pre-hook is empty"),
        ("/no/such/program x", "was not found"),
        ("no-such-program-anywhere", "was not found"),
    ],
)
def test_a_command_that_cannot_be_executed_is_refused_by_name(command: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        validate_command(command, "--pre-hook", os.environ)


def test_a_file_without_execute_permission_is_said_to_be_so(tmp_path: Path) -> None:
    _script(tmp_path / "hook", "", 0o644)
    with pytest.raises(ConfigError, match="not executable"):
        validate_command(f"{tmp_path}/hook arg", "--deploy-hook", os.environ)
    validate_command("sh -c true", "--deploy-hook", os.environ)
