"""Makes ``.venv`` with acmectl (editable), the test tools and the lint tools; does nothing when it is up to date.

Standard library only: it runs on whichever Python 3.11+ the machine has.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
VENV = CHECKOUT / ".venv"
STAMP = VENV / "up-to-date"
GROUPS = ("test", "lint")


class SetUpError(Exception):
    """The environment cannot be made; the message is one line that says why."""


def fingerprint() -> str:
    """What the environment depends on."""
    digest = hashlib.sha256((CHECKOUT / "pyproject.toml").read_bytes())
    digest.update(Path(__file__).read_bytes())
    digest.update(str(CHECKOUT).encode())  # an editable install of a checkout that was moved points nowhere
    return digest.hexdigest()


def is_up_to_date() -> bool:
    """Whether nothing is to be done."""
    try:
        return STAMP.read_text() == fingerprint()
    except OSError:
        return False


def run(*command: str | Path, doing: str) -> None:
    """Run ``command`` quietly. Raises: SetUpError with the end of its output."""
    result = subprocess.run(
        [str(part) for part in command], stdin=subprocess.DEVNULL, capture_output=True, text=True, cwd=CHECKOUT
    )
    if result.returncode:
        sys.stderr.write(result.stdout[-2000:] + result.stderr[-2000:])
        raise SetUpError(f"{doing} failed; the lines above say why.")


def provide_venv_module() -> None:
    """Debian ships Python without what ``python3 -m venv`` needs: install it as root, else say how."""
    if importlib.util.find_spec("ensurepip") and importlib.util.find_spec("venv"):
        return
    package = f"python{sys.version_info.major}.{sys.version_info.minor}-venv"
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise SetUpError(f"this Python cannot make virtual environments; as root: apt-get install {package}")
    print(f"Installing {package} ...", flush=True)
    os.environ["DEBIAN_FRONTEND"] = "noninteractive"
    run("apt-get", "update", "-qq", doing="apt-get update")
    run("apt-get", "install", "-y", "-qq", "--no-install-recommends", package, doing=f"apt-get install {package}")


def make_environment() -> None:
    """Fill ``.venv``. Raises: SetUpError."""
    print(f"Setting up .venv with Python {sys.version.split()[0]} (once; about a minute) ...", flush=True)
    python = VENV / "bin" / "python"
    if Path(sys.prefix) != VENV:
        provide_venv_module()
        run(sys.executable, "-m", "venv", "--clear", VENV, doing="making .venv")
    pip: list[str | Path] = [python, "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    run(*pip, "pip>=25.1", doing="updating pip in .venv")  # the first that reads dependency groups
    groups = [word for name in GROUPS for word in ("--group", name)]
    run(*pip, "--editable", ".[all]", *groups, doing="installing acmectl and its test tools")
    STAMP.write_text(fingerprint())


def main() -> int:
    """Bring ``.venv`` up to date, one process at a time."""
    if is_up_to_date():
        return 0
    tools = CHECKOUT / ".tools"
    tools.mkdir(exist_ok=True)
    with (tools / "set-up.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            if not is_up_to_date():
                make_environment()
        except SetUpError as error:
            print(f"error: {error}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
