"""certbots of five generations, each from PyPI in an environment of its own below ``.tools``, installed once.

The old ones run under a Python that they never knew. What they need for it is here and is little: the libraries of
their time that still have wheels and, for 0.31, one name that has moved within the standard library.
"""

from __future__ import annotations

import fcntl
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.programs import CERTBOT_VERSION, TOOLS, BenchmarkError, certbot, environment
from tests.integration.servers.requirements import not_run

# pkg_resources went out of setuptools with 81, and cryptography lost what 0.31 checks signatures with at 37.
_PYTHON_2_LIBRARIES = (
    *("josepy==1.13.0", "cryptography==36.0.2", "pyOpenSSL==22.0.0", "setuptools==80.9.0", "pyRFC3339==1.1"),
    *("ConfigArgParse==1.5.3", "zope.component==7.1", "zope.interface==8.7", "urllib3<2", "requests<2.32"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """What to install beside certbot, and lines to run when its interpreter starts."""

    pins: Sequence[str]
    start_up: str = ""


RECIPES = {
    # acme 0.39 is the newest that this certbot can use. Its own, 0.31, sends the key authorization along with a
    # response, which no CA takes any more.
    "0.31.0": Recipe(
        pins=("acme==0.39.0", *_PYTHON_2_LIBRARIES),
        start_up="import collections, collections.abc; collections.Mapping = collections.abc.Mapping\n",
    ),
    "1.12.0": Recipe(pins=("acme==1.12.0", *_PYTHON_2_LIBRARIES)),
    "2.11.0": Recipe(
        pins=("acme==2.11.0", "josepy<2", "cryptography<44", "pyOpenSSL<25", "setuptools<81", "pyRFC3339<2")
    ),
    "4.2.0": Recipe(pins=("acme==4.2.0", "josepy<3", "cryptography<51", "pyOpenSSL<27")),
    CERTBOT_VERSION: Recipe(pins=()),
}
OLDEST = "0.31.0"
NEWEST = CERTBOT_VERSION
VERSIONS = tuple(RECIPES)


def script(version: str) -> Path:
    """The console script of that certbot, installed now if it is not yet; where it cannot be, the test is not run."""
    TOOLS.mkdir(exist_ok=True)
    lock_name = "certbot.lock" if version == NEWEST else f"certbot-{version}.lock"
    with (TOOLS / lock_name).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            return certbot().script if version == NEWEST else _install(version, RECIPES[version])
        except (BenchmarkError, OSError) as error:
            reason = " ".join(str(error).split())[-300:]
            not_run(f"certbot {version} could not be installed from PyPI ({reason})")
            raise AssertionError from error


def _install(version: str, recipe: Recipe) -> Path:
    requirements = ["--only-binary=:all:", *recipe.pins, f"certbot=={version}"]
    folder = environment(f"certbot-{version}-venv", requirements, None)
    if recipe.start_up:
        packages = next(folder.glob("lib/python*/site-packages"))
        (packages / "start_up.pth").write_text(recipe.start_up)
    return folder / "bin" / "certbot"
