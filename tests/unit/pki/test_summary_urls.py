"""Where certificates say that revocations are told: read without the cryptography library."""

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtensionOID

from acmectl.pki.certificate import read_certificate
from acmectl.pki.summary import summary
from tests.unit.pki.authority import NOW

URI = x509.UniformResourceIdentifier


def certificate(*extensions):
    key = ec.generate_private_key(ec.SECP256R1())
    builder = x509.CertificateBuilder(x509.Name([]), x509.Name([]), key.public_key(), 7, NOW, NOW)
    for extension in extensions:
        builder = builder.add_extension(extension, critical=False)
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)


def point(*names, relative=None, issuer=None):
    full = [URI(name) if isinstance(name, str) else name for name in names] or None
    return x509.DistributionPoint(full, relative, None, issuer)


DIRECTORY = x509.DirectoryName(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "x")]))


@pytest.mark.parametrize(
    "extensions",
    [
        (),
        (x509.CRLDistributionPoints([point("http://a.example/1.crl")]),),
        (x509.CRLDistributionPoints([point("http://a.example/1.crl", DIRECTORY, "ldap://b/c"), point("https://d/e")]),),
        (
            x509.CRLDistributionPoints(
                [
                    point(
                        relative=x509.RelativeDistinguishedName([x509.NameAttribute(x509.NameOID.COMMON_NAME, "x")]),
                        issuer=[DIRECTORY],
                    ),
                    point(issuer=[DIRECTORY]),
                    point("http://a.example/2.crl"),
                ]
            ),
        ),
        (
            x509.AuthorityInformationAccess(
                [
                    x509.AccessDescription(AuthorityInformationAccessOID.CA_ISSUERS, URI("http://a.example/ca")),
                    x509.AccessDescription(AuthorityInformationAccessOID.OCSP, URI("http://a.example/ocsp")),
                    x509.AccessDescription(AuthorityInformationAccessOID.OCSP, DIRECTORY),
                ]
            ),
        ),
    ],
    ids=["none", "one", "several", "without-url", "responder"],
)
def test_the_urls_are_those_that_the_library_reads(extensions):
    pem = certificate(*extensions)
    careful = read_certificate(pem)
    quick = summary(pem)
    assert (quick.crl_urls, quick.ocsp_urls) == (careful.crl_urls, careful.ocsp_urls)


@pytest.mark.parametrize("content", [b"", b"\x30", b"\x30\x05\x30\x7f", b"\x04\x00", b"\x30\x02\x30\x84"])
@pytest.mark.parametrize("oid", [ExtensionOID.CRL_DISTRIBUTION_POINTS, ExtensionOID.AUTHORITY_INFORMATION_ACCESS])
def test_a_malformed_place_is_none_and_spoils_nothing_else(oid, content):
    found = summary(certificate(x509.UnrecognizedExtension(oid, content)))
    assert (found.serial, found.crl_urls, found.ocsp_urls) == (7, (), ())


def test_a_url_cannot_carry_control_characters():
    found = summary(certificate(x509.CRLDistributionPoints([point("http://a.example/\x1b[2J")])))
    assert found.crl_urls == ("http://a.example/?[2J",)
