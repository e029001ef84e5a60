"""ACME objects as values (RFC 8555 section 7.1). Unknown fields are ignored, URLs are https, lists are bounded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urljoin

from acmectl.acme.problem import Problem
from acmectl.acme.status import AccountStatus, AuthorizationStatus, ChallengeStatus, OrderStatus
from acmectl.acme.wire import JsonObject, check_url, is_https_url, plain_text, read_identifier
from acmectl.errors import ProtocolViolation

if TYPE_CHECKING:
    from datetime import datetime

    from acmectl.identifiers import Identifier


_MOST_ISSUERS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectoryMeta:
    """What the CA says about itself (RFC 8555 section 7.1.1). Texts are safe for a terminal.

    ``account_hash_prefix`` and ``issuer_domain_names`` are of draft-ietf-acme-dns-persist-02 section 4.
    """

    terms_of_service: str | None = None
    website: str | None = None
    caa_identities: tuple[str, ...] = ()
    external_account_required: bool = False
    profiles: Mapping[str, str] = field(default_factory=dict)
    account_hash_prefix: str | None = None
    issuer_domain_names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Directory:
    """Where the CA's operations are (RFC 8555 section 7.1.1, RFC 9773 section 3). All absolute https URLs."""

    url: str
    new_nonce: str
    new_account: str
    new_order: str
    revoke_cert: str
    new_authz: str | None = None
    key_change: str | None = None
    renewal_info: str | None = None
    meta: DirectoryMeta = field(default_factory=DirectoryMeta)

    @classmethod
    def from_json(cls, source: JsonObject, url: str) -> Directory:
        """Read a directory. Raises: ProtocolViolation."""
        return cls(
            url=url,
            new_nonce=source.url("newNonce"),
            new_account=source.url("newAccount"),
            new_order=source.url("newOrder"),
            revoke_cert=source.url("revokeCert"),
            new_authz=source.optional_url("newAuthz"),
            key_change=source.optional_url("keyChange"),
            renewal_info=source.optional_url("renewalInfo"),
            meta=_read_meta(source.optional_child("meta")),
        )


def _names(value: object) -> tuple[str, ...]:
    names = value if isinstance(value, list) else []
    return tuple(plain_text(name, 255) for name in names[:_MOST_ISSUERS] if isinstance(name, str))


def _read_meta(source: JsonObject | None) -> DirectoryMeta:
    """Meta only informs, so what is malformed in it is left out rather than refused."""
    if source is None:
        return DirectoryMeta()
    fields = source.fields
    terms, website = fields.get("termsOfService"), fields.get("website")
    profiles, prefix = fields.get("profiles"), fields.get("accountHashPrefix")
    return DirectoryMeta(
        terms_of_service=plain_text(terms) if isinstance(terms, str) and terms else None,
        website=plain_text(website) if isinstance(website, str) and website else None,
        caa_identities=_names(fields.get("caaIdentities")),
        account_hash_prefix=plain_text(prefix, 255) if isinstance(prefix, str) and prefix else None,
        issuer_domain_names=_names(fields.get("issuerDomainNames")),
        external_account_required=fields.get("externalAccountRequired") is True,
        profiles={
            plain_text(name, 100): plain_text(text) if isinstance(text, str) else "" for name, text in profiles.items()
        }
        if isinstance(profiles, Mapping)
        else {},
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """An account (RFC 8555 section 7.1.2). ``created`` tells a new one from one that existed (section 7.3)."""

    url: str
    status: AccountStatus
    contact: tuple[str, ...] = ()
    orders: str | None = None
    terms_of_service_agreed: bool | None = None
    created: bool = False

    @classmethod
    def from_json(cls, source: JsonObject, url: str, *, created: bool = False) -> Account:
        """Read an account. Raises: ProtocolViolation."""
        status = source.optional_text("status")
        return cls(
            url=check_url(url, "the account"),
            # RFC 8555 requires the status; servers that leave it out mean a valid account.
            status=AccountStatus.VALID if status is None else AccountStatus.parse(status),
            contact=tuple(plain_text(entry) for entry in source.texts("contact")),
            orders=_orders_url(source.optional_text("orders"), url),
            terms_of_service_agreed=source.optional_flag("termsOfServiceAgreed"),
            created=created,
        )


def _orders_url(reference: str | None, account_url: str) -> str | None:
    """The orders list, or None where it cannot be used: nothing but listing orders needs it."""
    if not reference:
        return None
    try:
        url = urljoin(account_url, reference)
    except ValueError:
        return None
    return url if is_https_url(url) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Challenge:
    """A challenge (RFC 8555 section 8). ``token`` is unchecked: use ``challenge.key_authorization``.

    ``issuers`` are the names under which the CA looks for its dns-persist-01 record.
    """

    type: str
    url: str
    status: ChallengeStatus
    token: str | None = field(default=None, repr=False)
    issuers: tuple[str, ...] = ()
    validated: datetime | None = None
    error: Problem | None = None
    retry_after: float | None = None

    @classmethod
    def from_json(cls, source: JsonObject, *, retry_after: float | None = None) -> Challenge:
        """Read a challenge of any type. Raises: ProtocolViolation."""
        error = source.fields.get("error")
        return cls(
            type=plain_text(source.text("type"), 100),
            url=source.url("url"),
            # Pre-authorized answers of some servers have challenges without a status.
            status=ChallengeStatus.parse(source.optional_text("status") or "pending"),
            token=source.optional_text("token"),
            issuers=_names(source.fields.get("issuerDomainNames") or source.fields.get("issuer-domain-names")),
            validated=source.time("validated"),
            error=Problem.from_json(error) if error is not None else None,
            retry_after=retry_after,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Authorization:
    """An authorization (RFC 8555 section 7.1.4). ``identifier`` never has the ``*.``; ``wildcard`` tells."""

    url: str
    status: AuthorizationStatus
    identifier: Identifier
    wildcard: bool = False
    expires: datetime | None = None
    challenges: tuple[Challenge, ...] = ()
    retry_after: float | None = None

    @classmethod
    def from_json(cls, source: JsonObject, url: str, *, retry_after: float | None = None) -> Authorization:
        """Read an authorization. Raises: ProtocolViolation."""
        child = source.optional_child("identifier")
        if child is None:
            raise ProtocolViolation("The CA sent an authorization without an identifier.")
        identifier = read_identifier(child)
        wildcard = source.optional_flag("wildcard") is True or identifier.is_wildcard
        return cls(
            url=check_url(url, "the authorization"),
            status=AuthorizationStatus.parse(source.text("status")),
            identifier=type(identifier)(identifier.type, identifier.base),
            wildcard=wildcard,
            expires=source.time("expires"),
            challenges=tuple(Challenge.from_json(entry) for entry in source.children("challenges")),
            retry_after=retry_after,
        )

    @property
    def name(self) -> str:
        """The identifier as it was ordered: with ``*.`` for a wildcard."""
        return f"*.{self.identifier}" if self.wildcard else str(self.identifier)


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """An order (RFC 8555 section 7.1.3). ``profile`` and ``replaces`` (RFC 9773 section 5) are what the CA echoes.

    ``retry_after`` is in seconds, from the answer's header.
    """

    url: str
    status: OrderStatus
    identifiers: tuple[Identifier, ...]
    authorizations: tuple[str, ...]
    finalize: str
    expires: datetime | None = None
    certificate: str | None = None
    error: Problem | None = None
    profile: str | None = None
    replaces: str | None = None
    not_before: datetime | None = None
    not_after: datetime | None = None
    retry_after: float | None = None

    @classmethod
    def from_json(cls, source: JsonObject, url: str, *, retry_after: float | None = None) -> Order:
        """Read an order. Raises: ProtocolViolation."""
        error = source.fields.get("error")
        profile, replaces = source.optional_text("profile"), source.optional_text("replaces")
        return cls(
            url=check_url(url, "the order"),
            status=OrderStatus.parse(source.text("status")),
            identifiers=tuple(read_identifier(entry) for entry in source.children("identifiers")),
            authorizations=source.urls("authorizations"),
            finalize=source.url("finalize"),
            expires=source.time("expires"),
            certificate=source.optional_url("certificate"),
            error=Problem.from_json(error) if error is not None else None,
            profile=plain_text(profile, 100) if profile else None,
            replaces=plain_text(replaces, 200) if replaces else None,
            not_before=source.time("notBefore"),
            not_after=source.time("notAfter"),
            retry_after=retry_after,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RenewalInfo:
    """When to renew (RFC 9773 section 4.2). ``start`` < ``end``, aware UTC; ``retry_after`` seconds or None."""

    start: datetime
    end: datetime
    explanation_url: str | None = None
    retry_after: float | None = None

    @classmethod
    def from_json(cls, source: JsonObject, *, retry_after: float | None = None) -> RenewalInfo:
        """Read a RenewalInfo object. Raises: ProtocolViolation, also for a window that ends before it starts."""
        window = source.optional_child("suggestedWindow")
        start, end = (window.time("start"), window.time("end")) if window else (None, None)
        if start is None or end is None:
            raise ProtocolViolation("The CA sent renewal information without a suggested window.")
        if end <= start:
            raise ProtocolViolation("The CA sent a renewal window that ends before it starts.")
        url = source.fields.get("explanationURL")
        return cls(
            start=start,
            end=end,
            explanation_url=url if is_https_url(url) else None,
            retry_after=retry_after,
        )
