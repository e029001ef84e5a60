"""plugins: list the authenticators, or show what one of them is to be told."""

from __future__ import annotations

from typing import TYPE_CHECKING

from acmectl.cli.console import RULE
from acmectl.cli.help import described, spelled
from acmectl.cli.plugin_options import rows_of
from acmectl.errors import ExitCode
from acmectl.plugin import registry
from acmectl.plugin.dns_example import credential_key, example_command, example_file, needed, takes_file

if TYPE_CHECKING:
    from acmectl.cli.app import App
    from acmectl.config.options import OptionRow, OptionTable
    from acmectl.plugin.api import Authenticator
    from acmectl.plugin.dns import DnsProvider
    from acmectl.plugin.registry import Listing

_EXAMPLES = {
    "manual": "acmectl certonly --manual --preferred-challenges dns -d example.org -d '*.example.org'",
    "standalone": "acmectl certonly --standalone -d www.example.org",
    "webroot": "acmectl certonly --webroot --webroot-path /var/www/html -d www.example.org",
}


def run(app: App) -> ExitCode:
    """List them; one that cannot be used is named with the reason. Raises: PluginError for an unknown NAME."""
    wanted = app.settings.arguments
    named = {name: registry.load(name) for name in wanted}
    listings = [one for one in registry.listings() if not wanted or one.name in wanted]
    if app.settings.flag("installers") and not app.settings.flag("authenticators"):
        listings = []
    for one in listings:
        if one.problem is not None:
            app.console.warning(f"Authenticator {one.name}: {one.problem}")
    lines = ["", RULE]
    content: list[dict[str, object]] = []
    for one in listings:
        details = _Details(one.name, named[one.name], app.settings.table) if one.name in named else None
        content.append({**_as_json(one), **(details.as_json() if details else {})})
        if one.problem is None:
            lines += [*_block(one), *(details.lines() if details else []), ""]
    if len(lines) == 2:
        lines.append("There are none.")
    lines.append(RULE)
    app.console.status("\n".join(lines))
    app.console.result("plugins", {"plugins": content})
    return ExitCode.OK


def _block(one: Listing) -> list[str]:
    return [
        f"* {one.name}",
        f"Description: {one.summary}",
        "Interfaces: Authenticator",
        f"Entry point: {one.name} = {one.entry_point}",
        f"Challenges: {', '.join(one.challenge_types)}",
        f"Distribution: {one.distribution} {one.version}",
    ]


def _as_json(one: Listing) -> dict[str, object]:
    return {
        "name": one.name,
        "summary": one.summary,
        "challenge_types": list(one.challenge_types),
        "entry_point": one.entry_point,
        "distribution": one.distribution,
        "version": one.version,
        "problem": one.problem,
    }


class _Details:
    """What one authenticator is to be told: options, the keys of its credentials file, an example."""

    def __init__(self, name: str, kind: type[Authenticator], table: OptionTable) -> None:
        self.name = name
        self.provider: type[DnsProvider] | None = getattr(kind, "provider_class", None)
        rows = table.extended(rows_of(name, kind.options)).rows
        self.rows: list[OptionRow] = [
            row
            for row in rows
            if not row.hidden and (row.plugin == name or any(flag.startswith(f"--{name}-") for flag in row.names))
        ]

    @property
    def command(self) -> str:
        """A command line that uses it."""
        if self.provider is not None:
            return example_command(self.name, self.provider)
        return _EXAMPLES.get(self.name, f"acmectl certonly --authenticator {self.name} -d www.example.org")

    def lines(self) -> list[str]:
        """For people."""
        lines = ["Options:"] if self.rows else ["Options: none of its own"]
        for row in self.rows:
            lines += [f"  {spelled(row)}", f"      {described(row)}"]
        if self.provider is not None and takes_file(self.provider):
            lines += [f"Credentials: keys of the file of --{self.name}-credentials, which only its owner may read"]
            for one in self.provider.credentials:
                lines += [
                    f"  {credential_key(self.name, one)}{'' if one in needed(self.provider) else ' (may be left out)'}",
                    f"      {one.help}",
                ]
            if self.provider.any_credential:
                lines += [f"  {self.name.replace('-', '_')}_...", "      other keys are handed on as they are"]
        lines.append("Example:")
        if self.provider is not None and takes_file(self.provider):
            lines += [f"  # /etc/acmectl/{self.name}.ini", *(f"  {text}" for text in self._file())]
        return [*lines, f"  {self.command}"]

    def as_json(self) -> dict[str, object]:
        """For programs."""
        credentials = self.provider.credentials if self.provider is not None else ()
        return {
            "options": [
                {
                    "flags": [*row.names, *row.off],
                    "metavar": row.metavar if row.takes_value else None,
                    "default": row.default,
                    "help": row.help,
                }
                for row in self.rows
            ],
            "credentials": [
                {
                    "key": credential_key(self.name, one),
                    "required": one.required,
                    "secret": one.secret,
                    "help": one.help,
                }
                for one in credentials
            ],
            "other_credentials": self.provider is not None and self.provider.any_credential,
            "example": {"credentials_file": self._file(), "command": self.command},
        }

    def _file(self) -> list[str]:
        return [] if self.provider is None else example_file(self.name, self.provider)
