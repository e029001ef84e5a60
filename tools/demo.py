"""``make demo``: the life of two certificates, by the real command line, against a CA on this machine.

Everything lies below ``.demo/`` of the checkout; each run starts afresh there and stops what it started.
"""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from cryptography import x509

from tests.integration.servers.pebble import Pebble
from tests.integration.servers.process import ServerError
from tests.integration.servers.static import static_server
from tools.get_pebble import PebbleMissingError

CHECKOUT = Path(__file__).resolve().parent.parent
DEMO = CHECKOUT / ".demo"
WEBROOT = DEMO / "www"
ACMECTL = Path(sys.executable).parent / "acmectl"
BY_WEBROOT = "webroot.demo.test"
BY_STANDALONE = "standalone.demo.test"
COMMAND_SECONDS = 120


class DemoError(Exception):
    """A step did not do what it should; the message says which."""


def title(text: str) -> None:
    """Say what comes next."""
    print(f"\n== {text}", flush=True)


def acmectl(*arguments: str) -> None:
    """Show a command line and run it. Raises: DemoError when it fails."""
    folders = ["--config-dir", ".demo/config", "--work-dir", ".demo/work", "--logs-dir", ".demo/logs"]
    command = ["acmectl", *arguments, *folders]
    print(f"$ {shlex.join(command)}", flush=True)
    try:
        result = subprocess.run(
            [str(ACMECTL), *command[1:]], cwd=CHECKOUT, stdin=subprocess.DEVNULL, timeout=COMMAND_SECONDS
        )
    except subprocess.TimeoutExpired as error:
        raise DemoError(f"acmectl {arguments[0]} took longer than {COMMAND_SECONDS} s") from error
    if result.returncode:
        raise DemoError(f"acmectl {arguments[0]} ended with status {result.returncode}")


def live(name: str) -> Path:
    """Where the current files of a certificate are."""
    return DEMO / "config" / "live" / name


def serial(name: str) -> int:
    """Serial number of the certificate that is live now."""
    return x509.load_pem_x509_certificate((live(name) / "cert.pem").read_bytes()).serial_number


def expect(truth: bool, what: str) -> None:
    """Raises: DemoError unless ``truth``."""
    if not truth:
        raise DemoError(f"{what} did not happen")


def tell_the_story(pebble: Pebble) -> None:
    """Every step, in order. Raises: DemoError at the first that goes wrong."""
    shutil.copy(pebble.ca_bundle, DEMO / "ca.pem")
    authority = ["--server", pebble.directory_url, "--ca-bundle", ".demo/ca.pem"]
    account = ["-n", "--agree-tos", "--email", "you@example.org"]

    title("A certificate by webroot: a web server is running, acmectl puts files into its folder")
    with static_server(WEBROOT, pebble.http_port):
        acmectl("certonly", "--webroot", "-w", ".demo/www", "-d", BY_WEBROOT, *account, *authority)
    first = serial(BY_WEBROOT)

    title("A certificate by standalone: no web server is running, acmectl answers the CA itself")
    port = str(pebble.http_port)
    acmectl("certonly", "--standalone", "--http-01-port", port, "-d", BY_STANDALONE, *account, *authority)

    title("What there is")
    acmectl("certificates")

    title("Renew one (long before it is due, so by force) and run a command when it was renewed")
    hook = 'echo "deployed $RENEWED_LINEAGE" | tee .demo/deployed'
    with static_server(WEBROOT, pebble.http_port):
        acmectl("renew", "--cert-name", BY_WEBROOT, "--force-renewal", "--deploy-hook", hook)
    expect(serial(BY_WEBROOT) != first, "the renewal")
    expect((DEMO / "deployed").is_file(), "the deploy hook")

    title("Revoke the other")
    revoked = serial(BY_STANDALONE)
    acmectl("revoke", "--cert-name", BY_STANDALONE, "--reason", "superseded", "--no-delete-after-revoke", "-n")
    status = pebble.cert_status(revoked)
    expect(status is not None and status.status == "Revoked", "the revocation")
    print(f"The CA now says of {BY_STANDALONE}: revoked")


def show_places() -> None:
    """Where everything lies."""
    title("Where things lie")
    for path, what in (
        (live(BY_WEBROOT) / "fullchain.pem", "the certificate for a web server"),
        (live(BY_WEBROOT) / "privkey.pem", "its private key"),
        (DEMO / "config" / "archive" / BY_WEBROOT, "every version of both"),
        (DEMO / "config" / "renewal" / f"{BY_WEBROOT}.conf", "how it is renewed"),
        (DEMO / "logs", "logs"),
    ):
        expect(path.exists(), f"{path}: writing it")
        print(f"{path.relative_to(CHECKOUT)!s:<54} {what}")


def main() -> int:
    """Run the demo."""
    shutil.rmtree(DEMO, ignore_errors=True)
    WEBROOT.mkdir(parents=True)
    print("Starting Pebble, a CA for tests, on this machine.", flush=True)
    try:
        with Pebble() as pebble:
            tell_the_story(pebble)
        show_places()
    except (DemoError, ServerError, PebbleMissingError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return 130
    print("\nDone; the CA and the servers are stopped. `make demo` starts afresh.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
