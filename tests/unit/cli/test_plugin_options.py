"""Options of installed plugins: known when the plugin is named, and only then is it imported."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from acmectl.errors import ConfigError, PluginError, UsageError
from acmectl.plugin import registry
from tests.unit.cli.lines import at_home, settings

if TYPE_CHECKING:
    from pathlib import Path

PLUGIN = """
from acmectl.plugin.api import Authenticator, Option, OptionKind

class Lamp(Authenticator):
    summary = "Blinks."
    challenge_types = ("dns-01",)
    options = (
        Option(name="credentials", help="file with credentials", kind=OptionKind.PATH),
        Option(name="propagation-seconds", help="how long", kind=OptionKind.INTEGER, default=7),
        Option(name="api-token", help="token", secret=True, env="LAMP_TOKEN"),
        Option(name="bright", help="bright", kind=OptionKind.FLAG, default=False),
        Option(name="colour", help="colours", kind=OptionKind.LIST),
    )
    def present(self, tasks): ...
    def clean_up(self, tasks): ...
"""


@pytest.fixture(autouse=True)
def etc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installed distribution with a good plugin and a broken one."""
    info = tmp_path / "site/lamp-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: lamp\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[acmectl.authenticators.v1]\ndns-lamp = lamp_plugin:Lamp\ndns-broken = lamp_missing:Lamp\n"
    )
    (tmp_path / "site/lamp_plugin.py").write_text(PLUGIN)
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    registry._entry_points.cache_clear()
    monkeypatch.delitem(sys.modules, "lamp_plugin", raising=False)
    return at_home(monkeypatch, tmp_path)


def test_a_plugins_options_are_known_when_it_is_chosen(etc: Path) -> None:
    found = settings("-a", "dns-lamp", "--dns-lamp-credentials", "x.ini", "--dns-lamp-propagation-seconds", "3",
                     "--dns-lamp-colour", "red", "--dns-lamp-colour", "blue", "--dns-lamp-bright")  # fmt: skip
    assert found.plugin_values("dns-lamp") == {
        "credentials": str(etc.parent / "x.ini"),
        "propagation_seconds": 3,
        "api_token": None,
        "bright": True,
        "colour": ("red", "blue"),
    }
    assert found.stored()["dns_lamp_propagation_seconds"] == 3


def test_its_name_is_a_flag_that_chooses_it() -> None:
    found = settings("--dns-lamp")
    assert found.text("authenticator") == "dns-lamp"
    assert found.integer("dns_lamp_propagation_seconds") == 7
    with pytest.raises(ConfigError, match="Two authenticators"):
        settings("--dns-lamp", "--webroot")


def test_its_options_come_from_files_and_the_environment_too(etc: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (etc / "cli.ini").write_text("dns-lamp-propagation-seconds = 4\nauthenticator = dns-lamp\n")
    monkeypatch.setenv("LAMP_TOKEN", "abc")
    found = settings()
    assert found.integer("dns_lamp_propagation_seconds") == 4
    assert found.text("dns_lamp_api_token") == "abc"
    monkeypatch.setenv("ACMECTL_DNS_LAMP_API_TOKEN", "def")
    assert settings().text("dns_lamp_api_token") == "def"
    monkeypatch.delenv("LAMP_TOKEN")
    (etc / "cli.ini").unlink()
    monkeypatch.setenv("ACMECTL_AUTHENTICATOR", "dns-lamp")
    assert settings().text("dns_lamp_api_token") == "def"


def test_a_secret_is_never_stored() -> None:
    assert "dns_lamp_api_token" not in settings("--dns-lamp-api-token", "abc").stored()


def test_its_options_may_be_abbreviated_and_checked() -> None:
    assert settings("--dns-lamp-prop", "2").integer("dns_lamp_propagation_seconds") == 2
    with pytest.raises(UsageError, match="--dns-lamp-propagation-seconds: 'x' is not a whole number"):
        settings("--dns-lamp-propagation-seconds", "x")


def test_a_plugin_that_is_not_named_is_not_imported() -> None:
    settings("--webroot", "-w", "/srv", "-d", "a.example")
    assert "lamp_plugin" not in sys.modules
    settings("--dns-lamp")
    assert "lamp_plugin" in sys.modules


def test_a_broken_plugin_matters_only_when_it_is_named() -> None:
    settings("--dns-lamp")
    with pytest.raises(PluginError, match="dns-broken"):
        settings("--dns-broken-credentials", "x")


def test_an_option_that_no_plugin_has_is_unknown() -> None:
    with pytest.raises(UsageError, match="There is no option --dns-lamp-brigth"):
        settings("--dns-lamp-brigth")
