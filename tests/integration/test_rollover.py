"""account rollover against Pebble: a new key at the CA and here, whatever goes wrong in between."""

import hashlib
import json
import os
import re
import shutil
import signal
import stat
from pathlib import Path

import pytest

from acmectl.acme.jws import AccountKey
from tests.integration.cli import Acmectl, picture
from tests.integration.crash.calls import hit, points, traced
from tests.integration.crash.ground import first_issuance, ground
from tests.integration.servers.between import Answer, Between, LostError

NAME = "a.example"
PROBLEM = {"Content-Type": "application/problem+json"}


def first(acmectl: Acmectl, *names: str) -> None:
    for name in names or (NAME,):
        acmectl.certonly(name)


def thumbprint(folder: Path) -> str:
    return AccountKey.from_jwk_json((folder / "private_key.json").read_text()).thumbprint()


def journals(acmectl: Acmectl) -> list[Path]:
    return sorted((acmectl.config / "accounts").glob(".acmectl*"))


def sound(acmectl: Acmectl, *names: str) -> Path:
    """The one account that is here: whole, known to the CA, named by the renewal files, and nothing beside it."""
    shown = acmectl.run("show_account", "-n", "--json").ok().json
    (folder,) = acmectl.account_dirs()
    assert shown["thumbprint"] == thumbprint(folder)
    key = AccountKey.from_jwk_json((folder / "private_key.json").read_text())
    assert folder.name == hashlib.md5(key.public_pem()).hexdigest() == shown["id"]
    assert stat.S_IMODE((folder / "private_key.json").stat().st_mode) == 0o400
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for name in names or (NAME,):
        assert acmectl.params(name)["account"] == folder.name
    assert journals(acmectl) == []
    assert sorted(path.name for path in folder.parent.iterdir()) == [folder.name]
    return folder


def test_the_account_has_a_new_key_and_everything_here_knows_it(acmectl):
    first(acmectl, NAME, "b.example")
    (old,) = acmectl.account_dirs()
    url = json.loads((old / "regr.json").read_text())["uri"]
    meta, before = (old / "meta.json").read_bytes(), thumbprint(old)
    done = acmectl.run("account", "rollover", "-n", "--json").ok().json
    new = sound(acmectl, NAME, "b.example")
    assert new.name != old.name
    assert thumbprint(new) != before
    assert (new / "meta.json").read_bytes() == meta
    assert done["url"] == url == json.loads((new / "regr.json").read_text())["uri"]
    assert (done["previous_id"], done["id"], done["thumbprint"]) == (old.name, new.name, thumbprint(new))
    assert done["renewal_files"] == [NAME, "b.example"]
    acmectl.run("renew", "--force-renewal", "-n").ok()
    assert acmectl.version(NAME) == 2


def test_the_old_key_opens_nothing_any_more(acmectl):
    acmectl.run("register", "-n", "--agree-tos").ok()
    (old,) = acmectl.account_dirs()
    kept = acmectl.folder / "kept"
    shutil.copytree(old, kept)
    acmectl.run("account", "rollover", "-n").ok()
    (new,) = acmectl.account_dirs()
    shutil.rmtree(new)
    shutil.copytree(kept, old)
    assert "does not know the account" in acmectl.run("show_account", "-n").failed().err


def test_the_key_stays_of_its_kind_unless_another_is_asked_for(acmectl):
    acmectl.run("register", "-n", "--agree-tos", "--rsa-key-size", "3072").ok()
    sizes = []
    for options in ((), ("--account-key-type", "ec384"), ()):
        acmectl.run("account", "rollover", "-n", *options).ok()
        (folder,) = acmectl.account_dirs()
        jwk = json.loads((folder / "private_key.json").read_text())
        sizes.append((jwk["kty"], jwk.get("crv") or len(jwk["n"])))
    assert sizes == [("RSA", 512), ("EC", "P-384"), ("EC", "P-384")]
    acmectl.certonly(NAME)


def test_only_renewal_files_that_name_the_account_are_touched(acmectl):
    first(acmectl, NAME, "b.example", "c.example")
    (old,) = acmectl.account_dirs()
    elsewhere, damaged = acmectl.renewal_path("b.example"), acmectl.renewal_path("c.example")
    elsewhere.write_text(elsewhere.read_text().replace(acmectl.pebble.directory_url, "https://other.example/dir"))
    damaged.write_text(f"# {old.name}\n[renewalparams\n")
    before = elsewhere.read_bytes(), damaged.read_bytes()
    done = acmectl.run("account", "rollover", "-n").ok()
    assert str(damaged) in done.err
    assert (elsewhere.read_bytes(), damaged.read_bytes()) == before
    (new,) = acmectl.account_dirs()
    assert acmectl.params(NAME)["account"] == new.name


def test_the_account_is_picked_as_everywhere(pebble, acmectl, tmp_path):
    acmectl.run("account", "rollover", "-n").failed()
    acmectl.run("register", "-n", "--agree-tos").ok()
    (one,) = acmectl.account_dirs()
    home = tmp_path / "other"
    home.mkdir()
    with Acmectl(pebble, home) as other:
        other.run("register", "-n", "--agree-tos").ok()
        (two,) = other.account_dirs()
        two.rename(one.parent / two.name)
    assert "--account" in acmectl.run("account", "rollover", "-n").failed().err
    acmectl.run("account", "rollover", "-n", "--account", two.name).ok()
    names = {path.name for path in acmectl.account_dirs()}
    assert len(names) == 2
    assert one.name in names
    assert two.name not in names


def test_a_configuration_file_that_names_the_old_account_is_pointed_out(acmectl):
    acmectl.run("register", "-n", "--agree-tos").ok()
    (old,) = acmectl.account_dirs()
    ini = acmectl.folder / "cli.ini"
    ini.write_text(f"account = {old.name}\n")
    done = acmectl.run("account", "rollover", "-n", "-c", str(ini)).ok()
    assert str(ini) in done.err


@pytest.mark.parametrize("words", [(), ("disagree",), ("rollover", "twice")])
def test_what_account_cannot_do_is_a_usage_error(acmectl, words):
    assert "rollover" in acmectl.run("account", *words, "-n").failed(2).err


# Through a server that interferes.


@pytest.fixture
def between(pebble):
    with Between(pebble) as server:
        yield server


@pytest.fixture
def behind(between, acmectl):
    """acmectl with an account and a certificate at the CA as it is seen through ``between``."""

    class Behind(Acmectl):
        @property
        def ca(self):
            flags = list(super().ca)
            flags[1] = between.directory_url
            return tuple(flags)

    with Behind(between.pebble, acmectl.folder) as program:
        program.certonly(NAME)
        yield program


def is_key_change(path: str) -> bool:
    return path.endswith("/rollover-account-key")


def without_log(acmectl: Acmectl) -> dict[str, object]:
    return {path: row for path, row in picture(acmectl.config).items() if "acmectl-ca" not in path}


def test_a_ca_without_key_change_changes_nothing(between, behind):
    def strip(_method, path, answer):
        if path != "/dir":
            return answer
        content = json.loads(answer.body)
        del content["keyChange"]
        return Answer(status=200, headers=answer.headers, body=json.dumps(content).encode())

    between.after = strip
    before = without_log(behind)
    done = behind.run("account", "rollover", "-n").failed()
    assert len(done.errors) == 1
    assert "does not offer" in done.err
    assert without_log(behind) == before


@pytest.mark.parametrize("status", [404, 501])
def test_a_ca_that_only_pretends_to_offer_it_changes_nothing(between, behind, status):
    between.before = lambda _method, path: Answer(status=status) if is_key_change(path) else None
    before = without_log(behind)
    done = behind.run("account", "rollover", "-n").failed()
    assert len(done.errors) == 1
    assert "does not offer" in done.err
    assert without_log(behind) == before


def test_a_refusal_is_told_in_the_cas_words_and_changes_nothing(between, behind):
    body = json.dumps({"type": "urn:ietf:params:acme:error:badPublicKey", "detail": "not that one"}).encode()
    refusal = Answer(status=400, headers=PROBLEM, body=body)
    between.before = lambda _method, path: refusal if is_key_change(path) else None
    before = without_log(behind)
    assert "not that one" in behind.run("account", "rollover", "-n").failed().err
    assert without_log(behind) == before


def test_a_lost_answer_does_not_lose_the_account(between, behind):
    told = []

    def lose(_method, path, answer):
        # A nonce that is refused is no answer to the change itself.
        if is_key_change(path) and not told and answer.status != 400:
            told.append(answer.status)
            raise LostError
        return answer

    (old,) = behind.account_dirs()
    between.after = lose
    behind.run("account", "rollover", "-n").ok()
    assert told == [200]
    assert sound(behind).name != old.name


def test_a_change_that_a_proxy_reports_as_a_failure_is_found_out(between, behind):
    told = []

    def hide(_method, path, answer):
        # A nonce that is refused is no answer to the change itself.
        if is_key_change(path) and not told and answer.status != 400:
            told.append(answer.status)
            return Answer(status=502)
        return answer

    (old,) = behind.account_dirs()
    between.after = hide
    behind.run("account", "rollover", "-n").ok()
    assert told == [200]
    assert sound(behind).name != old.name


def test_a_new_key_that_is_refused_for_some_seconds_is_waited_for(between, behind):
    refused = []

    def slow(_method, path, answer):
        # As a CA does whose servers do not all know the new key yet.
        if "/my-account/" in path and len(refused) < 2:
            refused.append(path)
            body = {"type": "urn:ietf:params:acme:error:malformed", "detail": "JWS verification error"}
            headers = {**PROBLEM, "Replay-Nonce": answer.headers["Replay-Nonce"]}
            return Answer(status=400, headers=headers, body=json.dumps(body).encode())
        return answer

    between.after = slow
    behind.run("account", "rollover", "-n").ok()
    assert len(refused) == 2
    refused.clear()
    # The next command may come to a server that does not know it yet either.
    behind.run("update_account", "-n", "-m", "new@a.example").ok()
    assert len(refused) == 2
    sound(behind)


@pytest.mark.parametrize("reached", [False, True], ids=["before", "after"])
def test_killed_at_the_request_the_next_command_finds_out_which_key_counts(between, behind, reached):
    runs, struck = [], []

    def kill(path):
        if is_key_change(path) and not struck:
            struck.append(path)
            os.kill(runs[0].pid, signal.SIGKILL)
            raise LostError

    if reached:
        between.after = lambda _method, path, answer: kill(path) or answer
    else:
        between.before = lambda _method, path: kill(path)
    (old,) = behind.account_dirs()
    runs.append(behind.start("account", "rollover", "-n"))
    assert runs[0].wait().code < 0
    (journal,) = journals(behind)
    assert stat.S_IMODE(journal.stat().st_mode) == 0o600
    assert sound(behind).name != old.name
    behind.run("renew", "--force-renewal", "-n").ok()
    assert behind.version(NAME) == 2


def test_a_change_in_question_waits_for_the_ca_and_holds_up_no_other(between, behind):
    down = []

    def lose(_method, path):
        if is_key_change(path):
            down.append(path)
        if down:
            raise LostError

    between.before = lose
    done = behind.run("account", "rollover", "-n").failed()
    assert "Run the command again" in done.err
    (journal,) = journals(behind)
    # A dry run writes no healing, so it can only refuse.
    between.before = lambda _method, _path: None
    assert (
        "account rollover"
        in behind.run("renew", "--dry-run", "-n", "--account", behind.params(NAME)["account"]).failed().err
    )
    assert journal.exists()
    between.before = lambda _method, _path: (_ for _ in ()).throw(LostError)
    assert "could not be finished" in behind.run("renew", "-n").err
    assert journal.exists()
    between.before = lambda _method, _path: None
    done = behind.run("account", "rollover", "-n", "--json").ok().json
    assert done["finished_earlier"] is True
    assert sound(behind).name == done["id"]


def test_a_change_that_the_ca_refuses_later_is_given_up(between, behind):
    (old,) = behind.account_dirs()
    down = []

    def lose(_method, path):
        if is_key_change(path):
            down.append(path)
        if down:
            raise LostError

    between.before = lose
    behind.run("account", "rollover", "-n").failed()
    between.before = lambda _method, path: Answer(status=501) if is_key_change(path) else None
    assert "keeps its key" in behind.run("renew", "-n").ok().err
    assert sound(behind) == old


# Killed at its system calls.

STEPS = {"rename", "mkdir", "unlink", "rmdir"}


def without_id(what: str) -> str:
    return re.sub(r"TOKEN\w+\.json", "JOURNAL", what)


def test_killed_at_any_step_the_next_command_finishes(tmp_path):
    with ground(tmp_path / "ground") as place:
        acmectl = place.acmectl
        acmectl.run(*first_issuance(place)).ok()
        # Without rotation of the log, so that the k-th call is the same one every time.
        rollover = ("account", "rollover", "-n", "--max-log-backups", "0")
        traced(acmectl, place.trace, rollover).ok()
        sound(acmectl)
        todo = [
            point
            for point in points(place.trace.read_text(), place.site)
            if (point.call in STEPS or (point.call == "fsync" and point.what.startswith("config/accounts ")))
            and ".lock" not in point.what
            and "logs/" not in point.what
            and not any(file in point.what for file in ("meta.json", "regr.json"))
        ]
        assert 10 <= len(todo) <= 15, todo
        versions = acmectl.version(NAME)
        for number, point in enumerate(todo):
            done = traced(acmectl, place.trace, rollover, fault=f"{point.call}:signal=SIGKILL:when={point.k}")
            assert done.code != 0, f"{point}\n{done}"
            struck = hit(place.trace, place.site)
            assert struck is not None, point
            assert without_id(struck.what) == without_id(point.what)
            # Whichever comes first finishes it; what was never sent is swept by a command that writes.
            for verb in (("renew", "show_account"), ("show_account", "renew"))[number % 2]:
                acmectl.run(verb, "-n").ok()
            sound(acmectl)
            assert place.leftovers() == [], str(point)
        acmectl.run("renew", "-n", "--force-renewal").ok()
        assert acmectl.version(NAME) == versions + 1


def test_a_change_with_a_ca_that_has_forgotten_the_account_is_given_up(tmp_path):
    with ground(tmp_path / "ground") as place, Between(place.pebble) as between:
        acmectl = place.acmectl
        server = ("--server", between.directory_url)
        acmectl.run(*server, "register", "-n", "--agree-tos").ok()
        (before,) = acmectl.account_dirs()
        down = []

        def lose(_method, path):
            if is_key_change(path) or down:
                down.append(path)
                raise LostError

        between.before = lose
        acmectl.run(*server, "account", "rollover", "-n").failed()
        assert len(journals(acmectl)) == 1
        between.before = lambda _method, _path: None
        place.pebble.stop()
        place.pebble.start()
        done = acmectl.run(*server, "unregister", "-n").ok()
        assert "keeps its key" in done.err
        assert journals(acmectl) == []
        assert not before.exists()


@pytest.mark.parametrize("changed", [False, True])
def test_a_ca_that_answers_the_question_in_its_own_words_is_asked_otherwise(between, behind, changed):
    (old,) = behind.account_dirs()
    down = []
    words = json.dumps({"type": "urn:ietf:params:acme:error:externalAccountRequired", "detail": "bind it"}).encode()

    def lose(_method, path):
        if is_key_change(path):
            down.append(path)
            if not changed:
                raise LostError
        elif down:
            raise LostError

    def after(_method, path, answer):
        if is_key_change(path):
            raise LostError
        return answer

    def stubborn(_method, path, answer):
        if path.endswith("/sign-me-up"):
            headers = {**PROBLEM, "Replay-Nonce": answer.headers["Replay-Nonce"]}
            return Answer(status=403, headers=headers, body=words)
        return answer

    between.before, between.after = lose, after
    behind.run("account", "rollover", "-n").failed()
    between.before, between.after = lambda _method, _path: None, stubborn
    assert behind.run("account", "rollover", "-n", "--json").ok().json["finished_earlier"] is True
    between.after = lambda _method, _path, answer: answer
    assert sound(behind).name != old.name
