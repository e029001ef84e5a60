"""What a provider's credentials file looks like, and the command that uses it: for help and documentation."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from acmectl.plugin.dns import Credential, DnsProvider


def credential_key(authenticator: str, credential: Credential) -> str:
    """The key in the file: ``dns_x_api_token``."""
    return f"{authenticator.replace('-', '_')}_{credential.name}"


def takes_file(provider: type[DnsProvider]) -> bool:
    """Whether the provider has a credentials file at all."""
    return bool(provider.credentials) or provider.any_credential


def needed(provider: type[DnsProvider]) -> tuple[Credential, ...]:
    """Credentials without which it does not work; where there is a choice, those to begin with."""
    return tuple(one for one in provider.credentials if one.required) or provider.credentials[:1]


def example_file(authenticator: str, provider: type[DnsProvider]) -> list[str]:
    """Lines of a credentials file; keys that may be left out stand behind ``#``."""
    return [
        f"{'' if one in needed(provider) else '# '}{credential_key(authenticator, one)} = {one.example or '...'}"
        for one in provider.credentials
    ]


def example_command(authenticator: str, provider: type[DnsProvider]) -> str:
    """A command line that uses it."""
    file = f" --{authenticator}-credentials /etc/acmectl/{authenticator}.ini" if takes_file(provider) else ""
    return f"acmectl certonly --authenticator {authenticator}{file} -d example.org -d '*.example.org'"
