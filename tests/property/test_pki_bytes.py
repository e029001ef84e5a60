"""Whatever bytes come, the pki room answers or raises one of our own errors."""

import base64
import contextlib
from datetime import UTC, datetime

from hypothesis import given, settings
from hypothesis import strategies as st

from acmectl.errors import AcmectlError
from acmectl.identifiers import Identifier, ordered
from acmectl.pki.certificate import read_certificate
from acmectl.pki.chain import choose_chain, normalise, split_chain, verify_issued, verify_lineage
from acmectl.pki.csr import make_csr, read_csr
from acmectl.pki.keys import KeySpec, generate_key, public_bytes_of, spec_of
from acmectl.pki.summary import looks_whole, summary
from tests.unit.pki.authority import root

KEY = generate_key(KeySpec.ecdsa())
ROOT = root("Root")
NAME = Identifier.dns("a.example")
LEAF = ROOT.leaf(KEY, [NAME])
CSR = make_csr(KEY, [NAME])
LABELS = ["CERTIFICATE", "CERTIFICATE REQUEST", "PRIVATE KEY", "EC PRIVATE KEY", "NONSENSE"]


def _pem(label: str, body: bytes) -> bytes:
    text = base64.encodebytes(body).decode("ascii")
    return f"-----BEGIN {label}-----\n{text}-----END {label}-----\n".encode("ascii")


@st.composite
def damaged(draw: st.DrawFn, sources: tuple[bytes, ...]) -> bytes:
    data = bytearray(draw(st.sampled_from(sources)))
    for _ in range(draw(st.integers(0, 4))):
        position = draw(st.integers(0, max(0, len(data) - 1)))
        match draw(st.sampled_from(["flip", "cut", "insert"])):
            case "flip" if data:
                data[position] ^= draw(st.integers(1, 255))
            case "cut":
                del data[position : position + draw(st.integers(1, 40))]
            case "insert":
                data[position:position] = draw(st.binary(max_size=20))
    return bytes(data)


DER_OF_LEAF = base64.b64decode(b"".join(LEAF.splitlines()[1:-1]))
BYTES = st.one_of(
    st.binary(max_size=400),
    st.builds(_pem, st.sampled_from(LABELS), st.binary(max_size=200)),
    damaged((LEAF, KEY, CSR, LEAF + ROOT.pem, DER_OF_LEAF)),
    st.builds(_pem, st.just("CERTIFICATE"), damaged((DER_OF_LEAF,))),
    st.builds(_pem, st.just("CERTIFICATE REQUEST"), damaged((CSR,))),
)


@settings(max_examples=400, deadline=None)
@given(BYTES)
def test_any_bytes_are_read_or_refused_by_name(data):
    readers = (read_csr, read_certificate, summary, split_chain, normalise, spec_of, public_bytes_of)
    for reader in readers:
        with contextlib.suppress(AcmectlError):
            reader(data)
    with contextlib.suppress(AcmectlError):
        verify_issued(data, b"", [NAME], datetime(2026, 6, 1, tzinfo=UTC))
    choose_chain([data, LEAF], "Nobody")
    verify_lineage(data, ROOT.pem, data + ROOT.pem, KEY)
    verify_lineage(LEAF, data, LEAF + data, data)
    looks_whole(LEAF, data, LEAF + data, data)


@settings(max_examples=300, deadline=None)
@given(damaged((DER_OF_LEAF,)))
def test_the_quick_reading_never_contradicts_the_thorough_one(der):
    pem = _pem("CERTIFICATE", der)
    try:
        full, quick = read_certificate(pem), summary(pem)
    except AcmectlError:
        return
    for fact in ("serial", "not_before", "not_after", "identifiers", "aki"):
        assert getattr(quick, fact) == getattr(full, fact), fact


@settings(max_examples=300, deadline=None)
@given(damaged((LEAF + ROOT.pem,)))
def test_a_damaged_chain_never_passes_as_another(pem):
    try:
        issued = verify_issued(pem, public_bytes_of(KEY), [NAME], datetime(2026, 6, 1, tzinfo=UTC))
    except AcmectlError:
        return
    # Nobody signs for the topmost certificate, so damage there may pass; below it every byte is vouched for.
    assert issued.leaf == LEAF
    if issued.chain:
        assert read_certificate(issued.chain).spki == read_certificate(ROOT.pem).spki


LABEL = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?", fullmatch=True)
DNS = st.builds(
    lambda labels: Identifier.dns(".".join(labels)),
    st.lists(LABEL, min_size=2, max_size=4).filter(lambda labels: not labels[-1].isdigit()),
)
IP = st.ip_addresses().map(lambda address: Identifier.ip(str(address)))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.one_of(DNS, IP), min_size=1, max_size=20))
def test_every_list_of_names_survives_a_csr_and_a_certificate(identifiers):
    assert read_csr(make_csr(KEY, identifiers)).identifiers == ordered(identifiers)
    leaf = ROOT.leaf(KEY, list(dict.fromkeys(identifiers)))
    assert read_certificate(leaf).identifiers == summary(leaf).identifiers == tuple(dict.fromkeys(identifiers))
    assert verify_issued(leaf, public_bytes_of(KEY), identifiers, datetime(2026, 6, 1, tzinfo=UTC)).leaf == leaf
