"""acme.sh, as a program to test with: Debian's package where it is installed, else that package unpacked in ``.tools``.

It is fetched by apt from the Debian release that has it, whatever release this is, without touching the system.
"""

from __future__ import annotations

import fcntl
import shutil
import subprocess
from pathlib import Path

from tests.integration.servers.requirements import find_program, not_run
from tools.get_pebble import TOOLS

_RELEASE = "trixie"
_INSTALLED = Path("/usr/share/acme.sh")
_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")


def acme_sh_folder() -> Path:
    """The folder with ``acme.sh`` and ``dnsapi``."""
    if (_INSTALLED / "acme.sh").is_file():
        return _INSTALLED
    top = TOOLS / f"acme.sh-{_RELEASE}"
    folder = top / "usr/share/acme.sh"
    if not (folder / "acme.sh").is_file():
        if not find_program("apt-get") or not find_program("dpkg-deb") or not _KEYRING.is_file():
            not_run("acme.sh is not installed (Debian has a package of that name)")
        TOOLS.mkdir(exist_ok=True)
        with (TOOLS / "acme.sh.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not (folder / "acme.sh").is_file():
                _fetch(top)
    return folder


def _fetch(top: Path) -> None:
    work = top / "apt"
    for name in ("lists/partial", "cache/archives/partial"):
        (work / name).mkdir(parents=True, exist_ok=True)
    (work / "debian.sources").write_text(
        f"Types: deb\nURIs: {_mirror()}\nSuites: {_RELEASE}\nComponents: main\nSigned-By: {_KEYRING}\n"
    )
    options = {
        "Dir::Etc::sourcelist": work / "debian.sources",
        "Dir::Etc::sourceparts": "/dev/null",
        "Dir::State::lists": work / "lists",
        "Dir::Cache": work / "cache",
        "APT::Sandbox::User": "root",
    }
    apt = ["apt-get", "-qq", *(word for name, value in options.items() for word in ("-o", f"{name}={value}"))]
    for command in ([*apt, "update"], [*apt, "download", "acme.sh"]):
        done = subprocess.run(command, cwd=work, capture_output=True, text=True, timeout=300)
        if done.returncode:
            not_run(f"acme.sh could not be fetched: {done.stderr.strip()[-300:]}")
    packages = list(work.glob("acme.sh_*.deb"))
    unpacked = subprocess.run(["dpkg-deb", "-x", str(packages[0]), str(top)], capture_output=True, text=True)
    assert unpacked.returncode == 0, unpacked.stderr
    shutil.rmtree(work)


def _mirror() -> str:
    """Where this machine gets Debian from."""
    listed = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"], capture_output=True, text=True
    )
    found = [uri for uri in listed.stdout.split() if uri.rstrip("/").endswith("/debian")]
    if not found:
        not_run("acme.sh is not installed, and apt knows no Debian to get it from")
    return found[0]
