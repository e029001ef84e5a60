"""Refuses a renewal that a person must set right first, with the very command that does it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from acmectl.errors import ConfigError, PluginError

if TYPE_CHECKING:
    from acmectl.actions.requests import CertificateRequest
    from acmectl.actions.services import Services
    from acmectl.identifiers import Identifier
    from acmectl.storage.lineage import Lineage


def names_left(request: CertificateRequest, identifiers: tuple[Identifier, ...]) -> tuple[Identifier, ...]:
    """The names that the certificate's own authenticator answers for, and not one of ``mixed``."""
    return tuple(name for name in identifiers if not any(one.pattern.fits(name.value) for one in request.mixed))


def refuse_certbots_plugin(
    services: Services, lineage: Lineage | None, identifiers: tuple[Identifier, ...], request: CertificateRequest
) -> None:
    """Raises: ConfigError when the certificate is renewed by certbot's nginx or apache plugin."""
    from acmectl.actions.takeover import Surroundings, advice, server_of

    server = server_of(request.authenticator.name)
    names = names_left(request, identifiers)
    if server is None or lineage is None or not names:
        return
    try:
        services.load_authenticator(server)
    except PluginError:
        surroundings = Surroundings(options=services.tree_options, environ=services.environ)
        taken = advice(lineage.name, names, server, conf=lineage.conf, surroundings=surroundings)
        raise ConfigError(
            f"{lineage.conf_path} says authenticator = {server}, certbot's plugin that edits the configuration of "
            f"{server}; acmectl does not.",
            hint=f"{taken.note} To take it over: {taken.command}",
        ) from None


def refuse_lost_webroots(
    services: Services, lineage: Lineage, identifiers: tuple[Identifier, ...], request: CertificateRequest
) -> None:
    """Raises: ConfigError when webroot is to answer for names whose web root is not known or not there."""
    if request.authenticator.name != "webroot":
        return
    from acmectl.actions.takeover import Surroundings
    from acmectl.actions.webroot_repair import find_damage

    challenge_dir = request.authenticator.options.get("challenge_dir")
    damage = find_damage(
        lineage.name,
        names_left(request, identifiers),
        request.webroot_map,
        challenge_dir=str(challenge_dir) if challenge_dir else None,
        conf=lineage.conf,
        surroundings=Surroundings(options=services.tree_options, environ=services.environ),
    )
    if damage is not None:
        raise ConfigError(f"{lineage.conf_path}: {damage.what}.", hint=f"{damage.note} To repair it: {damage.command}")
