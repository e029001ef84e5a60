"""What the command line asks of the actions, as frozen values. Made at the door, never changed afterwards."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from acmectl.issuance.request import DEFAULT_TIMEOUT, Preflight

if TYPE_CHECKING:
    from pathlib import Path

    from acmectl.actions.endpoint import Endpoint
    from acmectl.actions.hooks import HookCommands
    from acmectl.actions.lifetime import NotAfter
    from acmectl.actions.outputs import Outputs
    from acmectl.identifiers import Identifier
    from acmectl.pki.keys import KeySpec
    from acmectl.plugin.api import DnsSettings
    from acmectl.storage.renewal_conf import JsonValue, RenewalConf

LETS_ENCRYPT_STAGING = "https://acme-staging-v02.api.letsencrypt.org/directory"

PREAUTHORIZED = "preauthorized"
"""The authenticator for names that the CA has authorized already."""

ParamValue = str | tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class EabCredentials:
    """External account binding (RFC 8555 section 7.3.4). ``alg`` is HS256, HS384 or HS512.

    ``hmac_key`` is base64url, or a reference to where it lies (storage.references), followed when it is needed: most
    CAs take a key once only, and where it lay may be gone by the next run.
    """

    kid: str
    hmac_key: str = field(repr=False)
    alg: str = "HS256"


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountRequest:
    """Which CA and which account. ``server`` is the directory URL; ``account_id`` (or name) tells one of several.

    ``key_path`` is the file of an account key that is not kept in the tree; it wins. ``not_key`` is a public key
    (SubjectPublicKeyInfo DER) that the account's must not be, because a certificate is for it. ``name`` is what a new
    account is called here. ``eab_where_required``: ``eab`` is for one of several CAs, and not for those that need none.
    """

    server: str
    account_id: str | None = None
    key_path: Path | None = None
    not_key: bytes | None = field(default=None, repr=False)
    email: tuple[str, ...] = ()
    agree_tos: bool = False
    without_email: bool = False
    eab: EabCredentials | None = None
    key_kind: str = "rsa2048"
    name: str | None = None
    eab_where_required: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRequest:
    """The certificate's key: ``spec`` for a new one; ``reuse`` keeps the lineage's present key unless ``new_key``.

    ``second`` is for a second certificate for the same names, with a key of the other type.

    ``token``: it lies in a PKCS#11 token, and this URI names it (RFC 7512).

    ``explicit``: type, size or curve were asked for now, so that a reused key must be of that kind. ``stage_next``: the
    next key is staged for DANE (actions.next_key). ``compromised``: the present key must not be used again, so that a
    staged one takes its place whatever DNS says of it.
    """

    spec: KeySpec
    second: KeySpec | None = None
    token: str | None = None
    explicit: bool = False
    reuse: bool = False
    new_key: bool = False
    stage_next: bool = False
    compromised: bool = False


class Pattern(Protocol):
    """Some of the identifiers."""

    def fits(self, identifier: str) -> bool:
        """True when ``identifier`` is one of them."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthenticatorRequest:
    """The authenticator by name and its options, keyed as in a renewal file without the plugin's prefix."""

    name: str
    options: Mapping[str, object] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class MixedAuthenticator:
    """An authenticator for the names that ``pattern`` fits (config.mixing)."""

    pattern: Pattern
    authenticator: AuthenticatorRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateRequest:
    """Everything about one issuance except the identifiers and the lineage.

    ``authenticator`` answers for all names that none of ``mixed`` fits; the first of those that fits counts.

    ``servers`` are the directory URLs of several CAs in the order in which they are tried; empty for one alone.

    ``finalize`` is False for a dry run against a CA that would issue for real. ``params`` is what ``[renewalparams]``
    will hold; ``own`` what the section ``[acmectl]`` will. ``csr_key`` is the private key (PEM) of the CSR in ``own``,
    where it was given now. ``ignore_ledger``: order although a limit of the CA is known to be used up.
    ``caa_resolvers`` help to look up CAA records (empty: the system's); None: nobody looks.
    """

    account: AccountRequest
    authenticator: AuthenticatorRequest
    key: KeyRequest
    hooks: HookCommands
    params: Mapping[str, ParamValue]
    mixed: tuple[MixedAuthenticator, ...] = ()
    dns: DnsSettings | None = None
    allow_insecure_credentials: bool = False
    webroot_map: Mapping[str, str] = field(default_factory=dict)
    own: Mapping[str, JsonValue] = field(default_factory=dict)
    must_staple: bool = False
    common_name: str | None = None
    not_after: NotAfter | None = None
    preferred_chain: str | None = None
    preferred_profile: str | None = None
    required_profile: str | None = None
    preferred_challenges: tuple[str, ...] = ()
    allow_subset_of_names: bool = False
    issuance_timeout: float = DEFAULT_TIMEOUT
    preflight: Preflight = Preflight.BESIDE
    debug_challenges: bool = False
    dry_run: bool = False
    finalize: bool = True
    servers: tuple[str, ...] = ()
    break_my_certs: bool = False
    run_deploy_hooks: bool = False
    check_endpoint: Endpoint | None = None
    outputs: Outputs | None = None
    csr_key: bytes | None = field(default=None, repr=False)
    caa_resolvers: tuple[str, ...] | None = None
    ignore_ledger: bool = False

    @property
    def revalidates(self) -> bool:
        """Whether a trial gives up what is valid at the CA, to test something; never what was authorized elsewhere."""
        used = {self.authenticator.name, *(one.authenticator.name for one in self.mixed)}
        return self.dry_run and self.finalize and PREAUTHORIZED not in used


Complete = Callable[["RenewalConf | None", "tuple[Identifier, ...]"], CertificateRequest]
"""Makes the request for one lineage and its names: what was given now, over its renewal file (None: new)."""
