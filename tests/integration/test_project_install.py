"""What a newcomer does: install as README says, look, and get a first certificate in three commands."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.integration.servers.pebble import Pebble
from tests.integration.servers.static import static_server

CHECKOUT = Path(__file__).resolve().parents[2]
README = (CHECKOUT / "README.md").read_text()
POINTS = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]["entry-points"]
AUTHENTICATORS = set(POINTS["acmectl.authenticators.v1"])
MODULES = {value.partition(":")[0].partition(".")[2] for group in POINTS.values() for value in group.values()}

# Taken before the fixtures clean it: fetching packages needs the proxies and the trust of this machine.
ENVIRON = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}

LIST_AUTHENTICATORS = """
from importlib.metadata import entry_points
for point in entry_points(group="acmectl.authenticators.v1"):
    print(point.name, point.load().__name__)
"""


def section(title: str) -> str:
    """The text of README below ``## title``."""
    return README.split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0]


def command_lines(text: str, prompt: str) -> list[str]:
    """What stands after ``prompt`` in the code blocks of ``text``."""
    blocks = re.findall(r"```console\n(.*?)```", text, re.DOTALL)
    return [line.removeprefix(prompt) for block in blocks for line in block.splitlines() if line.startswith(prompt)]


def run(command: list[str], environ: Mapping[str, str], folder: Path) -> str:
    """Run ``command`` in ``folder``; give its standard output."""
    result = subprocess.run(
        command,
        cwd=folder,
        env=dict(environ),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert result.returncode == 0, f"{shlex.join(command)}\n{result.stdout}\n{result.stderr}"
    return result.stdout


def with_program(name: str, folder: Path) -> dict[str, str]:
    """The environment of a user who has the program ``name`` from PyPI, and nothing else of ours."""
    run([sys.executable, "-m", "venv", str(folder / name)], ENVIRON, folder)
    run([str(folder / name / "bin" / "python"), "-m", "pip", "install", "-q", name], ENVIRON, folder)
    return {**ENVIRON, "PATH": f"{folder / name / 'bin'}:{ENVIRON['PATH']}"}


@pytest.fixture(scope="module")
def installer(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of a user who has pipx."""
    folder = tmp_path_factory.mktemp("installer")
    return {
        **with_program("pipx", folder),
        "PIPX_HOME": str(folder / "home"),
        "PIPX_BIN_DIR": str(folder / "bin"),
        "PIPX_MAN_DIR": str(folder / "man"),
        "PIPX_DEFAULT_PYTHON": sys._base_executable,
        "PIPX_DEFAULT_BACKEND": "pip",
    }


@pytest.fixture(scope="module")
def installed(installer: dict[str, str]) -> Path:
    """The folder with the ``acmectl`` that README's install line has made."""
    lines = command_lines(section("Install"), "$ ")
    assert len(lines) == 1, "one line installs it"
    run(shlex.split(lines[0]), installer, CHECKOUT)
    return Path(installer["PIPX_BIN_DIR"])


def test_the_install_line_gives_a_program_that_tells_its_version(installed: Path, tmp_path: Path) -> None:
    version = re.search(r'__version__ = "(.*)"', (CHECKOUT / "acmectl" / "__init__.py").read_text())
    assert version is not None
    environ = {"PATH": os.defpath, "HOME": str(tmp_path)}
    assert version[1] in run([str(installed / "acmectl"), "--version"], environ, tmp_path)


def test_the_installed_package_runs_as_a_module_and_names_its_authenticators(
    installed: Path, installer: dict[str, str], tmp_path: Path
) -> None:
    python = str(Path(installer["PIPX_HOME"]) / "venvs" / "acmectl" / "bin" / "python")
    environ = {"PATH": os.defpath, "HOME": str(tmp_path)}
    by_script = run([str(installed / "acmectl"), "--version"], environ, tmp_path)
    assert run([python, "-m", "acmectl", "--version"], environ, tmp_path) == by_script

    rows = run([python, "-c", LIST_AUTHENTICATORS], environ, tmp_path).splitlines()
    assert {row.split()[0] for row in rows} == AUTHENTICATORS

    where = "import acmectl, acmectl_plugins; print(acmectl.__file__, acmectl_plugins.__file__)"
    assert str(CHECKOUT) not in run([python, "-c", where], environ, tmp_path)


def test_the_other_install_line_works_too(tmp_path: Path) -> None:
    found = re.search(r"`(uv tool install [^`]*)`", section("Install"))
    assert found is not None
    environ = {
        **with_program("uv", tmp_path),
        "UV_TOOL_DIR": str(tmp_path / "tools"),
        "UV_TOOL_BIN_DIR": str(tmp_path / "bin"),
        "UV_PYTHON": sys._base_executable,
        "UV_SYSTEM_CERTS": "true",  # as pip does: a company's own root is trusted where the system trusts it
    }
    run(shlex.split(found[1]), environ, CHECKOUT)
    program = str(tmp_path / "bin" / "acmectl")
    assert "acmectl" in run([program, "--version"], {"PATH": os.defpath, "HOME": str(tmp_path)}, tmp_path)


def test_three_commands_lead_to_a_certificate(installed: Path, pebble: Pebble, tmp_path: Path) -> None:
    lines = command_lines(section("Your first certificate"), "# ")
    assert len(lines) == 3
    webroot = tmp_path / "www"
    webroot.mkdir()
    environ = {
        "PATH": f"{installed}:{os.defpath}",
        "HOME": str(tmp_path),
        "ACMECTL_SERVER": pebble.directory_url,
        "ACMECTL_CA_BUNDLE": str(pebble.ca_bundle),
        "ACMECTL_CONFIG_DIR": str(tmp_path / "config"),
        "ACMECTL_WORK_DIR": str(tmp_path / "work"),
        "ACMECTL_LOGS_DIR": str(tmp_path / "logs"),
    }
    with static_server(webroot, pebble.http_port):
        outputs = [run(shlex.split(line.replace("/var/www/html", str(webroot))), environ, tmp_path) for line in lines]

    live = tmp_path / "config" / "live" / "example.org"
    assert "BEGIN CERTIFICATE" in (live / "fullchain.pem").read_text()
    assert "PRIVATE KEY" in (live / "privkey.pem").read_text()
    assert "example.org" in outputs[-1]
    assert str(live / "fullchain.pem") in outputs[-1]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[set[str], set[str]]:
    """Names of the files in the wheel and in the source distribution (there below its one folder)."""
    folder = tmp_path_factory.mktemp("dist")
    run([sys.executable, "-m", "hatchling", "build", "-d", str(folder)], ENVIRON, CHECKOUT)
    (wheel,) = folder.glob("*.whl")
    (sdist,) = folder.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        sources = {name.split("/", 1)[1] for name in archive.getnames()}
    return set(zipfile.ZipFile(wheel).namelist()), sources


def test_the_wheel_holds_both_packages_with_their_types_and_nothing_else(built: tuple[set[str], set[str]]) -> None:
    wheel, _ = built
    assert {name.split("/")[0] for name in wheel if ".dist-info/" not in name} == {"acmectl", "acmectl_plugins"}
    assert {"acmectl/py.typed", "acmectl_plugins/py.typed"} <= wheel
    assert {f"acmectl_plugins/{name}.py" for name in MODULES} <= wheel
    assert any(name.endswith("/LICENSE") for name in wheel)


def test_the_source_distribution_holds_what_is_needed_to_build_and_to_test(built: tuple[set[str], set[str]]) -> None:
    _, sdist = built
    needed = {
        *("pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", "cli.ini.example", "Makefile", "tools/set_up.py"),
        *("acmectl/py.typed", "plugins/acmectl_plugins/webroot.py", "tests/conftest.py", "docs/architecture.md"),
    }
    assert needed <= sdist
    assert not [name for name in sdist if name.startswith((".venv", ".tools", ".demo"))]
