"""A certification authority of the test's own that tells of revocations: by CRL and by OCSP, over plain http."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID

PEM, DER = serialization.Encoding.PEM, serialization.Encoding.DER
Reply = Callable[[bytes], bytes | int]
"""Answers the body of a request: by content, or by an HTTP status."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Issued:
    """A certificate and its key, PEM."""

    certificate: x509.Certificate
    cert_pem: bytes
    key_pem: bytes = field(repr=False)


class RevokingCa:
    """An issuer. ``revoked`` are serial numbers by the time of their revocation."""

    def __init__(self, name: str = "A CA that revokes") -> None:
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.certificate = self._signed(self.name, self.key.public_key(), authority=True)
        self.pem = self.certificate.public_bytes(PEM)
        self.revoked: dict[int, datetime] = {}

    def _builder(self, subject: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=89))
        )

    def _signed(
        self, subject: x509.Name, key: ec.EllipticCurvePublicKey, *, authority: bool = False, ocsp_signing: bool = False
    ) -> x509.Certificate:
        builder = self._builder(subject, key)
        if authority:
            builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        if ocsp_signing:
            usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.OCSP_SIGNING])
            builder = builder.add_extension(usage, critical=False)
        return builder.sign(self.key, hashes.SHA256())

    def issue(self, name: str, *, crl: list[str] | None = None, responder: str | None = None) -> Issued:
        """A certificate for 90 days, one of which is over, that names the URLs."""
        key = ec.generate_private_key(ec.SECP256R1())
        builder = self._builder(x509.Name([]), key.public_key()).add_extension(
            x509.SubjectAlternativeName([x509.DNSName(name)]), critical=True
        )
        identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())
        builder = builder.add_extension(identifier, critical=False)
        if crl:
            points = [x509.DistributionPoint([x509.UniformResourceIdentifier(url)], None, None, None) for url in crl]
            builder = builder.add_extension(x509.CRLDistributionPoints(points), critical=False)
        if responder:
            place = x509.UniformResourceIdentifier(responder)
            access = x509.AccessDescription(AuthorityInformationAccessOID.OCSP, place)
            builder = builder.add_extension(x509.AuthorityInformationAccess([access]), critical=False)
        certificate = builder.sign(self.key, hashes.SHA256())
        private = key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        return Issued(certificate=certificate, cert_pem=certificate.public_bytes(PEM), key_pem=private)

    def crl(
        self,
        *,
        start: timedelta = timedelta(hours=-1),
        end: timedelta = timedelta(days=3),
        signer: RevokingCa | None = None,
        place: str | None = None,
        critical: bool = False,
    ) -> bytes:
        """The list (DER); ``start`` and ``end`` are relative to now, ``signer`` another CA that forges it."""
        now = datetime.now(UTC)
        builder = x509.CertificateRevocationListBuilder().issuer_name(self.name)
        builder = builder.last_update(now + start).next_update(now + end)
        for serial, when in self.revoked.items():
            entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(when).build()
            builder = builder.add_revoked_certificate(entry)
        if place is not None:
            scope = x509.IssuingDistributionPoint(
                full_name=[x509.UniformResourceIdentifier(place)],
                relative_name=None,
                only_contains_user_certs=True,
                only_contains_ca_certs=False,
                only_some_reasons=None,
                indirect_crl=False,
                only_contains_attribute_certs=False,
            )
            builder = builder.add_extension(scope, critical=True)
        if critical:
            builder = builder.add_extension(x509.DeltaCRLIndicator(1), critical=True)
        return builder.sign((signer or self).key, hashes.SHA256()).public_bytes(DER)

    def answer(
        self,
        request: bytes,
        *,
        signer: RevokingCa | None = None,
        delegate: bool = False,
        delegate_may: bool = True,
        start: timedelta = timedelta(hours=-1),
        end: timedelta = timedelta(days=3),
        unknown: bool = False,
        about: Issued | None = None,
        issued: list[Issued] | None = None,
    ) -> bytes:
        """The answer to an OCSP request about one of ``issued``: signed by the CA or by one that it has appointed.

        ``signer`` is another CA of the same name that forges it.
        """
        serial = ocsp.load_der_ocsp_request(request).serial_number
        subject = about or next(one for one in issued or [] if one.certificate.serial_number == serial)
        when = self.revoked.get(subject.certificate.serial_number)
        now = datetime.now(UTC)
        status = ocsp.OCSPCertStatus.GOOD if when is None else ocsp.OCSPCertStatus.REVOKED
        builder = ocsp.OCSPResponseBuilder().add_response(
            cert=subject.certificate,
            issuer=self.certificate,
            algorithm=hashes.SHA1(),
            cert_status=ocsp.OCSPCertStatus.UNKNOWN if unknown else status,
            this_update=now + start,
            next_update=now + end,
            revocation_time=None if unknown else when,
            revocation_reason=None,
        )
        speaker = signer or self
        key, responder, encoding = speaker.key, speaker.certificate, ocsp.OCSPResponderEncoding.NAME
        if delegate:
            key = ec.generate_private_key(ec.SECP256R1())
            name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "A responder")])
            responder = speaker._signed(name, key.public_key(), ocsp_signing=delegate_may)
            builder = builder.certificates([responder])
            encoding = ocsp.OCSPResponderEncoding.HASH
        return builder.responder_id(encoding, responder).sign(key, hashes.SHA256()).public_bytes(DER)


class Place:
    """A plain http server at 127.0.0.1: paths to replies. Other paths answer 404; ``hold`` makes a path hang."""

    def __init__(self) -> None:
        self.replies: dict[str, Reply] = {}
        self.requests: list[str] = []
        self._hanging: set[str] = set()
        self._stop = threading.Event()

    def __enter__(self) -> Self:
        place = self

        class Handler(BaseHTTPRequestHandler):
            def handle_any(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
                place.requests.append(self.path)
                if self.path in place._hanging:
                    place._stop.wait()
                    return
                found = place.replies.get(self.path)
                reply = 404 if found is None else found(body)
                with suppress(OSError):
                    if isinstance(reply, int):
                        self.send_response(reply)
                        self.send_header("Location", place.url("/elsewhere"))
                        self.end_headers()
                        return
                    self.send_response(200)
                    self.end_headers()
                    self.wfile.write(reply)

            do_GET = do_POST = handle_any  # noqa: N815 - names that the base class looks for

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name for it
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._stop.set()
        self._server.shutdown()
        self._server.server_close()

    def url(self, path: str) -> str:
        """The URL of a path."""
        return f"http://127.0.0.1:{self._server.server_address[1]}{path}"

    def hold(self, path: str) -> None:
        """Take requests for the path and never answer."""
        self._hanging.add(path)
