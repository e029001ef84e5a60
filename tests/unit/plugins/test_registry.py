import subprocess
import sys
import textwrap

import pytest

from acmectl.errors import PluginError
from acmectl.plugin import registry

GOOD = """
from acmectl.plugin.api import Authenticator
class Good(Authenticator):
    summary = "good"
    challenge_types = ("dns-01",)
    def present(self, tasks): pass
    def clean_up(self, tasks): pass
class Half(Authenticator):
    summary = "half"
    challenge_types = ("dns-01",)
    def present(self, tasks): pass
class Mute(Good):
    summary = ""
class Misnamed(Good):
    name = "other"
NOT_ONE = 3
"""


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Put a distribution with entry points on the path, as an installer would."""
    monkeypatch.syspath_prepend(str(tmp_path))
    registry.forget()

    def put(distribution, entries, **modules):
        info = tmp_path / f"{distribution.replace('-', '_')}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
        lines = "\n".join(f"{name} = {value}" for name, value in entries.items())
        (info / "entry_points.txt").write_text(f"[{registry.GROUP}]\n{lines}\n")
        for name, text in modules.items():
            (tmp_path / f"{name}.py").write_text(text)
        registry.forget()

    yield put
    registry.forget()
    for name in [name for name in sys.modules if name.startswith("regtest_")]:
        del sys.modules[name]


def refusal(name):
    with pytest.raises(PluginError) as caught:
        registry.load(name)
    assert caught.value.message.isprintable()
    assert caught.value.hint
    return caught.value


def test_names_are_told_without_importing_the_plugins(install):
    install("acme-good", {"dns-good": "regtest_good:Good"}, regtest_good=GOOD)
    assert "dns-good" in registry.names()
    assert "regtest_good" not in sys.modules


def test_a_plugin_is_loaded_by_its_name_and_knows_it(install):
    install("acme-good", {"dns-good": "regtest_good:Good"}, regtest_good=GOOD)
    loaded = registry.load("dns-good")
    assert loaded.__name__ == "Good"
    assert loaded.name == "dns-good"


def test_an_unknown_name_is_refused_with_those_that_there_are(install):
    install("acme-good", {"dns-good": "regtest_good:Good"}, regtest_good=GOOD)
    error = refusal("dns-gold\x1b")
    assert "dns-gold?" in error.message
    assert "dns-good" in error.hint


def test_two_distributions_that_claim_a_name_are_both_named(install):
    install("acme-one", {"dns-same": "regtest_good:Good"}, regtest_good=GOOD)
    install("acme-two", {"dns-same": "regtest_good:Good"})
    error = refusal("dns-same")
    assert "acme-one 1.0" in error.message
    assert "acme-two 1.0" in error.message


def test_a_third_party_cannot_quietly_take_the_place_of_another(install):
    install("acme-one", {"webroot": "regtest_good:Good"}, regtest_good=GOOD)
    install("acme-two", {"webroot": "regtest_good:Good"})
    assert "is claimed by" in refusal("webroot").message


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("regtest_absent:X", "its module regtest_absent is not there"),
        ("regtest_good:Absent", "AttributeError"),
        ("regtest_good:NOT_ONE", "not derived from"),
        ("regtest_good:Half", "does not define clean_up"),
        ("regtest_good:Mute", "does not say its summary"),
        ("regtest_good:Misnamed", "calls itself other"),
        ("regtest_boom:X", "ZeroDivisionError"),
        ("regtest_exit:X", "SystemExit"),
        ("regtest_syntax:X", "SyntaxError"),
    ],
)
def test_a_plugin_that_cannot_be_used_is_named_with_the_reason(install, target, message):
    install(
        "acme-bad",
        {"dns-bad": target},
        regtest_good=GOOD,
        regtest_boom="1/0",
        regtest_exit="raise SystemExit(3)",
        regtest_syntax="def",
    )
    error = refusal("dns-bad")
    assert message in error.message
    assert "acme-bad 1.0" in error.message


def test_a_missing_extra_is_answered_with_the_command_that_installs_it(install):
    install("acme-dns", {"dns-sdk": "regtest_sdk:X [sdk]"}, regtest_sdk="import regtest_vendor_sdk.client")
    error = refusal("dns-sdk")
    assert "the Python package regtest_vendor_sdk is missing" in error.message
    assert error.hint == f"Install it: {sys.executable} -m pip install 'acme-dns[sdk]'"


@pytest.mark.parametrize(
    ("prefix", "command"),
    [
        ("/home/a/.local/share/pipx/venvs/acmectl", "pipx install --force 'acmectl[route53]'"),
        ("/home/a/.local/share/uv/tools/acmectl", "uv tool install --force 'acmectl[route53]'"),
        ("/opt/venv", f"{sys.executable} -m pip install 'acmectl[route53]'"),
    ],
)
def test_the_command_fits_the_installation(monkeypatch, prefix, command):
    monkeypatch.setattr(sys, "prefix", prefix)
    assert registry.install_command("route53") == command


def test_a_listing_shows_the_broken_beside_the_sound(install):
    install(
        "acme-mixed",
        {"dns-good": "regtest_good:Good", "dns-bad": "regtest_boom:X"},
        regtest_good=GOOD,
        regtest_boom="1/0",
    )
    listed = {one.name: one for one in registry.listings() if one.distribution == "acme-mixed"}
    assert listed["dns-good"].summary == "good"
    assert listed["dns-good"].challenge_types == ("dns-01",)
    assert listed["dns-good"].problem is None
    assert listed["dns-good"].entry_point == "regtest_good:Good"
    assert "ZeroDivisionError" in listed["dns-bad"].problem


def test_a_name_that_could_not_be_a_flag_is_refused(install):
    install("acme-odd", {"Dns_Odd": "regtest_good:Good"}, regtest_good=GOOD)
    assert "Dns_Odd" not in registry.names()
    assert "not a valid name" in refusal("Dns_Odd").message


def test_without_an_installed_acmectl_a_built_in_name_says_so():
    script = """
        from acmectl.plugin import installed, registry
        installed.entry_points = lambda *groups: ()
        try:
            registry.load("webroot")
        except registry.PluginError as error:
            print(error.message)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True)
    assert "not installed as a package" in done.stdout


def test_the_registry_itself_reads_no_metadata():
    script = "import sys, acmectl.plugin.registry as r; r.BUILT_IN; print('acmectl.plugin.installed' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
