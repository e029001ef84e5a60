"""What is printed where."""

from __future__ import annotations

import io
import json
import os
import threading

import pytest

from acmectl import events
from acmectl.cli.console import RULE, Console, wrapped
from acmectl.errors import AuthorizationFailed, AuthorizationFailure, ConfigError, UsageError
from acmectl.identifiers import Identifier


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def console(*, out: io.StringIO | None = None, err: io.StringIO | None = None, quiet: bool = False, json: bool = False,
            reserved: bool = False) -> tuple[Console, io.StringIO, io.StringIO]:  # fmt: skip
    out = out if out is not None else io.StringIO()
    err = err if err is not None else io.StringIO()
    return Console(out=out, err=err, quiet=quiet, json=json, reserved=reserved), out, err


def say_everything(subject: Console) -> None:
    subject.status("status")
    subject.frame("frame")
    subject.note("note")
    subject.warning("warning")
    subject.error("error", hint="hint")
    subject.result("thing", {"a": 1})


def test_status_goes_to_standard_output_and_trouble_to_standard_error() -> None:
    subject, out, err = console()
    say_everything(subject)
    assert out.getvalue() == f"status\n\n{RULE}\nframe\n{RULE}\n"
    assert err.getvalue() == "note\nWarning: warning\nError: error\nhint\n"


def test_quiet_leaves_errors_only() -> None:
    subject, out, err = console(quiet=True)
    say_everything(subject)
    assert out.getvalue() == ""
    assert err.getvalue() == "Error: error\nhint\n"


def test_with_json_standard_output_has_the_result_alone() -> None:
    subject, out, err = console(json=True)
    say_everything(subject)
    assert json.loads(out.getvalue()) == {"schema": "acmectl.thing/1", "a": 1}
    assert err.getvalue() == "Warning: warning\nError: error\nhint\n"


def test_reserved_standard_output_has_neither_status_nor_questions() -> None:
    subject, out, err = console(reserved=True)
    say_everything(subject)
    subject.lines("a question")
    subject.payload(b"PEM\n")
    assert out.getvalue() == "PEM\n"
    assert err.getvalue() == "Warning: warning\nError: error\nhint\na question\n"


def test_only_the_first_result_is_printed() -> None:
    subject, out, _ = console(json=True)
    subject.result("thing", {})
    subject.failure(ConfigError("late"))
    assert json.loads(out.getvalue())["schema"] == "acmectl.thing/1"


def test_a_failure_with_json_is_an_object_too() -> None:
    subject, out, err = console(json=True)
    subject.failure(ConfigError("It cannot be.", hint="Do this."))
    assert json.loads(out.getvalue()) == {
        "schema": "acmectl.error/1",
        "error": "ConfigError",
        "message": "It cannot be.",
        "hint": "Do this.",
        "exit_code": 1,
    }
    assert err.getvalue() == "Error: It cannot be.\nDo this.\n"


def test_a_usage_error_is_one_line() -> None:
    subject, _, err = console()
    subject.failure(UsageError("There is no option --x.", hint="Did you mean --y?"))
    assert err.getvalue() == "Error: There is no option --x. Did you mean --y?\n"


def test_failed_authorizations_are_told_one_by_one() -> None:
    failures = (
        AuthorizationFailure(
            Identifier.dns("a.example"), reason="no file\nthere", authenticator="webroot", hint="Look."
        ),
        AuthorizationFailure(Identifier.dns("b.example"), reason="b", authenticator="manual"),
    )
    subject, out, err = console()
    subject.failure(AuthorizationFailed(failures))
    assert [line.strip() for line in out.getvalue().splitlines() if line.strip()] == [
        "The CA could not confirm these identifiers (authenticator: webroot):",
        "Identifier: a.example",
        "Type:   local",
        "Detail: no file there",
        "Hint:   Look.",
        "The CA could not confirm these identifiers (authenticator: manual):",
        "Identifier: b.example",
        "Type:   local",
        "Detail: b",
    ]
    assert err.getvalue() == "Error: Some challenges have failed: a.example, b.example\n"
    subject, out, _ = console(json=True)
    subject.failure(AuthorizationFailed(failures))
    assert json.loads(out.getvalue())["failures"][0]["identifier"] == {"type": "dns", "value": "a.example"}


def test_control_characters_never_reach_the_terminal() -> None:
    subject, out, err = console()
    evil = "a\x1b[31mb\x07c\r\u202ed\x9b1m"
    subject.status(evil)
    subject.frame(evil)
    subject.lines(evil)
    subject.warning(evil)
    subject.error(evil, hint=evil)
    subject.log_line(evil, warning=True)
    for text in (out.getvalue(), err.getvalue()):
        assert not set(text) & {"\x1b", "\x07", "\r", "\u202e", "\x9b"}


def test_colour_is_for_terminals_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    subject, _, err = console(err=Terminal())
    subject.warning("x")
    assert err.getvalue() == "\033[31mWarning: x\033[0m\n"
    monkeypatch.setenv("NO_COLOR", "1")
    subject, _, err = console(err=Terminal())
    subject.warning("x")
    assert err.getvalue() == "Warning: x\n"


def test_progress_is_shown_on_a_terminal_and_gone_before_the_next_line() -> None:
    subject, _, err = console(err=Terminal())
    subject.progress("Waiting")
    assert err.getvalue() == "\r\x1b[KWaiting"
    subject.note("done")
    assert err.getvalue() == "\r\x1b[KWaiting\r\x1b[Kdone\n"
    subject, _, err = console()
    subject.progress("Waiting")
    assert err.getvalue() == ""


def test_long_lines_of_a_frame_are_wrapped_but_paths_and_urls_are_not() -> None:
    url = "https://ca.example/" + "x" * 100
    text = wrapped(f"{'word ' * 30}{url} end\n  indented {'word ' * 20}")
    assert url in text.splitlines()
    assert all(len(line) <= 79 for line in text.splitlines() if url not in line)
    assert text.splitlines()[-1].startswith("  word")


def test_a_reader_that_went_away_does_not_stop_the_program() -> None:
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as stream:
        subject = Console(out=stream, err=io.StringIO(), json=True)
        subject.lines("nobody hears this")
        subject = Console(out=stream, err=io.StringIO())
        subject.status("nor this")
        subject.payload(b"nor that")
        subject.close()


def test_a_character_that_the_terminal_cannot_show_is_written_in_ascii() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    subject = Console(out=stream, err=io.StringIO())
    subject.status("grün \udcff")
    assert raw.getvalue() == b"gr\\xfcn ?\n"


def render(*what: events.Event) -> tuple[str, str]:
    subject, out, err = console()
    for event in what:
        subject.observe(event)
    return out.getvalue(), err.getvalue()


NAMES = tuple(Identifier.dns(f"{letter}.example") for letter in "abc")


@pytest.mark.parametrize(
    ("verb", "names", "said"),
    [
        ("request", NAMES[:1], "Requesting a certificate for a.example\n"),
        ("renew", NAMES[:2], "Renewing the certificate for a.example and b.example\n"),
        ("simulate-request", NAMES, "Simulating a request for a.example and 2 more\n"),
        ("simulate-renewal", NAMES, "Simulating a renewal for a.example and 2 more\n"),
    ],
)
def test_the_action_line_says_what_and_for_whom(verb: str, names: tuple[Identifier, ...], said: str) -> None:
    assert render(events.IssuanceStarted(verb=verb, lineage="a", identifiers=names)) == (said, "")


def test_hook_output_stands_under_a_heading_per_hook_and_stream() -> None:
    out, err = render(
        events.HookOutput(hook="'pre-hook'", stream="stdout", line="one"),
        events.HookOutput(hook="'pre-hook'", stream="stdout", line="two"),
        events.HookOutput(hook="'pre-hook'", stream="stderr", line="bad"),
        events.HookEnded(hook="'pre-hook'", command="x", status=3),
        events.HookOutput(hook="'pre-hook'", stream="stdout", line="again"),
        events.HookEnded(hook="'pre-hook'", command="x", status=0),
    )
    assert out == "Hook 'pre-hook' printed:\n one\n two\nHook 'pre-hook' printed:\n again\n"
    assert err == (
        "Hook 'pre-hook' printed on standard error:\n bad\nWarning: Hook 'pre-hook' ended with status 3: x\n"
    )


def test_every_kind_of_event_can_be_said() -> None:
    out, err = render(
        events.AccountRegistered(server="s", url="u"),
        events.OrderPlaced(url="u", status="pending", resumed=True),
        events.OrderPlaced(url="u", status="pending"),
        events.AuthorizationsRead(total=2, pending=1),
        events.ChallengesPresented(authenticator="webroot", count=1),
        events.Waiting(what="the CA", seconds=9),
        events.CleanUpFailed(authenticator="webroot", reason="r"),
        events.WentLive(lineage="a", version=2),
        events.LineageHealed(lineage="a", what="links advanced"),
        events.Notice(text="n"),
        events.Notice(text="w", level="warning"),
        events.Event(),
    )
    assert out == "Account registered.\nGoing on with the order that an earlier run placed.\nn\n"
    assert err == "Warning: webroot could not clean up: r\nWarning: a: links advanced\nWarning: w\n"


def test_lines_of_several_threads_do_not_mix() -> None:
    subject, out, _ = console()
    threads = [
        threading.Thread(target=lambda text=letter * 50: [subject.status(text) for _ in range(50)])  # type: ignore[misc]
        for letter in "abcd"
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lines = out.getvalue().splitlines()
    assert len(lines) == 200
    assert {len(line) for line in lines} == {50}
    assert all(len(set(line)) == 1 for line in lines)
