"""What goes where: exit codes, standard output and error, --json, -q; where a value comes from."""

import json
import os
import stat

import pytest

from acmectl.identifiers import Identifier
from acmectl.pki.csr import make_csr
from acmectl.pki.keys import KeySpec, generate_key
from tests.integration.cli import Acmectl
from tests.integration.servers.static import static_server


def one_object(done, schema):
    """The result of a --json run: one object with that schema on standard output, at most warnings beside it."""
    content = done.json
    assert content["schema"] == schema, str(done)
    assert json.loads(done.out) == content
    unexpected = [line for line in done.err.splitlines() if not line.startswith(("Warning: ", "Error: "))]
    return content, unexpected


def test_every_command_gives_one_json_object_and_nothing_else(pebble, acmectl):
    csr = acmectl.cwd / "request.pem"
    steps = [
        ("account", ("register", "--agree-tos", "-m", "a@a.example")),
        ("account", ("show_account",)),
        ("account", ("update_account", "-m", "b@a.example")),
        ("certificate", ("certonly", "--standalone", "-d", "j.example", "--pre-hook", "echo loud")),
        ("certificate", ("certonly", "--standalone", "-d", "j.example")),
        ("certificate", ("certonly", "--standalone", "-d", "j.example", "--dry-run")),
        ("certificates", ("certificates",)),
        ("plugins", ("plugins",)),
        ("renewals", ("renew",)),
        ("renewals", ("renew", "--force-renewal", "--deploy-hook", "echo loud")),
        ("csr", ("certonly", "--standalone", "--csr", str(csr))),
        ("revoked", ("revoke", "--cert-name", "j.example", "--no-delete-after-revoke")),
        ("deleted", ("delete", "--cert-name", "j.example")),
        ("account", ("unregister",)),
    ]
    csr.write_bytes(make_csr(generate_key(KeySpec.from_short("ec256")), [Identifier.dns("csr.example")]))
    for kind, args in steps:
        content, unexpected = one_object(acmectl.run(*args, "--json").ok(), f"acmectl.{kind}/1")
        assert unexpected == [], args
        assert len(content) > 1, args


@pytest.mark.parametrize(
    ("args", "code"),
    [
        (("show_account",), 1),
        (("delete", "--cert-name", "none.example"), 1),
        (("revoke", "--cert-name", "none.example"), 1),
        (("renew", "--cert-name", "none.example"), 1),
        (("certonly", "--standalone", "-d", "not/a/name"), 1),
        (("certonly", "--standalone"), 1),
        (("certonly", "--no-such-flag"), 2),
        (("certonly", "certonly"), 2),
    ],
)
def test_a_failure_under_json_is_one_object_too(acmectl, args, code):
    done = acmectl.run(*args, "--json").failed(code)
    content, unexpected = one_object(done, "acmectl.error/1")
    assert unexpected == [] or unexpected == [content["hint"]]
    assert content["exit_code"] == code
    assert content["message"]
    assert len(done.errors) == 1


def test_a_failed_challenge_under_json_names_its_identifier(pebble, acmectl):
    pebble.dns.add_a("far.example", "127.0.0.9")
    done = acmectl.certonly("far.example", options=("--standalone", "--http-01-address", "127.0.0.1", "--json"), code=1)
    pebble.dns.clear_a("far.example")
    (failure,) = done.json["failures"]
    assert failure["identifier"] == {"type": "dns", "value": "far.example"}
    assert failure["type"] == "connection"
    assert failure["challenge"] == "http-01"


def test_json_goes_with_no_question(acmectl):
    done = acmectl.run("certonly", "--standalone", "-d", "a.example", "--json").failed()
    assert "terms of service" in done.json["message"]


def test_quiet_says_nothing_unless_something_is_wrong(acmectl):
    for args in (
        ("register", "--agree-tos"),
        ("certonly", "--standalone", "-d", "q.example", "--pre-hook", "echo loud; echo louder >&2"),
        ("certificates",),
        ("renew",),
        ("renew", "--force-renewal"),
        ("revoke", "--cert-name", "q.example"),
    ):
        done = acmectl.run(*args, "-q").ok()
        assert (done.out, done.err) == ("", ""), str(done)
    failed = acmectl.run("renew", "--cert-name", "q.example", "-q").failed()
    assert failed.out == ""
    assert len(failed.errors) == 1
    assert len(failed.err.splitlines()) <= 2


def test_status_is_on_standard_output_and_troubles_on_standard_error(acmectl):
    done = acmectl.certonly("s.example")
    assert done.out.startswith("Account registered.\nRequesting a certificate for s.example\n")
    assert done.err == f"The log goes to {acmectl.logs / 'acmectl.log'}\n"
    failed = acmectl.run("renew", "--cert-name", "none.example").failed()
    assert failed.out == ""
    assert failed.err.splitlines()[-1] == f"Details are in {acmectl.logs / 'acmectl.log'}"


def test_usage_errors_are_exit_2_and_leave_nothing_behind(acmectl):
    for args in (
        ("--no-such-flag",),
        ("certonly", "renew"),
        ("certonly", "--key-type", "wood"),
        ("certonly", "--rsa-key-size", "many"),
        ("certonly", "-c", "/nowhere/cli.ini"),
        ("frobnicate",),
    ):
        done = acmectl.run(*args).failed(2)
        assert len(done.err.splitlines()) == 1, done.err
        assert done.out == ""
    assert not acmectl.config.exists()
    assert not acmectl.logs.exists()


def test_the_verb_may_stand_anywhere_and_no_value_is_taken_for_one(pebble, acmectl):
    acmectl.run("-n", "-d", "run.example", "--agree-tos", "certonly", "--standalone").ok()
    # No verb at all means certonly, and --cert-name renew is a name.
    acmectl.run("-n", "--standalone", "-d", "b.example", "--cert-name", "renew").ok()
    assert acmectl.lineages() == ["renew", "run.example"]
    for verb in ("auth", "run"):
        done = acmectl.run("-n", "--standalone", "-d", "run.example", verb).ok()
        assert "is kept" in done.out
    assert acmectl.run("--cert-name", "renew", "certificates", "--json").ok().json["certificates"][0]["name"] == "renew"


def test_abbreviated_flags_are_understood(acmectl):
    done = acmectl.run(
        "certonly", "-n", "--agree", "--stand", "--domain", "abbr.example", "--preferred-chal", "http"
    ).ok()
    assert "abbr.example" in done.out


def test_help_and_version_write_nothing(acmectl):
    assert acmectl.run("--version", server=False).ok().out.startswith("acmectl ")
    for args in (("--help",), ("--help", "all"), ("renew", "--help"), ("help", "webroot"), ("--help", "security")):
        assert len(acmectl.run(*args, server=False).ok().out) > 200, args
    assert not acmectl.config.exists()
    assert not acmectl.logs.exists()


def stored(acmectl, name="p.example"):
    params = acmectl.params(name)
    return params["key_type"], params.get("rsa_key_size"), params.get("elliptic_curve")


def test_flags_go_before_environment_before_files_before_the_renewal_file(acmectl, tmp_path):
    own = tmp_path / "own.ini"
    own.write_text("key-type = rsa\nrsa-key-size = 3072\n")
    user = acmectl.home / ".config" / "acmectl" / "cli.ini"
    user.parent.mkdir(parents=True)
    acmectl.config.mkdir(mode=0o755)
    directory = acmectl.config / "cli.ini"
    issue = (
        "certonly",
        "-n",
        "--agree-tos",
        "--standalone",
        "--force-renewal",
        "--cert-name",
        "p.example",
        "-d",
        "p.example",
    )

    directory.write_text("elliptic_curve = secp384r1   # underscores too\n")
    acmectl.run(*issue).ok()
    assert stored(acmectl) == ("ecdsa", None, "secp384r1")
    user.write_text("elliptic-curve = secp521r1\n")
    acmectl.run(*issue).ok()
    assert stored(acmectl) == ("ecdsa", None, "secp521r1")
    acmectl.run(*issue, "-c", str(own)).ok()
    assert stored(acmectl)[:2] == ("rsa", "3072")
    acmectl.run(*issue, "-c", str(own), env={"ACMECTL_RSA_KEY_SIZE": "2048"}).ok()
    assert stored(acmectl)[:2] == ("rsa", "2048")
    acmectl.run(*issue, "-c", str(own), "--rsa-key-size", "4096", env={"ACMECTL_RSA_KEY_SIZE": "2048"}).ok()
    assert stored(acmectl)[:2] == ("rsa", "4096")
    # What is stored holds where nothing is said, and gives way to a file.
    user.unlink()
    directory.unlink()
    acmectl.run("renew", "--force-renewal").ok()
    assert stored(acmectl)[:2] == ("rsa", "4096")
    directory.write_text("rsa-key-size = 2048\n")
    acmectl.run("renew", "--force-renewal").ok()
    assert stored(acmectl)[:2] == ("rsa", "2048")


def test_everything_can_come_from_the_environment(pebble, acmectl, public_folder):
    env = {
        "ACMECTL_CONFIG_DIR": str(acmectl.config),
        "ACMECTL_WORK_DIR": str(acmectl.work),
        "ACMECTL_LOGS_DIR": str(acmectl.logs),
        "ACMECTL_SERVER": pebble.directory_url,
        "ACMECTL_CA_BUNDLE": str(pebble.ca_bundle),
        "ACMECTL_AGREE_TOS": "true",
        "ACMECTL_NON_INTERACTIVE": "1",
        "ACMECTL_AUTHENTICATOR": "webroot",
        "ACMECTL_WEBROOT_PATH": str(public_folder),
        "ACMECTL_DOMAINS": "env.example,www.env.example",
    }
    with static_server(public_folder, pebble.http_port):
        acmectl.run(server=False, directories=False, env=env).ok()
    assert acmectl.names("env.example") == ["env.example", "www.env.example"]
    bad = acmectl.run(server=False, directories=False, env={**env, "ACMECTL_RSA_KEY_SIZE": "many"}).failed(2)
    assert "ACMECTL_RSA_KEY_SIZE" in bad.err


def test_cli_ini_of_the_configuration_directory_is_read_with_its_own_rules(pebble, acmectl):
    acmectl.config.mkdir(mode=0o755)
    (acmectl.config / "cli.ini").write_text(
        f"""\
# a comment
; another
[section lines mean nothing]
server: {pebble.directory_url}
ca-bundle = "{pebble.ca_bundle}"
http-01-port {pebble.http_port}
agree-tos
non-interactive = yes
authenticator = standalone   ; trailing
reuse-key = true
domains = ini.example, www.ini.example
"""
    )
    acmectl.run("certonly", "--no-reuse-key", server=False).ok()
    assert acmectl.names("ini.example") == ["ini.example", "www.ini.example"]
    assert acmectl.params("ini.example").get("reuse_key", "False") == "False"
    # renew does not take the names for its own.
    acmectl.run("renew", server=False).ok()
    (acmectl.config / "cli.ini").write_text("no-such-option = 1\n")
    assert "cli.ini line 1" in acmectl.run("renew", server=False).failed(2).err


def test_odd_umasks_make_no_key_readable(acmectl):
    before = os.umask(0)
    try:
        acmectl.certonly("u.example")
    finally:
        os.umask(before)
    keys = [path for path in acmectl.folder.rglob("privkey*.pem") if not path.is_symlink()]
    keys += list(acmectl.config.rglob("private_key.json"))
    assert len(keys) == 2
    assert not [path for path in keys if stat.S_IMODE(path.stat().st_mode) & 0o077]


def test_the_log_is_private_and_holds_no_secret(acmectl):
    acmectl.run("certonly", "-n", "--agree-tos", "--standalone", "-d", "log.example", "-vv").ok()
    path = acmectl.logs / "acmectl.log"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    text = path.read_text()
    assert "/order-plz" in text
    assert "PRIVATE KEY" not in text
    (account,) = acmectl.account_dirs()
    key = json.loads((account / "private_key.json").read_text())
    assert not [name for name in ("d", "p", "q") if key[name] in text]


def test_the_ca_bundle_is_remembered_for_its_ca(pebble, acmectl):
    acmectl.certonly("trust.example")
    options = ("--server", pebble.directory_url, "--http-01-port", str(pebble.http_port))
    acmectl.run("renew", "--force-renewal", *options, server=False).ok()
    acmectl.run("show_account", "-n", *options, server=False).ok()
    with Acmectl(None, acmectl.folder / "home") as stranger:
        refused = stranger.run("register", "-n", "--agree-tos", *options).failed()
    assert "--ca-bundle" in refused.err
