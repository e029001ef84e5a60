"""Accounts of the time of Let's Encrypt's first API, whose directories certbot links to: acmectl goes on with them.

A real certbot 0.31 makes the account and the lineage; that API is gone, so the move to its directory is by hand.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.cli import Acmectl
from tests.integration.servers import certbots
from tests.integration.servers.lets_encrypt import lets_encrypt
from tests.integration.servers.pebble import LETS_ENCRYPT, Pebble, PebbleConfig
from tests.integration.trees import Certbot

V01 = "https://acme-v01.api.letsencrypt.org/directory"
V02 = "https://acme-v02.api.letsencrypt.org/directory"


@pytest.fixture(scope="module")
def old_pebble() -> Iterator[Pebble]:
    with Pebble(PebbleConfig(nonce_reject=0, strict=False)) as server:
        yield server


def move_to_first_api(acmectl: Acmectl) -> Path:
    """The account and the renewal file as they were before the second API; the account's directory."""
    (account,) = acmectl.account_dirs()
    old = acmectl.config / "accounts" / "acme-v01.api.letsencrypt.org" / "directory"
    old.mkdir(parents=True, mode=0o700)
    moved = account.rename(old / account.name)
    account.parent.rmdir()
    registration = json.loads((moved / "regr.json").read_text())
    registration |= {
        "body": {"contact": ["mailto:a@example.com"], "agreement": "https://example.com/terms.pdf", "status": "valid"},
        "new_authzr_uri": "https://acme-v01.api.letsencrypt.org/acme/new-authz",
        "terms_of_service": "https://example.com/terms.pdf",
    }
    (moved / "regr.json").write_text(json.dumps(registration))
    conf = acmectl.renewal_path("a.example")
    text = conf.read_text()
    assert f"server = {V02}\n" in text
    conf.write_text(text.replace(V02, V01))
    return moved


@pytest.mark.parametrize("link", ["to the directory", "to the account", "none yet"])
def test_an_account_of_the_first_api_renews_at_the_second(old_pebble: Pebble, tmp_path: Path, link: str) -> None:
    with Acmectl(old_pebble, tmp_path) as acmectl, lets_encrypt(old_pebble) as (env, asked):
        oldest, newest = (Certbot(version, acmectl, env) for version in (certbots.OLDEST, certbots.NEWEST))
        oldest.run("certonly", *oldest.standalone, "--agree-tos", "-m", "a@example.com", "-d", "a.example").ok()
        old = move_to_first_api(acmectl)
        new = acmectl.config / "accounts" / "acme-v02.api.letsencrypt.org" / "directory"
        if link == "to the directory":
            new.symlink_to(old.parent)
        elif link == "to the account":
            new.mkdir(mode=0o700)
            (new / old.name).symlink_to(old)
        trust = ("--ca-bundle", str(old_pebble.ca_bundle))
        assert acmectl.run("show_account", "-n", "--json", *trust, env=env, server=False).ok().json["id"] == old.name
        registered = old_pebble.requests().count("POST /sign-me-up")
        acmectl.run("renew", "--force-renewal", *trust, env=env, server=False).ok()
        assert acmectl.version("a.example") == 2
        assert acmectl.params("a.example")["server"] == V02
        assert acmectl.params("a.example")["account"] == old.name
        assert old.is_dir()
        assert os.path.samefile(new / old.name, old)
        assert set(asked) == {f"{LETS_ENCRYPT[0]}:443"}
        newest.renew()
        assert acmectl.version("a.example") == 3
        assert old_pebble.requests().count("POST /sign-me-up") == registered

        acmectl.run("renew", "--dry-run", *trust, env=env, server=False).ok()
        assert f"{LETS_ENCRYPT[1]}:443" in asked
        acmectl.run("unregister", "-n", *trust, env=env, server=False).ok()
        assert not old.exists()
        assert not os.path.lexists(new / old.name)
