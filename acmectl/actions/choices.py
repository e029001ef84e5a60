"""What is chosen among the things that the CA offers: the profile, and the chain."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from acmectl.actions.lifetime import check_end
from acmectl.config.catalogue import profile_limit
from acmectl.config.values import shown
from acmectl.errors import ConfigError
from acmectl.events import Notice
from acmectl.pki.certificate import read_certificate
from acmectl.pki.chain import choose_chain, verify_issued
from acmectl.pki.chain_wish import parse_chain_wish

if TYPE_CHECKING:
    from datetime import datetime

    from acmectl.actions.accounts import OpenAccount
    from acmectl.actions.requests import CertificateRequest
    from acmectl.actions.services import Services
    from acmectl.actions.target import Target
    from acmectl.identifiers import Identifier
    from acmectl.pki.chain import IssuedChain


def choose_profile(
    services: Services, account: OpenAccount, request: CertificateRequest, identifiers: Sequence[Identifier]
) -> str | None:
    """The profile to order (draft-ietf-acme-profiles): a required one, or a preferred one if the CA can use it here.

    Raises: ConfigError for a required profile that the CA does not list, and for more names than the profile allows,
    where the catalogue knows how many that are.
    """
    server = account.stored.server
    wanted = request.required_profile or request.preferred_profile
    if wanted is None:
        _refuse_too_many(server, None, identifiers)
        return None
    offered = account.client.directory().meta.profiles
    if wanted not in offered:
        known = f"it lists {', '.join(sorted(offered))}" if offered else "it offers no profiles"
        lacking = f"The CA at {server} has no profile {shown(wanted)}: {known}"
        if request.required_profile is not None:
            raise ConfigError(
                f"{lacking}.",
                hint="Choose another with --required-profile, or use --preferred-profile, which may be left out.",
            )
        _go_without(services, server, lacking, identifiers)
        return None
    limit = profile_limit(server, wanted)
    if request.required_profile is None and limit is not None and len(identifiers) > (limit.names or 0):
        few = f"The profile {wanted} allows {limit.names} names and {len(identifiers)} are wanted"
        _go_without(services, server, few, identifiers)
        return None
    _refuse_too_many(server, wanted, identifiers)
    return wanted


def _go_without(services: Services, server: str, why: str, identifiers: Sequence[Identifier]) -> None:
    """What is preferred cannot be had."""
    _refuse_too_many(server, None, identifiers)
    services.observe(Notice(text=f"{why}; ordering without a profile."))


def _refuse_too_many(server: str, profile: str | None, identifiers: Sequence[Identifier]) -> None:
    limit = profile_limit(server, profile)
    if limit is None or limit.names is None or len(identifiers) <= limit.names:
        return
    hint = "Share the names out among several certificates."
    if profile is not None:
        hint = "Share the names out among several certificates, or choose a profile that allows more."
    raise ConfigError(
        f"The profile {limit.name} of the CA at {server} allows {limit.names} names in a certificate; "
        f"{len(identifiers)} were asked for.",
        hint=hint,
    )


def common_name_of(services: Services, target: Target, request: CertificateRequest) -> str | None:
    """The common name to ask for; none where its name was left out because it could not be authorized."""
    name = request.common_name
    if name is None or name in {identifier.value for identifier in target.identifiers}:
        return name
    services.observe(Notice(text=f"The certificate gets no common name: {name} is left out.", level="warning"))
    return None


def checked_chain(
    services: Services,
    chains: Sequence[bytes],
    preferred: str | None,
    spki: bytes,
    identifiers: Sequence[Identifier],
    *,
    quiet: bool = False,
    not_after: datetime | None = None,
    must_staple: bool = False,
) -> IssuedChain:
    """The chain to keep, verified against our key, names and clock.

    ``not_after`` is the end that was ordered, and ``must_staple`` whether the CSR had the TLS feature; a CA that gave
    something else is told of.

    Raises: ProtocolViolation.
    """
    chain, found = choose_chain(chains, preferred)
    if not found and preferred is not None and not quiet:
        services.observe(
            Notice(text=f"The CA offers no chain {_named(preferred)}; its default is used.", level="warning")
        )
    issued = verify_issued(chain, spki, identifiers, services.clock.now())
    check_end(services, issued.leaf, not_after)
    if must_staple and not read_certificate(issued.leaf).must_staple:
        text = "The CA has left out the TLS feature status_request (--must-staple): clients do not insist on stapling."
        services.observe(Notice(text=text, level="warning"))
    return issued


def _named(preferred: str) -> str:
    wish = parse_chain_wish(preferred)
    if wish.fingerprint is not None:
        return f"with a certificate whose SHA-256 fingerprint is {shown(preferred)}"
    return f"with the key identifier {shown(preferred)}" if wish.key_id is not None else f"issued by {preferred!r}"
