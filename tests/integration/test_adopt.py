"""adopt: what it says of a tree of certbot's, file by file, and that it writes nothing."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.integration.cli import Acmectl, picture
from tests.integration.fleet import DAY, plant
from tests.integration.hosts import script
from tests.integration.test_takeover import run_as_printed

NAME = "a.example"


@pytest.fixture
def tree(acmectl: Acmectl) -> Acmectl:
    """A tree with an account."""
    acmectl.run("register", "-n", "--agree-tos").ok()
    return acmectl


def adopt(acmectl: Acmectl, *options: str, code: int) -> dict[str, Any]:
    """Its report, in JSON, after which nothing has changed; the same in words has no traceback."""
    before = picture(acmectl.config)
    argv = ("adopt", str(acmectl.config), "--work-dir", str(acmectl.work), "--logs-dir", str(acmectl.logs), *options)
    words = acmectl.run(*argv, server=False, directories=False)
    assert words.code == code, words
    assert "Traceback" not in words.err
    report = acmectl.run(*argv, "--json", server=False, directories=False)
    assert report.code == code, report
    assert picture(acmectl.config) == before
    return report.json


def findings(acmectl: Acmectl, name: str = NAME, *, code: int = 1) -> list[tuple[str, str, str, str | None]]:
    """Weight, file, what and todo of all that is said of a lineage."""
    (lineage,) = [one for one in adopt(acmectl, code=code)["lineages"] if one["name"] == name]
    assert lineage["renewable"] is all(one["weight"] != "problem" for one in lineage["findings"])
    return [(one["weight"], one["path"], one["what"], one["todo"]) for one in lineage["findings"]]


def problem(acmectl: Acmectl, name: str = NAME) -> tuple[str, str, str]:
    """File, what and todo of the only problem."""
    (found,) = [rest for weight, *rest in findings(acmectl, name) if weight == "problem"]
    path, what, todo = found
    return str(path), str(what), str(todo)


def edit(acmectl: Acmectl, before: str, after: str, name: str = NAME) -> None:
    path = acmectl.renewal_path(name)
    assert before in path.read_text()
    path.write_text(path.read_text().replace(before, after))


def renews(acmectl: Acmectl, name: str = NAME) -> bool:
    """Whether renew, which is asked to, does what adopt said it can."""
    return acmectl.run("renew", "--force-renewal", "--cert-name", name, server=False).code == 0


def test_a_sound_tree_can_be_renewed(tree: Acmectl) -> None:
    plant(tree, NAME)
    plant(tree, "later.example", left=80 * DAY)
    done = tree.run("adopt", str(tree.config), server=False).ok()
    assert f"  {NAME}: can be renewed; expires on " in done.out
    assert "due now: less than a third of its lifetime is left" in done.out
    assert f"To have acmectl work in this tree from now on: acmectl adopt {tree.config} --apply" in done.out
    report = adopt(tree, code=0)
    assert report["schema"] == "acmectl.adopt/1"
    assert report["renewable"] is True
    first, second = report["lineages"]
    assert (first["name"], first["due"], first["findings"]) == (NAME, True, [])
    assert (second["due"], second["identifiers"]) == (False, [{"type": "dns", "value": "later.example"}])
    assert renews(tree)


def test_what_is_no_tree_is_refused(tree: Acmectl, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for folder in ("empty", "nowhere"):
        failed = tree.run("adopt", str(tmp_path / folder), server=False).failed()
        assert "is no tree of certbot's" in failed.err
    assert not (tmp_path / "nowhere").exists()
    assert "takes one directory" in tree.run("adopt", "a", "b", server=False).failed(2).err


def test_renewal_files_that_cannot_be_read(tree: Acmectl) -> None:
    for name in ("broken.example", "bare.example", "nobody.example", "empty.example"):
        plant(tree, name)
    tree.renewal_path("broken.example").write_text("[renewalparams\nx")
    edit(tree, "[renewalparams]", "[elsewhere]", "bare.example")
    edit(tree, "authenticator = standalone\n", "", "nobody.example")
    tree.renewal_path("empty.example").write_bytes(b"")
    path, what, todo = problem(tree, "broken.example")
    assert path == str(tree.renewal_path("broken.example"))
    assert "cannot be read" in what
    assert "acmectl delete --config-dir" in todo
    assert "no section [renewalparams]" in problem(tree, "bare.example")[1]
    assert "has no authenticator" in problem(tree, "nobody.example")[1]
    path, what, todo = problem(tree, "empty.example")
    assert (what[:11], todo) == ("it is empty", f"rm {path}")
    command = problem(tree, "nobody.example")[2].replace("--webroot -w DIR", "--standalone")
    run_as_printed(tree, command)
    assert findings(tree, "nobody.example") == []
    assert renews(tree, "nobody.example")


def test_links_that_lead_nowhere(tree: Acmectl) -> None:
    for name in ("copied.example", "dangling.example", "gone.example", "switching.example"):
        plant(tree, name)
    copied = tree.live("copied.example")
    content = copied.read_bytes()
    copied.unlink()
    copied.write_bytes(content)
    _path, what, todo = problem(tree, "copied.example")
    assert f"{copied} is not a symbolic link" in what
    assert not renews(tree, "copied.example")
    run_as_printed(tree, todo)
    assert Path(f"{copied}.saved").read_bytes() == content
    assert findings(tree, "copied.example", code=0) == []
    assert renews(tree, "copied.example")
    # What renew heals by itself is no problem.
    tree.live("dangling.example").unlink()
    ((weight, _path, what, _todo),) = findings(tree, "dangling.example", code=0)
    assert weight == "note"
    assert "the next renew makes version 1 live again" in what
    assert renews(tree, "dangling.example")
    shutil.rmtree(tree.config / "archive/gone.example")
    assert "acmectl delete" in problem(tree, "gone.example")[2]
    live = tree.config / "live/switching.example"
    for kind in ("cert", "chain", "fullchain", "privkey"):
        (live / f"previous_{kind}.pem").symlink_to(os.readlink(live / f"{kind}.pem"))
    ((weight, where, what, _todo),) = findings(tree, "switching.example")
    assert (weight, where) == ("note", str(live))
    assert "was interrupted" in what


def test_an_account_that_is_not_there(tree: Acmectl) -> None:
    plant(tree, NAME, params={"account": "0123456789abcdef0123456789abcdef"})
    _path, what, todo = problem(tree)
    assert "its account 0123456789abcdef0123456789abcdef is not in" in what
    assert not renews(tree)
    run_as_printed(tree, todo)
    assert findings(tree, code=0) == []
    assert renews(tree)
    shutil.rmtree(tree.config / "accounts")
    assert "acmectl register " in problem(tree)[2]


def test_authenticators_that_are_not_there(tree: Acmectl) -> None:
    credentials = tree.folder / "cloudflare.ini"
    credentials.write_text("dns_cloudflare_api_token = secret\n")
    credentials.chmod(0o640)
    plant(tree, NAME, params={"authenticator": "dns-nowhere", "dns_nowhere_credentials": str(credentials)})
    plant(tree, "hand.example", params={"authenticator": "manual", "pref_challs": "dns-01,"})
    plant(tree, "apache.example", params={"authenticator": "apache", "installer": "apache"})
    found = findings(tree)
    assert "secret" not in json.dumps(found)
    by_path = {path: (what, todo) for _weight, path, what, todo in found}
    what, todo = by_path[str(credentials)]
    assert "has mode 0640" in what
    assert todo == f"chmod 600 {credentials}"
    assert "dns-nowhere" in by_path[str(tree.renewal_path(NAME))][0]
    (tree.config / "cli.ini").write_text("allow-insecure-credentials = true\n")
    assert str(credentials) not in {path for _weight, path, *_rest in findings(tree)}
    (tree.config / "cli.ini").unlink()
    credentials.chmod(0o600)
    assert str(credentials) not in {path for _weight, path, *_rest in findings(tree)}
    credentials.unlink()
    assert "No such file" in {path: what for _w, path, what, _t in findings(tree)}[str(credentials)]
    credentials.touch(0o644)
    plant(tree, "alone.example", params={"dns_nowhere_credentials": str(credentials)})
    assert [weight for weight, *_rest in findings(tree, "alone.example")] == ["note"]
    _path, what, todo = problem(tree, "hand.example")
    assert "needs a person at every renewal" in what
    assert todo.endswith("--cert-name hand.example --manual-auth-hook COMMAND")
    _path, what, todo = problem(tree, "apache.example")
    assert "authenticator = apache is certbot's plugin" in what
    assert todo.startswith("acmectl reconfigure -n ")
    assert "apache-reload" in todo


def test_web_roots_that_are_lost(tree: Acmectl, tmp_path: Path) -> None:
    plant(tree, NAME, webroot=tmp_path / "gone")
    _path, what, todo = problem(tree)
    assert what == f"the web root {tmp_path}/gone of {NAME} does not exist"
    assert " --webroot -w DIR" in todo
    (tmp_path / "gone").mkdir()
    assert findings(tree, code=0) == []


def test_hooks_that_cannot_run(tree: Acmectl, tmp_path: Path) -> None:
    shut = tmp_path / "shut"
    shut.write_text("#!/bin/sh\n")
    fine = script(tmp_path / "fine", "true")
    plant(tree, NAME, params={"pre_hook": f"{shut} --now", "renew_hook": "nowhere-to-be-found", "post_hook": fine})
    plant(tree, "shell.example", params={"pre_hook": "if true; then X=1 true; fi", "post_hook": "A=b true && (cd /)"})
    found = {what: (weight, todo) for weight, _path, what, todo in findings(tree)}
    assert found[f"pre_hook: {shut} is not executable"] == ("problem", f"chmod +x {shut}")
    weight, todo = found["renew_hook: there is no nowhere-to-be-found"]
    assert weight == "warning"
    assert str(todo).endswith("--deploy-hook COMMAND")
    assert len(found) == 2
    assert findings(tree, "shell.example") == []


def test_hooks_of_the_directories_and_words_that_they_look_for(tree: Acmectl, tmp_path: Path) -> None:
    plant(tree, NAME, params={"renew_hook": f"{script(tmp_path / 'copy', 'cp /etc/letsencrypt/live/x/cert.pem /srv')}"})
    deploy = tree.config / "renewal-hooks/deploy"
    script(deploy / "reload", "# letsencrypt\nif grep -q letsencrypt /etc/nginx/*; then true; fi")
    script(deploy / "fine", 'cp "$RENEWED_LINEAGE/cert.pem" /srv')
    (deploy / "asleep").write_text("#!/bin/sh\n")
    (deploy / "lost").write_text("#!/no/where/perl\n")
    (deploy / "lost").chmod(0o755)
    found = {Path(one["path"]).name: one for one in adopt(tree, code=0)["findings"]}
    assert found.keys() == {"reload", "asleep", "lost", "copy"}
    assert {one["weight"] for one in found.values()} == {"warning"}
    assert "line 3 searches for the word letsencrypt" in found["reload"]["what"]
    assert "line 2 names /etc/letsencrypt" in found["copy"]["what"]
    assert found["asleep"]["todo"] == f"chmod +x {deploy}/asleep"
    assert "/no/where/perl does not exist" in found["lost"]["what"]


def test_options_that_certbot_had_once_are_a_note(tree: Acmectl) -> None:
    plant(tree, NAME, params={"manual_public_ip_logging_ok": "True", "autorenew": "False"})
    found = [(weight, what) for weight, _path, what, _todo in findings(tree, code=0)]
    assert ("note", "manual_public_ip_logging_ok has no effect any more") in found
    assert ("note", "autorenew = False, so renew leaves it alone") in found


def test_challenges_that_are_no_longer_there(tree: Acmectl) -> None:
    plant(tree, NAME, params={"pref_challs": "tls-sni-01,"})
    plant(tree, "short.example", params={"pref_challs": "http,dns"})
    _path, what, todo = problem(tree)
    assert what == "pref_challs asks for tls-sni-01, which standalone does not do"
    assert findings(tree, "short.example") == []
    assert not renews(tree)
    run_as_printed(tree, todo)
    assert findings(tree, code=0) == []
    assert renews(tree)


def test_a_value_that_is_none(tree: Acmectl) -> None:
    plant(tree, NAME, params={"reuse_key": "perhaps"})
    _path, what, _todo = problem(tree)
    assert "reuse_key is 'perhaps'" in what


def test_the_trees_own_cli_ini_counts(tree: Acmectl, tmp_path: Path) -> None:
    plant(tree, NAME, params={"authenticator": "dns-nowhere"})
    assert findings(tree)
    cli_ini = tree.config / "cli.ini"
    cli_ini.write_text("authenticator = standalone\nno-self-upgrade = 0\n")
    assert findings(tree, code=0) == []
    (note,) = adopt(tree, code=0)["findings"]
    assert (note["weight"], note["path"]) == ("note", str(cli_ini))
    cli_ini.write_text("no-such-option = 1\n")
    (found,) = adopt(tree, code=1)["findings"]
    assert (found["weight"], found["path"]) == ("problem", str(cli_ini))
    assert "line 1" in found["what"]
    secret = tmp_path / "secret.ini"
    secret.write_text("x")
    secret.chmod(0o644)
    cli_ini.write_text(f"dns-cloudflare-credentials = {secret}\n")
    found = {one["path"]: one for one in adopt(tree, code=1)["findings"]}  # the authenticator is missing again
    assert found[str(secret)]["weight"] == "warning"
    assert found[str(secret)]["todo"] == f"chmod 600 {secret}"


def test_a_holder_of_the_lock_is_a_note(tree: Acmectl) -> None:
    plant(tree, NAME)
    with tree.holding_locks() as run:
        report = tree.run("adopt", str(tree.config), "--json", server=False).ok().json
        held = {one["path"]: one["what"] for one in report["findings"]}
        assert str(tree.config / ".certbot.lock") in held
        assert f"process {run.pid} holds this lock now" in held[str(tree.config / ".certbot.lock")]


def test_a_file_with_control_characters_cannot_drive_the_terminal(tree: Acmectl) -> None:
    plant(tree, NAME, params={"authenticator": "nginx"})
    edit(tree, "authenticator = nginx", "authenticator = ngi\x1b[31mnx")
    done = tree.run("adopt", str(tree.config), server=False).failed()
    assert "\x1b" not in done.out + done.err


@pytest.fixture(autouse=True)
def no_servers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The web servers of this machine say nothing about the certificates of the test."""
    monkeypatch.setenv("NGINX_RELOAD_CONFIG", str(tmp_path / "no-nginx"))
    monkeypatch.setenv("APACHE_RELOAD_CONFIG", str(tmp_path / "no-apache"))
