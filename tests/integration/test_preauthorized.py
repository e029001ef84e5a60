"""Orders without challenges: the CA holds the names for authorized already."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest

from tests.integration.cli import Acmectl
from tests.integration.servers.pebble import Pebble, PebbleConfig


@pytest.fixture(scope="module")
def reusing() -> Iterator[Pebble]:
    """A Pebble that never asks twice."""
    with Pebble(PebbleConfig(authz_reuse=100)) as server:
        yield server


@pytest.fixture
def known(reusing, tmp_path) -> Iterator[Acmectl]:
    """The program with an account that ``known.example`` is authorized for."""
    with Acmectl(reusing, tmp_path) as program:
        program.certonly("known.example")
        yield program


def answered(pebble, before):
    return [line for line in pebble.requests()[before:] if "/chalZ/" in line]


def test_an_order_without_challenges_needs_no_authenticator_and_is_renewed_so(reusing, known):
    before = len(reusing.requests())
    known.certonly("known.example", options=("--preauthorized", "--force-renewal"))
    assert known.params("known.example")["authenticator"] == "preauthorized"
    known.run("renew", "--force-renewal").ok()
    assert known.version("known.example") == 3
    assert answered(reusing, before) == []


def test_a_challenge_is_one_clear_line(reusing, known):
    before = len(reusing.requests())
    done = known.certonly("new.example", "known.example", options=("--preauthorized", "--expand"), code=1)
    (line,) = done.errors
    assert line == "The CA wants control of new.example to be proved: nothing is authorized in advance there."
    assert "--preauthorized" in done.err
    assert answered(reusing, before) == []
    assert known.version("known.example") == 1


def test_a_trial_gives_up_no_authorization(reusing, known):
    known.certonly("known.example", options=("--preauthorized", "--dry-run"))
    known.certonly("known.example", options=("--preauthorized", "--force-renewal"))
    assert known.version("known.example") == 2


def test_an_order_that_is_ready_asks_nothing_of_any_authenticator(reusing, known):
    hook = known.folder / "called"
    options = ("--manual", "--preferred-challenges", "dns", "--manual-auth-hook", f"touch {hook}; exit 1")
    known.certonly("known.example", options=(*options, "--force-renewal"))
    assert known.version("known.example") == 2
    assert not hook.exists()


def test_a_csr_needs_no_authenticator_either_and_a_trial_with_it_gives_up_nothing(reusing, known):
    key, request = known.folder / "key.pem", known.folder / "request.pem"
    subprocess.run(
        [
            *("openssl", "req", "-new", "-newkey", "rsa:2048", "-nodes", "-keyout", str(key), "-out", str(request)),
            *("-subj", "/", "-addext", "subjectAltName=DNS:known.example"),
        ],
        check=True,
        capture_output=True,
    )
    for more in (("--dry-run",), ()):
        known.run("certonly", "-n", "--csr", str(request), "--preauthorized", *more).ok()
    assert (known.cwd / "0000_cert.pem").exists()
