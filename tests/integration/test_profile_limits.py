"""Profiles: what a CA lists, and how many names its profiles allow, is known before anything is ordered."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from acmectl.identifiers import Identifier
from acmectl.pki.csr import make_csr
from acmectl.pki.keys import KeySpec, generate_key
from tests.integration.cli import Acmectl
from tests.integration.servers.between import Between
from tests.integration.servers.lets_encrypt import lets_encrypt
from tests.integration.servers.pebble import Pebble, PebbleConfig, Profile

MANY = tuple(f"n{number}.example" for number in range(26))
TOO_MANY = tuple(f"n{number}.example" for number in range(101))


@pytest.fixture(scope="module")
def listing_pebble():
    """Pebble with the profiles of Let's Encrypt, told apart by their validity in days."""
    profiles = {"classic": Profile(validity=90 * 86400), "tlsserver": Profile(validity=45 * 86400)}
    with Pebble(PebbleConfig(profiles=profiles, always_valid=True, nonce_reject=0)) as server:
        yield server


@pytest.fixture
def program(listing_pebble, tmp_path):
    with Acmectl(listing_pebble, tmp_path) as found:
        yield found


def days(certificate):
    return round((certificate.not_valid_after_utc - certificate.not_valid_before_utc).total_seconds() / 86400)


def test_a_required_profile_that_is_not_listed_is_refused_with_the_list_before_the_order(listing_pebble, program):
    before = listing_pebble.orders()
    done = program.certonly("a.example", options=("--standalone", "--required-profile", "gold"), code=1)
    assert done.errors == [
        f"The CA at {listing_pebble.directory_url} has no profile 'gold': it lists classic, tlsserver."
    ]
    csr = program.cwd / "a.csr"
    csr.write_bytes(make_csr(generate_key(KeySpec.ecdsa()), [Identifier.dns("a.example")]))
    program.run("certonly", "-n", "--standalone", "--csr", str(csr), "--required-profile", "gold").failed()
    assert listing_pebble.orders() == before
    assert program.lineages() == []


def test_a_ca_without_profiles_is_named_as_such(listing_pebble, program):
    """Pebble always has some: they are taken out of its directory on the way."""

    def without_profiles(_method, path, answer):
        if path != "/dir":
            return answer
        content = json.loads(answer.body)
        del content["meta"]["profiles"]
        return replace(answer, body=json.dumps(content).encode())

    before = listing_pebble.orders()
    with Between(listing_pebble) as server:
        server.after = without_profiles
        options = ("--standalone", "--server", server.directory_url)
        done = program.certonly("a.example", options=(*options, "--required-profile", "x"), code=1)
        assert done.errors == [f"The CA at {server.directory_url} has no profile 'x': it offers no profiles."]
        assert listing_pebble.orders() == before
        program.certonly("a.example", options=(*options, "--preferred-profile", "x"))


def test_more_names_than_the_profile_allows_is_said_before_the_order(listing_pebble, program):
    options = ("--standalone", "--server", "letsencrypt")
    before = listing_pebble.orders()

    def asked(*more, names, code=0):
        flags = [part for name in names for part in ("-d", name)]
        done = program.run("certonly", "-n", "--agree-tos", *options, *more, *flags, env=env)
        return done.failed(code) if code else done.ok()

    with lets_encrypt(listing_pebble) as (env, _asked):
        required = asked("--required-profile", "tlsserver", names=MANY, code=1)
        unasked = asked(names=TOO_MANY, code=1)
        dry = asked("--required-profile", "tlsserver", "--dry-run", names=MANY, code=1)
        assert listing_pebble.orders() == before
        assert len(required.errors) == len(unasked.errors) == len(dry.errors) == 1
        assert "tlsserver" in required.errors[0]
        assert "25 names" in required.errors[0]
        assert "26 were asked for" in required.errors[0]
        assert "classic" in unasked.errors[0]
        assert "100 names" in unasked.errors[0]
        assert program.lineages() == []
        # What is only preferred gives way to the CA's default, which allows a hundred.
        preferred = asked("--preferred-profile", "tlsserver", "--cert-name", "all", names=MANY)
        assert "The profile tlsserver allows 25 names and 26 are wanted; ordering without" in preferred.out
        assert asked("--required-profile", "tlsserver", "--cert-name", "few", names=MANY[:25])
    assert len(program.names("all")) == 26
    assert days(program.certificate("few")) == 45
