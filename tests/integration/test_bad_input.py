"""Bad input, row by row: one clear line, the right exit status, no traceback, nothing left behind."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.crash.ground import Ground, first_issuance, ground
from tests.integration.crash.table import Bad, Case, check
from tests.integration.servers.process import free_port

CERTONLY = ("certonly", "-n", "--standalone")
SMALL = ("--key-type", "rsa", "--rsa-key-size", "1024")
FORCED = ("--force-renewal",)
LABEL = "x" * 64
LONG = ".".join(["a" * 61] * 4) + ".example"

ROWS: dict[str, Case] = {}


def row(name: str, *args: str, words: tuple[str, ...], code: int = 1) -> None:
    """A row that needs nothing but a command line."""
    ROWS[name] = lambda _place: Bad(args=args, words=words, code=code)


def case(function: Case) -> Case:
    """A row that has to set something up first."""
    ROWS[function.__name__.replace("_", " ").strip()] = function
    return function


# Command lines

row("unknown flag", *CERTONLY, "--no-such-flag", words=("--no-such-flag",), code=2)
row("flag with a slip", *CERTONLY, "--force-renewel", words=("--force-renewel", "--force-renewal"), code=2)
row("ambiguous prefix", *CERTONLY, "--manual-", words=("--manual-",), code=2)
row("unknown verb", "certifcates", words=("certifcates", "certificates"), code=2)
row("two verbs", "certificates", "renew", words=("certificates", "renew"), code=2)
row("a value is missing", "certonly", "-n", "-d", words=("-d",), code=2)
row("a switch with a value", "certonly", "--force-renewal=yes", words=("--force-renewal",), code=2)
row("unknown choice", *CERTONLY, "-d", "a.example", "--key-type", "dsa", words=("--key-type", "dsa"), code=2)
row("no number", *CERTONLY, "--http-01-port", "http", words=("--http-01-port", "'http'"), code=2)
row("port too large", *CERTONLY, "--http-01-port", "70000", words=("--http-01-port", "70000"), code=2)
row("port zero", *CERTONLY, "--http-01-port", "0", words=("--http-01-port", "0"), code=2)
row("two authenticators", *CERTONLY, "--manual", "-d", "x.example", words=("standalone", "manual"))
row("unknown authenticator", "certonly", "-n", "-a", "nginxx", "-d", "x.example", words=("nginxx",))
row("a config file that is missing", "certonly", "-c", "/nonexistent/cli.ini", words=("/nonexistent/cli.ini",), code=2)
row("renew with names", "renew", "-n", "-d", "a.example", words=("renew", "-d"))
row("interactive and not", "certonly", "-n", "--force-interactive", words=("--force-interactive",))
row("revoke without a certificate", "revoke", "-n", words=("--cert-name", "--cert-path"))
row("unknown reason", "revoke", "-n", "--cert-name", "a.example", "--reason", "boredom", words=("boredom",), code=2)

# Names

row("no names", *CERTONLY, words=("-d",))
row("an international name", *CERTONLY, "-d", "bücher.example", words=("ASCII", "xn--bcher-kva.example"))
row("254 characters", *CERTONLY, "-d", LONG, words=("longer than 253",))
row("a label of 64", *CERTONLY, "-d", f"{LABEL}.example", words=("label", "63"))
row("an empty label", *CERTONLY, "-d", "a..example", words=("a..example", "empty label"))
row("a name of nothing", *CERTONLY, "-d", "", words=("empty",), code=2)
row("a wildcard in the middle", *CERTONLY, "-d", "a.*.example", words=("*",))
row("an underscore", *CERTONLY, "-d", "_dmarc.example/", words=("_dmarc.example/",))
row("a wildcard by http-01", *CERTONLY, "-d", "*.example", words=("*.example", "DNS"))
row("an address as a name", *CERTONLY, "-d", "192.0.2.1", words=("192.0.2.1", "--ip-address"))
row("a URL as a name", *CERTONLY, "-d", "https://a.example/", words=("URL", "host name"))
row("no address", *CERTONLY, "--ip-address", "192.0.2.256", words=("192.0.2.256", "IP address"))
row("a name with an escape", *CERTONLY, "-d", "\x1b[31ma.example", words=("example",))
ROWS["a name with an escape"] = lambda _place: Bad(
    args=(*CERTONLY, "-d", "\x1b[31ma.example"), words=("example",), never=("\x1b",)
)

# Names of certificates

for bad_name in ("../x", ".", "..", "a/b", "a\x1bb", "a\nb", "x" * 300):
    shown = bad_name[:10].encode("unicode_escape").decode()
    ROWS[f"cert-name {shown}"] = lambda _place, bad=bad_name: Bad(
        args=(*CERTONLY, "-d", "x.example", "--cert-name", bad), words=("certificate name",), never=("\x1b",)
    )
row("cert-name of nothing", *CERTONLY, "-d", "x.example", "--cert-name", "", words=("name is empty",))
row("unknown certificate to delete", "delete", "-n", "--cert-name", "none.example", words=("none.example",))
row("unknown certificate to renew", "renew", "-n", "--cert-name", "none.example", words=("none.example",))
row("unknown certificate to revoke", "revoke", "-n", "--cert-name", "none.example", words=("none.example",))
row("delete of nothing named", "delete", "-n", words=("--cert-name",))

# Keys

row("a small RSA key", *CERTONLY, "-d", "x.example", *SMALL, words=("1024", "2048"))
row("an unknown curve", *CERTONLY, "-d", "x.example", "--elliptic-curve", "secp112r1", words=("secp112r1",), code=2)
row("another kind of key", *CERTONLY, "-d", "a.example", *FORCED, "--key-type", "rsa", words=("rsa", "--cert-name"))

# Files


@case
def an_unknown_key_in_cli_ini(place: Ground) -> Bad:
    (place.acmectl.config / "cli.ini").write_text("emial = me@example.org\n")
    return Bad(args=("certificates",), words=("cli.ini", "line 1", "emial", "email"), code=2)


@case
def a_bad_boolean_in_cli_ini(place: Ground) -> Bad:
    (place.acmectl.config / "cli.ini").write_text("\nstandalone = maybe\n")
    return Bad(args=("certificates",), words=("cli.ini", "line 2", "standalone", "maybe"), code=2)


@case
def a_cli_ini_that_is_no_text(place: Ground) -> Bad:
    (place.acmectl.config / "cli.ini").write_bytes(b"email = \xff\xfe\x00\n")
    return Bad(args=("certificates",), words=("cli.ini", "UTF-8"), code=2)


@case
def a_cli_ini_that_is_a_directory(place: Ground) -> Bad:
    (place.acmectl.config / "cli.ini").mkdir()
    return Bad(args=("certificates",), words=("cli.ini", "irectory"), code=2)


@case
def a_cli_ini_that_nobody_may_read(place: Ground) -> Bad:
    (place.acmectl.config / "cli.ini").write_text("email = me@example.org\n")
    (place.acmectl.config / "cli.ini").chmod(0)
    return Bad(args=("certificates",), words=("cli.ini", "ermission"), code=2, without_privilege=True)


@case
def a_bad_environment_variable(_place: Ground) -> Bad:
    env = {"ACMECTL_HTTP_01_PORT": "many"}
    return Bad(args=("certificates",), words=("ACMECTL_HTTP_01_PORT", "many"), code=2, env=env)


@case
def a_renewal_file_with_garbage(place: Ground) -> Bad:
    place.acmectl.renewal_path("a.example").write_bytes(b"\x00\xff[[[")
    args = (*CERTONLY, "-d", "a.example", "--cert-name", "a.example", "--force-renewal")
    return Bad(args=args, words=("a.example.conf",))


@case
def a_renewal_file_without_paths(place: Ground) -> Bad:
    place.acmectl.renewal_path("a.example").write_text("version = 5.0\n")
    args = (*CERTONLY, "-d", "a.example", "--cert-name", "a.example", "--force-renewal")
    return Bad(args=args, words=("a.example",))


@case
def a_damaged_lineage(place: Ground) -> Bad:
    link = place.acmectl.live("a.example", "cert")
    link.unlink()
    link.write_text("no link any more")
    args = (*CERTONLY, "-d", "a.example", "--cert-name", "a.example", "--force-renewal")
    return Bad(args=args, words=("a.example", "cert.pem"))


@case
def an_archive_of_somebody(place: Ground) -> Bad:
    folder = place.acmectl.config / "archive" / "x.example"
    folder.mkdir()
    (folder / "privkey1.pem").write_text("somebody's")
    return Bad(args=(*CERTONLY, "-d", "x.example"), words=("archive/x.example", "not empty"))


@case
def a_live_directory_of_somebody(place: Ground) -> Bad:
    folder = place.acmectl.config / "live" / "x.example"
    folder.mkdir()
    (folder / "note").write_text("somebody's")
    return Bad(args=(*CERTONLY, "-d", "x.example"), words=("live/x.example", "not empty"))


@case
def an_account_with_a_damaged_key(place: Ground) -> Bad:
    key = next(iter(place.acmectl.account_dirs())) / "private_key.json"
    key.chmod(0o600)
    key.write_text('{"kty": "RSA"}')
    return Bad(args=(*CERTONLY, "-d", "x.example"), words=("account", "key"))


@case
def a_config_directory_that_is_a_file(place: Ground) -> Bad:
    path = place.site / "file"
    path.write_text("")
    directories = ("--config-dir", str(path), "--work-dir", str(place.acmectl.work))
    directories += ("--logs-dir", str(place.acmectl.logs))
    return Bad(args=(*CERTONLY, "-d", "x.example"), words=(str(path), "irectory"), directories=directories)


@case
def a_logs_directory_below_a_file(place: Ground) -> Bad:
    path = place.site / "file"
    path.write_text("")
    directories = ("--config-dir", str(place.acmectl.config), "--work-dir", str(place.acmectl.work))
    directories += ("--logs-dir", str(path / "logs"))
    return Bad(args=(*CERTONLY, "-d", "x.example"), words=(str(path), "irectory"), directories=directories)


@case
def a_config_directory_that_nobody_may_write_to(place: Ground) -> Bad:
    folder = place.site / "parent"
    folder.mkdir(mode=0o555)
    directories = ("--config-dir", str(folder / "config"), "--work-dir", str(place.acmectl.work))
    directories += ("--logs-dir", str(place.acmectl.logs))
    words = (str(folder), "ermission denied", "--config-dir")
    return Bad(args=(*CERTONLY, "-d", "x.example"), words=words, directories=directories, without_privilege=True)


@case
def a_logs_directory_that_nobody_may_write_to(place: Ground) -> Bad:
    place.acmectl.logs.chmod(0o555)
    return Bad(args=(*CERTONLY, "-d", "x.example"), words=("logs", "ermission denied"), without_privilege=True)


@case
def a_renewal_directory_that_nobody_may_write_to(place: Ground) -> Bad:
    place.acmectl.config.chmod(0o555)
    return Bad(args=(*CERTONLY, "-d", "x.example"), words=("ermission denied", "config"), without_privilege=True)


# Webroots


@case
def a_webroot_that_is_missing(place: Ground) -> Bad:
    path = str(place.site / "nowhere")
    return Bad(args=("certonly", "-n", "--webroot", "-w", path, "-d", "x.example"), words=(path,))


@case
def a_webroot_that_is_a_file(place: Ground) -> Bad:
    path = place.site / "index.html"
    path.write_text("")
    return Bad(args=("certonly", "-n", "--webroot", "-w", str(path), "-d", "x.example"), words=(str(path), "irectory"))


@case
def a_webroot_that_nobody_may_write_to(place: Ground) -> Bad:
    folder = place.site / "locked"
    folder.mkdir(mode=0o555)
    args = ("certonly", "-n", "--webroot", "-w", str(folder), "-d", "x.example")
    return Bad(args=args, words=(str(folder), "cannot be written to"), without_privilege=True)


row("a webroot for nobody", "certonly", "-n", "--webroot", "-d", "x.example", words=("x.example", "-w"))


@case
def a_webroot_map_that_is_no_json(_place: Ground) -> Bad:
    return Bad(args=("certonly", "-n", "--webroot", "--webroot-map", "{a.example:"), words=("--webroot-map", "JSON"))


# Standalone and manual


@case
def a_port_in_use(place: Ground) -> Bad:
    port = str(place.pebble.management_port)
    args = (*CERTONLY, "-d", "x.example", "--http-01-port", port)
    return Bad(args=args, words=(port, "pebble", str(place.pebble._process.pid)))


@case
def a_port_that_needs_root(_place: Ground) -> Bad:
    return Bad(args=(*CERTONLY, "-d", "x.example", "--http-01-address", "192.0.2.1"), words=("192.0.2.1",))


MANUAL = ("certonly", "-n", "--manual", "-d", "x.example")

row("manual without a hook and nobody there", *MANUAL, words=("--manual-auth-hook",))
row("a hook that does not exist", *MANUAL, "--manual-auth-hook", "/nonexistent/hook", words=("/nonexistent/hook",))
row("a hook that fails", *MANUAL, "--manual-auth-hook", "sh -c 'exit 3'", words=("x.example",))
row("a pre hook that does not exist", *CERTONLY, "-d", "x.example", "--pre-hook", "no-such-command", words=("no-such",))
row("a pre hook that fails", *CERTONLY, "-d", "x.example", "--pre-hook", "false", words=("pre-hook",))
row("an empty hook", *CERTONLY, "-d", "x.example", "--deploy-hook", " ", words=("--deploy-hook", "empty"))


@case
def a_hook_that_is_not_executable(place: Ground) -> Bad:
    path = place.site / "hook.sh"
    path.write_text("#!/bin/sh\n")
    return Bad(args=(*MANUAL, "--manual-auth-hook", str(path)), words=(str(path), "not executable"))


# Requests made elsewhere


@case
def a_csr_that_is_missing(place: Ground) -> Bad:
    path = str(place.site / "none.csr")
    return Bad(args=(*CERTONLY, "--csr", path), words=("--csr", "No such file"), code=2)


@case
def a_csr_of_garbage(place: Ground) -> Bad:
    path = place.site / "garbage.csr"
    path.write_bytes(os.urandom(300))
    return Bad(args=(*CERTONLY, "--csr", str(path)), words=("CSR",))


@case
def a_certificate_in_place_of_a_csr(place: Ground) -> Bad:
    path = place.acmectl.live("a.example")
    return Bad(args=(*CERTONLY, "--csr", str(path)), words=("certificate",))


def make_csr(place: Ground) -> Path:
    path = place.site / "x.csr"
    command = ["openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    command += ["-subj", "/", "-addext", "subjectAltName=DNS:x.example", "-keyout", "/dev/null", "-out", str(path)]
    subprocess.run(command, check=True, capture_output=True)
    return path


@case
def a_csr_for_other_names(place: Ground) -> Bad:
    return Bad(args=(*CERTONLY, "--csr", str(make_csr(place)), "-d", "y.example"), words=("y.example",))


@case
def an_output_file_that_exists(place: Ground) -> Bad:
    taken = place.site / "cert.pem"
    taken.write_text("mine")
    args = (*CERTONLY, "--csr", str(make_csr(place)), "--cert-path", str(taken))
    return Bad(args=args, words=(str(taken), "exists"))


# The CA, and the way to it


@case
def nothing_listens_at_the_ca(_place: Ground) -> Bad:
    port = free_port()
    server = f"https://127.0.0.1:{port}/dir"
    return Bad(args=(*CERTONLY, "-d", "x.example"), words=(f"127.0.0.1:{port}", "refused"), server=server)


@case
def a_ca_that_has_no_address(_place: Ground) -> Bad:
    return Bad(args=(*CERTONLY, "-d", "x.example"), words=("ca.invalid", "resolved"), server="https://ca.invalid/dir")


@case
def a_ca_with_an_untrusted_certificate(place: Ground) -> Bad:
    import certifi

    return Bad(args=(*CERTONLY, "-d", "x.example"), words=("not trusted", "--ca-bundle"), bundle=certifi.where())


@case
def a_ca_bundle_that_is_missing(_place: Ground) -> Bad:
    path = "/nonexistent/ca.pem"
    return Bad(args=(*CERTONLY, "-d", "x.example"), words=(path, "No such"), bundle=path)


@case
def a_ca_bundle_without_certificates(place: Ground) -> Bad:
    path = place.site / "empty.pem"
    path.write_text("nothing\n")
    return Bad(args=(*CERTONLY, "-d", "x.example"), words=(str(path), "PEM"), bundle=str(path))


@case
def a_directory_over_http(place: Ground) -> Bad:
    server = place.pebble.directory_url.replace("https:", "http:")
    return Bad(args=(*CERTONLY, "-d", "x.example"), words=("https",), server=server)


@case
def a_directory_over_http_unverified(place: Ground) -> Bad:
    server = place.pebble.directory_url.replace("https:", "http:")
    return Bad(args=(*CERTONLY, "-d", "x.example", "--no-verify-ssl"), words=("https",), server=server)


@case
def a_server_that_is_no_url(_place: Ground) -> Bad:
    return Bad(args=(*CERTONLY, "-d", "x.example"), words=("letsencrypt",), server="letsencrypt")


@case
def a_page_that_is_no_directory(place: Ground) -> Bad:
    server = f"{place.pebble.management_url}/roots/0"
    return Bad(args=(*CERTONLY, "-d", "x.example"), words=("directory",), server=server)


# Accounts

row("an unknown account", *CERTONLY, "-d", "x.example", "--account", "0" * 32, words=("0" * 32,))
row("an account that is there", "register", "-n", "--agree-tos", words=("account", "already"))
row("no address to update", "update_account", "-n", words=("--email",))
row("no e-mail address", "update_account", "-n", "-m", "nobody", words=("nobody", "name@example.org"))
row("half a binding", *CERTONLY, "-d", "x.example", "--eab-kid", "kid", words=("--eab-kid", "--eab-hmac-key"))


@case
def terms_that_nobody_agreed_to(place: Ground) -> Bad:
    fresh = ("--config-dir", str(place.site / "fresh"), "--work-dir", str(place.acmectl.work))
    fresh += ("--logs-dir", str(place.acmectl.logs))
    return Bad(
        args=(*CERTONLY, "-d", "x.example"), words=("terms", "--agree-tos"), directories=fresh, may_change=("fresh",)
    )


@case
def several_accounts(place: Ground) -> Bad:
    first = place.acmectl.account_dirs()[0]
    copy = first.parent / ("f" * 32)
    copy.mkdir(mode=0o700)
    for file in first.iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    return Bad(args=(*CERTONLY, "-d", "x.example"), words=("accounts", "--account", first.name, "f" * 32))


@case
def no_authenticator(_place: Ground) -> Bad:
    return Bad(args=("certonly", "-n", "-d", "x.example"), words=("authenticator", "--webroot"))


@pytest.fixture(scope="module")
def kept(tmp_path_factory) -> Iterator[Ground]:
    """A ground with an account and the certificate a.example."""
    with ground(tmp_path_factory.mktemp("bad") / "ground") as place:
        place.acmectl.run(*first_issuance(place)).ok()
        place.keep()
        yield place


@pytest.mark.parametrize("name", ROWS)
def test_bad_input_ends_with_one_clear_line_and_leaves_nothing_behind(name, kept):
    kept.restore()
    try:
        check(kept, ROWS[name](kept))
    finally:
        for folder in (kept.acmectl.config, kept.acmectl.logs):
            folder.chmod(0o755)


def test_the_table_has_its_forty_rows():
    assert len(ROWS) >= 40
