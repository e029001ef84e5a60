"""One method per operation of RFC 8555 and its relatives."""

from __future__ import annotations

import copy
import logging
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar

from acmectl.acme.ari import ari_certificate_id
from acmectl.acme.base64url import b64url
from acmectl.acme.problem import ProblemType
from acmectl.acme.resources import Account, Authorization, Challenge, Directory, Order, RenewalInfo
from acmectl.acme.retry import RetryPolicy
from acmectl.acme.session import Session
from acmectl.acme.status import ChallengeStatus, OrderStatus
from acmectl.acme.wire import JsonObject, absolute_url, format_time
from acmectl.errors import AcmeError, ConfigError, ProtocolViolation, ServerProblem, TransportError

if TYPE_CHECKING:
    from datetime import datetime

    from acmectl.acme.jws import AccountKey
    from acmectl.acme.messages import Response, Transport
    from acmectl.clock import Clock
    from acmectl.identifiers import Identifier

__all__ = ["AcmeClient", "ari_certificate_id"]

logger = logging.getLogger(__name__)
T = TypeVar("T")

_CHAIN = "application/pem-certificate-chain"
_MAX_ALTERNATES = 16
_MAX_ORDER_PAGES = 1000
_MAX_CERTIFICATES = 32
_PEM_LABEL = re.compile(rb"-----BEGIN ([^-\r\n]{1,64})-----")
_MIN_ARI_PAUSE, _MAX_ARI_PAUSE = 60.0, 86_400.0


class AcmeClient:
    """Talks to one CA with one account key. All methods may be called from several threads at once.

    Every method may raise TransportError, ServerProblem (also RateLimited, UserActionRequired), ProtocolViolation and
    Interrupted; ``Raises:`` below names only what else there is.
    """

    def __init__(
        self,
        transport: Transport,
        directory_url: str,
        key: AccountKey | None = None,
        *,
        clock: Clock,
        account_url: str | None = None,
        policy: RetryPolicy | None = None,
    ) -> None:
        """``key`` may be left out for the operations without signature: directory and renewal_info.

        Raises: ConfigError when ``directory_url`` is not https.
        """
        self._session = Session(transport, directory_url, clock=clock, policy=policy or RetryPolicy())
        self._key = key
        self._account_url = account_url

    def with_account(self, key: AccountKey, account_url: str | None = None) -> AcmeClient:
        """A client for the same CA with an account; directory, nonces and connections are shared."""
        other = copy.copy(self)
        other._key, other._account_url = key, account_url
        return other

    @property
    def key(self) -> AccountKey:
        """The account key in use. Raises: ConfigError when there is none."""
        if self._key is None:
            raise ConfigError("This operation needs an account key.")
        return self._key

    @property
    def account_url(self) -> str | None:
        """The account's URL, once known."""
        return self._account_url

    def directory(self) -> Directory:
        """The CA's directory, fetched once per client (RFC 8555 section 7.1.1)."""
        return self._session.directory()

    # Accounts: RFC 8555 section 7.3

    def new_account(
        self, contact: Sequence[str] = (), *, agree_tos: bool, eab: tuple[str, str, str] | None = None
    ) -> Account:
        """Create the account of the key, or find it if it exists (RFC 8555 sections 7.3, 7.3.4).

        ``contact``: URLs such as ``mailto:admin@example.org``. ``eab``: key identifier, base64url HMAC key, and HS256,
        HS384 or HS512. ``created`` of the answer tells whether the account is new.

        Raises: ConfigError for malformed ``eab``.
        """
        url = self.directory().new_account
        payload: dict[str, object] = {}
        if agree_tos:
            payload["termsOfServiceAgreed"] = True
        if contact:
            payload["contact"] = list(contact)
        if eab is not None:
            from acmectl.acme import jws

            payload["externalAccountBinding"] = jws.eab(eab[0], eab[1], eab[2], self.key.public_jwk(), url)
        return self._adopt(self._session.post(url, payload, key=self.key, kid=None))

    def find_account(self) -> Account | None:
        """The account of the key at this CA, or None (RFC 8555 section 7.3.1)."""
        try:
            answer = self._session.post(
                self.directory().new_account, {"onlyReturnExisting": True}, key=self.key, kid=None
            )
        except ServerProblem as error:
            if _code(error) == ProblemType.ACCOUNT_DOES_NOT_EXIST:
                return None
            raise
        return self._adopt(answer)

    def _adopt(self, answer: Response) -> Account:
        url = _location(answer, "the account")
        account = Account.from_json(_json_or_empty(answer, "the account"), url, created=answer.status == 201)
        self._account_url = account.url
        return account

    def account(self) -> Account:
        """The account as the CA has it now (RFC 8555 section 7.3.2)."""
        kid = self._kid()
        return Account.from_json(self._json(self._fetch(kid), "the account"), kid)

    def update_account(self, contact: Sequence[str]) -> Account:
        """Replace the account's contacts (RFC 8555 section 7.3.2). An empty sequence removes them."""
        return self._change_account({"contact": list(contact)})

    def agree_to_terms(self) -> Account:
        """Agree to the CA's present terms of service (RFC 8555 section 7.3.3)."""
        return self._change_account({"termsOfServiceAgreed": True})

    def deactivate_account(self) -> Account:
        """Deactivate the account, for good (RFC 8555 section 7.3.6)."""
        return self._change_account({"status": "deactivated"})

    def _change_account(self, payload: Mapping[str, object]) -> Account:
        kid = self._kid()
        answer = self._session.post(kid, payload, key=self.key, kid=kid)
        return Account.from_json(_json_or_empty(answer, "the account"), kid)

    def change_key(self, new_key: AccountKey) -> None:
        """Give the account a new key, which this client uses from then on (RFC 8555 section 7.3.5).

        The new key is tried before this returns; when the CA does not take it, the old one stays in use. After a
        TransportError the change may have happened: ``find_account`` with the new key tells.

        Raises: ConfigError when the CA offers no key change.
        """
        url = self.directory().key_change
        if url is None:
            raise ConfigError("This CA does not offer to change the account key.")
        kid = self._kid()
        from acmectl.acme.jws import key_change_payload

        inner = key_change_payload(self.key, new_key, account_url=kid, url=url)
        self._session.post(url, inner, key=self.key, kid=kid, idempotent=False)
        old_key, self._key = self._key, new_key
        self._session.key_changed()
        try:
            # Whoever throws the old key away must know that the new one opens the account.
            self.account()
        except ServerProblem:
            self._key = old_key
            raise

    def expect_new_key(self) -> None:
        """Take note that the key is new to the CA, parts of which may not know it for some seconds."""
        self._session.key_changed()

    def _kid(self) -> str:
        """The account URL, asked of the CA if not known yet. Raises: ConfigError when there is no account."""
        if self._account_url is None and self.find_account() is None:
            raise ConfigError("There is no account at this CA for the account key.", hint="Use 'acmectl register'.")
        assert self._account_url is not None  # noqa: S101 - find_account has set it
        return self._account_url

    def _fetch(self, url: str, *, accept: str | None = None) -> Response:
        """POST-as-GET (RFC 8555 section 6.3)."""
        return self._session.post(url, None, key=self.key, kid=self._kid(), accept=accept)

    @staticmethod
    def _json(answer: Response, where: str) -> JsonObject:
        # The content type is not looked at: some servers send JSON under the wrong one.
        return JsonObject.from_body(answer.body, where)

    # Orders: RFC 8555 section 7.4

    def new_order(
        self,
        identifiers: Sequence[Identifier],
        *,
        profile: str | None = None,
        replaces: str | None = None,
        not_before: datetime | None = None,
        not_after: datetime | None = None,
    ) -> Order:
        """Place an order (RFC 8555 section 7.4; ``replaces``: RFC 9773 section 5; IP addresses: RFC 8738)."""
        payload: dict[str, object] = {"identifiers": [{"type": str(i.type), "value": i.value} for i in identifiers]}
        if profile is not None:
            payload["profile"] = profile
        if replaces is not None:
            payload["replaces"] = replaces
        if not_before is not None:
            payload["notBefore"] = format_time(not_before)
        if not_after is not None:
            payload["notAfter"] = format_time(not_after)
        url = self.directory().new_order
        answer = self._session.post(url, payload, key=self.key, kid=self._kid(), idempotent=False)
        order = self._order(answer, _location(answer, "the order"))
        if set(order.identifiers) != set(identifiers):
            raise ProtocolViolation("The CA's order is for other identifiers than were asked for.")
        return order

    def _order(self, answer: Response, url: str) -> Order:
        return Order.from_json(self._json(answer, "the order"), url, retry_after=self._session.retry_after(answer))

    def order(self, url: str) -> Order:
        """An order as it is now (RFC 8555 section 7.4)."""
        return self._order(self._fetch(url), url)

    def orders(self) -> Iterator[str]:
        """URLs of the account's orders, page by page (RFC 8555 section 7.1.2.1).

        Raises: ConfigError when the CA keeps no list.
        """
        url = self.account().orders
        if url is None:
            raise ConfigError("This CA does not list the orders of an account.")
        seen: set[str] = set()
        while url is not None and url not in seen and len(seen) < _MAX_ORDER_PAGES:
            seen.add(url)
            answer = self._fetch(url)
            yield from self._json(answer, "the list of orders").urls("orders")
            following = answer.links("next")
            url = absolute_url(url, following[0], "the next page of orders") if following else None

    def finalize(self, order: Order, csr_der: bytes) -> Order:
        """Send the CSR (DER) and give the order as it then is (RFC 8555 section 7.4).

        When the answer was lost, or the CA says that the order is past this point, the order itself tells.
        """
        payload = {"csr": b64url(csr_der)}
        try:
            answer = self._session.post(order.finalize, payload, key=self.key, kid=self._kid(), idempotent=False)
        except (TransportError, ServerProblem) as error:
            if isinstance(error, ServerProblem) and _code(error) != ProblemType.ORDER_NOT_READY:
                raise
            present = _or_none(lambda: self.order(order.url))
            if present is None or present.status not in {OrderStatus.PROCESSING, OrderStatus.VALID}:
                raise
            return present
        return self._order(answer, order.url)

    def certificate(self, order: Order, *, alternates: bool = False) -> Iterator[bytes]:
        """The order's certificate chains in PEM: the CA's default first (RFC 8555 sections 7.4.2 and 9.1).

        With ``alternates`` the others that the CA links to follow, each fetched when it is asked for; one that cannot
        be had is skipped with a warning in the log. No particular length of a chain is required.

        Raises: ProtocolViolation for anything else than certificates.
        """
        if order.certificate is None:
            raise ProtocolViolation("The CA's order has no certificate, although it should have one by now.")
        answer = self._fetch(order.certificate, accept=_CHAIN)
        yield _check_chain(answer.body)
        if not alternates:
            return
        targets = dict.fromkeys(
            absolute_url(order.certificate, target, "an alternate chain") for target in answer.links("alternate")
        )
        targets.pop(order.certificate, None)
        for url in list(targets)[:_MAX_ALTERNATES]:
            try:
                chain = _check_chain(self._fetch(url, accept=_CHAIN).body)
            except AcmeError as error:
                logger.warning("An alternate chain could not be fetched: %s", error)
                continue
            yield chain

    # Authorizations and challenges: RFC 8555 section 7.5

    def authorization(self, url: str) -> Authorization:
        """An authorization as it is now (RFC 8555 section 7.5)."""
        answer = self._fetch(url)
        return self._authorization(answer, url)

    def _authorization(self, answer: Response, url: str) -> Authorization:
        source = self._json(answer, "an authorization")
        return Authorization.from_json(source, url, retry_after=self._session.retry_after(answer))

    def deactivate_authorization(self, url: str) -> Authorization:
        """Give an authorization up (RFC 8555 section 7.5.2)."""
        return self._authorization(
            self._session.post(url, {"status": "deactivated"}, key=self.key, kid=self._kid()), url
        )

    def respond(self, challenge: Challenge) -> Challenge:
        """Tell the CA that it can validate (RFC 8555 section 7.5.1).

        When the answer was lost, or the CA says that the challenge is decided already, the challenge itself tells.
        """
        try:
            answer = self._session.post(challenge.url, {}, key=self.key, kid=self._kid(), idempotent=False)
        except (TransportError, ServerProblem) as error:
            if isinstance(error, ServerProblem) and _code(error) != ProblemType.MALFORMED:
                raise
            present = _or_none(lambda: self._challenge(self._fetch(challenge.url)))
            if present is None or present.status in {ChallengeStatus.PENDING, ChallengeStatus.UNKNOWN}:
                raise
            return present
        return self._challenge(answer)

    def _challenge(self, answer: Response) -> Challenge:
        source = self._json(answer, "a challenge")
        return Challenge.from_json(source, retry_after=self._session.retry_after(answer))

    # Revocation: RFC 8555 section 7.6

    def revoke(self, cert_der: bytes, reason: int = 0, *, certificate_key: AccountKey | None = None) -> None:
        """Revoke a certificate (DER), signed by the account key or by the certificate's own (RFC 8555 section 7.6).

        ``reason``: a code of RFC 5280 section 5.3.1; 0 (unspecified) is left out. A certificate revoked before raises
        ServerProblem with the code ``alreadyRevoked``.
        """
        payload: dict[str, object] = {"certificate": b64url(cert_der)}
        if reason:
            payload["reason"] = reason
        if certificate_key is not None:
            key, kid = certificate_key, None
        else:
            key, kid = self.key, self._kid()
        self._session.post(self.directory().revoke_cert, payload, key=key, kid=kid, idempotent=False)

    # Renewal information: RFC 9773

    def renewal_info(self, cert_id: str, *, deadline: float | None = None) -> RenewalInfo:
        """When the CA wants a certificate renewed (RFC 9773 section 4). ``cert_id``: see ``ari_certificate_id``.

        ``retry_after`` is clamped to one minute .. one day (section 4.3). ``deadline``: seconds that a busy CA gets.

        Raises: ConfigError when the CA offers no renewal information.
        """
        base = self.directory().renewal_info
        if base is None:
            raise ConfigError("This CA offers no renewal information.")
        answer = self._session.get(f"{base.rstrip('/')}/{cert_id}", deadline=deadline)
        seconds = self._session.retry_after(answer)
        clamped = None if seconds is None else min(max(seconds, _MIN_ARI_PAUSE), _MAX_ARI_PAUSE)
        return RenewalInfo.from_json(self._json(answer, "renewal information"), retry_after=clamped)


def _code(error: ServerProblem) -> str:
    return error.problem.type.rpartition(":")[2]


def _or_none(fetch: Callable[[], T]) -> T | None:
    """What ``fetch`` gives; None when the CA cannot be asked, so that the first failure is the one that is told."""
    try:
        return fetch()
    except AcmeError:
        return None


def _location(answer: Response, where: str) -> str:
    reference = answer.header("location")
    if not reference:
        raise ProtocolViolation(f"The CA's answer for {where} has no Location.")
    return absolute_url(answer.url, reference, where)


def _json_or_empty(answer: Response, where: str) -> JsonObject:
    """The object; an empty one for an empty body, which some servers send with accounts."""
    return JsonObject.from_body(answer.body.strip() or b"{}", where)


def _check_chain(body: bytes) -> bytes:
    """``body`` itself when it is PEM of certificates and nothing else (RFC 8555 sections 9.1 and 11.4)."""
    labels = _PEM_LABEL.findall(body)
    if not labels or any(label != b"CERTIFICATE" for label in labels) or len(labels) > _MAX_CERTIFICATES:
        raise ProtocolViolation("The CA sent something else than a certificate chain in PEM.")
    return body
