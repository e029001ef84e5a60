"""Patterns of --authenticator-for."""

from __future__ import annotations

import pytest

from acmectl.config.mixing import Choice, choice_for, parse_choices, parse_pairs
from acmectl.errors import ConfigError


@pytest.mark.parametrize(
    ("pattern", "name", "fits"),
    [
        ("example.org", "example.org", True),
        ("example.org", "*.example.org", False),
        ("example.org", "www.example.org", False),
        ("*.example.org", "*.example.org", True),
        ("*.example.org", "www.example.org", True),
        ("*.example.org", "*.www.example.org", True),
        ("*.example.org", "a.b.example.org", True),
        ("*.example.org", "example.org", False),
        ("*.example.org", "wexample.org", False),
        ("192.0.2.1", "192.0.2.1", True),
    ],
)
def test_a_pattern_is_a_name_or_everything_below_one(pattern: str, name: str, fits: bool) -> None:
    assert Choice(pattern=pattern, authenticator="x").fits(name) is fits


def test_the_first_that_fits_counts_and_none_means_the_default() -> None:
    choices = parse_choices(["*.Example.org.=dns-a:work", "*.org=dns-b"], "--authenticator-for")
    first = choice_for(choices, "www.example.org")
    assert first == Choice(pattern="*.example.org", authenticator="dns-a", credentials="work")
    assert choice_for(choices, "example.org") == Choice(pattern="*.org", authenticator="dns-b")
    assert choice_for(choices, "example.net") is None
    assert parse_choices(["none"], "--authenticator-for") == ()


@pytest.mark.parametrize("text", ["", "example.org", "=dns-a", "example.org=", "a b=dns-a", "a=dns-a:", "a=DNS!"])
def test_what_is_no_choice_is_refused_by_its_origin(text: str) -> None:
    with pytest.raises(ConfigError, match=r"^/x/cli\.ini line 3: ") as caught:
        parse_choices([text], "/x/cli.ini line 3")
    assert caught.value.hint is not None


def test_pairs_are_names_and_values() -> None:
    assert parse_pairs(["a=/x=y", " b = c "], "--o", "NAME=FILE") == {"a": "/x=y", "b": "c"}
    for bad in ("a", "=b", "a="):
        with pytest.raises(ConfigError, match="is not NAME=FILE"):
            parse_pairs([bad], "--o", "NAME=FILE")
