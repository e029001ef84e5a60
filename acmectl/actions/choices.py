"""What is chosen among the things that the CA offers: the profile, and the chain."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from acmectl.events import Notice
from acmectl.pki.chain import choose_chain, verify_issued

if TYPE_CHECKING:
    from acmectl.actions.accounts import OpenAccount
    from acmectl.actions.requests import CertificateRequest
    from acmectl.actions.services import Services
    from acmectl.identifiers import Identifier
    from acmectl.pki.chain import IssuedChain


def choose_profile(services: Services, account: OpenAccount, request: CertificateRequest) -> str | None:
    """The profile to order: a required one always, a preferred one if the CA lists it (draft-ietf-acme-profiles)."""
    if request.required_profile is not None or request.preferred_profile is None:
        return request.required_profile
    offered = account.client.directory().meta.profiles
    if request.preferred_profile in offered:
        return request.preferred_profile
    known = ", ".join(sorted(offered)) or "none"
    services.observe(
        Notice(text=f"The CA has no profile {request.preferred_profile!r} (it lists: {known}); ordering without.")
    )
    return None


def checked_chain(
    services: Services,
    chains: Sequence[bytes],
    preferred: str | None,
    spki: bytes,
    identifiers: Sequence[Identifier],
    *,
    quiet: bool = False,
) -> IssuedChain:
    """The chain to keep, verified against our key, names and clock. Raises: ProtocolViolation."""
    chain, found = choose_chain(chains, preferred)
    if not found and preferred is not None and not quiet:
        services.observe(
            Notice(text=f"The CA offers no chain issued by {preferred!r}; its default is used.", level="warning")
        )
    return verify_issued(chain, spki, identifiers, services.clock.now())
