"""--pem-out, --pkcs12-out and what belongs to them, from words to values and back."""

from __future__ import annotations

from pathlib import Path

import pytest

from acmectl.actions.outputs import KEY_ACCESS, PEM, PKCS12, Outputs, missing, second_path
from acmectl.cli.outputs import outputs_of, stored_outputs, with_outputs
from acmectl.config.settings import Settings
from acmectl.errors import UsageError
from acmectl.storage.renewal_conf import RenewalConf
from tests.unit.cli.lines import at_home, settings


@pytest.fixture(autouse=True)
def _home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    at_home(monkeypatch, tmp_path)


def given(*words: str) -> Settings:
    return settings("certonly", "-d", "a.example", *words)


def outputs(*words: str) -> Outputs:
    found = outputs_of(given(*words))
    assert found is not None
    return found


def test_nothing_given_is_nothing() -> None:
    assert outputs_of(given()) is None


def test_paths_become_absolute_and_homes_are_found(tmp_path: Path) -> None:
    found = outputs("--pem-out", "x/../site.pem", "--pkcs12-out", "~/site.p12", "--pkcs12-password", "file:pw")
    assert found.paths == {PEM: tmp_path / "site.pem", PKCS12: tmp_path / "site.p12"}
    assert found.password == f"file:{tmp_path}/pw"
    assert (found.mode, found.given, found.steps) == (None, True, (PEM, PKCS12))
    assert found.environment == {"ACMECTL_PEM": f"{tmp_path}/site.pem", "ACMECTL_PKCS12": f"{tmp_path}/site.p12"}


def test_what_is_stored_comes_back_the_same(tmp_path: Path) -> None:
    first = outputs("--pem-out", "a.pem", "--owner", "www", "--group", "12", "--mode", "640")
    own = with_outputs({"hook_timeout": 5, "pkcs12_out": "/gone"}, first)
    assert own == {
        "hook_timeout": 5,
        "pem_out": f"{tmp_path}/a.pem",
        "owner": "www",
        "group": "12",
        "mode": "0640",
    }
    again = stored_outputs(given(), RenewalConf(own=own), "conf")
    assert again is not None
    assert again.own == first.own
    assert not again.given


def test_nothing_takes_away_what_is_stored(tmp_path: Path) -> None:
    conf = RenewalConf(own={"pem_out": "/a.pem", "mode": "0640"})
    found = stored_outputs(given("--pem-out", ""), conf, "conf")
    assert found is not None
    assert (found.paths, found.mode, found.steps) == ({}, 0o640, (KEY_ACCESS,))
    assert with_outputs(conf.own, found) == {"mode": "0640"}


@pytest.mark.parametrize(
    "text", ["8", "9", "64", "0o640", "-640", "1777", "6400", "u+r", "666", "0602", "040", "\u0664\u0660\u0660"]
)
def test_modes_that_are_none_or_open_a_key_to_everybody(text: str) -> None:
    with pytest.raises(UsageError, match="--mode: "):
        outputs("--pem-out", "a", f"--mode={text}")


def test_modes_as_people_write_them() -> None:
    assert [outputs("--mode", text).mode for text in ("600", "0640", "0444")] == [0o600, 0o640, 0o444]


@pytest.mark.parametrize("text", ["canary", "file:", "env: ", "pass:canary", "FILE:x"])
def test_a_password_itself_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(UsageError, match="a password itself is not taken") as caught:
        outputs("--pkcs12-out", "a", "--pkcs12-password", text)
    assert "canary" not in f"{caught.value} {caught.value.hint}"


@pytest.mark.parametrize("text", ["-", "folder/", "a\nb"])
def test_paths_that_are_none(text: str) -> None:
    with pytest.raises(UsageError, match="--pem-out: "):
        outputs("--pem-out", text)


def test_none_of_them_can_be_set_for_all_certificates_at_once(tmp_path: Path) -> None:
    for line in ("pem-out = /a", "owner = www", "pkcs12-password = env:X"):
        (tmp_path / "cli.ini").write_text(line + "\n")
        with pytest.raises(UsageError, match="cannot be set in a file"):
            settings("certonly", "-c", str(tmp_path / "cli.ini"))


def test_the_second_certificate_lies_beside_the_first() -> None:
    assert second_path(Path("/x/site.pem"), "rsa") == Path("/x/site-rsa.pem")
    assert second_path(Path("/x/site"), "ecdsa") == Path("/x/site-ecdsa")


def test_only_files_that_are_gone_are_missing(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("")
    own = {"pem_out": str(tmp_path / "a"), "pkcs12_out": str(tmp_path / "b"), "mode": "0640"}
    assert missing(own) == (PKCS12,)
    assert missing({"pem_out": 5}) == ()
