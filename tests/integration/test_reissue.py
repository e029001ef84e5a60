"""revoke --reissue: new key, new certificate, deployed, then the old one revoked; and its key never used again."""

from __future__ import annotations

import json

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from tests.integration.cli import Acmectl
from tests.integration.hosts import script
from tests.integration.servers.between import Between, LostError

NAME = "r.example"
REISSUE = ("revoke", "-n", "--reissue", "--cert-name", NAME)


def status(pebble, certificate):
    found = pebble.cert_status(certificate.serial_number)
    return found.status, found.reason or 0


def public_half(path):
    private = load_pem_private_key(path.read_bytes(), None)
    return private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def key(acmectl):
    return public_half(acmectl.live(NAME, "privkey"))


def test_the_new_certificate_is_deployed_with_another_key_before_the_old_one_is_revoked(pebble, acmectl):
    """The deploy hook asks the CA itself what it says of the old certificate."""
    log = acmectl.folder / "deployed"
    hook = f"openssl x509 -in $RENEWED_LINEAGE/cert.pem -noout -serial >> {log}"
    acmectl.certonly(NAME, options=("--standalone", "--reuse-key", "--deploy-hook", hook))
    acmectl.run("renew", "--force-renewal").ok()
    first, old_key = acmectl.certificate(NAME), key(acmectl)
    before = pebble.orders()
    done = acmectl.run(*REISSUE, "--reason", "keyCompromise", "--json").ok().json
    new = acmectl.certificate(NAME)
    assert pebble.orders() == before + 1
    assert key(acmectl) != old_key
    assert new.serial_number != first.serial_number
    assert int(log.read_text().split()[-1].removeprefix("serial="), 16) == new.serial_number
    assert (done["name"], done["version"]) == (NAME, 3)
    assert done["serial"] == f"{new.serial_number:x}"
    # Version 1 has the same compromised key and has not expired.
    assert done["old"][0]["serial"] == f"{first.serial_number:x}"
    assert len(done["old"]) == 2
    assert all(one["revoked"] and not one["already_revoked"] for one in done["old"])
    for number in (1, 2):
        path = acmectl.config / "archive" / NAME / f"cert{number}.pem"
        assert status(pebble, certificate_in(path)) == ("Revoked", 1)
    assert status(pebble, new) == ("Valid", 0)
    assert acmectl.lineages() == [NAME]
    assert not list(acmectl.work.glob("reissues/*"))
    # The lineage goes on as it was: the new key is reused, and the old one comes back by no way.
    acmectl.run("renew", "--force-renewal").ok()
    assert key(acmectl) != old_key
    refused = acmectl.run("rollback", "--cert-name", NAME, "--to-version", "2").failed()
    assert len(refused.errors) == 1
    assert "must not be used again" in refused.errors[0]
    assert acmectl.version(NAME) == 4


def certificate_in(path):
    from cryptography import x509

    return x509.load_pem_x509_certificate(path.read_bytes())


def test_the_revocation_waits_for_the_deploy_hooks_and_nothing_is_ordered_twice(pebble, acmectl):
    gate, log = acmectl.folder / "gate", acmectl.folder / "log"
    acmectl.certonly(NAME, options=("--standalone", "--deploy-hook", f"echo x >> {log}; test -e {gate}"), code=1)
    gate.write_text("")
    acmectl.run("renew", "--cert-name", NAME, "--retry-deploy").ok()
    gate.unlink()
    old = acmectl.certificate(NAME)
    before = pebble.orders()
    failed = acmectl.run(*REISSUE, "--reason", "superseded").failed()
    assert any("is not revoked yet" in line for line in failed.errors)
    assert f"revoke --reissue --cert-name {NAME}" in failed.err
    assert acmectl.version(NAME) == 2
    assert status(pebble, old) == ("Valid", 0)
    again = acmectl.run(*REISSUE, "--json").failed().json
    assert (again["version"], again["continued"], again["old"][0]["revoked"]) == (2, True, False)
    waiting = acmectl.run("renew")
    assert f"still to be revoked: acmectl revoke --reissue --cert-name {NAME}" in waiting.err
    gate.write_text("")
    done = acmectl.run(*REISSUE, "--json").ok().json
    assert (done["version"], done["continued"], done["deploy_owed"]) == (2, True, [])
    assert status(pebble, old) == ("Revoked", 4)
    assert pebble.orders() == before + 1
    assert len(log.read_text().split()) >= 4
    assert "still to be revoked" not in acmectl.run("renew").err


@pytest.fixture
def between(pebble):
    with Between(pebble) as server:
        yield server


def test_a_run_that_is_cut_off_goes_on_where_it_was(pebble, between, tmp_path):
    """Before the order is finalized, and before the revocation, the CA is gone."""
    with Acmectl(pebble, tmp_path) as acmectl:
        at = ("--server", between.directory_url)
        acmectl.certonly(NAME, options=("--standalone", *at, "--reuse-key"))
        old, old_key = acmectl.certificate(NAME), key(acmectl)
        passed = between.before

        def gone_at(*parts):
            def lost(_method, path):
                if any(part in path for part in parts):
                    raise LostError

            return lost

        between.before = gone_at("/authZ/", "/finalize-order/")
        first = acmectl.run(*REISSUE, *at, "--reason", "keycompromise").failed()
        assert "nothing is revoked" in first.err
        assert acmectl.version(NAME) == 1
        before = pebble.orders()
        between.before = gone_at("/revoke-cert")
        second = acmectl.run(*REISSUE, *at).failed()
        assert "is not revoked yet" in second.err
        assert acmectl.version(NAME) == 2
        assert key(acmectl) != old_key
        assert pebble.orders() == before
        assert status(pebble, old) == ("Valid", 0)
        between.before = passed
        done = acmectl.run(*REISSUE, *at, "--json").ok().json
        assert (done["continued"], done["old"][0]["already_revoked"]) == (True, False)
        assert status(pebble, old) == ("Revoked", 1)
        assert pebble.orders() == before
        assert status(pebble, acmectl.certificate(NAME)) == ("Valid", 0)


def test_a_run_that_is_killed_in_its_deploy_hook_runs_it_again_and_then_revokes(pebble, acmectl):
    pid, log = acmectl.folder / "pid", acmectl.folder / "log"
    acmectl.certonly(NAME)
    old = acmectl.certificate(NAME)
    killer = f'until [ -s {pid} ]; do sleep 0.05; done; kill -9 "$(cat {pid})"; sleep 1'
    hook = script(acmectl.folder / "hook.sh", f"if [ -e {log} ]; then echo x >> {log}; else {killer}; fi")
    run = acmectl.start(*REISSUE, "--deploy-hook", hook)
    (acmectl.folder / "written").write_text(str(run.pid))
    (acmectl.folder / "written").rename(pid)
    assert run.wait().code == -9
    assert (acmectl.version(NAME), status(pebble, old)) == (2, ("Valid", 0))
    before = pebble.orders()
    log.write_text("")
    acmectl.run(*REISSUE).ok()
    assert log.read_text() == "x\n"
    assert (acmectl.version(NAME), status(pebble, old)) == (2, ("Revoked", 0))
    assert pebble.orders() == before


def test_a_key_that_was_revoked_as_compromised_is_not_reused_and_reissue_is_the_way_out(pebble, acmectl):
    acmectl.certonly(NAME, options=("--standalone", "--reuse-key"))
    old, old_key = acmectl.certificate(NAME), key(acmectl)
    revoke = ("revoke", "-n", "--cert-name", NAME, "--reason", "keycompromise", "--no-delete-after-revoke")
    acmectl.run(*revoke).ok()
    before = pebble.orders()
    refused = acmectl.run("renew", "--cert-name", NAME).failed()
    assert "must not be used again" in refused.err
    assert f"acmectl revoke --reissue --cert-name {NAME}" in refused.err
    assert pebble.orders() == before
    done = acmectl.run(*REISSUE, "--json").ok().json
    assert done["old"] == [
        {
            "serial": f"{old.serial_number:x}",
            "server": pebble.directory_url,
            "revoked": True,
            "already_revoked": True,
            "expired": False,
        }
    ]
    assert key(acmectl) != old_key
    assert "not due" in acmectl.run("renew").ok().out


def test_the_certificates_own_key_may_sign(pebble, acmectl):
    acmectl.certonly(NAME)
    old = acmectl.certificate(NAME)
    before = [line for line in pebble.requests() if line.endswith("/revoke-cert")]
    paths = ("--cert-path", str(acmectl.live(NAME)), "--key-path", str(acmectl.live(NAME, "privkey")))
    acmectl.run("revoke", "-n", "--reissue", *paths, "--reason", "keycompromise").ok()
    assert status(pebble, old) == ("Revoked", 1)
    assert acmectl.version(NAME) == 2
    assert len([line for line in pebble.requests() if line.endswith("/revoke-cert")]) > len(before)
    other = ("--key-path", str(acmectl.config / "archive" / NAME / "privkey1.pem"))
    refused = acmectl.run(*REISSUE, *other).failed()
    assert "does not belong" in refused.errors[0]
    assert not list(acmectl.work.glob("reissues/*"))


def test_a_request_made_with_the_old_key_is_refused(pebble, acmectl):
    from acmectl.identifiers import Identifier
    from acmectl.pki.csr import make_csr

    acmectl.certonly(NAME)
    old_key = acmectl.live(NAME, "privkey").read_bytes()
    acmectl.run(*REISSUE).ok()
    listed = json.loads((acmectl.config / "compromised-keys.json").read_text())
    assert [one["lineage"] for one in listed["keys"].values()] == [NAME]
    (acmectl.cwd / "old.csr").write_bytes(make_csr(old_key, [Identifier.dns(NAME)]))
    before = pebble.orders()
    for more in ((), ("--cert-name", "other"), ("--cert-name", NAME)):
        refused = acmectl.run("certonly", "-n", "--standalone", "--csr", "old.csr", *more).failed()
        assert len(refused.errors) == 1, more
    assert pebble.orders() == before


def test_what_cannot_be_reissued_is_refused_and_nothing_is_noted(pebble, acmectl, tmp_path):
    from acmectl.identifiers import Identifier
    from acmectl.pki.csr import make_csr
    from acmectl.pki.keys import KeySpec, generate_key

    (acmectl.cwd / "x.csr").write_bytes(make_csr(generate_key(KeySpec.ecdsa()), [Identifier.dns(NAME)]))
    acmectl.run("certonly", "-n", "--agree-tos", "--standalone", "--csr", "x.csr", "--cert-name", NAME).ok()
    refused = acmectl.run(*REISSUE).failed()
    assert len(refused.errors) == 1
    assert "a new CSR is needed" in refused.errors[0]
    elsewhere = tmp_path / "elsewhere.pem"
    elsewhere.write_bytes(acmectl.live(NAME).read_bytes())
    assert len(acmectl.run("revoke", "-n", "--reissue", "--cert-path", str(elsewhere)).failed().errors) == 1
    assert len(acmectl.run("revoke", "-n", "--reissue", "--cert-name", "nobody.example").failed().errors) == 1
    assert len(acmectl.run(*REISSUE, "--delete-after-revoke").failed().errors) == 1
    assert len(acmectl.run("renew", "--reissue").failed().errors) == 1
    assert not (acmectl.config / "compromised-keys.json").exists()
    assert not list(acmectl.work.glob("reissues/*"))
    assert status(pebble, acmectl.certificate(NAME)) == ("Valid", 0)


def test_both_certificates_of_a_lineage_are_replaced_and_revoked(pebble, acmectl):
    acmectl.certonly(NAME, options=("--standalone", "--key-type", "rsa,ecdsa", "--reuse-key"))
    archive = acmectl.config / "archive" / NAME
    kinds = sorted(path.name.removesuffix("1.pem") for path in archive.glob("cert*1.pem"))
    assert len(kinds) == 2
    done = acmectl.run(*REISSUE, "--reason", "superseded", "--json").ok().json
    old, new = ([certificate_in(archive / f"{kind}{number}.pem") for kind in kinds] for number in (1, 2))
    assert {one["serial"] for one in done["old"]} == {f"{one.serial_number:x}" for one in old}
    assert {done["serial"], done["second_serial"]} == {f"{one.serial_number:x}" for one in new}
    assert [status(pebble, one) for one in (*old, *new)] == [("Revoked", 4)] * 2 + [("Valid", 0)] * 2
    keys = {one.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo) for one in (*old, *new)}
    assert len(keys) == 4


def test_the_second_certificates_own_key_signs_in_a_later_run_too(pebble, acmectl):
    acmectl.certonly(NAME, options=("--standalone", "--key-type", "rsa,ecdsa"))
    archive = acmectl.config / "archive" / NAME
    by_key = (*REISSUE, "--key-path", str(acmectl.live(NAME, "privkey-ecdsa")))
    failed = acmectl.run(*by_key, "--deploy-hook", "false").failed()
    assert "which concerns" not in failed.err
    acmectl.run(*by_key, "--deploy-hook", "true").ok()
    first, second = (certificate_in(archive / name) for name in ("cert1.pem", "cert-ecdsa1.pem"))
    assert (status(pebble, first), status(pebble, second)) == (("Valid", 0), ("Revoked", 0))


def test_a_certificate_that_was_not_meant_at_first_waits_for_the_next_time(pebble, acmectl):
    acmectl.certonly(NAME)
    acmectl.run(*REISSUE, "--deploy-hook", "false").failed()
    this_one = ("revoke", "-n", "--reissue", "--cert-path", str(acmectl.live(NAME)), "--deploy-hook", "true")
    second = acmectl.certificate(NAME)
    assert "the command is to be given again after it" in acmectl.run(*this_one).ok().err
    assert status(pebble, second) == ("Valid", 0)
    assert "given again" not in acmectl.run(*this_one).ok().err
    assert status(pebble, second) == ("Revoked", 0)


def test_another_lineage_with_the_key_is_told_of_and_an_old_version_that_is_damaged_too(pebble, acmectl):
    from acmectl.identifiers import Identifier
    from acmectl.pki.csr import make_csr

    acmectl.certonly(NAME, options=("--standalone", "--reuse-key"))
    shared = make_csr(acmectl.live(NAME, "privkey").read_bytes(), [Identifier.dns("shares.example")])
    (acmectl.cwd / "shared.csr").write_bytes(shared)
    acmectl.run("certonly", "-n", "--standalone", "--csr", "shared.csr", "--cert-name", "shares.example").ok()
    told = acmectl.run(*REISSUE, "--reason", "superseded").ok()
    assert "which concerns shares.example too" in told.err
    acmectl.run("renew", "--cert-name", NAME, "--force-renewal").ok()
    (acmectl.config / "archive" / NAME / "cert2.pem").write_text("damaged")
    compromised = acmectl.run(*REISSUE, "--reason", "keycompromise").ok()
    assert f"A version of {NAME} that is no longer live is passed over" in compromised.err
    assert acmectl.version(NAME) == 4


def test_a_staged_key_takes_the_place_of_a_compromised_one(pebble, acmectl):
    acmectl.certonly(NAME, options=("--standalone", "--stage-next-key"))
    old_key = key(acmectl)
    staged = public_half(acmectl.config / "archive" / NAME / "next-key.pem")
    acmectl.run(*REISSUE, "--reason", "keycompromise").ok()
    assert key(acmectl) == staged != old_key


def test_a_lineage_that_is_deleted_meanwhile_takes_the_work_with_it_and_says_so(pebble, acmectl):
    gate = acmectl.folder / "gate"
    gate.write_text("")
    acmectl.certonly(NAME, options=("--standalone", "--deploy-hook", f"test -e {gate}"))
    gate.unlink()
    acmectl.run(*REISSUE).failed()
    done = acmectl.run("delete", "-n", "--cert-name", NAME).ok()
    assert f"still to be revoked: acmectl revoke --reissue --cert-name {NAME}" in done.err
    assert not list(acmectl.work.glob("reissues/*"))
