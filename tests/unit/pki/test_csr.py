import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from cryptography.x509.oid import NameOID

from acmectl.errors import ConfigError
from acmectl.identifiers import Identifier, parse_any
from acmectl.pki.csr import is_in_place_of_key, make_csr, read_csr, spki_beside
from acmectl.pki.keys import KeySpec, generate_key, public_bytes_of

KEY = generate_key(KeySpec.ecdsa())
NAMES = [parse_any(text) for text in ("192.0.2.1", "*.a.example", "b.example", "2001:db8::1")]


def request(names=(), common=None, key=None, **extensions):
    key = key or load_pem_private_key(KEY, None)
    subject = [x509.NameAttribute(NameOID.COMMON_NAME, common)] if common else []
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name(subject))
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(list(names)), critical=False)
    return builder.sign(key, None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256())


def test_a_csr_has_no_subject_and_names_dns_before_ip():
    parsed = x509.load_der_x509_csr(make_csr(KEY, NAMES))
    assert len(list(parsed.subject)) == 0
    assert isinstance(parsed.signature_hash_algorithm, hashes.SHA256)
    assert parsed.is_signature_valid
    (extension,) = parsed.extensions
    values = [str(name.value) for name in extension.value]
    assert values == ["*.a.example", "b.example", "192.0.2.1", "2001:db8::1"]


def test_must_staple_asks_for_the_tls_feature():
    parsed = x509.load_der_x509_csr(make_csr(KEY, NAMES, must_staple=True))
    feature = parsed.extensions.get_extension_for_class(x509.TLSFeature).value
    assert list(feature) == [x509.TLSFeatureType.status_request]
    assert read_csr(make_csr(KEY, NAMES, must_staple=True)).must_staple
    assert not read_csr(make_csr(KEY, NAMES)).must_staple


def test_a_common_name_goes_into_the_subject():
    parsed = x509.load_der_x509_csr(make_csr(KEY, NAMES, common_name="b.example"))
    assert parsed.subject.rfc4514_string() == "CN=b.example"


@pytest.mark.parametrize("common", ["other.example", ""])
def test_a_common_name_must_be_one_of_the_names(common):
    with pytest.raises(ConfigError, match="not one of"):
        make_csr(KEY, NAMES, common_name=common)


def test_a_common_name_longer_than_x509_allows_is_refused():
    long = Identifier.dns("a" * 60 + ".example")
    with pytest.raises(ConfigError, match="longer than 64"):
        make_csr(KEY, [long], common_name=long.value)


def test_a_csr_without_names_is_not_made():
    with pytest.raises(ConfigError, match="at least one name"):
        make_csr(KEY, [])


def test_what_was_made_reads_back():
    der = make_csr(KEY, NAMES)
    info = read_csr(der)
    assert info.der == der
    assert info.spki == public_bytes_of(KEY)
    assert [str(identifier) for identifier in info.identifiers] == [
        "*.a.example",
        "b.example",
        "192.0.2.1",
        "2001:db8::1",
    ]


def test_pem_with_text_around_it_reads_like_der():
    csr = request([x509.DNSName("a.example")])
    pem = b"Certificate Request:\n    Data:\n" + csr.public_bytes(Encoding.PEM) + b"\ntrailing\n"
    assert read_csr(pem) == read_csr(csr.public_bytes(Encoding.DER))


def test_a_common_name_that_is_not_among_the_names_is_ordered_too():
    csr = request([x509.DNSName("a.example")], common="B.example")
    assert [str(i) for i in read_csr(csr.public_bytes(Encoding.DER)).identifiers] == ["b.example", "a.example"]


def test_a_common_name_alone_is_enough():
    csr = request(common="only.example")
    assert read_csr(csr.public_bytes(Encoding.PEM)).identifiers == (Identifier.dns("only.example"),)


def test_a_csr_that_names_nothing_is_refused():
    with pytest.raises(ConfigError, match="names nothing"):
        read_csr(request().public_bytes(Encoding.PEM))


def test_a_csr_that_asks_for_an_email_address_is_refused():
    csr = request([x509.DNSName("a.example"), x509.RFC822Name("me@a.example")])
    with pytest.raises(ConfigError, match="e-mail address"):
        read_csr(csr.public_bytes(Encoding.DER))


def test_a_common_name_that_is_no_name_is_refused():
    with pytest.raises(ConfigError):
        read_csr(request(common="My Server").public_bytes(Encoding.DER))


def test_a_csr_with_a_wrong_signature_is_refused():
    mine, other = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    der = request([x509.DNSName("a.example")], key=mine).public_bytes(Encoding.DER)
    spki = [key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo) for key in (mine, other)]
    with pytest.raises(ConfigError, match="signature"):
        read_csr(der.replace(*spki))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "empty"),
        (b"\n\n", "empty"),
        (b"hello", "not a CSR"),
        (KEY, "private key"),
        (b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "certificate"),
        (b"-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n", "not a CSR"),
        (b"0" * ((1 << 20) + 1), "longer"),
    ],
)
def test_what_is_no_csr_is_said_plainly(data, message):
    with pytest.raises(ConfigError, match=message):
        read_csr(data)


def test_the_kind_of_key_is_told():
    name = x509.DNSName("a.example")
    keys = {
        "RSA 2048": rsa.generate_private_key(65537, 2048),
        "ECDSA secp384r1": ec.generate_private_key(ec.SECP384R1()),
        "None": ec.generate_private_key(ec.SECP256K1()),
    }
    for kind, key in keys.items():
        assert str(read_csr(request([name], key=key).public_bytes(Encoding.DER)).key) == kind
    assert read_csr(request([name], key=ed25519.Ed25519PrivateKey.generate()).public_bytes(Encoding.DER)).key is None


@pytest.mark.parametrize("key", [rsa.generate_private_key(65537, 1024), dsa.generate_private_key(1024)])
def test_a_key_that_no_ca_takes_is_refused(key):
    with pytest.raises(ConfigError, match=r"1024 bits|DSA"):
        read_csr(request([x509.DNSName("a.example")], key=key).public_bytes(Encoding.DER))


def test_a_csr_stands_in_place_of_a_key_that_is_kept_elsewhere():
    csr = read_csr(make_csr(KEY, NAMES))
    text = csr.in_place_of_key()
    assert is_in_place_of_key(text)
    assert read_csr(text) == csr
    assert spki_beside(text) == spki_beside(KEY) == csr.spki
    # A key counts, whatever else is in the file.
    assert not is_in_place_of_key(KEY)
    assert not is_in_place_of_key(KEY + text)
