"""The accounts at acme-dns servers, in a file that lego, acme-dns-client and goacmedns read and write too.

A JSON object: by domain (without ``*.``) an object with ``fulldomain``, ``subdomain``, ``username`` and ``password``,
perhaps ``allowfrom`` and ``server_url``. What else stands there is kept.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field

from acmectl.plugin.api import PluginError
from acmectl.plugin.files import changing, read_private, write_private

WHAT = "The file of acme-dns accounts"
_NAME = re.compile(r"(?=.{1,253}\Z)([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)+[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_LABEL = re.compile(r"[A-Za-z0-9_-]{1,63}")
_WORD = re.compile(r"[\x21-\x7e]{1,255}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One account. ``fulldomain``: absolute name, lower case, no trailing dot. ``server``: its URL, may be empty."""

    fulldomain: str
    subdomain: str
    username: str = field(repr=False)
    password: str = field(repr=False)
    server: str = ""
    allow_from: tuple[str, ...] = ()

    def to_json(self) -> dict[str, object]:
        """As it stands in the file."""
        return {
            "fulldomain": self.fulldomain,
            "subdomain": self.subdomain,
            "username": self.username,
            "password": self.password,
            "server_url": self.server,
            "allowfrom": list(self.allow_from),
        }


def account_from(content: object) -> Account:
    """An account as a server or a file gives it. Raises: ValueError saying what is wrong, without any value."""
    if not isinstance(content, dict):
        raise ValueError("an account is no JSON object")  # noqa: TRY004 - one kind of error for all that can be wrong
    texts = {}
    wanted = {"fulldomain": _NAME, "subdomain": _LABEL, "username": _WORD, "password": _WORD}
    for key, pattern in wanted.items():
        text = content.get(key)
        text = text.rstrip(".").lower() if key == "fulldomain" and isinstance(text, str) else text
        if not isinstance(text, str) or not pattern.fullmatch(text):
            raise ValueError(f"an account has no usable {key}")
        texts[key] = text
    server = content.get("server_url") or ""
    allowed = content.get("allowfrom") or ()
    return Account(
        **texts,
        server=server if isinstance(server, str) else "",
        allow_from=tuple(str(one) for one in allowed) if isinstance(allowed, list) else (),
    )


class Accounts:
    """The file. Every question reads it, for other programs may have changed it."""

    def __init__(self, path: str) -> None:
        self.path = path

    def all(self) -> dict[str, Account]:
        """The accounts by domain. Raises: PluginError when the file is damaged or others can read it."""
        found = {}
        for domain, content in self._content().items():
            try:
                found[domain.lower()] = account_from(content)
            except ValueError as error:
                shown = "".join(c if c.isprintable() else "?" for c in domain)[:100]
                raise self._damaged(f"{error} ({shown})") from None
        return found

    def keep(self, domain: str, account: Account) -> Account:
        """Add an account for ``domain`` and give it; or the one that is there by now. Raises: PluginError."""
        with changing(self.path, WHAT):
            there = self.all().get(domain)
            if there is not None:
                return there
            content = {**self._content(), domain: account.to_json()}
            write_private(self.path, (json.dumps(content, indent=2) + "\n").encode("utf-8"), WHAT)
        return account

    def _content(self) -> dict[str, object]:
        data = read_private(self.path, WHAT)
        if data is None or not data.strip():
            return {}
        try:
            content = json.loads(data)
        except (ValueError, RecursionError):
            raise self._damaged("it is not JSON") from None
        if not isinstance(content, dict):
            raise self._damaged("it is no JSON object")
        return content

    def _damaged(self, why: str) -> PluginError:
        return PluginError(
            f"{WHAT} {self.path} is damaged: {why}.",
            hint="Restore it from a backup; without it new accounts are made, and every CNAME has to be changed.",
        )
