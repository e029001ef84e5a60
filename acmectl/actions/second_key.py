"""Two certificates for the same names in one version, each with a key of its own type (docs/two-keys.md)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from acmectl.actions.csr_stored import KEY as CSR
from acmectl.actions.due import Due, Rule
from acmectl.errors import AcmectlError, ConfigError
from acmectl.pki.summary import summary
from acmectl.storage.archive import CertificateFiles

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from acmectl.actions.requests import CertificateRequest
    from acmectl.actions.scan import Snapshot
    from acmectl.actions.target import Target
    from acmectl.pki.summary import CertificateSummary
    from acmectl.storage.lineage import Lineage


@dataclass(frozen=True, slots=True, kw_only=True)
class SecondCertificate:
    """The second certificate of a version. ``key_type`` is rsa or ecdsa; ``not_after`` aware UTC."""

    key_type: str
    serial: int
    not_after: datetime


def described(files: CertificateFiles | None, key_type: str | None) -> SecondCertificate | None:
    """What is told of the second certificate of a version, if it has one. Raises: ConfigError."""
    if files is None or key_type is None:
        return None
    certificate = summary(files.cert)
    return SecondCertificate(key_type=key_type, serial=certificate.serial, not_after=certificate.not_after)


def present(lineage: Lineage) -> SecondCertificate | None:
    """What is told of the live second certificate; None if there is none that can be read."""
    if lineage.second is None:
        return None
    try:
        return described(lineage.read_second(), lineage.second.key_type)
    except AcmectlError:
        return None


def parts_of(target: Target, request: CertificateRequest) -> list[tuple[Target, CertificateRequest]]:
    """What is ordered for one version: one certificate, or two of which the first is the one that certbot sees.

    Raises: ConfigError for two where there can only be one.
    """
    spec = request.key.second
    if spec is None:
        return [(target, request)]
    key = request.key
    alone = "Use --key-type with one type, or another --cert-name."
    if CSR in request.own:
        raise ConfigError(
            f"The certificate {target.name} is made from a stored CSR, which has one key; two types were asked for.",
            hint=alone,
        )
    if key.token is not None:
        raise ConfigError("A key in a PKCS#11 token is one key, and two types of key were asked for.", hint=alone)
    if key.stage_next:
        raise ConfigError("--stage-next-key is for one key, and two types of key were asked for.", hint=alone)
    second = replace(request, key=replace(key, spec=spec, second=None))
    return [(target, request), (replace(target, second_type=str(spec.type)), second)]


def is_due(lineage: Lineage, judge: Callable[[CertificateSummary], bool]) -> bool:
    """Whether the second certificate of ``lineage`` is a reason to renew both; ``judge`` goes by its dates."""
    if lineage.second is None:
        return False
    if lineage.second_lags:
        # A version that somebody went back to stays what it is.
        return lineage.pinned is None
    try:
        return judge(summary(lineage.read(f"cert-{lineage.second.key_type}")))
    except AcmectlError:
        return True


def with_second(first: Due, snapshot: Snapshot, second: Due | None) -> Due:
    """The verdict on a lineage from that on its first certificate and that on its second, None if it has none."""
    if first.due or first.rule is Rule.AUTORENEW_OFF:
        return first
    if snapshot.second_lags:
        why = "its second certificate is missing or of another version: another program has renewed the first alone"
        return Due(due=True, rule=Rule.SECOND_KEY, why=why)
    if second is None or not (second.due or (second.at is not None and first.at is not None and second.at < first.at)):
        return first
    return replace(second, why=f"its second certificate: {second.why}")
