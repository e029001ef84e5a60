"""What a person may choose about one issuance: subsets, challenges, pauses, dry runs, profiles."""

from pathlib import Path

import pexpect
import pytest
from cryptography import x509

from acmectl.identifiers import Identifier
from acmectl.pki.csr import make_csr
from acmectl.pki.keys import KeySpec, generate_key
from tests.integration.cli import Acmectl, picture
from tests.integration.hosts import dns_hooks, file_hooks, notes
from tests.integration.servers.pebble import Pebble, PebbleConfig, Profile
from tests.integration.servers.static import static_server

# A name that the CA finds at another address of this machine cannot be answered for.
HERE_ALONE = ("--standalone", "--http-01-address", "127.0.0.1")


@pytest.fixture(scope="module")
def picky_pebble():
    """It refuses one name, offers two profiles and a second root."""
    profiles = {"default": Profile(), "brief": Profile(validity=3600)}
    config = PebbleConfig(blocklist=("blocked.example",), profiles=profiles, alternate_roots=1)
    with Pebble(config) as server:
        yield server


@pytest.fixture
def picky(picky_pebble, tmp_path):
    with Acmectl(picky_pebble, tmp_path) as program:
        yield program


def orders(pebble, before):
    return [line for line in pebble.requests()[before:] if line.endswith("/order-plz")]


def test_a_name_that_the_ca_rejects_is_left_out_when_a_subset_is_allowed(picky):
    refused = picky.certonly("good.example", "blocked.example", code=1)
    assert "blocked.example" in refused.err
    assert picky.lineages() == []
    options = ("--standalone", "--allow-subset-of-names")
    done = picky.certonly("good.example", "blocked.example", options=options)
    assert "Going on without blocked.example" in done.err
    assert picky.names("good.example") == ["good.example"]
    assert picky.params("good.example")["allow_subset_of_names"] == "True"


def test_a_name_that_fails_its_challenge_is_left_out_when_a_subset_is_allowed(pebble, acmectl):
    pebble.dns.add_a("elsewhere.example", "127.0.0.9")
    try:
        failed = acmectl.certonly("here.example", "elsewhere.example", options=HERE_ALONE, code=1)
        assert "Identifier: elsewhere.example" in failed.out
        assert "Type:   connection" in failed.out
        assert "Error: Some challenges have failed: elsewhere.example" in failed.err
        options = (*HERE_ALONE, "--allow-subset-of-names", "--json")
        done = acmectl.certonly("here.example", "elsewhere.example", options=options).json
    finally:
        pebble.dns.clear_a("elsewhere.example")
    assert [one["value"] for one in done["identifiers"]] == ["here.example"]
    assert [one["value"] for one in done["dropped"]] == ["elsewhere.example"]
    assert acmectl.names("here.example") == ["here.example"]


def test_a_subset_of_no_names_is_a_failure(picky):
    picky.certonly("blocked.example", options=("--standalone", "--allow-subset-of-names"), code=1)
    assert picky.lineages() == []


def test_the_preferred_challenge_is_used_where_an_authenticator_can_do_several(pebble, acmectl, public_folder):
    flags = dns_hooks(acmectl.folder, pebble.dns)
    acmectl.certonly("p.example", options=flags)
    assert all("CERTBOT_TOKEN" not in row for row in notes(acmectl.folder / "auth"))
    (acmectl.folder / "auth").unlink()
    with static_server(public_folder, pebble.http_port):
        acmectl.certonly("q.example", options=file_hooks(acmectl.folder, public_folder))
    assert all("CERTBOT_TOKEN" in row for row in notes(acmectl.folder / "auth"))


def test_a_preferred_challenge_that_the_authenticator_cannot_do_is_refused(acmectl):
    done = acmectl.certonly("p.example", options=("--standalone", "--preferred-challenges", "dns"), code=1)
    assert "standalone" in done.err
    assert acmectl.certonly("p.example", options=("--standalone", "--preferred-challenges", "smoke"), code=2).errors


def test_a_wildcard_by_http_01_is_refused(acmectl):
    done = acmectl.certonly("*.p.example", code=1)
    assert len(done.errors) == 1
    assert "DNS" in done.err


def test_debug_challenges_shows_what_is_in_place_and_waits_for_enter(pebble, acmectl, public_folder):
    root = public_folder
    with static_server(root, pebble.http_port):
        options = ("--webroot", "-w", str(root), "-d", "dbg.example", "--debug-challenges")
        before = len(pebble.requests())
        terminal = acmectl.terminal("certonly", "--agree-tos", "--register-unsafely-without-email", *options)
        terminal.expect_exact("Press Enter to go on")
        (token,) = (root / ".well-known" / "acme-challenge").iterdir()
        assert f"http://dbg.example/.well-known/acme-challenge/{token.name}" in terminal.before
        assert token.read_text() in terminal.before
        assert not [line for line in pebble.requests()[before:] if "/chalZ/" in line]
        terminal.sendline("")
        terminal.expect(pexpect.EOF)
        terminal.close()
        assert terminal.exitstatus == 0, terminal.before
    assert acmectl.names("dbg.example") == ["dbg.example"]


def test_a_dry_run_finalizes_at_the_server_given_and_changes_accounts_alone(pebble, acmectl):
    before = len(pebble.requests())
    done = acmectl.certonly("dry.example", options=("--standalone", "--dry-run"))
    assert "The dry run was successful." in done.out
    assert [line for line in pebble.requests()[before:] if "/finalize-order/" in line]
    assert {path.name for path in acmectl.config.iterdir()} <= {"accounts"}
    assert not list(acmectl.work.rglob("key.pem"))


def test_a_dry_run_beside_certificates_leaves_every_byte_and_mode_as_it_was(acmectl):
    acmectl.certonly("kept.example")
    acmectl.certonly("other.example")
    before = {name: row for name, row in picture(acmectl.config).items() if not name.startswith("accounts")}
    for args in (
        ("certonly", "-n", "--standalone", "-d", "kept.example"),
        ("certonly", "-n", "--standalone", "-d", "brand-new.example", "--key-type", "rsa"),
        ("certonly", "-n", "--standalone", "-d", "kept.example,more.example", "--cert-name", "kept.example"),
        ("renew",),
    ):
        acmectl.run(*args, "--dry-run").ok()
        after = {name: row for name, row in picture(acmectl.config).items() if not name.startswith("accounts")}
        assert after == before, args


def test_a_failed_dry_run_leaves_every_byte_and_mode_as_it_was(pebble, acmectl):
    acmectl.certonly("kept.example", options=HERE_ALONE)
    before = picture(acmectl.config)
    pebble.dns.add_a("kept.example", "127.0.0.9")
    try:
        done = acmectl.run("renew", "--dry-run").failed()
    finally:
        pebble.dns.clear_a("kept.example")
    assert "(failure)" in done.err
    assert picture(acmectl.config) == before


def test_a_dry_run_of_a_renewal_without_server_goes_to_the_cas_own_and_does_not_finalize(pebble, acmectl):
    acmectl.certonly("stay.example")
    before = len(pebble.requests())
    done = acmectl.run("renew", "--dry-run", server=False).ok()
    spent = pebble.requests()[before:]
    assert [line for line in spent if line.endswith("/order-plz")]
    assert not [line for line in spent if "/finalize-order/" in line]
    assert "(success)" in done.out


def test_dry_run_goes_with_certonly_and_renew_alone(acmectl):
    for verb in ("register", "revoke", "delete", "certificates"):
        assert "--dry-run" in acmectl.run(verb, "-n", "--dry-run").failed().err


def test_hooks_of_a_dry_run_are_pre_and_post_and_deploy_only_on_request(acmectl):
    acmectl.certonly("h.example")
    log = acmectl.folder / "hooks.log"
    hooks = [part for kind in ("pre", "deploy", "post") for part in (f"--{kind}-hook", f"echo {kind} >> {log}")]
    acmectl.run("renew", "--dry-run", *hooks).ok()
    assert log.read_text().split() == ["pre", "post"]
    log.unlink()
    acmectl.run("renew", "--dry-run", "--run-deploy-hooks", *hooks).ok()
    assert log.read_text().split() == ["pre", "deploy", "post"]
    log.unlink()
    acmectl.run("certonly", "-n", "--standalone", "-d", "new.example", "--dry-run", "--run-deploy-hooks", *hooks).ok()
    assert log.read_text().split() == ["pre", "post"]


def test_a_required_profile_is_ordered_and_remembered(picky):
    picky.certonly("brief.example", options=("--standalone", "--required-profile", "brief"))
    certificate = picky.certificate("brief.example")
    assert (certificate.not_valid_after_utc - certificate.not_valid_before_utc).total_seconds() < 7200
    assert picky.params("brief.example")["required_profile"] == "brief"


def test_a_preferred_profile_that_the_ca_has_not_is_left_out(picky, picky_pebble):
    done = picky.certonly("pref.example", options=("--standalone", "--preferred-profile", "gold"))
    assert "gold" in done.out + done.err
    refused = picky.certonly("req.example", options=("--standalone", "--required-profile", "gold"), code=1)
    assert "profile" in refused.err


def test_the_preferred_chain_is_kept_and_an_unknown_one_is_a_warning(picky, picky_pebble):
    alternate = x509.load_pem_x509_certificate(picky_pebble.roots()[1])
    name = alternate.subject.rfc4514_string().removeprefix("CN=")
    picky.certonly("alt.example", options=("--standalone", "--preferred-chain", name))
    top = x509.load_pem_x509_certificates(picky.live("alt.example", "chain").read_bytes())[-1]
    assert top.issuer == alternate.subject
    done = picky.certonly("alt2.example", options=("--standalone", "--preferred-chain", "Nobody X1"))
    assert "Nobody X1" in done.err


def test_must_staple_is_in_the_certificate(acmectl):
    acmectl.certonly("staple.example", options=("--standalone", "--must-staple"))
    features = acmectl.certificate("staple.example").extensions.get_extension_for_class(x509.TLSFeature).value
    assert x509.TLSFeatureType.status_request in features


def test_certonly_with_a_csr_writes_three_files_and_no_lineage(pebble, acmectl):
    der = make_csr(generate_key(KeySpec.from_short("ec256")), [Identifier.dns("csr.example")])
    path = acmectl.cwd / "request.der"
    path.write_bytes(der)
    log = acmectl.folder / "hooks.log"
    done = acmectl.run(
        *("certonly", "-n", "--agree-tos", "--standalone", "--csr", str(path), "--json"),
        *("--pre-hook", f"echo >> {log}", "--post-hook", f"echo >> {log}", "--deploy-hook", f"echo >> {log}"),
    ).ok()
    assert sorted(entry.name for entry in acmectl.cwd.iterdir()) == [
        "0000_cert.pem",
        "0000_chain.pem",
        "0001_chain.pem",
        "request.der",
    ]
    paths = {kind: Path(text) for kind, text in done.json["paths"].items()}
    assert paths["fullchain"].read_bytes() == paths["cert"].read_bytes() + paths["chain"].read_bytes()
    assert acmectl.lineages() == []
    assert not log.exists()
    # The same places again are taken; an explicit one that exists is refused before an order.
    before = len(pebble.requests())
    taken = ("--cert-path", str(paths["cert"]))
    acmectl.run("certonly", "-n", "--standalone", "--csr", str(path), *taken).failed()
    assert orders(pebble, before) == []
    printed = acmectl.run("certonly", "-n", "--standalone", "--csr", str(path), "--fullchain-path", "-").ok()
    assert printed.out.startswith("-----BEGIN CERTIFICATE-----")
    assert printed.out.count("-----BEGIN CERTIFICATE-----") == 2
    assert printed.out.endswith("-----END CERTIFICATE-----\n")
