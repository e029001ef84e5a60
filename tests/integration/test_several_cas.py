"""``--server`` given several times: the next CA issues when one is out of order, and the first is back after a rest."""

from __future__ import annotations

import base64
import contextlib
import datetime
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.cli import Acmectl
from tests.integration.servers.between import Answer, Between, LostError
from tests.integration.servers.hostile import HostileServer, answer, silence
from tests.integration.servers.pebble import Pebble, PebbleConfig
from tests.integration.servers.process import free_port

SECRET = "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LTEyMzQ"
LATER = {"Retry-After": "7200"}
BUSY = Answer(status=503, headers=LATER)


@pytest.fixture(scope="module")
def backup() -> Iterator[Pebble]:
    """The CA that is asked when the first one is out of order."""
    with Pebble() as server:
        yield server


@pytest.fixture
def first(pebble: Pebble) -> Iterator[Between]:
    with Between(pebble) as server:
        yield server


@pytest.fixture
def program(backup: Pebble, tmp_path: Path) -> Iterator[Acmectl]:
    with Acmectl(backup, tmp_path) as acmectl:
        yield acmectl


def bundle(acmectl: Acmectl, *bundles: Path) -> tuple[str, ...]:
    path = acmectl.folder / "roots.pem"
    path.write_bytes(b"".join(one.read_bytes() for one in bundles))
    return ("--ca-bundle", str(path))


def obtain(acmectl: Acmectl, *servers: str, trust: tuple[str, ...] = (), port: int | None = None) -> tuple[str, ...]:
    """A command line for a.example at ``servers``, in that order."""
    assert acmectl.pebble is not None
    several = [part for server in servers for part in ("--server", server)]
    validated = ("--http-01-port", str(port or acmectl.pebble.http_port))
    return ("certonly", "-n", "--agree-tos", "--standalone", "-d", "a.example", *several, *trust, *validated)


def own(acmectl: Acmectl) -> dict[str, object]:
    return {key: json.loads(text) for key, text in acmectl.renewal("a.example")["acmectl"].items()}


@contextlib.contextmanager
def stopped() -> Iterator[tuple[str, tuple[Path, ...]]]:
    yield f"https://127.0.0.1:{free_port()}/dir", ()


@contextlib.contextmanager
def hanging() -> Iterator[tuple[str, tuple[Path, ...]]]:
    with HostileServer() as server:
        server.routes["/dir"] = silence
        yield f"{server.url}/dir", (server.ca_bundle,)


@contextlib.contextmanager
def overloaded() -> Iterator[tuple[str, tuple[Path, ...]]]:
    with HostileServer() as server:
        server.routes["/dir"] = answer(b"come back later", status=503, headers=LATER)
        yield f"{server.url}/dir", (server.ca_bundle,)


@contextlib.contextmanager
def limiting() -> Iterator[tuple[str, tuple[Path, ...]]]:
    nonce = {"Replay-Nonce": "bm9uY2Utbm9uY2Utbm9uY2U"}
    with HostileServer() as server:
        names = {name: f"{server.url}/{name}" for name in ("newNonce", "newAccount", "newOrder", "revokeCert")}
        server.routes["/dir"] = answer(names)
        server.routes["/newNonce"] = answer(headers=nonce)
        account = {**nonce, "Location": f"{server.url}/account/1"}
        server.routes["/newAccount"] = answer({"status": "valid"}, status=201, headers=account)
        problem = {"type": "urn:ietf:params:acme:error:rateLimited", "detail": "too many certificates", "status": 429}
        server.routes["/newOrder"] = answer(problem, status=429, headers={**nonce, "Retry-After": "172800"})
        yield f"{server.url}/dir", (server.ca_bundle,)


@pytest.mark.parametrize(("trouble", "hours"), [(stopped, 24), (hanging, 24), (overloaded, 24), (limiting, 48)])
def test_the_next_ca_issues_when_the_first_is_out_of_order(program: Acmectl, backup: Pebble, trouble, hours) -> None:
    with trouble() as (url, roots):
        trust = bundle(program, backup.ca_bundle, *roots)
        done = program.run(*obtain(program, url, backup.directory_url, trust=trust), server=False).ok()
    assert f"Warning: The CA at {url} is passed over: " in done.err
    assert f"It was issued by the CA at {backup.directory_url}\n" in done.out
    params = program.params("a.example")
    assert params["server"] == backup.directory_url
    assert any(folder.name == params["account"] for folder in program.account_dirs())
    kept = own(program)
    assert kept["servers"] == [url, backup.directory_url]
    rest = datetime.datetime.fromisoformat(kept["server_pauses"][url]) - datetime.datetime.now(datetime.UTC)
    assert datetime.timedelta(hours=hours - 1) < rest <= datetime.timedelta(hours=hours)
    listed = program.run("certificates", server=False).ok().out
    assert f"    Issued By: {backup.directory_url} (one of 2 CAs)\n" in listed
    (one,) = program.run("certificates", "--json", server=False).ok().json["certificates"]
    assert (one["server"], one["servers"]) == (backup.directory_url, [url, backup.directory_url])


def lost(_method: str, _path: str) -> Answer:
    raise LostError


def limited(_method: str, _path: str) -> Answer:
    problem = {"type": "urn:ietf:params:acme:error:rateLimited", "detail": "too many certificates"}
    return Answer(status=429, headers=LATER, body=json.dumps(problem).encode())


@pytest.mark.parametrize("trouble", [lost, limited])
def test_a_ca_that_fails_after_it_has_validated_is_passed_over_too(
    program: Acmectl, pebble: Pebble, first: Between, trouble
) -> None:
    def at_the_end(method: str, path: str) -> Answer | None:
        return trouble(method, path) if path.startswith("/finalize-order/") else None

    first.before = at_the_end
    with Pebble(PebbleConfig(http_port=pebble.http_port)) as second:
        trust = bundle(program, second.ca_bundle, pebble.ca_bundle)
        flags = obtain(program, first.directory_url, second.directory_url, trust=trust, port=pebble.http_port)
        done = program.run(*flags, server=False).ok()
        assert f"The CA at {first.directory_url} is passed over" in done.err
        assert program.params("a.example")["server"] == second.directory_url
        assert list(own(program)["server_pauses"]) == [first.directory_url]
        assert len([line for line in second.requests() if line.startswith("POST /finalize-order/")]) >= 1
    # Nothing of the order at the first is left to be gone on with.
    assert list((program.work / "pending").iterdir()) == []


def test_the_first_comes_back_after_its_rest_and_not_before(
    program: Acmectl, backup: Pebble, pebble: Pebble, first: Between
) -> None:
    trust = bundle(program, backup.ca_bundle, pebble.ca_bundle)
    first.before = lambda _method, _path: BUSY
    program.run(*obtain(program, first.directory_url, backup.directory_url, trust=trust), server=False).ok()
    assert program.params("a.example")["server"] == backup.directory_url
    # It is well again at once, and is left alone all the same.
    first.before = lambda _method, _path: None
    asked = len(first.bodies)
    renew = ("renew", "--force-renewal", *trust)
    (one,) = program.run(*renew, "--json", server=False).ok().json["lineages"]
    assert one["server"] == backup.directory_url
    assert len(first.bodies) == asked
    assert first.directory_url in own(program)["server_pauses"]
    # The rest is over: what is stored is all that the program goes by, so it is told that the time has come.
    path = program.renewal_path("a.example")
    until = own(program)["server_pauses"][first.directory_url]
    assert path.read_text().count(until) == 1
    path.write_text(path.read_text().replace(until, "2026-01-01T00:00:00+00:00"))
    flags = (*renew, "--agree-tos", "--http-01-port", str(pebble.http_port))
    (one,) = program.run(*flags, "--json", server=False).ok().json["lineages"]
    assert one["server"] == first.directory_url
    assert program.params("a.example")["server"] == first.directory_url
    assert own(program)["servers"] == [first.directory_url, backup.directory_url]
    assert "server_pauses" not in own(program)
    assert len(program.account_dirs()) == 2
    account = program.params("a.example")["account"]
    assert [folder.name for folder in program.account_dirs() if f"{first.port}" in str(folder)] == [account]


@pytest.mark.parametrize("number", [1, 2])
def test_a_failed_validation_is_not_taken_elsewhere(
    program: Acmectl, backup: Pebble, pebble: Pebble, number: int
) -> None:
    before = len(backup.requests())
    trust = bundle(program, backup.ca_bundle, pebble.ca_bundle)
    gone = [f"https://127.0.0.1:{free_port()}/dir"][: number - 1]
    # The CA that works validates at another port than the one that is answered at.
    flags = obtain(program, *gone, pebble.directory_url, backup.directory_url, trust=trust, port=backup.http_port)
    done = program.run(*flags, "--no-preflight", "--json", server=False).failed()
    assert [row["identifier"]["value"] for row in done.json["failures"]] == ["a.example"]
    assert done.err.count("passed over") == len(gone)
    assert backup.requests()[before:] == []
    assert program.lineages() == []


def test_when_none_works_the_command_fails_and_each_is_told(program: Acmectl) -> None:
    urls = [f"https://127.0.0.1:{free_port()}/dir" for _ in range(2)]
    done = program.run(*obtain(program, *urls), server=False).failed()
    assert len(done.errors) == 1
    assert [url for url in urls if f"The CA at {url} is passed over" in done.err] == urls
    assert program.lineages() == []


def test_the_list_of_the_command_line_replaces_that_of_a_file_and_one_ca_ends_it(
    program: Acmectl, backup: Pebble
) -> None:
    gone = f"https://127.0.0.1:{free_port()}/dir"
    program.config.mkdir(parents=True)
    (program.config / "cli.ini").write_text(f"server = {gone}, {backup.directory_url}\n")
    trust = bundle(program, backup.ca_bundle)
    program.run(*obtain(program, trust=trust), server=False).ok()
    assert own(program)["servers"] == [gone, backup.directory_url]
    assert program.params("a.example")["server"] == backup.directory_url
    one = obtain(program, backup.directory_url, trust=trust)
    done = program.run(*one, "--force-renewal", server=False).ok()
    assert "passed over" not in done.err
    assert "servers" not in program.renewal("a.example").get("acmectl", {})
    assert "server_pauses" not in program.renewal("a.example").get("acmectl", {})


def test_a_ca_that_wants_a_binding_and_gets_none_is_passed_over(program: Acmectl, backup: Pebble) -> None:
    with Pebble(PebbleConfig(eab_keys={"kid-1": SECRET})) as bound:
        trust = bundle(program, backup.ca_bundle, bound.ca_bundle)
        done = program.run(*obtain(program, bound.directory_url, backup.directory_url, trust=trust), server=False).ok()
        assert "--eab-kid and --eab-hmac-key" in done.err
        assert program.params("a.example")["server"] == backup.directory_url
        # Nothing is wrong with the CA: it is asked first as soon as it has an account for us.
        assert "server_pauses" not in own(program)
        eab = ("--eab-kid", "kid-1", "--eab-hmac-key", SECRET)
        flags = obtain(program, bound.directory_url, backup.directory_url, trust=trust, port=bound.http_port)
        program.run(*flags, "--force-renewal", *eab, server=False).ok()
        assert program.params("a.example")["server"] == bound.directory_url


@pytest.mark.parametrize("alone", [False, True])
def test_a_binding_goes_to_those_of_several_cas_that_want_one(
    program: Acmectl, backup: Pebble, pebble: Pebble, first: Between, alone: bool
) -> None:
    servers = (first.directory_url,) if alone else (first.directory_url, backup.directory_url)
    trust = bundle(program, backup.ca_bundle, pebble.ca_bundle)
    eab = ("--eab-kid", "kid-1", "--eab-hmac-key", SECRET)
    done = program.run(*obtain(program, *servers, trust=trust, port=pebble.http_port), *eab, server=False)
    # This CA wants none and refuses one that it does not know.
    assert done.code == (1 if alone else 0), str(done)
    payloads = [json.loads(body)["payload"] for body in first.bodies if body]
    sent = [base64.urlsafe_b64decode(payload + "==") for payload in payloads]
    assert any(b"externalAccountBinding" in payload for payload in sent) is alone


def test_a_secret_in_any_of_the_urls_stays_out_of_the_log(program: Acmectl) -> None:
    secrets = ["c4nary5ecretsegment0123456789abcdef", "an0thercanary5egment0123456789abcd"]
    urls = [f"https://127.0.0.1:{free_port()}/acme/{secret}/directory" for secret in secrets]
    program.run(*obtain(program, *urls), "-vvv", server=False).failed()
    assert "passed over" in program.log()
    assert not [secret for secret in secrets if secret in program.log()]
