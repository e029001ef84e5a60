"""Help: short enough to read, complete where it should be, and cheap."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from acmectl.cli import group, main
from acmectl.cli import help as pages
from acmectl.config.options import table

CHECKOUT = Path(__file__).resolve().parents[3]
# Loaded by a bare interpreter or by acmectl's own code for help; anything else costs start-up time.
HEAVY = ("click", "re", "enum", "typing", "dataclasses", "json", "logging", "cryptography", "requests", "argparse",
         "importlib.metadata", "difflib", "textwrap", "inspect", "pathlib")  # fmt: skip


def test_the_short_page_fits_on_a_screen() -> None:
    text = pages.page([], table()) or ""
    assert len(text.splitlines()) <= 40
    assert max(map(len, text.splitlines())) <= 79
    everything = pages.page(["commands"], table()) or ""
    for name, verb in group.VERBS.items():
        assert (f"  {name} " in text) is not verb.rare
        assert f"  {name} " in everything


def test_no_page_is_wider_than_a_terminal() -> None:
    options = table()
    for topic in pages.topics(options):
        for line in (pages.page([topic], options) or "").splitlines():
            assert len(line) <= 79, (topic, line)


@pytest.mark.parametrize(
    "topic",
    ["all", "automation", "commands", "command", "subcommand", "subcommands", "verbs", "paths", "security", "testing",
     "manage", *group.words(), "webroot", "standalone", "manual", "dns-cloudflare", "dns-route53"],
)  # fmt: skip
def test_every_topic_of_certbots_has_a_page(topic: str, capsys: pytest.CaptureFixture[str]) -> None:
    shown = []
    for argv in (["--help", topic], ["help", topic], ["-h", topic], ["-n", "--help", topic]):
        assert main(argv) == 0
        shown.append(capsys.readouterr().out)
    assert len(shown[0]) > 40
    assert len(set(shown)) == 1


def test_all_shows_every_option_that_is_not_hidden() -> None:
    text = pages.page(["all"], table()) or ""
    for row in table().rows:
        assert (pages.spelled(row) in text) is not row.hidden, row


def test_a_command_shows_what_it_uses_and_nothing_else() -> None:
    text = pages.page(["revoke"], table()) or ""
    assert "--reason" in text
    assert "--config-dir" in text
    assert "--webroot-path" not in text
    assert "--email" not in text
    renew = pages.page(["renew"], table()) or ""
    assert "--jobs" in renew
    assert "--domains" not in renew


def test_the_word_behind_help_is_the_topic(capsys: pytest.CaptureFixture[str]) -> None:
    main(["certonly", "--help", "webroot"])
    assert capsys.readouterr().out == pages.page(["webroot"], table())
    main(["--dry-run", "renew", "-h"])
    assert capsys.readouterr().out == pages.page(["renew"], table())


def test_help_is_given_even_if_the_rest_is_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["certonly", "--nope", "--help"]) == 0
    assert capsys.readouterr().out == pages.page(["certonly"], table())


def test_an_unknown_topic_is_answered_with_the_nearest_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help", "wbroot"]) == 2
    assert capsys.readouterr().err == "Error: There is no help on 'wbroot'. Did you mean webroot?\n"


@pytest.mark.parametrize(
    "argv", [["--version"], ["--help"], ["--help", "all"], ["help", "certonly"], ["-h", "webroot"]]
)
def test_version_and_help_load_nothing_that_they_do_not_need(argv: list[str]) -> None:
    code = (
        "import sys; before = set(sys.modules); from acmectl.cli import main; main(sys.argv[1:]);"
        f"print('loaded', sorted((set(sys.modules) - before) & set({HEAVY!r})))"
    )
    # -S: what the site's own start-up files load is not ours.
    out = subprocess.run(
        [sys.executable, "-S", "-c", code, *argv], cwd=CHECKOUT, capture_output=True, text=True, check=True
    ).stdout
    assert out.splitlines()[-1] == "loaded []"
