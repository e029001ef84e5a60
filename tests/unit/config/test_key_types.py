"""One word or two for the keys of a certificate."""

from __future__ import annotations

from pathlib import Path

import pytest

from acmectl.config.key_types import SECOND, STORED, with_stored_second
from acmectl.config.settings import Source
from acmectl.errors import ConfigError, RenewalFileInvalid, UsageError
from acmectl.storage.lineage import SECOND_KEY
from tests.unit.cli.lines import at_home, settings


@pytest.fixture(autouse=True)
def etc(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    return at_home(monkeypatch, tmp_path)


@pytest.mark.parametrize(
    ("given", "first", "second", "size", "curve"),
    [
        ("rsa", "rsa", None, 2048, "secp256r1"),
        ("rsa,ecdsa", "rsa", "ecdsa", 2048, "secp256r1"),
        ("ecdsa,rsa", "ecdsa", "rsa", 2048, "secp256r1"),
        ("ec384,rsa4096", "ecdsa", "rsa", 4096, "secp384r1"),
        ("rsa, ec384", "rsa", "ecdsa", 2048, "secp384r1"),
    ],
)
def test_the_second_of_two_types_and_their_sizes(
    given: str, first: str, second: str | None, size: int, curve: str
) -> None:
    found = settings("--key-type", given)
    assert (found.text("key_type"), found.text(SECOND)) == (first, second)
    assert (found.integer("rsa_key_size"), found.text("elliptic_curve")) == (size, curve)
    assert found.is_set(SECOND), "no second is as much of a wish as a second"


def test_without_any_there_is_one_key_and_nobody_asked_for_it() -> None:
    assert settings().text(SECOND) is None
    assert not settings().is_set(SECOND)


def test_a_file_may_say_two(etc: Path) -> None:
    (etc / "cli.ini").write_text("key-type = rsa2048,ec384\nelliptic-curve = secp384r1\n")
    found = settings()
    assert (found.text(SECOND), found.text("elliptic_curve"), found.source(SECOND)) == (
        "ecdsa",
        "secp384r1",
        Source.FILE,
    )


@pytest.mark.parametrize("given", ["rsa,rsa", "rsa,rsa4096", "ec256,ecdsa", "rsa,ecdsa,ec384", "rsa,", ",", "rsa,dsa"])
def test_what_is_not_one_key_of_each_type_is_refused(given: str) -> None:
    if given == "rsa,":
        assert settings("--key-type", given).text(SECOND) is None
        return
    with pytest.raises(UsageError, match="--key-type"):
        settings("--key-type", given)


def test_a_size_that_contradicts_is_refused_for_the_second_too() -> None:
    with pytest.raises(ConfigError, match="--key-type says rsa4096, but --rsa-key-size says 2048"):
        settings("--key-type", "ecdsa,rsa4096", "--rsa-key-size", "2048")


def test_what_a_renewal_file_says_holds_unless_a_type_is_given() -> None:
    own = {STORED: "ecdsa"}
    restored = settings().with_renewal({"key_type": "rsa"}, "x.conf")
    found = with_stored_second(restored, own, "x.conf")
    assert (found.text("key_type"), found.text(SECOND)) == ("rsa", "ecdsa")
    assert not found.is_set(SECOND)
    given = settings("--key-type", "rsa").with_renewal({"key_type": "rsa"}, "x.conf")
    assert with_stored_second(given, own, "x.conf").text(SECOND) is None


def test_a_first_key_that_was_made_of_the_type_of_the_second_goes_back() -> None:
    restored = settings().with_renewal({"key_type": "ecdsa"}, "x.conf")
    found = with_stored_second(restored, {STORED: "ecdsa"}, "x.conf")
    assert (found.text("key_type"), found.text(SECOND)) == ("rsa", "ecdsa")


@pytest.mark.parametrize("value", ["ec384", "", 7, ["rsa"]])
def test_another_word_in_a_renewal_file_is_refused(value: object) -> None:
    with pytest.raises(RenewalFileInvalid, match=r"x\.conf: second_key is"):
        with_stored_second(settings(), {STORED: value}, "x.conf")


def test_both_rooms_mean_the_same_key() -> None:
    assert STORED == SECOND_KEY
