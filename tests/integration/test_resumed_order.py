"""An order of an interrupted run, whose answers the CA looked for when they were gone, is replaced by the next run."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from tests.integration.cli import Acmectl
from tests.integration.crash.relay import Killer, Relay
from tests.integration.hosts import script
from tests.integration.servers.pebble import Pebble
from tests.integration.servers.process import wait_until
from tests.integration.servers.static import static_server

NAME = "resumed.example"


def test_an_order_that_fails_while_it_is_gone_on_with_is_replaced_once(
    pebble: Pebble, public_folder: Path, tmp_path: Path
) -> None:
    ready, gate = tmp_path / "ready", tmp_path / "gate"
    os.mkfifo(ready)
    os.mkfifo(gate)
    place = public_folder / ".well-known" / "acme-challenge"
    place.mkdir(parents=True)
    hook = script(
        tmp_path / "auth.sh",
        f"if [ -p {gate} ]; then echo > {ready}; cat {gate}; rm {gate}; fi\n"
        f'printf %s "$CERTBOT_VALIDATION" > {place}/$CERTBOT_TOKEN',
    )
    names = ("-n", "--no-preflight", "-d", NAME)
    with Relay(pebble) as relay:
        acmectl = Acmectl(relay, tmp_path)
        acmectl.run("register", "-n", "--agree-tos").ok()
        silent = socket.create_server(("127.0.0.1", pebble.http_port))
        killer = Killer()
        relay.after["/chalZ/"] = killer
        first = acmectl.start("certonly", "--webroot", "-w", str(public_folder), *names)
        killer.arm(first.kill)
        assert first.wait().code == -9
        asking, _ = silent.accept()  # the CA looks for the answer

        second = acmectl.start("certonly", "--manual", "--manual-auth-hook", hook, *names)
        second.told(ready)
        silent.close()
        asking.close()
        wait_until(lambda: "INVALID" in pebble.log_text(), "the CA gives up the first validation")
        with static_server(public_folder, pebble.http_port):
            gate.write_text("go\n")
            done = second.wait().ok()
    assert "The order of an earlier run has failed" in done.out + done.err
    assert acmectl.names(NAME) == [NAME]
    assert not list(acmectl.work.glob("pending/*"))
