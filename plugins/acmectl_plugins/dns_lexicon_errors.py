"""What goes wrong in lexicon, in one line that gives no secret away.

lexicon raises what its HTTP library raises, whose texts hold whole URLs, sometimes with keys in them, or bare
exceptions with bodies of answers. Nothing of that is passed on but short messages of the service, cleaned.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import quote, quote_plus

from acmectl.plugin.api import PluginError

_LONGEST = 200
_LEAST_SECRET = 4
_WORDS_IN = ("message", "detail", "error_msg", "Message", "title", "error", "reason", "description", "Code")
_WORDS_BELOW = ("errors", "error", "messages", "non_field_errors", "status", "fields")
_NO_ZONE = re.compile(
    r"no (?:such )?(?:domain|zone)"
    r"|(?:domain|zone)\b.{0,120}(?:not (?:be )?found|not exist|unknown|not associated|not controlled)"
    r"|could not find (?:the )?(?:domain|zone)"
    r"|not contain the dns zone"
    r"|no zone was found"
    r"|invalid domain|invaliddomainname|nodataofdomain",
    re.IGNORECASE,
)
_REFUSED = re.compile(
    r"authenti\w+ (?:failed|error)|unauthori[sz]ed|incorrect api key|invalid (?:api|access|auth)\w*[ _-]?(?:key|token)"
    r"|authfailure|invalidaccesskey|signaturedoesnotmatch",
    re.IGNORECASE,
)
_URL = re.compile(r"\b[a-z][a-z0-9+.-]*://\S+", re.IGNORECASE)


class Unanswered(Exception):
    """Nothing came back in ``seconds``."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds = seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Speaker:
    """Who is spoken of: the service's ``title``, the credentials ``file``, the texts that nobody may see."""

    title: str
    file: str
    secrets: tuple[str, ...]

    def clean(self, text: str) -> str:
        """One short line of ``text``, without secrets, URLs and control characters."""
        for secret in sorted(self.secrets, key=len, reverse=True):
            if len(secret) >= _LEAST_SECRET:
                for form in {secret, quote(secret), quote(secret, safe=""), quote_plus(secret)}:
                    text = text.replace(form, "[hidden]")
        line = " ".join(_URL.sub("its API", text).split())
        line = "".join(c if c.isprintable() else "?" for c in line)
        return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 3]}..."


def is_no_zone(error: BaseException) -> bool:
    """Whether ``error``, raised while a client was made ready for a zone, says that there is no such zone."""
    status = _status(error)
    if status in (401, 403, 429) or (status or 0) >= 500:
        return False
    return status == 404 or any(_NO_ZONE.search(text) for text in (*_said(error), *_own_words(error)))


def is_about_the_record(error: BaseException) -> bool:
    """Whether ``error`` may mean that a record to take away is not there: no failure of network or credentials."""
    status = _status(error)
    if status is not None:
        return status in (400, 404, 409, 410, 422)
    return not isinstance(error, Unanswered | OSError)


def no_zone(speaker: Speaker, name: str, tried: Iterable[str]) -> PluginError:
    """The account has no zone for ``name``."""
    return PluginError(
        f"{speaker.title} has no zone for {name} (looked for {', '.join(tried)}).",
        hint=f"Check that the zone is in this account and that the credentials in {speaker.file} may see it.",
    )


def explained(error: BaseException, speaker: Speaker, *, zone: str, changing: bool) -> PluginError:
    """``error`` of lexicon for people. ``changing``: a record was to be changed, else the zone looked up."""
    who = speaker.title
    status = _status(error)
    told = next((speaker.clean(text) for text in _said(error) if text.strip()), "")
    said = f": {told}" if told else ""
    if isinstance(error, Unanswered):
        return PluginError(
            f"{who} did not answer for the zone {zone} in {error.seconds:g} seconds.",
            hint="Look at its status page, and try again later.",
        )
    if status == 403 and changing:
        return PluginError(
            f"{who} does not let these credentials change the zone {zone} (status 403{said}).",
            hint=f"A token may be read-only or for other zones: check its rights. It stands in {speaker.file}.",
        )
    if status in (401, 403) or (status is not None and status < 500 and any(_REFUSED.search(t) for t in _said(error))):
        return PluginError(
            f"{who} does not accept the credentials (status {status}{said}).",
            hint=f"Check what stands in {speaker.file}: whole, not expired, with rights for the zone {zone}.",
        )
    if status == 429:
        return PluginError(f"{who} wants fewer requests (status 429{said}).", hint="Try again later.")
    if status is not None and status >= 500:
        return PluginError(f"{who} has a problem of its own (status {status}{said}).", hint="Try again later.")
    if status is not None:
        what = "does not take the change of" if changing else "does not answer for"
        return PluginError(f"{who} {what} the zone {zone} (status {status}{said}).")
    return _without_status(error, speaker, zone)


def _without_status(error: BaseException, speaker: Speaker, zone: str) -> PluginError:
    import requests

    who = speaker.title
    if isinstance(error, requests.exceptions.SSLError):
        return PluginError(
            f"{who} cannot be reached safely: its certificate is not valid here.",
            hint="A company's own CA goes into REQUESTS_CA_BUNDLE.",
        )
    if isinstance(error, requests.exceptions.ProxyError):
        return PluginError(f"{who} cannot be reached through the proxy.", hint="Check HTTPS_PROXY.")
    if isinstance(error, requests.exceptions.InvalidSchema | requests.exceptions.MissingSchema):
        return PluginError(f"The address of {who} in {speaker.file} is no URL.")
    if isinstance(error, requests.exceptions.JSONDecodeError):
        return PluginError(f"{who} answered for the zone {zone} with something that is not JSON.")
    if isinstance(error, requests.exceptions.RequestException | OSError) and not _said(error):
        return PluginError(f"{who} cannot be reached.", hint="Check the network, and look at its status page.")
    if isinstance(error, LookupError | TypeError | AttributeError | AssertionError):
        return PluginError(
            f"{who} answered for the zone {zone} with something unexpected ({type(error).__name__}).",
            hint=f"Check what stands in {speaker.file}.",
        )
    words = next((speaker.clean(text) for text in _own_words(error) if text.strip()), type(error).__name__)
    return PluginError(f"{who}, zone {zone}: {words}", hint=f"Check what stands in {speaker.file}.")


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        yield link
        link = link.__cause__ or link.__context__


def _status(error: BaseException) -> int | None:
    for link in _chain(error):
        status = getattr(getattr(link, "response", None), "status_code", None)
        if isinstance(status, int):
            return status
    return None


def _said(error: BaseException) -> list[str]:
    """What the service itself said, the most telling first."""
    for link in _chain(error):
        response = getattr(link, "response", None)
        if response is not None:
            try:
                return list(_messages(response.json(), 0))
            except (ValueError, AttributeError):
                return []
    return []


def _own_words(error: BaseException) -> list[str]:
    """Texts of exceptions; those of the HTTP library are left out, for they are made of URLs."""
    return [str(link) for link in _chain(error) if not isinstance(link, OSError | LookupError)]


def _messages(content: object, depth: int) -> Iterator[str]:
    if depth > 3:
        return
    if isinstance(content, Mapping):
        for key in _WORDS_IN:
            if isinstance(content.get(key), str):
                yield content[key]
        for key in _WORDS_BELOW:
            below = content.get(key)
            if not isinstance(below, str):
                yield from _messages(below, depth + 1)
    elif isinstance(content, list):
        for item in content[:5]:
            if isinstance(item, str):
                yield item
            else:
                yield from _messages(item, depth + 1)
