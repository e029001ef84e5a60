from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256

from acmectl.errors import ConfigError, ProtocolViolation
from acmectl.identifiers import Identifier, parse_any
from acmectl.pki.chain import choose_chain, normalise, split_chain, topmost_issuer, verify_issued, verify_lineage
from acmectl.pki.chain_wish import ChainWish, parse_chain_wish
from acmectl.pki.keys import KeySpec, generate_key, public_bytes_of
from tests.unit.pki.authority import NOW, root

ROOT = root("Root One")
MIDDLE = ROOT.intermediate("Middle")
LOWER = MIDDLE.intermediate("Lower")
OTHER = root("Other Root")
KEY = generate_key(KeySpec.ecdsa())
SPKI = public_bytes_of(KEY)
NAMES = [Identifier.dns("a.example"), Identifier.dns("*.a.example"), parse_any("192.0.2.1")]
LEAF = LOWER.leaf(KEY, NAMES)


def verify(pem, *, spki=SPKI, names=None, now=NOW):
    return verify_issued(pem, spki, NAMES if names is None else names, now)


def refused(pem, **kwargs):
    with pytest.raises(ProtocolViolation) as caught:
        verify(pem, **kwargs)
    assert "\n" not in caught.value.message
    return caught.value.message


def test_a_chain_is_given_back_as_leaf_and_rest():
    issued = verify(LEAF + LOWER.pem + MIDDLE.pem)
    assert issued.leaf == LEAF
    assert issued.chain == LOWER.pem + MIDDLE.pem
    assert issued.fullchain == LEAF + LOWER.pem + MIDDLE.pem


def test_a_root_at_the_end_is_tolerated():
    assert verify(LEAF + LOWER.pem + MIDDLE.pem + ROOT.pem).chain.endswith(ROOT.pem)


def test_a_certificate_alone_is_allowed():
    assert verify(LEAF).chain == b""


def test_the_order_of_names_does_not_matter():
    assert verify(LEAF, names=NAMES[::-1]).leaf == LEAF


def test_text_windows_line_ends_and_long_lines_are_normalised():
    import re

    one_line = re.sub(
        rb"-----\n(.*?)\n-----", lambda m: b"-----\n" + m[1].replace(b"\n", b"") + b"\n-----", LEAF, flags=re.S
    )
    messy = b"subject=/CN=x\n" + one_line.replace(b"\n", b"\r\n") + b"\n\n# text\n" + LOWER.pem.rstrip(b"\n")
    assert normalise(messy) == LEAF + LOWER.pem


def test_a_certificate_for_another_key_is_refused():
    assert "another key" in refused(LEAF, spki=public_bytes_of(generate_key(KeySpec.ecdsa())))


def test_a_certificate_without_a_name_is_refused():
    assert "without b.example" in refused(LEAF, names=[*NAMES, Identifier.dns("b.example")])


def test_a_certificate_with_one_name_too_many_is_refused():
    assert "more than was ordered: 192.0.2.1" in refused(LEAF, names=NAMES[:2])


def test_a_certificate_with_a_name_of_another_kind_is_refused():
    leaf = LOWER.leaf(KEY, NAMES, extra=[x509.RFC822Name("a@a.example")])
    assert "e-mail address" in refused(leaf)


def test_a_long_list_of_missing_names_is_shortened():
    many = [Identifier.dns(f"n{i}.example") for i in range(30)]
    assert refused(LEAF, names=many).endswith("and 25 more.")


@pytest.mark.parametrize(
    "chain",
    [LEAF + MIDDLE.pem + LOWER.pem, LEAF + MIDDLE.pem, LEAF + OTHER.pem, LEAF + LOWER.pem + OTHER.pem, LEAF + LEAF],
    ids=["swapped", "gap", "foreign", "foreign above", "twice the leaf"],
)
def test_a_chain_that_does_not_link_up_is_refused(chain):
    assert "was not issued by" in refused(chain)


def test_an_issuer_of_the_right_name_and_the_wrong_key_is_refused():
    namesake = root("Lower")
    assert "was not issued by" in refused(LEAF + namesake.pem)


def test_the_leaf_must_come_first():
    assert "another key" in refused(LOWER.pem + LEAF)


def test_a_clock_that_is_an_hour_behind_is_tolerated():
    start = NOW + timedelta(hours=1)
    assert verify(LOWER.leaf(KEY, NAMES, start=start)).leaf
    assert "not valid before" in refused(LOWER.leaf(KEY, NAMES, start=start + timedelta(seconds=1)))


def test_a_certificate_that_has_ended_is_refused():
    leaf = LOWER.leaf(KEY, NAMES, start=NOW - timedelta(days=2), days=2)
    assert "ended on" in refused(leaf)
    assert verify(leaf, now=NOW - timedelta(seconds=1)).leaf == leaf


@pytest.mark.parametrize(
    ("pem", "message"),
    [
        (b"", "not a certificate chain"),
        (b"<html>", "not a certificate chain"),
        (LEAF + LOWER.pem[:-40], "cut off"),
        (LEAF.replace(b"CERTIFICATE", b"CERT IFICATE"), "CERT IFICATE"),
        (LEAF + KEY, "PRIVATE KEY"),
        (b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "cannot be read"),
        (b"-----BEGIN CERTIFICATE-----\nAAA\n-----END CERTIFICATE-----\n", "cannot be read"),
        (LEAF * 21, "more than 20"),
        (LEAF + b" " * (1 << 20), "more than 1048576 bytes"),
    ],
)
def test_what_is_no_chain_is_refused(pem, message):
    assert message in refused(pem)


def test_a_chain_is_split_in_its_order():
    assert split_chain(LEAF + LOWER.pem + MIDDLE.pem) == [LEAF, LOWER.pem, MIDDLE.pem]


def test_a_sound_lineage_has_no_problem():
    assert verify_lineage(LEAF, LOWER.pem, LEAF + LOWER.pem, KEY) is None
    assert verify_lineage(LEAF, b"", LEAF, KEY) is None


@pytest.mark.parametrize(
    ("files", "problem"),
    [
        ((LEAF, LOWER.pem, LEAF, KEY), "fullchain.pem is not"),
        ((b"x", LOWER.pem, b"x" + LOWER.pem, KEY), "cert.pem cannot be read"),
        ((LEAF, b"x", LEAF + b"x", KEY), "chain.pem cannot be read"),
        ((LEAF, MIDDLE.pem, LEAF + MIDDLE.pem, KEY), "not signed by"),
        ((LEAF, LOWER.pem, LEAF + LOWER.pem, generate_key(KeySpec.ecdsa())), "does not belong"),
        ((LEAF, LOWER.pem, LEAF + LOWER.pem, b"x"), "privkey.pem: "),
    ],
)
def test_a_lineage_with_a_foreign_part_is_named(files, problem):
    found = verify_lineage(*files)
    assert found is not None
    assert problem in found


def test_the_chain_is_chosen_by_the_issuer_of_its_topmost_certificate():
    default, alternate = LEAF + LOWER.pem + MIDDLE.pem, LEAF + LOWER.pem
    assert topmost_issuer(default) == "Root One"
    assert topmost_issuer(alternate) == "Middle"
    assert choose_chain([default, alternate], "Middle") == (alternate, True)
    assert choose_chain([default, alternate], "Root One") == (default, True)


def test_without_a_match_the_default_is_given_and_said():
    assert choose_chain([LEAF, LEAF + LOWER.pem], "Nobody") == (LEAF, False)
    assert choose_chain([LEAF, LEAF + LOWER.pem], "middle") == (LEAF, False)


def test_alternates_are_not_fetched_without_need():
    def chains():
        yield LEAF
        raise AssertionError

    assert choose_chain(chains(), None) == (LEAF, True)
    assert choose_chain(chains(), "Lower") == (LEAF, True)


def test_an_alternate_that_cannot_be_read_is_passed_over():
    assert choose_chain([LEAF, b"rubbish", LEAF + LOWER.pem], "Middle") == (LEAF + LOWER.pem, True)


def test_a_ca_without_any_chain_is_a_violation():
    with pytest.raises(ProtocolViolation):
        choose_chain([], None)


def _fingerprint(authority):
    return authority.certificate.fingerprint(SHA256()).hex()


def _key_id(authority):
    return authority.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest.hex()


def test_a_chain_is_chosen_by_the_fingerprint_of_any_certificate_in_it():
    default, alternate = LEAF + LOWER.pem + OTHER.pem, LEAF + LOWER.pem + MIDDLE.pem
    digits = _fingerprint(MIDDLE)
    colons = ":".join(digits[at : at + 2] for at in range(0, 64, 2)).upper()
    for text in (digits, colons, f"sha256:{digits}", f"SHA256:{colons}"):
        assert choose_chain([default, alternate], text) == (alternate, True)
    # The root that is not sent has a fingerprint that nobody can see.
    assert choose_chain([default, alternate], _fingerprint(ROOT)) == (default, False)
    assert choose_chain([b"rubbish", alternate], digits) == (alternate, True)


def test_a_chain_is_chosen_by_a_key_identifier_in_it_or_above_it():
    leaf = ROOT.leaf(KEY, NAMES)
    default, alternate = leaf + OTHER.pem, leaf
    for text in (_key_id(ROOT), f"ski:{_key_id(ROOT)}", f"keyid:{_key_id(ROOT).upper()}"):
        assert choose_chain([default, alternate], text) == (alternate, True)
    assert choose_chain([alternate, default], f"ski:{_key_id(OTHER)}") == (default, True)
    assert choose_chain([default, alternate], f"ski:{_key_id(MIDDLE)}") == (default, False)


def test_an_issuer_whose_name_looks_like_a_fingerprint_is_found_by_its_name():
    strange = root("ab" * 32)
    alternate = strange.leaf(KEY, NAMES)
    assert choose_chain([LEAF, alternate], "ab" * 32) == (alternate, True)


@pytest.mark.parametrize("text", ["sha256:abcd", "sha256:", "ski:", "ski:xyz", "keyid:a", "sha256:" + "ab" * 20])
def test_what_no_chain_can_be_named_by_is_refused(text):
    with pytest.raises(ConfigError):
        parse_chain_wish(text)


@pytest.mark.parametrize("text", ["ISRG Root X1", "ab" * 19, "ab" * 33, "g" * 64, ":" * 40, "a:" * 32])
def test_everything_else_is_a_name_alone(text):
    assert parse_chain_wish(text) == ChainWish(name=text)
