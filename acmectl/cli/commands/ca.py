"""ca: list the CAs that have a short name, or show what one CA offers now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from acmectl.cli.console import RULE
from acmectl.cli.wiring import build_services
from acmectl.config.catalogue import CATALOGUE, directory_url
from acmectl.config.settings import Source
from acmectl.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from acmectl.acme.resources import Directory
    from acmectl.actions.ca import CaOffer
    from acmectl.cli.app import App
    from acmectl.config.catalogue import KnownCa

_UNITS = ((86_400, "days"), (3600, "hours"), (60, "minutes"))


def run(app: App) -> ExitCode:
    """List them, or show the one that is named by URL or short name. Raises: AcmectlError."""
    settings = app.settings
    words = settings.arguments
    if len(words) > 1:
        raise UsageError("ca shows one CA at a time.")
    if words:
        return _show(app, directory_url(words[0], "ca"))
    if settings.source("server") is Source.FLAG:
        return _show(app, settings.required_text("server"))
    lines = ["", RULE]
    for ca in CATALOGUE:
        lines += [f"* {ca.name}", *_catalogue_lines(ca), ""]
    lines.append(RULE)
    app.console.status("\n".join(lines))
    app.console.result("cas", {"cas": [_known_object(ca) for ca in CATALOGUE]})
    return ExitCode.OK


def _show(app: App, server: str) -> ExitCode:
    from acmectl.actions.ca import look_at

    app.log.redaction.add_url(server)
    offer = look_at(build_services(app, writes=False), server)
    app.console.status("\n".join(["", RULE, *_offer_lines(offer), RULE]))
    app.console.result(
        "ca",
        {
            **_directory_object(offer.directory),
            "known_as": _known_object(offer.known) if offer.known else None,
            "used": [
                {
                    "what": one.limit.what,
                    "of": one.subject,
                    "used": one.used,
                    "count": one.limit.count,
                    "seconds": one.limit.seconds,
                    "free_at": one.free_at.isoformat() if one.free_at is not None else None,
                }
                for one in offer.used
            ],
        },
    )
    return ExitCode.OK


def _catalogue_lines(ca: KnownCa) -> list[str]:
    lines = [f"CA: {ca.title}"]
    if ca.ended is not None:
        lines.append(f"Ended: {ca.ended}")
    else:
        lines += [
            f"Directory: {ca.url or f'one for each customer, such as {ca.url_like}'}",
            f"External account binding: {'required (--eab-kid, --eab-hmac-key)' if ca.eab else 'not needed'}",
            f"Renewal information (ARI): {_said(ca.ari)}",
        ]
    if ca.profiles:
        lines.append(f"Profiles: {', '.join(one.name for one in ca.profiles)}")
    if ca.staging is not None:
        lines.append(f"Dry runs go to: {ca.staging}")
    return [*lines, *_known_lines(ca)]


def _known_lines(ca: KnownCa) -> list[str]:
    """What no directory says."""
    lines = [f"Challenges: {', '.join(ca.challenges)}"] if ca.challenges else []
    lines += [f"Names: at most {one.names} with the profile {one.name}" for one in ca.profiles if one.names is not None]
    lines += [f"Limit: {limit.count} {limit.what} in {_span(limit.seconds)}" for limit in ca.limits]
    return lines + [f"Note: {note}" for note in ca.notes]


def _offer_lines(offer: CaOffer) -> list[str]:
    directory, ca = offer.directory, offer.known
    meta = directory.meta
    lines = [f"* {ca.name}", f"CA: {ca.title}"] if ca is not None else []
    lines += [
        f"Directory: {directory.url}",
        f"Web site: {meta.website or 'not named'}",
        f"Terms of service: {meta.terms_of_service or 'none'}",
        "External account binding: "
        + ("required (--eab-kid, --eab-hmac-key)" if meta.external_account_required else "not required"),
        f"CAA identities: {', '.join(meta.caa_identities) or 'none named'}",
    ]
    if meta.issuer_domain_names:
        lines.append(f"Issuer names for dns-persist-01: {', '.join(meta.issuer_domain_names)}")
    lines.append("Profiles:" if meta.profiles else "Profiles: none")
    lines += [f"  {name}: {text}" for name, text in meta.profiles.items()]
    lines += [
        f"Renewal information (ARI): {_offered(directory.renewal_info)}",
        f"Change of account keys: {_offered(directory.key_change)}",
        f"Authorization before an order: {_offered(directory.new_authz)}",
    ]
    if ca is not None:
        lines += _known_lines(ca)
    if offer.used:
        from acmectl.actions.limits import used_line

        lines.append("Used of the limits, as far as this machine knows:")
        lines += [f"  {used_line(one)}" for one in offer.used]
    return lines


def _offered(url: str | None) -> str:
    return url or "not offered"


def _said(known: bool | None) -> str:
    return "not known" if known is None else "yes" if known else "no"


def _span(seconds: int) -> str:
    size, unit = next((size, unit) for size, unit in _UNITS if seconds > size or size == _UNITS[-1][0])
    return f"{seconds // size} {unit}"


def _known_object(ca: KnownCa) -> dict[str, object]:
    return {
        "name": ca.name,
        "title": ca.title,
        "url": ca.url,
        "url_like": ca.url_like,
        "ended": ca.ended,
        "eab": ca.eab,
        "ari": ca.ari,
        "profiles": [one.name for one in ca.profiles],
        "profile_names": {one.name: one.names for one in ca.profiles if one.names is not None},
        "staging": ca.staging,
        "challenges": list(ca.challenges),
        "notes": list(ca.notes),
        "limits": [{"what": limit.what, "count": limit.count, "seconds": limit.seconds} for limit in ca.limits],
    }


def _directory_object(directory: Directory) -> dict[str, object]:
    meta = directory.meta
    return {
        "url": directory.url,
        "website": meta.website,
        "terms_of_service": meta.terms_of_service,
        "external_account_required": meta.external_account_required,
        "caa_identities": list(meta.caa_identities),
        "issuer_domain_names": list(meta.issuer_domain_names),
        "profiles": dict(meta.profiles),
        "endpoints": {
            "newNonce": directory.new_nonce,
            "newAccount": directory.new_account,
            "newOrder": directory.new_order,
            "newAuthz": directory.new_authz,
            "revokeCert": directory.revoke_cert,
            "keyChange": directory.key_change,
            "renewalInfo": directory.renewal_info,
        },
    }
