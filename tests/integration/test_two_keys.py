"""--key-type rsa,ecdsa: two certificates for the same names, one version, by Pebble, nginx and certbot."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from tests.integration.cli import KINDS, Acmectl, picture
from tests.integration.hosts import script
from tests.integration.servers import certbots
from tests.integration.servers.apache import Apache
from tests.integration.servers.nginx import Nginx
from tests.integration.servers.pebble import Pebble, PebbleConfig
from tests.integration.servers.process import free_port, wait_until
from tests.integration.servers.requirements import require

NAME = "two.example"
TWO = ("--standalone", "--key-type", "rsa,ecdsa")


@pytest.fixture(scope="module")
def pebble() -> Iterator[Pebble]:
    """It is content with every challenge, for no solver is under test; certbot gives up at the second bad nonce."""
    with Pebble(PebbleConfig(always_valid=True, nonce_reject=0)) as server:
        yield server


def certificates(acmectl: Acmectl, name: str = NAME) -> tuple[x509.Certificate, x509.Certificate]:
    """Both live certificates, each with its key, as one version."""
    found = []
    numbers = set()
    for suffix, key_type in (("", rsa.RSAPrivateKey), ("-ecdsa", ec.EllipticCurvePrivateKey)):
        links = {kind: os.readlink(acmectl.live(name, f"{kind}{suffix}")) for kind in KINDS}
        numbers |= {Path(target).stem.removeprefix(f"{kind}{suffix}") for kind, target in links.items()}
        key = load_pem_private_key(acmectl.live(name, f"privkey{suffix}").read_bytes(), None)
        assert isinstance(key, key_type)
        leaf = x509.load_pem_x509_certificate(acmectl.live(name, f"cert{suffix}").read_bytes())
        assert leaf.public_key() == key.public_key()
        assert acmectl.live(name, f"fullchain{suffix}").read_bytes() == (
            acmectl.live(name, f"cert{suffix}").read_bytes() + acmectl.live(name, f"chain{suffix}").read_bytes()
        )
        found.append(leaf)
    assert numbers == {str(acmectl.version(name))}
    return found[0], found[1]


ONE_KEY = {"README", *(f"{kind}.pem" for kind in KINDS)}
BOTH_KEYS = {*ONE_KEY, *(f"{kind}-ecdsa.pem" for kind in KINDS)}


def live_files(acmectl: Acmectl, name: str = NAME) -> set[str]:
    return {path.name for path in (acmectl.config / "live" / name).iterdir()}


def listed(acmectl: Acmectl) -> dict[str, object]:
    row: dict[str, object] = acmectl.run("certificates", "--json", server=False).ok().json["certificates"][0]
    return row


def second_told(acmectl: Acmectl) -> dict[str, str]:
    """The second certificate as it lies in the tree, in the words of ``renew --json``."""
    end = certificates(acmectl)[1].not_valid_after_utc
    return {"path": str(acmectl.live(NAME, "fullchain-ecdsa")), "not_after": end.isoformat()}


def test_both_are_obtained_and_renewed_as_one_version(acmectl: Acmectl) -> None:
    acmectl.certonly(NAME, f"www.{NAME}", options=(*TWO, "--elliptic-curve", "secp384r1"))
    first = certificates(acmectl)
    assert {leaf.public_key().key_size for leaf in first} == {2048, 384}  # type: ignore[union-attr]
    assert acmectl.params(NAME)["key_type"] == "rsa"
    assert acmectl.renewal(NAME)["acmectl"]["second_key"] == '"ecdsa"'
    assert not (acmectl.work / "pending").exists() or list((acmectl.work / "pending").iterdir()) == []
    acmectl.run("renew").ok()
    assert certificates(acmectl) == first
    done = acmectl.run("renew", "--force-renewal").ok()
    assert "takes no order as a replacement" not in done.out + done.err, "each names its own predecessor"
    again = certificates(acmectl)
    assert acmectl.version(NAME) == 2
    assert not {leaf.serial_number for leaf in again} & {leaf.serial_number for leaf in first}
    assert {leaf.public_key().key_size for leaf in again} == {2048, 384}  # type: ignore[union-attr]
    names = [leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value for leaf in again]
    assert names[0] == names[1]


def test_a_second_key_comes_and_goes_and_versions_are_gone_back_to_with_what_they_have(acmectl: Acmectl) -> None:
    acmectl.certonly(NAME, options=("--standalone", "--key-type", "rsa"))
    assert live_files(acmectl) == ONE_KEY
    # Not due, and renewed all the same: what was asked for is not there yet.
    added = acmectl.certonly(NAME, options=(*TWO, "--cert-name", NAME, "--json")).json
    leaves = certificates(acmectl)
    assert acmectl.version(NAME) == 2
    assert added["second"]["serial"] == f"{leaves[1].serial_number:x}"
    assert added["second"]["paths"]["privkey"] == str(acmectl.live(NAME, "privkey-ecdsa"))
    # A bare certonly keeps the two, and so does a renewal.
    acmectl.certonly(NAME)
    assert certificates(acmectl) == leaves
    refused = acmectl.certonly(NAME, options=("--standalone", "--key-type", "rsa", "--force-renewal"), code=1)
    assert refused.errors == ["The certificate with these names has a key of type rsa,ecdsa, not rsa."]

    acmectl.run("reconfigure", "-n", "--cert-name", NAME, "--key-type", "rsa").ok()
    assert certificates(acmectl) == leaves
    acmectl.run("renew").ok()
    assert certificates(acmectl) == leaves
    acmectl.run("renew", "--force-renewal").ok()
    assert (acmectl.version(NAME), live_files(acmectl)) == (3, ONE_KEY)

    back = acmectl.run("rollback", "--cert-name", NAME, "--json").ok().json
    assert certificates(acmectl) == leaves
    assert back["second"]["serial"] == f"{leaves[1].serial_number:x}"
    acmectl.run("renew").ok()
    assert certificates(acmectl) == leaves
    told = acmectl.run("rollback", "--cert-name", NAME, "--to-version", "1").ok()
    assert "has one key only: the files with -ecdsa in their names" in told.err
    assert (acmectl.version(NAME), live_files(acmectl)) == (1, ONE_KEY)


def test_both_are_listed(acmectl: Acmectl) -> None:
    acmectl.certonly(NAME, options=TWO)
    first, second = certificates(acmectl)
    out = acmectl.run("certificates", server=False).ok().out
    assert re.search(rf"^    Serial Number: {first.serial_number:x}$", out, re.MULTILINE)
    for line in (
        "Second Key Type: ECDSA",
        f"Second Serial Number: {second.serial_number:x}",
        f"Second Expiry Date: {second.not_valid_after_utc:%Y-%m-%d %H:%M:%S}+00:00 (VALID: ",
        f"Second Certificate Path: {acmectl.live(NAME, 'fullchain-ecdsa')}",
        f"Second Private Key Path: {acmectl.live(NAME, 'privkey-ecdsa')}",
    ):
        assert f"    {line}" in out
    row = listed(acmectl)["second"]
    assert isinstance(row, dict)
    assert (row["serial"], row["valid"], row["version"]) == (f"{second.serial_number:x}", True, 1)
    (acmectl.config / "archive" / NAME / "cert-ecdsa1.pem").write_text("nonsense")
    out = acmectl.run("certificates", server=False).ok().out
    assert "Second Certificate: INVALID: " in out
    assert "VALID: 8" in out, "the first one is as good as it was"
    # And the next renewal makes both whole.
    acmectl.run("renew").ok()
    assert certificates(acmectl)[0] != first
    (acmectl.config / "archive" / NAME / "cert-ecdsa2.pem").unlink()
    out = acmectl.run("certificates", server=False).ok().out
    assert f"Second Certificate: INVALID: The certificate {NAME} cannot be used: " in out
    acmectl.run("renew").ok()
    certificates(acmectl)
    assert acmectl.version(NAME) == 3


def test_the_ca_is_asked_about_each_and_either_is_a_reason_to_renew_both(acmectl: Acmectl, pebble: Pebble) -> None:
    acmectl.certonly(NAME, options=TWO)
    told = acmectl.run("renew", "--json").ok().json["lineages"][0]
    assert (told["outcome"], told["rule"]) == ("skipped", "ari")
    assert told["second"] == second_told(acmectl)
    notes = acmectl.renewal(NAME)["acmectl"]
    assert json.loads(notes["ari"])["cert_id"] != json.loads(notes["ari_second"])["cert_id"]
    window = {"start": "2020-01-01T00:00:00Z", "end": "2020-01-02T00:00:00Z"}
    pebble.set_renewal_info(acmectl.live(NAME, "cert-ecdsa").read_text(), json.dumps({"suggestedWindow": window}))
    state = json.loads(notes["ari_second"]) | {"ask_at": "2020-01-01T00:00:00+00:00"}
    path = acmectl.renewal_path(NAME)
    lines = [
        f"ari_second = '{json.dumps(state)}'" if line.startswith("ari_second = ") else line
        for line in path.read_text().splitlines()
    ]
    path.write_text("\n".join(lines) + "\n")
    told = acmectl.run("renew", "--json").ok().json["lineages"][0]
    assert (told["outcome"], told["rule"]) == ("success", "ari")
    assert told["why"].startswith("its second certificate: the CA suggests to renew between 2020-01-01")
    assert told["second"] == second_told(acmectl)
    certificates(acmectl)
    assert acmectl.version(NAME) == 2
    assert "ari_second" not in acmectl.renewal(NAME)["acmectl"]


def test_a_trial_tries_both_and_keeps_nothing(acmectl: Acmectl, pebble: Pebble) -> None:
    acmectl.certonly(NAME, options=TWO)
    before, orders = picture(acmectl.config), pebble.orders()
    acmectl.run("renew", "--dry-run").ok()
    # All is validated afresh for the first, which may take an order more.
    assert pebble.orders() - orders in {2, 3}
    assert pebble.log_text().count("Issued certificate serial") >= 4
    assert picture(acmectl.config) == before


def test_both_keys_are_reused(acmectl: Acmectl) -> None:
    acmectl.certonly(NAME, options=(*TWO, "--reuse-key"))
    keys = [leaf.public_key() for leaf in certificates(acmectl)]
    acmectl.run("renew", "--force-renewal").ok()
    assert [leaf.public_key() for leaf in certificates(acmectl)] == keys
    acmectl.run("renew", "--force-renewal", "--new-key").ok()
    assert not [leaf for leaf in certificates(acmectl) if leaf.public_key() in keys]
    assert acmectl.version(NAME) == 3


def test_both_are_revoked_and_one_alone_by_its_file(acmectl: Acmectl, pebble: Pebble) -> None:
    def is_revoked(leaf: x509.Certificate) -> bool:
        status = pebble.cert_status(leaf.serial_number)
        assert status is not None
        return status.status == "Revoked"

    acmectl.certonly(NAME, options=TWO)
    first, second = certificates(acmectl)
    acmectl.run("revoke", "-n", "--cert-path", str(acmectl.live(NAME, "cert-ecdsa"))).ok()
    assert (is_revoked(first), is_revoked(second)) == (False, True)
    assert live_files(acmectl) == BOTH_KEYS, "the other one is still good"
    assert listed(acmectl)["valid"] is True
    # One of the two is a reason to renew both.
    told = acmectl.run("renew").ok()
    assert "its second certificate: it was revoked" in told.out
    first, second = certificates(acmectl)
    assert acmectl.version(NAME) == 2
    done = acmectl.run("revoke", "-n", "--cert-name", NAME, "--json").ok().json
    assert (is_revoked(first), is_revoked(second)) == (True, True)
    assert (done["serial"], done["second"]["serial"]) == (f"{first.serial_number:x}", f"{second.serial_number:x}")
    assert done["deleted"] == NAME
    assert not (acmectl.config / "live" / NAME).exists()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--key-type", "rsa,rsa4096"), "--key-type: rsa,rsa4096 are two keys of the same type"),
        (("--key-type", "rsa,ecdsa,ec384"), "--key-type: rsa,ecdsa,ec384 are 3 keys"),
        (("--key-type", "rsa,dsa"), "--key-type: 'dsa' is not one of"),
        (("--key-type", "rsa,ec256", "--elliptic-curve", "secp384r1"), "--key-type says ec256, but --elliptic-curve"),
        (("--key-type", "rsa,ecdsa", "--csr", "/dev/null"), "--csr and two types of key cannot be used together"),
        (("--key-type", "rsa,ecdsa", "--stage-next-key"), "--stage-next-key is for one key"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(acmectl: Acmectl, options: tuple[str, ...], says: str) -> None:
    done = acmectl.run("certonly", "-n", "--agree-tos", "--standalone", "-d", NAME, *options)
    assert done.code in {1, 2}, str(done)
    assert len(done.errors) == 1
    assert done.errors[0].startswith(says), str(done)
    assert not (acmectl.config / "archive" / NAME).exists()


def served_to(port: int, algorithms: str, *options: str) -> x509.Certificate:
    """What openssl is shown that can verify signatures by ``algorithms`` alone."""
    command = ("openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-servername", NAME, "-sigalgs", algorithms)
    done = subprocess.run((*command, *options), stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=60)
    return x509.load_pem_x509_certificate(done.stdout)


def test_nginx_serves_each_to_those_who_can_use_it_and_both_change_together(
    acmectl: Acmectl, pebble: Pebble, public_folder: Path
) -> None:
    require("openssl")
    with Nginx(public_folder, pebble.http_port) as nginx:
        calls = acmectl.folder / "calls"
        hook = script(acmectl.folder / "reload", f"echo $RENEWED_LINEAGE >> {calls}; kill -HUP {nginx.process.pid}")
        webroot = ("--webroot", "-w", str(public_folder), "--key-type", "rsa,ecdsa")
        acmectl.certonly(NAME, options=webroot)
        port = free_port()
        pairs = "".join(
            f"ssl_certificate {acmectl.live(NAME, f'fullchain{suffix}')};"
            f"ssl_certificate_key {acmectl.live(NAME, f'privkey{suffix}')};"
            for suffix in ("", "-ecdsa")
        )
        nginx.http_lines = f"server {{ listen 127.0.0.1:{port} ssl; ssl_protocols TLSv1.2 TLSv1.3; {pairs} }}"
        nginx.reload()
        rsa_only, ecdsa_only = "rsa_pss_rsae_sha256", "ecdsa_secp256r1_sha256"
        assert (served_to(port, rsa_only, "-tls1_2"), served_to(port, ecdsa_only, "-tls1_2")) == certificates(acmectl)
        # In TLS 1.3 the CA's own signature has to be on the list too, and this one no longer counts for anything else.
        rsa_only, ecdsa_only = f"{rsa_only}:rsa_pkcs1_sha256", f"{ecdsa_only}:rsa_pkcs1_sha256"
        assert (served_to(port, rsa_only, "-tls1_3"), served_to(port, ecdsa_only, "-tls1_3")) == certificates(acmectl)
        check = ("--deploy-hook", hook, "--check-endpoint", f"127.0.0.1:{port}")
        done = acmectl.run("renew", "--force-renewal", *check).ok()
        assert f"127.0.0.1:{port} serves the new certificate of {NAME}." in done.out
        assert calls.read_text().split() == [str(acmectl.config / "live" / NAME)]
        assert acmectl.version(NAME) == 2
        wait_until(
            lambda: (
                (served_to(port, rsa_only, "-tls1_3"), served_to(port, ecdsa_only, "-tls1_3")) == certificates(acmectl)
            ),
            "nginx serves both new certificates",
        )


def test_apache_serves_each_to_those_who_can_use_it(acmectl: Acmectl, pebble: Pebble, public_folder: Path) -> None:
    require("openssl")
    acmectl.certonly(NAME, options=TWO)
    port = free_port()
    pairs = "\n".join(
        f"SSLCertificateFile {acmectl.live(NAME, f'fullchain{suffix}')}\n"
        f"SSLCertificateKeyFile {acmectl.live(NAME, f'privkey{suffix}')}"
        for suffix in ("", "-ecdsa")
    )
    lines = f"Listen 127.0.0.1:{port}\n<VirtualHost 127.0.0.1:{port}>\nSSLEngine on\n{pairs}\n</VirtualHost>"
    with Apache(public_folder, pebble.http_port) as apache:
        apache.server_lines = lines
        apache.reload()
        shown = [served_to(port, only, "-tls1_2") for only in ("rsa_pss_rsae_sha256", "ecdsa_secp256r1_sha256")]
        assert tuple(shown) == certificates(acmectl)


def test_certbot_lists_and_renews_it_and_acmectl_makes_both_one_again(pebble: Pebble, tmp_path: Path) -> None:
    certbot = certbots.script(certbots.NEWEST)
    with Acmectl(pebble, tmp_path) as acmectl:
        environ = {**os.environ, "REQUESTS_CA_BUNDLE": str(pebble.ca_bundle), "HOME": str(acmectl.home)}

        def run(*args: str) -> str:
            command = [str(certbot), *args, *acmectl.directories, "--non-interactive"]
            done = subprocess.run(
                command, env=environ, cwd=acmectl.cwd, capture_output=True, text=True, timeout=120, check=False
            )
            assert done.returncode == 0, done.stdout + done.stderr
            return done.stdout

        acmectl.certonly(NAME, options=TWO)
        first, second = certificates(acmectl)
        out = run("certificates")
        assert f"Certificate Name: {NAME}" in out
        assert "Key Type: RSA" in out
        assert "VALID: 8" in out
        assert "invalid" not in out
        run("renew", "--force-renewal", "--no-random-sleep-on-renew", "--cert-name", NAME)
        assert acmectl.version(NAME) == 2
        assert acmectl.renewal(NAME)["acmectl"]["second_key"] == '"ecdsa"'
        assert x509.load_pem_x509_certificate(acmectl.live(NAME, "cert-ecdsa").read_bytes()) == second
        assert "Second Version: 1 (of the first: 2)" in acmectl.run("certificates", server=False).ok().out
        before = picture(acmectl.config)
        told = acmectl.run("renew").ok()
        assert "another program has renewed the first alone" in told.out
        assert picture(acmectl.config) != before
        assert acmectl.version(NAME) == 3
        assert not {first, second} & set(certificates(acmectl))
        run("delete", "--cert-name", NAME)
        assert not acmectl.renewal_path(NAME).exists()
        # certbot leaves links that lead nowhere; they are no hindrance.
        acmectl.certonly(NAME, options=TWO)
        certificates(acmectl)
