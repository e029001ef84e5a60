"""plugins: list the authenticators."""

from __future__ import annotations

from typing import TYPE_CHECKING

from acmectl.cli.console import RULE
from acmectl.errors import ExitCode
from acmectl.plugin import registry

if TYPE_CHECKING:
    from acmectl.cli.app import App


def run(app: App) -> ExitCode:
    """List them; one that cannot be used is named with the reason. Raises: PluginError for an unknown NAME."""
    wanted = app.settings.arguments
    if wanted:
        registry.load(wanted[0])
    listings = [one for one in registry.listings() if not wanted or one.name in wanted]
    if app.settings.flag("installers") and not app.settings.flag("authenticators"):
        listings = []
    for one in listings:
        if one.problem is not None:
            app.console.warning(f"Authenticator {one.name}: {one.problem}")
    lines = ["", RULE]
    for one in listings:
        if one.problem is not None:
            continue
        lines += [
            f"* {one.name}",
            f"Description: {one.summary}",
            "Interfaces: Authenticator",
            f"Entry point: {one.name} = {one.entry_point}",
            f"Challenges: {', '.join(one.challenge_types)}",
            f"Distribution: {one.distribution} {one.version}",
            "",
        ]
    if len(lines) == 2:
        lines.append("There are none.")
    lines.append(RULE)
    app.console.status("\n".join(lines))
    app.console.result(
        "plugins",
        {
            "plugins": [
                {
                    "name": one.name,
                    "summary": one.summary,
                    "challenge_types": list(one.challenge_types),
                    "entry_point": one.entry_point,
                    "distribution": one.distribution,
                    "version": one.version,
                    "problem": one.problem,
                }
                for one in listings
            ]
        },
    )
    return ExitCode.OK
