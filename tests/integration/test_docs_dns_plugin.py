"""The DNS provider that docs/plugins.md shows, installed as its own distribution; and plugins that cannot be used."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.cli import Acmectl
from tests.integration.servers.dns_lab import API_KEY, POWERDNS, DnsLab
from tests.integration.test_secrets import said

DOCS = Path(__file__).parents[2] / "docs" / "plugins.md"
URL = f"http://{POWERDNS}:8081"
ZONE = "acme-delegate.test"


@pytest.fixture(scope="module")
def distribution(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of the document: blocks whose first line is a comment with a path."""
    folder = tmp_path_factory.mktemp("acme-pdns")
    text = DOCS.read_text(encoding="utf-8")
    blocks = re.findall(r"```\w+\n# (\S+\.\w+)\n(.*?)```", text[text.index("# Writing a DNS provider") :], flags=re.S)
    assert [path for path, _ in blocks] == ["src/acme_pdns.py", "pyproject.toml", "tests/test_acme_pdns.py"]
    for path, content in blocks:
        (folder / path).parent.mkdir(exist_ok=True)
        (folder / path).write_text(content)
    return folder


@pytest.fixture(scope="module")
def site(distribution: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for Python's path in which pip has installed it."""
    target = tmp_path_factory.mktemp("site")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    # No isolation and no dependencies: what it needs is here, and nothing is fetched.
    options = ["--no-index", "--no-deps", "--no-build-isolation", "--target", str(target)]
    done = subprocess.run([*pip, *options, str(distribution)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return target


@pytest.fixture
def acmectl(dns_lab, dns_pebble, tmp_path) -> Iterator[Acmectl]:
    with dns_lab.acmectl(dns_pebble, tmp_path) as program:
        yield program


def credentials(folder: Path, key: str = API_KEY) -> Path:
    path = folder / "pdns.ini"
    path.write_text(f"dns_pdns_url = {URL}\ndns_pdns_key = {key}\n")
    path.chmod(0o600)
    return path


def test_the_documented_provider_obtains_and_renews(
    acmectl: Acmectl, dns_lab: DnsLab, site: Path, tmp_path: Path
) -> None:
    environment = {"PYTHONPATH": str(site)}
    names = ("-d", f"docs.{ZONE}", "-d", f"*.docs.{ZONE}")
    options = ("-a", "dns-pdns", "--dns-pdns-credentials", str(credentials(tmp_path)))
    acmectl.run("certonly", "-n", "--agree-tos", *options, *names, env=environment).ok()
    assert acmectl.names(f"docs.{ZONE}") == [f"*.docs.{ZONE}", f"docs.{ZONE}"]
    assert dns_lab.txt(f"_acme-challenge.docs.{ZONE}", POWERDNS) == set()
    acmectl.run("renew", "--force-renewal", env=environment).ok()
    assert acmectl.version(f"docs.{ZONE}") == 2

    gone = acmectl.run("renew", "--force-renewal").failed()
    assert "There is no authenticator called 'dns-pdns'." in gone.err


def test_its_wrong_key_is_one_clear_line(acmectl: Acmectl, site: Path, tmp_path: Path) -> None:
    canary = "canary-key-0123456789"
    options = ("-a", "dns-pdns", "--dns-pdns-credentials", str(credentials(tmp_path, canary)), "-vvv")
    flags = ("certonly", "-n", "--agree-tos", *options, "-d", f"wrong.{ZONE}")
    done = acmectl.run(*flags, env={"PYTHONPATH": str(site)}).failed()
    assert f"{URL} does not accept the key." in done.err
    assert canary not in said(acmectl, done)


def test_it_is_listed_with_its_credentials(acmectl: Acmectl, site: Path) -> None:
    done = acmectl.run("plugins", "dns-pdns", server=False, env={"PYTHONPATH": str(site)}).ok()
    for text in ("acme-pdns 1.0", "acme_pdns:PowerDns", "dns_pdns_url", "--dns-pdns-credentials"):
        assert text in done.out


def test_it_passes_the_documented_tests(dns_lab: DnsLab, distribution: Path, site: Path) -> None:
    facts = {"PDNS_URL": URL, "PDNS_KEY": API_KEY, "PDNS_ZONE": ZONE, "PDNS_ADDRESS": POWERDNS}
    words = [f"{name}={value}" for name, value in {**facts, "PYTHONPATH": str(site)}.items()]
    pytest_words = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(distribution / "tests"))
    done = dns_lab.run("env", *words, *pytest_words)
    assert done.returncode == 0, done.stdout
    assert re.search(r"\b1[0-9] passed", done.stdout), done.stdout


def install(site: Path, name: str, entry_point: str, **modules: str) -> None:
    """A distribution with one DNS provider, as an installer leaves it."""
    info = site / f"{name.replace('-', '_')}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[acmectl.dns_providers.v1]\n{entry_point}\n")
    for module, text in modules.items():
        (site / f"{module}.py").write_text(text)


SOUND = """\
from acmectl.plugin.dns import DnsProvider
class Sound(DnsProvider):
    summary = "sound"
    def add(self, record): pass
    def remove(self, record): pass
"""


@pytest.mark.parametrize(
    ("distributions", "chosen", "said_of_it"),
    [
        ({"acme-broken": ("broken = acme_broken:X", "1/0")}, "dns-broken", "ZeroDivisionError"),
        ({"acme-absent": ("absent = acme_absent_module:X", "")}, "dns-absent", "acme_absent_module is not there"),
        (
            {"acme-one": ("same = acme_one:Sound", SOUND), "acme-two": ("same = acme_two:Sound", SOUND)},
            "dns-same",
            "Authenticator dns-same is claimed by acme-one 1.0 and acme-two 1.0.",
        ),
        ({"acme-ours": ("rfc2136 = acme_ours:Sound", SOUND)}, "dns-rfc2136", "Authenticator dns-rfc2136 is claimed by"),
        (
            {"acme-sdk": ("sdk = acme_sdk:X [vendor]", "import vendor_sdk_that_nobody_has")},
            "dns-sdk",
            "the Python package vendor_sdk_that_nobody_has is missing",
        ),
        ({"acme-half": ("half = acme_half:Sound", SOUND.replace("remove", "x"))}, "dns-half", "does not define remove"),
        ({"acme-number": ("number = acme_number:N", "N = 3")}, "dns-number", "is not derived from"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)  # fmt: skip
def test_a_plugin_that_cannot_be_used_is_one_clear_line_and_disturbs_nobody(
    tmp_path: Path, distributions: dict[str, tuple[str, str]], chosen: str, said_of_it: str
) -> None:
    site = tmp_path / "site"
    for name, (entry_point, text) in distributions.items():
        install(site, name, entry_point, **{name.replace("-", "_"): text})
    environment = {"PYTHONPATH": str(site)}
    with Acmectl(None, tmp_path) as acmectl:
        done = acmectl.run("certonly", "-n", "-a", chosen, "-d", "a.example", server=False, env=environment).failed()
        assert said_of_it in done.err
        assert "Traceback" not in done.err + done.out
        listed = acmectl.run("plugins", "--json", server=False, env=environment).ok()
        problems = [one for one in json.loads(listed.out)["plugins"] if one.get("problem")]
        assert {one["name"] for one in problems} == {chosen}
        assert said_of_it in problems[0]["problem"]
        other = acmectl.run("certonly", "-n", "-a", "webroot", "-d", "a.example", server=False, env=environment)
        assert said_of_it not in other.err


def test_the_missing_extra_is_answered_with_the_command(tmp_path: Path) -> None:
    install(tmp_path / "site", "acme-sdk", "sdk = acme_sdk:X [vendor]", acme_sdk="import vendor_sdk_that_nobody_has")
    with Acmectl(None, tmp_path) as acmectl:
        flags = ("certonly", "-n", "-a", "dns-sdk", "-d", "a.example")
        done = acmectl.run(*flags, server=False, env={"PYTHONPATH": str(tmp_path / "site")}).failed()
    assert "pip install 'acme-sdk[vendor]'" in done.err
