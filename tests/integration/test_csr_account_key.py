"""CSR mode with an account key of one's own, as users of acme-tiny have it: openssl makes all, nothing is kept."""

import json
import os
import re
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from acmectl.acme.jws import AccountKey
from tests.integration.cli import PROGRAM, Acmectl, picture
from tests.integration.servers.pebble import Pebble, PebbleConfig
from tests.integration.servers.requirements import require
from tests.integration.servers.static import static_server

PEM = rb"(-----BEGIN CERTIFICATE-----\n([A-Za-z0-9+/=]{1,64}\n)+-----END CERTIFICATE-----\n)"
KEYS = {
    "pkcs8": "openssl genrsa -out KEY 2048",
    "pkcs1": "openssl genrsa -traditional -out KEY 2048",
    "sec1": "openssl ecparam -genkey -noout -name secp384r1 -out KEY",
    "sec1 with parameters": "openssl ecparam -genkey -name prime256v1 -out KEY",
    "pkcs8 ec": "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out KEY",
}
DEFAULT_DIRECTORIES = [Path(name) for name in ("/etc/acmectl", "/var/lib/acmectl", "/var/log/acmectl")]


def sh(folder, command):
    """Run what a person types, with keys for their owner alone."""
    subprocess.run(["sh", "-c", f"umask 077; {command}"], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def tiny(pebble, acmectl, public_folder):
    """A folder with account.key, domain.key and domain.csr, and a web server; ``run`` adds what every run needs."""
    require("openssl")
    sh(acmectl.cwd, KEYS["pkcs8"].replace("KEY", "account.key"))
    make_csr(acmectl.cwd, "tiny.example", "www.tiny.example")

    def run(*args, env=None):
        base = ("certonly", "-n", "--csr", "domain.csr", "--account-key", "account.key")
        return acmectl.run(*base, "--webroot", "-w", str(public_folder), *args, directories=False, env=env)

    acmectl.tiny = run
    with static_server(public_folder, pebble.http_port):
        yield acmectl


def make_csr(folder, *names, key="openssl genrsa -out domain.key 2048", subject="/"):
    sans = ",".join(f"DNS:{name}" for name in names)
    extension = f"-addext subjectAltName={sans}" if sans else ""
    sh(folder, f"{key} && openssl req -new -sha256 -key domain.key -subj '{subject}' {extension} -out domain.csr")


def traces(acmectl):
    """Everything that a run could have left behind."""
    return [picture(acmectl.folder), *(picture(folder) for folder in DEFAULT_DIRECTORIES)]


def orders(pebble, before):
    return [line for line in pebble.requests()[before:] if "order-plz" in line]


def public(pem):
    certificate = x509.load_pem_x509_certificate(pem.encode() if isinstance(pem, str) else pem)
    return certificate.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def public_of_key(folder, key="domain.key"):
    return subprocess.run(
        ["openssl", "pkey", "-in", key, "-pubout"], cwd=folder, check=True, capture_output=True
    ).stdout


def test_the_chain_goes_to_standard_output_and_nothing_else_goes_anywhere(tiny, public_folder):
    before = traces(tiny)
    done = tiny.tiny("--agree-tos", "--fullchain-path", "-").ok()
    assert re.fullmatch(PEM + b"{2}", done.out.encode()), done
    assert done.err == ""
    assert public(done.out) == public_of_key(tiny.cwd)
    assert traces(tiny) == before
    assert list(public_folder.rglob("*")) == []
    # The CA knows the key now, so nobody has to agree to anything again.
    again = tiny.tiny("--fullchain-path", "-").ok()
    assert re.fullmatch(PEM + b"{2}", again.out.encode())
    assert again.err == ""
    assert traces(tiny) == before


def test_the_commands_of_the_documentation(tiny, public_folder):
    text = (Path(__file__).parents[2] / "docs/csr.md").read_text()
    lines = text.partition("Coming from acme-tiny")[2].partition("```console\n")[2].partition("```")[0].splitlines()
    *making, obtaining = [line.removeprefix("$ ") for line in lines]
    answers = public_folder / ".well-known/acme-challenge"
    answers.mkdir(parents=True)
    for line in making:
        sh(tiny.cwd, line.replace(" 4096 ", " 2048 "))
    program = " ".join(["acmectl", *tiny.ca])
    command = obtaining.replace("acmectl", program).replace("/var/www/challenges", str(answers))
    environ = tiny.environ({"PATH": f"{Path(PROGRAM).parent}:{os.environ['PATH']}"})
    done = subprocess.run(["sh", "-c", command], cwd=tiny.cwd, env=environ, capture_output=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, b""), done
    assert public((tiny.cwd / "chain.pem").read_bytes()) == public_of_key(tiny.cwd)
    assert list(answers.iterdir()) == []
    crontab = text.partition("PATH=")[2].partition("```")[0]
    assert obtaining.rpartition(" > ")[0] in crontab


@pytest.mark.parametrize(("flag", "count"), [("--cert-path", 1), ("--chain-path", 1)])
def test_certificate_or_chain_alone_on_standard_output(tiny, flag, count):
    done = tiny.tiny("--agree-tos", flag, "-", "--fullchain-path", "full.pem").ok()
    assert re.fullmatch(PEM + b"{%d}" % count, done.out.encode()), done
    full = (tiny.cwd / "full.pem").read_text()
    assert full.startswith(done.out) if flag == "--cert-path" else full.endswith(done.out)
    assert sorted(os.listdir(tiny.cwd)) == ["account.key", "domain.csr", "domain.key", "full.pem"]


def test_files_are_written_whole_under_the_names_given(tiny):
    done = tiny.tiny(
        "--agree-tos", "--fullchain-path", "out/full.pem", "--cert-path", "c.pem", "--chain-path", "i.pem"
    ).ok()
    assert "Account registered." in done.out
    folder = tiny.cwd
    assert (folder / "out/full.pem").read_bytes() == (folder / "c.pem").read_bytes() + (folder / "i.pem").read_bytes()
    assert {path.stat().st_mode & 0o777 for path in folder.rglob("*.pem")} == {0o644}
    assert sorted(os.listdir(folder)) == ["account.key", "c.pem", "domain.csr", "domain.key", "i.pem", "out"]
    assert os.listdir(folder / "out") == ["full.pem"]


@pytest.mark.parametrize("kind", KEYS)
def test_every_usual_form_of_account_key_is_taken(tiny, kind):
    sh(tiny.cwd, KEYS[kind].replace("KEY", "account.key"))
    before = (tiny.cwd / "account.key").read_bytes()
    assert tiny.tiny("--agree-tos", "--cert-path", "-").ok().err == ""
    assert (tiny.cwd / "account.key").read_bytes() == before


@pytest.mark.parametrize("kind", ["rsa2048", "ec256", "ed25519"])
def test_a_jwk_as_account_key(tiny, kind):
    path = tiny.cwd / "account.key"
    path.write_text(AccountKey.generate(kind).jwk_json())
    if kind == "ed25519":
        tiny.tiny("--agree-tos", "--cert-path", "-").failed()  # Pebble takes RSA and EC alone, and says so
    else:
        assert tiny.tiny("--agree-tos", "--cert-path", "-").ok().err == ""


def test_a_certificate_for_an_ec_key(tiny):
    make_csr(tiny.cwd, "ec.example", key="openssl ecparam -genkey -name prime256v1 -out domain.key")
    done = tiny.tiny("--agree-tos", "--fullchain-path", "-").ok()
    assert public(done.out) == public_of_key(tiny.cwd)


def test_a_certificate_for_the_account_s_own_key_is_refused_before_the_order(tiny, pebble, public_folder):
    # RFC 8555 section 11.1.
    make_csr(tiny.cwd, "same.example", key="cp account.key domain.key")
    tiny.run("register", "-n", "--agree-tos", "--account-key", "account.key").ok()
    before = len(pebble.requests())
    for done in (
        tiny.tiny("--agree-tos", "--fullchain-path", "-"),
        tiny.run("certonly", "-n", "--csr", "domain.csr", "--webroot", "-w", str(public_folder)),
    ):
        assert done.failed().errors == ["The CSR has the account's key, and CAs refuse that."]
    assert orders(pebble, before) == []


def test_the_account_is_registered_as_any_other_is(tiny, pebble):
    refused = tiny.tiny("--fullchain-path", "-").failed()
    assert "terms of service" in refused.errors[0]
    assert refused.out == ""
    shown = tiny.tiny("--agree-tos", "-m", "a@tiny.example", "--fullchain-path", "full.pem").ok()
    assert "Account registered." in shown.out
    shutil.move(tiny.cwd / "full.pem", tiny.cwd / "old.pem")
    assert "Account registered." not in tiny.tiny("--fullchain-path", "full.pem").ok().out
    # register takes the key over into the tree, and finds the very same account.
    taken = tiny.run("register", "-n", "--agree-tos", "--account-key", "account.key", "--json").ok().json
    assert tiny.run("show_account", "--json").ok().json["contact"] == ["mailto:a@tiny.example"]
    assert taken["id"] == tiny.account_dirs()[0].name


def test_a_ca_that_binds_accounts_is_told_once(tmp_path):
    require("openssl")
    secret = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W"
    with Pebble(PebbleConfig(eab_keys={"kid-1": secret})) as binding, Acmectl(binding, tmp_path) as program:
        sh(program.cwd, KEYS["pkcs8"].replace("KEY", "account.key"))
        make_csr(program.cwd, "bound.example")
        args = ("certonly", "-n", "--agree-tos", "--standalone", "--csr", "domain.csr", "--account-key", "account.key")
        refused = program.run(*args, "--fullchain-path", "-", directories=False).failed()
        assert "external account binding" in refused.errors[0]
        bound = ("--eab-kid", "kid-1", "--eab-hmac-key", secret)
        program.run(*args, *bound, "--fullchain-path", "-", directories=False).ok()
        program.run(*args, "--fullchain-path", "-", directories=False).ok()


def test_a_dry_run_leaves_nothing(tiny):
    before = traces(tiny)
    assert "dry run was successful" in tiny.tiny("--agree-tos", "--dry-run").ok().out
    assert tiny.tiny("--dry-run", "--fullchain-path", "-").ok().out == ""
    assert traces(tiny) == before
    # What would stop the real run stops this one.
    refused = tiny.tiny("--dry-run", "--cert-path", "account.key").failed()
    assert "exists already" in refused.errors[0]


def test_a_key_that_others_can_read_is_warned_of(tiny):
    (tiny.cwd / "account.key").chmod(0o644)
    done = tiny.tiny("--agree-tos", "--cert-path", "-").ok()
    (line,) = done.err.splitlines()
    assert line.startswith("Warning: The account key ")
    assert "0644" in line


REFUSED = {
    "an encrypted key": ("openssl genrsa -aes128 -passout pass:secret -out account.key 2048", "encrypted"),
    "an old encrypted key": ("openssl genrsa -traditional -aes128 -passout pass:x -out account.key 2048", "encrypted"),
    "a small key": ("openssl genrsa -out account.key 1024", "1024"),
    "a public key": ("openssl pkey -in domain.key -pubout > account.key", "not a PEM private key"),
    "a JWK without its private part": ("""echo '{"kty":"RSA","n":"AQAB","e":"AQAB"}' > account.key""", "JWK"),
    "an empty key": (": > account.key", "not a PEM private key"),
    "bytes": ("head -c 300 /dev/urandom > account.key", "account.key"),
    "the certificate's key": ("cp domain.key account.key", "account's key"),
    "a small key in the CSR": (
        "openssl genrsa -out d.key 1024 && openssl req -new -key d.key -subj /CN=a.example -out domain.csr",
        "1024 bits",
    ),
    "a CSR without names": ("openssl req -new -key domain.key -subj /O=x -out domain.csr", "names nothing"),
    "a CSR with a bad signature": (
        "openssl req -in domain.csr -outform DER -out d.der && printf '\\0' | "
        "dd of=d.der bs=1 seek=$(($(wc -c < d.der) - 9)) conv=notrunc && mv d.der domain.csr",
        "signature",
    ),
    "an output that exists": (": > full.pem", "full.pem exists already"),
    "an output below a file": (": > sub", "sub is not a directory"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_mistakes_are_noticed_before_account_and_order(tiny, pebble, case):
    command, words = REFUSED[case]
    sh(tiny.cwd, command)
    out = "sub/full.pem" if case == "an output below a file" else "full.pem"
    before, asked = traces(tiny), len(pebble.requests())
    done = tiny.tiny("--agree-tos", "--fullchain-path", out).failed()
    assert words in done.errors[0], done
    assert done.out == ""
    assert traces(tiny) == before
    assert [line for line in pebble.requests()[asked:] if line.startswith("POST")] == []


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("--json", "--fullchain-path", "-"), "--json"),
        (("--cert-path", "-", "--chain-path", "-"), "Only one"),
        (("--fullchain-path", "a.pem", "--cert-path", "a.pem"), "two files"),
        (("--account", "abc"), "--account"),
        (("-d", "other.example"), "other.example"),
    ],
)
def test_options_that_contradict_each_other(tiny, args, words):
    before = traces(tiny)
    done = tiny.tiny("--agree-tos", *args).failed()
    assert words in (done.json["message"] if "--json" in args else done.errors[0])
    assert traces(tiny) == before


@pytest.mark.parametrize("args", [("certonly", "-d", "a.example"), ("renew",), ("revoke", "--cert-name", "a.example")])
def test_certificates_of_the_tree_have_their_accounts_there(tiny, args):
    done = tiny.run(*args, "-n", "--account-key", "account.key").failed()
    assert "live in accounts/" in done.errors[0]
    assert not tiny.config.exists()


def test_revoking_with_the_same_account_key(tiny, pebble):
    tiny.tiny("--agree-tos", "--cert-path", "cert.pem", "--fullchain-path", "full.pem").ok()
    sh(tiny.cwd, KEYS["sec1"].replace("KEY", "other.key"))
    unknown = tiny.run("revoke", "-n", "--cert-path", "cert.pem", "--account-key", "other.key").failed()
    assert "no account with the key" in unknown.errors[0]
    done = tiny.run("revoke", "-n", "--cert-path", "cert.pem", "--account-key", "account.key", "--json").ok()
    assert not done.json["already_revoked"]
    assert pebble.cert_status(int(done.json["serial"], 16)).status == "Revoked"
    assert tiny.account_dirs() == []


def test_a_signal_leaves_nothing_half_written(tiny, public_folder):
    fifo = public_folder / "fifo"
    os.mkfifo(fifo)
    hook = public_folder / "hook"
    hook.write_text(f"#!/bin/sh\necho here > {fifo}\nexec sleep 1000\n")
    hook.chmod(0o755)
    before = traces(tiny)
    args = ("certonly", "-n", "--agree-tos", "--csr", "domain.csr", "--account-key", "account.key")
    outputs = ("--fullchain-path", "full.pem", "--cert-path", "cert.pem")
    run = tiny.start(*args, *outputs, "--manual", "--manual-auth-hook", str(hook), directories=False)
    run.told(fifo)
    run.send(signal.SIGINT)
    done = run.wait().failed()
    assert done.errors
    after = traces(tiny)
    assert after == before


@pytest.mark.usefixtures("root")
def test_a_user_without_any_directory_of_acmectl(tiny, public_folder, pebble):
    require("setpriv")
    place = public_folder / "nobody"
    place.mkdir()
    for name in ("account.key", "domain.csr"):
        shutil.copy(tiny.cwd / name, place / name)
        os.chown(place / name, 65534, 65534)
    os.chown(place, 65534, 65534)
    (public_folder / ".well-known/acme-challenge").mkdir(parents=True)
    os.chown(public_folder / ".well-known/acme-challenge", 65534, 65534)
    # It may read the program, wherever that lies, and write nowhere but in its own folder.
    drop = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    drop += ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search", "--bounding-set=-all,+dac_read_search"]
    command = [*drop, PROGRAM, *tiny.ca, "certonly", "-n", "--agree-tos", "--csr", "domain.csr"]
    command += ["--account-key", "account.key", "--webroot", "-w", str(public_folder)]
    environ = {"HOME": "/nonexistent", "PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1"}
    before = picture(public_folder)
    done = subprocess.run([*command, "--fullchain-path", "-"], cwd=place, env=environ, capture_output=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stderr == b""
    assert re.fullmatch(PEM + b"{2}", done.stdout)
    assert picture(public_folder) == before
    refused = subprocess.run([*command, "--fullchain-path", "../full.pem"], cwd=place, env=environ, capture_output=True)
    assert refused.returncode == 1
    assert b"not a directory that you may write to" in refused.stderr
    assert not Path("/nonexistent").exists()


def test_a_standard_output_that_takes_nothing_is_no_success(tiny, public_folder, pebble):
    options = ("certonly", "-n", "--agree-tos", "--csr", "domain.csr", "--account-key", "account.key")
    options += ("--webroot", "-w", str(public_folder), "--fullchain-path", "-")
    command = " ".join([PROGRAM, *tiny.ca, *options])
    for where, words, ordered in ((">&-", "is closed", 0), ("> /dev/full", "No space left", 1)):
        asked = len(pebble.requests())
        done = subprocess.run(
            ["sh", "-c", f"{command} {where}"], cwd=tiny.cwd, env=tiny.environ(), capture_output=True, text=True
        )
        assert done.returncode == 1, done
        assert words in done.stderr
        assert bool(orders(pebble, asked)) is bool(ordered)


def test_a_log_is_written_only_where_it_is_asked_for(tiny):
    tiny.tiny("--agree-tos", "--fullchain-path", "-", "--logs-dir", str(tiny.logs)).ok()
    assert "certonly" in tiny.log()
    key = json.loads(AccountKey.from_pem((tiny.cwd / "account.key").read_bytes()).jwk_json())
    assert key["d"] not in tiny.log()
    assert not tiny.config.exists()
