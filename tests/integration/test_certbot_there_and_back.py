"""One lineage in the hands of both programs by turns, and their locks."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.cli import KINDS, Acmectl
from tests.integration.servers import certbots
from tests.integration.servers.pebble import Pebble, PebbleConfig
from tests.integration.trees import Certbot, Shape, shape

NAME = "a.example"


@pytest.fixture(scope="module")
def calm_pebble() -> Iterator[Pebble]:
    """certbot gives up at the second bad nonce."""
    with Pebble(PebbleConfig(nonce_reject=0)) as server:
        yield server


@pytest.fixture
def acmectl(calm_pebble: Pebble, tmp_path: Path) -> Iterator[Acmectl]:
    with Acmectl(calm_pebble, tmp_path) as program:
        yield program


@pytest.fixture
def certbot(acmectl: Acmectl) -> Certbot:
    return Certbot(certbots.NEWEST, acmectl)


def trust(acmectl: Acmectl) -> tuple[str, ...]:
    assert acmectl.pebble is not None
    return ("--ca-bundle", str(acmectl.pebble.ca_bundle))


def links(acmectl: Acmectl) -> dict[str, str]:
    return {kind: os.readlink(acmectl.live(NAME, kind)) for kind in KINDS}


def expected_links(number: int) -> dict[str, str]:
    return {kind: f"../../archive/{NAME}/{kind}{number}.pem" for kind in KINDS}


def params(found: Shape) -> dict[str, Any]:
    content: dict[str, Any] = found.params[NAME]["renewalparams"]
    return content


def test_there_and_back(acmectl: Acmectl, certbot: Certbot) -> None:
    said = acmectl.folder / "said"
    certbot.certonly(NAME, options=(*certbot.standalone, "--agree-tos", f"--deploy-hook=echo one >> {said}"))
    made = shape(acmectl)
    assert links(acmectl) == expected_links(1)
    # A new key is never writable by others, and readable by those who could read the old one.
    acmectl.live(NAME, "privkey").resolve().chmod(0o656)
    key = f"archive/{NAME}/privkeyN.pem"
    made.entries[key] = ("file", 0o654, *made.entries[key][2:])

    acmectl.run("renew", "--force-renewal", *trust(acmectl), server=False).ok()
    assert shape(acmectl) == made
    assert links(acmectl) == expected_links(2)

    certbot.renew()
    assert shape(acmectl) == made
    assert links(acmectl) == expected_links(3)
    assert said.read_text().split() == ["one"] * 3

    hook = f"echo '%(two)s' >> {said}"
    options = ("--deploy-hook", hook, "--hook-timeout", "77", "--rsa-key-size", "3072", "--key-type", "rsa")
    acmectl.run("reconfigure", "-n", "--cert-name", NAME, *options, *trust(acmectl), server=False).ok()
    changed = shape(acmectl)
    assert changed.entries == made.entries
    assert links(acmectl) == expected_links(3)
    without_hook = {key: value for key, value in params(made).items() if key != "renew_hook"}
    assert params(changed) == {**without_hook, "key_type": "rsa", "rsa_key_size": "3072"}
    own = changed.params[NAME]["acmectl"]
    assert "two" in str(own)
    assert "%(" not in acmectl.renewal_path(NAME).read_text()

    certbot.renew()
    again = shape(acmectl)
    assert again == changed
    assert again.params[NAME]["acmectl"] == own
    assert links(acmectl) == expected_links(4)
    assert said.read_text().split() == ["one"] * 3, "certbot cannot see the hook that it could not hold"

    acmectl.run("renew", "--force-renewal", *trust(acmectl), server=False).ok()
    assert shape(acmectl) == changed
    assert links(acmectl) == expected_links(5)
    assert said.read_text().split() == ["one", "one", "one", "%(two)s"]

    # A hook that certbot writes down counts from then on.
    certbot.renew("--deploy-hook", f"echo three >> {said}")
    acmectl.run("renew", "--force-renewal", *trust(acmectl), server=False).ok()
    assert said.read_text().split() == ["one", "one", "one", "%(two)s", "three", "three"]
    assert certbot.listing()[NAME]["Certificate Path"] == str(acmectl.live(NAME, "fullchain"))
    certbot.run("delete", "--cert-name", NAME).ok()
    assert [path for path in acmectl.config.rglob(f"*{NAME}*") if "acmectl" not in path.name] == []
    assert acmectl.run("certificates", "--json").ok().json["certificates"] == []


def test_acmectl_waits_while_certbot_works(acmectl: Acmectl, certbot: Certbot) -> None:
    ready, wait = acmectl.folder / "ready", acmectl.folder / "go-on"
    os.mkfifo(ready)
    os.mkfifo(wait)
    hook = f"--pre-hook=echo > {ready}; cat {wait}"
    issuing = certbot.start("certonly", *certbot.ca, *certbot.standalone, "--agree-tos", "-d", NAME, hook)
    try:
        issuing.told(ready)
        assert sorted(acmectl.locks()) == sorted(
            folder / ".certbot.lock" for folder in (acmectl.config, acmectl.work, acmectl.logs)
        )
        refused = acmectl.run("renew", "--lock-timeout", "0").failed()
        assert f"process {issuing.pid}" in refused.err
        # What it is to delete is not there before certbot ends.
        waiting = acmectl.start("delete", "-n", "--cert-name", NAME)
        assert acmectl.lineages() == []
    finally:
        with wait.open("w") as go_on:
            go_on.write("\n")
    issuing.wait().ok()
    waiting.wait().ok()
    assert acmectl.lineages() == []
    assert acmectl.locks() == []


def test_no_certbot_of_any_time_runs_while_acmectl_works(acmectl: Acmectl) -> None:
    with acmectl.holding_locks():
        for version in certbots.VERSIONS:
            refused = Certbot(version, acmectl).run("certificates")
            assert (version, refused.code) == (version, 1)
            assert "Another instance" in refused.err


@pytest.mark.parametrize("shared", ["config", "work", "logs"])
def test_one_common_directory_is_enough_to_exclude_each_other(
    acmectl: Acmectl, certbot: Certbot, tmp_path: Path, shared: str
) -> None:
    """Both directions, with two of the three directories different."""
    others = [part for name in ("config", "work", "logs") if name != shared for part in _elsewhere(tmp_path, name)]
    with acmectl.holding_locks() as holder:
        refused = certbot.run("certificates", *others)
        assert refused.code == 1
        assert "Another instance" in refused.err
        refused = acmectl.run("renew", *others, "--lock-timeout", "0").failed()
        assert f"process {holder.pid}" in refused.err
    ready, wait = acmectl.folder / "ready", acmectl.folder / "go-on"
    os.mkfifo(ready)
    os.mkfifo(wait)
    hook = f"--pre-hook=echo > {ready}; cat {wait}"
    issuing = certbot.start("certonly", *certbot.ca, *certbot.standalone, "--agree-tos", "-d", NAME, hook)
    try:
        issuing.told(ready)
        refused = acmectl.run("renew", *others, "--lock-timeout", "0").failed()
        assert f"process {issuing.pid} holds the lock {getattr(acmectl, shared)}/.certbot.lock" in refused.err
    finally:
        with wait.open("w") as go_on:
            go_on.write("\n")
    issuing.wait().ok()


def _elsewhere(folder: Path, name: str) -> tuple[str, str]:
    place = folder / f"other-{name}"
    place.mkdir()
    return (f"--{name}-dir", str(place))
