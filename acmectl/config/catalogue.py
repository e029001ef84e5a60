"""CAs that are known by a short name. Data alone; loaded only where a short name or a CA's staging is asked for.

What a CA says of itself in its directory counts; this table is for choosing one and for what no directory says.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from acmectl.config.rows_general import LETS_ENCRYPT, LETS_ENCRYPT_STAGING
from acmectl.config.values import nearest, shown
from acmectl.errors import ConfigError, UsageError

_HOUR, _DAY = 3600, 86_400


class Counted(StrEnum):
    """What a limit counts, and per what."""

    ACCOUNT_ORDERS = "account-orders"
    DOMAIN_CERTIFICATES = "domain-certificates"
    SET_CERTIFICATES = "set-certificates"
    NAME_FAILURES = "name-failures"
    ADDRESS_ACCOUNTS = "address-accounts"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """``count`` of ``what`` in ``seconds``, as the CA publishes it: a token bucket that fills up evenly."""

    counted: Counted
    what: str
    count: int
    seconds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownProfile:
    """A profile of a CA. ``names`` is how many a certificate may have, None where that is not known.

    ``default``: what is ordered without naming a profile.
    """

    name: str
    names: int | None = None
    default: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownCa:
    """A CA. ``url`` is its directory's; None where it has ended or each customer has a URL of their own.

    ``url_like`` shows such a URL. ``ended`` is the year and month in which its ACME service ended. ``eab``: accounts
    are bound to one at the CA (RFC 8555 section 7.3.4). ``ari``: RFC 9773; None where it is not known. ``staging`` is
    the short name of the CA to try things at. ``challenges`` are the kinds that it is known for, empty where that is
    not known. ``limits`` only where the CA publishes them.
    """

    name: str
    title: str
    url: str | None = None
    url_like: str | None = None
    ended: str | None = None
    eab: bool = False
    ari: bool | None = None
    profiles: tuple[KnownProfile, ...] = ()
    staging: str | None = None
    challenges: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    limits: tuple[Limit, ...] = ()


_HTTP_DNS = ("http-01", "dns-01")
# letsencrypt.org/docs/profiles, 2026-08-05
_PROFILES = (
    KnownProfile(name="classic", names=100, default=True),
    KnownProfile(name="tlsserver", names=25),
    KnownProfile(name="shortlived", names=25),
)
_ONE_NAME = "Free certificates have one name and its www."

CATALOGUE: tuple[KnownCa, ...] = (
    KnownCa(
        name="letsencrypt",
        title="Let's Encrypt",
        url=LETS_ENCRYPT,
        ari=True,
        profiles=_PROFILES,
        staging="letsencrypt-staging",
        challenges=(*_HTTP_DNS, "tls-alpn-01"),
        notes=("IP addresses with the profile shortlived only.",),
        # letsencrypt.org/docs/rate-limits, 2026-08-05
        limits=(
            Limit(counted=Counted.ACCOUNT_ORDERS, what="new orders per account", count=300, seconds=3 * _HOUR),
            Limit(
                counted=Counted.DOMAIN_CERTIFICATES,
                what="certificates per registered domain",
                count=50,
                seconds=7 * _DAY,
            ),
            Limit(
                counted=Counted.SET_CERTIFICATES,
                what="certificates per exact set of names",
                count=5,
                seconds=7 * _DAY,
            ),
            Limit(
                counted=Counted.NAME_FAILURES,
                what="failed validations per name and account",
                count=5,
                seconds=_HOUR,
            ),
            Limit(counted=Counted.ADDRESS_ACCOUNTS, what="new accounts per IP address", count=10, seconds=3 * _HOUR),
        ),
    ),
    KnownCa(
        name="letsencrypt-staging",
        title="Let's Encrypt (staging)",
        url=LETS_ENCRYPT_STAGING,
        ari=True,
        profiles=_PROFILES,
        staging="letsencrypt-staging",
        challenges=(*_HTTP_DNS, "tls-alpn-01", "dns-persist-01"),
        notes=("For trying things: nobody trusts its certificates.",),
    ),
    KnownCa(
        name="zerossl",
        title="ZeroSSL",
        url="https://acme.zerossl.com/v2/DV90",
        eab=True,
        ari=False,
        challenges=_HTTP_DNS,
        notes=("The account's key cannot be changed.", "No IP addresses by ACME."),
    ),
    KnownCa(
        name="google",
        title="Google Trust Services",
        url="https://dv.acme-v02.api.pki.goog/directory",
        eab=True,
        ari=True,
        staging="google-test",
        challenges=(*_HTTP_DNS, "tls-alpn-01", "dns-persist-01"),
        notes=(
            "A pair of --eab-kid and --eab-hmac-key is good for one account and for seven days.",
            "IP addresses on request.",
        ),
    ),
    KnownCa(
        name="google-test",
        title="Google Trust Services (test)",
        url="https://dv.acme-v02.test-api.pki.goog/directory",
        eab=True,
        ari=True,
        staging="google-test",
        challenges=(*_HTTP_DNS, "tls-alpn-01", "dns-persist-01"),
        notes=(
            "For trying things: nobody trusts its certificates.",
            "Its accounts and their --eab-kid and --eab-hmac-key are its own.",
        ),
    ),
    *(
        KnownCa(
            name=name,
            title=f"SSL.com ({key})",
            url=f"https://acme.ssl.com/sslcom-dv-{path}",
            eab=True,
            ari=False,
            challenges=_HTTP_DNS,
            notes=(f"For certificates with {key} keys.", "An e-mail address is needed.", _ONE_NAME),
        )
        for name, key, path in (("sslcom", "ECDSA", "ecc"), ("sslcom-rsa", "RSA", "rsa"))
    ),
    KnownCa(
        name="actalis",
        title="Actalis",
        url="https://acme-api.actalis.com/acme/directory",
        eab=True,
        ari=True,
        challenges=_HTTP_DNS,
        notes=(_ONE_NAME, "Lists the orders of an account.", "Every certificate needs its names proved anew."),
    ),
    KnownCa(
        name="sectigo",
        title="Sectigo (DV)",
        url="https://acme.sectigo.com/v2/DV",
        eab=True,
        challenges=_HTTP_DNS,
        notes=("Customers of its enterprise services have directories of their own, and names proved beforehand.",),
    ),
    KnownCa(
        name="globalsign",
        title="GlobalSign Atlas (EMEA)",
        url="https://emea.acme.atlas.globalsign.com/directory",
        eab=True,
        notes=("Other regions have other directories.",),
    ),
    KnownCa(
        name="digicert",
        title="DigiCert",
        url="https://one.digicert.com/mpki/api/v1/acme/v2/directory",
        eab=True,
        notes=("CertCentral has directories of its own.",),
    ),
    KnownCa(
        name="aws",
        title="AWS Certificate Manager (Amazon Trust)",
        url_like="https://acm-acme-enroll.REGION.api.aws/ENDPOINT/directory",
        eab=True,
        notes=("Names are approved beforehand: its orders have no challenges.", "Issuing takes up to two minutes."),
    ),
    KnownCa(
        name="harica",
        title="HARICA",
        url_like="https://acme-v02.harica.gr/acme/SECRET/directory",
        eab=True,
        notes=("The URL has a secret in it: keep it out of sight.",),
    ),
    KnownCa(
        name="buypass",
        title="Buypass Go SSL",
        ended="2025-10",
        notes=("Certificates have to come from another CA.",),
    ),
)

_BY_NAME = {ca.name: ca for ca in CATALOGUE}
_BY_URL = {ca.url: ca for ca in CATALOGUE if ca.url is not None}


def directory_url(text: str, origin: str) -> str:
    """The directory URL that ``text`` means: itself, or that of the CA with this short name.

    ``origin`` tells where it was given. Raises: UsageError for a name that is not known; ConfigError for a CA that has
    no URL any more, or one for each customer.
    """
    if "://" in text:
        return text
    ca = _BY_NAME.get(text.strip().lower())
    if ca is None:
        near = nearest(text.strip().lower(), _BY_NAME)
        meant = f" (did you mean {near}?)" if near else ""
        raise UsageError(
            f"{origin}: {shown(text)} is neither an https URL nor the short name of a CA{meant}.",
            hint="acmectl ca lists the CAs that have one.",
        )
    if ca.ended is not None:
        raise ConfigError(
            f"{origin}: the ACME service of {ca.title} ended {ca.ended}.", hint="acmectl ca lists CAs that there are."
        )
    if ca.url is None:
        raise ConfigError(
            f"{origin}: {ca.title} gives each customer a URL; give yours, which looks like {ca.url_like}."
        )
    return ca.url


def known(url: str) -> KnownCa | None:
    """What is known of the CA with this directory URL."""
    return _BY_URL.get(url)


def profile_limit(url: str, profile: str | None) -> KnownProfile | None:
    """The profile of the CA with this directory URL (None: the one that it uses unasked), if its limit is known."""
    ca = _BY_URL.get(url)
    for one in ca.profiles if ca is not None else ():
        if one.names is not None and (one.default if profile is None else one.name == profile):
            return one
    return None


def staging_of(url: str) -> str | None:
    """The directory URL to try at what is meant for ``url``: a staging CA's is its own; None where there is none."""
    ca = _BY_URL.get(url)
    return _BY_NAME[ca.staging].url if ca is not None and ca.staging is not None else None
