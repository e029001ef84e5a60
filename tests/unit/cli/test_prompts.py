"""Questions, answers, and what happens when there is nobody to ask."""

from __future__ import annotations

import io
import os

import pytest

from acmectl.cli.console import Console
from acmectl.cli.prompts import Prompts
from acmectl.errors import Aborted, ConfigError, PluginError
from acmectl.identifiers import Identifier
from acmectl.interrupts import Interrupts


def prompts(typed: str = "", *, interactive: bool = True) -> tuple[Prompts, io.StringIO]:
    out = io.StringIO()
    console = Console(out=out, err=io.StringIO())
    return Prompts(console, Interrupts(), interactive=interactive, stdin=io.StringIO(typed)), out


@pytest.mark.parametrize(("typed", "index"), [("2\n", 1), (" 1 \n", 0), ("0\n4\nx\n\n3\n", 2), ("-1\n²\n1\n", 0)])
def test_a_menu_takes_one_of_its_numbers(typed: str, index: int) -> None:
    subject, out = prompts(typed)
    assert subject.choose("Which?", ["a", "b", "c"]) == index
    assert out.getvalue().startswith("Which?\n  1: a\n  2: b\n  3: c\n")


def test_enter_alone_takes_the_default() -> None:
    assert prompts("\n")[0].choose("Which?", ["a", "b"], default=1) == 1
    assert prompts("\n")[0].ask("Name?", default="x") == "x"
    assert prompts("\n")[0].yes_no("Sure?", default=True) is True
    assert prompts("\n")[0].yes_no("Sure?", default=False) is False


def test_where_nobody_is_there_the_end_of_the_input_takes_the_default() -> None:
    err = io.StringIO()
    subject = Prompts(Console(out=io.StringIO(), err=err), Interrupts(), interactive=True, stdin=io.StringIO(""))
    assert subject.yes_no("Sure?", default=True) is True
    assert subject.yes_no("Sure?", default=False) is False
    assert subject.choose("Which?", ["a", "b"], default=1) == 1
    assert err.getvalue().count("the default was taken") == 3


def test_at_a_terminal_the_end_of_the_input_is_no_answer() -> None:
    master, slave = os.openpty()
    try:
        os.write(master, b"\x04")
        with open(slave, closefd=False) as stdin:
            console = Console(out=io.StringIO(), err=io.StringIO())
            subject = Prompts(console, Interrupts(), interactive=True, stdin=stdin)
            with pytest.raises(Aborted, match="input ended"):
                subject.yes_no("Sure?", default=True)
    finally:
        os.close(master)
        os.close(slave)


@pytest.mark.parametrize("word", ["c", "C"])
def test_c_cancels_menus_lists_and_texts(word: str) -> None:
    for ask in (
        lambda p: p.choose("Which?", ["a"]),
        lambda p: p.choose_many("Which?", ["a"]),
        lambda p: p.ask("Name?"),
    ):
        with pytest.raises(Aborted, match="Cancelled"):
            ask(prompts(f"{word}\n")[0])


@pytest.mark.parametrize(
    ("typed", "found"),
    [("1,3\n", (0, 2)), ("3 1\n", (0, 2)), ("\n", (0, 1, 2)), ("2,2\n", (1,)), ("9\n1;2\n2\n", (1,))],
)
def test_a_list_takes_several_numbers_or_all(typed: str, found: tuple[int, ...]) -> None:
    assert prompts(typed)[0].choose_many("Which?", ["a", "b", "c"]) == found


def test_a_bad_text_is_asked_for_again() -> None:
    subject, out = prompts("https://x\n\nA.example\n")
    assert subject.ask("Name", check=Identifier.dns) == "A.example"
    assert "is a URL, not a domain name. Give the host name alone." in out.getvalue()


@pytest.mark.parametrize(
    ("typed", "found"), [("y\n", True), ("YES\n", True), ("n\n", False), ("no\n", False), ("x\n\nn\n", False)]
)
def test_yes_and_no_are_words_or_letters(typed: str, found: bool) -> None:
    assert prompts(typed)[0].yes_no("Sure?") is found


def test_other_words_may_stand_for_yes_and_no() -> None:
    subject, out = prompts("a\n")
    assert subject.yes_no("Deactivate?", yes="Deactivate", no="Abort") is False
    assert "(D)eactivate/(A)bort" in out.getvalue()


def test_the_end_of_input_ends_the_question_with_one_line() -> None:
    for ask in (
        lambda p: p.choose("Which?\nmore", ["a"], flag="--account"),
        lambda p: p.choose_many("Which?\nmore", ["a"], flag="--account"),
        lambda p: p.ask("Which?\nmore", default="x", flag="--account"),
        lambda p: p.yes_no("Which?\nmore", flag="--account"),
    ):
        with pytest.raises(Aborted, match=r"^The input ended before this was answered: Which\?$") as caught:
            ask(prompts()[0])
        assert caught.value.hint == "Use --account."
    with pytest.raises(Aborted):
        prompts()[0].pause("Look.")


def test_a_terminal_at_which_nobody_sits_is_not_waited_for_for_ever() -> None:
    near, far = os.openpty()
    console = Console(out=io.StringIO(), err=io.StringIO())
    with os.fdopen(near, "rb"), os.fdopen(far) as stdin:
        subject = Prompts(console, Interrupts(), interactive=True, stdin=stdin, patience=0.0)
        with pytest.raises(Aborted, match=r"^Nobody answered: Which\?$") as caught:
            subject.yes_no("Which?", default=True, flag="--expand")
    assert caught.value.hint == "Use --expand."


def test_nobody_is_asked_when_nobody_is_there() -> None:
    subject, out = prompts("y\n", interactive=False)
    assert subject.choose("Which?", ["a", "b"], default=1) == 1
    assert subject.ask("Name?", default="") == ""
    assert subject.yes_no("Sure?", default=False) is False
    for ask in (
        lambda p: p.choose("Which?\nmore", ["a"], flag="--account"),
        lambda p: p.choose_many("Which?\nmore", ["a"], flag="--account"),
        lambda p: p.ask("Which?\nmore", flag="--account"),
        lambda p: p.yes_no("Which?\nmore", flag="--account"),
    ):
        with pytest.raises(ConfigError, match=r"an answer is needed: Which\?$") as caught:
            ask(subject)
        assert caught.value.hint == "Use --account."
    with pytest.raises(PluginError):
        subject.pause("Look.")
    assert out.getvalue() == ""


def test_lines_for_copying_are_never_wrapped() -> None:
    subject, out = prompts("\n")
    url = "http://a.example/" + "x" * 200
    subject.say(url)
    subject.pause("Press Enter")
    assert out.getvalue() == f"{url}\nPress Enter\n"


def test_control_characters_of_a_question_are_taken_out() -> None:
    subject, out = prompts("1\n")
    subject.choose("Which \x1b[2J?", ["a\x07"])
    assert "\x1b" not in out.getvalue()
    assert "\x07" not in out.getvalue()
