"""Canaries: secrets that must appear nowhere but where they are kept."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path

import pytest

from tests.integration.cli import Acmectl, Outcome
from tests.integration.servers.pebble import Pebble, PebbleConfig

PASSWORD = "canary-password-of-a-file"
HMAC = base64.urlsafe_b64encode(b"canary-hmac-" + b"k" * 20).rstrip(b"=").decode()


def said(acmectl: Acmectl, *outcomes: Outcome) -> str:
    """Everything that was printed or logged."""
    logs = [path.read_text() for path in acmectl.logs.rglob("*") if path.is_file()]
    return "\n".join([*(done.out + done.err for done in outcomes), *logs])


def private_parts(acmectl: Acmectl) -> list[str]:
    """The account's private numbers and the middle of every private key."""
    parts: list[str] = []
    for path in acmectl.config.rglob("private_key.json"):
        jwk = json.loads(path.read_text())
        parts += [jwk[name] for name in ("d", "p", "q", "dp", "dq", "qi") if name in jwk]
    for path in acmectl.config.rglob("privkey*.pem"):
        parts += path.read_text().splitlines()[1:-1]
    return parts


@pytest.mark.parametrize("options", [("-v",), ("-vvv", "--debug"), ("--json",), ("-vv", "--log-format", "json")])
def test_keys_eab_and_tokens_reach_no_log_and_no_output(tmp_path: Path, options: tuple[str, ...]) -> None:
    config = PebbleConfig(eab_keys={"canary-kid": HMAC})
    with Pebble(config) as pebble, Acmectl(pebble, tmp_path) as acmectl:
        eab = ("--eab-kid", "canary-kid", "--eab-hmac-key", HMAC)
        files = ("--pem-out", str(tmp_path / "x.pem"), "--pkcs12-out", str(tmp_path / "x.p12"))
        password = {"CANARY": PASSWORD}
        first = acmectl.run(
            *("certonly", "-n", "--agree-tos", "--standalone", "-d", "secret.example"),
            *(*eab, *files, "--pkcs12-password", "env:CANARY", *options),
            env=password,
        ).ok()
        environment = {"ACMECTL_EAB_HMAC_KEY": HMAC, "ACMECTL_EAB_KID": "canary-kid", **password}
        second = acmectl.run("renew", "--force-renewal", *options, server=False, env=environment).ok()
        third = acmectl.run("show_account", *options).ok()
        fourth = acmectl.run("revoke", "-n", "--cert-name", "secret.example", "--no-delete-after-revoke", *options).ok()
        text = said(acmectl, first, second, third, fourth)
        assert acmectl.logs.is_dir()
        assert HMAC not in text
        assert PASSWORD not in text + acmectl.renewal_path("secret.example").read_text()
        assert (tmp_path / "x.p12").stat().st_mode & 0o777 == (tmp_path / "x.pem").stat().st_mode & 0o777 == 0o600
        parts = private_parts(acmectl)
        assert len(parts) > 5
        assert not [part for part in parts if part in text]
        for token in tokens(pebble):
            assert token not in text


def tokens(pebble: Pebble) -> list[str]:
    """The challenge tokens that the CA has asked for."""
    marker = "/.well-known/acme-challenge/"
    lines = [line for line in pebble.log_text().splitlines() if marker in line]
    found = {line.split(marker, 1)[1].split()[0].strip('"') for line in lines}
    assert found
    return sorted(found)


def test_the_keys_are_for_their_owner_alone_whatever_the_umask(acmectl: Acmectl, tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        acmectl.certonly("modes.example")
    finally:
        os.umask(before)
    for path in [*acmectl.config.rglob("privkey*.pem"), *acmectl.config.rglob("private_key.json")]:
        if not path.is_symlink():
            assert path.stat().st_mode & 0o077 == 0, path
    assert all(path.stat().st_mode & 0o077 == 0 for path in acmectl.logs.rglob("*"))


def test_a_secret_in_the_directory_url_stays_out_of_the_log(acmectl: Acmectl) -> None:
    secret = "c4nary5ecretsegment0123456789abcdef"
    assert acmectl.pebble is not None
    server = acmectl.pebble.directory_url.replace("/dir", f"/acme/{secret}/directory")
    done = acmectl.run("register", "-n", "--agree-tos", "-vvv", "--server", server).failed()
    assert secret not in said(acmectl, done)
