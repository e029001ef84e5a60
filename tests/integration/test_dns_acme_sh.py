"""dns-acme-sh: acme.sh's own scripts, and one in their style, run by the real program or by the real acme.sh."""

from __future__ import annotations

import http.server
import json
import os
import shutil
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from acmectl.actions.programs import Programs
from acmectl.events import Event, HookOutput
from acmectl.plugin.api import Context, PluginError
from acmectl.plugin.dns import TxtRecord
from acmectl.plugin.testing import make_context
from acmectl_plugins.dns_acme_sh import AcmeSh
from tests.integration.cli import Acmectl
from tests.integration.servers.acme_sh import acme_sh_folder
from tests.integration.servers.dns_lab import PRIMARY, DnsLab, secret
from tests.integration.servers.requirements import require
from tests.integration.test_secrets import said


@pytest.fixture
def acmectl(dns_lab, dns_pebble, tmp_path) -> Iterator[Acmectl]:
    with dns_lab.acmectl(dns_pebble, tmp_path) as program:
        yield program


def acme_sh_options(folder: Path, hook: str, lines: str, scripts: Path) -> tuple[str, ...]:
    path = folder / "acme-sh.ini"
    path.write_text(lines)
    path.chmod(0o600)
    return (
        *("-a", "dns-acme-sh", "--dns-acme-sh-credentials", str(path)),
        *("--dns-acme-sh-folder", str(scripts), "--dns-acme-sh-hook", hook),
    )


def test_acme_sh_s_own_script_for_nsupdate_works(acmectl: Acmectl, dns_lab: DnsLab, tmp_path: Path) -> None:
    require("nsupdate")
    key = tmp_path / "tsig.key"
    key.write_text(f'key "acmectl-key" {{ algorithm hmac-sha256; secret "{secret("acmectl-key")}"; }};\n')
    lines = f"NSUPDATE_SERVER = {PRIMARY}\nNSUPDATE_KEY = {key}\n"
    options = acme_sh_options(tmp_path, "dns_nsupdate", lines, acme_sh_folder())
    acmectl.certonly("shell.example.test", "*.shell.example.test", options=options)
    assert dns_lab.txt("_acme-challenge.shell.example.test") == set()
    saved = tmp_path / "acme-sh.ini.saved"
    assert saved.stat().st_mode & 0o777 == 0o600
    assert f"SAVED_NSUPDATE_SERVER='{PRIMARY}'" in json.loads(saved.read_text())["account"]
    assert not (acmectl.home / ".acme.sh").exists()

    # What was saved is given back: now the credentials file may do without it.
    (tmp_path / "acme-sh.ini").write_text("NSUPDATE_OPT = -v\n")
    acmectl.run("renew", "--force-renewal").ok()
    assert acmectl.version("shell.example.test") == 2
    assert dns_lab.txt("_acme-challenge.shell.example.test") == set()


SCRIPT = """\
#!/usr/bin/env sh
dns_test_info='A script for a test'

dns_test_add() {
  fulldomain=$1
  txtvalue=$2
  TEST_Token="${TEST_Token:-$(_readaccountconf_mutable TEST_Token)}"
  if [ -z "$TEST_Token" ]; then
    _err "There is no TEST_Token."
    return 1
  fi
  _saveaccountconf_mutable TEST_Token "$TEST_Token"
  _savedomainconf TEST_Place "$fulldomain"
  env >"$TEST_Folder/environment"
  _info "adding $txtvalue"
  export _H1="Authorization: Bearer $TEST_Token"
  if ! response="$(_post "{\\"name\\":\\"$fulldomain\\",\\"value\\":\\"$txtvalue\\"}" "$TEST_Url/add")"; then
    _err "The service did not answer."
    return 1
  fi
  _contains "$response" "done"
}

dns_test_rm() {
  [ "$(_readdomainconf TEST_Place)" = "$1" ] || return 7
  _cleardomainconf TEST_Place
  response="$(_get "$TEST_Url/rm?name=$1&value=$2")" && _contains "$response" "done"
}
"""
CANARY = "canary-token-$(touch x)`id`"


class Web:
    """What dns_test talks to: TXT values by name, and the requests."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.asked: list[tuple[str, str, str]] = []
        self.answer = "done"


@pytest.fixture
def web() -> Iterator[Web]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def _handle(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
            made.asked.append((self.path, body, self.headers.get("Authorization", "")))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(made.answer.encode())

        do_GET = do_POST = _handle  # noqa: N815

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name in the base class
            """Say nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        made = Web(server.server_address[1])
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        yield made
        server.shutdown()
        thread.join()


RECORD = TxtRecord(name="_acme-challenge.a.example", value="v" * 43, zone="a.example")


class Bench:
    """The plugin with acme.sh and dns_test, made as in a new process each time."""

    def __init__(self, folder: Path, web: Web) -> None:
        self.folder = folder
        self.scripts = folder / "scripts"
        (self.scripts / "dnsapi").mkdir(parents=True)
        shutil.copy(acme_sh_folder() / "acme.sh", self.scripts)
        self.write(SCRIPT)
        self.file = folder / "credentials.ini"
        self.file.write_text("")
        self.file.chmod(0o600)
        self.saved = folder / "credentials.ini.saved"
        self.secrets: list[str] = []
        self.warnings: list[str] = []
        self.events: list[Event] = []
        self.variables = {"TEST_Token": CANARY, "TEST_Url": web.url, "TEST_Folder": str(folder)}

    def write(self, text: str) -> None:
        """Make the script."""
        (self.scripts / "dnsapi" / "dns_test.sh").write_text(text)

    def plugin(self, **options: object) -> AcmeSh:
        """A new instance."""
        context: Context = make_context(warn=self.warnings.append)
        runner = Programs(
            clock=context.clock,
            interrupts=context.interrupts,
            observe=self.events.append,
            environ={**os.environ, "OTHER_SECRET": "canary-of-another"},
        )
        context = replace(context, run_program=runner, keep_secret=self.secrets.append)
        given = {"credentials": str(self.file), "folder": str(self.scripts), "hook": "dns_test", **options}
        made = AcmeSh(given, self.variables, context)
        made.check()
        return made

    def refusal(self, **options: object) -> PluginError:
        """What is said when the record cannot be added."""
        with pytest.raises(PluginError) as caught:
            self.plugin(**options).add(RECORD)
        assert caught.value.message.isprintable()
        return caught.value


@pytest.fixture
def bench(tmp_path: Path, web: Web) -> Bench:
    require("curl")
    return Bench(tmp_path, web)


def test_a_script_in_acme_sh_s_style_adds_and_removes(bench: Bench, web: Web) -> None:
    plugin = bench.plugin()
    plugin.add(RECORD)
    plugin.remove(RECORD)
    added, removed = web.asked
    assert added[0] == "/add"
    assert json.loads(added[1]) == {"name": RECORD.name, "value": RECORD.value}
    assert added[2] == f"Bearer {CANARY}"
    assert removed[0] == f"/rm?name={RECORD.name}&value={RECORD.value}"
    lines = [event.line for event in bench.events if isinstance(event, HookOutput)]
    assert f"adding {RECORD.value}" in lines


def test_what_is_saved_is_given_back_to_a_later_process_for_the_same_name(bench: Bench, web: Web) -> None:
    bench.plugin().add(RECORD)
    content = json.loads(bench.saved.read_text())
    assert content["account"] == f"SAVED_TEST_Token='{CANARY}'\n"
    assert content["domains"] == {RECORD.name: f"TEST_Place='{RECORD.name}'\n"}
    assert bench.saved.stat().st_mode & 0o777 == 0o600
    bench.plugin().remove(RECORD)
    assert json.loads(bench.saved.read_text())["domains"] == {}
    del bench.variables["TEST_Token"]
    bench.plugin().add(RECORD)
    assert web.asked[-1][2] == f"Bearer {CANARY}"
    assert CANARY in bench.secrets


def test_nothing_is_done_by_the_shell_to_values(bench: Bench, web: Web, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    odd = replace(RECORD, name="_acme-challenge.$(touch${IFS}y);'a.example")
    bench.plugin().add(odd)
    assert json.loads(web.asked[0][1])["name"] == odd.name
    assert not (tmp_path / "x").exists()
    assert not (tmp_path / "y").exists()


def test_scripts_get_no_other_secrets_and_leave_nothing_in_home(bench: Bench, tmp_path: Path, monkeypatch) -> None:
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    bench.plugin().add(RECORD)
    environment = (tmp_path / "environment").read_text()
    assert "canary-of-another" not in environment
    assert f"HOME={home}" not in environment
    assert list(home.iterdir()) == []
    assert sorted(path.name for path in bench.scripts.rglob("*")) == ["acme.sh", "dns_test.sh", "dnsapi"]


@pytest.mark.parametrize(
    ("options", "wrong"),
    [
        ({"folder": None}, "needs the folder where acme.sh is"),
        ({"folder": "/nowhere"}, "There is no acme.sh in /nowhere."),
        ({"hook": None}, "needs the name of a script."),
        ({"hook": "dns_absent"}, "dnsapi/dns_absent.sh."),
        ({"hook": "../../dns_test"}, "'../../dns_test' is none."),
    ],
)
def test_what_is_missing_is_known_before_the_order(bench: Bench, options: dict[str, object], wrong: str) -> None:
    assert wrong in bench.refusal(**options).message


@pytest.mark.parametrize("name", ["PATH", "LD_PRELOAD", "not-a-variable", "ACCOUNT_CONF_PATH", "IFS"])
def test_names_that_are_no_variables_of_scripts_are_refused(bench: Bench, name: str) -> None:
    bench.variables[name] = "x"
    assert bench.refusal().message == f"{bench.file}: {name} is no variable of acme.sh's scripts."


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("dns_test_add() { exit 5; }\n", "acme.sh's dns_test failed for dns-acme-sh add of"),
        ("dns_test_add() { return 4; }\n", "with exit status 4."),
        ("dns_other_add() { :; }\n", "with exit status 127."),
        ("dns_test_add( {\n", "acme.sh's dns_test failed"),
        ("dns_test_add() { :; }\nfalse\n", "with exit status 1."),
    ],
)
def test_a_script_that_fails_is_one_clear_line(bench: Bench, text: str, wrong: str) -> None:
    bench.write(text)
    assert wrong in bench.refusal().message


def test_a_script_that_hangs_is_ended(bench: Bench) -> None:
    bench.write("dns_test_add() { _saveaccountconf_mutable TEST_Kept yes; sleep 1000; }\n")
    assert "ran longer than 1 seconds" in bench.refusal(timeout=1).message
    assert "SAVED_TEST_Kept='yes'" in json.loads(bench.saved.read_text())["account"]


def test_a_service_that_says_no_is_the_script_s_failure(bench: Bench, web: Web) -> None:
    web.answer = "refused"
    assert "with exit status 1." in bench.refusal().message


def test_a_saved_file_that_others_can_read_or_that_is_damaged_is_refused(bench: Bench) -> None:
    bench.plugin().add(RECORD)
    bench.saved.chmod(0o644)
    assert "has mode 0644" in bench.refusal().message
    bench.saved.chmod(0o600)
    later = '{"format": 2, "account": "", "domains": {}}'
    for text in ("{", "[]", '{"format": 1, "account": "", "domains": 3}', later, "\xff"):
        bench.saved.write_bytes(text.encode("latin-1"))
        assert "is damaged" in bench.refusal().message


def test_what_cannot_be_saved_is_a_warning_for_the_record_is_there(bench: Bench, web: Web, monkeypatch) -> None:
    def full(*_arguments: object) -> int:
        raise OSError(28, "No space left on device")

    plugin = bench.plugin()
    with monkeypatch.context() as patch:
        patch.setattr("acmectl.plugin.files.os.fsync", full)
        plugin.add(RECORD)
    assert len(web.asked) == 1
    assert "No space left on device" in bench.warnings[0]
    assert list(bench.folder.glob("*.tmp")) == []


def test_no_secret_reaches_the_logs(acmectl: Acmectl, bench: Bench, web: Web) -> None:
    bench.write(SCRIPT.replace("_info ", 'echo "token $TEST_Token"; _info '))
    bench.file.write_text("".join(f"{name} = {value}\n" for name, value in bench.variables.items()))
    options = ("-a", "dns-acme-sh", "--dns-acme-sh-credentials", str(bench.file))
    more = ("--dns-acme-sh-folder", str(bench.scripts), "--dns-acme-sh-hook", "dns_test")
    done = acmectl.certonly("www.example.test", options=(*options, *more, "--no-dns-propagation-check", "-vvv",
                            "--dns-propagation-seconds", "0"), code=1)  # fmt: skip
    logs = "\n".join(path.read_text() for path in acmectl.logs.rglob("*") if path.is_file())
    assert "adding" in said(acmectl, done)
    assert CANARY not in logs
