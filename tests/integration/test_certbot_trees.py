"""Trees made now by real certbots, 0.31 to 5.8: acmectl takes them over and gives them back."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.integration.cli import KINDS, Acmectl, picture
from tests.integration.hosts import notes
from tests.integration.servers import certbots
from tests.integration.servers.pebble import CertificateStatus, Pebble, PebbleConfig
from tests.integration.trees import LINEAGES, Certbot, Shape, grow, hooks_run, listing, shape, web_servers

GROUP = 1 if os.geteuid() == 0 else os.getegid()
HOOKS_OF_ALL = sorted(
    [
        *("directory-pre", "pre", "directory-post", "post", "deploy alone.example"),
        *(f"directory-deploy {name}" for name in LINEAGES),
    ]
)


@pytest.fixture(scope="module")
def old_pebble() -> Iterator[Pebble]:
    """Old certbots give up at the second bad nonce, and write "resource" into requests, which is no longer strict."""
    with Pebble(PebbleConfig(nonce_reject=0, strict=False)) as server:
        yield server


@pytest.mark.parametrize("version", certbots.VERSIONS)
def test_a_tree_of_certbot_is_taken_over_and_given_back(old_pebble: Pebble, tmp_path: Path, version: str) -> None:
    with Acmectl(old_pebble, tmp_path) as acmectl, web_servers(old_pebble, tmp_path) as roots:
        theirs = Certbot(version, acmectl)
        validated = old_pebble.validations("manual.example")
        grow(theirs, acmectl, roots)
        assert old_pebble.validations("manual.example") == validated + 1
        assert acmectl.lineages() == sorted(LINEAGES)
        both_list_the_same(acmectl, theirs)
        acmectl_renews_everything_as_certbot_would(acmectl, old_pebble, theirs)
        a_dry_run_writes_nothing(acmectl, old_pebble)
        both_list_the_same(acmectl, theirs)
        certbot_goes_on(acmectl, theirs, "alone.example", "webroot.example")
        newest = Certbot(certbots.NEWEST, acmectl)
        certbot_goes_on(acmectl, newest)
        certbot_takes_over_what_acmectl_issued(acmectl, theirs)
        each_revokes_and_deletes(acmectl, old_pebble, theirs, newest)


def both_list_the_same(acmectl: Acmectl, certbot: Certbot) -> None:
    theirs, ours = certbot.listing(), listing(acmectl.run("certificates").ok().out)
    assert list(ours) == list(theirs) == list(LINEAGES)
    for name, labels in theirs.items():
        assert {"Identifiers", "Expiry Date", "Certificate Path", "Private Key Path"} <= labels.keys()
        assert {label: ours[name][label] for label in labels} == labels


def acmectl_renews_everything_as_certbot_would(acmectl: Acmectl, pebble: Pebble, theirs: Certbot) -> None:
    private = acmectl.live("alone.example", "privkey").resolve()
    private.chmod(0o640)
    os.chown(private, -1, GROUP)
    before, certificates, keys = shape(acmectl), certificates_of(acmectl), keys_of(acmectl)
    validated = pebble.validations("manual.example")
    # What the tree says is enough: neither the CA nor the port is told again.
    acmectl.run("renew", "--force-renewal", "--ca-bundle", str(pebble.ca_bundle), server=False).ok()

    ran = hooks_run(acmectl)
    assert sorted(ran) == HOOKS_OF_ALL
    assert ran.index("directory-pre") < ran.index("pre") < ran.index("deploy alone.example") < ran.index("post")
    assert ran[-2:] == ["directory-post", "post"]
    # None of ours if Pebble took what it had validated for certbot.
    answered = 1 + pebble.validations("manual.example") - validated
    assert [row["CERTBOT_DOMAIN"] for row in notes(acmectl.folder / "cleanup")] == ["manual.example"] * answered
    for name, old in certificates.items():
        new = acmectl.certificate(name)
        assert acmectl.version(name) == 2
        assert new.serial_number != old.serial_number
        assert key_kind(new) == key_kind(old) == expected_key(name, theirs)
        assert names_in(new) == names_in(old)
        assert has_must_staple(new) is has_must_staple(old) is (name == "rsa.example")
    assert {name for name, key in keys_of(acmectl).items() if key == keys[name]} == {"alone.example-0001"}

    after = shape(acmectl)
    assert after.entries == before.entries
    assert after.entries["archive/alone.example/privkeyN.pem"][1:4] == (0o640, os.geteuid(), GROUP)
    for name, conf in before.params.items():
        # certbot writes down its version; older ones did not write that a key is RSA.
        also = {**conf, "version": certbots.NEWEST}
        also["renewalparams"] = {"key_type": "rsa", **conf["renewalparams"]}
        if also["renewalparams"].get("reuse_key") == "True":
            # As certbot does, so that the key that is reused is known by the file.
            written = after.params[name]["renewalparams"]
            (size,) = {"elliptic_curve", "rsa_key_size"} & written.keys()
            also["renewalparams"][size] = written[size]
        assert after.params[name] == also


def a_dry_run_writes_nothing(acmectl: Acmectl, pebble: Pebble) -> None:
    before = picture(acmectl.config)
    acmectl.run("renew", "--dry-run", "--ca-bundle", str(pebble.ca_bundle), server=False).ok()
    assert picture(acmectl.config) == before
    hooks_run(acmectl)


def certbot_goes_on(acmectl: Acmectl, certbot: Certbot, *names: str) -> None:
    """It renews ``names``, or everything in one run, and what has come of it is a good tree to acmectl too."""
    before, certificates = shape(acmectl), certificates_of(acmectl)
    versions = {name: acmectl.version(name) for name in LINEAGES}
    for name in names:
        certbot.renew("--cert-name", name)
    if not names:
        certbot.renew()
        assert sorted(hooks_run(acmectl)) == HOOKS_OF_ALL
    for name in names or LINEAGES:
        assert acmectl.version(name) == versions[name] + 1
        assert key_kind(acmectl.certificate(name)) == key_kind(certificates[name])
    assert lineage_entries(shape(acmectl)) == lineage_entries(before)
    both_list_the_same(acmectl, certbot)
    hooks_run(acmectl)


def certbot_takes_over_what_acmectl_issued(acmectl: Acmectl, certbot: Certbot) -> None:
    """It is a lineage like its own to it, down to the modes; only 0.31 knows nothing but RSA keys."""
    name, accounts = "ours.example", acmectl.account_dirs()
    acmectl.certonly(name, options=("--standalone", "--http-01-address", "127.0.0.1"))
    assert acmectl.account_dirs() == accounts
    entries = lineage_entries(shape(acmectl))
    for path in (f"archive/{name}", f"live/{name}", *(f"archive/{name}/{kind}N.pem" for kind in KINDS)):
        assert entries[path] == entries[path.replace(name, "rsa.example")]
    assert entries[f"renewal/{name}.conf"] == entries["renewal/rsa.example.conf"]
    assert certbot.listing()[name]["Identifiers"] == name
    certbot.renew("--cert-name", name)
    assert acmectl.version(name) == 2
    assert key_kind(acmectl.certificate(name)) == ("RSA 2048" if certbot.version == certbots.OLDEST else "EC 256")
    assert lineage_entries(shape(acmectl)) == entries
    certbot.run("delete", "--cert-name", name).ok()
    both_list_the_same(acmectl, certbot)


def each_revokes_and_deletes(acmectl: Acmectl, pebble: Pebble, theirs: Certbot, newest: Certbot) -> None:
    serials = {name: certificate.serial_number for name, certificate in certificates_of(acmectl).items()}
    trust = ("--ca-bundle", str(pebble.ca_bundle))
    reason = ("--reason", "superseded")
    acmectl.run("revoke", "-n", "--cert-name", "webroot.example", *reason, *trust, server=False).ok()
    theirs.run("revoke", "--cert-path", str(acmectl.live("manual.example")), *reason, *theirs.ca).ok()
    newest.run("revoke", "--cert-name", "rsa.example", *reason).ok()
    for name in ("webroot.example", "manual.example", "rsa.example"):
        assert pebble.cert_status(serials[name]) == CertificateStatus(status="Revoked", reason=4)
    assert acmectl.lineages() == list(theirs.listing())[::-1] == ["alone.example", "alone.example-0001"]
    theirs.run("delete", "--cert-name", "alone.example-0001").ok()
    acmectl.run("delete", "-n", "--cert-name", "alone.example").ok()
    assert "No certificates" in newest.run("certificates").ok().out
    assert acmectl.run("certificates", "--json").ok().json["certificates"] == []
    left = [path for name in ("live", "archive", "renewal") for path in (acmectl.config / name).rglob("*")]
    assert left == [acmectl.config / "live" / "README"]


def certificates_of(acmectl: Acmectl) -> dict[str, x509.Certificate]:
    return {name: acmectl.certificate(name) for name in LINEAGES}


def keys_of(acmectl: Acmectl) -> dict[str, bytes]:
    return {name: acmectl.live(name, "privkey").read_bytes() for name in LINEAGES}


def expected_key(name: str, certbot: Certbot) -> str:
    if name == "rsa.example":
        return "RSA 3072"
    return "RSA 2048" if certbot.numbers < (2,) else "EC 256"


def key_kind(certificate: x509.Certificate) -> str:
    key: Any = certificate.public_key()
    return f"{'RSA' if isinstance(key, rsa.RSAPublicKey) else 'EC'} {key.key_size}"


def names_in(certificate: x509.Certificate) -> set[str]:
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return set(names.get_values_for_type(x509.DNSName))


def has_must_staple(certificate: x509.Certificate) -> bool:
    return any(isinstance(extension.value, x509.TLSFeature) for extension in certificate.extensions)


def lineage_entries(found: Shape) -> dict[str, object]:
    return {
        name: entry for name, entry in found.entries.items() if Path(name).parts[0] in {"live", "archive", "renewal"}
    }
